/* model_data.c: what walks the stored bytes of the weights: guarded reads, digest, check of numbers (see format.h).
 *
 * Bytes are copied out of the mapping in pieces, under the guard, and looked at in the copy: a file that is cut
 * meanwhile ends in an error and nothing is lost on the way. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "format/model_files.h"

#define PIECE ((size_t)1 << 20)

static const struct file_map *map_of(const struct model_files *m, const struct model_tensor *t) {
    const uint8_t *data = t->data;
    for (int i = 0; i < m->n_maps; i++) {
        const struct file_map *map = m->maps[i];
        if (data >= map->data && data <= map->data + map->n_bytes) return map;
    }
    return NULL;
}

cria_status model_files_guard(const model_files *m, const struct model_tensor *t,
                              cria_status (*fn)(void *arg, struct cria_error *err), void *arg, struct cria_error *err) {
    const struct file_map *map = map_of(m, t);
    CRIA_ASSERT(map);
    return file_guard(map, fn, arg, err);
}

void model_files_watch(const model_files *m) {
    for (int i = 0; i < m->n_maps; i++) file_watch_begin(m->maps[i]);
}

cria_status model_files_unwatch(const model_files *m, struct cria_error *err) {
    cria_status worst = CRIA_OK;
    for (int i = 0; i < m->n_maps; i++) {
        const cria_status status = file_watch_end(m->maps[i], worst == CRIA_OK ? err : NULL);
        if (worst == CRIA_OK) worst = status;
    }
    return worst;
}

struct copy {
    void *to;
    const uint8_t *from;
    size_t n;
};

static cria_status copy_guarded(void *arg, struct cria_error *err) {
    const struct copy *c = arg;
    (void)err;
    memcpy(c->to, c->from, c->n);
    return CRIA_OK;
}

cria_status model_files_read(const model_files *m, const struct model_tensor *t, size_t at, size_t n, void *out,
                             struct cria_error *err) {
    CRIA_ASSERT(at <= t->n_bytes && n <= t->n_bytes - at);
    struct copy work = {out, (const uint8_t *)t->data + at, n};
    return model_files_guard(m, t, copy_guarded, &work, err);
}

/* Calls see(arg, t, piece, n) for pieces of the bytes of t, each of whole blocks. */
typedef cria_status see_fn(void *arg, const struct model_tensor *t, size_t at, const uint8_t *piece, size_t n,
                           struct cria_error *err);

static cria_status walk_tensor(const struct model_files *m, const struct model_tensor *t, uint8_t *buffer, see_fn *see,
                               void *arg, struct cria_error *err) {
    const size_t block = dtype_info(t->dtype)->block_bytes, piece = PIECE / block * block;
    for (size_t at = 0; at < t->n_bytes; at += piece) {
        const size_t n = t->n_bytes - at < piece ? t->n_bytes - at : piece;
        struct model_tensor part = *t;
        part.data = (const uint8_t *)t->data + at;
        part.n_bytes = n;
        cria_status status = model_files_read(m, t, at, n, buffer, err);
        model_files_release(m, &part);
        if (status == CRIA_OK) status = see(arg, t, at, buffer, n, err);
        if (status != CRIA_OK) return status;
    }
    return CRIA_OK;
}

/* All weights in table order: each kind with its layers ascending. */
static cria_status walk_weights(const struct model_files *m, see_fn *see, void *arg, struct cria_error *err) {
    cria_status status = CRIA_OK;
    uint8_t *buffer = alloc_array(PIECE, 1);
    if (!buffer) return ERROR_NOMEM(err, PIECE, "reading weights");
    for (int i = ARCH_W_NONE + 1; i < ARCH_W_COUNT; i++) {
        const enum arch_weight w = (enum arch_weight)i;
        const int n_layers = arch_weight_row(w)->per_layer ? (int)m->config.n_layers : 1;
        if (!arch_weight_exists(&m->config, w)) continue;
        for (int layer = 0; layer < n_layers; layer++) {
            const struct model_tensor t = model_files_tensor(m, w, layer);
            TRY(walk_tensor(m, &t, buffer, see, arg, err));
        }
    }
out:
    alloc_free(buffer);
    return status;
}

static cria_status add_to_digest(void *arg, const struct model_tensor *t, size_t at, const uint8_t *piece, size_t n,
                                 struct cria_error *err) {
    (void)t, (void)at, (void)err;
    digest_add(arg, piece, n);
    return CRIA_OK;
}

cria_status model_files_digest(const model_files *m, uint8_t out[32], struct cria_error *err) {
    cria_status status;
    digest *d = NULL;
    TRY(digest_create(&d, err));
    TRY(walk_weights(m, add_to_digest, d, err));
    TRY(digest_result(d, out, err));
out:
    digest_destroy(&d);
    return status;
}

static cria_status check_finite(void *arg, const struct model_tensor *t, size_t at, const uint8_t *piece, size_t n,
                                struct cria_error *err) {
    const struct model_files *m = arg;
    const struct dtype_info *info = dtype_info(t->dtype);
    for (size_t i = 0; i < n; i += info->block_bytes) {
        if (dtype_block_is_finite(t->dtype, piece + i)) continue;
        const size_t element = (at + i) / info->block_bytes * info->block_elements;
        return ERROR_SET(err, CRIA_NUMERIC,
                         "%s: tensor \"%s\" holds NaN or infinity in row %zu, at or behind column %zu", m->path,
                         t->name, element / (size_t)t->n_columns, element % (size_t)t->n_columns);
    }
    return CRIA_OK;
}

cria_status model_files_check_numbers(const model_files *m, struct cria_error *err) {
    return walk_weights(m, check_finite, (void *)m, err);
}

struct comparison {
    const struct model_files *m;
    const struct model_tensor *other;
    uint8_t *buffer;
    bool differs;
};

static cria_status compare_piece(void *arg, const struct model_tensor *t, size_t at, const uint8_t *piece, size_t n,
                                 struct cria_error *err) {
    struct comparison *c = arg;
    (void)t;
    const cria_status status = model_files_read(c->m, c->other, at, n, c->buffer, err);
    if (status == CRIA_OK && memcmp(c->buffer, piece, n) != 0) c->differs = true;
    return status;
}

cria_status model_files_same_bytes(const struct model_files *m, const struct model_tensor *a,
                                   const struct model_tensor *b, bool *ret_same, struct cria_error *err) {
    cria_status status = CRIA_OK;
    struct comparison c = {.m = m, .other = b};
    uint8_t *buffer = NULL;
    c.differs = a->dtype != b->dtype || a->n_bytes != b->n_bytes;
    if (c.differs) goto out;
    c.buffer = alloc_array(PIECE, 1);
    buffer = alloc_array(PIECE, 1);
    if (!c.buffer || !buffer) {
        status = ERROR_NOMEM(err, 2 * PIECE, "comparing tensors");
        goto out;
    }
    TRY(walk_tensor(m, a, buffer, compare_piece, &c, err));
out:
    alloc_free(c.buffer);
    alloc_free(buffer);
    if (status == CRIA_OK) *ret_same = !c.differs;
    return status;
}

void model_files_release(const model_files *m, const struct model_tensor *t) {
    (void)m;
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = ((uintptr_t)t->data + page - 1) / page * page;
    const uintptr_t end = ((uintptr_t)t->data + t->n_bytes) / page * page;
    /* Only whole pages of its own; the file still has them. */
    if (begin < end) (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
}
