/* templates_test.c: real chat templates against jinja2 as transformers uses it (see README.md).
 *
 * Catches what small cases miss: the language as authors of models write it, whole prompts to the byte. The templates
 * are fetched (tests/template/unpack.py); where they cannot be, the test fails. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/file.h"
#include "kit/rendering.h"

#define MAX_FILE_BYTES ((size_t)16 << 20)
#define MAX_DIALOGUES 64

struct dialogues {
    char *names[MAX_DIALOGUES];           /* owned */
    const char *variables[MAX_DIALOGUES]; /* borrowed */
    size_t n_variables[MAX_DIALOGUES];
    int n;
};

struct totals {
    int templates, working, renders, texts, wrong;
};

static void read_dialogues(json_reader *r, struct dialogues *d) {
    bool more;
    struct json_text key;
    assert_int_equal(json_begin_object(r, NULL), CRIA_OK);
    for (;;) {
        assert_int_equal(json_next_key(r, &key, &more, NULL), CRIA_OK);
        if (!more) return;
        assert_true(d->n < MAX_DIALOGUES);
        d->names[d->n] = alloc_text(key.bytes, key.n);
        json_peek(r); /* moves to the value */
        d->variables[d->n] = r->text + r->at;
        assert_int_equal(json_skip(r, NULL), CRIA_OK);
        d->n_variables[d->n] = (size_t)(r->text + r->at - d->variables[d->n]);
        d->n++;
    }
}

/* The dialogue that a key names. */
static int find_dialogue(const struct dialogues *d, struct json_text key) {
    for (int i = 0; i < d->n; i++)
        if (json_text_is(key, d->names[i])) return i;
    fail_msg("a result for an unknown dialogue");
    return -1;
}

static void run_results(json_reader *r, const struct dialogues *d, const char *file, const char *source, size_t n,
                        struct totals *totals) {
    bool more, any = false;
    struct json_text key;
    assert_int_equal(json_begin_object(r, NULL), CRIA_OK);
    for (;;) {
        struct rendering expected = {0};
        char what[512];
        assert_int_equal(json_next_key(r, &key, &more, NULL), CRIA_OK);
        if (!more) break;
        const int i = find_dialogue(d, key);
        assert_int_equal(json_begin_object(r, NULL), CRIA_OK);
        assert_int_equal(json_next_key(r, &key, &more, NULL), CRIA_OK);
        assert_int_equal(rendering_read(r, json_text_is(key, "error"), &expected, NULL), CRIA_OK);
        assert_int_equal(json_next_key(r, &key, &more, NULL), CRIA_OK);
        snprintf(what, sizeof what, "%s with the dialogue %s", file, d->names[i]);
        totals->renders++;
        totals->texts += expected.text != NULL;
        any = any || expected.text;
        if (!rendering_holds(&expected, what, source, n, d->variables[i], d->n_variables[i])) totals->wrong++;
        rendering_free(&expected);
    }
    totals->templates++;
    totals->working += any;
}

static void check_digest(const char *path, const char *expected) {
    uint8_t sum[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];
    assert_int_equal(digest_file(path, sum, NULL), CRIA_OK);
    digest_hex(sum, hex);
    assert_string_equal(hex, expected);
}

static void run_template(json_reader *r, const struct dialogues *d, struct totals *totals) {
    struct json_text key, t;
    bool more;
    char path[512], file[256] = "", *source = NULL;
    size_t n = 0;
    struct cria_error err = {0};
    assert_int_equal(json_begin_object(r, NULL), CRIA_OK);
    for (;;) {
        assert_int_equal(json_next_key(r, &key, &more, NULL), CRIA_OK);
        if (!more) break;
        if (json_text_is(key, "results")) {
            run_results(r, d, file, source, n, totals);
            continue;
        }
        const bool is_file = json_text_is(key, "file");
        assert_int_equal(json_read_string(r, &t, NULL), CRIA_OK);
        char word[256];
        snprintf(word, sizeof word, "%.*s", (int)t.n, t.bytes);
        if (is_file) {
            snprintf(file, sizeof file, "%s", word);
            snprintf(path, sizeof path, RENDERING_FOLDER "%s", word);
            if (file_read(path, MAX_FILE_BYTES, &source, &n, &err) != CRIA_OK) fail_msg("%s", err.text);
        } else {
            check_digest(path, word);
        }
    }
    alloc_free(source);
}

static void test_real_templates(void **state) {
    (void)state;
    struct dialogues d = {0};
    struct totals totals = {0};
    struct json_text key;
    struct cria_error err = {0};
    json_reader r;
    char *text;
    size_t n;
    bool more;
    if (!rendering_unpack(RENDERING_SCRIPT, RENDERING_FOLDER)) fail_msg("the templates cannot be fetched");
    if (file_read(RENDERING_FOLDER "real.json", MAX_FILE_BYTES, &text, &n, &err) != CRIA_OK) fail_msg("%s", err.text);
    json_reader_init(&r, text, n);
    assert_int_equal(json_begin_object(&r, NULL), CRIA_OK);
    assert_int_equal(json_next_key(&r, &key, &more, NULL), CRIA_OK);
    read_dialogues(&r, &d);
    assert_int_equal(json_next_key(&r, &key, &more, NULL), CRIA_OK);
    assert_int_equal(json_begin_array(&r, NULL), CRIA_OK);
    for (;;) {
        assert_int_equal(json_next_element(&r, &more, NULL), CRIA_OK);
        if (!more) break;
        run_template(&r, &d, &totals);
    }
    json_reader_deinit(&r);
    for (int i = 0; i < d.n; i++) alloc_free(d.names[i]);
    alloc_free(text);
    if (totals.wrong) fail_msg("%d of %d renders differ from jinja2", totals.wrong, totals.renders);
    assert_true(totals.working >= 60);
    assert_true(totals.texts > 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_real_templates)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
