/* checkpoint_read.c: holding a checkpoint to its manifest, and restoring from it; see checkpoint.h. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch/limits.h"
#include "base/alloc.h"
#include "base/file.h"
#include "format/safetensors.h"
#include "kernel/order.h"
#include "train/checkpoint_manifest.h"

enum { READ_BYTES = 1 << 20, MAX_STATE_BYTES = 1 << 24, NAME_DIGITS = 18 };

static cria_status join(const char *folder, const char *name, char **ret, struct cria_error *err) {
    *ret = file_join(folder, name);
    return *ret ? CRIA_OK : ERROR_NOMEM(err, strlen(folder) + strlen(name), "a path");
}

/* A file on its way through the hash. */
struct reading {
    int fd;           /* owned; -1: none */
    const char *path; /* borrowed */
    digest *sum;      /* owned */
    uint8_t *part;    /* owned: READ_BYTES */
};

static cria_status add_up_to(struct reading *r, uint64_t *at, uint64_t end, struct cria_error *err) {
    while (*at < end) {
        const size_t want = end - *at < READ_BYTES ? (size_t)(end - *at) : READ_BYTES;
        const ssize_t got = pread(r->fd, r->part, want, (off_t)*at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0)
            return ERROR_SET(err, CRIA_IO, "%s: cannot be read at byte %" PRIu64 ": %s", r->path, *at,
                             got ? strerror(errno) : "the file ends there");
        digest_add(r->sum, r->part, (size_t)got);
        *at += (uint64_t)got;
    }
    return CRIA_OK;
}

/* The hash so far is the one that the manifest has for the end of `what`. */
static cria_status compare(const struct reading *r, const uint8_t *wanted, const char *what, struct cria_error *err) {
    uint8_t sum[DIGEST_BYTES];
    const cria_status status = digest_result(r->sum, sum, err);
    if (status != CRIA_OK || memcmp(sum, wanted, sizeof sum) == 0) return status;
    if (what)
        return ERROR_SET(err, CRIA_FORMAT, "%s: \"%s\" was changed: its SHA-256 is not the manifest's", r->path, what);
    return ERROR_SET(err, CRIA_FORMAT, "%s: was changed: its SHA-256 is not the manifest's", r->path);
}

static cria_status check_bytes(struct reading *r, const struct checkpoint_file *f, struct cria_error *err) {
    cria_status status;
    uint64_t at = 0;
    for (int i = 0; i < f->n_marks; i++) {
        TRY(add_up_to(r, &at, f->marks[i].end, err));
        TRY(compare(r, f->marks[i].sum, f->marks[i].name, err));
    }
    TRY(add_up_to(r, &at, f->n_bytes, err));
    TRY(compare(r, f->sum, NULL, err));
out:
    return status;
}

static cria_status check_file(const char *folder, const struct checkpoint_file *f, struct cria_error *err) {
    struct reading r = {.fd = -1};
    char *path = NULL;
    uint64_t bytes = 0;
    cria_status status;
    TRY(join(folder, f->name, &path, err));
    r.path = path;
    TRY(file_open_read(path, &r.fd, &bytes, err));
    if (bytes != f->n_bytes)
        TRY(ERROR_SET(err, CRIA_FORMAT, "%s: expected %" PRIu64 " bytes, found %" PRIu64, path, f->n_bytes, bytes));
    r.part = alloc_array(READ_BYTES, 1);
    if (!r.part) TRY(ERROR_NOMEM(err, (size_t)READ_BYTES, "reading a checkpoint"));
    TRY(digest_create(&r.sum, err));
    TRY(check_bytes(&r, f, err));
out:
    if (r.fd >= 0) close(r.fd);
    digest_destroy(&r.sum);
    alloc_free(r.part);
    alloc_free(path);
    return status;
}

