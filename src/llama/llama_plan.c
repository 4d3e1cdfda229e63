/* llama_plan.c: what a session needs, booked before anything is computed. */
#include "llama/llama_private.h"

#include "base/alloc.h"
#include "base/checked.h"

int64_t llama_plan_pages_per_sequence(const struct llama_session_options *o) {
    return (o->max_context + LLAMA_PAGE - 1) / LLAMA_PAGE;
}

int64_t llama_plan_pages(const struct llama_session_options *o) { return (o->kv_tokens + LLAMA_PAGE - 1) / LLAMA_PAGE; }

cria_status llama_plan_options(const struct arch_config *c, enum llama_compute compute, struct llama_session_options *o,
                               struct cria_error *err) {
    if (o->kv_dtype == DTYPE_NONE) o->kv_dtype = compute == LLAMA_COMPUTE_F32 ? DTYPE_F32 : DTYPE_BF16;
    if (o->kv_dtype != DTYPE_F32 && o->kv_dtype != DTYPE_BF16)
        return ERROR_SET(err, CRIA_UNSUPPORTED, "KV cache in %s, expected F32 or BF16", dtype_name(o->kv_dtype));
    if (o->max_rows < 1 || o->max_rows > 1 << 20)
        return ERROR_SET(err, CRIA_RANGE, "max_rows is %d, expected 1 to %d", o->max_rows, 1 << 20);
    if (o->max_logits < 1 || o->max_logits > o->max_rows)
        return ERROR_SET(err, CRIA_RANGE, "max_logits is %d, expected 1 to max_rows (%d)", o->max_logits, o->max_rows);
    if (o->max_sequences < 1 || o->max_sequences > 1 << 20)
        return ERROR_SET(err, CRIA_RANGE, "max_sequences is %d, expected 1 to %d", o->max_sequences, 1 << 20);
    if (o->max_context < 1 || o->max_context > c->n_context)
        return ERROR_SET(err, CRIA_RANGE, "max_context is %lld, expected 1 to the model's context, %lld",
                         (long long)o->max_context, (long long)c->n_context);
    if (o->kv_tokens < 1 || o->kv_tokens > (int64_t)INT32_MAX)
        return ERROR_SET(err, CRIA_RANGE, "kv_tokens is %lld, expected 1 to %d", (long long)o->kv_tokens, INT32_MAX);
    return CRIA_OK;
}

struct booking {
    int *ret;
    const char *name;
    size_t n, size;
    enum arch_stage first, last;
};

static cria_status book_all(plan *p, const struct booking *rows, size_t n_rows, struct cria_error *err) {
    for (size_t i = 0; i < n_rows; i++) {
        size_t bytes;
        if (checked_mul_size(rows[i].n, rows[i].size, &bytes))
            return ERROR_SET(err, CRIA_LIMIT, "%s: %zu x %zu bytes cannot be counted", rows[i].name, rows[i].n,
                             rows[i].size);
        const cria_status status =
            plan_book(p, rows[i].name, bytes, PAGES_ALIGNMENT, (int)rows[i].first, (int)rows[i].last, rows[i].ret, err);
        if (status != CRIA_OK) return status;
    }
    return CRIA_OK;
}

int64_t llama_plan_widest(const struct arch_config *c) {
    int64_t k = c->d_model;
    if (c->n_heads * c->head_size > k) k = c->n_heads * c->head_size;
    return c->d_ff > k ? c->d_ff : k;
}

