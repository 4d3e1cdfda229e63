/* buffer_test.c: buffers that grow to their stated maximum and remember the first failure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"

/* Catches lost bytes at the places where the buffer grows. */
static void test_growth(void **state) {
    (void)state;
    struct buffer b = buffer_make(1000);
    assert_string_equal(buffer_text(&b), "");
    for (int i = 0; i < 1000; i++) {
        buffer_append_char(&b, (char)('a' + i % 26));
        assert_int_equal(b.data[b.n_bytes], '\0');
    }
    for (int i = 0; i < 1000; i++) assert_int_equal(b.data[i], 'a' + i % 26);
    assert_int_equal(buffer_status(&b, "x", NULL), CRIA_OK);
    buffer_cut(&b, 3);
    buffer_append_format(&b, "%d-%s", 12, "z");
    assert_string_equal(buffer_text(&b), "abc12-z");
    buffer_free(&b);
    buffer_free(&b);
}

/* Catches a maximum that is not held, or a part that is written although the whole does not fit. */
static void test_maximum(void **state) {
    (void)state;
    struct cria_error err;
    struct buffer b = buffer_make(5);
    buffer_append_text(&b, "abc");
    buffer_append_text(&b, "def");
    assert_string_equal(buffer_text(&b), "abc");
    buffer_append_text(&b, "d");
    assert_string_equal(buffer_text(&b), "abc"); /* what follows a gap would be wrong */
    assert_int_equal(buffer_status(&b, "the note", &err), CRIA_LIMIT);
    assert_string_equal(err.text, "the note is longer than 5 bytes");
    buffer_free(&b);
    buffer_append_format(&b, "%05d", 7);
    buffer_append(&b, NULL, 0);
    assert_string_equal(buffer_text(&b), "00007");
    buffer_append(&b, "x", SIZE_MAX);
    assert_int_equal(buffer_status(&b, "x", NULL), CRIA_LIMIT);
    buffer_free(&b);
}

/* Catches a growth that never ends where no capacity is large enough. */
static void test_no_capacity(void **state) {
    (void)state;
    struct buffer b = buffer_make(SIZE_MAX);
    buffer_append_text(&b, "abc");
    buffer_append(&b, "x", SIZE_MAX - 10);
    assert_int_equal(buffer_status(&b, "x", NULL), CRIA_NOMEM);
    assert_string_equal(buffer_text(&b), "abc");
    buffer_free(&b);
}

/* Catches a failed growth that loses the bytes or is forgotten. */
static void test_no_memory(void **state) {
    (void)state;
    struct buffer b = buffer_make(1000);
    buffer_append_text(&b, "abc");
    alloc_fail_at(1);
    char big[100];
    memset(big, 'x', sizeof big);
    buffer_append(&b, big, sizeof big);
    alloc_fail_at(0);
    buffer_append_text(&b, "d");
    assert_string_equal(buffer_text(&b), "abc");
    assert_int_equal(buffer_status(&b, "x", NULL), CRIA_NOMEM);
    buffer_free(&b);
}

/* Catches a take that leaves the buffer owning what it gave away. */
static void test_take(void **state) {
    (void)state;
    struct buffer b = buffer_make(10);
    buffer_append_text(&b, "abc");
    char *taken = buffer_take(&b), *empty = buffer_take(&b);
    assert_string_equal(taken, "abc");
    assert_string_equal(empty, "");
    assert_int_equal(b.n_bytes, 0);
    alloc_free(taken);
    alloc_free(empty);
    buffer_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_growth), cmocka_unit_test(test_maximum),
                                       cmocka_unit_test(test_no_capacity), cmocka_unit_test(test_no_memory),
                                       cmocka_unit_test(test_take)};
    return cmocka_run_group_tests_name("buffer", tests, NULL, NULL);
}
