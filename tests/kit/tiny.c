/* tiny.c: the numbers of tiny models, and Hugging Face directories; see tiny.h. */
#include "kit/tiny.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "kit/tiny_file.h"

#define MAX_FILE_BYTES ((size_t)1 << 30)

static struct arch_config config_of(const struct tiny_model *m) {
    return (struct arch_config){
        .d_model = m->d_model,
        .n_layers = m->n_layers,
        .n_heads = m->n_heads,
        .n_kv_heads = m->n_kv_heads,
        .head_size = m->head_size,
        .d_ff = m->d_ff,
        .n_vocab = m->n_vocab,
        .n_context = m->n_context,
        .tied = m->tied,
    };
}

int tiny_weights(const struct tiny_model *m, enum arch_naming naming, struct tiny_weight *out) {
    const struct arch_config c = config_of(m);
    int n = 0;
    for (int w = ARCH_W_NONE + 1; w < ARCH_W_COUNT; w++) {
        if (!arch_weight_exists(&c, (enum arch_weight)w)) continue;
        const struct arch_weight_row *row = arch_weight_row((enum arch_weight)w);
        for (int layer = 0; layer < (row->per_layer ? (int)m->n_layers : 1); layer++) {
            struct tiny_weight *t = &out[n++];
            CRIA_ASSERT(n <= TINY_MAX_WEIGHTS);
            t->w = (enum arch_weight)w;
            t->layer = layer;
            t->dtype = row->is_matrix ? m->dtype : DTYPE_F32;
            arch_weight_name(naming, t->w, layer, t->name);
            arch_weight_shape(&c, t->w, &t->n_rows, &t->n_columns);
            t->n_bytes = (size_t)t->n_rows * dtype_bytes(t->dtype, (size_t)t->n_columns);
        }
    }
    return n;
}

/* A fast generator is enough here: splitmix64. */
static uint64_t mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* Uniform numbers; a matrix keeps the size of what goes through it, a norm's gains are near 1. */
static void fill_row(const struct tiny_model *m, const struct tiny_weight *t, int64_t i_row, float *out) {
    const bool is_matrix = arch_weight_row(t->w)->is_matrix;
    const float scale = is_matrix ? sqrtf(3.0f / (float)t->n_columns) * (t->w == ARCH_W_HEAD ? 3 : 1.4f) : 0.3f;
    const uint64_t key =
        mix(mix(m->seed * 64 + (uint64_t)t->w) + (uint64_t)t->layer * 0x10001 + (uint64_t)i_row * 0x100003);
    for (int64_t k = 0; k < t->n_columns; k++) {
        const float u = (float)(mix(key + (uint64_t)k) >> 40) * 0x1p-23f - 1;
        out[k] = (is_matrix ? 0 : 1) + scale * u;
    }
}

/* Where row i of a GGUF file's q or k comes from: pairs (2j, 2j + 1) of a head are its rows j and j + S/2. */
static int64_t paired_row(const struct tiny_model *m, int64_t i) {
    const int64_t head = i / m->head_size, in_head = i % m->head_size;
    return head * m->head_size + in_head / 2 + (in_head % 2) * (m->head_size / 2);
}

cria_status tiny_append_weight(const struct tiny_model *m, const struct tiny_weight *t, enum arch_naming naming,
                               struct buffer *out, struct cria_error *err) {
    const size_t row_bytes = dtype_bytes(t->dtype, (size_t)t->n_columns);
    float *values = alloc_array((size_t)t->n_columns, sizeof *values);
    uint8_t *stored = alloc_array(row_bytes, 1);
    const bool is_paired = naming == ARCH_NAMING_GGUF && arch_weight_row(t->w)->has_rope_rows;
    for (int64_t i = 0; values && stored && i < t->n_rows; i++) {
        fill_row(m, t, is_paired ? paired_row(m, i) : i, values);
        dtype_row_from_f32(t->dtype, values, (size_t)t->n_columns, stored);
        buffer_append(out, stored, row_bytes);
    }
    const bool has_memory = values && stored;
    alloc_free(values);
    alloc_free(stored);
    return has_memory ? buffer_status(out, t->name, err) : ERROR_NOMEM(err, row_bytes, t->name);
}

