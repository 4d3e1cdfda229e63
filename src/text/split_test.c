/* split_test.c: the hand-written splitters against Oniguruma running the patterns themselves, and Oniguruma's limits.
 *
 * Texts are random and adversarial: characters of every class next to each other, long runs, malformed bytes. The seed
 * is printed. Oniguruma gets the same classes of characters (split_regex.h), so any difference is one of logic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/random.h"
#include "base/utf8.h"
#include "text/split_chain.h"
#include "text/unicode_classes.h"

#define SEED 20

static uint64_t draws;

static uint32_t below(uint32_t n) { return (uint32_t)(random_u64(SEED, RANDOM_TEST, draws++) % n); }

/* A piece of text whose parts meet at the edges of the patterns. */
static void append_part(struct buffer *b) {
    static const char *const parts[] = {
        "'",
        "'s",
        "'S",
        "'re",
        "'LL",
        "'l",
        "'\xC5\xBF",
        "s",
        "T",
        "\r",
        "\n",
        "\r\n",
        "/",
        " ",
        "  ",
        "\t",
        "\xC2\xA0",
        "\xE3\x80\x80",
        "\xC2\x85",
        "\x1C",
        "a",
        "Z",
        "zZ",
        "1",
        "12345",
        "\xC2\xBD",
        "\xE2\x85\xA7",
        ".",
        "!?",
        "_",
        "\xCC\x81",
        "\xE0\xA4\x83",
        "\xCA\xB0",
        "\xC2\xAA",
        "\xC7\x85",
        "\xE4\xB8\xAD",
        "\xD7\x90",
        "\xE2\x80\x8D",
        "\xF0\x9F\x91\xA9",
        "\xE2\x96\x81",
    };
    char bytes[4];
    uint32_t code;
    switch (below(8)) {
        case 0:
            do code = below(8) ? below(0x3000) : below(0x110000);
            while (!utf8_encode(code, bytes));
            buffer_append(b, bytes, (size_t)utf8_encode(code, bytes));
            break;
        case 1: {
            const char *part = parts[below(sizeof parts / sizeof parts[0])];
            for (uint32_t n = below(40); n > 0; n--) buffer_append_text(b, part);
            break;
        }
        default:
            buffer_append_text(b, parts[below(sizeof parts / sizeof parts[0])]);
    }
}

struct ends {
    size_t at[4096];
    size_t n, sum;
};

static cria_status note_end(void *arg, const char *piece, size_t n, struct cria_error *err) {
    struct ends *e = arg;
    (void)piece;
    (void)err;
    e->sum += n;
    e->at[e->n++ % 4096] = e->sum;
    return CRIA_OK;
}

static struct split_chain chain_of(const char *pattern) {
    struct split_chain c = {0};
    struct split_step step = {.kind = SPLIT_PATTERN, .behaviour = SPLIT_ISOLATED};
    assert_int_equal(split_regex_compile(&step.regex, pattern, strlen(pattern), NULL), CRIA_OK);
    assert_int_equal(split_chain_add(&c, step, NULL), CRIA_OK);
    return c;
}

static void compare(const struct split_chain *c, split_fn *fn, const char *text, size_t n) {
    struct ends wanted = {.n = 0};
    struct cria_error err = {0};
    if (split_chain_run(c, text, n, note_end, &wanted, &err) != CRIA_OK) fail_msg("%s", err.text);
    assert_true(wanted.n <= 4096);
    size_t at = 0;
    for (size_t i = 0; i < wanted.n; i++) {
        size_t end = fn(text, n, at);
        if (end != wanted.at[i]) {
            fail_msg("a piece at byte %zu ends at %zu, expected %zu (seed %d): '%.*s'", at, end, wanted.at[i], SEED,
                     (int)(n - at < 60 ? n - at : 60), text + at);
        }
        at = end;
    }
    assert_int_equal(at, n);
}

