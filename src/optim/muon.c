/* muon.c: see muon.h. A matrix lies with its shorter side as rows: x is [small][large], t is its transpose. */
#include "optim/muon.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/exact_sum.h"
#include "tensor/pages.h"

enum { STEPS = 5, FLOAT_GRAIN = 16 };

struct muon {
    device *dev; /* borrowed */
    bool f32;
    struct pages memory;                  /* owned */
    float *x, *t, *next, *gram, *squared; /* in memory */
    uint8_t *scratch;                     /* in memory: of device_outer() */
};

void muon_sizes_add(struct muon_sizes *s, int64_t n_rows, int64_t n_columns) {
    const int64_t small = n_rows < n_columns ? n_rows : n_columns, large = n_rows < n_columns ? n_columns : n_rows;
    if (n_rows * n_columns > s->floats) s->floats = n_rows * n_columns;
    if (small > s->small) s->small = small;
    if (large > s->large) s->large = large;
}

static size_t padded(int64_t n) { return (size_t)((n + FLOAT_GRAIN - 1) / FLOAT_GRAIN * FLOAT_GRAIN); }

static size_t scratch_bytes(const device *dev, const struct muon_sizes *s, bool f32) {
    const size_t gram = device_outer_bytes(dev, (int)s->large, s->small, s->small, f32);
    const size_t product = device_outer_bytes(dev, (int)s->small, s->small, s->large, f32);
    return gram > product ? gram : product;
}

size_t muon_bytes(const device *dev, const struct muon_sizes *s, bool f32) {
    const size_t floats = 3 * padded(s->floats) + 2 * padded(s->small * s->small);
    return floats * sizeof(float) + scratch_bytes(dev, s, f32);
}

cria_status muon_create(muon **ret, device *dev, const struct muon_sizes *sizes, bool f32, struct cria_error *err) {
    muon *m = ALLOC_NEW(muon);
    if (!m) return ERROR_NOMEM(err, sizeof *m, "an optimizer");
    m->dev = dev;
    m->f32 = f32;
    const cria_status status = pages_get(&m->memory, muon_bytes(dev, sizes, f32), "the scratch of Muon", err);
    if (status != CRIA_OK) {
        alloc_free(m);
        return status;
    }
    m->x = m->memory.data;
    m->t = m->x + padded(sizes->floats);
    m->next = m->t + padded(sizes->floats);
    m->gram = m->next + padded(sizes->floats);
    m->squared = m->gram + padded(sizes->small * sizes->small);
    m->scratch = (uint8_t *)(m->squared + padded(sizes->small * sizes->small));
    *ret = m;
    return CRIA_OK;
}

void muon_destroy(muon **m) {
    muon *old = *m;
    *m = NULL;
    if (!old) return;
    pages_release(&old->memory);
    alloc_free(old);
}

/* out[n_a][n_b] += a^T b over n_tokens rows. */
static void outer(muon *m, const float *a, int64_t n_a, const float *b, int64_t n_b, int64_t n_tokens, float *out) {
    const struct device_outer product = {.a = a,
                                         .b = b,
                                         .a_stride = (size_t)n_a,
                                         .b_stride = (size_t)n_b,
                                         .n_tokens = (int)n_tokens,
                                         .n_a = n_a,
                                         .n_b = n_b,
                                         .out = out,
                                         .out_stride = (size_t)n_b,
                                         .f32 = m->f32,
                                         .scratch = m->scratch};
    device_outer(m->dev, &product);
}

/* x = a x + (b G + c G G) x with G = x x^T: pushes every singular value towards one. Coefficients: Jordan 2024. */
static void newton_schulz(muon *m, int64_t small, int64_t large) {
    static const float a = 3.4445F, b = -4.7750F, c = 2.0315F;
    const int64_t n = small * large, n_gram = small * small;
    for (int step = 0; step < STEPS; step++) {
        memset(m->gram, 0, (size_t)n_gram * sizeof *m->gram);
        memset(m->squared, 0, (size_t)n_gram * sizeof *m->squared);
        outer(m, m->t, small, m->t, small, large, m->gram);
        outer(m, m->gram, small, m->gram, small, small, m->squared); /* G is symmetric to the bit */
        for (int64_t i = 0; i < n_gram; i++) m->gram[i] = b * m->gram[i] + c * m->squared[i];
        for (int64_t i = 0; i < n; i++) m->next[i] = a * m->x[i];
        outer(m, m->gram, small, m->x, large, small, m->next);
        float *old = m->x;
        m->x = m->next;
        m->next = old;
        if (step + 1 < STEPS) device_transpose(m->dev, m->x, small, large, m->t);
    }
}

/* Takes the gradient into the momentum; m->next gets what the update follows, divided by its norm. */
static void follow(muon *m, const struct muon_update *u) {
    const int64_t n = u->n_rows * u->n_columns;
    for (int64_t i = 0; i < n; i++) {
        const float g = u->gradient[i] * u->scale;
        u->m[i] = u->momentum * u->m[i] + g;
        m->next[i] = g + u->momentum * u->m[i];
    }
    struct exact_sum sum = {0};
    (void)device_add_squares(m->dev, m->next, n, &sum); /* what is not finite was refused before */
    const float inverse = (float)(1 / (sqrt(exact_sum_value(&sum)) + 1e-7));
    for (int64_t i = 0; i < n; i++) m->next[i] = m->next[i] * inverse;
}

void muon_apply(muon *m, const struct muon_update *u) {
    const int64_t n = u->n_rows * u->n_columns;
    const bool is_tall = u->n_rows > u->n_columns;
    const int64_t small = is_tall ? u->n_columns : u->n_rows, large = is_tall ? u->n_rows : u->n_columns;
    follow(m, u);
    device_transpose(m->dev, m->next, u->n_rows, u->n_columns, m->t);
    float *wide = is_tall ? m->t : m->next;
    float *tall = is_tall ? m->next : m->t;
    float *spare = m->x;
    m->x = wide;
    m->t = tall;
    m->next = spare;
    newton_schulz(m, small, large);
    const float *result = m->x;
    if (is_tall) {
        device_transpose(m->dev, m->x, small, large, m->t);
        result = m->t;
    }
    const float keep = (float)(u->lr * u->decay), step = (float)(u->lr * 0.2 * sqrt((double)large));
    for (int64_t i = 0; i < n; i++) {
        const float w = u->w[i] - keep * u->w[i];
        u->w[i] = w - step * result[i];
    }
}
