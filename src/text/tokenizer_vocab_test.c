/* tokenizer_vocab_test.c: tokenizers from GGUF's lists, from SentencePiece models and from tiktoken files, whole and
 * broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "text/tiktoken.h"
#include "text/tokenizer.h"

#define TEXT(t) \
    { (t), sizeof(t) - 1 }

/* A byte-level vocabulary as GGUF has it; copies are changed by the tests. */
static const struct text_span byte_tokens[] = {TEXT("a"),      TEXT("b"),        TEXT("ab"), TEXT("<|end|>"),
                                               TEXT("<tool>"), TEXT("\xC4\xA0"), TEXT("x")};
static const int32_t byte_types[] = {1, 1, 1, 3, 4, 1, 5};
static const struct text_span byte_merges[] = {TEXT("a b")};

static struct tokenizer_vocab byte_vocab(void) {
    return (struct tokenizer_vocab){
        .model = "gpt2",
        .pre = "gpt-2",
        .tokens = byte_tokens,
        .n_tokens = 7,
        .types = byte_types,
        .merges = byte_merges,
        .n_merges = 1,
        .bos_id = -1,
        .eos_id = 3,
        .eot_id = -1,
        .eom_id = -1,
        .unknown_id = -1,
        .pad_id = -1,
        .add_bos = -1,
        .add_space_prefix = -1,
    };
}

/* A SentencePiece vocabulary: <unk> <s> </s>, two bytes, and pieces over a and b. */
#define MARK "\xE2\x96\x81"
static const struct text_span piece_tokens[] = {
    TEXT("<unk>"), TEXT("<s>"), TEXT("</s>"),   TEXT("<0x0A>"), TEXT("<0xC3>"),  TEXT("<0xA9>"),  TEXT(MARK),
    TEXT("a"),     TEXT("b"),   TEXT(MARK "a"), TEXT("ab"),     TEXT(MARK "ab"), TEXT(MARK MARK), TEXT("<tool>"),
};
static const int32_t piece_types[] = {2, 3, 3, 6, 6, 6, 1, 1, 1, 1, 1, 1, 1, 4};
static const float piece_scores[] = {0, 0, 0, 0, 0, 0, -5, -6, -7, -1, -2, -3, -1e9f, 0};
#define N_PIECES 14

static struct tokenizer_vocab piece_vocab(void) {
    return (struct tokenizer_vocab){
        .model = "llama",
        .tokens = piece_tokens,
        .n_tokens = N_PIECES,
        .types = piece_types,
        .scores = piece_scores,
        .bos_id = 1,
        .eos_id = 2,
        .eot_id = -1,
        .eom_id = -1,
        .unknown_id = 0,
        .pad_id = -1,
        .add_bos = -1,
        .add_space_prefix = -1,
    };
}

static void expect(const struct tokenizer_vocab *v, cria_status wanted, const char *named) {
    tokenizer *t = NULL;
    struct cria_error err = {0};
    cria_status status = tokenizer_from_vocab(&t, v, &err);
    if (status != wanted) fail_msg("%s, expected %s: %s", cria_status_name(status), cria_status_name(wanted), err.text);
    if (named && !strstr(err.text, named)) fail_msg("no '%s' in: %s", named, err.text);
    assert_true((t != NULL) == (wanted == CRIA_OK));
    tokenizer_destroy(&t);
}

static void expect_ids(const tokenizer *t, const char *text, const struct tokenizer_options *o, const char *wanted) {
    struct token_list list = {0};
    struct buffer b = buffer_make(4096);
    assert_int_equal(tokenizer_encode(t, text, strlen(text), o, &list, NULL, NULL), CRIA_OK);
    for (size_t i = 0; i < list.n; i++) buffer_append_format(&b, "%s%d", i ? " " : "", list.ids[i]);
    assert_string_equal(buffer_text(&b), wanted);
    buffer_free(&b);
    token_list_free(&list);
}

/* The pre-tokenizer is the file's; what is not known is refused by name, with one exception for files before that key.
 */
