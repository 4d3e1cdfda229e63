/* gguf_mutation_test.c: what a broken, hostile or merely odd GGUF file does: a clean error, or a load that is right.
 *
 * Every case runs the whole of what a program does with a model's files: open, every weight's bytes, tokenizer,
 * template. Run under the address and undefined-behaviour sanitizers it also says that nothing is read outside the
 * file. The numbers L01 and so on are the rows of the list of bad input in docs/FORMATS.md, "Bad input". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "arch/limits.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "format/format.h"
#include "format/gguf_build.h"

#define SEED 20251122u

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

static char folder[] = "/dev/shm/cria-gguf-XXXXXX"; /* memory: a hundred thousand files are written */
static char path[64];
static int file = -1;

static int set_up(void **state) {
    (void)state;
    if (!mkdtemp(folder)) {
        snprintf(folder, sizeof folder, "/tmp/cria-gguf-XXXXXX");
        if (!mkdtemp(folder)) return -1;
    }
    snprintf(path, sizeof path, "%s/model.gguf", folder);
    file = open(path, O_RDWR | O_CREAT, 0600);
    return file < 0 ? -1 : 0;
}

static int tear_down(void **state) {
    (void)state;
    close(file);
    unlink(path);
    return rmdir(folder);
}

static void write_file(const void *bytes, size_t n) {
    assert_int_equal(ftruncate(file, 0), 0);
    assert_int_equal(pwrite(file, bytes, n, 0), (ssize_t)n);
}

/* Everything that a program does with the files of a model; the status of the first step that fails. */
static cria_status use_model(const struct model_open_options *options, struct cria_error *err) {
    cria_status status;
    model_files *m = NULL;
    tokenizer *t = NULL;
    struct token_list list = {0};
    uint8_t digest[32];
    TRY(model_files_open(&m, path, options, err));
    TRY(model_files_digest(m, digest, err));
    assert_int_equal(arch_config_check(model_files_config(m), NULL), CRIA_OK);
    status = model_files_tokenizer(m, &t, err);
    if (status == CRIA_OK) {
        const struct tokenizer_options plain = {.with_bos = true};
        TRY(tokenizer_encode(t, "hello <s> A\n", 12, &plain, &list, NULL, err));
        for (size_t i = 0; i < list.n; i++) assert_true(list.ids[i] >= 0 && list.ids[i] < tokenizer_size(t));
    } else if (status == CRIA_NOTFOUND) {
        status = CRIA_OK;
    }
out:
    token_list_free(&list);
    tokenizer_destroy(&t);
    model_files_close(&m);
    return status;
}

static cria_status use_bytes(const void *bytes, size_t n, struct cria_error *err) {
    write_file(bytes, n);
    return use_model(NULL, err);
}

/* The changed model has to fail with a message that holds word; a NULL word: it has to load. */
static void expect(const char *row, const struct change *change, const char *word) {
    struct buffer bytes = build_model(change);
    struct cria_error err = {0};
    assert_int_equal(bytes.status, CRIA_OK);
    const cria_status status = use_bytes(bytes.data, bytes.n_bytes, &err);
    buffer_free(&bytes);
    if (!word && status != CRIA_OK) fail_msg("%s: expected a load, got %s", row, err.text);
    if (word && status == CRIA_OK) fail_msg("%s: expected an error about \"%s\", but it loads", row, word);
    if (word && !strstr(err.text, word)) fail_msg("%s: expected an error about \"%s\", got: %s", row, word, err.text);
    for (const char *p = err.text; *p; p++) assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
}

#define EXPECT(row, word, ...) expect(row, &(struct change){__VA_ARGS__}, word)
#define BYTES(text) .value = (text), .value_bytes = sizeof(text) - 1
#define U32(v) .key_type = T_U32, .value = (const uint32_t[]){v}, .value_bytes = 4
#define F32(v) .key_type = T_F32, .value = (const float[]){v}, .value_bytes = 4

/* Catches a builder or reader that is wrong altogether: the plain file and its right variants load, and give the
 * values. */
