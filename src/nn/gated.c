/* gated.c: the gated half of the feed-forward layer (SwiGLU; Shazeer 2020).
 *
 *   F1  g = W_gate x,  u = W_up x
 *   F2  h = g / (1 + exp(-g)) * u
 *
 * g and u live in f32 inside a piece of work and never reach memory; h is rounded once, where it is packed for W_down.
 */
#include "nn/nn.h"

cria_status nn_gated_fwd(device *d, struct nn_packed x, const struct device_matrix *gate,
                         const struct device_matrix *up, const struct device_matrix *down, struct nn_packed out,
                         struct cria_error *err) {
    if (gate->n_rows != up->n_rows || gate->n_rows != down->n_columns)
        return ERROR_SET(err, CRIA_SHAPE, "gate gives %lld numbers, up %lld, down takes %lld", (long long)gate->n_rows,
                         (long long)up->n_rows, (long long)down->n_columns);
    if (device_row_bytes(d, gate) != x.row_bytes || device_row_bytes(d, up) != x.row_bytes || out.n_rows < x.n_rows ||
        out.row_bytes < device_row_bytes(d, down))
        return ERROR_SET(err, CRIA_SHAPE, "gated product of %d rows of %zu bytes into %d rows of %zu", x.n_rows,
                         x.row_bytes, out.n_rows, out.row_bytes);
    device_gated(
        d, &(struct device_gated){
               .gate = gate, .up = up, .down = down, .x = x.rows, .out = out.rows, .n_rows = x.n_rows}); /* F1, F2 */
    return CRIA_OK;
}