static void test_pre_tokenizers(void **state) {
    (void)state;
    static const char *const known[] = {"llama-bpe", "llama3", "llama-v3", "llama4", "smollm", "gpt-2"};
    struct tokenizer_vocab v = byte_vocab();
    for (int i = 0; i < 6; i++) {
        v.pre = known[i];
        expect(&v, CRIA_OK, NULL);
    }
    v.pre = "qwen2";
    expect(&v, CRIA_UNSUPPORTED, "'qwen2'");
    v.pre = "default";
    expect(&v, CRIA_UNSUPPORTED, "'default'");
    v.pre = NULL;
    expect(&v, CRIA_UNSUPPORTED, "missing");
    v.model = "bert";
    expect(&v, CRIA_UNSUPPORTED, "'bert'");
    v.model = NULL;
    expect(&v, CRIA_FORMAT, "tokenizer.ggml.model");

    enum { N = 128256 };
    struct text_span *tokens = alloc_array(N, sizeof *tokens);
    int32_t *types = alloc_array(N, sizeof *types);
    for (int i = 0; i < N; i++) {
        tokens[i] = i < 7 ? byte_tokens[i] : (struct text_span)TEXT("unused");
        types[i] = i < 7 ? byte_types[i] : 5;
    }
    v = byte_vocab();
    v.tokens = tokens;
    v.types = types;
    v.n_tokens = N;
    static const char *const unsaid[] = {NULL, "default", "smaug-bpe"};
    for (int i = 0; i < 3; i++) {
        v.pre = unsaid[i];
        tokenizer *t = NULL;
        assert_int_equal(tokenizer_from_vocab(&t, &v, NULL), CRIA_OK);
        assert_non_null(strstr(tokenizer_kind(t), "llama3"));
        tokenizer_destroy(&t);
    }
    alloc_free(tokens);
    alloc_free(types);
}

/* L20, L21: broken lists and ids outside the vocabulary. */
static void test_broken_byte_level(void **state) {
    (void)state;
    struct tokenizer_vocab v = byte_vocab();
    struct text_span tokens[7];
    int32_t types[7];
    int64_t *const ids[] = {&v.bos_id, &v.eos_id, &v.eot_id, &v.eom_id, &v.unknown_id, &v.pad_id};
    for (int i = 0; i < 6; i++) {
        v = byte_vocab();
        *ids[i] = 7;
        expect(&v, CRIA_FORMAT, "token_id is 7");
        *ids[i] = -2;
        expect(&v, CRIA_FORMAT, "token_id is -2");
    }
    v = byte_vocab();
    v.types = memcpy(types, byte_types, sizeof types);
    for (int32_t type = -1; type <= 7; type += 1) {
        types[6] = type;
        if (type < 1 || type > 6) expect(&v, CRIA_FORMAT, "type");
    }
    v = byte_vocab();
    v.tokens = memcpy(tokens, byte_tokens, sizeof tokens);
    tokens[5] = (struct text_span)TEXT("a");
    expect(&v, CRIA_FORMAT, "two ids");
    tokens[5] = (struct text_span)TEXT("");
    expect(&v, CRIA_OK, NULL);
    tokens[5] = (struct text_span)TEXT("\xFF\xC4");
    expect(&v, CRIA_OK, NULL);
    char *long_token = alloc_zeroed(1 << 20, 1);
    memset(long_token, 'x', 1 << 20);
    tokens[5] = (struct text_span){long_token, 1 << 20};
    expect(&v, CRIA_LIMIT, "1048576 bytes");
    alloc_free(long_token);
    v = byte_vocab();
    v.n_merges = 0;
    expect(&v, CRIA_FORMAT, "merges");
    static const struct text_span bad_merges[] = {TEXT("a c"), TEXT("ab"),  TEXT(""),
                                                  TEXT(" "),   TEXT("b a"), TEXT("a \xFF")};
    for (int i = 0; i < 6; i++) {
        v.merges = &bad_merges[i];
        v.n_merges = 1;
        expect(&v, CRIA_FORMAT, "merge 0");
    }
    v.n_tokens = 0;
    expect(&v, CRIA_FORMAT, "empty");
}

/* Catches a user-defined token that is cut, an unused one that is used, a control one that content can make. */
static void test_byte_level(void **state) {
    (void)state;
    tokenizer *t = NULL;
    struct tokenizer_vocab v = byte_vocab();
    assert_int_equal(tokenizer_from_vocab(&t, &v, NULL), CRIA_OK);
    expect_ids(t, "ab<tool>b <|end|>x", NULL, "2 4 1 5");
    expect_ids(t, "ab<|end|>", &(struct tokenizer_options){.special = true}, "2 3");
    assert_false(tokenizer_adds_bos(t));
    assert_int_equal(tokenizer_eos(t), 3);
    tokenizer_destroy(&t);
}

/* The rules of 4.1: one space in front of what is not empty, scores and not ids, bytes for what is no piece, and
 * decoding drops the one space at the start of the text and no other. */
