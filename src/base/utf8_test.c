/* utf8_test.c: every code point, and every kind of malformed sequence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/utf8.h"

/* Catches any code point that does not come back, and surrogates or too large ones that get bytes. */
static void test_every_code(void **state) {
    (void)state;
    for (uint32_t code = 0; code < 0x120000; code++) {
        char bytes[4];
        uint32_t back = 0xdeadbeef;
        const int n = utf8_encode(code, bytes);
        const int is_scalar = code < 0xd800 || (code > 0xdfff && code <= 0x10ffff);
        assert_int_equal(n > 0, is_scalar);
        if (n == 0) continue;
        assert_int_equal(utf8_decode(bytes, (size_t)n, &back), n);
        assert_int_equal(back, code);
        for (int cut = 0; cut < n; cut++) {
            assert_int_equal(utf8_sequence_bytes(bytes, (size_t)cut), 0);
            assert_int_equal(utf8_complete_bytes(bytes, (size_t)cut), 0);
        }
        assert_int_equal(utf8_complete_bytes(bytes, (size_t)n), n);
    }
}

/* Catches a decoder that is not the inverse of the encoder: of all 4-byte strings by class of byte, those accepted have
 * to encode back to the same bytes. */
static void test_every_class(void **state) {
    (void)state;
    static const unsigned char classes[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf,
                                            0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee,
                                            0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff};
    enum { N = sizeof classes };
    for (int i = 0; i < N * N * N * N; i++) {
        char bytes[4], back[4];
        uint32_t code;
        for (int j = 0, rest = i; j < 4; j++, rest /= N) bytes[j] = (char)classes[rest % N];
        const int n = utf8_decode(bytes, 4, &code);
        if (n == 0) continue;
        assert_int_equal(utf8_encode(code, back), n);
        assert_memory_equal(bytes, back, (size_t)n);
    }
}

/* Catches malformed text that passes, by name of the trick. */
static void test_malformed(void **state) {
    (void)state;
    static const char *const texts[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xe0\x80\x80",
        "\xe0\x9f\xbf",
        "\xf0\x80\x80\x80",
        "\xf0\x8f\xbf\xbf",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80",
        "\xff",
        "\xfe",
        "\xc3(",
        "\xe2\x82(",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        uint32_t code = 7;
        assert_int_equal(utf8_decode(texts[i], strlen(texts[i]), &code), 0);
        assert_int_equal(code, 7);
        assert_false(utf8_is_valid(texts[i], strlen(texts[i])));
    }
    assert_true(utf8_is_valid("a\0\xc3\xa9", 4));
}

/* Catches text held back that can never become whole, and whole text held back. */
static void test_complete(void **state) {
    (void)state;
    assert_int_equal(utf8_complete_bytes("ab", 2), 2);
    assert_int_equal(utf8_complete_bytes("ab\xe2\x82", 4), 2);
    assert_int_equal(utf8_complete_bytes("ab\xf0\x9f\x98", 5), 2);
    assert_int_equal(utf8_complete_bytes("ab\xf0\x9f\x98\x80", 6), 6);
    assert_int_equal(utf8_complete_bytes("ab\xff", 3), 3);   /* nothing will mend it */
    assert_int_equal(utf8_complete_bytes("\xe0\x80", 2), 2); /* overlong already */
    assert_int_equal(utf8_complete_bytes("\x80\x80\x80\x80", 4), 4);
    assert_int_equal(utf8_complete_bytes("", 0), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_code), cmocka_unit_test(test_every_class),
                                       cmocka_unit_test(test_malformed), cmocka_unit_test(test_complete)};
    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
