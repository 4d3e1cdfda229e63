/* hf_model.c: a model from a Hugging Face directory: configuration, weights, tokenizer, template (docs/FORMATS.md).
 *
 * Only files with known names, and the shards that an index names, are opened, all inside the directory; symbolic links
 * to regular files are right. A companion file that is there and broken is an error, not a missing one. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "arch/limits.h"
#include "base/alloc.h"
#include "base/utf8.h"
#include "format/hf_config.h"
#include "format/hf_index.h"
#include "format/model_files.h"

/* A link that leads nowhere is there: its reader says what is wrong with it. */
static bool is_present(const char *path) { return faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0; }

static cria_status join(const char *folder, const char *name, char **ret, struct cria_error *err) {
    *ret = file_join(folder, name);
    return *ret ? CRIA_OK : ERROR_NOMEM(err, strlen(folder) + strlen(name), "a path");
}

/* Puts the file's name before an error about its content; those about opening it have it already. */
static cria_status about(cria_status status, const char *path, struct cria_error *err) {
    if (status != CRIA_OK && err && strncmp(err->text, path, strlen(path)) != 0) error_prefix(err, "%s", path);
    return status;
}

/* Reads folder/name whole; *ret is NULL where there is no such file. */
static cria_status read_optional(struct model_files *m, const char *folder, const char *name, size_t limit,
                                 char **ret_path, char **ret, size_t *ret_n, struct cria_error *err) {
    cria_status status;
    TRY(join(folder, name, ret_path, err));
    if (!is_present(*ret_path)) goto out;
    TRY(file_read(*ret_path, limit, ret, ret_n, err));
    m->other_bytes += *ret_n;
out:
    return status;
}

/* What a directory without config.json may be instead. */
static cria_status no_config(const char *folder, struct cria_error *err) {
    char name[256] = "";
    DIR *d = opendir(folder);
    for (const struct dirent *e; d && (e = readdir(d));) {
        const size_t n = strlen(e->d_name);
        if (n > 5 && strcmp(e->d_name + n - 5, ".gguf") == 0) snprintf(name, sizeof name, "%s", e->d_name);
    }
    if (d) closedir(d);
    if (name[0]) return ERROR_SET(err, CRIA_NOTFOUND, "%s: no config.json, but %s: name that file", folder, name);
    return ERROR_SET(err, CRIA_NOTFOUND, "%s: no config.json: not a Hugging Face model directory", folder);
}

static cria_status read_config(struct model_files *m, const char *folder, bool only_text, struct cria_error *err) {
    cria_status status;
    char *path = NULL, *text = NULL, *generation_path = NULL, *generation = NULL;
    size_t n = 0, n_generation = 0;
    m->config = (struct arch_config){.bos_id = -1};
    TRY(read_optional(m, folder, "config.json", LIMIT_CONFIG_BYTES, &path, &text, &n, err));
    if (!text) {
        status = only_text ? CRIA_OK : no_config(folder, err);
        goto out;
    }
    TRY(about(hf_config_parse(text, n, &m->config, err), path, err));
    TRY(read_optional(m, folder, "generation_config.json", LIMIT_CONFIG_BYTES, &generation_path, &generation,
                      &n_generation, err));
    if (generation) {
        TRY(about(hf_config_add_generation(generation, n_generation, &m->config, err), generation_path, err));
    }
    TRY(about(arch_config_check(&m->config, err), path, err));
out:
    alloc_free(path);
    alloc_free(text);
    alloc_free(generation_path);
    alloc_free(generation);
    return status;
}

static bool is_ignored(const struct safetensors_tensor *t) {
    static const char ending[] = "rotary_emb.inv_freq";
    const size_t n = sizeof ending - 1;
    return t->name_bytes >= n && memcmp(t->name + t->name_bytes - n, ending, n) == 0;
}

static cria_status place_tensor(struct model_files *m, const struct safetensors *s, const struct safetensors_tensor *t,
                                int map, struct cria_error *err) {
    const int n = (int)(t->name_bytes < 128 ? t->name_bytes : 128);
    enum arch_weight w = ARCH_W_NONE;
    int layer = -1;
    if (!arch_weight_find(ARCH_NAMING_HF, t->name, t->name_bytes, &w, &layer)) {
        return ERROR_SET(err, CRIA_UNSUPPORTED, "tensor \"%.*s\" is no part of a llama model", n, t->name);
    }
    if (layer >= m->config.n_layers) {
        return ERROR_SET(err, CRIA_SHAPE, "tensor \"%.*s\": the model has only %lld layers", n, t->name,
                         (long long)m->config.n_layers);
    }
    if (safetensors_dtype(t) == DTYPE_NONE) {
        return ERROR_SET(err, CRIA_DTYPE,
                         "tensor \"%.*s\" is stored as %s, which is not supported; F32, BF16 and F16 are", n, t->name,
                         safetensors_format_name(t));
    }
    const int rank = arch_weight_row(w)->is_matrix ? 2 : 1;
    if (t->rank != rank) {
        return ERROR_SET(err, CRIA_SHAPE, "tensor \"%.*s\" has %d dimensions; expected %d", n, t->name, t->rank, rank);
    }
    const struct model_tensor tensor = {
        .dtype = safetensors_dtype(t),
        .n_rows = rank == 2 ? (int64_t)t->dims[0] : 1,
        .n_columns = (int64_t)t->dims[rank - 1],
        .data = m->maps[map]->data + s->data_start + t->begin,
        .n_bytes = (size_t)(t->end - t->begin),
    };
    return model_files_place(m, ARCH_NAMING_HF, w, layer, &tensor, err);
}

