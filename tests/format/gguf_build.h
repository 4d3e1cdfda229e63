/* gguf_build.h: writes small GGUF files, right or wrong in one chosen place.
 *
 * build_model() gives a whole tiny llama model with a SentencePiece vocabulary. A struct change says what is to be
 * different: a key (left out, or with another type and value), a tensor (type, dimensions, offset, name), or a number
 * of the header. It shares no code with the reader, so that both cannot be wrong in the same way. */
#ifndef TESTS_FORMAT_GGUF_BUILD_H
#define TESTS_FORMAT_GGUF_BUILD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"

enum build_type { T_U8, T_I8, T_U16, T_I16, T_U32, T_I32, T_F32, T_BOOL, T_STRING, T_ARRAY, T_U64, T_I64, T_F64 };

#define BUILD_VOCAB 288
#define BUILD_WIDTH 32
#define BUILD_FF 64

struct change {
    const char *key; /* the key to change, or to add where the model has none of this name */
    bool is_missing; /* it is left out */
    uint32_t key_type;
    const void *value; /* raw bytes behind the type */
    size_t value_bytes;
    const char *key_name; /* its new name */
    size_t key_name_bytes;
    const char *tensor; /* the tensor to change */
    bool tensor_is_missing, tensor_is_twice, has_offset, has_type;
    uint32_t tensor_type, n_dims; /* n_dims 0: as it is */
    uint64_t dims[8], offset;
    const char *tensor_name; /* its new name */
    size_t tensor_name_bytes;
    uint32_t version; /* 0: 3 */
    bool has_tensor_count, has_key_count;
    uint64_t tensor_count, key_count;
    uint64_t gap;       /* bytes between tensors, a multiple of the alignment */
    uint64_t alignment; /* 0: 32, no key */
    bool is_untied, has_rope;
    const char *token; /* token number 270 */
    size_t token_bytes;
    const char *byte_token; /* the token of byte 0x41 */
};

struct build {
    const struct change *change;
    struct buffer keys, tensors, data; /* owned */
    uint64_t n_keys, n_tensors;
    bool key_was_there;
};

static inline void put(struct buffer *b, uint64_t value, int n_bytes) {
    for (int i = 0; i < n_bytes; i++) buffer_append_char(b, (char)(value >> (8 * i)));
}

static inline void put_string(struct buffer *b, const char *bytes, size_t n) {
    put(b, n, 8);
    buffer_append(b, bytes, n);
}

static inline void add_key(struct build *b, const char *name, uint32_t type, const void *value, size_t n) {
    const struct change *c = b->change;
    const bool is_changed = c->key && strcmp(c->key, name) == 0;
    if (is_changed) b->key_was_there = true;
    if (is_changed && c->is_missing) return;
    b->n_keys++;
    if (is_changed && c->key_name) {
        put_string(&b->keys, c->key_name, c->key_name_bytes);
    } else {
        put_string(&b->keys, name, strlen(name));
    }
    const bool has_value = is_changed && (c->value || c->key_type);
    put(&b->keys, has_value ? c->key_type : type, 4);
    buffer_append(&b->keys, has_value ? c->value : value, has_value ? c->value_bytes : n);
}

static inline void add_u32(struct build *b, const char *name, uint32_t value) { add_key(b, name, T_U32, &value, 4); }

static inline void add_f32(struct build *b, const char *name, float value) { add_key(b, name, T_F32, &value, 4); }

static inline void add_string(struct build *b, const char *name, const char *text) {
    struct buffer value = buffer_make(1 << 20);
    put_string(&value, text, strlen(text));
    add_key(b, name, T_STRING, value.data, value.n_bytes);
    buffer_free(&value);
}

