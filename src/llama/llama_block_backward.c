/* llama_block_backward.c: the backward pass of one decoder layer; each line undoes the one of llama_block.c with its
 * number. dx is the gradient of the residual stream, in f32; it passes through every addition unchanged.
 *
 *   B6  dh = W_down' dx;  dW_down += dx h'                         h comes from B5
 *   B5  dg, du = gated'(g, u, dh);  dW_gate += dg b', dW_up += du b';  db = W_gate' dg + W_up' du
 *   B4  dx += rmsnorm'(x between the halves, db);  dw_ffn += ..
 *   B3  do = W_o' dx;  dW_o += dx o'
 *   B2  dq, dk, dv = attention'(q, k, v, o, do)
 *   B1  dW_q += dq a', ..;  da = W_q' dq + W_k' dk + W_v' dv;  dx += rmsnorm'(x, da);  dw_attn += ..
 *
 * a and b are normalised again from the kept residual; o, q, k, v, g and u are kept or were computed again before. */
#include "llama/llama_train_private.h"

static struct nn_floats floats(float *data, struct llama_batch batch, int64_t width) {
    return (struct nn_floats){data, batch.n_rows, width, (size_t)width};
}

/* Columns first .. first + width - 1. */
static struct nn_floats columns(struct nn_floats x, int64_t first, int64_t width) {
    return (struct nn_floats){x.data + first, x.n_rows, width, x.stride};
}

static cria_status input_gradient(const llama_trainer *t, struct nn_floats dy, const struct device_gradient_matrix *g,
                                  struct nn_floats dx, struct cria_error *err) {
    const size_t row_bytes = device_row_bytes(t->model.dev, &g->m);
    const struct nn_packed packed = {{t->packed_rows, row_bytes}, (int)(t->packed_rows_bytes / row_bytes), row_bytes};
    return nn_linear_bwd_input(t->model.dev, dy, g, packed, dx, err);
}

static cria_status weight_gradient(const llama_trainer *t, enum arch_weight w, int layer, struct nn_floats dy,
                                   struct nn_floats x, struct cria_error *err) {
    const struct nn_outer outer = {dy,
                                   x,
                                   llama_trainer_gradient(t, w, layer),
                                   t->model.compute == LLAMA_COMPUTE_F32,
                                   t->outer_scratch,
                                   t->outer_bytes};
    return nn_linear_bwd_weight(t->model.dev, &outer, err);
}

static cria_status norm_gradient(const llama_trainer *t, enum arch_weight w, int layer, struct nn_floats x,
                                 struct nn_floats dy, struct cria_error *err) {
    const struct llama_layer *l = &t->model.layers[layer];
    const struct nn_norm_bwd norm = {.x = x,
                                     .dy = dy,
                                     .dx = {t->d_x, x.n_rows, x.width, x.stride},
                                     .gain = w == ARCH_W_ATTN_NORM ? l->attn_norm : l->ffn_norm,
                                     .eps = (float)t->model.config.norm_eps,
                                     .dgain = llama_trainer_gradient(t, w, layer),
                                     .scratch = t->norm_scratch};
    return nn_rmsnorm_bwd(t->model.dev, &norm, err);
}

static cria_status ffn_bwd(llama_trainer *t, int layer, const struct llama_block_rows *rows, struct llama_batch batch,
                           struct cria_error *err) {
    const struct arch_config *c = &t->model.config;
    const struct llama_backward_layer *back = &t->backward[layer];
    const struct nn_floats dx = floats(t->d_x, batch, c->d_model), x = floats(rows->ffn_residual, batch, c->d_model);
    const struct nn_floats dh = floats(t->d_hidden, batch, c->d_ff), d_gu = floats(rows->gate_up, batch, 2 * c->d_ff);
    const struct nn_floats b = floats(t->normed, batch, c->d_model), db = floats(t->d_normed, batch, c->d_model);
    cria_status status = CRIA_OK;
    TRY(input_gradient(t, dx, &back->down, dh, err));         /* B6 */
    TRY(nn_gated_bwd(t->model.dev, d_gu, dh, err));           /* B5; dh is now h */
    TRY(weight_gradient(t, ARCH_W_DOWN, layer, dx, dh, err)); /* B6 */
    TRY(nn_rmsnorm_rows(t->model.dev, x, t->model.layers[layer].ffn_norm, (float)c->norm_eps, b, err)); /* F4 */
    TRY(weight_gradient(t, ARCH_W_GATE, layer, columns(d_gu, 0, c->d_ff), b, err));                     /* B5 */
    TRY(weight_gradient(t, ARCH_W_UP, layer, columns(d_gu, c->d_ff, c->d_ff), b, err));
    TRY(input_gradient(t, d_gu, &back->gate_up, db, err));
    TRY(norm_gradient(t, ARCH_W_FFN_NORM, layer, x, db, err)); /* B4 */
out:
    return status;
}