cria_status tiny_write_file(const char *folder, const char *name, const struct buffer *bytes, struct cria_error *err) {
    cria_status status = buffer_status(bytes, name, err);
    if (status != CRIA_OK) return status;
    char *path = file_join(folder, name);
    if (!path) return ERROR_NOMEM(err, strlen(folder), name);
    status = file_write_atomic(path, buffer_text(bytes), bytes->n_bytes, err);
    alloc_free(path);
    return status;
}

static cria_status write_config(const struct tiny_model *m, const char *folder, struct cria_error *err) {
    struct buffer text = buffer_make(MAX_FILE_BYTES);
    buffer_append_format(
        &text,
        "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"hidden_act\": \"silu\",\n"
        " \"hidden_size\": %lld, \"num_hidden_layers\": %lld, \"num_attention_heads\": %lld,\n"
        " \"num_key_value_heads\": %lld, \"head_dim\": %lld, \"intermediate_size\": %lld,\n"
        " \"vocab_size\": %lld, \"max_position_embeddings\": %lld, \"rms_norm_eps\": 1e-05,\n"
        " \"rope_theta\": 10000.0, \"tie_word_embeddings\": %s%s}\n",
        (long long)m->d_model, (long long)m->n_layers, (long long)m->n_heads, (long long)m->n_kv_heads,
        (long long)m->head_size, (long long)m->d_ff, (long long)m->n_vocab, (long long)m->n_context,
        m->tied ? "true" : "false", m->has_tokenizer ? ", \"bos_token_id\": 256, \"eos_token_id\": 257" : "");
    const cria_status status = tiny_write_file(folder, "config.json", &text, err);
    buffer_free(&text);
    return status;
}

static void append_header(const struct tiny_weight *weights, int n, struct buffer *out) {
    struct buffer text = buffer_make(MAX_FILE_BYTES);
    size_t at = 0;
    buffer_append_text(&text, "{");
    for (int i = 0; i < n; i++) {
        const struct tiny_weight *t = &weights[i];
        buffer_append_format(&text, "%s\"%s\": {\"dtype\": \"%s\", \"shape\": [", i ? ", " : "", t->name,
                             dtype_info(t->dtype)->safetensors_name);
        if (arch_weight_row(t->w)->is_matrix) buffer_append_format(&text, "%lld, ", (long long)t->n_rows);
        buffer_append_format(&text, "%lld], \"data_offsets\": [%zu, %zu]}", (long long)t->n_columns, at,
                             at + t->n_bytes);
        at += t->n_bytes;
    }
    buffer_append_text(&text, "}");
    while (text.n_bytes % 8) buffer_append_char(&text, ' ');
    const uint64_t n_bytes = text.n_bytes;
    buffer_append(out, &n_bytes, sizeof n_bytes);
    buffer_append(out, text.data, text.n_bytes);
    buffer_free(&text);
}

cria_status tiny_write_directory(const struct tiny_model *m, const char *folder, struct cria_error *err) {
    struct tiny_weight weights[TINY_MAX_WEIGHTS];
    struct buffer bytes = buffer_make(MAX_FILE_BYTES);
    const int n = tiny_weights(m, ARCH_NAMING_HF, weights);
    cria_status status = CRIA_OK;
    append_header(weights, n, &bytes);
    for (int i = 0; i < n; i++) TRY(tiny_append_weight(m, &weights[i], ARCH_NAMING_HF, &bytes, err));
    TRY(file_make_folder(folder, err));
    TRY(tiny_write_file(folder, "model.safetensors", &bytes, err));
    TRY(write_config(m, folder, err));
    if (m->has_tokenizer) TRY(tiny_write_tokenizer(m, folder, err));
out:
    buffer_free(&bytes);
    return status;
}