/* manifest.sha256 has the form that sha256sum reads and writes. */
static cria_status check_manifest_sum(const char *folder, const char *text, size_t n, struct cria_error *err) {
    uint8_t wanted[DIGEST_BYTES], sum[DIGEST_BYTES];
    char *path = NULL, *line = NULL;
    size_t n_line = 0;
    digest *d = NULL;
    cria_status status;
    static const char ending[] = "  manifest.json\n";
    TRY(join(folder, "manifest.sha256", &path, err));
    TRY(file_read(path, 1024, &line, &n_line, err));
    const struct json_text hex = {.bytes = line, .n = n_line < 2 * DIGEST_BYTES ? 0 : 2 * DIGEST_BYTES};
    if (!checkpoint_manifest_hex(hex, wanted) || n_line != hex.n + sizeof ending - 1 ||
        memcmp(line + hex.n, ending, sizeof ending - 1) != 0)
        TRY(ERROR_SET(err, CRIA_FORMAT, "%s: expected one line of sha256sum for manifest.json", path));
    TRY(digest_create(&d, err));
    digest_add(d, text, n);
    TRY(digest_result(d, sum, err));
    if (memcmp(sum, wanted, sizeof sum) != 0)
        TRY(ERROR_SET(err, CRIA_FORMAT, "%s/manifest.json: was changed: its SHA-256 is not that of manifest.sha256",
                      folder));
out:
    digest_destroy(&d);
    alloc_free(path);
    alloc_free(line);
    return status;
}

static cria_status read_manifest(const char *folder, struct checkpoint_manifest *ret, struct cria_error *err) {
    char *path = NULL, *text = NULL;
    size_t n = 0;
    cria_status status;
    TRY(join(folder, "manifest.json", &path, err));
    TRY(file_read(path, LIMIT_SAFETENSORS_HEADER_BYTES, &text, &n, err));
    TRY(check_manifest_sum(folder, text, n, err));
    status = checkpoint_manifest_parse(ret, text, n, err);
    if (status != CRIA_OK) error_prefix(err, "%s", path);
out:
    alloc_free(path);
    alloc_free(text);
    return status;
}

/* The manifest is of the state that was asked for. */
static cria_status check_identity(const char *path, const struct checkpoint_manifest *m, int64_t step,
                                  const uint8_t *run_id, const struct checkpoint_content *c, struct cria_error *err) {
    static const char *const needed[] = {"config.json", "model.safetensors", "optimizer.safetensors", "state.json"};
    const char *what = NULL;
    if (m->step != step)
        return ERROR_SET(err, CRIA_FORMAT, "%s/manifest.json: is of step %" PRId64 ", not %" PRId64, path, m->step,
                         step);
    if (m->arithmetic != ORDER_ARITHMETIC_VERSION)
        return ERROR_SET(err, CRIA_UNSUPPORTED,
                         "%s/manifest.json: was computed by arithmetic %" PRId64
                         ", this program has %d: its bits "
                         "would not go on",
                         path, m->arithmetic, ORDER_ARITHMETIC_VERSION);
    if (run_id && memcmp(m->run_id, run_id, DIGEST_BYTES) != 0) what = "run";
    if (c && memcmp(m->model_id, c->model_id, DIGEST_BYTES) != 0) what = "model (config.json)";
    if (c && memcmp(m->tokenizer_id, c->tokenizer_id, DIGEST_BYTES) != 0) what = "tokenizer";
    if (what) return ERROR_SET(err, CRIA_FORMAT, "%s/manifest.json: belongs to another %s", path, what);
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (!checkpoint_manifest_file(m, needed[i]))
            return ERROR_SET(err, CRIA_FORMAT, "%s/manifest.json: names no %s", path, needed[i]);
    return CRIA_OK;
}

cria_status checkpoint_verify(const char *folder, int64_t step, const uint8_t *run_id,
                              const struct checkpoint_content *c, struct cria_error *err) {
    struct checkpoint_manifest m = {0};
    cria_status status;
    char *path = checkpoint_path(folder, step);
    if (!path) TRY(ERROR_NOMEM(err, strlen(folder), "a path"));
    TRY(read_manifest(path, &m, err));
    TRY(check_identity(path, &m, step, run_id, c, err));
    for (int i = 0; i < m.n_files; i++) TRY(check_file(path, &m.files[i], err));
out:
    checkpoint_manifest_free(&m);
    alloc_free(path);
    return status;
}

static cria_status restore(const struct safetensors *s, const uint8_t *data, const struct checkpoint_tensor *to,
                           struct cria_error *err) {
    const struct hf_save_tensor *h = &to->header;
    const size_t n = strlen(h->name), bytes = (size_t)(h->n_rows * h->n_columns) * sizeof(float);
    for (size_t i = 0; i < s->n_tensors; i++) {
        const struct safetensors_tensor *t = &s->tensors[i];
        if (t->name_bytes != n || memcmp(t->name, h->name, n) != 0) continue;
        if (safetensors_dtype(t) != DTYPE_F32 || t->end - t->begin != bytes)
            return ERROR_SET(err, CRIA_SHAPE, "tensor \"%s\": expected %zu bytes of f32, found %" PRIu64 " of %s",
                             h->name, bytes, t->end - t->begin, safetensors_format_name(t));
        memcpy(to->values, data + t->begin, bytes);
        return CRIA_OK;
    }
    return ERROR_SET(err, CRIA_NOTFOUND, "no tensor \"%s\"", h->name);
}

