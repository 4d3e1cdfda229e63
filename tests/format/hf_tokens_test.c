/* hf_tokens_test.c: begin and end of a text as tokenizer_config.json and special_tokens_map.json name them.
 *
 * The expected values are what transformers makes of the same directories (make_hf_tokens.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "format/format.h"
#include "text/dialogue.h"

struct tokens_case {
    const char *name, *file, *config, *map; /* map NULL: no special_tokens_map.json */
    int64_t bos, eos;
    const char *ids, *prompt; /* of "a"; of a dialogue whose message is "a" */
};
#include "hf_tokens_cases.h"

#define TEMPLATE "[{{ bos_token }}|{{ messages[0].content }}|{{ eos_token }}]"
#define BEGIN "\"<|begin_of_text|>\""

static char folder[] = "/dev/shm/cria-hf-tokens-XXXXXX";

static int set_up(void **state) {
    (void)state;
    if (mkdtemp(folder)) return 0;
    snprintf(folder, sizeof folder, "/tmp/cria-hf-tokens-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static void path_of(const char *name, char out[160]) { snprintf(out, 160, "%s/%s", folder, name); }

static void clear_folder(void) {
    static const char *const names[] = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[160];
        path_of(names[i], path);
        unlink(path);
    }
}

static int tear_down(void **state) {
    (void)state;
    clear_folder();
    return rmdir(folder);
}

static void write_text(const char *name, const char *text) {
    char path[160];
    path_of(name, path);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}

/* A NULL text: no such file. */
static void write_files(const char *file, const char *config, const char *map) {
    char path[160];
    char from[512];
    clear_folder();
    snprintf(from, sizeof from, "%s/tests/format/hf_tokens/%s", CRIA_SOURCE_DIR, file);
    path_of("tokenizer.json", path);
    assert_int_equal(symlink(from, path), 0);
    if (config) write_text("tokenizer_config.json", config);
    if (map) write_text("special_tokens_map.json", map);
}

static cria_status open_both(model_files **m, tokenizer **t, struct cria_error *err) {
    const struct model_open_options options = {.only_text = true};
    const cria_status status = model_files_open(m, folder, &options, err);
    return status == CRIA_OK ? model_files_tokenizer(*m, t, err) : status;
}

static void open_right(const char *what, model_files **m, tokenizer **t) {
    struct cria_error err = {0};
    if (open_both(m, t, &err) != CRIA_OK) fail_msg("%s: %s", what, err.text);
}

static void expect_ids(const char *what, const tokenizer *t, const char *text, bool with_bos, const char *wanted) {
    struct cria_error err = {0};
    struct token_list list = {0};
    struct buffer got = buffer_make(4096);
    const struct tokenizer_options options = {.with_bos = with_bos};
    assert_int_equal(tokenizer_encode(t, text, strlen(text), &options, &list, NULL, &err), CRIA_OK);
    for (size_t i = 0; i < list.n; i++) buffer_append_format(&got, "%s%d", i ? " " : "", list.ids[i]);
    if (strcmp(buffer_text(&got), wanted) != 0) fail_msg("%s: ids %s, expected %s", what, buffer_text(&got), wanted);
    token_list_free(&list);
    buffer_free(&got);
}

static void expect_prompt(const char *what, const tokenizer *t, const char *wanted) {
    struct cria_error err = {0};
    dialogue *d = NULL;
    template *tmpl = NULL;
    struct prompt_text prompt = {0};
    assert_int_equal(dialogue_create(&d, &err), CRIA_OK);
    assert_int_equal(dialogue_add(d, "user", "a", 1, &err), CRIA_OK);
    assert_int_equal(template_compile(&tmpl, TEMPLATE, strlen(TEMPLATE), &err), CRIA_OK);
    assert_int_equal(dialogue_render(d, tmpl, t, &prompt, &err), CRIA_OK);
    if (strcmp(prompt.text, wanted) != 0) fail_msg("%s: prompt %s, expected %s", what, prompt.text, wanted);
    prompt_text_free(&prompt);
    template_destroy(&tmpl);
    dialogue_destroy(&d);
}

static bool stops_at(const tokenizer *t, int32_t id) {
    int32_t ids[ARCH_MAX_STOP_IDS];
    const int n = tokenizer_stop_ids(t, ids, ARCH_MAX_STOP_IDS);
    for (int i = 0; i < n; i++) {
        if (ids[i] == id) return true;
    }
    return false;
}

/* Catches texts that a template gets by guessing where the directory names them, and a beginning that is put in front
 * where transformers puts none, or the other way round. */
static void test_as_transformers(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct tokens_case *c = &cases[i];
        model_files *m = NULL;
        tokenizer *t = NULL;
        write_files(c->file, c->config, c->map);
        open_right(c->name, &m, &t);
        if (tokenizer_bos(t) != c->bos || tokenizer_eos(t) != c->eos)
            fail_msg("%s: bos %lld, eos %lld", c->name, (long long)tokenizer_bos(t), (long long)tokenizer_eos(t));
        expect_ids(c->name, t, "a", tokenizer_adds_bos(t), c->ids);
        expect_prompt(c->name, t, c->prompt);
        if (c->eos >= 0) assert_true(stops_at(t, (int32_t)c->eos));
        assert_true(stops_at(t, 257) && stops_at(t, 258)); /* of the family, whatever is named */
        tokenizer_destroy(&t);
        model_files_close(&m);
    }
}

