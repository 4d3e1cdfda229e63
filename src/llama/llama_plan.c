/* llama_plan.c: what a session needs, booked before anything is computed.
 *
 * The activations are the rows of arch/arch_activations.c with the device's bytes for each; to them come the tables of
 * the session itself, which are no values of the forward pass. */
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

static cria_status book(plan *p, const char *name, size_t n, size_t size, int first, int last, int *ret,
                        struct cria_error *err) {
    size_t bytes;
    if (checked_mul_size(n, size, &bytes))
        return ERROR_SET(err, CRIA_LIMIT, "%s: %zu x %zu bytes cannot be counted", name, n, size);
    return plan_book(p, name, bytes, PAGES_ALIGNMENT, first, last, ret, err);
}

/* What a packed row is multiplied with; the layers are alike. */
static const struct device_matrix *next_matrix(const llama_model *m, enum arch_weight next) {
    switch (next) {
        case ARCH_W_Q:
            return &m->layers[0].q;
        case ARCH_W_O:
            return &m->layers[0].o;
        case ARCH_W_GATE:
            return &m->layers[0].gate;
        case ARCH_W_DOWN:
            return &m->layers[0].down;
        default:
            return &m->head;
    }
}

size_t llama_plan_row_bytes(const llama_model *m, const struct device_kv *kv, enum arch_activation a) {
    const struct arch_activation_row *row = arch_activation_row(a);
    switch (row->number) {
        case ARCH_NUMBER_F32:
            break;
        case ARCH_NUMBER_COMPUTE:
            return device_row_bytes(m->dev, next_matrix(m, row->next));
        case ARCH_NUMBER_KV:
            return device_q_bytes(m->dev, kv, m->config.n_heads);
    }
    return (size_t)arch_letter_value(&m->config, row->columns, 0, 0) * sizeof(float);
}

static cria_status book_activations(const llama_model *m, const struct llama_session_options *o,
                                    const struct device_kv *kv, plan *p, struct llama_books *books,
                                    struct cria_error *err) {
    for (int a = 0; a < ARCH_A_COUNT; a++) {
        const struct arch_activation_row *row = arch_activation_row((enum arch_activation)a);
        if (row->place != ARCH_PLACE_BOOKED) continue;
        const size_t n = (size_t)arch_letter_value(&m->config, row->rows, o->max_rows, o->max_logits);
        const cria_status status = book(p, row->name, n, llama_plan_row_bytes(m, kv, (enum arch_activation)a),
                                        (int)row->first_use, (int)row->last_use, &books->activations[a], err);
        if (status != CRIA_OK) return status;
    }
    return CRIA_OK;
}

static cria_status book_tables(const llama_model *m, const struct llama_session_options *o, const struct device_kv *kv,
                               plan *p, struct llama_books *books, struct cria_error *err) {
    const struct arch_config *c = &m->config;
    const size_t angles = (size_t)o->max_context * (size_t)c->head_size / 2;
    const size_t sequences = (size_t)o->max_sequences, pages = (size_t)llama_plan_pages(o);
    const struct {
        int *ret;
        const char *name;
        size_t n, size;
    } table[] = {
        {&books->scratch, "product scratch", 1, device_scratch_bytes(m->dev, llama_plan_widest(c))},
        {&books->cosines, "cosines", angles, sizeof(float)},
        {&books->sines, "sines", angles, sizeof(float)},
        {&books->runs, "runs", sequences, sizeof(struct device_run)},
        {&books->page_tables, "page tables", sequences * (size_t)llama_plan_pages_per_sequence(o), sizeof(int32_t)},
        {&books->free_pages, "free pages", pages, sizeof(int32_t)},
        {&books->page_users, "page users", pages, sizeof(int32_t)},
        {&books->sequences, "sequences", sequences, sizeof(struct llama_sequence)},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const cria_status status =
            book(p, table[i].name, table[i].n, table[i].size, PLAN_ALWAYS_FIRST, PLAN_ALWAYS_LAST, table[i].ret, err);
        if (status != CRIA_OK) return status;
    }
    return book(p, "attention scratch", 1, device_attention_bytes(m->dev, kv, c->n_heads, o->max_context),
                ARCH_STAGE_ATTENTION, ARCH_STAGE_ATTENTION, &books->attention_scratch, err);
}

int64_t llama_plan_widest(const struct arch_config *c) {
    int64_t k = c->d_model;
    if (c->n_heads * c->head_size > k) k = c->n_heads * c->head_size;
    return c->d_ff > k ? c->d_ff : k;
}

cria_status llama_plan_book(const llama_model *m, const struct llama_session_options *o, plan **ret,
                            struct llama_books *books, struct cria_error *err) {
    struct device_kv kv;
    device_kv_plan(m->dev, o->kv_dtype, m->config.n_kv_heads, m->config.head_size, &kv);
    plan *p = NULL;
    cria_status status = plan_create(&p, err);
    if (status != CRIA_OK) return status;
    TRY(book_activations(m, o, &kv, p, books, err));
    TRY(book_tables(m, o, &kv, p, books, err));
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
