/* checkpoint_write.c: writing and publishing; see checkpoint.h.
 *
 * The order of the calls is the protocol: files written and synced, the folder synced, the rename, the parent synced.
 * A loss of power between any two of them leaves the earlier checkpoints as they were and no new one, or a whole one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "arch/limits.h"
#include "base/alloc.h"
#include "base/file.h"
#include "kernel/order.h"
#include "train/checkpoint_manifest.h"
#include "train/durable.h"

#define WORK_PREFIX ".work-"

/* A folder being written. */
struct work {
    const char *folder; /* borrowed */
    struct checkpoint_manifest manifest;
};

char *checkpoint_path(const char *folder, int64_t step) {
    char name[32];
    snprintf(name, sizeof name, "step-%08" PRId64, step);
    return file_join(folder, name);
}

static cria_status join(const char *folder, const char *name, char **ret, struct cria_error *err) {
    *ret = file_join(folder, name);
    return *ret ? CRIA_OK : ERROR_NOMEM(err, strlen(folder) + strlen(name), "a path");
}

/* The next entry of the manifest. */
static struct checkpoint_file *add_file(struct work *w, const char *name) {
    CRIA_ASSERT(w->manifest.n_files < CHECKPOINT_MAX_FILES);
    struct checkpoint_file *f = &w->manifest.files[w->manifest.n_files++];
    snprintf(f->name, sizeof f->name, "%s", name);
    return f;
}

static cria_status finish_file(struct durable_file *to, struct checkpoint_file *f, struct cria_error *err) {
    const cria_status status = durable_digest(to, f->sum, err);
    if (status != CRIA_OK) return status;
    f->n_bytes = to->n_bytes;
    return durable_finish(to, err);
}

static cria_status write_text(struct work *w, const char *name, const void *data, size_t n, struct cria_error *err) {
    struct durable_file to = {.fd = -1};
    char *path = NULL;
    cria_status status;
    TRY(join(w->folder, name, &path, err));
    TRY(durable_create(&to, path, err));
    TRY(durable_write(&to, data, n, err));
    TRY(finish_file(&to, add_file(w, name), err));
out:
    durable_close(&to);
    alloc_free(path);
    return status;
}

static cria_status mark(struct durable_file *to, struct checkpoint_file *f, const char *name, struct cria_error *err) {
    struct checkpoint_mark *m = &f->marks[f->n_marks++];
    snprintf(m->name, sizeof m->name, "%s", name);
    m->end = to->n_bytes;
    return durable_digest(to, m->sum, err);
}

static cria_status make_header(const struct checkpoint_tensor *tensors, int n, struct buffer *out,
                               struct cria_error *err) {
    struct hf_save_tensor *headers = alloc_array((size_t)n, sizeof *headers);
    if (!headers) return ERROR_NOMEM(err, (size_t)n * sizeof *headers, "the header of a safetensors file");
    for (int i = 0; i < n; i++) headers[i] = tensors[i].header;
    const cria_status status = hf_save_header(out, headers, n, err);
    alloc_free(headers);
    return status;
}

static cria_status write_tensors(struct work *w, const char *name, const struct checkpoint_tensor *tensors, int n,
                                 struct cria_error *err) {
    struct durable_file to = {.fd = -1};
    struct buffer header = buffer_make(LIMIT_SAFETENSORS_HEADER_BYTES);
    char *path = NULL;
    cria_status status;
    struct checkpoint_file *f = add_file(w, name);
    f->marks = alloc_zeroed((size_t)n + 1, sizeof *f->marks);
    if (!f->marks) TRY(ERROR_NOMEM(err, ((size_t)n + 1) * sizeof *f->marks, "a manifest"));
    TRY(make_header(tensors, n, &header, err));
    TRY(join(w->folder, name, &path, err));
    TRY(durable_create(&to, path, err));
    TRY(durable_write(&to, header.data, header.n_bytes, err));
    TRY(mark(&to, f, "header", err));
    for (int i = 0; i < n; i++) {
        const struct hf_save_tensor *t = &tensors[i].header;
        TRY(durable_write(&to, tensors[i].values, (size_t)(t->n_rows * t->n_columns) * sizeof(float), err));
        TRY(mark(&to, f, t->name, err));
    }
    TRY(finish_file(&to, f, err));
out:
    durable_close(&to);
    buffer_free(&header);
    alloc_free(path);
    return status;
}

static cria_status write_model(struct work *w, const struct checkpoint_content *c, struct cria_error *err) {
    cria_status status;
    TRY(write_text(w, "config.json", c->config.data, c->config.n_bytes, err));
    TRY(write_text(w, "generation_config.json", c->generation.data, c->generation.n_bytes, err));
    for (int i = 0; i < c->n_companions; i++)
        TRY(write_text(w, c->companions[i].name, c->companions[i].data, c->companions[i].n, err));
    TRY(write_tensors(w, "model.safetensors", c->model, c->n_model, err));
out:
    return status;
}

/* The manifest, and beside it its own hash: what a flipped byte in the manifest is found by. */
static cria_status write_manifest(struct work *w, struct cria_error *err) {
    struct buffer text = buffer_make(LIMIT_SAFETENSORS_HEADER_BYTES);
    char hex[DIGEST_HEX_BYTES], line[DIGEST_HEX_BYTES + 32];
    cria_status status;
    TRY(checkpoint_manifest_text(&text, &w->manifest, err));
    TRY(write_text(w, "manifest.json", text.data, text.n_bytes, err));
    digest_hex(w->manifest.files[w->manifest.n_files - 1].sum, hex);
    const int n = snprintf(line, sizeof line, "%s  manifest.json\n", hex);
    TRY(write_text(w, "manifest.sha256", line, (size_t)n, err));
out:
    buffer_free(&text);
    return status;
}