static void test_sentencepiece(void **state) {
    (void)state;
    tokenizer *t = NULL;
    struct tokenizer_vocab v = piece_vocab();
    assert_int_equal(tokenizer_from_vocab(&t, &v, NULL), CRIA_OK);
    expect_ids(t, "", NULL, "");
    expect_ids(t, "a", NULL, "9");
    expect_ids(t, "ab", NULL, "11");  /* U+2581 a joins first, then b */
    expect_ids(t, " a", NULL, "6 9"); /* two marks; the pair of marks has the lowest score */
    expect_ids(t, "  ", NULL, "12 6");
    expect_ids(t, "\n\xC3\xA9", NULL, "6 3 4 5");
    expect_ids(t, "<s>", NULL, "6 0"); /* no pieces for these letters, and not all of their bytes: unknown, fused */
    expect_ids(t, "a<tool>a", NULL, "9 13 9");
    expect_ids(t, "a</s>a", &(struct tokenizer_options){.with_bos = true, .special = true}, "1 9 2 9");
    assert_true(tokenizer_adds_bos(t));
    const int32_t ids[] = {1, 6, 9, 6, 4, 5, 9};
    struct buffer out = buffer_make(100);
    struct tokenizer_stream s = {0};
    assert_int_equal(tokenizer_decode(t, ids, 7, false, &out, NULL), CRIA_OK);
    assert_string_equal(buffer_text(&out), " a \xC3\xA9 a");
    buffer_cut(&out, 0);
    for (int i = 0; i < 7; i++) assert_int_equal(tokenizer_stream_add(t, &s, ids[i], false, &out, NULL), CRIA_OK);
    assert_string_equal(buffer_text(&out), " a \xC3\xA9 a");
    assert_int_equal(tokenizer_token(t, 9).n, 2);
    assert_memory_equal(tokenizer_token(t, 9).bytes, " a", 2);
    buffer_free(&out);
    tokenizer_destroy(&t);
}

static void test_broken_sentencepiece(void **state) {
    (void)state;
    static const struct text_span bad_bytes[] = {TEXT("<0x-1>"),  TEXT("<0x 1>"), TEXT("<0xG0>"),
                                                 TEXT("<0x100>"), TEXT("<0x1>"),  TEXT(""),
                                                 TEXT("<0xC3>"),  TEXT("<0x+1>"), TEXT("0x0A")};
    struct tokenizer_vocab v = piece_vocab();
    struct text_span tokens[N_PIECES];
    int32_t types[N_PIECES];
    float scores[N_PIECES];
    v.tokens = memcpy(tokens, piece_tokens, sizeof tokens);
    for (size_t i = 0; i < sizeof bad_bytes / sizeof bad_bytes[0]; i++) {
        tokens[3] = bad_bytes[i];
        expect(&v, CRIA_FORMAT, "byte");
    }
    v = piece_vocab();
    v.scores = NULL;
    expect(&v, CRIA_FORMAT, "scores");
    v.scores = memcpy(scores, piece_scores, sizeof scores);
    scores[8] = __builtin_nanf("");
    expect(&v, CRIA_FORMAT, "token 8");
    v = piece_vocab();
    v.types = NULL;
    expect(&v, CRIA_FORMAT, "types");
    v.types = memcpy(types, piece_types, sizeof types);
    types[7] = 0;
    expect(&v, CRIA_FORMAT, "token 7");
    v = piece_vocab();
    v.bos_id = N_PIECES;
    expect(&v, CRIA_FORMAT, "beginning-of-text");
}

static void append_varint(struct buffer *b, uint64_t n) {
    for (; n >= 0x80; n >>= 7) buffer_append_char(b, (char)(n | 0x80));
    buffer_append_char(b, (char)n);
}

static void append_run(struct buffer *b, uint64_t field, const void *bytes, size_t n) {
    append_varint(b, field << 3 | 2);
    append_varint(b, n);
    buffer_append(b, bytes, n);
}

/* The vocabulary above as a model file; `normalizer` and `model_type` as the test wants them. */
static struct buffer model_file(const char *normalizer, size_t n_normalizer, uint64_t model_type) {
    struct buffer b = buffer_make(1 << 16), part = buffer_make(1 << 16);
    for (int i = 0; i < N_PIECES; i++) {
        buffer_cut(&part, 0);
        append_run(&part, 1, piece_tokens[i].bytes, piece_tokens[i].n);
        buffer_append_char(&part, 2 << 3 | 5);
        buffer_append(&part, &piece_scores[i], 4); /* little-endian, as the machine is */
        append_varint(&part, 3 << 3);
        append_varint(&part, (uint64_t)piece_types[i]);
        append_run(&b, 1, part.data, part.n_bytes);
    }
    buffer_cut(&part, 0);
    append_varint(&part, 3 << 3);
    append_varint(&part, model_type);
    append_run(&b, 2, part.data, part.n_bytes);
    append_run(&b, 3, normalizer, n_normalizer);
    buffer_free(&part);
    return b;
}