static void test_right_files_load(void **state) {
    (void)state;
    EXPECT("plain", NULL, .version = 3);
    EXPECT("version 2", NULL, .version = 2);
    EXPECT("untied", NULL, .is_untied = true);
    EXPECT("gaps between tensors", NULL, .gap = 4096);
    EXPECT("alignment 8", NULL, .alignment = 8);
    EXPECT("alignment 4096", NULL, .alignment = 4096);
    EXPECT("alignment at the limit", NULL, .alignment = LIMIT_GGUF_MAX_ALIGNMENT);
    EXPECT("unknown key", NULL, .key = "general.colour", .key_type = T_F64, BYTES("\0\0\0\0\0\0\0\0"));
    EXPECT("no vocabulary size", NULL, .key = "llama.vocab_size", .is_missing = true);
    EXPECT("no kv heads: as many as heads; the k tensor then does not fit", "attn_k",
           .key = "llama.attention.head_count_kv", .is_missing = true);
    EXPECT("no rope dimensions", NULL, .key = "llama.rope.dimension_count", .is_missing = true);
    EXPECT("no rope base", NULL, .key = "llama.rope.freq_base", .is_missing = true);
    EXPECT("no tokenizer", NULL, .key = "tokenizer.ggml.model", .is_missing = true);
    EXPECT("8-bit integer", NULL, .key = "llama.block_count", .key_type = T_I8, BYTES("\1"));
    EXPECT("64-bit integer", NULL, .key = "llama.block_count", .key_type = T_U64, BYTES("\1\0\0\0\0\0\0\0"));
    EXPECT("f64 epsilon", NULL, .key = "llama.attention.layer_norm_rms_epsilon", .key_type = T_F64,
           .value = (const double[]){1e-5}, .value_bytes = 8);
    EXPECT("equal heads in every layer", NULL, .key = "llama.attention.head_count", .key_type = T_ARRAY,
           BYTES("\4\0\0\0\1\0\0\0\0\0\0\0\4\0\0\0"));
    EXPECT("special id: none", NULL, .key = "tokenizer.ggml.padding_token_id", U32(UINT32_MAX));
    EXPECT("neutral scaling", NULL, .key = "llama.rope.scaling.type", .key_type = T_STRING,
           BYTES("\4\0\0\0\0\0\0\0none"));
    EXPECT("the name of a part, one part", NULL, .key = "split.count", .key_type = T_U16, BYTES("\1\0"));

    struct buffer bytes = build_model(NULL);
    buffer_append(&bytes, "something behind the last tensor", 32);
    struct cria_error err = {0};
    assert_int_equal(use_bytes(bytes.data, bytes.n_bytes, &err), CRIA_OK);
    buffer_free(&bytes);
    model_files *m = NULL;
    assert_int_equal(model_files_open(&m, path, NULL, &err), CRIA_OK);
    const struct arch_config *c = model_files_config(m);
    assert_true(c->d_model == 32 && c->n_heads == 4 && c->n_kv_heads == 2 && c->head_size == 8 && c->d_ff == 64 &&
                c->tied);
    assert_true(c->n_vocab == BUILD_VOCAB && c->bos_id == 1 && c->n_stop_ids == 1 && c->stop_ids[0] == 2 &&
                c->n_context == 512);
    assert_string_equal(c->name, "tiny");
    assert_string_equal(model_files_kind(m), "GGUF v3");
    assert_non_null(strstr(model_files_template(m), "messages"));
    const struct model_tensor q = model_files_tensor(m, ARCH_W_Q, 0), v = model_files_tensor(m, ARCH_W_V, 0);
    assert_true(q.rope_interleaved && q.dtype == DTYPE_Q4_0 && q.n_rows == 32 && q.n_bytes == 32 * 18);
    assert_true(!v.rope_interleaved && v.dtype == DTYPE_Q8_0 && v.n_rows == 16);
    assert_string_equal(v.name, "blk.0.attn_v.weight");
    model_files_release(m, &q);
    model_files_close(&m);
}

static void test_L01_L02_magic_and_version(void **state) {
    (void)state;
    struct cria_error err = {0};
    struct buffer bytes = build_model(NULL);
    for (size_t n = 0; n < 24; n++) assert_int_not_equal(use_bytes(bytes.data, n, &err), CRIA_OK);
    bytes.data[0] = 'g';
    assert_int_equal(use_bytes(bytes.data, bytes.n_bytes, &err), CRIA_FORMAT);
    assert_non_null(strstr(err.text, path));
    buffer_free(&bytes);
    EXPECT("version 1", "version 1", .version = 1);
    EXPECT("version 4", "version 4", .version = 4);
    EXPECT("swapped version", "big-endian", .version = 0x03000000);
    struct change zero = {.key_count = 1, .has_key_count = true};
    bytes = build_model(&zero);
    memset(bytes.data + 4, 0, 4);
    assert_int_equal(use_bytes(bytes.data, bytes.n_bytes, &err), CRIA_UNSUPPORTED);
    assert_non_null(strstr(err.text, "version 0"));
    buffer_free(&bytes);
}

static void test_L03_counts(void **state) {
    (void)state;
    EXPECT("tensors: all ones", "18446744073709551615 tensors", .has_tensor_count = true, .tensor_count = UINT64_MAX);
    EXPECT("tensors above the limit", "1048577 tensors", .has_tensor_count = true,
           .tensor_count = LIMIT_GGUF_TENSORS + 1);
    EXPECT("tensors at the limit", "do not fit", .has_tensor_count = true, .tensor_count = LIMIT_GGUF_TENSORS);
    EXPECT("keys: all ones", "18446744073709551615 keys", .has_key_count = true, .key_count = UINT64_MAX);
    EXPECT("keys above the limit", "65537 keys", .has_key_count = true, .key_count = LIMIT_GGUF_KEYS + 1);
    EXPECT("one key too many", NULL, .has_tensor_count = false);
    struct buffer bytes = build_model(&(struct change){.has_tensor_count = true, .tensor_count = UINT64_MAX});
    write_file(bytes.data, bytes.n_bytes);
    buffer_free(&bytes);
    model_files *m = NULL;
    alloc_fail_at(0);
    assert_int_not_equal(model_files_open(&m, path, NULL, NULL), CRIA_OK);
    assert_true(alloc_fail_at(0) < 10); /* nothing was allocated for what the count claims */
}

/* A key of the limit's length loads, one byte more does not. */
static void expect_key_length(size_t n, const char *word) {
    char *name = alloc_array(n, 1);
    memset(name, 'k', n);
    EXPECT("key length", word, .key = "general.colour", .key_type = T_U8, BYTES("\0"), .key_name = name,
           .key_name_bytes = n);
    alloc_free(name);
}

static void expect_string_length(size_t n, const char *word) {
    struct buffer value = buffer_make((size_t)1 << 27);
    put(&value, n, 8);
    for (size_t i = 0; i < n; i++) buffer_append_char(&value, 'x');
    EXPECT("string length", word, .key = "general.text", .key_type = T_STRING, .value = value.data,
           .value_bytes = value.n_bytes);
    buffer_free(&value);
}

