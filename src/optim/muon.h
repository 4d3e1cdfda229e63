/* muon.h: Muon (Jordan et al. 2024): momentum whose matrix is brought near to an orthogonal one.
 *
 *   m = momentum m + g;  x = g + momentum m;  o = the nearest matrix with orthogonal rows (or columns), about
 *   w = w - lr decay w;  w = w - lr 0.2 sqrt(max(n_rows, n_columns)) o
 *
 * o comes from five steps of a Newton-Schulz iteration of degree five, on whole logical matrices (q, k and v apart).
 * The factor gives an update the root mean square of AdamW's, so that one learning rate serves both (Liu et al. 2025).
 * Private to this folder. One thread at a time. */
#ifndef OPTIM_MUON_H
#define OPTIM_MUON_H

#include "device/device_backward.h"

typedef struct muon muon;

/* What the largest of some matrices needs. All zero: none. */
struct muon_sizes {
    int64_t floats; /* of a matrix */
    int64_t small, large;
};
void muon_sizes_add(struct muon_sizes *s, int64_t n_rows, int64_t n_columns);

size_t muon_bytes(const device *dev, const struct muon_sizes *sizes, bool f32);
CRIA_MUST_CHECK cria_status muon_create(muon **ret, device *dev, const struct muon_sizes *sizes, bool f32,
                                        struct cria_error *err);
void muon_destroy(muon **m);

struct muon_update {
    int64_t n_rows, n_columns;
    float *w, *m;
    const float *gradient;
    float scale, momentum;
    double lr, decay;
};
/* Between device_begin() and device_end(). */
void muon_apply(muon *m, const struct muon_update *u);

#endif