/* Catches a splitter that differs from its pattern. */
static void test_equal_oniguruma(void **state) {
    (void)state;
    static split_fn *const functions[] = {split_gpt2, split_llama3, split_llama4};
    print_message("seed %d\n", SEED);
    for (int f = 0; f < 3; f++) {
        struct split_chain c = chain_of(split_pattern(functions[f]));
        for (int round = 0; round < 3000; round++) {
            struct buffer b = buffer_make(1 << 20);
            for (uint32_t parts = 1 + below(24); parts > 0; parts--) append_part(&b);
            compare(&c, functions[f], buffer_text(&b), b.n_bytes);
            buffer_free(&b);
        }
        split_chain_deinit(&c);
    }
}

/* SmolLM2's splitter is two steps in one: digits alone, then GPT-2 within what lies between. */
static void test_smollm_equals_its_steps(void **state) {
    (void)state;
    struct split_chain c = {0};
    assert_int_equal(split_chain_add(&c, (struct split_step){.kind = SPLIT_NUMBERS}, NULL), CRIA_OK);
    struct split_step gpt2 = {.kind = SPLIT_FUNCTION, .function = split_gpt2};
    assert_int_equal(split_chain_add(&c, gpt2, NULL), CRIA_OK);
    for (int round = 0; round < 5000; round++) {
        struct buffer b = buffer_make(1 << 20);
        for (uint32_t parts = 1 + below(24); parts > 0; parts--) append_part(&b);
        compare(&c, split_smollm, buffer_text(&b), b.n_bytes);
        buffer_free(&b);
    }
    split_chain_deinit(&c);
}

/* Catches a piece of no bytes, which would loop forever, and a step beyond the end, on bytes that are no UTF-8. */
static void test_any_bytes(void **state) {
    (void)state;
    static split_fn *const functions[] = {split_gpt2, split_llama3, split_llama4, split_smollm};
    for (int round = 0; round < 20000; round++) {
        size_t n = 1 + below(24);
        char *text = alloc_array(n, 1); /* of just this size, so that a sanitizer sees a read behind it */
        for (size_t i = 0; i < n; i++) text[i] = (char)(below(3) ? 0x80 + below(0x80) : below(0x80));
        for (int f = 0; f < 4; f++) {
            for (size_t at = 0; at < n;) {
                size_t end = functions[f](text, n, at);
                assert_true(end > at && end <= n);
                at = end;
            }
        }
        alloc_free(text);
    }
}

/* Catches a table that lost its order: each category by one known character, and the white space that is no category.
 */
static void test_categories(void **state) {
    (void)state;
    static const struct {
        uint32_t code;
        enum unicode_category category;
    } known[] = {
        {'A', UNICODE_LU},     {0x1C5, UNICODE_LT},    {'a', UNICODE_LL},      {0x2B0, UNICODE_LM},
        {0x5D0, UNICODE_LO},   {0x301, UNICODE_MN},    {0x903, UNICODE_MC},    {0x20DD, UNICODE_ME},
        {'7', UNICODE_ND},     {0x2167, UNICODE_NL},   {0xBD, UNICODE_NO},     {'_', UNICODE_PC},
        {'-', UNICODE_PD},     {'(', UNICODE_PS},      {')', UNICODE_PE},      {0xAB, UNICODE_PI},
        {0xBB, UNICODE_PF},    {'!', UNICODE_PO},      {'+', UNICODE_SM},      {'$', UNICODE_SC},
        {'^', UNICODE_SK},     {0xA9, UNICODE_SO},     {' ', UNICODE_ZS},      {0x2028, UNICODE_ZL},
        {0x2029, UNICODE_ZP},  {'\t', UNICODE_WC},     {0x85, UNICODE_WC},     {0x1C, UNICODE_CC},
        {0x200D, UNICODE_CF},  {0xE000, UNICODE_CO},   {0xD800, UNICODE_CS},   {0x378, UNICODE_CN},
        {0x1C89, UNICODE_LU},  {0xE0001, UNICODE_CF},  {0xE0100, UNICODE_MN},  {0xFFFFD, UNICODE_CO},
        {0xFFFFE, UNICODE_CN}, {0x10FFFD, UNICODE_CO}, {0x110000, UNICODE_CN}, {UINT32_MAX, UNICODE_CN},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        assert_int_equal(unicode_category(known[i].code), known[i].category);
    }
    assert_true(unicode_is_space(UNICODE_WC) && unicode_is_space(UNICODE_ZS) && !unicode_is_space(UNICODE_CC));
}

