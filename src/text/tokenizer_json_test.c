/* tokenizer_json_test.c: what tokenizer.json may hold and what is refused, each by its name.
 *
 * Every row changes one place of a small file that is right, so that a refusal can only come from that place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/random.h"
#include "text/tokenizer.h"

#define SEED 11

static const char good[] =
    "{\"added_tokens\": [{\"id\": 5, \"content\": \"<s>\", \"special\": true}],"
    " \"normalizer\": null,"
    " \"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": true},"
    " \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": \"<s>\", "
    "\"type_id\": 0}},"
    " {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}]},"
    " \"decoder\": {\"type\": \"ByteLevel\"},"
    " \"model\": {\"type\": \"BPE\", \"dropout\": null, \"vocab\": {\"a\": 0, \"b\": 1, \"ab\": 2, \"c\": 3, \"abc\": "
    "4},"
    " \"merges\": [\"a b\", \"ab c\"]}}";

/* good with the first `from` replaced. */
static struct buffer changed(const char *from, const char *to) {
    const char *at = strstr(good, from);
    struct buffer b = buffer_make((size_t)64 << 20);
    if (!at) fail_msg("no '%s' in the file", from);
    buffer_append(&b, good, (size_t)(at - good));
    buffer_append_text(&b, to);
    buffer_append_text(&b, at + strlen(from));
    return b;
}

static cria_status open_text(const struct buffer *b, struct cria_error *err) {
    tokenizer *t = NULL;
    cria_status status = tokenizer_from_json(&t, b->data, b->n_bytes, err);
    assert_true((status == CRIA_OK) == (t != NULL));
    tokenizer_destroy(&t);
    return status;
}

struct row {
    const char *from, *to;
    cria_status status;
    const char *named; /* in the message */
};

static void run_rows(const struct row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct buffer b = changed(rows[i].from, rows[i].to);
        struct cria_error err = {0};
        cria_status status = open_text(&b, &err);
        if (status != rows[i].status) fail_msg("%s: %s: %s", rows[i].to, cria_status_name(status), err.text);
        if (rows[i].named && !strstr(err.text, rows[i].named)) fail_msg("%s: %s", rows[i].to, err.text);
        buffer_free(&b);
    }
}

/* A file whose vocabulary contradicts itself would give other ids than the reference: refused. */
static void test_broken_vocabularies(void **state) {
    (void)state;
    static const struct row rows[] = {
        {"null", "null", CRIA_OK, NULL},
        {"\"c\": 3", "\"c\": 0", CRIA_FORMAT, "two tokens have the id 0"},
        {"\"c\": 3", "\"a\": 3", CRIA_FORMAT, "twice"},
        {"\"c\": 3", "\"\\u0061\": 3", CRIA_FORMAT, "twice"},
        {"\"id\": 5, \"content\": \"<s>\"", "\"id\": 4, \"content\": \"<s>\"", CRIA_FORMAT, "two tokens have the id 4"},
        {"\"id\": 5, \"content\": \"<s>\"", "\"id\": 5, \"content\": \"ab\"", CRIA_FORMAT, "two ids"},
        {"[{\"id\": 5", "[{\"id\": 6, \"content\": \"<s>\"}, {\"id\": 5", CRIA_FORMAT, NULL},
        {"\"id\": 5", "\"id\": -1", CRIA_RANGE, NULL},
        {"\"id\": 5", "\"id\": 1e3", CRIA_FORMAT, NULL},
        {"\"id\": 5", "\"id\": 99999999999", CRIA_RANGE, NULL},
        {"\"id\": 5, ", "", CRIA_FORMAT, "added token"},
        {"\"c\": 3", "\"c\": 3.5", CRIA_FORMAT, NULL},
        {"\"c\": 3", "\"\": 3", CRIA_FORMAT, "merge"},
        {"[\"a b\", \"ab c\"]", "[]", CRIA_FORMAT, "no merges"},
        {"\"ab\": 2, \"c\": 3, \"abc\": 4}, \"merges\": [\"a b\", \"ab c\"]", "\"c\": 3}, \"merges\": []", CRIA_OK,
         NULL},
        {"[\"a b\", \"ab c\"]", "null", CRIA_FORMAT, "merges is missing"},
        {"[\"a b\", \"ab c\"]", "{}", CRIA_FORMAT, NULL},
        {"\"a b\"", "\"a d\"", CRIA_FORMAT, "merge 0 names 'd'"},
        {"\"a b\"", "\"a  b\"", CRIA_FORMAT, "merge 0"},
        {"\"a b\"", "\"ab\"", CRIA_FORMAT, "space"},
        {"\"a b\"", "\"a c\"", CRIA_FORMAT, "merge 0 names 'ac'"},
        {"\"a b\"", "[\"a\", \"b\"]", CRIA_OK, NULL},
        {"\"a b\"", "[\"a\"]", CRIA_FORMAT, "expected 2"},
        {"\"a b\"", "[\"a\", \"b\", \"c\"]", CRIA_FORMAT, "more than 2"},
        {"\"ab c\"", "\"ab c\", \"ab c\", \"a b\"", CRIA_OK, NULL}, /* the later one counts, as in the reference */
        {"{\"a\": 0, \"b\": 1, \"ab\": 2, \"c\": 3, \"abc\": 4}", "{}", CRIA_FORMAT, "vocab"},
        {"\"model\": {", "\"other\": {", CRIA_FORMAT, "model.vocab"},
    };
    run_rows(rows, sizeof rows / sizeof rows[0]);
}