static void test_sentencepiece_file(void **state) {
    (void)state;
    static const struct {
        const char *normalizer;
        size_t n;
        uint64_t type;
        cria_status status;
        const char *named;
    } rows[] = {
        {"\x20\x00", 2, 2, CRIA_OK, NULL},
        {"\x20\x00", 2, 1, CRIA_UNSUPPORTED, "unigram"},
        {"\x20\x00", 2, 77, CRIA_UNSUPPORTED, "unknown"},
        {"", 0, 2, CRIA_UNSUPPORTED, "remove_extra_whitespaces"},
        {"\x20\x00\x12\x01x", 5, 2, CRIA_UNSUPPORTED, "character map"},
        {"\x20\x00\x28\x00", 4, 2, CRIA_UNSUPPORTED, "escape_whitespaces"},
        {"\x20", 1, 2, CRIA_FORMAT, "normalizer_spec"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buffer b = model_file(rows[i].normalizer, rows[i].n, rows[i].type);
        tokenizer *t = NULL;
        struct cria_error err = {0};
        assert_int_equal(tokenizer_from_sentencepiece(&t, b.data, b.n_bytes, &err), rows[i].status);
        if (rows[i].named) assert_non_null(strstr(err.text, rows[i].named));
        if (t) expect_ids(t, "ab<tool>", NULL, "11 13");
        tokenizer_destroy(&t);
        buffer_free(&b);
    }
    /* every prefix and every byte changed: an answer, never a read outside (a sanitizer watches) */
    struct buffer b = model_file("\x20\x00", 2, 2);
    for (size_t i = 0; i < b.n_bytes; i++) {
        char *copy = alloc_text(b.data, b.n_bytes);
        for (int change = 0; change < 8; change++) {
            tokenizer *t = NULL;
            copy[i] = (char)(b.data[i] ^ 1 << change);
            (void)!tokenizer_from_sentencepiece(&t, copy, b.n_bytes, NULL);
            tokenizer_destroy(&t);
        }
        alloc_free(copy);
        copy = alloc_array(i + 1, 1);
        memcpy(copy, b.data, i);
        tokenizer *t = NULL;
        assert_int_not_equal(tokenizer_from_sentencepiece(&t, copy, i, NULL), CRIA_OK);
        alloc_free(copy);
    }
    buffer_free(&b);
}

static void append_base64(struct buffer *b, const uint8_t *bytes, size_t n) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        uint32_t word =
            (uint32_t)bytes[i] << 16 | (i + 1 < n ? (uint32_t)bytes[i + 1] << 8 : 0) | (i + 2 < n ? bytes[i + 2] : 0);
        for (size_t k = 0; k < 4; k++) buffer_append_char(b, i + k > n ? '=' : digits[word >> (18 - 6 * k) & 63]);
    }
}