static void test_L04_lengths(void **state) {
    (void)state;
    expect_key_length(LIMIT_GGUF_KEY_BYTES, NULL);
    expect_key_length(LIMIT_GGUF_KEY_BYTES + 1, "at most 65535");
    expect_string_length(LIMIT_GGUF_STRING_BYTES, NULL);
    expect_string_length(LIMIT_GGUF_STRING_BYTES + 1, "at most 16777216");
    EXPECT("2^63", "9223372036854775808 bytes", .key = "general.text", .key_type = T_STRING,
           BYTES("\0\0\0\0\0\0\0\x80"));
    EXPECT("beyond the file", "only", .key = "general.text", .key_type = T_STRING, BYTES("\0\0\x10\0\0\0\0\0"));
}

static void test_L05_arrays_and_types(void **state) {
    (void)state;
    EXPECT("array of arrays", "array of arrays", .key = "general.a", .key_type = T_ARRAY,
           BYTES("\x9\0\0\0\1\0\0\0\0\0\0\0"));
    EXPECT("2^40 elements", "at most", .key = "general.a", .key_type = T_ARRAY, BYTES("\0\0\0\0\0\0\0\0\0\1\0\0"));
    EXPECT("above the limit", "67108865", .key = "general.a", .key_type = T_ARRAY, BYTES("\0\0\0\0\1\0\0\4\0\0\0\0"));
    EXPECT("more strings than bytes", "do not fit", .key = "general.a", .key_type = T_ARRAY,
           BYTES("\x8\0\0\0\0\0\0\4\0\0\0\0"));
    EXPECT("more elements than bytes", "do not fit", .key = "general.a", .key_type = T_ARRAY,
           BYTES("\xa\0\0\0\0\0\0\1\0\0\0\0"));
    EXPECT("fewer elements than bytes, but not as many bytes as they need", "do not fit", .key = "general.a",
           .key_type = T_ARRAY, BYTES("\xa\0\0\0\x88\x13\0\0\0\0\0\0"));
    EXPECT("element type 99", "type 99", .key = "general.a", .key_type = T_ARRAY, BYTES("\x63\0\0\0\1\0\0\0\0\0\0\0"));
    EXPECT("type 99", "type 99", .key = "general.a", .key_type = 99, BYTES("\0"));
    EXPECT("type -1", "type 4294967295", .key = "general.a", .key_type = UINT32_MAX, BYTES("\0"));
    EXPECT("bool 2", "bool is 2", .key = "general.a", .key_type = T_BOOL, BYTES("\2"));
    EXPECT("bool 2 in an array", "bool is 2", .key = "general.a", .key_type = T_ARRAY,
           BYTES("\7\0\0\0\2\0\0\0\0\0\0\0\1\2"));
}

static void test_L06_keys(void **state) {
    (void)state;
    EXPECT("twice", "comes twice", .key = "general.colour", .key_type = T_U8, BYTES("\0"), .key_name = "general.name",
           .key_name_bytes = 12);
    EXPECT("empty", "empty", .key = "general.colour", .key_type = T_U8, BYTES("\0"), .key_name = "",
           .key_name_bytes = 0);
    EXPECT("not UTF-8", "UTF-8", .key = "general.colour", .key_type = T_U8, BYTES("\0"), .key_name = "a\xff",
           .key_name_bytes = 2);
    EXPECT("NUL", "0x00", .key = "general.colour", .key_type = T_U8, BYTES("\0"), .key_name = "a\0b",
           .key_name_bytes = 3);
}

static void test_L07_required_keys(void **state) {
    (void)state;
    static const char *const required[] = {"general.architecture",
                                           "llama.block_count",
                                           "llama.context_length",
                                           "llama.embedding_length",
                                           "llama.feed_forward_length",
                                           "llama.attention.head_count",
                                           "llama.attention.layer_norm_rms_epsilon"};
    for (size_t i = 0; i < sizeof required / sizeof required[0]; i++) {
        EXPECT(required[i], required[i], .key = required[i], .is_missing = true);
        EXPECT("as an array", required[i], .key = required[i], .key_type = T_ARRAY,
               BYTES("\4\0\0\0\2\0\0\0\0\0\0\0\1\0\0\0\2\0\0\0"));
        EXPECT("as a bool", required[i], .key = required[i], .key_type = T_BOOL, BYTES("\1"));
    }
    for (size_t i = 1; i < 6; i++) {
        EXPECT("number as a string", "a string", .key = required[i], .key_type = T_STRING,
               BYTES("\1\0\0\0\0\0\0\0"
                     "1"));
        EXPECT("negative", "-1", .key = required[i], .key_type = T_I32, BYTES("\xff\xff\xff\xff"));
        EXPECT("a float", "float", .key = required[i], F32(1.0f));
    }
    EXPECT("epsilon as an integer", "expected a float", .key = "llama.attention.layer_norm_rms_epsilon", U32(1));
    EXPECT("another architecture", "\"qwen2\"", .key = "general.architecture", .key_type = T_STRING,
           BYTES("\5\0\0\0\0\0\0\0qwen2"));
    EXPECT("experts", "expert_count", .key = "llama.expert_count", U32(8));
    EXPECT("yarn", "\"yarn\"", .key = "llama.rope.scaling.type", .key_type = T_STRING, BYTES("\4\0\0\0\0\0\0\0yarn"));
    EXPECT("an adapter", "adapter", .key = "general.type", .key_type = T_STRING, BYTES("\7\0\0\0\0\0\0\0adapter"));
}