/* index is NULL where one file holds all. */
static cria_status place_all(struct model_files *m, struct hf_index *index, int shard, struct cria_error *err) {
    const struct safetensors *s = &m->safetensors[shard];
    size_t n_ignored = 0;
    for (size_t i = 0; i < s->n_tensors; i++) {
        const struct safetensors_tensor *t = &s->tensors[i];
        cria_status status = index ? hf_index_see(index, t->name, t->name_bytes, (uint32_t)shard, err) : CRIA_OK;
        if (status == CRIA_OK && is_ignored(t)) {
            n_ignored++;
            continue;
        }
        if (status == CRIA_OK) status = place_tensor(m, s, t, shard, err);
        if (status != CRIA_OK) return status;
    }
    if (n_ignored)
        model_files_add_note(m, "ignored: %zu tensors rotary_emb.inv_freq (made from the configuration)", n_ignored);
    return CRIA_OK;
}

static cria_status open_shard(struct model_files *m, const char *folder, const char *name, struct hf_index *index,
                              struct cria_error *err) {
    cria_status status;
    char *path = NULL;
    struct file_map *map = NULL;
    int at = 0;
    TRY(join(folder, name, &path, err));
    TRY(file_map_open(&map, path, err));
    TRY(model_files_add_map(m, &map, &at, err));
    m->n_safetensors = at + 1; /* maps and headers go in step */
    TRY(about(safetensors_open(&m->safetensors[at], m->maps[at], err), path, err));
    TRY(about(place_all(m, index, at, err), path, err));
out:
    file_map_close(&map);
    alloc_free(path);
    return status;
}

static cria_status make_shards(struct model_files *m, size_t n, struct cria_error *err) {
    m->safetensors = alloc_zeroed(n, sizeof *m->safetensors);
    return m->safetensors ? CRIA_OK : ERROR_NOMEM(err, n * sizeof *m->safetensors, "the files of a model");
}

static cria_status open_indexed(struct model_files *m, const char *folder, const char *path, const char *text, size_t n,
                                struct cria_error *err) {
    cria_status status;
    struct hf_index index = {0};
    TRY(about(hf_index_parse(&index, text, n, err), path, err));
    TRY(make_shards(m, index.n_shards, err));
    for (size_t i = 0; i < index.n_shards; i++) TRY(open_shard(m, folder, index.shards[i], &index, err));
    TRY(about(hf_index_check_seen(&index, err), path, err));
out:
    hf_index_free(&index);
    return status;
}

/* No safetensors file: says what is there instead. */
static cria_status no_weights(const char *folder, struct cria_error *err) {
    static const char *const pickles[] = {"pytorch_model.bin",   "pytorch_model.bin.index.json",
                                          "consolidated.00.pth", "consolidated.pth",
                                          "model.bin",           "pytorch_model.pt"};
    for (size_t i = 0; i < sizeof pickles / sizeof pickles[0]; i++) {
        char *path = file_join(folder, pickles[i]);
        const bool found = path && is_present(path);
        alloc_free(path);
        if (!found) continue;
        return ERROR_SET(
            err, CRIA_UNSUPPORTED,
            "%s: %s is a pickled PyTorch checkpoint, which can run code of its author and is never read: convert it to "
            "safetensors",
            folder, pickles[i]);
    }
    return ERROR_SET(err, CRIA_NOTFOUND, "%s: no model.safetensors and no model.safetensors.index.json", folder);
}

/* A head of a tied model has to be the embedding. */
static cria_status check_tied_head(struct model_files *m, struct cria_error *err) {
    struct model_tensor *head = &m->tensors[(size_t)ARCH_W_HEAD * (size_t)m->config.n_layers];
    bool same = false;
    if (!m->config.tied || !head->data) return CRIA_OK;
    const struct model_tensor embedding = model_files_tensor(m, ARCH_W_EMBEDDING, 0);
    const cria_status status = model_files_same_bytes(m, head, &embedding, &same, err);
    if (status != CRIA_OK) return status;
    if (!same) {
        return ERROR_SET(err, CRIA_FORMAT,
                         "the configuration ties the embeddings, but \"%s\" holds other bytes than \"%s\"", head->name,
                         embedding.name);
    }
    *head = (struct model_tensor){0};
    return CRIA_OK;
}

