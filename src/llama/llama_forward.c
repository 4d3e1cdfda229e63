/* llama_forward.c: sessions, and the one forward pass. */
#include <math.h>

#include "base/alloc.h"
#include "base/realmath.h"
#include "llama/llama_private.h"

/* The angle is rounded to f32 as the reference's is. Long contexts make a large table: it grows as positions are used.
 */
void llama_forward_rotations(llama_session *s, int64_t end) {
    const int64_t half = s->model->config.head_size / 2;
    for (; s->n_rotations < end; s->n_rotations++)
        for (int64_t i = 0; i < half; i++) {
            const double angle = (double)((float)s->n_rotations * s->frequencies[i]);
            s->cosines[s->n_rotations * half + i] = (float)realmath_cos(angle);
            s->sines[s->n_rotations * half + i] = (float)realmath_sin(angle);
        }
}

static void bind_books(llama_session *s, const struct llama_books *b) {
    const llama_model *m = s->model;
    const plan *p = s->books;
    const struct {
        float **floats;
        enum arch_activation a;
    } plain[] = {{&s->residual, ARCH_A_RESIDUAL},
                 {&s->qkv, ARCH_A_QKV},
                 {&s->attn_rows, ARCH_A_ATTN_ROWS},
                 {&s->final_rows, ARCH_A_FINAL_ROWS}};
    const struct {
        struct nn_packed *packed;
        enum arch_activation a;
    } packed[] = {{&s->attn_normed, ARCH_A_ATTN_NORMED},
                  {&s->attn_out, ARCH_A_ATTN_OUT},
                  {&s->ffn_normed, ARCH_A_FFN_NORMED},
                  {&s->hidden, ARCH_A_HIDDEN},
                  {&s->final_normed, ARCH_A_FINAL_NORMED}};
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        *plain[i].floats = plan_bind(p, b->activations[plain[i].a]);
    for (size_t i = 0; i < sizeof packed / sizeof packed[0]; i++) {
        const enum arch_activation a = packed[i].a;
        const bool is_final = arch_activation_row(a)->rows == ARCH_LETTER_N;
        const size_t bytes = llama_plan_row_bytes(m, &s->kv, a);
        *packed[i].packed = (struct nn_packed){
            {plan_bind(p, b->activations[a]), bytes}, is_final ? s->options.max_logits : s->options.max_rows, bytes};
    }
    s->q = (struct device_rows){plan_bind(p, b->activations[ARCH_A_Q]), 0};
    s->cosines = plan_bind(p, b->cosines);
    s->sines = plan_bind(p, b->sines);
    s->runs = plan_bind(p, b->runs);
    s->scratch = plan_bind(p, b->scratch);
    s->attention_scratch = plan_bind(p, b->attention_scratch);
}

static void bind_cache(llama_session *s, const struct llama_books *b) {
    int32_t *tables = plan_bind(s->books, b->page_tables);
    s->free_pages = plan_bind(s->books, b->free_pages);
    s->page_users = plan_bind(s->books, b->page_users);
    s->sequences = plan_bind(s->books, b->sequences);
    for (int i = 0; i < s->options.max_sequences; i++)
        s->sequences[i] = (struct llama_sequence){.session = s, .pages = tables + i * s->pages_per_sequence};
    for (int32_t i = 0; i < s->n_pages; i++) {
        s->free_pages[i] = s->n_pages - 1 - i;
        s->page_users[i] = 0;
    }
    s->n_free = s->n_pages;
}

cria_status llama_session_create(llama_session **ret, const llama_model *m, const struct llama_session_options *options,
                                 struct cria_error *err) {
    cria_status status = CRIA_OK;
    struct llama_books books;
    llama_session *s = ALLOC_NEW(llama_session);
    if (!s) return ERROR_NOMEM(err, sizeof *s, "the session");
    s->model = m;
    s->options = *options;
    TRY(llama_plan_options(&m->config, m->compute, &s->options, err));
    device_kv_plan(m->dev, s->options.kv_dtype, m->config.n_kv_heads, m->config.head_size, &s->kv);
    s->layer_bytes = s->kv.page_bytes;
    s->page_bytes = s->kv.page_bytes * (size_t)m->config.n_layers;
    s->pages_per_sequence = llama_plan_pages_per_sequence(&s->options);
    s->n_pages = (int32_t)llama_plan_pages(&s->options);
    TRY(llama_plan_book(m, &s->options, &s->books, &books, err));
    TRY(plan_allocate(s->books, "the session", err));
    TRY(pages_get(&s->cache, (size_t)s->n_pages * s->page_bytes, "the KV cache", err));
    bind_books(s, &books);
    bind_cache(s, &books);
    arch_rope_frequencies(&m->config, s->frequencies);
    *ret = s;
    s = NULL;
out:
    llama_session_destroy(&s);
    return status;
}

void llama_session_destroy(llama_session **s) {
    if (!*s) return;
    pages_release(&(*s)->cache);
    plan_destroy(&(*s)->books);
    alloc_free(*s);
    *s = NULL;
}