static void test_L08_alignment(void **state) {
    (void)state;
    static const uint32_t wrong[] = {0, 1, 2, 4, 12, 13, 1u << 31, 2 * LIMIT_GGUF_MAX_ALIGNMENT};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        EXPECT("alignment", "general.alignment", .key = "general.alignment", U32(wrong[i]));
    }
    EXPECT("as a float", "general.alignment", .key = "general.alignment", F32(32.0f));
    EXPECT("as a string", "general.alignment", .key = "general.alignment", .key_type = T_STRING,
           BYTES("\2\0\0\0\0\0\0\0"
                 "32"));
}

static void test_L09_dimensions(void **state) {
    (void)state;
    const char *const q = "blk.0.attn_q.weight";
    EXPECT("5 dimensions", "5 dimensions", .tensor = q, .n_dims = 5, .dims = {32, 1, 1, 1, 1});
    EXPECT("2^32-1 dimensions", "4294967295 dimensions", .tensor = q, .n_dims = UINT32_MAX);
    EXPECT("dimension 0", "dimension 1 is 0", .tensor = q, .n_dims = 2, .dims = {32, 0});
    EXPECT("negative dimension", "dimension 0 is -32", .tensor = q, .n_dims = 2, .dims = {(uint64_t)-32, 32});
    EXPECT("elements overflow", "more elements", .tensor = q, .n_dims = 4,
           .dims = {(uint64_t)1 << 40, (uint64_t)1 << 40, 2, 2});
    EXPECT("bytes overflow", "more elements", .tensor = "output_norm.weight", .n_dims = 1, .dims = {(uint64_t)1 << 62});
    EXPECT("just below", "beyond the end", .tensor = "output_norm.weight", .n_dims = 1,
           .dims = {((uint64_t)1 << 61) - 1});
    EXPECT("a matrix with one dimension", "1 dimensions", .tensor = q, .n_dims = 1, .dims = {1024});
    EXPECT("transposed", "64 of 32", .tensor = "blk.0.ffn_gate.weight", .n_dims = 2, .dims = {64, 32});
    struct buffer bytes = build_model(NULL); /* no builder makes 0 dimensions: patch it */
    char *name = memmem(bytes.data, bytes.n_bytes, q, strlen(q));
    name[strlen(q)] = 0;
    struct cria_error err = {0};
    assert_int_equal(use_bytes(bytes.data, bytes.n_bytes, &err), CRIA_FORMAT);
    assert_non_null(strstr(err.text, "0 dimensions"));
    buffer_free(&bytes);
}

static void test_L10_types(void **state) {
    (void)state;
    const char *const q = "blk.0.attn_q.weight";
    static const uint32_t removed[] = {4, 5, 31, 32, 33, 36, 37, 38, 43, 99, UINT32_MAX};
    for (size_t i = 0; i < sizeof removed / sizeof removed[0]; i++) {
        EXPECT("removed", "unknown type", .tensor = q, .has_type = true, .tensor_type = removed[i]);
    }
    EXPECT("a type that is not read", "IQ4_NL", .tensor = q, .has_type = true, .tensor_type = 20);
    EXPECT("names the tensor", q, .tensor = q, .has_type = true, .tensor_type = 23);
    EXPECT("part of a block", "no multiple", .tensor = q, .n_dims = 2, .dims = {33, 31});
}

static void test_L11_offsets(void **state) {
    (void)state;
    const char *const q = "blk.0.attn_q.weight";
    EXPECT("unaligned", "multiple of the alignment", .tensor = q, .has_offset = true, .offset = 33);
    EXPECT("beyond the end", "beyond the end", .tensor = q, .has_offset = true, .offset = 1 << 20);
    EXPECT("wraps around", "beyond the end", .tensor = q, .has_offset = true, .offset = (uint64_t)-32);
    EXPECT("overlap", "overlap", .tensor = q, .has_offset = true, .offset = 32);
    EXPECT("overlap of the last 32 bytes", "overlap", .tensor = "output_norm.weight", .has_offset = true,
           .offset = 18976);
    EXPECT("its own place", NULL, .tensor = "output_norm.weight", .has_offset = true, .offset = 19008);
    EXPECT("the same place", "overlap", .tensor = q, .has_offset = true, .offset = 0);
}

static void test_L12_tensor_names(void **state) {
    (void)state;
    const char *const q = "blk.0.attn_q.weight";
    char longest[64];
    memset(longest, 'n', sizeof longest);
    EXPECT("twice", "comes twice", .tensor = q, .tensor_is_twice = true);
    EXPECT("NUL", "0x00", .tensor = q, .tensor_name = "a\0b", .tensor_name_bytes = 3);
    EXPECT("newline", "0x0a", .tensor = q, .tensor_name = "a\nb", .tensor_name_bytes = 3);
    EXPECT("escape", "0x1b", .tensor = q, .tensor_name = "\x1b[31m", .tensor_name_bytes = 5);
    EXPECT("not UTF-8", "UTF-8", .tensor = q, .tensor_name = "\xc3(", .tensor_name_bytes = 2);
    EXPECT("empty", "empty", .tensor = q, .tensor_name = "", .tensor_name_bytes = 0);
    EXPECT("too long", "at most 63", .tensor = q, .tensor_name = longest, .tensor_name_bytes = 64);
    EXPECT("unknown", "no part of a llama model", .tensor = q, .tensor_name = longest, .tensor_name_bytes = 63);
    EXPECT("missing", "attn_q.weight\" is missing", .tensor = q, .tensor_is_missing = true);
    EXPECT("beyond the layers", "only 1 layers", .tensor = q, .tensor_name = "blk.1.attn_q.weight",
           .tensor_name_bytes = 19);
    EXPECT("a bias", "attn_q.bias", .tensor = "blk.0.attn_norm.weight", .tensor_name = "blk.0.attn_q.bias",
           .tensor_name_bytes = 17);
}

