/* error_test.c: error records: what they say and what they never let through. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/error.h"
#include "base/utf8.h"

/* Catches terminal control sequences, line breaks and malformed UTF-8 of a file that reach a message. */
static void test_escaping(void **state) {
    (void)state;
    struct cria_error err;
    const cria_status status = ERROR_SET(&err, CRIA_IO, "%s", "a\n\033[31m\x7f\xff \xe2\x82\xac");
    assert_int_equal(status, CRIA_IO);
    assert_int_equal(err.status, CRIA_IO);
    assert_string_equal(err.text, "a\\x0a\\x1b[31m\\x7f\\xff \xe2\x82\xac");
    error_prefix(&err, "%s", "f\r");
    assert_string_equal(err.text, "f\\x0d: a\\x0a\\x1b[31m\\x7f\\xff \xe2\x82\xac");
    assert_string_equal(strrchr(err.source_file, '/'), "/error_test.c");
    assert_true(err.source_line > 0);
}

/* Catches a text that runs over its room or is cut inside of a character. */
static void test_cutting(void **state) {
    (void)state;
    struct cria_error err;
    char text[4000];
    for (size_t shift = 0; shift < 3; shift++) {
        memset(text, 'x', shift);
        for (size_t i = shift; i + 3 < sizeof text; i += 3) memcpy(text + i, "\xe2\x82\xac", 4);
        ERROR_SET(&err, CRIA_FORMAT, "%s", text);
        /* vsnprintf may cut inside of a character; its first bytes are then shown as \xNN, never raw. */
        assert_true(strlen(err.text) < sizeof err.text);
        assert_true(utf8_is_valid(err.text, strlen(err.text)));
        for (int i = 0; i < 20; i++) error_prefix(&err, "%s", "a prefix");
        assert_true(utf8_is_valid(err.text, strlen(err.text)));
        assert_int_equal(strncmp(err.text, "a prefix: a prefix: ", 20), 0);
    }
}

/* Catches a crash without an error record, and codes without a name. */
static void test_codes(void **state) {
    (void)state;
    assert_int_equal(ERROR_SET(NULL, CRIA_RANGE, "x"), CRIA_RANGE);
    error_prefix(NULL, "x");
    assert_string_equal(cria_status_name(CRIA_OK), "CRIA_OK");
    assert_string_equal(cria_status_name(CRIA_INTERNAL), "CRIA_INTERNAL");
    for (int i = 0; i < CRIA_STATUS_COUNT; i++) assert_true(strlen(cria_status_text((cria_status)i)) > 3);
    assert_string_equal(cria_status_name((cria_status)-1), "CRIA_UNKNOWN");
    assert_non_null(cria_status_text(CRIA_STATUS_COUNT));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_escaping), cmocka_unit_test(test_cutting),
                                       cmocka_unit_test(test_codes)};
    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
