/* model_files.c: the face of this folder: recognises what a path is, and answers for what was opened (see format.h). */
#include "format/model_files.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"

cria_status model_files_add_map(struct model_files *m, struct file_map **map, int *ret_index, struct cria_error *err) {
    struct file_map **maps = alloc_resize(m->maps, (size_t)m->n_maps + 1, sizeof *maps);
    if (!maps) {
        file_map_close(map);
        return ERROR_NOMEM(err, ((size_t)m->n_maps + 1) * sizeof *maps, "the files of a model");
    }
    m->maps = maps;
    maps[m->n_maps] = *map;
    *map = NULL;
    *ret_index = m->n_maps++;
    return CRIA_OK;
}

void model_files_add_note(struct model_files *m, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0) return;
    for (int i = 0; i < MODEL_FILES_MAX_NOTES; i++) {
        if (m->notes[i]) continue;
        m->notes[i] = alloc_text(text, strlen(text));
        return;
    }
}

static size_t slot(const struct model_files *m, enum arch_weight w, int layer) {
    return (size_t)w * (size_t)m->config.n_layers + (size_t)(arch_weight_row(w)->per_layer ? layer : 0);
}

cria_status model_files_make_table(struct model_files *m, struct cria_error *err) {
    const size_t n = (size_t)ARCH_W_COUNT * (size_t)m->config.n_layers;
    m->tensors = alloc_zeroed(n, sizeof *m->tensors);
    m->names = alloc_zeroed(n, sizeof *m->names);
    if (!m->tensors || !m->names) return ERROR_NOMEM(err, n * sizeof *m->tensors, "the table of weights");
    return CRIA_OK;
}

cria_status model_files_place(struct model_files *m, enum arch_naming naming, enum arch_weight w, int layer,
                              const struct model_tensor *t, struct cria_error *err) {
    const struct arch_weight_row *row = arch_weight_row(w);
    const size_t at = slot(m, w, layer);
    int64_t n_rows, n_columns;
    arch_weight_name(naming, w, layer, m->names[at]);
    arch_weight_shape(&m->config, w, &n_rows, &n_columns);
    if (t->n_rows != n_rows || t->n_columns != n_columns) {
        return ERROR_SET(
            err, CRIA_SHAPE, "tensor \"%s\" has %lld rows of %lld elements; the configuration asks for %lld of %lld",
            m->names[at], (long long)t->n_rows, (long long)t->n_columns, (long long)n_rows, (long long)n_columns);
    }
    if (m->tensors[at].data) return ERROR_SET(err, CRIA_FORMAT, "tensor \"%s\" comes twice", m->names[at]);
    m->tensors[at] = *t;
    m->tensors[at].name = m->names[at];
    m->tensors[at].rope_interleaved = t->rope_interleaved && row->has_rope_rows;
    return CRIA_OK;
}

cria_status model_files_check_complete(const struct model_files *m, enum arch_naming naming, struct cria_error *err) {
    for (int i = ARCH_W_NONE + 1; i < ARCH_W_COUNT; i++) {
        const enum arch_weight w = (enum arch_weight)i;
        const int n_layers = arch_weight_row(w)->per_layer ? (int)m->config.n_layers : 1;
        if (!arch_weight_exists(&m->config, w)) continue;
        for (int layer = 0; layer < n_layers; layer++) {
            if (m->tensors[slot(m, w, layer)].data) continue;
            char name[ARCH_NAME_BYTES];
            arch_weight_name(naming, w, layer, name);
            return ERROR_SET(err, CRIA_FORMAT, "tensor \"%s\" is missing", name);
        }
    }
    return CRIA_OK;
}

static bool has_ending(const char *path, const char *ending) {
    const size_t n = strlen(path), e = strlen(ending);
    return n >= e && strcmp(path + n - e, ending) == 0;
}

/* Checkpoints of Python objects can run any code when they are read; there is no reader for them. */
static bool looks_like_pickle(const char *path, const uint8_t *first, size_t n) {
    static const char *const endings[] = {".bin", ".pth", ".pt", ".ckpt", ".pkl"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        if (has_ending(path, endings[i])) return n < 4 || memcmp(first, "GGUF", 4) != 0;
    }
    return n >= 4 && (memcmp(first, "PK\x03\x04", 4) == 0 || (first[0] == 0x80 && first[1] >= 2 && first[1] <= 5));
}

/* The error already names the file where reading it failed. */
static void name_file(struct cria_error *err, const char *path) {
    if (err && strncmp(err->text, path, strlen(path)) != 0) error_prefix(err, "%s", path);
}

static cria_status open_file(struct model_files *m, const struct model_open_options *options, struct cria_error *err) {
    int fd = -1;
    uint64_t n_bytes = 0;
    uint8_t first[8] = {0};
    cria_status status = file_open_read(m->path, &fd, &n_bytes, err);
    if (status != CRIA_OK) return status;
    const ssize_t got = pread(fd, first, sizeof first, 0);
    close(fd);
    if (looks_like_pickle(m->path, first, got > 0 ? (size_t)got : 0)) {
        return ERROR_SET(
            err, CRIA_UNSUPPORTED,
            "%s: a pickled PyTorch checkpoint can run code of its author and is never read: convert it to safetensors",
            m->path);
    }
    if (has_ending(m->path, ".safetensors")) {
        return ERROR_SET(err, CRIA_USAGE, "%s: weights alone are no model: name the directory with its config.json",
                         m->path);
    }
    if (has_ending(m->path, ".json") && memcmp(first, "GGUF", 4) != 0) {
        return ERROR_SET(err, CRIA_USAGE, "%s: a part of a model: name the directory that it lies in", m->path);
    }
    status = gguf_model_open(m, options, err);
    if (status != CRIA_OK) name_file(err, m->path);
    return status;
}

