/* llama_trainer_rows.c: some data rows forward and backward.
 *
 *   forward    the blocks of llama_block.c over the slots; what backward reads is kept, or not, as arch/ and the
 *              policy say
 *   head       a chunk of slots at a time: logits, losses, and at once their gradients, so that all logits are never
 *              held; dx of the last layer
 *   backward   layer by layer from the last: rows that were not kept are computed again by the same functions, to the
 *              same bits; then llama_block_backward.c; at last the embedding */
#include <string.h>

#include "llama/llama_train_private.h"

/* Why a layer runs: to learn from it, to score, or again for its backward pass. */
enum purpose { TO_LEARN, TO_SCORE, AGAIN };

static float *kept_row(const llama_trainer *t, enum arch_activation a, int layer) {
    return t->rows[a].data + (size_t)layer * t->rows[a].layer_floats;
}

/* A row that forward keeps for backward: NULL where that is for nothing. */
static float *kept_row_for(const llama_trainer *t, enum arch_activation a, int layer, enum purpose purpose) {
    if (purpose == TO_SCORE || (purpose == TO_LEARN && t->rows[a].layer_floats == 0)) return NULL;
    return kept_row(t, a, layer);
}

static void bind_layer(llama_trainer *t, int layer, enum purpose purpose) {
    llama_session *s = &t->session;
    s->qkv = kept_row(t, ARCH_A_QKV, layer);
    s->attn_rows = kept_row(t, ARCH_A_ATTN_ROWS, layer);
    s->keep = (struct llama_keep){.attn_stats = kept_row_for(t, ARCH_A_ATTN_STATS, layer, purpose),
                                  .ffn_residual = kept_row_for(t, ARCH_A_FFN_RESIDUAL, layer, purpose),
                                  .gate_up = kept_row_for(t, ARCH_A_GATE_UP, layer, purpose)};
}

static void copy_residual(const llama_trainer *t, struct llama_batch batch, float *to, const float *from) {
    device_copy(t->model.dev, to, from, (int64_t)batch.n_rows * t->model.config.d_model);
}

/* ---- forward ---- */

static cria_status forward(llama_trainer *t, struct llama_batch batch, enum purpose purpose, struct cria_error *err) {
    llama_session *s = &t->session;
    const int64_t d_model = t->model.config.d_model;
    const struct nn_floats x = {s->residual, batch.n_rows, d_model, (size_t)d_model};
    cria_status status = nn_embedding_fwd(t->model.dev, &t->model.embedding, t->slots.ids, batch.n_rows, x, err);
    for (int layer = 0; status == CRIA_OK && layer < (int)t->model.config.n_layers; layer++) {
        bind_layer(t, layer, purpose);
        if (purpose == TO_LEARN) copy_residual(t, batch, kept_row(t, ARCH_A_RESIDUAL, layer), s->residual);
        status = llama_block_fwd(s, layer, batch, err);
    }
    return status;
}

/* ---- the head, a chunk at a time ---- */

struct chunk {
    struct nn_floats x, dx, logits, normed, d_normed;
    const int32_t *targets;
    float *losses;
};

static struct chunk chunk_at(const llama_trainer *t, int first, int n_rows) {
    const int64_t d_model = t->model.config.d_model, n_vocab = t->model.config.n_vocab;
    const size_t at = (size_t)first * (size_t)d_model, stride = (size_t)d_model;
    return (struct chunk){.x = {t->session.residual + at, n_rows, d_model, stride},
                          .dx = {t->d_x + at, n_rows, d_model, stride},
                          .logits = {t->logits, n_rows, n_vocab, (size_t)n_vocab},
                          .normed = {t->normed, n_rows, d_model, stride},
                          .d_normed = {t->d_normed, n_rows, d_model, stride},
                          .targets = t->slots.targets + first,
                          .losses = t->slots.losses + first};
}