/* 256 bytes, then "ab", then tokens that no text of the test makes. */
static struct buffer tiktoken_file(int lines) {
    struct buffer b = buffer_make((size_t)16 << 20);
    for (int i = 0; i < lines; i++) {
        const uint8_t filler[] = {0xFF, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
        const uint8_t byte = (uint8_t)i;
        if (i < 256) append_base64(&b, &byte, 1);
        else if (i == 256) append_base64(&b, (const uint8_t *)"ab", 2);
        else append_base64(&b, filler, 4);
        buffer_append_format(&b, " %d\n", i);
    }
    return b;
}

static void expect_tiktoken(const struct buffer *b, cria_status wanted, const char *named) {
    tokenizer *t = NULL;
    struct cria_error err = {0};
    assert_int_equal(tokenizer_from_tiktoken(&t, b->data, b->n_bytes, &err), wanted);
    if (!strstr(err.text, named)) fail_msg("no '%s' in: %s", named, err.text);
    assert_null(t);
}

static void test_tiktoken(void **state) {
    (void)state;
    struct buffer b = tiktoken_file(128000);
    tokenizer *t = NULL;
    assert_int_equal(tokenizer_from_tiktoken(&t, b.data, b.n_bytes, NULL), CRIA_OK);
    expect_ids(t, "ab<|eot_id|>", &(struct tokenizer_options){.with_bos = true, .special = true}, "128000 256 128009");
    int32_t stops[8];
    assert_int_equal(tokenizer_stop_ids(t, stops, 8), 3);
    assert_true(stops[0] == 128001 && stops[1] == 128008 && stops[2] == 128009);
    assert_true(tokenizer_adds_bos(t));
    assert_int_equal(tokenizer_size(t), 128256);
    tokenizer_destroy(&t);
    char *line = strstr(b.data, " 1000\n");
    line[1] = '2';
    expect_tiktoken(&b, CRIA_FORMAT, "line 1001: expected the rank 1000");
    line[1] = '1';
    line[-1] = '!';
    expect_tiktoken(&b, CRIA_FORMAT, "line 1001: expected base64");
    buffer_free(&b);
    b = tiktoken_file(5000);
    expect_tiktoken(&b, CRIA_UNSUPPORTED, "5000 lines");
    buffer_free(&b);
    b = tiktoken_file(200000);
    assert_int_equal(tokenizer_from_tiktoken(&t, b.data, b.n_bytes, NULL), CRIA_OK);
    assert_int_equal(tokenizer_stop_ids(t, stops, 8), 3);
    assert_true(stops[0] == 200001 && stops[1] == 200007 && stops[2] == 200008);
    assert_int_equal(tokenizer_size(t), 202048);
    tokenizer_destroy(&t);
    buffer_free(&b);
}

/* The special tokens by rule: the first and last of every series, and what stands between them. */
static void test_special_names(void **state) {
    (void)state;
    static const struct {
        int family, id;
        const char *name;
    } rows[] = {
        {3, 128000, "<|begin_of_text|>"},
        {3, 128003, "<|reserved_special_token_1|>"},
        {3, 128004, "<|finetune_right_pad_id|>"},
        {3, 128006, "<|start_header_id|>"},
        {3, 128007, "<|end_header_id|>"},
        {3, 128008, "<|eom_id|>"},
        {3, 128009, "<|eot_id|>"},
        {3, 128010, "<|python_tag|>"},
        {3, 128012, "<|reserved_special_token_2|>"},
        {3, 128255, "<|reserved_special_token_245|>"},
        {4, 200004, "<|fim_suffix|>"},
        {4, 200005, "<|header_start|>"},
        {4, 200008, "<|eot|>"},
        {4, 200009, "<|step|>"},
        {4, 200010, "<|text_post_train_reserved_special_token_0|>"},
        {4, 200015, "<|text_post_train_reserved_special_token_5|>"},
        {4, 200018, "<|finetune_right_pad|>"},
        {4, 200019, "<|text_post_train_reserved_special_token_8|>"},
        {4, 200079, "<|text_post_train_reserved_special_token_68|>"},
        {4, 200080, "<|image_start|>"},
        {4, 200083, "<|vision_reserved_special_token_1|>"},
        {4, 200085, "<|tile_y_separator|>"},
        {4, 200086, "<|vision_reserved_special_token_2|>"},
        {4, 200089, "<|vision_reserved_special_token_5|>"},
        {4, 200090, "<|image|>"},
        {4, 200091, "<|vision_reserved_special_token_6|>"},
        {4, 200092, "<|patch|>"},
        {4, 200093, "<|vision_reserved_special_token_7|>"},
        {4, 201133, "<|vision_reserved_special_token_1047|>"},
        {4, 201134, "<|reasoning_reserved_special_token_0|>"},
        {4, 201141, "<|reasoning_reserved_special_token_7|>"},
        {4, 201142, "<|reasoning_thinking_start|>"},
        {4, 201143, "<|reasoning_thinking_end|>"},
        {4, 201144, "<|reserved_special_token_0|>"},
        {4, 202047, "<|reserved_special_token_903|>"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char name[TIKTOKEN_MAX_NAME];
        if (rows[i].family == 3) tiktoken_llama3_name(rows[i].id - TIKTOKEN_LLAMA3_BASE, name);
        else tiktoken_llama4_name(rows[i].id - TIKTOKEN_LLAMA4_BASE, name);
        assert_string_equal(name, rows[i].name);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pre_tokenizers),
        cmocka_unit_test(test_broken_byte_level),
        cmocka_unit_test(test_byte_level),
        cmocka_unit_test(test_sentencepiece),
        cmocka_unit_test(test_broken_sentencepiece),
        cmocka_unit_test(test_sentencepiece_file),
        cmocka_unit_test(test_tiktoken),
        cmocka_unit_test(test_special_names),
    };
    return cmocka_run_group_tests_name("tokenizer_vocab", tests, NULL, NULL);
}
