/* llama_weights.c: master weights: made from a seed, read from files, named by a digest. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/random.h"
#include "base/realmath.h"
#include "llama/llama_train.h"

_Static_assert(LLAMA_DIGEST_BYTES == DIGEST_BYTES, "the digest of weights is a SHA-256");

/* ---- from a seed ---- */

/* Two independent normal numbers from one word of random bits (Box and Muller 1958): the halves of the word are the
 * radius' uniform number in (0, 1) and the angle's in [0, 1). */
static void normal_pair(uint64_t bits, double out[2]) {
    const double two_pi = 6.283185307179586, whole = 4294967296.0;
    const double radius = sqrt(-2.0 * realmath_log(((double)(bits >> 32) + 0.5) / whole));
    const double angle = two_pi * ((double)(bits & 0xffffffffu) / whole);
    out[0] = radius * realmath_cos(angle);
    out[1] = radius * realmath_sin(angle);
}

/* Elements 2 i and 2 i + 1 of the layout share the random word i; tensors begin at even places. */
static void init_normal(const struct llama_tensor *t, double deviation, uint64_t seed, float *w) {
    double pair[2];
    for (int64_t i = 0; i < t->n; i++) {
        if (i % 2 == 0) normal_pair(random_u64(seed, RANDOM_INIT, (uint64_t)(t->offset + i) / 2), pair);
        w[t->offset + i] = (float)(deviation * pair[i % 2]);
    }
}

void llama_weights_init(const llama_layout *l, const struct arch_config *c, uint64_t seed, float *w) {
    for (int i = 0; i < llama_layout_count(l); i++) {
        const struct llama_tensor *t = llama_layout_at(l, i);
        const double deviation = arch_init_deviation(c, t->weight);
        if (deviation > 0) init_normal(t, deviation, seed, w);
        for (int64_t j = 0; deviation <= 0 && j < t->n; j++) w[t->offset + j] = 1.0f;
    }
}

/* ---- from files ---- */

struct reading {
    const struct llama_tensor *tensor;
    struct model_tensor stored;
    int64_t head_size;
    float *w;
};

/* The row of the layout that a stored row belongs to: GGUF has the rows of a q or k head as pairs. */
static int64_t row_of(const struct reading *r, int64_t stored_row) {
    if (!r->stored.rope_interleaved) return stored_row;
    const int64_t in_head = stored_row % r->head_size;
    return stored_row - in_head + in_head / 2 + in_head % 2 * (r->head_size / 2);
}

static cria_status read_rows(void *arg, struct cria_error *err) {
    const struct reading *r = arg;
    const size_t row_bytes = dtype_bytes(r->stored.dtype, (size_t)r->stored.n_columns);
    (void)err;
    for (int64_t row = 0; row < r->tensor->n_rows; row++)
        dtype_row_to_f32(r->stored.dtype, (const uint8_t *)r->stored.data + (size_t)row * row_bytes,
                         (size_t)r->stored.n_columns, r->w + r->tensor->offset + row_of(r, row) * r->tensor->n_columns);
    return CRIA_OK;
}

cria_status llama_weights_read(const llama_layout *l, const model_files *files, float *w, struct cria_error *err) {
    const struct arch_config *c = model_files_config(files);
    for (int i = 0; i < llama_layout_count(l); i++) {
        const struct llama_tensor *t = llama_layout_at(l, i);
        if (!arch_weight_exists(c, t->weight) || t->layer >= c->n_layers)
            return ERROR_SET(err, CRIA_SHAPE, "%s of layer %d: the files have none", arch_weight_row(t->weight)->name,
                             t->layer);
        struct reading r = {t, model_files_tensor(files, t->weight, t->layer), c->head_size, w};
        if (r.stored.n_rows != t->n_rows || r.stored.n_columns != t->n_columns)
            return ERROR_SET(err, CRIA_SHAPE, "%s: %lld x %lld numbers, expected %lld x %lld", r.stored.name,
                             (long long)r.stored.n_rows, (long long)r.stored.n_columns, (long long)t->n_rows,
                             (long long)t->n_columns);
        const cria_status status = model_files_guard(files, &r.stored, read_rows, &r, err);
        if (status != CRIA_OK) return status;
        model_files_release(files, &r.stored);
    }
    return CRIA_OK;
}

/* ---- their name ---- */

static cria_status digest_floats(const float *x, int64_t n, uint8_t ret[DIGEST_BYTES], struct cria_error *err) {
    digest *d = NULL;
    cria_status status = digest_create(&d, err);
    if (status != CRIA_OK) return status;
    digest_add(d, x, (size_t)n * sizeof *x);
    status = digest_result(d, ret, err);
    digest_destroy(&d);
    return status;
}

cria_status llama_weights_digest(const llama_layout *l, const float *w, uint8_t ret[LLAMA_DIGEST_BYTES],
                                 struct cria_error *err) {
    digest *whole = NULL;
    cria_status status = digest_create(&whole, err);
    if (status != CRIA_OK) return status;
    for (int i = 0; i < llama_layout_count(l); i++) {
        const struct llama_tensor *t = llama_layout_at(l, i);
        uint8_t one[DIGEST_BYTES];
        TRY(digest_floats(w + t->offset, t->n, one, err));
        digest_add(whole, one, sizeof one);
    }
    TRY(digest_result(whole, ret, err));
out:
    digest_destroy(&whole);
    return status;
}
