/* rmsnorm.c: scale each row of D numbers to unit root-mean-square, then by a learned gain.
 *
 *   F1  r   = 1 / sqrt(sum_j x_j^2 / D + eps)
 *   F2  y_i = (x_i * r) * w_i
 *
 *   B1  dw_i += sum over rows of dy_i (x_i r)                                        from F2
 *   B2  dx_i += r (dy_i w_i - x_i r^2 c / D),  c = sum_j dy_j w_j x_j               from F2 and F1, by
 *                                                                                   dr/dx_i = -x_i r^3 / D
 *
 * Saved: x; r is computed again. All in f32; y is rounded once, where it is packed for the product that reads it. */
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

cria_status nn_rmsnorm_rows(device *d, struct nn_floats x, const float *gain, float eps, struct nn_floats y,
                            struct cria_error *err) {
    if (x.width != y.width || y.n_rows < x.n_rows)
        return ERROR_SET(err, CRIA_SHAPE, "norm of %d rows x %lld into %d x %lld", x.n_rows, (long long)x.width,
                         y.n_rows, (long long)y.width);
    device_norm_rows(d, &(struct device_norm_rows){.x = x.data,
                                                   .w = gain,
                                                   .y = y.data,
                                                   .x_stride = x.stride,
                                                   .y_stride = y.stride,
                                                   .width = x.width,
                                                   .eps = eps,
                                                   .n_rows = x.n_rows}); /* F1, F2 */
    return CRIA_OK;
}

cria_status nn_rmsnorm_bwd(device *d, const struct nn_norm_bwd *a, struct cria_error *err) {
    const struct nn_floats x = a->x, dy = a->dy, dx = a->dx;
    if (x.width != dy.width || x.width != dx.width || dy.n_rows != x.n_rows || dx.n_rows < x.n_rows)
        return ERROR_SET(err, CRIA_SHAPE, "norm of %d rows x %lld, gradients of %d x %lld into %d x %lld", x.n_rows,
                         (long long)x.width, dy.n_rows, (long long)dy.width, dx.n_rows, (long long)dx.width);
    device_norm_backward(d, &(struct device_norm_backward){.x = x.data,
                                                           .w = a->gain,
                                                           .dy = dy.data,
                                                           .dx = dx.data,
                                                           .dw = a->dgain,
                                                           .x_stride = x.stride,
                                                           .dy_stride = dy.stride,
                                                           .dx_stride = dx.stride,
                                                           .width = x.width,
                                                           .eps = a->eps,
                                                           .n_rows = x.n_rows,
                                                           .scratch = a->scratch}); /* B1, B2 */
    return CRIA_OK;
}
