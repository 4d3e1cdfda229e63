/* sorter_test.c: external sorting. */
#include "data/sorter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

static int compare(const void *a, const void *b) { return memcmp(a, b, 16); }

/* Catches: a record lost or out of place within a run, between runs, at a run's end; a second walk unlike the first. */
static void records_come_sorted(void **state) {
    (void)state;
    static const int sizes[] = {0, 1, 24, 25, 1000, 65536, 65537, 400000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const size_t n = (size_t)sizes[s];
        uint8_t *all = malloc(n * 16 + 1);
        struct cria_error err;
        sorter *sort;
        const uint8_t *record;
        bool more;
        assert_int_equal(sorter_create(&sort, "/tmp", 16, 1, &err), CRIA_OK);
        for (size_t i = 0; i < n; i++) {
            sorter_put(all + i * 16, random_u64(3, RANDOM_TEST, i) % (s % 2 ? UINT64_MAX : 1000));
            sorter_put(all + i * 16 + 8, i);
            assert_int_equal(sorter_add(sort, all + i * 16, &err), CRIA_OK);
        }
        qsort(all, n, 16, compare);
        for (int walk = 0; walk < 2; walk++) {
            assert_int_equal(sorter_rewind(sort, &err), CRIA_OK);
            for (size_t i = 0; i < n; i++) {
                assert_int_equal(sorter_next(sort, &record, &more, &err), CRIA_OK);
                assert_true(more);
                assert_memory_equal(record, all + i * 16, 16);
            }
            assert_int_equal(sorter_next(sort, &record, &more, &err), CRIA_OK);
            assert_false(more);
        }
        sorter_destroy(&sort);
        free(all);
    }
}

/* Catches: numbers that do not compare as bytes. */
static void numbers_compare_as_bytes(void **state) {
    (void)state;
    uint8_t a[8], b[8];
    for (uint64_t i = 0; i < 1000; i++) {
        const uint64_t x = random_u64(1, RANDOM_TEST, i) >> i % 64, y = random_u64(2, RANDOM_TEST, i) >> i % 61;
        sorter_put(a, x);
        sorter_put(b, y);
        assert_true(sorter_get(a) == x);
        assert_int_equal(memcmp(a, b, 8) < 0, x < y);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(records_come_sorted),
                                       cmocka_unit_test(numbers_compare_as_bytes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
