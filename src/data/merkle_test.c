/* merkle_test.c: the hash tree: the root of nothing, and every path of every tree of up to 70 leaves. That the roots
 * are those of RFC 6962 is held by tests/data/test_data.py. */
#include "data/merkle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 70 };

static void make_leaves(uint8_t leaves[MOST][DIGEST_BYTES]) {
    for (int i = 0; i < MOST; i++) memset(leaves[i], i + 1, DIGEST_BYTES);
}

/* Catches: another root for no leaf than SHA-256 of nothing, as RFC 6962 says. */
static void empty_tree(void **state) {
    (void)state;
    struct merkle m = {.n_leaves = 0};
    uint8_t root[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];
    struct cria_error err;
    assert_int_equal(merkle_root(&m, root, &err), CRIA_OK);
    digest_hex(root, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* Catches: a path that does not lead to the root, or that leads there from another leaf, place or sibling. */
static void every_path_leads_to_the_root(void **state) {
    (void)state;
    uint8_t leaves[MOST][DIGEST_BYTES], root[DIGEST_BYTES];
    struct cria_error err;
    struct merkle m = {.n_leaves = 0};
    bool holds;
    make_leaves(leaves);
    for (uint64_t n = 1; n <= MOST; n++) {
        assert_int_equal(merkle_add(&m, leaves[n - 1], &err), CRIA_OK);
        assert_int_equal(merkle_root(&m, root, &err), CRIA_OK);
        for (uint64_t i = 0; i < n; i++) {
            struct merkle_path path;
            assert_int_equal(merkle_prove((const uint8_t(*)[DIGEST_BYTES])leaves, n, i, &path, &err), CRIA_OK);
            assert_int_equal(merkle_verify(&path, leaves[i], root, &holds, &err), CRIA_OK);
            assert_true(holds);
            assert_int_equal(merkle_verify(&path, leaves[(i + 1) % MOST], root, &holds, &err), CRIA_OK);
            assert_false(holds);
            if (path.n == 0) continue;
            path.siblings[path.n / 2][3] ^= 1;
            assert_int_equal(merkle_verify(&path, leaves[i], root, &holds, &err), CRIA_OK);
            assert_false(holds);
            path.siblings[path.n / 2][3] ^= 1;
            path.n--;
            assert_int_equal(merkle_verify(&path, leaves[i], root, &holds, &err), CRIA_OK);
            assert_false(holds);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(empty_tree), cmocka_unit_test(every_path_leads_to_the_root)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