cria_status llama_plan_book(const llama_model *m, const struct llama_session_options *o, plan **ret,
                            struct llama_books *books, struct cria_error *err) {
    const struct arch_config *c = &m->config;
    const struct llama_layer *w = &m->layers[0];
    struct device_kv kv;
    device_kv_plan(m->dev, o->kv_dtype, c->n_kv_heads, c->head_size, &kv);
    const size_t rows = (size_t)o->max_rows, heads = (size_t)(c->n_heads * c->head_size),
                 half = (size_t)c->head_size / 2;
    const size_t normed = device_row_bytes(m->dev, &w->q), logits = (size_t)o->max_logits;
    const size_t sequences = (size_t)o->max_sequences, pages = (size_t)llama_plan_pages(o);
    const enum arch_stage always = (enum arch_stage)PLAN_ALWAYS_FIRST, end = (enum arch_stage)PLAN_ALWAYS_LAST;
    const struct booking table[] = {
        {&books->residual, "residual", rows * (size_t)c->d_model, sizeof(float), ARCH_STAGE_EMBED,
         ARCH_STAGE_FINAL_NORM},
        {&books->normed, "normed", rows, normed, ARCH_STAGE_ATTN_NORM, ARCH_STAGE_GATE_UP},
        {&books->qkv, "qkv", rows * (heads + 2 * (size_t)(c->n_kv_heads * c->head_size)), sizeof(float), ARCH_STAGE_QKV,
         ARCH_STAGE_ATTENTION},
        {&books->q, "q", rows, device_q_bytes(m->dev, &kv, c->n_heads), ARCH_STAGE_ATTENTION, ARCH_STAGE_ATTENTION},
        {&books->attn_rows, "attn_rows", rows * heads, sizeof(float), ARCH_STAGE_ATTENTION, ARCH_STAGE_ATTENTION},
        {&books->attn_out, "attn_out", rows, device_row_bytes(m->dev, &w->o), ARCH_STAGE_ATTENTION,
         ARCH_STAGE_ATTN_PRODUCT},
        {&books->hidden, "hidden", rows, device_row_bytes(m->dev, &w->down), ARCH_STAGE_GATE_UP, ARCH_STAGE_DOWN},
        {&books->final_rows, "final_rows", logits * (size_t)c->d_model, sizeof(float), ARCH_STAGE_FINAL_NORM,
         ARCH_STAGE_HEAD},
        {&books->final_normed, "final_normed", logits, device_row_bytes(m->dev, &m->head), ARCH_STAGE_FINAL_NORM,
         ARCH_STAGE_HEAD},
        {&books->scratch, "product scratch", 1, device_scratch_bytes(m->dev, llama_plan_widest(c)), always, end},
        {&books->attention_scratch, "attention scratch", 1,
         device_attention_bytes(m->dev, &kv, c->n_heads, o->max_context), ARCH_STAGE_ATTENTION, ARCH_STAGE_ATTENTION},
        {&books->cosines, "cosines", (size_t)o->max_context * half, sizeof(float), always, end},
        {&books->sines, "sines", (size_t)o->max_context * half, sizeof(float), always, end},
        {&books->runs, "runs", sequences, sizeof(struct device_run), always, end},
        {&books->page_tables, "page tables", sequences * (size_t)llama_plan_pages_per_sequence(o), sizeof(int32_t),
         always, end},
        {&books->free_pages, "free pages", pages, sizeof(int32_t), always, end},
        {&books->page_users, "page users", pages, sizeof(int32_t), always, end},
        {&books->sequences, "sequences", sequences, sizeof(struct llama_sequence), always, end},
    };
    plan *p = NULL;
    cria_status status = plan_create(&p, err);
    if (status != CRIA_OK) return status;
    TRY(book_all(p, table, sizeof table / sizeof table[0], err));
    TRY(plan_seal(p, err));
    *ret = p;
    p = NULL;
out:
    plan_destroy(&p);
    return status;
}

cria_status llama_session_bytes(const struct arch_config *c, enum llama_compute compute,
                                const struct llama_session_options *options, uint64_t *ret_kv,
                                uint64_t *ret_activations, struct cria_error *err) {
    struct llama_session_options o = *options;
    llama_model shape = {.config = *c, .compute = compute == LLAMA_COMPUTE_DEFAULT ? LLAMA_COMPUTE_BF16 : compute};
    struct llama_books books;
    plan *p = NULL;
    cria_status status = CRIA_OK;
    TRY(llama_plan_options(c, shape.compute, &o, err));
    TRY(device_create_cpu(&shape.dev, &(struct device_options){0}, err));
    shape.layers = alloc_zeroed((size_t)c->n_layers, sizeof *shape.layers);
    if (!shape.layers) {
        status = ERROR_NOMEM(err, (size_t)c->n_layers * sizeof *shape.layers, "the model's layers");
        goto out;
    }
    llama_load_describe(&shape, NULL);
    TRY(llama_plan_book(&shape, &o, &p, &books, err));
    struct device_kv kv;
    device_kv_plan(shape.dev, o.kv_dtype, c->n_kv_heads, c->head_size, &kv);
    *ret_kv = (uint64_t)llama_plan_pages(&o) * kv.page_bytes * (uint64_t)c->n_layers;
    *ret_activations = plan_bytes(p);
out:
    plan_destroy(&p);
    alloc_free(shape.layers);
    device_destroy(&shape.dev);
    return status;
}