static cria_status open_config_folder(struct model_files *m, const struct model_open_options *options,
                                      struct cria_error *err) {
    const size_t n = (size_t)(file_name(m->path) - m->path);
    char *folder = n ? alloc_text(m->path, n) : alloc_text(".", 1);
    if (!folder) return ERROR_NOMEM(err, n, "a path");
    const cria_status status = hf_model_open(m, folder, options, err);
    alloc_free(folder);
    return status;
}

cria_status model_files_open(model_files **ret, const char *path, const struct model_open_options *options,
                             struct cria_error *err) {
    static const struct model_open_options defaults = {0};
    const struct model_open_options *o = options ? options : &defaults;
    cria_status status;
    struct model_files *m = ALLOC_NEW(struct model_files);
    if (!m) return ERROR_NOMEM(err, sizeof *m, "a model");
    m->path = alloc_text(path, strlen(path));
    if (!m->path) {
        status = ERROR_NOMEM(err, strlen(path), "a path");
        goto out;
    }
    if (file_is_folder(path)) {
        TRY(hf_model_open(m, path, o, err));
    } else if (strcmp(file_name(path), "config.json") == 0) {
        TRY(open_config_folder(m, o, err));
    } else {
        TRY(open_file(m, o, err));
    }
    if (o->check_tensors && !o->only_text) TRY(model_files_check_numbers(m, err));
    *ret = m;
    m = NULL;
out:
    model_files_close(&m);
    return status;
}

void model_files_close(model_files **m) {
    struct model_files *old = *m;
    *m = NULL;
    if (!old) return;
    gguf_free(&old->gguf);
    for (int i = 0; i < old->n_more; i++) gguf_free(&old->more[i]);
    alloc_free(old->more);
    for (int i = 0; i < old->n_safetensors; i++) safetensors_free(&old->safetensors[i]);
    alloc_free(old->safetensors);
    for (int i = 0; i < old->n_maps; i++) file_map_close(&old->maps[i]);
    alloc_free(old->maps);
    for (int i = 0; i < MODEL_FILES_MAX_NOTES; i++) alloc_free(old->notes[i]);
    alloc_free(old->tensors);
    alloc_free(old->names);
    alloc_free(old->chat_template);
    alloc_free(old->tokenizer_path);
    alloc_free(old->path);
    alloc_free(old);
}

const struct arch_config *model_files_config(const model_files *m) { return &m->config; }

struct model_tensor model_files_tensor(const model_files *m, enum arch_weight w, int layer) {
    const bool exists = arch_weight_exists(&m->config, w), per_layer = exists && arch_weight_row(w)->per_layer;
    CRIA_ASSERT(m->tensors && exists);
    CRIA_ASSERT(!per_layer || (layer >= 0 && layer < m->config.n_layers));
    return m->tensors[slot(m, w, layer)];
}

static struct text_span token_text(const struct hf_token *token) {
    return (struct text_span){token->is_said ? token->text : NULL, token->n};
}

/* The tokenizer's own file, told what the files beside it say. */
static cria_status open_tokenizer(const model_files *m, tokenizer **ret, struct cria_error *err) {
    tokenizer *t = NULL;
    cria_status status = tokenizer_open(&t, m->tokenizer_path, err);
    /* A link to nowhere, or a file that is gone since: broken, and not missing. */
    if (status == CRIA_NOTFOUND)
        return ERROR_SET(err, CRIA_IO, "%s: cannot be opened: there is no such file", m->tokenizer_path);
    if (status != CRIA_OK) return status;
    const struct tokenizer_special special = {
        .bos = token_text(&m->tokens.bos), .eos = token_text(&m->tokens.eos), .add_bos = m->tokens.add_bos};
    status = tokenizer_set_special(t, &special, err);
    if (status == CRIA_OK) {
        *ret = t;
        return CRIA_OK;
    }
    tokenizer_destroy(&t);
    name_file(err, m->path);
    return status;
}

cria_status model_files_tokenizer(const model_files *m, tokenizer **ret, struct cria_error *err) {
    cria_status status;
    if (m->gguf.bytes) {
        status = gguf_model_tokenizer(m, ret, err);
    } else if (m->tokenizer_path) {
        return open_tokenizer(m, ret, err);
    } else {
        status = ERROR_SET(err, CRIA_NOTFOUND, "no tokenizer.json and no tokenizer.model");
    }
    if (status != CRIA_OK) name_file(err, m->path);
    return status;
}

const char *model_files_template(const model_files *m) { return m->chat_template; }

const char *model_files_kind(const model_files *m) { return m->kind; }

uint64_t model_files_bytes(const model_files *m) {
    uint64_t sum = m->other_bytes;
    for (int i = 0; i < m->n_maps; i++) sum += m->maps[i]->n_bytes;
    return sum;
}

const char *model_files_note(const model_files *m, int i) {
    return i >= 0 && i < MODEL_FILES_MAX_NOTES ? m->notes[i] : NULL;
}
