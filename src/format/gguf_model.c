/* gguf_model.c: a model from a GGUF file, or from the parts of a split one: configuration, weights by name, tokenizer,
 * template (docs/FORMATS.md). */
#include <string.h>

#include "arch/limits.h"
#include "base/alloc.h"
#include "base/utf8.h"
#include "format/model_files.h"

#define ROPE_NAME "rope_freqs.weight"

static const struct gguf *part_at(const struct model_files *m, int part) {
    return part ? &m->more[part - 1] : &m->gguf;
}

/* *ret_part is where it is; NULL where no part has it. */
static const struct gguf_tensor *find_tensor(const struct model_files *m, const char *name, int *ret_part) {
    const size_t n = strlen(name);
    for (int part = 0; part <= m->n_more; part++) {
        const struct gguf *g = part_at(m, part);
        for (size_t i = 0; i < g->n_tensors; i++) {
            const struct text_span found = gguf_tensor_name(g, &g->tensors[i]);
            if (found.n != n || memcmp(found.bytes, name, n) != 0) continue;
            *ret_part = part;
            return &g->tensors[i];
        }
    }
    return NULL;
}

static struct model_tensor make_tensor(const struct model_files *m, int part, const struct gguf_tensor *t) {
    const struct gguf *g = part_at(m, part);
    const bool is_vector = t->n_dims == 1;
    return (struct model_tensor){
        .dtype = gguf_tensor_dtype(t),
        .n_rows = is_vector ? 1 : (int64_t)gguf_tensor_dim(g, t, 1),
        .n_columns = (int64_t)gguf_tensor_dim(g, t, 0),
        .data = m->maps[part]->data + g->data_start + t->offset,
        .n_bytes = gguf_tensor_bytes(g, t),
        .rope_interleaved = true,
    };
}

static cria_status place_tensor(struct model_files *m, int part, const struct gguf_tensor *t, struct cria_error *err) {
    const struct text_span name = gguf_tensor_name(part_at(m, part), t);
    enum arch_weight w = ARCH_W_NONE;
    int layer = -1;
    if (name.n == strlen(ROPE_NAME) && memcmp(name.bytes, ROPE_NAME, name.n) == 0) {
        int first = 0;
        if (find_tensor(m, ROPE_NAME, &first) == t) return CRIA_OK;
        return ERROR_SET(err, CRIA_FORMAT, "tensor \"" ROPE_NAME "\" comes twice");
    }
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
    const struct model_tensor tensor = make_tensor(m, part, t);
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
    int part = 0;
    const struct gguf_tensor *t = find_tensor(m, ROPE_NAME, &part);
    struct arch_config *c = &m->config;
    if (!t) return CRIA_OK;
    const uint64_t n = gguf_tensor_dim(part_at(m, part), t, 0);
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
    struct divisors work = {make_tensor(m, part, t).data, (size_t)n, c->rope.divisors};
    c->rope.kind = ARCH_ROPE_DIVISORS;
    return file_guard(m->maps[part], copy_divisors, &work, err);
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
    for (int part = 0; part <= m->n_more; part++) {
        const struct gguf *g = part_at(m, part);
        for (size_t i = 0; i < g->n_tensors; i++) TRY(place_tensor(m, part, &g->tensors[i], err));
    }
    TRY(model_files_check_complete(m, ARCH_NAMING_GGUF, err));
out:
    return status;
}

static cria_status open_part(struct model_files *m, const char *path, struct gguf *g, struct cria_error *err) {
    cria_status status;
    struct file_map *map = NULL;
    int index = 0;
    TRY(file_map_open(&map, path, err));
    TRY(model_files_add_map(m, &map, &index, err));
    TRY(gguf_open(g, m->maps[index], err));
out:
    file_map_close(&map);
    return status;
}

/* The first n_parts of a split model; m is empty. */
static cria_status open_split(struct model_files *m, const struct gguf_split *split, int n_parts,
                              struct cria_error *err) {
    cria_status status = CRIA_OK;
    char *path = NULL;
    uint64_t n_tensors = 0;
    m->more = alloc_zeroed((size_t)n_parts, sizeof *m->more);
    if (!m->more) return ERROR_NOMEM(err, (size_t)n_parts * sizeof *m->more, "the parts of a model");
    for (int i = 0; i < n_parts; i++) {
        struct gguf *g = i ? &m->more[i - 1] : &m->gguf;
        struct gguf_split part;
        alloc_free(path);
        path = NULL;
        TRY(gguf_split_path(m->path, split, (uint64_t)i, &path, err));
        m->n_more = i;
        TRY(open_part(m, path, g, err));
        TRY(gguf_split_read(g, &part, err));
        TRY(gguf_split_check(&part, split, (uint64_t)i, err));
        n_tensors += g->n_tensors;
    }
    if (n_parts == (int)split->count && n_tensors != split->n_tensors) {
        status = ERROR_SET(err, CRIA_FORMAT, "the parts hold %llu tensors, key \"split.tensors.count\" says %llu",
                           (unsigned long long)n_tensors, (unsigned long long)split->n_tensors);
    }
out:
    if (status != CRIA_OK && path && err && strncmp(err->text, path, strlen(path)) != 0) error_prefix(err, "%s", path);
    alloc_free(path);
    return status;
}

/* The file, or, where it is a part, all parts: the first one has the keys. */
static cria_status open_files(struct model_files *m, bool only_text, struct cria_error *err) {
    cria_status status;
    struct gguf_split split;
    TRY(open_part(m, m->path, &m->gguf, err));
    TRY(gguf_split_read(&m->gguf, &split, err));
    if (split.count == 1) goto out;
    gguf_free(&m->gguf);
    file_map_close(&m->maps[--m->n_maps]);
    TRY(open_split(m, &split, only_text ? 1 : (int)split.count, err));
out:
    return status;
}

cria_status gguf_model_open(struct model_files *m, const struct model_open_options *options, struct cria_error *err) {
    cria_status status;
    const struct gguf *g = &m->gguf;
    int part = 0;
    int64_t n_rows = 0;
    TRY(open_files(m, options->only_text, err));
    m->kind = g->version == 2 ? "GGUF v2" : "GGUF v3";
    if (options->only_text) {
        TRY(gguf_config_read(g, 0, true, &m->config, err));
    } else {
        for (int i = 0; i <= m->n_more; i++) TRY(gguf_check_tensors(part_at(m, i), err));
        const struct gguf_tensor *embedding = find_tensor(m, arch_weight_row(ARCH_W_EMBEDDING)->gguf_name, &part);
        if (embedding) n_rows = (int64_t)gguf_tensor_dim(part_at(m, part), embedding, 1);
        TRY(gguf_config_read(g, n_rows, false, &m->config, err));
        m->config.tied = !find_tensor(m, arch_weight_row(ARCH_W_HEAD)->gguf_name, &part);
        TRY(read_divisors(m, err));
        TRY(arch_config_check(&m->config, err));
        TRY(read_tensors(m, err));
    }
    TRY(read_template(m, err));
out:
    return status;
}