/* Copying out of a mapping is guarded against a file that is cut meanwhile. */
struct restoring {
    const struct safetensors *s;
    const uint8_t *data;
    const struct checkpoint_tensor *tensors;
    int n;
};

static cria_status restore_guarded(void *arg, struct cria_error *err) {
    const struct restoring *r = arg;
    for (int i = 0; i < r->n; i++) {
        const cria_status status = restore(r->s, r->data, &r->tensors[i], err);
        if (status != CRIA_OK) return status;
    }
    return CRIA_OK;
}

static cria_status restore_all(const char *folder, const char *name, const struct checkpoint_tensor *tensors, int n,
                               struct cria_error *err) {
    struct safetensors s = {0};
    struct file_map *map = NULL;
    char *path = NULL;
    cria_status status;
    TRY(join(folder, name, &path, err));
    TRY(file_map_open(&map, path, err));
    status = safetensors_open(&s, map, err);
    if (status == CRIA_OK) {
        struct restoring r = {.s = &s, .data = map->data + s.data_start, .tensors = tensors, .n = n};
        status = file_guard(map, restore_guarded, &r, err);
    }
    if (status != CRIA_OK) error_prefix(err, "%s", path);
out:
    safetensors_free(&s);
    file_map_close(&map);
    alloc_free(path);
    return status;
}

cria_status checkpoint_load(const char *folder, int64_t step, const uint8_t *run_id, const struct checkpoint_content *c,
                            char **ret_state, size_t *ret_n, struct cria_error *err) {
    char *path = checkpoint_path(folder, step), *state_path = NULL;
    cria_status status;
    if (!path) TRY(ERROR_NOMEM(err, strlen(folder), "a path"));
    TRY(checkpoint_verify(folder, step, run_id, c, err));
    TRY(restore_all(path, "model.safetensors", c->model, c->n_model, err));
    TRY(restore_all(path, "optimizer.safetensors", c->optimizer, c->n_optimizer, err));
    TRY(join(path, "state.json", &state_path, err));
    TRY(file_read(state_path, MAX_STATE_BYTES, ret_state, ret_n, err));
out:
    alloc_free(path);
    alloc_free(state_path);
    return status;
}

/* The step of "step-NNNNNNNN"; -1 for any other name. */
static int64_t step_of(const char *name) {
    static const char prefix[] = "step-";
    int64_t step = 0;
    if (strncmp(name, prefix, sizeof prefix - 1) != 0) return -1;
    const char *digits = name + sizeof prefix - 1;
    const size_t n = strlen(digits);
    if (n < 8 || n > NAME_DIGITS || (n > 8 && digits[0] == '0')) return -1;
    for (size_t i = 0; i < n; i++) {
        if (digits[i] < '0' || digits[i] > '9') return -1;
        step = 10 * step + (digits[i] - '0');
    }
    return step;
}

static int newer_first(const void *a, const void *b) {
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

cria_status checkpoint_list(const char *folder, int64_t **ret, int *ret_n, struct cria_error *err) {
    int64_t *steps = alloc_array(1, sizeof *steps);
    int n = 0;
    if (!steps) return ERROR_NOMEM(err, sizeof *steps, "the list of checkpoints");
    DIR *d = opendir(folder);
    if (!d && errno != ENOENT) {
        alloc_free(steps);
        return ERROR_SET(err, CRIA_IO, "%s: cannot be read: %s", folder, strerror(errno));
    }
    for (const struct dirent *e; d && (e = readdir(d));) {
        const int64_t step = step_of(e->d_name);
        if (step < 0) continue;
        int64_t *grown = alloc_resize(steps, (size_t)n + 1, sizeof *steps);
        if (!grown) {
            closedir(d);
            alloc_free(steps);
            return ERROR_NOMEM(err, ((size_t)n + 1) * sizeof *steps, "the list of checkpoints");
        }
        steps = grown;
        steps[n++] = step;
    }
    if (d) closedir(d);
    qsort(steps, (size_t)n, sizeof *steps, newer_first);
    *ret = steps;
    *ret_n = n;
    return CRIA_OK;
}