static cria_status chunk_fwd(const llama_trainer *t, const struct chunk *chunk, struct cria_error *err) {
    const llama_model *m = &t->model;
    const struct device_matrix *head = &m->head;
    struct nn_packed normed = t->session.final_normed;
    cria_status status = CRIA_OK;
    normed.n_rows = chunk->x.n_rows;
    TRY(nn_rmsnorm_fwd(m->dev, chunk->x, m->final_norm, (float)m->config.norm_eps, head, normed, err));
    TRY(nn_linear_fwd(m->dev, normed, &head, 1, false, chunk->logits, err));
    TRY(nn_cross_entropy(m->dev, chunk->logits, chunk->targets, chunk->losses, err)); /* logits: now their gradients */
out:
    return status;
}

static cria_status chunk_bwd(const llama_trainer *t, const struct chunk *chunk, struct cria_error *err) {
    const llama_model *m = &t->model;
    const float eps = (float)m->config.norm_eps;
    const size_t row_bytes = device_row_bytes(m->dev, &t->head.m);
    const struct nn_packed packed = {{t->packed_rows, row_bytes}, chunk->x.n_rows, row_bytes};
    const struct nn_outer outer = {.dy = chunk->logits,
                                   .x = chunk->normed,
                                   .dw = llama_trainer_gradient(t, ARCH_W_HEAD, -1),
                                   .f32 = m->compute == LLAMA_COMPUTE_F32,
                                   .scratch = t->outer_scratch,
                                   .scratch_bytes = t->outer_bytes};
    const struct nn_norm_bwd norm = {.x = chunk->x,
                                     .dy = chunk->d_normed,
                                     .dx = chunk->dx,
                                     .gain = m->final_norm,
                                     .eps = eps,
                                     .dgain = llama_trainer_gradient(t, ARCH_W_FINAL_NORM, -1),
                                     .scratch = t->norm_scratch};
    cria_status status = CRIA_OK;
    TRY(nn_rmsnorm_rows(m->dev, chunk->x, m->final_norm, eps, chunk->normed, err));
    TRY(nn_linear_bwd_weight(m->dev, &outer, err));
    TRY(nn_linear_bwd_input(m->dev, chunk->logits, &t->head, packed, chunk->d_normed, err));
    device_copy(m->dev, chunk->dx.data, NULL, chunk->dx.n_rows * chunk->dx.width);
    TRY(nn_rmsnorm_bwd(m->dev, &norm, err));
out:
    return status;
}

static cria_status head(const llama_trainer *t, struct llama_batch batch, enum purpose purpose,
                        struct cria_error *err) {
    cria_status status = CRIA_OK;
    for (int first = 0; status == CRIA_OK && first < batch.n_rows; first += t->chunk) {
        const int left = batch.n_rows - first;
        const struct chunk chunk = chunk_at(t, first, left < t->chunk ? left : t->chunk);
        status = chunk_fwd(t, &chunk, err);
        if (status == CRIA_OK && purpose == TO_LEARN) status = chunk_bwd(t, &chunk, err);
    }
    return status;
}

/* ---- backward ---- */

/* Makes the rows that were not kept, from the nearest residual that was. */
static cria_status compute_again(llama_trainer *t, int layer, struct llama_batch batch, struct cria_error *err) {
    llama_session *s = &t->session;
    cria_status status = CRIA_OK;
    const bool all = t->rows[ARCH_A_FFN_RESIDUAL].layer_floats == 0, gate = t->rows[ARCH_A_GATE_UP].layer_floats == 0;
    if (!gate) return CRIA_OK;
    copy_residual(t, batch, s->residual, kept_row(t, all ? ARCH_A_RESIDUAL : ARCH_A_FFN_RESIDUAL, layer));
    if (all) TRY(llama_block_attend(s, layer, batch, err));
    TRY(llama_block_gate(s, layer, batch, err));
out:
    return status;
}

