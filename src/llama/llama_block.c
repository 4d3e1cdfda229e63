/* llama_block.c: one decoder layer, as the equations stand in docs/MODEL.md:
 *
 *   F1  a = rmsnorm(x) ; q, k, v = W_q a, W_k a, W_v a
 *   F2  o = attention(q, k, v)
 *   F3  x = x + W_o o
 *   F4  b = rmsnorm(x)
 *   F5  h = silu(W_gate b) * (W_up b)
 *   F6  x = x + W_down h
 *
 * The residual stream x stays in f32. */
#include "llama/llama_private.h"

cria_status llama_block_fwd(llama_session *s, int layer, struct llama_batch batch, struct cria_error *err) {
    const llama_model *m = s->model;
    const struct arch_config *c = &m->config;
    const struct llama_layer *w = &m->layers[layer];
    const float eps = (float)c->norm_eps;
    const int64_t qkv_width = (c->n_heads + 2 * c->n_kv_heads) * c->head_size;
    const struct nn_floats x = {s->residual, batch.n_rows, c->d_model, (size_t)c->d_model};
    const struct nn_floats qkv = {s->qkv, batch.n_rows, qkv_width, (size_t)qkv_width};
    struct nn_packed attn_normed = s->attn_normed, attn_out = s->attn_out, ffn_normed = s->ffn_normed,
                     hidden = s->hidden;
    attn_normed.n_rows = attn_out.n_rows = ffn_normed.n_rows = hidden.n_rows = batch.n_rows;
    uint8_t *cache = (uint8_t *)s->cache.data + (size_t)layer * s->kv.page_bytes;
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
                                               .scratch = s->attention_scratch,
                                               .max_context = s->options.max_context};
    cria_status status = CRIA_OK;
    TRY(nn_rmsnorm_fwd(m->dev, x, w->attn_norm, eps, &w->q, attn_normed, err)); /* F1 */
    TRY(nn_linear_fwd(m->dev, attn_normed, (const struct device_matrix *[]){&w->q, &w->k, &w->v}, 3, false, qkv, err));
    TRY(nn_attention_fwd(m->dev, qkv, &rotate, &attention, attn_out, err));                          /* F2 */
    TRY(nn_linear_fwd(m->dev, attn_out, (const struct device_matrix *[]){&w->o}, 1, true, x, err));  /* F3 */
    TRY(nn_rmsnorm_fwd(m->dev, x, w->ffn_norm, eps, &w->gate, ffn_normed, err));                     /* F4 */
    TRY(nn_gated_fwd(m->dev, ffn_normed, &w->gate, &w->up, &w->down, hidden, err));                  /* F5 */
    TRY(nn_linear_fwd(m->dev, hidden, (const struct device_matrix *[]){&w->down}, 1, true, x, err)); /* F6 */
out:
    return status;
}