/* Catches a read behind the end of the file, for every place where a file can end. */
static void test_L13_every_prefix(void **state) {
    (void)state;
    struct buffer bytes = build_model(NULL);
    struct cria_error err = {0};
    assert_true(bytes.n_bytes < 65536);
    assert_int_equal(use_bytes(bytes.data, bytes.n_bytes, &err), CRIA_OK);
    for (size_t n = bytes.n_bytes; n-- > 0;) {
        assert_int_equal(ftruncate(file, (off_t)n), 0);
        if (use_model(NULL, &err) == CRIA_OK) fail_msg("a prefix of %zu of %zu bytes loads", n, bytes.n_bytes);
    }
    buffer_free(&bytes);
}

/* Catches a field that is used before it is checked. */
static void test_L14_every_bit_flip(void **state) {
    (void)state;
    struct buffer bytes = build_model(NULL);
    int n_loads = 0;
    write_file(bytes.data, bytes.n_bytes);
    for (size_t at = 0; at < 8192 && at < bytes.n_bytes; at++) {
        for (int bit = 0; bit < 8; bit++) {
            const char changed = (char)(bytes.data[at] ^ 1 << bit);
            assert_int_equal(pwrite(file, &changed, 1, (off_t)at), 1);
            struct cria_error err = {0};
            const cria_status status = use_model(NULL, &err);
            n_loads += status == CRIA_OK;
            if (status == CRIA_INTERNAL || (status != CRIA_OK && !err.text[0]))
                fail_msg("byte %zu, bit %d: %s", at, bit, err.text);
        }
        assert_int_equal(pwrite(file, bytes.data + at, 1, (off_t)at), 1);
    }
    assert_true(n_loads > 0); /* a flip in a token's letter, say */
    buffer_free(&bytes);
}

struct row {
    const void *stored;
    float *values;
};

static void *read_row(void *arg) {
    const struct row *r = arg;
    dtype_row_to_f32(DTYPE_Q4_0, r->stored, BUILD_WIDTH, r->values);
    return NULL;
}

/* Catches a SIGBUS where the file is cut or replaced after it was opened. */
static void test_L15_file_cut_after_open(void **state) {
    (void)state;
    struct buffer bytes = build_model(NULL);
    struct cria_error err = {0};
    uint8_t digest[32], row[64];
    write_file(bytes.data, bytes.n_bytes);
    model_files *m = NULL;
    assert_int_equal(model_files_open(&m, path, NULL, &err), CRIA_OK);
    const struct model_tensor down = model_files_tensor(m, ARCH_W_DOWN, 0);
    assert_int_equal(ftruncate(file, 100), 0);
    assert_int_equal(model_files_digest(m, digest, &err), CRIA_IO);
    assert_non_null(strstr(err.text, path));
    assert_int_equal(model_files_read(m, &down, 0, 18, row, &err), CRIA_IO);
    tokenizer *t = NULL;
    assert_int_equal(model_files_tokenizer(m, &t, &err), CRIA_OK); /* from the copy of the header */
    tokenizer_destroy(&t);
    model_files_close(&m);
    /* The same for readers of many threads: zeros, and an error at the end. */
    write_file(bytes.data, bytes.n_bytes);
    assert_int_equal(model_files_open(&m, path, NULL, &err), CRIA_OK);
    model_files_watch(m);
    assert_int_equal(model_files_unwatch(m, &err), CRIA_OK);
    const struct model_tensor up = model_files_tensor(m, ARCH_W_UP, 0);
    model_files_watch(m);
    assert_int_equal(ftruncate(file, 100), 0);
    float values[BUILD_WIDTH];
    pthread_t reader;
    struct row row_of_up = {up.data, values};
    assert_int_equal(pthread_create(&reader, NULL, read_row, &row_of_up), 0);
    assert_int_equal(pthread_join(reader, NULL), 0);
    assert_true(values[0] == 0.0f);
    assert_int_equal(model_files_unwatch(m, &err), CRIA_IO);
    assert_non_null(strstr(err.text, "cut"));
    assert_int_equal(model_files_digest(m, digest, &err), CRIA_IO);
    model_files_close(&m);
    /* Replaced: the open descriptor still has the old file. */
    write_file(bytes.data, bytes.n_bytes);
    assert_int_equal(model_files_open(&m, path, NULL, &err), CRIA_OK);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(model_files_digest(m, digest, &err), CRIA_OK);
    model_files_close(&m);
    close(file);
    file = open(path, O_RDWR | O_CREAT, 0600);
    buffer_free(&bytes);
}

