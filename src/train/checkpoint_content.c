/* checkpoint_content.c: which tensors and texts a checkpoint is made of; see checkpoint.h. */
#include <stdio.h>
#include <string.h>

#include "arch/limits.h"
#include "base/alloc.h"
#include "base/file.h"
#include "train/checkpoint.h"

enum { MAX_CONFIG_BYTES = 1 << 16 };

static void describe(struct checkpoint_tensor *out, const struct llama_tensor *t, const char *prefix, float *values) {
    char name[ARCH_NAME_BYTES];
    arch_weight_name(ARCH_NAMING_HF, t->weight, t->layer, name);
    snprintf(out->header.name, sizeof out->header.name, "%s%s%s", prefix, *prefix ? "." : "", name);
    out->header.is_matrix = arch_weight_row(t->weight)->is_matrix;
    out->header.n_rows = t->n_rows;
    out->header.n_columns = t->n_columns;
    out->values = values;
}

static cria_status sum_of(const void *data, size_t n, uint8_t out[DIGEST_BYTES], struct cria_error *err) {
    digest *d = NULL;
    cria_status status;
    TRY(digest_create(&d, err));
    digest_add(d, data, n);
    TRY(digest_result(d, out, err));
out:
    digest_destroy(&d);
    return status;
}

cria_status checkpoint_content_digest(const struct checkpoint_content *c, uint8_t out[DIGEST_BYTES],
                                      struct cria_error *err) {
    digest *whole = NULL;
    cria_status status;
    TRY(digest_create(&whole, err));
    for (int i = 0; i < c->n_model; i++) {
        const struct hf_save_tensor *t = &c->model[i].header;
        uint8_t one[DIGEST_BYTES];
        TRY(sum_of(c->model[i].values, (size_t)(t->n_rows * t->n_columns) * sizeof(float), one, err));
        digest_add(whole, one, sizeof one);
    }
    TRY(digest_result(whole, out, err));
out:
    digest_destroy(&whole);
    return status;
}

cria_status checkpoint_content_init(struct checkpoint_content *ret, const struct arch_config *c, const llama_layout *l,
                                    float *w, const optim *o, struct cria_error *err) {
    cria_status status;
    const int n = llama_layout_count(l), n_states = o ? optim_state_count(o) : 0;
    struct checkpoint_content content = {.config = buffer_make(MAX_CONFIG_BYTES),
                                         .generation = buffer_make(MAX_CONFIG_BYTES)};
    content.model = alloc_zeroed((size_t)n, sizeof *content.model);
    content.optimizer = alloc_zeroed((size_t)n_states, sizeof *content.optimizer);
    if (!content.model || !content.optimizer)
        TRY(ERROR_NOMEM(err, (size_t)(n + n_states) * sizeof *content.model, "the list of a checkpoint"));
    for (int i = 0; i < n; i++) {
        const struct llama_tensor *t = llama_layout_at(l, i);
        describe(&content.model[i], t, "", w + t->offset);
    }
    for (int i = 0; i < n_states; i++) {
        const struct optim_state s = optim_state_at(o, i);
        describe(&content.optimizer[i], s.tensor, s.name, s.values);
    }
    content.n_model = n;
    content.n_optimizer = n_states;
    TRY(hf_save_config(&content.config, c, err));
    TRY(hf_save_generation(&content.generation, c, err));
    TRY(sum_of(content.config.data, content.config.n_bytes, content.model_id, err));
    *ret = content;
    return CRIA_OK;
out:
    checkpoint_content_free(&content);
    return status;
}

static cria_status read_companion(struct checkpoint_content *c, const char *folder, const char *name, digest *sum,
                                  struct cria_error *err) {
    char *path = file_join(folder, name);
    if (!path) return ERROR_NOMEM(err, strlen(folder), "a path");
    cria_status status = CRIA_OK;
    if (!file_exists(path)) goto out;
    struct checkpoint_companion *to = &c->companions[c->n_companions];
    TRY(file_read(path, LIMIT_TOKENIZER_BYTES, &to->data, &to->n, err));
    snprintf(to->name, sizeof to->name, "%s", name);
    c->n_companions++;
    digest_add(sum, name, strlen(name) + 1);
    digest_add(sum, to->data, to->n);
out:
    alloc_free(path);
    return status;
}

cria_status checkpoint_content_companions(struct checkpoint_content *c, const char *folder, struct cria_error *err) {
    static const char *const names[] = {"tokenizer.json",          "tokenizer.model",     "tokenizer_config.json",
                                        "special_tokens_map.json", "chat_template.jinja", NULL};
    cria_status status;
    digest *sum = NULL;
    TRY(digest_create(&sum, err));
    for (int i = 0; names[i]; i++) TRY(read_companion(c, folder, names[i], sum, err));
    if (c->n_companions) TRY(digest_result(sum, c->tokenizer_id, err));
out:
    digest_destroy(&sum);
    return status;
}

void checkpoint_content_free(struct checkpoint_content *c) {
    for (int i = 0; i < c->n_companions; i++) alloc_free(c->companions[i].data);
    alloc_free(c->model);
    alloc_free(c->optimizer);
    buffer_free(&c->config);
    buffer_free(&c->generation);
    *c = (struct checkpoint_content){0};
}

int64_t checkpoint_content_floats(const struct checkpoint_content *c) {
    int64_t n = 0;
    for (int i = 0; i < c->n_model; i++) n += c->model[i].header.n_rows * c->model[i].header.n_columns;
    for (int i = 0; i < c->n_optimizer; i++) n += c->optimizer[i].header.n_rows * c->optimizer[i].header.n_columns;
    return n;
}
