/* linear.c: products with weight matrices [N][K].
 *
 *   F1  y_n = sum_k W_nk x_k            or, with add,  y_n = y_n + sum_k W_nk x_k
 *
 * Several matrices over the same rows stand side by side in y: q, k, v. The sum is shards of chains (kernel/order.h);
 * what is added to is the finished sum. */
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
