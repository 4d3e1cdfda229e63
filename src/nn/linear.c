/* linear.c: products with weight matrices [N][K].
 *
 *   F1  y_n = sum_k W_nk x_k            or, with add,  y_n = y_n + sum_k W_nk x_k
 *
 * Several matrices over the same rows stand side by side in y: q, k, v. The sum is shards of chains (kernel/order.h);
 * what is added to is the finished sum.
 *
 *   B1  dx_k = sum_n W_nk dy_n             over all parts: their rows one after the other in each shard
 *   B2  dW_nk += sum over rows of dy_n x_k
 *
 * Saved: x. In compute mode bf16 dy and x are rounded where they are packed, as W was; sums stay in f32. */
#include "nn/nn.h"

cria_status nn_linear_fwd(device *d, struct nn_packed x, const struct device_matrix *const *w, int n_parts, bool add,
                          struct nn_floats y, struct cria_error *err) {
    CRIA_ASSERT(n_parts >= 1 && n_parts <= DEVICE_MAX_PARTS);
    struct device_linear a = {
        .n_parts = n_parts, .x = x.rows, .n_rows = x.n_rows, .y = y.data, .y_stride = y.stride, .add = add};
    int64_t width = 0;
    for (int i = 0; i < n_parts; i++) {
        a.m[i] = w[i];
        a.y_offset[i] = width;
        width += w[i]->n_rows;
        if (device_row_bytes(d, w[i]) != x.row_bytes)
            return ERROR_SET(err, CRIA_SHAPE, "product over %lld columns of rows of %zu bytes, expected %zu",
                             (long long)w[i]->n_columns, x.row_bytes, device_row_bytes(d, w[i]));
    }
    if (width != y.width || y.n_rows < x.n_rows)
        return ERROR_SET(err, CRIA_SHAPE, "product of %d rows x %lld into %d x %lld", x.n_rows, (long long)width,
                         y.n_rows, (long long)y.width);
    device_linear(d, &a); /* F1 */
    return CRIA_OK;
}

cria_status nn_linear_bwd_input(device *d, struct nn_floats dy, const struct device_gradient_matrix *g,
                                struct nn_packed packed, struct nn_floats dx, struct cria_error *err) {
    int64_t width = 0;
    for (int i = 0; i < g->n_segments; i++) width += g->segments[i].n;
    if (width != dy.width || g->m.n_rows != dx.width || dx.n_rows < dy.n_rows)
        return ERROR_SET(err, CRIA_SHAPE, "input gradient of %d rows x %lld into %d x %lld, expected %lld into %lld",
                         dy.n_rows, (long long)dy.width, dx.n_rows, (long long)dx.width, (long long)width,
                         (long long)g->m.n_rows);
    if (packed.n_rows < dy.n_rows || packed.row_bytes < device_row_bytes(d, &g->m))
        return ERROR_SET(err, CRIA_SHAPE, "%d rows of %zu bytes for packed gradients, expected %d of %zu",
                         packed.n_rows, packed.row_bytes, dy.n_rows, device_row_bytes(d, &g->m));
    device_gradient_rows(d, g, dy.data, dy.stride, dy.n_rows, packed.rows);
    device_linear(d, &(struct device_linear){.m = {&g->m},
                                             .n_parts = 1,
                                             .x = packed.rows,
                                             .n_rows = dy.n_rows,
                                             .y = dx.data,
                                             .y_stride = dx.stride}); /* B1 */
    return CRIA_OK;
}

cria_status nn_linear_bwd_weight(device *d, const struct nn_outer *a, struct cria_error *err) {
    const size_t need = device_outer_bytes(d, a->dy.n_rows, a->dy.width, a->x.width, a->f32);
    if (a->dy.n_rows != a->x.n_rows || a->scratch_bytes < need)
        return ERROR_SET(err, CRIA_SHAPE,
                         "weight gradient of %d rows x %lld and %d x %lld with %zu bytes, expected %zu", a->dy.n_rows,
                         (long long)a->dy.width, a->x.n_rows, (long long)a->x.width, a->scratch_bytes, need);
    device_outer(d, &(struct device_outer){.a = a->dy.data,
                                           .b = a->x.data,
                                           .a_stride = a->dy.stride,
                                           .b_stride = a->x.stride,
                                           .n_tokens = a->dy.n_rows,
                                           .n_a = a->dy.width,
                                           .n_b = a->x.width,
                                           .out = a->dw,
                                           .out_stride = (size_t)a->x.width,
                                           .f32 = a->f32,
                                           .scratch = a->scratch}); /* B2 */
    return CRIA_OK;
}
