/* random_test.c: Philox 4x32-10 against the published vectors (the kat_vectors file of the authors' Random123). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/random.h"

/* Catches a wrong constant, round count or word order. */
static void test_known_answers(void **state) {
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } rows[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t out[4];
        random_philox(rows[i].counter, rows[i].key, out);
        assert_memory_equal(out, rows[i].out, sizeof out);
    }
}

/* Catches seeds, purposes or indices that share numbers, and a unit value outside [0, 1) or off balance. */
static void test_streams(void **state) {
    (void)state;
    const uint64_t base = random_u64(1, RANDOM_TEST, 0);
    assert_true(base != random_u64(2, RANDOM_TEST, 0));
    assert_true(base != random_u64(1u | 1ull << 40, RANDOM_TEST, 0));
    assert_true(base != random_u64(1, RANDOM_INIT, 0));
    assert_true(base != random_u64(1, RANDOM_TEST, 1));
    assert_true(base != random_u64(1, RANDOM_TEST, 1ull << 32));
    assert_true(base == random_u64(1, RANDOM_TEST, 0));
    double sum = 0;
    for (uint64_t i = 0; i < 100000; i++) {
        const double u = random_unit(1, RANDOM_TEST, i);
        assert_true(u >= 0 && u < 1);
        sum += u;
    }
    assert_true(sum > 49500 && sum < 50500); /* 50,000 and more than five standard deviations */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known_answers), cmocka_unit_test(test_streams)};
    return cmocka_run_group_tests_name("random", tests, NULL, NULL);
}