/* Catches a directory that says nothing and no longer gets what the names in its vocabulary say. */
static void test_nothing_said(void **state) {
    (void)state;
    static const char *const configs[] = {NULL, "{}", "{\"add_bos_token\":null,\"add_eos_token\":null}"};
    for (size_t i = 0; i < sizeof configs / sizeof configs[0]; i++) {
        model_files *m = NULL;
        tokenizer *t = NULL;
        write_files("bos.json", configs[i], NULL);
        open_right("nothing said", &m, &t);
        assert_true(tokenizer_bos(t) == 256 && tokenizer_eos(t) == 257 && tokenizer_adds_bos(t));
        tokenizer_destroy(&t);
        model_files_close(&m);
    }
    model_files *m = NULL;
    tokenizer *t = NULL;
    write_files("bos.json", "{\"bos_token\":null}", NULL);
    open_right("null, but the tokenizer puts one in front", &m, &t);
    expect_ids("null, but the tokenizer puts one in front", t, "a", true, "256 64");
    tokenizer_destroy(&t);
    model_files_close(&m);
}

/* Catches content that can spell the end of a text because the vocabulary lists that token as an ordinary added one. */
static void test_named_is_special(void **state) {
    (void)state;
    model_files *m = NULL;
    tokenizer *t = NULL;
    write_files("plain.json", NULL, NULL);
    open_right("not named", &m, &t);
    expect_ids("not named", t, "<plain>", false, "260");
    assert_false(tokenizer_is_special(t, 260));
    tokenizer_destroy(&t);
    model_files_close(&m);
    write_files("plain.json", "{\"eos_token\":\"<plain>\"}", NULL);
    open_right("named", &m, &t);
    expect_ids("named", t, "<plain>", false, "27 79 75 64 72 77 29");
    assert_true(tokenizer_is_special(t, 260) && tokenizer_special_id(t, "<plain>", 7) == 260);
    tokenizer_destroy(&t);
    model_files_close(&m);
}

static void expect_refused(const char *config, const char *map, const char *word, const char *culprit) {
    model_files *m = NULL;
    tokenizer *t = NULL;
    struct cria_error err = {0};
    write_files("bos.json", config, map);
    const cria_status status = open_both(&m, &t, &err);
    if (status == CRIA_OK) fail_msg("%s, %s: expected an error about %s", config, map, word);
    if (status != CRIA_FORMAT || !strstr(err.text, word) || !strstr(err.text, culprit) || !strstr(err.text, folder))
        fail_msg("%s, %s: expected an error about %s of %s, got: %s", config, map, word, culprit, err.text);
    assert_null(t);
    model_files_close(&m);
}

