/* template_cases_test.c: every small template of cases.json against jinja2 (see README.md).
 *
 * Catches any feature of the language that prints, compares, scopes, trims or fails otherwise than in Python. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "kit/rendering.h"

#define MAX_FILE_BYTES ((size_t)4 << 20)

struct one_case {
    char *source;
    size_t n_source;
    const char *variables; /* borrowed from the file */
    size_t n_variables;
    struct rendering expected;
};

/* Skips a value and gives its text. */
static cria_status take_raw(json_reader *r, const char **ret, size_t *ret_n) {
    json_peek(r); /* moves to the value */
    const size_t from = r->at;
    const cria_status status = json_skip(r, NULL);
    *ret = r->text + from;
    *ret_n = r->at - from;
    return status;
}

static cria_status read_case(json_reader *r, struct one_case *c) {
    cria_status status;
    TRY(json_begin_object(r, NULL));
    for (;;) {
        struct json_text key, t;
        bool more;
        TRY(json_next_key(r, &key, &more, NULL));
        if (!more) break;
        if (json_text_is(key, "template")) {
            TRY(json_read_string(r, &t, NULL));
            c->source = alloc_text(t.bytes, t.n);
            c->n_source = t.n;
        } else if (json_text_is(key, "variables")) {
            TRY(take_raw(r, &c->variables, &c->n_variables));
        } else if (json_text_is(key, "text") || json_text_is(key, "error")) {
            TRY(rendering_read(r, json_text_is(key, "error"), &c->expected, NULL));
        } else {
            TRY(json_skip(r, NULL));
        }
    }
out:
    return status;
}

static void run_cases(json_reader *r, const char *data, size_t n_data, int *n_cases, int *n_wrong) {
    bool more;
    assert_int_equal(json_begin_array(r, NULL), CRIA_OK);
    for (;;) {
        struct one_case c = {.variables = data, .n_variables = n_data};
        assert_int_equal(json_next_element(r, &more, NULL), CRIA_OK);
        if (!more) return;
        assert_int_equal(read_case(r, &c), CRIA_OK);
        assert_non_null(c.source);
        (*n_cases)++;
        if (!rendering_holds(&c.expected, c.source, c.source, c.n_source, c.variables, c.n_variables)) (*n_wrong)++;
        alloc_free(c.source);
        rendering_free(&c.expected);
    }
}

static void test_cases(void **state) {
    (void)state;
    char *text;
    const char *data = NULL;
    size_t n, n_data = 0;
    int n_cases = 0, n_wrong = 0;
    struct cria_error err = {0};
    json_reader r;
    if (file_read(CRIA_SOURCE_DIR "/tests/template/cases.json", MAX_FILE_BYTES, &text, &n, &err) != CRIA_OK)
        fail_msg("%s", err.text);
    json_reader_init(&r, text, n);
    assert_int_equal(json_begin_object(&r, NULL), CRIA_OK);
    for (;;) {
        struct json_text key;
        bool more;
        assert_int_equal(json_next_key(&r, &key, &more, NULL), CRIA_OK);
        if (!more) break;
        if (json_text_is(key, "data")) assert_int_equal(take_raw(&r, &data, &n_data), CRIA_OK);
        else run_cases(&r, data, n_data, &n_cases, &n_wrong);
    }
    json_reader_deinit(&r);
    alloc_free(text);
    if (n_wrong) fail_msg("%d of %d cases differ from jinja2", n_wrong, n_cases);
    assert_true(n_cases > 400);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
