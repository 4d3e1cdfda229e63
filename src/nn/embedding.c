/* embedding.c: token ids to rows of numbers.
 *
 *   F1  x_t = E[id_t]      the number that products with E use: bf16 in compute mode bf16
 *
 *   B1  dE_(id_t) += dx_t      t ascending, in f32
 *
 * No scaling, no position. Saved: the ids. */
#include "nn/nn.h"

cria_status nn_embedding_fwd(device *d, const struct device_matrix *table, const int32_t *ids, int n_ids,
                             struct nn_floats x, struct cria_error *err) {
    if (x.n_rows < n_ids || x.width != table->n_columns)
        return ERROR_SET(err, CRIA_SHAPE, "embedding of %d ids x %lld into %d x %lld", n_ids,
                         (long long)table->n_columns, x.n_rows, (long long)x.width);
    for (int i = 0; i < n_ids; i++)
        if (ids[i] < 0 || ids[i] >= table->n_rows)
            return ERROR_SET(err, CRIA_RANGE, "token id %d at place %d is not in 0 .. %lld", ids[i], i,
                             (long long)table->n_rows - 1);
    device_embed(d, table, ids, n_ids, x.data, x.stride); /* F1 */
    return CRIA_OK;
}

cria_status nn_embedding_bwd(device *d, const int32_t *ids, int n_ids, struct nn_floats dx, int64_t n_vocab,
                             float *dtable, struct cria_error *err) {
    if (dx.n_rows < n_ids) return ERROR_SET(err, CRIA_SHAPE, "gradients of %d ids from %d rows", n_ids, dx.n_rows);
    for (int i = 0; i < n_ids; i++)
        if (ids[i] >= n_vocab)
            return ERROR_SET(err, CRIA_RANGE, "token id %d at place %d is not in 0 .. %lld", ids[i], i,
                             (long long)n_vocab - 1);
    device_embed_backward(d, ids, n_ids, dx.data, dx.stride, dx.width, dtable); /* B1 */
    return CRIA_OK;
}
