/* attention.c: rotation and causal attention with grouped key/value heads (RoPE: Su et al. 2021; GQA: Ainslie et al.
 * 2023).
 *
 *   F1  (a, b) = (z_i, z_(i+S/2)) of each head of q and k:  a' = a cos - b sin,  b' = b cos + a sin, angle position *
 * f_i F2  k and v are rounded to the cache's format and appended; q is rounded alike F3  s_j = q . k_j / sqrt(S)  for
 * keys j up to the row's own position, of the head's group h / (H / G) F4  p = softmax(s), o = sum_j p_j v_j
 *
 * F4 runs over key blocks with a running maximum (kernel/order.h); p is rounded to the cache's format. */
#include "nn/nn.h"

cria_status nn_attention_fwd(device *d, struct nn_floats qkv, const struct device_rotate *rotate,
                             const struct device_attention *attention, struct nn_packed out, struct cria_error *err) {
    const struct device_kv *kv = rotate->kv;
    const int64_t width = (rotate->n_heads + 2 * kv->n_kv_heads) * kv->head_size;
    if (qkv.width != width || qkv.n_rows < rotate->n_rows)
        return ERROR_SET(err, CRIA_SHAPE, "attention over %d rows x %lld, expected %d x %lld", qkv.n_rows,
                         (long long)qkv.width, rotate->n_rows, (long long)width);
    if (attention->m->n_columns != rotate->n_heads * kv->head_size || out.n_rows < rotate->n_rows ||
        out.row_bytes < device_row_bytes(d, attention->m))
        return ERROR_SET(err, CRIA_SHAPE, "attention gives %lld numbers a row, its projection takes %lld",
                         (long long)(rotate->n_heads * kv->head_size), (long long)attention->m->n_columns);
    device_rotate(d, rotate);       /* F1, F2 */
    device_attention(d, attention); /* F3, F4 */
    return CRIA_OK;
}
