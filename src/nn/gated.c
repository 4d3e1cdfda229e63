/* gated.c: the gated half of the feed-forward layer (SwiGLU; Shazeer 2020).
 *
 *   F1  g = W_gate x,  u = W_up x
 *   F2  h = g / (1 + exp(-g)) * u
 *
 *   B2  with s = 1 / (1 + exp(-g)):  du = dh g s,  dg = dh u s (1 + g (1 - s))        from F2
 *   B1  the input gradient and both weight gradients are those of linear.c, over dg and du side by side
 *
 * g and u live in f32 inside a piece of work and reach memory for learning alone (saved or computed again); h is
 * rounded once, where it is packed for W_down. B2 makes h again, for the weight gradient of W_down. */
#include "nn/nn.h"

cria_status nn_gated_fwd(device *d, struct nn_packed x, const struct device_matrix *gate,
                         const struct device_matrix *up, const struct device_matrix *down, struct nn_packed out,
                         struct nn_floats gate_up, struct cria_error *err) {
    if (gate->n_rows != up->n_rows || gate->n_rows != down->n_columns)
        return ERROR_SET(err, CRIA_SHAPE, "gate gives %lld numbers, up %lld, down takes %lld", (long long)gate->n_rows,
                         (long long)up->n_rows, (long long)down->n_columns);
    if (device_row_bytes(d, gate) != x.row_bytes || device_row_bytes(d, up) != x.row_bytes || out.n_rows < x.n_rows ||
        out.row_bytes < device_row_bytes(d, down))
        return ERROR_SET(err, CRIA_SHAPE, "gated product of %d rows of %zu bytes into %d rows of %zu", x.n_rows,
                         x.row_bytes, out.n_rows, out.row_bytes);
    if (gate_up.data && (gate_up.width != 2 * gate->n_rows || gate_up.n_rows < x.n_rows))
        return ERROR_SET(err, CRIA_SHAPE, "keeping %d rows of gate and up x %lld in %d x %lld", x.n_rows,
                         (long long)(2 * gate->n_rows), gate_up.n_rows, (long long)gate_up.width);
    device_gated(d, &(struct device_gated){.gate = gate,
                                           .up = up,
                                           .down = down,
                                           .x = x.rows,
                                           .out = out.rows,
                                           .n_rows = x.n_rows,
                                           .gate_up = gate_up.data,
                                           .gate_up_stride = gate_up.stride}); /* F1, F2 */
    return CRIA_OK;
}

cria_status nn_gated_bwd(device *d, struct nn_floats gate_up, struct nn_floats dh, struct cria_error *err) {
    const int64_t width = dh.width;
    if (gate_up.width != 2 * width || gate_up.n_rows < dh.n_rows)
        return ERROR_SET(err, CRIA_SHAPE, "gradients of %d rows x %lld through %d rows of gate and up x %lld",
                         dh.n_rows, (long long)width, gate_up.n_rows, (long long)gate_up.width);
    device_gated_backward(d, &(struct device_gated_backward){.g = gate_up.data,
                                                             .u = gate_up.data + width,
                                                             .dh = dh.data,
                                                             .h = dh.data,
                                                             .dg = gate_up.data,
                                                             .du = gate_up.data + width,
                                                             .stride = gate_up.stride,
                                                             .h_stride = dh.stride,
                                                             .width = width,
                                                             .n_rows = dh.n_rows}); /* B2 */
    return CRIA_OK;
}