/* What Cria does not run is refused by its name and never skipped. */
static void test_refused_parts(void **state) {
    (void)state;
    static const char pre[] = "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": true}";
    static const char decoder[] = "\"decoder\": {\"type\": \"ByteLevel\"}";
    static const struct row rows[] = {
        {"\"dropout\": null", "\"dropout\": 0.1", CRIA_FORMAT, "dropout"},
        {"\"dropout\": null", "\"dropout\": 0", CRIA_OK, NULL},
        {"\"dropout\": null", "\"end_of_word_suffix\": \"</w>\"", CRIA_FORMAT, "end_of_word_suffix"},
        {"\"dropout\": null", "\"continuing_subword_prefix\": \"##\"", CRIA_FORMAT, "continuing_subword_prefix"},
        {"\"dropout\": null", "\"unk_token\": \"<no>\"", CRIA_FORMAT, "<no>"},
        {"\"dropout\": null", "\"unk_token\": \"<s>\"", CRIA_OK, NULL},
        {"\"BPE\"", "\"Unigram\"", CRIA_FORMAT, "Unigram"},
        {"\"normalizer\": null", "\"normalizer\": {\"type\": \"NFC\"}", CRIA_UNSUPPORTED, "'NFC'"},
        {"\"normalizer\": null", "\"normalizer\": {}", CRIA_FORMAT, "type"},
        {"\"normalizer\": null",
         "\"normalizer\": {\"type\": \"Replace\", \"pattern\": {\"Regex\": \"a\"}, \"content\": \"b\"}",
         CRIA_UNSUPPORTED, "regular expression"},
        {"\"normalizer\": null",
         "\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"Prepend\", \"prepend\": \"_\"}, "
         "{\"type\": \"Lowercase\"}]}",
         CRIA_UNSUPPORTED, "'Lowercase'"},
        {pre, "{\"type\": \"Whitespace\"}", CRIA_UNSUPPORTED, "'Whitespace'"},
        {pre, "{\"type\": \"ByteLevel\", \"add_prefix_space\": true}", CRIA_UNSUPPORTED, "add_prefix_space"},
        {pre, "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"(?R)\"}, \"behavior\": \"Isolated\"}", CRIA_UNSUPPORTED,
         "recursion"},
        {pre, "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"(\"}, \"behavior\": \"Isolated\"}", CRIA_FORMAT,
         "pattern"},
        {pre, "{\"type\": \"Split\", \"pattern\": {\"Regex\": \"a\"}, \"behavior\": \"Sideways\"}", CRIA_UNSUPPORTED,
         "behavior"},
        {pre, "{\"type\": \"Split\", \"behavior\": \"Isolated\"}", CRIA_UNSUPPORTED, "no pattern"},
        {pre, "{\"type\": \"Sequence\"}", CRIA_UNSUPPORTED, "no list"},
        {decoder, "\"decoder\": {\"type\": \"WordPiece\"}", CRIA_UNSUPPORTED, "'WordPiece'"},
        {decoder, "\"decoder\": {\"type\": \"Strip\", \"content\": \" \", \"start\": 2, \"stop\": 0}", CRIA_UNSUPPORTED,
         "Strip"},
        {"\"TemplateProcessing\"", "\"RobertaProcessing\"", CRIA_UNSUPPORTED, "'RobertaProcessing'"},
        {"\"id\": \"<s>\"", "\"id\": \"<t>\"", CRIA_FORMAT, "'<t>'"},
    };
    run_rows(rows, sizeof rows / sizeof rows[0]);
}

