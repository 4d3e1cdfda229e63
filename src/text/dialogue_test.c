/* dialogue_test.c: dialogues are kept as they were given, and rendered with what the tokenizer and the calendar add. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "text/dialogue.h"

static dialogue *from_json(const char *json) {
    struct cria_error err = {0};
    dialogue *d = NULL;
    if (dialogue_from_json(&d, json, strlen(json), &err) != CRIA_OK) fail_msg("%s: %s", json, err.text);
    return d;
}

static void expect_json(const dialogue *d, const char *json) {
    struct buffer b = buffer_make(1 << 16);
    assert_int_equal(dialogue_to_json(d, &b, NULL), CRIA_OK);
    assert_string_equal(buffer_text(&b), json);
    buffer_free(&b);
}

/* Catches a field, a digit or an order of keys that a round trip changes. */
static void test_kept_as_given(void **state) {
    (void)state;
    static const char json[] =
        "{\"messages\": [{\"role\": \"user\", \"content\": \" a\\u0000\\n\\u00e9 \", \"x\": [1.0, 1e5, "
        "12345678901234567890123]}, "
        "{\"content\": null, \"role\": \"assistant\", \"tool_calls\": [{\"b\": 1, \"a\": {}}]}, "
        "{\"role\": \"tool\", \"content\": [{\"type\": \"text\", \"text\": \"t\"}]}, {\"role\": \"ipython\", "
        "\"content\": {\"p\": 1}}, "
        "{\"role\": \"r\"}], \"tools\": [ {\"z\": -0.0} ], \"now\": \"2024-01-01\", \"k\\\"\": true}";
    dialogue *d = from_json(json);
    expect_json(d, json);
    assert_int_equal(dialogue_messages(d), 5);
    assert_string_equal(dialogue_role(d, 0), "user");
    assert_string_equal(dialogue_role(d, 3), "ipython");
    size_t n;
    assert_memory_equal(dialogue_content(d, 0, &n), " a\0\n\xc3\xa9 ", 7);
    assert_int_equal(n, 7);
    for (size_t i = 1; i < 5; i++) {
        assert_string_equal(dialogue_content(d, i, &n), "");
        assert_int_equal(n, 0);
    }
    dialogue_destroy(&d);
    assert_null(d);
    dialogue_destroy(&d);
}

/* Catches adding and cutting that lose or keep a message too many. */
static void test_add_and_cut(void **state) {
    (void)state;
    dialogue *d = NULL;
    struct cria_error err = {0};
    assert_int_equal(dialogue_create(&d, &err), CRIA_OK);
    expect_json(d, "{\"messages\": []}");
    for (int i = 0; i < 20; i++)
        assert_int_equal(dialogue_add(d, i % 2 ? "assistant" : "user", " \"x\"\n", 5, &err), CRIA_OK);
    assert_int_equal(dialogue_messages(d), 20);
    dialogue_cut(d, 30);
    assert_int_equal(dialogue_messages(d), 20);
    dialogue_cut(d, 1);
    assert_int_equal(dialogue_messages(d), 1);
    assert_string_equal(dialogue_content(d, 0, NULL), " \"x\"\n");
    struct buffer b = buffer_make(1 << 16);
    assert_int_equal(dialogue_to_json(d, &b, NULL), CRIA_OK);
    dialogue *again = from_json(buffer_text(&b));
    expect_json(again, buffer_text(&b));
    assert_string_equal(dialogue_content(again, 0, NULL), " \"x\"\n");
    assert_int_equal(dialogue_add(d, "user", "\xff", 1, &err), CRIA_FORMAT);
    assert_int_equal(dialogue_add(d, "", "x", 1, &err), CRIA_FORMAT);
    assert_int_equal(dialogue_messages(d), 1);
    buffer_free(&b);
    dialogue_destroy(&again);
    dialogue_destroy(&d);
}