static cria_status attention_bwd(llama_trainer *t, const struct llama_block_rows *rows, struct llama_batch batch,
                                 struct cria_error *err) {
    const struct arch_config *c = &t->model.config;
    const llama_session *s = &t->session;
    const size_t qkv_width = (size_t)((c->n_heads + 2 * c->n_kv_heads) * c->head_size);
    const size_t width = (size_t)(c->n_heads * c->head_size);
    const struct device_attention_backward attention = {.qkv = rows->qkv,
                                                        .out = rows->attn_rows,
                                                        .d_out = t->d_attn,
                                                        .stats = rows->attn_stats,
                                                        .dqkv = t->d_qkv,
                                                        .qkv_stride = qkv_width,
                                                        .out_stride = width,
                                                        .d_out_stride = width,
                                                        .dqkv_stride = qkv_width,
                                                        .n_heads = c->n_heads,
                                                        .n_kv_heads = c->n_kv_heads,
                                                        .head_size = c->head_size,
                                                        .kv_dtype = s->kv.dtype,
                                                        .runs = s->runs,
                                                        .n_runs = batch.n_runs,
                                                        .max_context = s->options.max_context,
                                                        .scratch = t->attention_scratch};
    const struct device_rotate_backward rotate = {.dqkv = t->d_qkv,
                                                  .stride = qkv_width,
                                                  .n_heads = c->n_heads,
                                                  .n_kv_heads = c->n_kv_heads,
                                                  .head_size = c->head_size,
                                                  .cosines = s->cosines,
                                                  .sines = s->sines,
                                                  .runs = s->runs,
                                                  .n_runs = batch.n_runs};
    return nn_attention_bwd(t->model.dev, &attention, &rotate, err);
}

static cria_status attend_bwd(llama_trainer *t, int layer, const struct llama_block_rows *rows,
                              struct llama_batch batch, struct cria_error *err) {
    const struct arch_config *c = &t->model.config;
    const struct llama_backward_layer *back = &t->backward[layer];
    const int64_t queries = c->n_heads * c->head_size, keys = c->n_kv_heads * c->head_size;
    const struct nn_floats dx = floats(t->d_x, batch, c->d_model), x = floats(rows->residual, batch, c->d_model);
    const struct nn_floats o = floats(rows->attn_rows, batch, queries), d_o = floats(t->d_attn, batch, queries);
    const struct nn_floats d_qkv = floats(t->d_qkv, batch, queries + 2 * keys);
    const struct nn_floats a = floats(t->normed, batch, c->d_model), da = floats(t->d_normed, batch, c->d_model);
    cria_status status = CRIA_OK;
    TRY(input_gradient(t, dx, &back->o, d_o, err)); /* B3 */
    TRY(weight_gradient(t, ARCH_W_O, layer, dx, o, err));
    TRY(attention_bwd(t, rows, batch, err));                                                             /* B2 */
    TRY(nn_rmsnorm_rows(t->model.dev, x, t->model.layers[layer].attn_norm, (float)c->norm_eps, a, err)); /* F1 */
    TRY(weight_gradient(t, ARCH_W_Q, layer, columns(d_qkv, 0, queries), a, err));                        /* B1 */
    TRY(weight_gradient(t, ARCH_W_K, layer, columns(d_qkv, queries, keys), a, err));
    TRY(weight_gradient(t, ARCH_W_V, layer, columns(d_qkv, queries + keys, keys), a, err));
    TRY(input_gradient(t, d_qkv, &back->qkv, da, err));
    TRY(norm_gradient(t, ARCH_W_ATTN_NORM, layer, x, da, err));
out:
    return status;
}

cria_status llama_block_bwd(llama_trainer *t, int layer, const struct llama_block_rows *rows, struct llama_batch batch,
                            struct cria_error *err) {
    const cria_status status = ffn_bwd(t, layer, rows, batch, err);
    return status == CRIA_OK ? attend_bwd(t, layer, rows, batch, err) : status;
}