static cria_status read_weights(struct model_files *m, const char *folder, struct cria_error *err) {
    cria_status status;
    char *single = NULL, *path = NULL, *text = NULL;
    size_t n = 0;
    TRY(model_files_make_table(m, err));
    TRY(join(folder, "model.safetensors", &single, err));
    TRY(read_optional(m, folder, "model.safetensors.index.json", LIMIT_INDEX_BYTES, &path, &text, &n, err));
    if (text && is_present(single)) {
        status =
            ERROR_SET(err, CRIA_FORMAT,
                      "%s: both model.safetensors and an index are there: remove the one that is not meant", folder);
        goto out;
    }
    if (text) {
        TRY(open_indexed(m, folder, path, text, n, err));
    } else if (is_present(single)) {
        TRY(make_shards(m, 1, err));
        TRY(open_shard(m, folder, "model.safetensors", NULL, err));
    } else {
        TRY(no_weights(folder, err));
    }
    TRY(about(model_files_check_complete(m, ARCH_NAMING_HF, err), folder, err));
    TRY(about(check_tied_head(m, err), folder, err));
out:
    alloc_free(single);
    alloc_free(path);
    alloc_free(text);
    return status;
}

/* A template in a file of its own has to be the same as one in tokenizer_config.json. */
static cria_status read_jinja(struct model_files *m, const char *folder, struct cria_error *err) {
    cria_status status;
    char *path = NULL, *jinja = NULL;
    size_t n = 0;
    TRY(read_optional(m, folder, "chat_template.jinja", LIMIT_TEMPLATE_BYTES, &path, &jinja, &n, err));
    if (!jinja) goto out;
    if (!utf8_is_valid(jinja, n) || memchr(jinja, 0, n)) {
        status = ERROR_SET(err, CRIA_FORMAT, "%s: no text in UTF-8", path);
    } else if (m->chat_template && strcmp(m->chat_template, jinja) != 0) {
        status = ERROR_SET(err, CRIA_FORMAT,
                           "%s: differs from the chat template in tokenizer_config.json: remove one of them", path);
    } else if (!m->chat_template) {
        m->chat_template = jinja;
        jinja = NULL;
    }
out:
    alloc_free(path);
    alloc_free(jinja);
    return status;
}

/* What stands beside the tokenizer: the template and the names of special tokens. */
static cria_status read_tokenizer_config(struct model_files *m, const char *folder, struct cria_error *err) {
    cria_status status;
    char *path = NULL, *text = NULL, *map_path = NULL, *map = NULL;
    size_t n = 0, n_map = 0;
    int n_others = 0;
    struct hf_tokens named;
    m->tokens = (struct hf_tokens){.add_bos = -1, .add_eos = -1};
    TRY(read_optional(m, folder, "tokenizer_config.json", LIMIT_TOKENIZER_CONFIG_BYTES, &path, &text, &n, err));
    if (text) {
        TRY(about(hf_template_read(text, n, &m->chat_template, &n_others, err), path, err));
        TRY(about(hf_tokens_read(text, n, &m->tokens, err), path, err));
    }
    if (n_others) model_files_add_note(m, "ignored: %d named chat templates besides the default one", n_others);
    if (m->tokens.add_eos > 0) model_files_add_note(m, "ignored: add_eos_token (a text is not closed unasked)");
    TRY(read_jinja(m, folder, err));
    TRY(read_optional(m, folder, "special_tokens_map.json", LIMIT_TOKENIZER_CONFIG_BYTES, &map_path, &map, &n_map,
                      err));
    if (map) {
        TRY(about(hf_tokens_read(map, n_map, &named, err), map_path, err));
        TRY(about(hf_tokens_merge(&m->tokens, &named, err), map_path, err));
    }
out:
    alloc_free(path);
    alloc_free(text);
    alloc_free(map_path);
    alloc_free(map);
    return status;
}

static cria_status find_tokenizer(struct model_files *m, const char *folder, struct cria_error *err) {
    static const char *const names[] = {"tokenizer.json", "tokenizer.model"};
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !m->tokenizer_path; i++) {
        char *path = NULL;
        const cria_status status = join(folder, names[i], &path, err);
        if (status != CRIA_OK) return status;
        if (is_present(path)) {
            m->tokenizer_path = path;
        } else {
            alloc_free(path);
        }
    }
    return CRIA_OK;
}

/* For people: the directory's own name. */
static void name_model(struct arch_config *c, const char *folder) {
    size_t end = strlen(folder);
    while (end > 1 && folder[end - 1] == '/') end--;
    size_t begin = end;
    while (begin > 0 && folder[begin - 1] != '/') begin--;
    const size_t n = end - begin;
    if (n >= sizeof c->name || !utf8_is_valid(folder + begin, n)) return;
    memcpy(c->name, folder + begin, n);
    c->name[n] = '\0';
}

cria_status hf_model_open(struct model_files *m, const char *folder, const struct model_open_options *options,
                          struct cria_error *err) {
    cria_status status;
    m->kind = "Hugging Face directory";
    TRY(read_config(m, folder, options->only_text, err));
    name_model(&m->config, folder);
    if (!options->only_text) TRY(read_weights(m, folder, err));
    TRY(read_tokenizer_config(m, folder, err));
    TRY(find_tokenizer(m, folder, err));
    if (options->only_text && !m->tokenizer_path && !m->chat_template && !m->config.n_vocab)
        status = no_config(folder, err);
out:
    return status;
}
