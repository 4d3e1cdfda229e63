/* gguf_model.c: a model from one GGUF file: configuration, weights by name, tokenizer, template (docs/FORMATS.md). */
#include <string.h>

#include "arch/limits.h"
#include "base/alloc.h"
#include "base/utf8.h"
#include "format/model_files.h"

#define ROPE_NAME "rope_freqs.weight"

static const struct gguf_tensor *find_tensor(const struct gguf *g, const char *name) {
    const size_t n = strlen(name);
    for (size_t i = 0; i < g->n_tensors; i++) {
        const struct text_span found = gguf_tensor_name(g, &g->tensors[i]);
        if (found.n == n && memcmp(found.bytes, name, n) == 0) return &g->tensors[i];
    }
    return NULL;
}

static struct model_tensor make_tensor(const struct model_files *m, const struct gguf_tensor *t) {
    const struct gguf *g = &m->gguf;
    const bool is_vector = t->n_dims == 1;
    return (struct model_tensor){
        .dtype = gguf_tensor_dtype(t),
        .n_rows = is_vector ? 1 : (int64_t)gguf_tensor_dim(g, t, 1),
        .n_columns = (int64_t)gguf_tensor_dim(g, t, 0),
        .data = m->maps[0]->data + g->data_start + t->offset,
        .n_bytes = gguf_tensor_bytes(g, t),
        .rope_interleaved = true,
    };
}

static cria_status place_tensor(struct model_files *m, const struct gguf_tensor *t, struct cria_error *err) {
    const struct text_span name = gguf_tensor_name(&m->gguf, t);
    enum arch_weight w = ARCH_W_NONE;
    int layer = -1;
    if (name.n == strlen(ROPE_NAME) && memcmp(name.bytes, ROPE_NAME, name.n) == 0) return CRIA_OK;
    if (!arch_weight_find(ARCH_NAMING_GGUF, name.bytes, name.n, &w, &layer)) {
        return ERROR_SET(err, CRIA_UNSUPPORTED, "tensor \"%.*s\" is no part of a llama model", (int)name.n, name.bytes);
    }
    if (layer >= m->config.n_layers) {
        return ERROR_SET(err, CRIA_SHAPE, "tensor \"%.*s\": the model has only %lld layers", (int)name.n, name.bytes,
                         (long long)m->config.n_layers);
    }
    const int high = arch_weight_row(w)->is_matrix ? 2 : 1;
    if (t->n_dims != high) { /* more dimensions of size 1 are written by no converter */
        return ERROR_SET(err, CRIA_SHAPE, "tensor \"%.*s\" has %d dimensions; expected %d", (int)name.n, name.bytes,
                         t->n_dims, high);
    }
    const struct model_tensor tensor = make_tensor(m, t);
    return model_files_place(m, ARCH_NAMING_GGUF, w, layer, &tensor, err);
}

/* Copies the rotation's divisors out of the mapping. */
struct divisors {
    const uint8_t *from;
    size_t n;
    float *to;
};

static cria_status copy_divisors(void *arg, struct cria_error *err) {
    const struct divisors *d = arg;
    (void)err;
    dtype_row_to_f32(DTYPE_F32, d->from, d->n, d->to);
    return CRIA_OK;
}

static cria_status read_divisors(struct model_files *m, struct cria_error *err) {
    const struct gguf_tensor *t = find_tensor(&m->gguf, ROPE_NAME);
    struct arch_config *c = &m->config;
    if (!t) return CRIA_OK;
    const uint64_t n = gguf_tensor_dim(&m->gguf, t, 0);
    if (gguf_tensor_dtype(t) != DTYPE_F32 || t->n_dims != 1 || c->head_size > ARCH_MAX_HEAD_SIZE || c->head_size < 2 ||
        n != (uint64_t)c->head_size / 2) {
        return ERROR_SET(err, CRIA_SHAPE,
                         "tensor \"" ROPE_NAME "\" holds %llu values of type %s; expected %lld F32 (half a head)",
                         (unsigned long long)n, dtype_name(gguf_tensor_dtype(t)), (long long)c->head_size / 2);
    }
    if (c->rope.kind != ARCH_ROPE_PLAIN) {
        return ERROR_SET(err, CRIA_UNSUPPORTED,
                         "the file scales the rotation twice: by \"" ROPE_NAME "\" and by a factor");
    }
    struct divisors work = {make_tensor(m, t).data, (size_t)n, c->rope.divisors};
    c->rope.kind = ARCH_ROPE_DIVISORS;
    return file_guard(m->maps[0], copy_divisors, &work, err);
}

static cria_status read_template(struct model_files *m, struct cria_error *err) {
    struct text_span text;
    const struct gguf_key *k = gguf_find_key(&m->gguf, "tokenizer.chat_template");
    if (!k) return CRIA_OK;
    const cria_status status = gguf_read_string(&m->gguf, k, &text, err);
    if (status != CRIA_OK) return status;
    if (text.n > LIMIT_TEMPLATE_BYTES) {
        return ERROR_SET(err, CRIA_LIMIT, "the chat template has %zu bytes; at most %d are read", text.n,
                         LIMIT_TEMPLATE_BYTES);
    }
    if (!utf8_is_valid(text.bytes, text.n) || memchr(text.bytes, 0, text.n)) {
        return ERROR_SET(err, CRIA_FORMAT, "the chat template is no text in UTF-8");
    }
    m->chat_template = alloc_text(text.bytes, text.n);
    return m->chat_template ? CRIA_OK : ERROR_NOMEM(err, text.n, "the chat template");
}

static cria_status read_tensors(struct model_files *m, struct cria_error *err) {
    cria_status status;
    TRY(model_files_make_table(m, err));
    for (size_t i = 0; i < m->gguf.n_tensors; i++) TRY(place_tensor(m, &m->gguf.tensors[i], err));
    TRY(model_files_check_complete(m, ARCH_NAMING_GGUF, err));
out:
    return status;
}

cria_status gguf_model_open(struct model_files *m, const struct model_open_options *options, struct cria_error *err) {
    cria_status status;
    struct file_map *map = NULL;
    const struct gguf *g = &m->gguf;
    int index = 0;
    int64_t n_rows = 0;
    TRY(file_map_open(&map, m->path, err));
    TRY(model_files_add_map(m, &map, &index, err));
    TRY(gguf_open(&m->gguf, m->maps[0], err));
    m->kind = g->version == 2 ? "GGUF v2" : "GGUF v3";
    if (options->only_text) {
        TRY(gguf_config_read(g, 0, true, &m->config, err));
    } else {
        TRY(gguf_check_tensors(g, err));
        const struct gguf_tensor *embedding = find_tensor(g, arch_weight_row(ARCH_W_EMBEDDING)->gguf_name);
        if (embedding) n_rows = (int64_t)gguf_tensor_dim(g, embedding, 1);
        TRY(gguf_config_read(g, n_rows, false, &m->config, err));
        m->config.tied = !find_tensor(g, arch_weight_row(ARCH_W_HEAD)->gguf_name);
        TRY(read_divisors(m, err));
        TRY(arch_config_check(&m->config, err));
        TRY(read_tensors(m, err));
    }
    TRY(read_template(m, err));
out:
    file_map_close(&map);
    return status;
}
