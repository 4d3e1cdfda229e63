/* exact_sum_test.c: sums are exact in any order and any partition, and rounded once. Catches: a lost carry, a wrong
 * word, a tie rounded away from even, bins of squares that overflow, a sign that is dropped. */
#include "base/exact_sum.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/random.h"

static const uint64_t seed = 298;

static double sum_of(const double *x, int n) {
    struct exact_sum s = {0};
    for (int i = 0; i < n; i++) exact_sum_add(&s, x[i]);
    return exact_sum_value(&s);
}

/* Sums that are known on paper. */
static void test_known(void **state) {
    (void)state;
    const double cancelling[] = {0x1p200, 1.0, -0x1p200, 0x1p-298, -1.0};
    const double tie_down[] = {0x1p53, 1.0}, tie_up[] = {0x1p53 + 2.0, 1.0};
    const double above_tie[] = {0x1p53, 1.0, 0x1p-298}, negative[] = {-0x1p53, -1.0, -0x1p-298};
    const double all_ones[] = {0x1.fffffffffffffp52, 0.5};
    assert_true(sum_of(NULL, 0) == 0.0);
    assert_true(sum_of(cancelling, 4) == 1.0);
    assert_true(sum_of(cancelling, 5) == 0x1p-298);
    assert_true(sum_of(tie_down, 2) == 0x1p53);
    assert_true(sum_of(tie_up, 2) == 0x1p53 + 4.0);
    assert_true(sum_of(above_tie, 3) == 0x1p53 + 2.0);
    assert_true(sum_of(negative, 3) == -0x1p53 - 2.0);
    assert_true(sum_of(all_ones, 2) == 0x1p53);
}

/* Numbers of 24 bits within 2^-8 .. 2^8 and 128-bit integers hold the same sum. */
static void test_against_integers(void **state) {
    (void)state;
    struct exact_sum s = {0};
    __int128 expected = 0;
    for (uint64_t i = 0; i < 100000; i++) {
        const uint64_t bits = random_u64(seed, RANDOM_TEST, i);
        const int32_t mantissa = (int32_t)(bits & 0xffffff) - 0x800000, shift = (int)(bits >> 40) % 17;
        exact_sum_add(&s, ldexp((double)mantissa, shift - 32));
        expected += (__int128)mantissa * (1 << shift); /* a negative number is not shifted */
        if (i % 1000 == 0) assert_true(exact_sum_value(&s) == ldexp((double)expected, -32));
    }
}

static float any_float(uint64_t i) {
    const uint32_t u = (uint32_t)random_u64(seed, RANDOM_TEST, 1000000 + i);
    float x;
    memcpy(&x, &u, sizeof x);
    return isnormal(x) ? x : 0.0f;
}

/* Squares of floats of all magnitudes: added one by one, backwards, in batches, by parts that are merged. */
static void test_any_partition(void **state) {
    (void)state;
    enum { N = 5000 };
    float x[N];
    struct exact_sum one = {0}, backwards = {0}, batch = {0}, merged = {0};
    for (int i = 0; i < N; i++) x[i] = any_float((uint64_t)i);
    for (int i = 0; i < N; i++) exact_sum_add(&one, (double)x[i] * (double)x[i]);
    for (int i = N - 1; i >= 0; i--) exact_sum_add(&backwards, (double)x[i] * (double)x[i]);
    assert_true(exact_sum_add_squares(&batch, x, N));
    for (int begin = 0, n = 1; begin < N; begin += n, n = n * 3 + 1) {
        struct exact_sum part = {0};
        if (n > N - begin) n = N - begin;
        assert_true(exact_sum_add_squares(&part, x + begin, n));
        exact_sum_merge(&merged, &part);
    }
    const double expected = exact_sum_value(&one);
    assert_true(expected > 0x1p200);
    assert_true(exact_sum_value(&backwards) == expected);
    assert_true(exact_sum_value(&batch) == expected);
    assert_true(exact_sum_value(&merged) == expected);
}

/* More of one exponent than a bin holds before it is emptied. */
static void test_full_bins(void **state) {
    (void)state;
    const int64_t n = (1 << 18) * 3 + 7;
    float *x = alloc_array((size_t)n, sizeof *x);
    struct exact_sum s = {0};
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++) x[i] = 0x1.fffffep0f;
    assert_true(exact_sum_add_squares(&s, x, n));
    const uint64_t square = 0xffffffull * 0xffffffull;
    const unsigned __int128 total = (unsigned __int128)square * (uint64_t)n;
    assert_true(exact_sum_value(&s) == ldexp((double)total, -46));
    alloc_free(x);
}

static void test_not_finite(void **state) {
    (void)state;
    const float bad[] = {INFINITY, -INFINITY, NAN};
    for (int i = 0; i < 3; i++) {
        float x[] = {1.0f, 0x1p-140f, 0.0f, bad[i], 2.0f};
        struct exact_sum s = {0}, t = {0};
        assert_true(exact_sum_add_squares(&s, x, 3));
        assert_true(exact_sum_value(&s) == 1.0);
        assert_false(exact_sum_add_squares(&t, x, 5));
    }
}

int main(void) {
    print_message("seed %llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known), cmocka_unit_test(test_against_integers),
                                       cmocka_unit_test(test_any_partition), cmocka_unit_test(test_full_bins),
                                       cmocka_unit_test(test_not_finite)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
