/* permute_test.c: the permutation behind the order of rows. */
#include "data/permute.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Catches: a number that comes twice or never, at sizes around powers of four and at one. */
static void every_number_comes_once(void **state) {
    (void)state;
    static const uint64_t sizes[] = {1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 1000, 4096, 4097, 70000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const uint64_t n = sizes[s];
        uint8_t *seen = calloc(n, 1);
        for (uint64_t i = 0; i < n; i++) {
            const uint64_t to = permute_index(n, 11, s, i);
            assert_true(to < n);
            assert_int_equal(seen[to]++, 0);
        }
        free(seen);
    }
}

/* Catches: the identity, a seed or a stream without effect, neighbours that stay neighbours. */
static void it_looks_shuffled(void **state) {
    (void)state;
    enum { N = 10000 };
    int same_seed = 0, same_stream = 0, fixed = 0, neighbours = 0;
    for (uint64_t i = 0; i + 1 < N; i++) {
        const uint64_t to = permute_index(N, 1, 1, i);
        fixed += to == i;
        same_seed += to == permute_index(N, 2, 1, i);
        same_stream += to == permute_index(N, 1, 2, i);
        neighbours += llabs((long long)to - (long long)permute_index(N, 1, 1, i + 1)) == 1;
    }
    assert_in_range(fixed, 0, 9); /* expected 1, 1, 1 and 2 of a random permutation */
    assert_in_range(same_seed, 0, 9);
    assert_in_range(same_stream, 0, 9);
    assert_in_range(neighbours, 0, 12);
}

/* Catches: a change of the function, which would change the order of every run that resumes. */
static void known_values(void **state) {
    (void)state;
    static const uint64_t wanted[8] = {920106, 911011, 72416, 456082, 169401, 793416, 445030, 37165};
    for (uint64_t i = 0; i < 8; i++) assert_int_equal(permute_index(1000003, 42, 7, i), wanted[i]);
    assert_true(permute_index(PERMUTE_MAX, 1, 2, 3) < PERMUTE_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_comes_once),
        cmocka_unit_test(it_looks_shuffled),
        cmocka_unit_test(known_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
