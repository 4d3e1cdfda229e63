/* conf_yaml_test.c: YAML files: what is read, what is refused, and options set from them. */
#include "conf/conf_yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf/conf.h"

static struct conf_yaml *parse(const char *text) {
    struct conf_yaml *y = NULL;
    struct cria_error error = {0};
    if (conf_yaml_parse(&y, "run.yaml", text, strlen(text), &error) != CRIA_OK) fail_msg("%s", error.text);
    return y;
}

/* Catches: wrong paths in nested lists and mappings, quoted and folded values, lost lines. */
static void test_paths(void **state) {
    (void)state;
    struct conf_yaml *y = parse(
        "a: 1\nlist:\n  - x: \"one two\"\n    y: [3, 4]\n  - x: five\n# note\nb_c:\n  d-e: 6\n"
        "empty: \"\"\nnone: []\nlast: true\n");
    static const struct {
        const char *path, *value;
        int line;
    } expected[] = {{"a", "1", 1},
                    {"list[0].x", "one two", 3},
                    {"list[0].y[0]", "3", 4},
                    {"list[0].y[1]", "4", 4},
                    {"list[1].x", "five", 5},
                    {"b_c.d-e", "6", 8},
                    {"empty", "", 9},
                    {"last", "true", 11}};
    assert_int_equal(y->n_items, sizeof expected / sizeof expected[0]);
    for (int i = 0; i < y->n_items; i++) {
        assert_string_equal(y->items[i].path, expected[i].path);
        assert_string_equal(y->items[i].value, expected[i].value);
        assert_int_equal(y->items[i].line, expected[i].line);
    }
    assert_string_equal(conf_yaml_get(y, "list[1].x"), "five");
    assert_null(conf_yaml_get(y, "list"));
    assert_int_equal(conf_yaml_count(y, "list"), 2);
    assert_int_equal(conf_yaml_count(y, "list[0].y"), 2);
    assert_int_equal(conf_yaml_count(y, "a"), 0);
    conf_yaml_destroy(&y);
    y = parse("");
    assert_int_equal(y->n_items, 0);
    conf_yaml_destroy(&y);
}

/* Catches: a file that is wrong and is taken, or refused without its line. */
static void test_refusals(void **state) {
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {{"a: 1\nb: &x 2\n", "line 2: anchors"},
                 {"a: &x {b: 1}\nc: *x\n", "line 1: anchors"},
                 {"a: *x\n", "line 1: aliases"},
                 {"a: 1\nb: 2\na: 3\n", "line 3: \"a\" is given twice"},
                 {"a: {b: 1}\na: 2\n", "line 2: \"a\" is given twice"},
                 {"a: 1\nb:\n", "\"b\" has no value"},
                 {"- 1\n- 2\n", "found a list"},
                 {"one word\n", "expected keys"},
                 {"a.b: 1\n", "a key is letters"},
                 {"{[1]: 2}\n", "a key is a word"},
                 {"a: 1\n---\nb: 2\n", "more than one document"},
                 {"a: [1, 2\n", "run.yaml, line"},
                 {"a: \"x\\0y\"\n", "NUL"},
                 {"a: [[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]\n", "nested more than 16"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct conf_yaml *y = NULL;
        struct cria_error error = {0};
        assert_int_not_equal(conf_yaml_parse(&y, "run.yaml", cases[i].text, strlen(cases[i].text), &error), CRIA_OK);
        assert_null(y);
        if (!strstr(error.text, cases[i].message)) fail_msg("\"%s\" is not in \"%s\"", cases[i].message, error.text);
    }
}

/* Catches: a file that overrides the command line, keys that are lost in silence, errors without file and line. */
static void test_options(void **state) {
    (void)state;
    struct conf c = {0};
    struct cria_error error = {0};
    const char *const argv[] = {"--threads", "3"};
    assert_int_equal(conf_parse(&c, CONF_GENERATE, 2, argv, &error), CRIA_OK);
    struct conf_yaml *y =
        parse("threads: 7\nmax_tokens: 9\nstop: [a, b]\njson: true\nspecial: false\nsources:\n  - x: 1\n");
    assert_int_equal(conf_set_yaml(&c, y, (const char *const[]){"sources", NULL}, &error), CRIA_OK);
    assert_int_equal(conf_int(&c, CONF_THREADS), 3);
    assert_int_equal(conf_int(&c, CONF_MAX_TOKENS), 9);
    assert_int_equal(conf_count(&c, CONF_STOP), 2);
    assert_true(conf_flag(&c, CONF_JSON));
    assert_false(conf_flag(&c, CONF_SPECIAL));
    conf_deinit(&c);
    conf_yaml_destroy(&y);
    static const struct {
        const char *text, *message;
    } cases[] = {{"seed: 1\nthreds: 2\n", "run.yaml, line 2: unknown key \"threds\"; did you mean \"threads\"?"},
                 {"threads: many\n", "run.yaml, line 1: --threads"},
                 {"json: 1\n", "expected true or false"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(conf_parse(&c, CONF_GENERATE, 0, NULL, &error), CRIA_OK);
        y = parse(cases[i].text);
        assert_int_equal(conf_set_yaml(&c, y, NULL, &error), CRIA_USAGE);
        if (!strstr(error.text, cases[i].message)) fail_msg("\"%s\" is not in \"%s\"", cases[i].message, error.text);
        conf_deinit(&c);
        conf_yaml_destroy(&y);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_paths), cmocka_unit_test(test_refusals),
                                       cmocka_unit_test(test_options)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