static void test_L16_relations(void **state) {
    (void)state;
    EXPECT("heads do not divide the width", "no multiple of the number of heads", .key = "llama.attention.head_count",
           U32(5));
    EXPECT("more kv heads than heads", "no multiple of the number of key/value heads",
           .key = "llama.attention.head_count_kv", U32(8));
    EXPECT("2^31 layers", "layers", .key = "llama.block_count", U32(1u << 31));
    EXPECT("0 layers", "layers", .key = "llama.block_count", U32(0));
    EXPECT("2 layers", "blk.1", .key = "llama.block_count", U32(2));
    EXPECT("vocabulary and rows", "288", .key = "llama.vocab_size", U32(287));
    EXPECT("rope dimensions above the head size", "head size is 8", .key = "llama.rope.dimension_count", U32(16));
    EXPECT("partial rotation", "partial rotation", .key = "llama.rope.dimension_count", U32(4));
    EXPECT("context 0", "context length is 0", .key = "llama.context_length", U32(0));
    EXPECT("context 2^31", "2147483648", .key = "llama.context_length", U32(1u << 31));
    EXPECT("epsilon 0", "epsilon", .key = "llama.attention.layer_norm_rms_epsilon", F32(0.0f));
    EXPECT("negative epsilon", "epsilon", .key = "llama.attention.layer_norm_rms_epsilon", F32(-1e-5f));
    EXPECT("NaN epsilon", "epsilon", .key = "llama.attention.layer_norm_rms_epsilon", F32(NAN));
    EXPECT("NaN rope base", "theta", .key = "llama.rope.freq_base", F32(NAN));
    EXPECT("rope base 0", "theta", .key = "llama.rope.freq_base", F32(0.0f));
    EXPECT("another key length", "attention.value_length", .key = "llama.attention.value_length", U32(16));
    EXPECT("divisors", NULL, .has_rope = true, .tensor = "rope_freqs.weight", .n_dims = 1, .dims = {4},
           .has_type = true, .tensor_type = 0);
    EXPECT("too few divisors", "half a head", .has_rope = true, .tensor = "rope_freqs.weight", .n_dims = 1,
           .dims = {3});
    EXPECT("no embedding", "token_embd.weight", .tensor = "token_embd.weight", .tensor_is_missing = true);
}

static void test_L17_split_files(void **state) {
    (void)state;
    EXPECT("part of three that does not say which", "split.no", .key = "split.count", .key_type = T_U16, BYTES("\3\0"));
    EXPECT("no parts", "split.count", .key = "split.count", .key_type = T_U16, BYTES("\0\0"));
    EXPECT("more parts than are read", "1 to 1024", .key = "split.count", .key_type = T_U16, BYTES("\1\4"));
    EXPECT("as a string", "split.count", .key = "split.count", .key_type = T_STRING,
           BYTES("\1\0\0\0\0\0\0\0"
                 "3"));
}

static void test_L18_only_regular_files(void **state) {
    (void)state;
    char other[96];
    model_files *m = NULL;
    struct cria_error err = {0};
    snprintf(other, sizeof other, "%s/other.gguf", folder);
    assert_int_equal(symlink("/dev/zero", other), 0);
    assert_int_not_equal(model_files_open(&m, other, NULL, &err), CRIA_OK);
    assert_int_equal(unlink(other), 0);
    assert_int_equal(mkfifo(other, 0600), 0);
    assert_int_not_equal(model_files_open(&m, other, NULL, &err), CRIA_OK); /* and does not wait for a writer */
    assert_int_equal(unlink(other), 0);
    assert_int_not_equal(model_files_open(&m, "/proc/self/mem", NULL, &err), CRIA_OK);
    assert_int_not_equal(model_files_open(&m, folder, NULL, &err), CRIA_OK);
    assert_non_null(strstr(err.text, "model.gguf")); /* a directory with a GGUF file: says which file to name */
    struct buffer bytes = build_model(NULL);
    write_file(bytes.data, bytes.n_bytes);
    buffer_free(&bytes);
    assert_int_equal(symlink(path, other), 0);
    assert_int_equal(model_files_open(&m, other, NULL, &err), CRIA_OK);
    model_files_close(&m);
    assert_int_equal(unlink(other), 0);
}

/* Catches weights that are not numbers passing the check that was asked for. */
static void test_L19_numbers(void **state) {
    (void)state;
    const struct model_open_options check = {.check_tensors = true};
    struct buffer bytes = build_model(NULL);
    struct cria_error err = {0};
    write_file(bytes.data, bytes.n_bytes);
    model_files *m = NULL;
    assert_int_equal(use_model(&check, &err), CRIA_OK);
    assert_int_equal(model_files_open(&m, path, NULL, &err), CRIA_OK);
    static const enum arch_weight kinds[] = {ARCH_W_EMBEDDING, ARCH_W_Q, ARCH_W_O, ARCH_W_FINAL_NORM};
    size_t places[4];
    for (int i = 0; i < 4; i++) {
        const struct model_tensor t = model_files_tensor(m, kinds[i], 0);
        const uint8_t *found = memmem(bytes.data, bytes.n_bytes, t.data, t.n_bytes);
        places[i] = (size_t)(found - (const uint8_t *)bytes.data) + (t.dtype == DTYPE_F32 ? 2 : 0);
    }
    model_files_close(&m);
    for (int i = 0; i < 4; i++) {
        static const uint8_t infinity_f16[] = {0x00, 0x7c}, nan_f32[] = {0xc0, 0x7f};
        assert_int_equal(pwrite(file, i < 2 ? infinity_f16 : nan_f32, 2, (off_t)places[i]), 2);
        assert_int_equal(use_model(&check, &err), CRIA_NUMERIC);
        assert_non_null(strstr(err.text, "NaN or infinity in row 0"));
        assert_int_equal(use_model(NULL, &err), CRIA_OK);
        assert_int_equal(pwrite(file, bytes.data + places[i], 2, (off_t)places[i]), 2);
    }
    buffer_free(&bytes);
}