/* Counts rows and logits, and checks every run before anything changes. */
static cria_status check_runs(const llama_session *s, const struct llama_run *runs, int n_runs, int *ret_rows,
                              int *ret_logits, struct cria_error *err) {
    int64_t n_rows = 0, n_logits = 0;
    if (n_runs < 1 || n_runs > s->options.max_sequences)
        return ERROR_SET(err, CRIA_RANGE, "%d runs in one call, expected 1 to %d", n_runs, s->options.max_sequences);
    for (int i = 0; i < n_runs; i++) {
        if (runs[i].n_tokens < 1 || runs[i].n_logits < 0 || runs[i].n_logits > runs[i].n_tokens)
            return ERROR_SET(err, CRIA_RANGE, "run %d: %d tokens, logits of %d", i, runs[i].n_tokens, runs[i].n_logits);
        for (int t = 0; t < runs[i].n_tokens; t++)
            if (runs[i].tokens[t] < 0 || runs[i].tokens[t] >= s->model->config.n_vocab)
                return ERROR_SET(err, CRIA_RANGE, "run %d: token id %d at place %d is not in 0 .. %lld", i,
                                 runs[i].tokens[t], t, (long long)s->model->config.n_vocab - 1);
        for (int j = 0; j < i; j++)
            if (runs[j].sequence == runs[i].sequence)
                return ERROR_SET(err, CRIA_USAGE, "runs %d and %d are the same sequence", j, i);
        n_rows += runs[i].n_tokens;
        n_logits += runs[i].n_logits;
    }
    if (n_rows > s->options.max_rows || n_logits > s->options.max_logits)
        return ERROR_SET(err, CRIA_LIMIT, "%lld rows and %lld rows of logits, the session has room for %d and %d",
                         (long long)n_rows, (long long)n_logits, s->options.max_rows, s->options.max_logits);
    *ret_rows = (int)n_rows;
    *ret_logits = (int)n_logits;
    return CRIA_OK;
}

/* Undoes reserve_all() for the first n_runs. */
static void take_back(const struct llama_run *runs, int n_runs) {
    for (int i = 0; i < n_runs; i++) llama_kv_shrink(runs[i].sequence, runs[i].sequence->n_tokens - runs[i].n_tokens);
}

/* Takes the pages of all runs, or of none. */
static cria_status reserve_all(llama_session *s, const struct llama_run *runs, int n_runs, struct cria_error *err) {
    int row = 0;
    for (int i = 0; i < n_runs; i++) {
        llama_sequence *q = runs[i].sequence;
        const cria_status status = llama_kv_reserve(q, runs[i].n_tokens, err);
        if (status != CRIA_OK) {
            take_back(runs, i);
            return status;
        }
        s->runs[i] = (struct device_run){row, runs[i].n_tokens, q->n_tokens, q->pages};
        q->n_tokens += runs[i].n_tokens;
        llama_forward_rotations(s, q->n_tokens);
        row += runs[i].n_tokens;
    }
    return CRIA_OK;
}

static cria_status embed_runs(llama_session *s, const struct llama_run *runs, int n_runs, struct cria_error *err) {
    const int64_t d_model = s->model->config.d_model;
    for (int i = 0; i < n_runs; i++) {
        const struct nn_floats x = {s->residual + s->runs[i].row_0 * d_model, runs[i].n_tokens, d_model,
                                    (size_t)d_model};
        const cria_status status =
            nn_embedding_fwd(s->model->dev, &s->model->embedding, runs[i].tokens, runs[i].n_tokens, x, err);
        if (status != CRIA_OK) return status;
    }
    return CRIA_OK;
}

/* Gathers the rows whose logits are wanted, normalises them and multiplies them with the head. */
static cria_status head_fwd(llama_session *s, const struct llama_run *runs, int n_runs, int n_logits, float *logits,
                            struct cria_error *err) {
    const llama_model *m = s->model;
    const int64_t d_model = m->config.d_model, n_vocab = m->config.n_vocab;
    float *to = s->final_rows;
    for (int i = 0; i < n_runs; i++) {
        const size_t n = (size_t)runs[i].n_logits * (size_t)d_model;
        const float *from = s->residual + (int64_t)(s->runs[i].row_0 + runs[i].n_tokens - runs[i].n_logits) * d_model;
        __builtin_memcpy(to, from, n * sizeof(float));
        to += n;
    }
    const struct nn_floats rows = {s->final_rows, n_logits, d_model, (size_t)d_model};
    const struct nn_floats out_rows = {logits, n_logits, n_vocab, (size_t)n_vocab};
    struct nn_packed normed = s->final_normed;
    normed.n_rows = n_logits;
    cria_status status = nn_rmsnorm_fwd(m->dev, rows, m->final_norm, (float)m->config.norm_eps, &m->head, normed, err);
    if (status == CRIA_OK)
        status = nn_linear_fwd(m->dev, normed, (const struct device_matrix *[]){&m->head}, 1, false, out_rows, err);
    return status;
}

cria_status llama_forward(llama_session *s, const struct llama_run *runs, int n_runs, float *logits,
                          struct cria_error *err) {
    struct llama_batch batch = {.n_runs = n_runs};
    int n_logits = 0;
    cria_status status = check_runs(s, runs, n_runs, &batch.n_rows, &n_logits, err);
    if (status != CRIA_OK) return status;
    status = reserve_all(s, runs, n_runs, err);
    if (status != CRIA_OK) return status;
    device_begin(s->model->dev);
    device_set_scratch(s->model->dev, s->scratch, llama_plan_widest(&s->model->config));
    TRY(embed_runs(s, runs, n_runs, err));
    for (int layer = 0; layer < (int)s->model->config.n_layers; layer++) TRY(llama_block_fwd(s, layer, batch, err));
    if (n_logits > 0) TRY(head_fwd(s, runs, n_runs, n_logits, logits, err));
out:
    device_end(s->model->dev);
    if (status != CRIA_OK) take_back(runs, n_runs);
    return status;
}

float llama_logsumexp(const llama_session *s, const float *logits) {
    device_begin(s->model->dev);
    const float sum = device_logsumexp(s->model->dev, logits, s->model->config.n_vocab);
    device_end(s->model->dev);
    return sum;
}

float llama_logprob(const llama_session *s, const float *logits, int32_t token) {
    return logits[token] - llama_logsumexp(s, logits);
}
