/* nn.h: the layers: one file for each kind, forward and backward, which checks shapes and hands the work to the device.
 *
 * Callers may believe: a call that would read or write outside its rows comes back as SHAPE and nothing was done. Each
 * file's banner holds the layer's equations; kernel/order.h holds the order of their additions. The layers know
 * nothing of models, sequences or caches beyond what their arguments say. Rows are tokens; letters as in arch/arch.h.
 */
#ifndef NN_NN_H
#define NN_NN_H

#include "base/error.h"
#include "device/device_backward.h"

/* Floats of a row-major matrix [n_rows][stride], of which `width` in each row count. */
struct nn_floats {
    float *data; /* borrowed */
    int n_rows;
    int64_t width;
    size_t stride;
};

/* Packed rows and the bytes that each has room for. */
struct nn_packed {
    struct device_rows rows;
    int n_rows;
    size_t row_bytes;
};

/* x[i] = row ids[i] of the table. RANGE for an id outside it, naming the place. */
CRIA_MUST_CHECK cria_status nn_embedding_fwd(device *d, const struct device_matrix *table, const int32_t *ids,
                                             int n_ids, struct nn_floats x, struct cria_error *err);
/* out = rmsnorm(x) * gain, packed for products with next. */
CRIA_MUST_CHECK cria_status nn_rmsnorm_fwd(device *d, struct nn_floats x, const float *gain, float eps,
                                           const struct device_matrix *next, struct nn_packed out,
                                           struct cria_error *err);
/* y[:, offset_p ..] = x . W_p for each part, side by side; with add, y += x . W (one part). */
CRIA_MUST_CHECK cria_status nn_linear_fwd(device *d, struct nn_packed x, const struct device_matrix *const *w,
                                          int n_parts, bool add, struct nn_floats y, struct cria_error *err);
/* out = silu(x . gate) * (x . up), packed for products with down. gate_up: x . gate and x . up side by side, for
 * backward; without data they are not kept. */
CRIA_MUST_CHECK cria_status nn_gated_fwd(device *d, struct nn_packed x, const struct device_matrix *gate,
                                         const struct device_matrix *up, const struct device_matrix *down,
                                         struct nn_packed out, struct nn_floats gate_up, struct cria_error *err);
/* Rotation of q and k, filling of the cache, attention; packed for products with next. */
CRIA_MUST_CHECK cria_status nn_attention_fwd(device *d, struct nn_floats qkv, const struct device_rotate *rotate,
                                             const struct device_attention *attention, struct nn_packed out,
                                             struct cria_error *err);

/* ---- backward: rows are plain floats; gradients of weights are added to what is there ---- */

/* dtable row ids[i] += dx row i; an id below 0 is a slot without a token. */
CRIA_MUST_CHECK cria_status nn_embedding_bwd(device *d, const int32_t *ids, int n_ids, struct nn_floats dx,
                                             int64_t n_vocab, float *dtable, struct cria_error *err);
/* The floats that nn_rmsnorm_fwd() packs. */
CRIA_MUST_CHECK cria_status nn_rmsnorm_rows(device *d, struct nn_floats x, const float *gain, float eps,
                                            struct nn_floats y, struct cria_error *err);
/* dx += and dgain +=. */
struct nn_norm_bwd {
    struct nn_floats x, dy, dx;
    const float *gain;
    float eps;
    float *dgain;
    float *scratch; /* a float for each row */
};
CRIA_MUST_CHECK cria_status nn_rmsnorm_bwd(device *d, const struct nn_norm_bwd *a, struct cria_error *err);
/* dx = dy . W for the parts of g, which stand side by side in dy. packed: room for the rows of dy. */
CRIA_MUST_CHECK cria_status nn_linear_bwd_input(device *d, struct nn_floats dy, const struct device_gradient_matrix *g,
                                                struct nn_packed packed, struct nn_floats dx, struct cria_error *err);
/* dw[n][k] += sum over rows of dy[row][n] * x[row][k]: [dy.width][x.width]. */
struct nn_outer {
    struct nn_floats dy, x;
    float *dw;
    bool f32;         /* products of exact numbers, else of those rounded to bf16 */
    uint8_t *scratch; /* scratch_bytes, at least device_outer_bytes() of this shape */
    size_t scratch_bytes;
};
CRIA_MUST_CHECK cria_status nn_linear_bwd_weight(device *d, const struct nn_outer *a, struct cria_error *err);
/* gate_up (g and u side by side, as nn_gated_fwd() keeps them) becomes their gradients, dh becomes h. */
CRIA_MUST_CHECK cria_status nn_gated_bwd(device *d, struct nn_floats gate_up, struct nn_floats dh,
                                         struct cria_error *err);
/* The gradients of q, k and v before the rotation, side by side. */
CRIA_MUST_CHECK cria_status nn_attention_bwd(device *d, const struct device_attention_backward *attention,
                                             const struct device_rotate_backward *rotate, struct cria_error *err);

/* losses[i] = -log softmax(logits row i)[targets[i]], and the logits become their gradients. A target of -1: nothing is
 * predicted. RANGE for a target outside the vocabulary. */
CRIA_MUST_CHECK cria_status nn_cross_entropy(device *d, struct nn_floats logits, const int32_t *targets, float *losses,
                                             struct cria_error *err);

#endif