/* A token of any bytes is refused or inert: the whole of use_model() has to survive it. */
static void test_L20_tokens(void **state) {
    (void)state;
    char *vast = alloc_array(1 << 20, 1);
    memset(vast, 'a', 1 << 20);
    const struct {
        const char *bytes;
        size_t n;
    } tokens[] = {{"", 0}, {vast, 1 << 20}, {"\xff\xfe", 2}, {"a", 1}, {"<s>", 3}, {"a\0b", 3}};
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        struct buffer bytes = build_model(&(struct change){.token = tokens[i].bytes, .token_bytes = tokens[i].n});
        struct cria_error err = {0};
        (void)!use_bytes(bytes.data, bytes.n_bytes, &err);
        buffer_free(&bytes);
    }
    alloc_free(vast);
    static const char *const byte_tokens[] = {"<0x+1>", "<0x 1>", "<0xGG>", "<0x-1>", "<0x100>", "<0x>", "<0x41"};
    for (size_t i = 0; i < sizeof byte_tokens / sizeof byte_tokens[0]; i++) {
        struct buffer bytes = build_model(&(struct change){.byte_token = byte_tokens[i]});
        struct cria_error err = {0};
        (void)!use_bytes(bytes.data, bytes.n_bytes, &err);
        buffer_free(&bytes);
    }
}

static void test_L21_special_ids(void **state) {
    (void)state;
    static const char *const keys[] = {"tokenizer.ggml.bos_token_id",     "tokenizer.ggml.eos_token_id",
                                       "tokenizer.ggml.unknown_token_id", "tokenizer.ggml.padding_token_id",
                                       "tokenizer.ggml.eot_token_id",     "tokenizer.ggml.eom_token_id"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        EXPECT("at the vocabulary's size", keys[i], .key = keys[i], U32(BUILD_VOCAB));
        EXPECT("negative", keys[i], .key = keys[i], .key_type = T_I32, BYTES("\xff\xff\xff\xff"));
        EXPECT("as a string", keys[i], .key = keys[i], .key_type = T_STRING,
               BYTES("\1\0\0\0\0\0\0\0"
                     "1"));
    }
    EXPECT("the last one", NULL, .key = "tokenizer.ggml.eot_token_id", U32(BUILD_VOCAB - 1));
}

static void test_vocabulary_arrays(void **state) {
    (void)state;
    EXPECT("another number of scores", "one for each token", .key = "tokenizer.ggml.scores", .key_type = T_ARRAY,
           BYTES("\6\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0"));
    EXPECT("types as floats", "integers", .key = "tokenizer.ggml.token_type", .key_type = T_ARRAY,
           .value = (const uint32_t[BUILD_VOCAB + 3]){T_F32, BUILD_VOCAB, 0}, .value_bytes = 4 * (BUILD_VOCAB + 3));
    EXPECT("tokens as integers", "array of strings", .key = "tokenizer.ggml.tokens", .key_type = T_ARRAY,
           BYTES("\4\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0"));
    EXPECT("one token", "1 tokens", .key = "tokenizer.ggml.tokens", .key_type = T_ARRAY,
           BYTES("\x8\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0a"));
    EXPECT("a template that is no text", "UTF-8", .key = "tokenizer.chat_template", .key_type = T_STRING,
           BYTES("\1\0\0\0\0\0\0\0\xff"));
}

/* Catches a check that grows with the square of the vocabulary: metadata of 128,256 tokens in 0.3 s. */
static void test_L22_large_vocabulary(void **state) {
    (void)state;
    enum { TOKENS = 128256, MERGES = 280147 };
    struct buffer file_bytes = buffer_make((size_t)1 << 26), keys = buffer_make((size_t)1 << 26);
    static const char *const names[] = {"tokenizer.ggml.tokens", "tokenizer.ggml.merges"};
    for (int list = 0; list < 2; list++) {
        const uint32_t n = list ? MERGES : TOKENS;
        put_string(&keys, names[list], strlen(names[list]));
        put(&keys, T_ARRAY, 4), put(&keys, T_STRING, 4), put(&keys, n, 8);
        for (uint32_t i = 0; i < n; i++) {
            char text[32];
            const int length = snprintf(text, sizeof text, "t%u abc%u", i, i);
            put_string(&keys, text, (size_t)length);
        }
    }
    buffer_append(&file_bytes, "GGUF", 4);
    put(&file_bytes, 3, 4), put(&file_bytes, 0, 8), put(&file_bytes, 2, 8);
    buffer_append(&file_bytes, keys.data, keys.n_bytes);
    write_file(file_bytes.data, file_bytes.n_bytes);
    buffer_free(&keys);
    buffer_free(&file_bytes);
    const struct model_open_options only_text = {.only_text = true};
    struct cria_error err = {0};
    model_files *m = NULL;
    const double start = clock_cpu_seconds();
    assert_int_equal(model_files_open(&m, path, &only_text, &err), CRIA_OK);
    const double seconds = clock_cpu_seconds() - start;
    assert_int_equal(model_files_config(m)->n_vocab, TOKENS);
    model_files_close(&m);
    print_message("metadata of %d tokens: %.1f ms\n", TOKENS, 1e3 * seconds);
    assert_true(seconds < 0.3);
}

/* A file of n keys and nothing else, opened for its text. */
static cria_status open_keys(uint32_t n, struct cria_error *err) {
    struct buffer bytes = buffer_make(1 << 24);
    buffer_append(&bytes, "GGUF", 4);
    put(&bytes, 3, 4), put(&bytes, 0, 8), put(&bytes, n, 8);
    for (uint32_t i = 0; i < n; i++) {
        char name[16];
        const int length = snprintf(name, sizeof name, "key.%u", i);
        put_string(&bytes, name, (size_t)length);
        put(&bytes, T_U8, 4), put(&bytes, 7, 1);
    }
    write_file(bytes.data, bytes.n_bytes);
    buffer_free(&bytes);
    const struct model_open_options only_text = {.only_text = true};
    model_files *m = NULL;
    const cria_status status = model_files_open(&m, path, &only_text, err);
    model_files_close(&m);
    return status;
}

