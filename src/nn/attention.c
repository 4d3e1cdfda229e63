/* attention.c: rotation and causal attention with grouped key/value heads (RoPE: Su et al. 2021; GQA: Ainslie et al.
 * 2023).
 *
 *   F1  of each head of q and k, with (a, b) = (z_i, z_(i+S/2)) and the angle position * f_i:
 *         a' = a cos - b sin,  b' = b cos + a sin
 *   F2  k and v are rounded to the cache's format and appended; q is rounded alike
 *   F3  s_j = q . k_j / sqrt(S)  for keys j up to the row's own position, of the head's group h / (H / G)
 *   F4  p = softmax(s), o = sum_j p_j v_j
 *
 *   B4  dv_j += p_j do;  dp_j = do . v_j;  ds_j = p_j (dp_j - c),  c = sum_j p_j dp_j = do . o       from F4
 *   B3  dq = sum_j ds_j k_j / sqrt(S);  dk_j += ds_j q / sqrt(S)                                     from F3
 *       (dk and dv are sums over the query heads of the group)
 *   B2  nothing: rounding passes gradients through as they are
 *   B1  da = da' cos + db' sin,  db = db' cos - da' sin          the rotation by the opposite angle, from F1
 *
 * Saved: q and k after F1, v, o, and of each softmax its maximum and 1 / sum, from which B4 makes p again.
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

cria_status nn_attention_bwd(device *d, const struct device_attention_backward *attention,
                             const struct device_rotate_backward *rotate, struct cria_error *err) {
    const struct device_attention_backward *a = attention;
    const int64_t width = (a->n_heads + 2 * a->n_kv_heads) * a->head_size;
    if (rotate->dqkv != a->dqkv || rotate->n_heads != a->n_heads || rotate->n_kv_heads != a->n_kv_heads ||
        rotate->head_size != a->head_size || rotate->n_runs != a->n_runs)
        return ERROR_SET(err, CRIA_SHAPE,
                         "rotation of %lld + %lld heads of %lld after attention over %lld + %lld of %lld",
                         (long long)rotate->n_heads, (long long)rotate->n_kv_heads, (long long)rotate->head_size,
                         (long long)a->n_heads, (long long)a->n_kv_heads, (long long)a->head_size);
    if (a->qkv_stride < (size_t)width || a->dqkv_stride < (size_t)width ||
        a->out_stride < (size_t)(a->n_heads * a->head_size) || a->d_out_stride < (size_t)(a->n_heads * a->head_size))
        return ERROR_SET(err, CRIA_SHAPE, "rows of attention are %zu and %zu apart, expected at least %lld",
                         a->qkv_stride, a->dqkv_stride, (long long)width);
    for (int i = 0; i < a->n_runs; i++)
        if (a->runs[i].position_0 != 0 || a->runs[i].n_rows > a->max_context)
            return ERROR_SET(err, CRIA_SHAPE,
                             "run %d: %d rows from position %lld, expected whole documents of at most "
                             "%lld",
                             i, a->runs[i].n_rows, (long long)a->runs[i].position_0, (long long)a->max_context);
    device_attention_backward(d, attention); /* B4, B3 */
    device_rotate_backward(d, rotate);       /* B1 */
    return CRIA_OK;
}