/* T01: depth, sizes, counts: a clear error within bounded memory and time. */
static void test_limits(void **state) {
    (void)state;
    struct cria_error err = {0};
    for (int depth = 60; depth <= 66; depth++) {
        struct buffer nested = buffer_make(1000), whole;
        for (int i = 0; i < depth; i++) buffer_append_char(&nested, '[');
        for (int i = 0; i < depth; i++) buffer_append_char(&nested, ']');
        buffer_append_text(&nested, ", \"normalizer\": null");
        struct buffer text = buffer_make(2000);
        buffer_append_format(&text, "\"x\": %s", nested.data);
        whole = changed("\"normalizer\": null", text.data);
        assert_int_equal(open_text(&whole, &err), depth <= 63 ? CRIA_OK : CRIA_LIMIT);
        buffer_free(&whole);
        buffer_free(&nested);
        buffer_free(&text);
    }
    struct buffer many = buffer_make((size_t)64 << 20), whole;
    buffer_append_text(&many, "[\"a b\"");
    for (int i = 0; i < 4200000; i++) buffer_append_text(&many, ",\"a b\"");
    buffer_append_text(&many, "]");
    whole = changed("[\"a b\", \"ab c\"]", many.data);
    assert_int_equal(open_text(&whole, &err), CRIA_LIMIT);
    assert_non_null(strstr(err.text, "merges"));
    buffer_free(&whole);
    buffer_free(&many);
}

/* T01: a file of 200 MB is refused before it is read; one of the right size is opened by what it contains. */
static void test_file(void **state) {
    (void)state;
    char path[] = "/tmp/cria-tokenizer-XXXXXX";
    tokenizer *t = NULL;
    struct cria_error err = {0};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, good, sizeof good - 1), sizeof good - 1);
    assert_int_equal(tokenizer_open(&t, path, &err), CRIA_OK);
    tokenizer_destroy(&t);
    assert_int_equal(ftruncate(fd, 200000000), 0);
    assert_int_equal(tokenizer_open(&t, path, &err), CRIA_LIMIT);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(tokenizer_open(&t, path, &err), CRIA_FORMAT);
    assert_null(t);
    close(fd);
    unlink(path);
}

static void check_long_token(size_t n, cria_status wanted) {
    struct buffer b = buffer_make((size_t)4 << 20), whole;
    buffer_append_text(&b, "\"");
    for (size_t i = 0; i < n; i++) buffer_append_char(&b, 'x');
    buffer_append_text(&b, "\": 6, \"c\": 3");
    whole = changed("\"c\": 3", b.data);
    assert_int_equal(open_text(&whole, NULL), wanted);
    buffer_free(&whole);
    buffer_free(&b);
}

/* L20: a token of a megabyte. */
static void test_long_tokens(void **state) {
    (void)state;
    check_long_token(4096, CRIA_OK);
    check_long_token(4097, CRIA_LIMIT);
    check_long_token((size_t)1 << 20, CRIA_LIMIT);
}

/* Every prefix, and thousands of random changes: an answer, never a crash (a sanitizer watches). */
static void test_mutations(void **state) {
    (void)state;
    struct buffer b = buffer_make(1 << 16);
    buffer_append(&b, good, sizeof good - 1);
    for (size_t n = 0; n < sizeof good - 1; n++) {
        struct buffer cut = buffer_make(1 << 16);
        buffer_append(&cut, good, n);
        if (n) assert_int_not_equal(open_text(&cut, NULL), CRIA_OK);
        buffer_free(&cut);
    }
    print_message("seed %d\n", SEED);
    for (uint64_t round = 0; round < 20000; round++) {
        uint64_t r = random_u64(SEED, RANDOM_TEST, round);
        char *byte = &b.data[r % b.n_bytes];
        const char was = *byte;
        *byte = r >> 60 ? "0123456789{}[],:\"\\abct<>"[(r >> 32) % 24] : (char)(r >> 40);
        cria_status status = open_text(&b, NULL);
        assert_true(status >= CRIA_OK && status < CRIA_STATUS_COUNT && status != CRIA_INTERNAL && status != CRIA_NOMEM);
        if (round % 5) *byte = was;
        if (round % 50 == 0) memcpy(b.data, good, sizeof good - 1);
    }
    buffer_free(&b);
}

/* The beginning-of-text id is the template's, and is put in front only where the caller asks. */
static void test_bos(void **state) {
    (void)state;
    tokenizer *t = NULL;
    struct token_list list = {0};
    assert_int_equal(tokenizer_from_json(&t, good, sizeof good - 1, NULL), CRIA_OK);
    assert_int_equal(tokenizer_bos(t), 5);
    assert_true(tokenizer_adds_bos(t));
    assert_true(tokenizer_is_special(t, 5));
    struct tokenizer_options o = {.with_bos = true};
    assert_int_equal(tokenizer_encode(t, "abc", 3, &o, &list, NULL, NULL), CRIA_OK);
    assert_int_equal(list.n, 2);
    assert_int_equal(list.ids[0], 5);
    assert_int_equal(list.ids[1], 4);
    token_list_free(&list);
    tokenizer_destroy(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broken_vocabularies),
        cmocka_unit_test(test_refused_parts),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_long_tokens),
        cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_bos),
        cmocka_unit_test(test_file),
    };
    return cmocka_run_group_tests_name("tokenizer_json", tests, NULL, NULL);
}