/* The pieces of a little SentencePiece vocabulary: three special ones, 256 bytes, and letters. */
static inline void add_vocabulary(struct build *b) {
    const struct change *c = b->change;
    struct buffer tokens = buffer_make(1 << 20), scores = buffer_make(1 << 20), types = buffer_make(1 << 20);
    put(&tokens, T_STRING, 4), put(&tokens, BUILD_VOCAB, 8);
    put(&scores, T_F32, 4), put(&scores, BUILD_VOCAB, 8);
    put(&types, T_I32, 4), put(&types, BUILD_VOCAB, 8);
    for (uint32_t i = 0; i < BUILD_VOCAB; i++) {
        static const char *const special[] = {"<unk>", "<s>", "</s>"};
        char text[16];
        if (i < 3) {
            snprintf(text, sizeof text, "%s", special[i]);
        } else if (i < 259) {
            snprintf(text, sizeof text, "<0x%02X>", i - 3);
        } else if (i == 259) {
            snprintf(text, sizeof text, "\xe2\x96\x81");
        } else {
            snprintf(text, sizeof text, "%c", (char)('a' + (i - 260) % 26) - (i >= 286 ? 32 : 0));
        }
        if (i == 3 + 0x41 && c->byte_token) {
            put_string(&tokens, c->byte_token, strlen(c->byte_token));
        } else if (i == 270 && c->token) {
            put_string(&tokens, c->token, c->token_bytes);
        } else {
            put_string(&tokens, text, strlen(text));
        }
        const float score = -(float)i;
        buffer_append(&scores, &score, 4);
        put(&types, i == 0 ? 2 : i < 3 ? 3 : i < 259 ? 6 : 1, 4);
    }
    add_key(b, "tokenizer.ggml.tokens", T_ARRAY, tokens.data, tokens.n_bytes);
    add_key(b, "tokenizer.ggml.scores", T_ARRAY, scores.data, scores.n_bytes);
    add_key(b, "tokenizer.ggml.token_type", T_ARRAY, types.data, types.n_bytes);
    buffer_free(&tokens);
    buffer_free(&scores);
    buffer_free(&types);
}

static inline void add_tensor(struct build *b, const char *name, uint32_t type, uint64_t columns, uint64_t rows) {
    const struct change *c = b->change;
    const bool is_changed = c->tensor && strcmp(c->tensor, name) == 0;
    const uint64_t alignment = c->alignment ? c->alignment : 32, offset = b->data.n_bytes;
    if (is_changed && c->tensor_is_missing) return;
    const bool is_ones = strcmp(name, "rope_freqs.weight") == 0;
    const uint64_t elements = columns * (rows ? rows : 1);
    const uint64_t n_bytes = type == 0 ? 4 * elements : type == 8 ? elements / 32 * 34 : elements / 32 * 18;
    for (int copy = 0; copy < 1 + (is_changed && c->tensor_is_twice); copy++) {
        b->n_tensors++;
        if (is_changed && c->tensor_name) {
            put_string(&b->tensors, c->tensor_name, c->tensor_name_bytes);
        } else {
            put_string(&b->tensors, name, strlen(name));
        }
        const uint64_t own[2] = {columns, rows};
        const uint32_t n_dims = is_changed && c->n_dims ? c->n_dims : rows ? 2 : 1;
        const uint64_t *dims = is_changed && c->n_dims ? c->dims : own;
        put(&b->tensors, n_dims, 4);
        for (uint32_t i = 0; i < n_dims && i < 8; i++) put(&b->tensors, dims[i], 8);
        put(&b->tensors, is_changed && c->has_type ? c->tensor_type : type, 4);
        put(&b->tensors, is_changed && c->has_offset ? c->offset : offset, 8);
    }
    for (uint64_t i = 0; i < n_bytes; i++) {
        /* f32: small numbers; blocks: scale 2^-6 and any codes. */
        const uint64_t block = type == 8 ? 34 : 18;
        char byte = (char)((i * 37 + offset) & 0xff);
        if (is_ones) byte = "\0\0\x80\x3f"[i % 4];
        else if (type == 0) byte = i % 4 == 3 ? 0x3c : i % 4 == 2 ? (char)(i & 0x7f) : byte;
        if (type != 0 && i % block < 2) byte = i % block ? 0x24 : 0;
        buffer_append_char(&b->data, byte);
    }
    while (b->data.n_bytes % alignment) buffer_append_char(&b->data, 0);
    for (uint64_t i = 0; i < c->gap; i++) buffer_append_char(&b->data, 0x55);
}

