/* tiny_gguf.c: tiny models as GGUF v3 files, without a vocabulary; see tiny.h. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "kit/tiny_file.h"

#define ALIGNMENT 32
#define TYPE_U32 4
#define TYPE_F32 6
#define TYPE_STRING 8
#define MAX_FILE_BYTES ((size_t)1 << 30)

static void append_u32(struct buffer *b, uint32_t value) { buffer_append(b, &value, sizeof value); }
static void append_u64(struct buffer *b, uint64_t value) { buffer_append(b, &value, sizeof value); }

static void append_string(struct buffer *b, const char *text) {
    append_u64(b, strlen(text));
    buffer_append_text(b, text);
}

static void append_size(struct buffer *b, const char *key, int64_t value) {
    append_string(b, key);
    append_u32(b, TYPE_U32);
    append_u32(b, (uint32_t)value);
}

static void append_real(struct buffer *b, const char *key, float value) {
    append_string(b, key);
    append_u32(b, TYPE_F32);
    buffer_append(b, &value, sizeof value);
}

static void append_keys(const struct tiny_model *m, struct buffer *b) {
    append_string(b, "general.architecture");
    append_u32(b, TYPE_STRING);
    append_string(b, "llama");
    append_size(b, "llama.block_count", m->n_layers);
    append_size(b, "llama.context_length", m->n_context);
    append_size(b, "llama.embedding_length", m->d_model);
    append_size(b, "llama.feed_forward_length", m->d_ff);
    append_size(b, "llama.attention.head_count", m->n_heads);
    append_size(b, "llama.attention.head_count_kv", m->n_kv_heads);
    append_size(b, "llama.attention.key_length", m->head_size);
    append_size(b, "llama.attention.value_length", m->head_size);
    append_size(b, "llama.rope.dimension_count", m->head_size);
    append_size(b, "llama.vocab_size", m->n_vocab);
    append_real(b, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    append_real(b, "llama.rope.freq_base", 10000);
}
#define N_KEYS 13

static void pad(struct buffer *b) {
    while (b->n_bytes % ALIGNMENT) buffer_append_char(b, '\0');
}

static void append_list(const struct tiny_weight *weights, int n, struct buffer *b) {
    uint64_t at = 0;
    for (int i = 0; i < n; i++) {
        const struct tiny_weight *t = &weights[i];
        const bool is_matrix = arch_weight_row(t->w)->is_matrix;
        append_string(b, t->name);
        append_u32(b, is_matrix ? 2 : 1);
        append_u64(b, (uint64_t)t->n_columns);
        if (is_matrix) append_u64(b, (uint64_t)t->n_rows);
        append_u32(b, dtype_info(t->dtype)->ggml_id);
        append_u64(b, at);
        at += (t->n_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
}

static cria_status split_path(const char *path, char **ret_folder, const char **ret_name, struct cria_error *err) {
    const char *slash = strrchr(path, '/');
    *ret_folder = slash ? alloc_text(path, (size_t)(slash - path)) : alloc_text(".", 1);
    *ret_name = slash ? slash + 1 : path;
    return *ret_folder ? CRIA_OK : ERROR_NOMEM(err, strlen(path), path);
}

cria_status tiny_write_gguf(const struct tiny_model *m, const char *path, struct cria_error *err) {
    struct tiny_weight weights[TINY_MAX_WEIGHTS];
    struct buffer b = buffer_make(MAX_FILE_BYTES);
    const int n = tiny_weights(m, ARCH_NAMING_GGUF, weights);
    cria_status status = CRIA_OK;
    char *folder = NULL;
    const char *name = NULL;
    buffer_append_text(&b, "GGUF");
    append_u32(&b, 3);
    append_u64(&b, (uint64_t)n);
    append_u64(&b, N_KEYS);
    append_keys(m, &b);
    append_list(weights, n, &b);
    for (int i = 0; i < n; i++) {
        pad(&b);
        TRY(tiny_append_weight(m, &weights[i], ARCH_NAMING_GGUF, &b, err));
    }
    pad(&b);
    TRY(split_path(path, &folder, &name, err));
    TRY(tiny_write_file(folder, name, &b, err));
out:
    alloc_free(folder);
    buffer_free(&b);
    return status;
}