/* Catches a broken dialogue that is taken, or refused without saying where. */
static void test_refused(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"", "dialogue"},
        {"5", "messages"},
        {"{}", "messages"},
        {"{\"messages\": {}}", "messages"},
        {"{\"messages\": [5]}", "message 0"},
        {"[{\"role\": \"user\", \"content\": \"a\"}, {\"content\": \"a\"}]", "message 1: role"},
        {"[{\"role\": 5, \"content\": \"a\"}]", "message 0: role"},
        {"[{\"role\": \"\", \"content\": \"a\"}]", "message 0: role"},
        {"[{\"role\": \"a\\u0000b\", \"content\": \"a\"}]", "message 0: role"},
        {"[{\"role\": \"user\", \"content\": 5}]", "message 0: content"},
        {"[{\"role\": \"user\", \"content\": true}]", "message 0: content"},
        {"[{\"role\": \"user\", \"role\": \"user\"}]", "role"},
        {"[{\"role\": \"user\", \"content\": \"a\", \"content\": \"b\"}]", "content"},
        {"{\"messages\": [], \"messages\": []}", "messages"},
        {"{\"messages\": [], \"a\": {\"x\": 1, \"x\": 2}}", "x"},
        {"[] x", "dialogue"},
        {"[{\"role\": \"user\", \"content\": \"a\"}", "dialogue"},
        {"{\"messages\": [], \"a\": }", "dialogue"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct cria_error err = {0};
        dialogue *d = NULL;
        if (dialogue_from_json(&d, rows[i][0], strlen(rows[i][0]), &err) == CRIA_OK)
            fail_msg("%s: should be refused", rows[i][0]);
        assert_null(d);
        if (!strstr(err.text, rows[i][1])) fail_msg("%s: found the error %s", rows[i][0], err.text);
    }
}

static struct prompt_text render(const char *source, const char *json, const tokenizer *t) {
    struct cria_error err = {0};
    struct prompt_text p = {0};
    template *tmpl = NULL;
    dialogue *d = from_json(json);
    assert_int_equal(template_compile(&tmpl, source, strlen(source), NULL), CRIA_OK);
    if (dialogue_render(d, tmpl, t, &p, &err) != CRIA_OK) fail_msg("%s: %s", source, err.text);
    template_destroy(&tmpl);
    dialogue_destroy(&d);
    return p;
}

static void expect(const char *source, const char *json, const tokenizer *t, const char *text) {
    struct prompt_text p = render(source, json, t);
    assert_string_equal(p.text, text);
    prompt_text_free(&p);
}

#define TEXT(t) \
    { (t), sizeof(t) - 1 }
static const struct text_span tokens[] = {TEXT("a"),   TEXT("b"), TEXT("<bos>"), TEXT("<eos>"),
                                          TEXT("<x>"), TEXT("<"), TEXT(">"),     TEXT("x")};
static const int32_t types[] = {1, 1, 3, 3, 3, 1, 1, 1};

static tokenizer *make_tokenizer(int add_bos) {
    struct cria_error err = {0};
    tokenizer *t = NULL;
    const struct tokenizer_vocab v = {.model = "gpt2",
                                      .pre = "gpt-2",
                                      .tokens = tokens,
                                      .n_tokens = 8,
                                      .types = types,
                                      .bos_id = 2,
                                      .eos_id = 3,
                                      .eot_id = -1,
                                      .eom_id = -1,
                                      .unknown_id = -1,
                                      .pad_id = -1,
                                      .add_bos = add_bos,
                                      .add_space_prefix = -1};
    if (tokenizer_from_vocab(&t, &v, &err) != CRIA_OK) fail_msg("%s", err.text);
    return t;
}

/* Catches defaults that are missing, or win over what the dialogue says. */
static void test_defaults(void **state) {
    (void)state;
    tokenizer *t = make_tokenizer(1);
    static const char source[] =
        "{{ bos_token }}|{{ eos_token }}|{{ add_generation_prompt }}|{{ tools is none }}|{{ messages|length }}";
    expect(source, "[]", t, "<bos>|<eos>|True|True|0");
    expect(source, "[]", NULL, "||True|True|0");
    expect(source,
           "{\"messages\": [], \"bos_token\": \"B\", \"eos_token\": null, \"add_generation_prompt\": false, \"tools\": "
           "[]}",
           t, "B|None|False|False|0");
    expect("{{ strftime_now('%d %b %Y') }}{{ now is defined }}", "{\"messages\": [], \"now\": \"2024-07-26\"}", NULL,
           "26 Jul 2024False");
    char today[32];
    const time_t now = time(NULL);
    struct tm day;
    assert_non_null(localtime_r(&now, &day));
    strftime(today, sizeof today, "%Y-%m-%d", &day);
    expect("{{ strftime_now('%Y-%m-%d') }}", "[]", NULL, today);
    expect("{{ x }}{{ y[0].z }}{{ q is defined }}", "{\"messages\": [], \"x\": 1.50, \"y\": [{\"z\": \"w\"}]}", NULL,
           "1.5wFalse");
    tokenizer_destroy(&t);
}