static inline void add_tensors(struct build *b) {
    enum { F32 = 0, Q4_0 = 2, Q8_0 = 8 };
    add_tensor(b, "token_embd.weight", Q8_0, BUILD_WIDTH, BUILD_VOCAB);
    if (b->change->has_rope) add_tensor(b, "rope_freqs.weight", F32, 4, 0);
    add_tensor(b, "blk.0.attn_norm.weight", F32, BUILD_WIDTH, 0);
    add_tensor(b, "blk.0.attn_q.weight", Q4_0, BUILD_WIDTH, 32);
    add_tensor(b, "blk.0.attn_k.weight", Q4_0, BUILD_WIDTH, 16);
    add_tensor(b, "blk.0.attn_v.weight", Q8_0, BUILD_WIDTH, 16);
    add_tensor(b, "blk.0.attn_output.weight", F32, 32, BUILD_WIDTH);
    add_tensor(b, "blk.0.ffn_norm.weight", F32, BUILD_WIDTH, 0);
    add_tensor(b, "blk.0.ffn_gate.weight", Q4_0, BUILD_WIDTH, BUILD_FF);
    add_tensor(b, "blk.0.ffn_up.weight", Q4_0, BUILD_WIDTH, BUILD_FF);
    add_tensor(b, "blk.0.ffn_down.weight", Q4_0, BUILD_FF, BUILD_WIDTH);
    add_tensor(b, "output_norm.weight", F32, BUILD_WIDTH, 0);
    if (b->change->is_untied) add_tensor(b, "output.weight", Q8_0, BUILD_WIDTH, BUILD_VOCAB);
}

static inline void add_keys(struct build *b) {
    const struct change *c = b->change;
    add_string(b, "general.architecture", "llama");
    add_string(b, "general.name", "tiny");
    if (c->alignment) add_u32(b, "general.alignment", (uint32_t)c->alignment);
    add_u32(b, "llama.block_count", 1);
    add_u32(b, "llama.context_length", 512);
    add_u32(b, "llama.embedding_length", BUILD_WIDTH);
    add_u32(b, "llama.feed_forward_length", BUILD_FF);
    add_u32(b, "llama.attention.head_count", 4);
    add_u32(b, "llama.attention.head_count_kv", 2);
    add_f32(b, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    add_u32(b, "llama.rope.dimension_count", 8);
    add_f32(b, "llama.rope.freq_base", 10000.0f);
    add_u32(b, "llama.vocab_size", BUILD_VOCAB);
    add_string(b, "tokenizer.ggml.model", "llama");
    add_vocabulary(b);
    add_u32(b, "tokenizer.ggml.bos_token_id", 1);
    add_u32(b, "tokenizer.ggml.eos_token_id", 2);
    add_u32(b, "tokenizer.ggml.unknown_token_id", 0);
    const uint8_t yes = 1;
    add_key(b, "tokenizer.ggml.add_bos_token", T_BOOL, &yes, 1);
    add_string(b, "tokenizer.chat_template", "{% for m in messages %}{{ m.content }}{% endfor %}");
    if (c->key && !b->key_was_there && !c->is_missing) add_key(b, c->key, c->key_type, c->value, c->value_bytes);
}

/* The bytes of a whole file; buffer_free() it. */
static inline struct buffer build_model(const struct change *change) {
    static const struct change none = {0};
    struct build b = {.change = change ? change : &none,
                      .keys = buffer_make((size_t)1 << 28),
                      .tensors = buffer_make(1 << 20),
                      .data = buffer_make(1 << 24)};
    struct buffer file = buffer_make((size_t)1 << 29);
    const struct change *c = b.change;
    add_keys(&b);
    add_tensors(&b);
    buffer_append(&file, "GGUF", 4);
    put(&file, c->version ? c->version : 3, 4);
    put(&file, c->has_tensor_count ? c->tensor_count : b.n_tensors, 8);
    put(&file, c->has_key_count ? c->key_count : b.n_keys, 8);
    buffer_append(&file, b.keys.data, b.keys.n_bytes);
    buffer_append(&file, b.tensors.data, b.tensors.n_bytes);
    while (file.n_bytes % (c->alignment ? c->alignment : 32)) buffer_append_char(&file, 0);
    buffer_append(&file, b.data.data, b.data.n_bytes);
    buffer_free(&b.keys);
    buffer_free(&b.tensors);
    buffer_free(&b.data);
    return file;
}

#endif