/* T02: what is refused is refused by its name; inside a class of characters the same bytes are fine. */
static void test_refused_patterns(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *name;
        cria_status status;
    } refused[] = {
        {"(a\\g<1>?)", "recursion", CRIA_UNSUPPORTED},
        {"(?<x>a\\g'x'?)", "recursion", CRIA_UNSUPPORTED},
        {"(?R)", "recursion", CRIA_UNSUPPORTED},
        {"(a)(?1)", "recursion", CRIA_UNSUPPORTED},
        {"(a)?(?(1)b|c)", "conditional", CRIA_UNSUPPORTED},
        {"a(?{x})", "callout", CRIA_UNSUPPORTED},
        {"a(*FAIL)", "callout", CRIA_UNSUPPORTED},
        {"(?~a)", "absent", CRIA_UNSUPPORTED},
        {"(a", "compile", CRIA_FORMAT},
        {"a{2,1}{", NULL, CRIA_OK},
        {"[(*]+", NULL, CRIA_OK},
        {"\\(?R", NULL, CRIA_OK},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct split_regex *r = NULL;
        struct cria_error err = {0};
        cria_status status = split_regex_compile(&r, refused[i].pattern, strlen(refused[i].pattern), &err);
        if (status != refused[i].status)
            fail_msg("%s: %s (%s)", refused[i].pattern, cria_status_name(status), err.text);
        if (refused[i].name) assert_non_null(strstr(err.text, refused[i].name));
        split_regex_destroy(&r);
    }
    struct buffer deep = buffer_make(8192);
    struct split_regex *r = NULL;
    for (int i = 0; i < 1000; i++) buffer_append_char(&deep, '(');
    assert_int_not_equal(split_regex_compile(&r, deep.data, deep.n_bytes, NULL), CRIA_OK);
    for (int i = 0; i < 4000; i++) buffer_append_char(&deep, 'a');
    assert_int_equal(split_regex_compile(&r, deep.data, deep.n_bytes, NULL), CRIA_LIMIT);
    buffer_free(&deep);
}

/* T02: a pattern that explodes on a text ends in an error, quickly; the text is not cut in some other way. */
static void test_exploding_pattern(void **state) {
    (void)state;
    static const char *const patterns[] = {"(a|a)*b", "(a+)+b", "((a*)*)*b"};
    char text[64];
    memset(text, 'a', sizeof text);
    memcpy(text + sizeof text - 2, "cb", 2); /* without a b Oniguruma would not begin */
    for (int i = 0; i < 3; i++) {
        struct split_chain c = chain_of(patterns[i]);
        struct ends e = {.n = 0};
        struct cria_error err = {0};
        assert_int_equal(split_chain_run(&c, text, sizeof text, note_end, &e, &err), CRIA_LIMIT);
        assert_non_null(strstr(err.text, "refused"));
        split_chain_deinit(&c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_categories),
        cmocka_unit_test(test_equal_oniguruma),
        cmocka_unit_test(test_smollm_equals_its_steps),
        cmocka_unit_test(test_any_bytes),
        cmocka_unit_test(test_refused_patterns),
        cmocka_unit_test(test_exploding_pattern),
    };
    return cmocka_run_group_tests_name("split", tests, NULL, NULL);
}