static cria_status backward(llama_trainer *t, struct llama_batch batch, struct cria_error *err) {
    const int64_t d_model = t->model.config.d_model;
    cria_status status = CRIA_OK;
    for (int layer = (int)t->model.config.n_layers - 1; layer >= 0; layer--) {
        const struct llama_block_rows rows = {
            kept_row(t, ARCH_A_RESIDUAL, layer),     kept_row(t, ARCH_A_QKV, layer),
            kept_row(t, ARCH_A_ATTN_ROWS, layer),    kept_row(t, ARCH_A_ATTN_STATS, layer),
            kept_row(t, ARCH_A_FFN_RESIDUAL, layer), kept_row(t, ARCH_A_GATE_UP, layer)};
        bind_layer(t, layer, AGAIN);
        TRY(compute_again(t, layer, batch, err));
        TRY(llama_block_bwd(t, layer, &rows, batch, err));
    }
    const struct nn_floats dx = {t->d_x, batch.n_rows, d_model, (size_t)d_model};
    TRY(nn_embedding_bwd(t->model.dev, t->slots.gradients, batch.n_rows, dx, t->model.config.n_vocab,
                         llama_trainer_gradient(t, ARCH_W_EMBEDDING, -1), err));
out:
    return status;
}

/* ---- rows in, losses out ---- */

/* Losses without the slots that have no token; tokens without a slot predict nothing. */
static void hand_out(const llama_trainer *t, const struct llama_data_row *rows, int n_rows, float *losses) {
    const float *from = t->slots.losses;
    for (int i = 0; i < n_rows; i++) {
        const int n_kept = llama_trainer_kept(&rows[i]);
        memcpy(losses, from, (size_t)n_kept * sizeof *losses);
        memset(losses + n_kept, 0, (size_t)(rows[i].n_tokens - n_kept) * sizeof *losses);
        losses += rows[i].n_tokens;
        from += (n_kept + ORDER_STEP - 1) / ORDER_STEP * ORDER_STEP;
    }
}

static void add_totals(llama_trainer *t, struct llama_batch batch) {
    for (int i = 0; i < batch.n_rows; i++) {
        if (t->slots.targets[i] < 0) continue;
        t->n_predicted++;
        if (__builtin_isfinite(t->slots.losses[i])) exact_sum_add(&t->loss, (double)t->slots.losses[i]);
        else t->n_not_finite++;
    }
}

static cria_status run(llama_trainer *t, const struct llama_data_row *rows, int n_rows, enum purpose purpose,
                       struct llama_batch *ret_batch, struct cria_error *err) {
    cria_status status = CRIA_OK;
    device_begin(t->model.dev);
    device_set_scratch(t->model.dev, t->session.scratch, t->scratch_columns);
    TRY(llama_trainer_lay(t, rows, n_rows, ret_batch, err));
    TRY(forward(t, *ret_batch, purpose, err));
    if (purpose == TO_LEARN) llama_trainer_open_leaf(t);
    TRY(head(t, *ret_batch, purpose, err));
    if (purpose == TO_LEARN) TRY(backward(t, *ret_batch, err));
out:
    device_end(t->model.dev);
    return status;
}

cria_status llama_trainer_rows(llama_trainer *t, const struct llama_data_row *rows, int n_rows, float *losses,
                               struct cria_error *err) {
    struct llama_batch batch;
    const cria_status status = run(t, rows, n_rows, TO_LEARN, &batch, err);
    if (status != CRIA_OK) return status;
    add_totals(t, batch);
    if (losses) hand_out(t, rows, n_rows, losses);
    return CRIA_OK;
}

cria_status llama_trainer_score(llama_trainer *t, const struct llama_data_row *rows, int n_rows, float *losses,
                                struct cria_error *err) {
    struct llama_batch batch;
    const cria_status status = run(t, rows, n_rows, TO_SCORE, &batch, err);
    if (status == CRIA_OK) hand_out(t, rows, n_rows, losses);
    return status;
}
