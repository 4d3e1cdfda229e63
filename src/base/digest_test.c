/* digest_test.c: SHA-256 against the examples of FIPS 180-4. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/file.h"

static const char of_empty[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
static const char of_abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
static const char of_million[] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"; /* of 'a' */

static void assert_digest(const digest *d, const char *expected) {
    uint8_t bytes[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];
    assert_int_equal(digest_result(d, bytes, NULL), CRIA_OK);
    digest_hex(bytes, hex);
    assert_string_equal(hex, expected);
}

/* Catches a result that ends the stream, or depends on how the bytes were cut. */
static void test_streaming(void **state) {
    (void)state;
    digest *d;
    assert_int_equal(digest_create(&d, NULL), CRIA_OK);
    assert_digest(d, of_empty);
    digest_add(d, "a", 1);
    digest_add(d, NULL, 0);
    digest_add(d, "bc", 2);
    assert_digest(d, of_abc);
    assert_digest(d, of_abc);
    digest_destroy(&d);
    digest_destroy(&d);
    assert_null(d);
}

/* Catches a file read in blocks that are lost or doubled. */
static void test_file(void **state) {
    (void)state;
    char path[] = "/tmp/cria-digest-test-XXXXXX";
    uint8_t bytes[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES], *text = alloc_array(1000000, 1);
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    memset(text, 'a', 1000000);
    assert_int_equal(file_write_atomic(path, text, 1000000, NULL), CRIA_OK);
    assert_int_equal(digest_file(path, bytes, NULL), CRIA_OK);
    digest_hex(bytes, hex);
    assert_string_equal(hex, of_million);
    for (uint64_t i = 1; i <= 2; i++) {
        alloc_fail_at(i);
        assert_int_equal(digest_file(path, bytes, NULL), CRIA_NOMEM);
    }
    alloc_fail_at(0);
    unlink(path);
    assert_int_equal(digest_file(path, bytes, NULL), CRIA_NOTFOUND);
    alloc_free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_streaming), cmocka_unit_test(test_file)};
    return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}
