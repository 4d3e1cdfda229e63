/* rmsnorm.c: scale each row of D numbers to unit root-mean-square, then by a learned gain.
 *
 *   F1  r   = 1 / sqrt(sum_j x_j^2 / D + eps)
 *   F2  y_i = (x_i * r) * w_i
 *
 * All in f32; y is rounded once, where it is packed for the product that reads it. */
#include "nn/nn.h"

cria_status nn_rmsnorm_fwd(device *d, struct nn_floats x, const float *gain, float eps,
                           const struct device_matrix *next, struct nn_packed out, struct cria_error *err) {
    if (x.width != next->n_columns || out.n_rows < x.n_rows || out.row_bytes < device_row_bytes(d, next))
        return ERROR_SET(err, CRIA_SHAPE, "norm of %d rows x %lld for a product over %lld (room for %d rows)", x.n_rows,
                         (long long)x.width, (long long)next->n_columns, out.n_rows);
    device_norm(d, &(struct device_norm){.x = x.data,
                                         .x_stride = x.stride,
                                         .w = gain,
                                         .eps = eps,
                                         .m = next,
                                         .out = out.rows,
                                         .n_rows = x.n_rows}); /* F1, F2 */
    return CRIA_OK;
}