/* Catches a contradiction or a broken file that is resolved in silence. */
static void test_refused(void **state) {
    (void)state;
    expect_refused("{\"eos_token\":\"<|zzz|>\"}", NULL, "eos_token is '<|zzz|>'", "");
    expect_refused("{\"bos_token\":\"a\"}", NULL, "bos_token is 'a'", ""); /* a token, but not one of its own */
    expect_refused("{\"bos_token\":\"<s>\"}", NULL, "puts '<|begin_of_text|>' in front", "");
    expect_refused("{\"bos_token\":\"<s>\",\"add_bos_token\":true}", NULL, "in front", "");
    expect_refused("{\"eos_token\":\"<s>\"}", "{\"eos_token\":\"<|eot_id|>\"}", "'<s>' in tokenizer_config.json",
                   "special_tokens_map.json");
    expect_refused("{\"bos_token\":" BEGIN "}", "{\"bos_token\":{\"content\":\"<s>\"}}", "bos_token is '<s>'",
                   "special_tokens_map.json");
    expect_refused("{}", "{\"eos_token\":", "line 1", "special_tokens_map.json");
    expect_refused("{\"eos_token\":2}", NULL, "\"eos_token\"", "tokenizer_config.json");
    expect_refused("{\"eos_token\":{\"lstrip\":true}}", NULL, "\"content\"", "tokenizer_config.json");
    expect_refused("{\"eos_token\":{\"content\":null}}", NULL, "\"eos_token\"", "tokenizer_config.json");
    expect_refused("{\"eos_token\":\"a\\u0000\"}", NULL, "U+0000", "tokenizer_config.json");
    expect_refused("{\"add_bos_token\":\"yes\"}", NULL, "\"add_bos_token\"", "tokenizer_config.json");
    for (int n = 256; n <= 257; n++) { /* the limit, and one above */
        char config[512];
        snprintf(config, sizeof config, "{\"eos_token\":\"%0*d\"}", n, 0);
        expect_refused(config, NULL, n == 256 ? "eos_token is '0" : "more than 256 bytes", "");
    }
}

/* Catches what is overruled or ignored and not said by `inspect`. */
static void test_notes(void **state) {
    (void)state;
    model_files *m = NULL;
    tokenizer *t = NULL;
    write_files("bos.json", "{\"add_bos_token\":false,\"add_eos_token\":true}", NULL);
    open_right("notes", &m, &t);
    assert_non_null(tokenizer_note(t, 0));
    assert_non_null(strstr(tokenizer_note(t, 0), "add_bos_token"));
    assert_non_null(model_files_note(m, 0));
    assert_non_null(strstr(model_files_note(m, 0), "add_eos_token"));
    tokenizer_destroy(&t);
    model_files_close(&m);
    write_files("bos.json", "{\"add_bos_token\":true,\"add_eos_token\":false}", NULL);
    open_right("no notes", &m, &t);
    assert_null(tokenizer_note(t, 0));
    assert_null(model_files_note(m, 0));
    tokenizer_destroy(&t);
    model_files_close(&m);
}

/* Catches a leak where memory ends at any allocation. */
static void test_no_memory(void **state) {
    (void)state;
    write_files("bos.json", "{\"bos_token\":" BEGIN ",\"add_bos_token\":false}", "{\"eos_token\":\"\\u003cs>\"}");
    for (uint64_t n = 1;; n++) {
        model_files *m = NULL;
        tokenizer *t = NULL;
        alloc_fail_at(n);
        const cria_status status = open_both(&m, &t, NULL);
        const uint64_t count = alloc_fail_at(0);
        if (status != CRIA_OK) assert_null(t);
        tokenizer_destroy(&t);
        model_files_close(&m);
        if (count < n) break;
        assert_int_equal(status, CRIA_NOMEM);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_transformers),
        cmocka_unit_test(test_nothing_said),
        cmocka_unit_test(test_named_is_special),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_notes),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