static void expect_ids(const char *source, const char *json, int add_bos, const char *wanted) {
    struct cria_error err = {0};
    struct token_list list = {0};
    struct buffer b = buffer_make(4096);
    tokenizer *t = make_tokenizer(add_bos);
    template *tmpl = NULL;
    dialogue *d = from_json(json);
    assert_int_equal(template_compile(&tmpl, source, strlen(source), NULL), CRIA_OK);
    if (dialogue_encode(d, tmpl, t, &list, &err) != CRIA_OK) fail_msg("%s: %s", source, err.text);
    for (size_t i = 0; i < list.n; i++) buffer_append_format(&b, "%s%d", i ? " " : "", list.ids[i]);
    assert_string_equal(buffer_text(&b), wanted);
    buffer_free(&b);
    token_list_free(&list);
    template_destroy(&tmpl);
    dialogue_destroy(&d);
    tokenizer_destroy(&t);
}

/* Catches two beginnings of text, or none; and a user's text that becomes a special token. */
static void test_encode(void **state) {
    (void)state;
    static const char say_a[] = "[{\"role\": \"user\", \"content\": \"a\"}]";
    expect_ids("{{ messages[0].content }}", say_a, 1, "2 0");
    expect_ids("{{ messages[0].content }}", say_a, 0, "0");
    expect_ids("{{ bos_token }}{{ messages[0].content }}", say_a, 1, "2 0");
    expect_ids("{{ bos_token }}{{ messages[0].content }}", say_a, 0, "2 0");
    expect_ids("<bos>{{ bos_token }}{{ messages[0].content }}{{ bos_token }}", say_a, 1, "2 0 2");
    expect_ids("", "[]", 1, "2");
    expect_ids("<x>{{ messages[0].content }}<x>", "[{\"role\": \"user\", \"content\": \"<x>\"}]", 0, "4 5 7 6 4");
    expect_ids("<{{ messages[0].content }}><{{ messages[0].role }}>", "[{\"role\": \"x\", \"content\": \"x\"}]", 0,
               "5 7 6 5 7 6");
}

/* Catches a leak or a crash when the n-th allocation fails. */
static void test_no_memory(void **state) {
    (void)state;
    static const char json[] = "{\"messages\": [{\"role\": \"user\", \"content\": \"a\\n\"}], \"k\": [1]}";
    tokenizer *t = make_tokenizer(1);
    for (uint64_t n = 1;; n++) {
        dialogue *d = NULL;
        template *tmpl = NULL;
        struct token_list list = {0};
        struct buffer b = buffer_make(4096);
        alloc_fail_at(n);
        cria_status status = dialogue_from_json(&d, json, sizeof json - 1, NULL);
        if (status == CRIA_OK) status = dialogue_add(d, "user", "b", 1, NULL);
        if (status == CRIA_OK) status = dialogue_to_json(d, &b, NULL);
        if (status == CRIA_OK) status = template_compile(&tmpl, "{{ messages[0].role }}", 22, NULL);
        if (status == CRIA_OK) status = dialogue_encode(d, tmpl, t, &list, NULL);
        alloc_fail_at(0);
        buffer_free(&b);
        token_list_free(&list);
        template_destroy(&tmpl);
        dialogue_destroy(&d);
        if (status == CRIA_OK) break;
        assert_int_equal(status, CRIA_NOMEM);
        assert_true(n < 1000);
    }
    tokenizer_destroy(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept_as_given), cmocka_unit_test(test_add_and_cut), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_defaults),      cmocka_unit_test(test_encode),      cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
