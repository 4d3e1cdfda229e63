/* nn.h: the layers: one file for each kind, which checks shapes and hands the work to the device.
 *
 * Callers may believe: a call that would read or write outside its rows comes back as SHAPE and nothing was done. Each
 * file's banner holds the layer's equations; kernel/order.h holds the order of their additions. The layers know
 * nothing of models, sequences or caches beyond what their arguments say. Rows are tokens; letters as in arch/arch.h.
 */
#ifndef NN_NN_H
#define NN_NN_H

#include "base/error.h"
#include "device/device.h"

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
/* out = silu(x . gate) * (x . up), packed for products with down. */
CRIA_MUST_CHECK cria_status nn_gated_fwd(device *d, struct nn_packed x, const struct device_matrix *gate,
                                         const struct device_matrix *up, const struct device_matrix *down,
                                         struct nn_packed out, struct cria_error *err);
/* Rotation of q and k, filling of the cache, attention; packed for products with next. */
CRIA_MUST_CHECK cria_status nn_attention_fwd(device *d, struct nn_floats qkv, const struct device_rotate *rotate,
                                             const struct device_attention *attention, struct nn_packed out,
                                             struct cria_error *err);

#endif
