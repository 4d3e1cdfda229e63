/* llama_block.c: one decoder layer, as the equations stand in docs/MODEL.md:
 *
 *   F1  a = rmsnorm(x) ; q, k, v = W_q a, W_k a, W_v a
 *   F2  o = attention(q, k, v)
 *   F3  x = x + W_o o
 *   F4  b = rmsnorm(x)
 *   F5  h = silu(W_gate b) * (W_up b)
 *   F6  x = x + W_down h
 *
 * The residual stream x stays in f32. Its backward pass is the facing page, llama_block_backward.c; for it the rows
 * that s->keep names are kept. */
#include "llama/llama_private.h"

static struct nn_packed rows_of(struct nn_packed all, struct llama_batch batch) {
    all.n_rows = batch.n_rows;
    return all;
}

static struct nn_floats residual_of(const llama_session *s, struct llama_batch batch) {
    const int64_t width = s->model->config.d_model;
    return (struct nn_floats){s->residual, batch.n_rows, width, (size_t)width};
}

cria_status llama_block_attend(llama_session *s, int layer, struct llama_batch batch, struct cria_error *err) {
    const llama_model *m = s->model;
    const struct arch_config *c = &m->config;
    const struct llama_layer *w = &m->layers[layer];
    const int64_t qkv_width = (c->n_heads + 2 * c->n_kv_heads) * c->head_size;
    const struct nn_floats x = residual_of(s, batch);
    const struct nn_floats qkv = {s->qkv, batch.n_rows, qkv_width, (size_t)qkv_width};
    const struct nn_packed attn_normed = rows_of(s->attn_normed, batch), attn_out = rows_of(s->attn_out, batch);
    uint8_t *cache = (uint8_t *)s->cache.data + (size_t)layer * s->layer_bytes;
    const struct device_rotate rotate = {.qkv = s->qkv,
                                         .qkv_stride = (size_t)qkv_width,
                                         .n_heads = c->n_heads,
                                         .kv = &s->kv,
                                         .cosines = s->cosines,
                                         .sines = s->sines,
                                         .runs = s->runs,
                                         .n_runs = batch.n_runs,
                                         .n_rows = batch.n_rows,
                                         .cache = cache,
                                         .page_stride = s->page_bytes,
                                         .q = s->q};
    const struct device_attention attention = {.n_heads = c->n_heads,
                                               .kv = &s->kv,
                                               .runs = s->runs,
                                               .n_runs = batch.n_runs,
                                               .n_rows = batch.n_rows,
                                               .cache = cache,
                                               .page_stride = s->page_bytes,
                                               .q = s->q,
                                               .out = attn_out.rows,
                                               .m = &w->o,
                                               .rows = s->attn_rows,
                                               .stats = s->keep.attn_stats,
                                               .scratch = s->attention_scratch,
                                               .max_context = s->options.max_context};
    cria_status status = CRIA_OK;
    TRY(nn_rmsnorm_fwd(m->dev, x, w->attn_norm, (float)c->norm_eps, &w->q, attn_normed, err)); /* F1 */
    TRY(nn_linear_fwd(m->dev, attn_normed, (const struct device_matrix *[]){&w->q, &w->k, &w->v}, 3, false, qkv, err));
    TRY(nn_attention_fwd(m->dev, qkv, &rotate, &attention, attn_out, err));                         /* F2 */
    TRY(nn_linear_fwd(m->dev, attn_out, (const struct device_matrix *[]){&w->o}, 1, true, x, err)); /* F3 */
    if (s->keep.ffn_residual) device_copy(m->dev, s->keep.ffn_residual, x.data, x.n_rows * x.width);
out:
    return status;
}

cria_status llama_block_gate(llama_session *s, int layer, struct llama_batch batch, struct cria_error *err) {
    const llama_model *m = s->model;
    const struct arch_config *c = &m->config;
    const struct llama_layer *w = &m->layers[layer];
    const struct nn_packed ffn_normed = rows_of(s->ffn_normed, batch);
    const struct nn_floats gate_up = {s->keep.gate_up, batch.n_rows, 2 * c->d_ff, (size_t)(2 * c->d_ff)};
    cria_status status = CRIA_OK;
    TRY(nn_rmsnorm_fwd(m->dev, residual_of(s, batch), w->ffn_norm, (float)c->norm_eps, &w->gate, ffn_normed,
                       err));                                                                                   /* F4 */
    TRY(nn_gated_fwd(m->dev, ffn_normed, &w->gate, &w->up, &w->down, rows_of(s->hidden, batch), gate_up, err)); /* F5 */
out:
    return status;
}

cria_status llama_block_fwd(llama_session *s, int layer, struct llama_batch batch, struct cria_error *err) {
    const struct device_matrix *down = &s->model->layers[layer].down;
    cria_status status = CRIA_OK;
    TRY(llama_block_attend(s, layer, batch, err));
    TRY(llama_block_gate(s, layer, batch, err));
    TRY(nn_linear_fwd(s->model->dev, rows_of(s->hidden, batch), &down, 1, true, residual_of(s, batch), err)); /* F6 */
out:
    return status;
}