/* Catches a limit that is off by one: at it a file is right, above it it is not. */
static void test_limits(void **state) {
    (void)state;
    struct cria_error err = {0};
    assert_int_equal(open_keys(LIMIT_GGUF_KEYS, &err), CRIA_OK);
    assert_int_equal(open_keys(LIMIT_GGUF_KEYS + 1, &err), CRIA_LIMIT);
    for (size_t n = LIMIT_TEMPLATE_BYTES; n <= LIMIT_TEMPLATE_BYTES + 1; n++) {
        struct buffer value = buffer_make((size_t)1 << 22);
        put(&value, n, 8);
        for (size_t i = 0; i < n; i++) buffer_append_char(&value, 'x');
        EXPECT("template", n > LIMIT_TEMPLATE_BYTES ? "chat template has 1048577 bytes" : NULL,
               .key = "tokenizer.chat_template", .key_type = T_STRING, .value = value.data,
               .value_bytes = value.n_bytes);
        buffer_free(&value);
    }
}

static uint32_t next(uint32_t *random) {
    *random = *random * 1664525u + 1013904223u;
    return *random >> 8;
}

/* Mutants that keep the form: whole fields get values at which arithmetic breaks, and pieces are moved about. */
static void test_random_mutants(void **state) {
    (void)state;
    static const uint64_t values[] = {0,          1,
                                      2,          7,
                                      8,          9,
                                      31,         32,
                                      63,         64,
                                      127,        128,
                                      255,        256,
                                      65535,      65536,
                                      INT32_MAX,  (uint64_t)INT32_MAX + 1,
                                      UINT32_MAX, (uint64_t)UINT32_MAX + 1,
                                      INT64_MAX,  (uint64_t)INT64_MAX + 1,
                                      UINT64_MAX, UINT64_MAX - 31};
    print_message("seed %u\n", SEED);
    uint32_t random = SEED;
    struct buffer bytes = build_model(&(struct change){.has_rope = true});
    char *mutant = alloc_array(bytes.n_bytes, 1);
    for (int round = 0; round < 20000; round++) {
        memcpy(mutant, bytes.data, bytes.n_bytes);
        for (uint32_t n = 1 + next(&random) % 3; n > 0; n--) {
            const size_t head = 24, span = 10000 - head;
            const size_t at = head + next(&random) % span, width = (size_t)1 << next(&random) % 4;
            if (next(&random) % 4) {
                const uint64_t value = values[next(&random) % (sizeof values / sizeof values[0])];
                memcpy(mutant + at, &value, width);
            } else {
                const size_t from = head + next(&random) % span, length = next(&random) % 64;
                memmove(mutant + at, mutant + from, length);
            }
        }
        struct cria_error err = {0};
        const cria_status status = use_bytes(mutant, bytes.n_bytes, &err);
        if (status == CRIA_INTERNAL) fail_msg("round %d: %s", round, err.text);
    }
    alloc_free(mutant);
    buffer_free(&bytes);
}

/* Catches a leak, or a crash, where memory ends at any allocation. */
static void test_no_memory(void **state) {
    (void)state;
    struct buffer bytes = build_model(&(struct change){.has_rope = true});
    write_file(bytes.data, bytes.n_bytes);
    buffer_free(&bytes);
    for (uint64_t n = 1;; n++) {
        model_files *m = NULL;
        alloc_fail_at(n);
        const cria_status status = model_files_open(&m, path, NULL, NULL);
        const uint64_t count = alloc_fail_at(0);
        model_files_close(&m);
        if (count < n) break;
        assert_int_equal(status, CRIA_NOMEM);
    }
}

/* Catches memory that follows what a file claims: the whole program stays within its own few megabytes. */
static void test_memory_stayed_small(void **state) {
    (void)state;
    struct rusage usage;
    assert_int_equal(getrusage(RUSAGE_SELF, &usage), 0);
    print_message("at most %ld MiB\n", usage.ru_maxrss / 1024);
#if !IS_SANITIZED
    assert_true(usage.ru_maxrss < 192 * 1024); /* builders and files of 16 MiB strings included */
#endif
}

int main(void) {
    /* The first: cmocka puts a SIGBUS handler of its own over the one that the first guard installs. */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_L15_file_cut_after_open),
        cmocka_unit_test(test_right_files_load),
        cmocka_unit_test(test_L01_L02_magic_and_version),
        cmocka_unit_test(test_L03_counts),
        cmocka_unit_test(test_L04_lengths),
        cmocka_unit_test(test_L05_arrays_and_types),
        cmocka_unit_test(test_L06_keys),
        cmocka_unit_test(test_L07_required_keys),
        cmocka_unit_test(test_L08_alignment),
        cmocka_unit_test(test_L09_dimensions),
        cmocka_unit_test(test_L10_types),
        cmocka_unit_test(test_L11_offsets),
        cmocka_unit_test(test_L12_tensor_names),
        cmocka_unit_test(test_L13_every_prefix),
        cmocka_unit_test(test_L14_every_bit_flip),
        cmocka_unit_test(test_L16_relations),
        cmocka_unit_test(test_L17_split_files),
        cmocka_unit_test(test_L18_only_regular_files),
        cmocka_unit_test(test_L19_numbers),
        cmocka_unit_test(test_L20_tokens),
        cmocka_unit_test(test_L21_special_ids),
        cmocka_unit_test(test_vocabulary_arrays),
        cmocka_unit_test(test_L22_large_vocabulary),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_random_mutants),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_memory_stayed_small),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