static cria_status write_all(struct work *w, const struct checkpoint_content *c, const struct checkpoint_stamp *stamp,
                             struct cria_error *err) {
    cria_status status;
    w->manifest.step = stamp->step;
    w->manifest.arithmetic = ORDER_ARITHMETIC_VERSION;
    memcpy(w->manifest.run_id, stamp->run_id, DIGEST_BYTES);
    memcpy(w->manifest.model_id, c->model_id, DIGEST_BYTES);
    memcpy(w->manifest.tokenizer_id, c->tokenizer_id, DIGEST_BYTES);
    TRY(checkpoint_content_digest(c, w->manifest.weights, err));
    TRY(durable_make_folder(w->folder, err));
    TRY(write_model(w, c, err));
    TRY(write_tensors(w, "optimizer.safetensors", c->optimizer, c->n_optimizer, err));
    TRY(write_text(w, "state.json", stamp->state, stamp->n_state, err));
    TRY(write_manifest(w, err));
    TRY(durable_sync_folder(w->folder, err));
out:
    return status;
}

/* Gives the folder `work` its name; what has the name now goes away, by way of `old`. */
static cria_status publish(const char *work, const char *path, const char *old, const char *parent,
                           struct cria_error *err) {
    cria_status status;
    const bool is_taken = file_is_folder(path);
    if (is_taken) {
        TRY(durable_remove(old, err));
        TRY(durable_rename(path, old, err));
    }
    TRY(durable_rename(work, path, err));
    TRY(durable_sync_folder(parent, err));
    if (is_taken) TRY(durable_remove(old, err));
out:
    return status;
}

cria_status checkpoint_write(const char *folder, const struct checkpoint_content *c,
                             const struct checkpoint_stamp *stamp, struct cria_error *err) {
    char *path = checkpoint_path(folder, stamp->step), *folder_name = NULL, *old = NULL;
    struct work w = {0};
    cria_status status;
    if (!path) TRY(ERROR_NOMEM(err, strlen(folder), "a path"));
    if (file_is_folder(path) && checkpoint_verify(folder, stamp->step, stamp->run_id, c, NULL) == CRIA_OK) {
        status = CRIA_OK;
        goto out;
    }
    TRY(file_make_folder(folder, err));
    TRY(join(folder, WORK_PREFIX "new", &folder_name, err));
    TRY(join(folder, WORK_PREFIX "old", &old, err));
    TRY(durable_remove(folder_name, err));
    w.folder = folder_name;
    TRY(write_all(&w, c, stamp, err));
    TRY(publish(folder_name, path, old, folder, err));
    TRY(checkpoint_verify(folder, stamp->step, stamp->run_id, c, err));
out:
    if (status != CRIA_OK && folder_name) (void)!durable_remove(folder_name, NULL);
    checkpoint_manifest_free(&w.manifest);
    alloc_free(path);
    alloc_free(folder_name);
    alloc_free(old);
    return status;
}

cria_status checkpoint_write_model(const char *path, const struct checkpoint_content *c, struct cria_error *err) {
    char *parent = NULL, *folder_name = NULL, *old = NULL;
    struct work w = {0};
    cria_status status;
    parent = alloc_text(path, (size_t)(file_name(path) - path));
    if (!parent) TRY(ERROR_NOMEM(err, strlen(path), "a path"));
    TRY(join(parent, WORK_PREFIX "model", &folder_name, err));
    TRY(join(parent, WORK_PREFIX "old-model", &old, err));
    TRY(durable_remove(folder_name, err));
    w.folder = folder_name;
    TRY(durable_make_folder(folder_name, err));
    TRY(write_model(&w, c, err));
    TRY(durable_sync_folder(folder_name, err));
    TRY(publish(folder_name, path, old, parent, err));
out:
    if (status != CRIA_OK && folder_name) (void)!durable_remove(folder_name, NULL);
    checkpoint_manifest_free(&w.manifest);
    alloc_free(parent);
    alloc_free(folder_name);
    alloc_free(old);
    return status;
}

cria_status checkpoint_remove(const char *folder, int64_t step, struct cria_error *err) {
    char *path = checkpoint_path(folder, step), *old = NULL;
    cria_status status;
    if (!path) TRY(ERROR_NOMEM(err, strlen(folder), "a path"));
    TRY(join(folder, WORK_PREFIX "removed", &old, err));
    TRY(durable_remove(old, err));
    TRY(durable_rename(path, old, err));
    TRY(durable_remove(old, err));
out:
    alloc_free(path);
    alloc_free(old);
    return status;
}

cria_status checkpoint_clean(const char *folder, struct cria_error *err) {
    static const char *const names[] = {WORK_PREFIX "new", WORK_PREFIX "old", WORK_PREFIX "removed", NULL};
    cria_status status = CRIA_OK;
    for (int i = 0; names[i] && status == CRIA_OK; i++) {
        char *path = file_join(folder, names[i]);
        if (!path) return ERROR_NOMEM(err, strlen(folder), "a path");
        status = durable_remove(path, err);
        alloc_free(path);
    }
    return status;
}
