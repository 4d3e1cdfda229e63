/* realmath_test.c: the scalar functions against the C library's long double versions, which carry 11 bits more. */
#include "base/realmath.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SEED 7u
#define RELATIVE_BOUND 4.5e-16L

static uint64_t bits_of(double d) {
    uint64_t u;
    memcpy(&u, &d, sizeof u);
    return u;
}

static double draw(uint64_t i, double low, double high) {
    /* A generator of its own, so that this test does not depend on random.c. */
    uint64_t x = (i + SEED) * 0x9e3779b97f4a7c15u;
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    x ^= x >> 31;
    return low + (high - low) * ((double)(x >> 11) * 0x1p-53);
}

static void check(const char *name, double x, double got, long double wanted) {
    const long double error = fabsl(((long double)got - wanted) / (wanted == 0 ? 1 : wanted));
    if (!(error <= RELATIVE_BOUND))
        fail_msg("%s(%a) = %a, expected %La (relative error %Lg)", name, x, got, wanted, error);
}

/* Catches a wrong series coefficient, a wrong power of two at the ends of the range, and lost bits in the reduction. */
static void test_exp_matches_libm(void **state) {
    (void)state;
    for (uint64_t i = 0; i < 200000; i++) {
        double x = draw(i, -708.39, 709.78);
        check("exp", x, realmath_exp(x), expl((long double)x));
        x = draw(i, -1.0, 1.0);
        check("exp", x, realmath_exp(x), expl((long double)x));
        x = draw(i, -1e-5, 1e-5);
        check("exp", x, realmath_exp(x), expl((long double)x));
    }
}

/* Catches bits lost near 1, where the result is small, and a wrong exponent. */
static void test_log_matches_libm(void **state) {
    (void)state;
    for (uint64_t i = 0; i < 200000; i++) {
        double x = draw(i, 0.0, 4.0);
        check("log", x, realmath_log(x), logl((long double)x));
        x = 1.0 + draw(i, -1e-6, 1e-6);
        check("log", x, realmath_log(x), logl((long double)x));
        x = ldexp(draw(i, 1.0, 2.0), (int)draw(i + 1, -1022.0, 1023.0));
        check("log", x, realmath_log(x), logl((long double)x));
    }
}

/* Catches a reduction that loses bits for large angles or near multiples of pi/2, and wrong quadrants and signs. */
static void test_sin_and_cos_match_libm(void **state) {
    (void)state;
    for (uint64_t i = 0; i < 200000; i++) {
        const double range[] = {1.0, 100.0, 131072.0, 12999999.0};
        for (int k = 0; k < 4; k++) {
            const double x = draw(i + (uint64_t)k * 1000003u, -range[k], range[k]);
            check("sin", x, realmath_sin(x), sinl((long double)x));
            check("cos", x, realmath_cos(x), cosl((long double)x));
        }
    }
    for (int n = 1; n < 8270000; n += 17) { /* as near to multiples of pi/2 as doubles come */
        const double x = (double)(n * 1.57079632679489661923132L);
        check("sin", x, realmath_sin(x), sinl((long double)x));
        check("cos", x, realmath_cos(x), cosl((long double)x));
    }
}

/* Catches an unusual argument that falls through to a wrong number. */
static void test_special_values(void **state) {
    (void)state;
    assert_true(isnan(realmath_exp(NAN)));
    assert_true(realmath_exp(INFINITY) == INFINITY && realmath_exp(-INFINITY) == 0.0 && realmath_exp(1000) == INFINITY);
    assert_true(realmath_exp(0.0) == 1.0 && realmath_exp(-0.0) == 1.0 && realmath_exp(-709.0) == 0.0);
    assert_true(isfinite(realmath_exp(709.78)) && realmath_exp(-708.39) > 0.0);
    assert_true(isnan(realmath_log(NAN)) && isnan(realmath_log(-1.0)) && realmath_log(0.0) == -INFINITY);
    assert_true(realmath_log(INFINITY) == INFINITY && realmath_log(1.0) == 0.0);
    assert_true(realmath_sin(0.0) == 0.0 && realmath_cos(0.0) == 1.0);
    assert_true(isnan(realmath_sin(1.3e7)) && isnan(realmath_cos(-INFINITY)) && isnan(realmath_sin(NAN)));
    check("pow", 0.5, realmath_pow(500000.0, -0.5), 1.0L / sqrtl(500000.0L));
}

/* Catches a compiler, a flag or an edit that changes any bit: the sum of the bit patterns of many results is fixed. */
static void test_bits_are_fixed(void **state) {
    (void)state;
    uint64_t sum = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        sum = sum * 31 + bits_of(realmath_exp(draw(i, -700, 700)));
        sum = sum * 31 + bits_of(realmath_log(draw(i, 1e-3, 1e6)));
        sum = sum * 31 + bits_of(realmath_sin(draw(i, -1e6, 1e6)));
        sum = sum * 31 + bits_of(realmath_cos(draw(i, -1e6, 1e6)));
    }
    if (sum != 0xf565b1bf6111c730u) fail_msg("the results' bits changed: 0x%016llx", (unsigned long long)sum);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exp_matches_libm),       cmocka_unit_test(test_log_matches_libm),
        cmocka_unit_test(test_sin_and_cos_match_libm), cmocka_unit_test(test_special_values),
        cmocka_unit_test(test_bits_are_fixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
