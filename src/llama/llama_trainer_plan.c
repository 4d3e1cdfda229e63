/* llama_trainer_plan.c: what learning needs, booked before anything is computed.
 *
 * Four kinds of memory: packed weights of both passes; gradients, one buffer for each level of the tree of leaves;
 * rows that are kept from forward to backward, for each layer or, where they are computed again, once; and scratch,
 * laid out by lifetimes. The stages of a step are those of arch/ followed by backward's. */
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "llama/llama_train_private.h"

/* Stages of backward, behind those of the forward pass, which backward may run again for a layer before its own. */
enum {
    STAGE_DOWN_BACK = ARCH_STAGE_HEAD + 1,
    STAGE_GATE_BACK,
    STAGE_FFN_NORM_BACK,
    STAGE_ATTN_PRODUCT_BACK,
    STAGE_ATTENTION_BACK,
    STAGE_QKV_BACK,
    STAGE_ATTN_NORM_BACK
};
/* Rows of logits at once: the head's weight gradient is read and written for every 512 tokens anyway (device/), so
 * fewer would cost memory traffic; more gain nothing but fewer calls, as long as they are cheap. */
enum { LOGITS_ROWS = 512, LOGITS_BYTES = 64 << 20 };

static size_t aligned(size_t n) { return (n + PAGES_ALIGNMENT - 1) / PAGES_ALIGNMENT * PAGES_ALIGNMENT; }

/* ---- sizes ---- */

cria_status llama_trainer_check(const struct arch_config *c, const struct llama_trainer_options *o,
                                struct cria_error *err) {
    const cria_status status = arch_config_check(c, err);
    if (status != CRIA_OK) return status;
    if (o->compute != LLAMA_COMPUTE_BF16 && o->compute != LLAMA_COMPUTE_F32)
        return ERROR_SET(err, CRIA_UNSUPPORTED, "learning computes in bf16 or f32, and neither was chosen");
    if (o->max_row_tokens < 1 || o->max_row_tokens > c->n_context)
        return ERROR_SET(err, CRIA_RANGE, "rows of %d tokens, expected 1 to the model's context, %lld",
                         o->max_row_tokens, (long long)c->n_context);
    if (o->max_rows < 1 || o->max_rows > (1 << 20) / o->max_row_tokens + 1)
        return ERROR_SET(err, CRIA_RANGE, "%d rows of %d tokens at once, expected 1 row, and at most 1,048,576 tokens",
                         o->max_rows, o->max_row_tokens);
    if (o->max_pieces < o->max_rows || o->max_pieces > 1 << 22)
        return ERROR_SET(err, CRIA_RANGE, "%d documents in %d rows, expected one a row at least and 4,194,304 at most",
                         o->max_pieces, o->max_rows);
    if (o->n_leaves < 1 || o->n_leaves > LLAMA_MAX_LEAVES)
        return ERROR_SET(err, CRIA_RANGE, "%d leaves in a step, expected 1 to %d", o->n_leaves, LLAMA_MAX_LEAVES);
    if (o->rope_theta < 0 || !(o->rope_theta < 1e30))
        return ERROR_SET(err, CRIA_RANGE, "rope_theta is %g, expected a positive number, or 0 for the model's",
                         o->rope_theta);
    return CRIA_OK;
}

/* Waiting subtrees and the running leaf: one for each bit that is set in the number of finished leaves, and one. */
static int count_buffers(int n_leaves) {
    int most = 0;
    for (int i = 0; i < n_leaves; i++)
        if (__builtin_popcount((unsigned)i) > most) most = __builtin_popcount((unsigned)i);
    return most + 1;
}

/* Every data row begins at a step; a document takes whole pages, and so does what a row leaves of its last step. */
static void count_slots(llama_trainer *t) {
    const struct llama_trainer_options *o = &t->options;
    const int steps = (o->max_row_tokens + ORDER_STEP - 1) / ORDER_STEP;
    const int64_t chunk = LOGITS_BYTES / ((int64_t)sizeof(float) * t->model.config.n_vocab) / ORDER_STEP * ORDER_STEP;
    t->max_slots = o->max_rows * steps * ORDER_STEP;
    t->n_pages = o->max_rows * steps + o->max_pieces + o->max_rows;
    t->chunk = t->max_slots;
    if (chunk < t->chunk) t->chunk = chunk > LOGITS_ROWS ? (int)chunk : LOGITS_ROWS;
    if (t->chunk > t->max_slots) t->chunk = t->max_slots;
}

static bool is_saved(enum llama_recompute recompute, enum arch_keep keep) {
    if (recompute == LLAMA_RECOMPUTE_NONE) return true;
    return keep == ARCH_KEEP_ALWAYS || (recompute == LLAMA_RECOMPUTE_FFN && keep == ARCH_KEEP_LAYER);
}

/* Bytes of all kept rows; with memory their places. */
static cria_status place_kept(llama_trainer *t, uint8_t *memory, uint64_t *ret, struct cria_error *err) {
    size_t n_bytes = 0;
    for (int a = 0; a < ARCH_A_COUNT; a++) {
        const struct arch_activation_row *row = arch_activation_row((enum arch_activation)a);
        if (row->keep == ARCH_KEEP_NEVER) continue;
        const bool saved = is_saved(t->options.recompute, row->keep);
        const size_t width = (size_t)arch_letter_value(&t->model.config, row->columns, 0, 0);
        size_t layer_bytes, all_bytes;
        if (checked_mul_size(width * sizeof(float), (size_t)t->max_slots, &layer_bytes) ||
            checked_mul_size(layer_bytes, saved ? (size_t)t->model.config.n_layers : 1, &all_bytes) ||
            checked_add_size(n_bytes, aligned(all_bytes), &all_bytes))
            return ERROR_SET(err, CRIA_LIMIT, "%s of %d tokens: bytes cannot be counted", row->name, t->max_slots);
        t->rows[a] = (struct llama_kept_rows){(float *)(void *)(memory ? memory + n_bytes : NULL),
                                              saved ? layer_bytes / sizeof(float) : 0};
        n_bytes = all_bytes;
    }
    *ret = n_bytes;
    return CRIA_OK;
}

static size_t largest(size_t a, size_t b) { return a > b ? a : b; }

/* The scratch that fits every weight gradient of a model. */
static size_t outer_bytes(const llama_trainer *t) {
    const struct arch_config *c = &t->model.config;
    const int64_t queries = c->n_heads * c->head_size;
    const bool f32 = t->model.compute == LLAMA_COMPUTE_F32;
    const device *d = t->model.dev;
    size_t n = device_outer_bytes(d, t->max_slots, c->d_model, c->d_ff, f32);
    n = largest(n, device_outer_bytes(d, t->max_slots, c->d_ff, c->d_model, f32));
    n = largest(n, device_outer_bytes(d, t->max_slots, queries, c->d_model, f32));
    n = largest(n, device_outer_bytes(d, t->max_slots, c->d_model, queries, f32));
    n = largest(n, device_outer_bytes(d, t->max_slots, c->n_kv_heads * c->head_size, c->d_model, f32));
    return largest(n, device_outer_bytes(d, t->chunk, c->n_vocab, c->d_model, f32));
}

static size_t packed_rows_bytes(const llama_trainer *t) {
    const struct llama_backward_layer *b = &t->backward[0];
    const device *d = t->model.dev;
    size_t row = largest(device_row_bytes(d, &b->qkv.m), device_row_bytes(d, &b->o.m));
    row = largest(row, largest(device_row_bytes(d, &b->gate_up.m), device_row_bytes(d, &b->down.m)));
    return largest(row * (size_t)t->max_slots, device_row_bytes(d, &t->head.m) * (size_t)t->chunk);
}

/* The widest K of any product of both passes, with room for the steps that its segments do not fill. */
static int64_t widest(const struct arch_config *c) {
    int64_t k = llama_plan_widest(c);
    if (2 * c->d_ff > k) k = 2 * c->d_ff;
    if ((c->n_heads + 2 * c->n_kv_heads) * c->head_size > k) k = (c->n_heads + 2 * c->n_kv_heads) * c->head_size;
    if (c->n_vocab > k) k = c->n_vocab;
    return k + (int64_t)DEVICE_MAX_SEGMENTS * ORDER_STEP;
}

/* ---- bookings ---- */

struct booking {
    void *ret; /* a pointer to the pointer that is bound */
    const char *name;
    size_t n, size;
    int first, last;
};
enum { MAX_BOOKINGS = 48 };
struct bookings {
    struct booking at[MAX_BOOKINGS];
    int numbers[MAX_BOOKINGS];
    int n;
};

static void add(struct bookings *b, void *ret, const char *name, size_t n, size_t size, int first, int last) {
    CRIA_ASSERT(b->n < MAX_BOOKINGS);
    b->at[b->n++] = (struct booking){ret, name, n, size, first, last};
}

/* The rows of arch/ that the forward pass works in and nobody keeps. */
static void add_activations(llama_trainer *t, struct bookings *b) {
    llama_session *s = &t->session;
    struct nn_packed *const packed[ARCH_A_COUNT] = {[ARCH_A_ATTN_NORMED] = &s->attn_normed,
                                                    [ARCH_A_ATTN_OUT] = &s->attn_out,
                                                    [ARCH_A_FFN_NORMED] = &s->ffn_normed,
                                                    [ARCH_A_HIDDEN] = &s->hidden,
                                                    [ARCH_A_FINAL_NORMED] = &s->final_normed};
    for (int a = 0; a < ARCH_A_COUNT; a++) {
        const struct arch_activation_row *row = arch_activation_row((enum arch_activation)a);
        const int n_rows = row->rows == ARCH_LETTER_N ? t->chunk : t->max_slots;
        const size_t bytes = llama_plan_row_bytes(&t->model, &s->kv, (enum arch_activation)a);
        void *ret = a == ARCH_A_RESIDUAL ? (void *)&s->residual : a == ARCH_A_Q ? (void *)&s->q.data : NULL;
        if (packed[a]) {
            *packed[a] = (struct nn_packed){{NULL, bytes}, n_rows, bytes};
            ret = &packed[a]->rows.data;
        }
        /* The chunks take turns with the head, so the residual is read until the last one is through. */
        const int last = a == ARCH_A_RESIDUAL ? ARCH_STAGE_HEAD : (int)row->last_use;
        if (ret) add(b, ret, row->name, (size_t)n_rows, bytes, (int)row->first_use, last);
    }
}

static void add_tables(llama_trainer *t, struct bookings *b) {
    const struct arch_config *c = &t->model.config;
    llama_session *s = &t->session;
    const size_t angles = (size_t)t->options.max_row_tokens * (size_t)c->head_size / 2, slots = (size_t)t->max_slots;
    const size_t runs = (size_t)t->options.max_pieces + (size_t)t->options.max_rows;
    const int first = PLAN_ALWAYS_FIRST, last = PLAN_ALWAYS_LAST;
    t->scratch_columns = widest(c);
    add(b, &s->scratch, "product scratch", 1, device_scratch_bytes(t->model.dev, t->scratch_columns), first, last);
    add(b, &s->cosines, "cosines", angles, sizeof(float), first, last);
    add(b, &s->sines, "sines", angles, sizeof(float), first, last);
    add(b, &s->runs, "runs", runs, sizeof(struct device_run), first, last);
    add(b, &t->page_table, "page table", (size_t)t->n_pages, sizeof(int32_t), first, last);
    add(b, &t->slots.ids, "ids", slots, sizeof(int32_t), first, last);
    add(b, &t->slots.gradients, "rows of the embedding", slots, sizeof(int32_t), first, last);
    add(b, &t->slots.targets, "targets", slots, sizeof(int32_t), first, last);
    add(b, &t->slots.losses, "losses", slots, sizeof(float), first, last);
    add(b, &s->attention_scratch, "attention scratch", 1,
        device_attention_bytes(t->model.dev, &s->kv, c->n_heads, s->options.max_context), ARCH_STAGE_ATTENTION,
        ARCH_STAGE_ATTENTION);
    add(b, &s->cache.data, "keys and values of a layer", (size_t)t->n_pages, s->page_bytes, first, last);
}

static void add_backward(llama_trainer *t, struct bookings *b) {
    const struct arch_config *c = &t->model.config;
    const size_t slots = (size_t)t->max_slots, d_model = (size_t)c->d_model * sizeof(float);
    const size_t queries = (size_t)(c->n_heads * c->head_size),
                 qkv = queries + 2 * (size_t)(c->n_kv_heads * c->head_size);
    const struct device_attention_backward attention = {.n_heads = c->n_heads,
                                                        .n_kv_heads = c->n_kv_heads,
                                                        .head_size = c->head_size,
                                                        .kv_dtype = t->session.kv.dtype,
                                                        .max_context = t->options.max_row_tokens};
    const int head = ARCH_STAGE_HEAD, last = STAGE_ATTN_NORM_BACK;
    t->outer_bytes = outer_bytes(t);
    t->packed_rows_bytes = packed_rows_bytes(t);
    add(b, &t->d_x, "d_residual", slots, d_model, PLAN_ALWAYS_FIRST, PLAN_ALWAYS_LAST);
    add(b, &t->logits, "logits of a chunk", (size_t)t->chunk, (size_t)c->n_vocab * sizeof(float), head, head);
    add(b, &t->packed_rows, "packed gradients", 1, t->packed_rows_bytes, head, last);
    add(b, &t->outer_scratch, "weight gradient scratch", 1, t->outer_bytes, head, last);
    add(b, &t->normed, "normed", slots, d_model, head, last);
    add(b, &t->d_normed, "d_normed", slots, d_model, head, last);
    add(b, &t->norm_scratch, "norm scratch", slots, sizeof(float), head, last);
    add(b, &t->d_hidden, "d_hidden", slots, (size_t)c->d_ff * sizeof(float), STAGE_DOWN_BACK, STAGE_GATE_BACK);
    add(b, &t->d_attn, "d_attention", slots, queries * sizeof(float), STAGE_ATTN_PRODUCT_BACK, STAGE_ATTENTION_BACK);
    add(b, &t->d_qkv, "d_qkv", slots, qkv * sizeof(float), STAGE_ATTENTION_BACK, STAGE_QKV_BACK);
    add(b, &t->attention_scratch, "attention scratch of backward", 1,
        device_attention_backward_bytes(t->model.dev, &attention), STAGE_ATTENTION_BACK, STAGE_ATTENTION_BACK);
}

static struct bookings all_bookings(llama_trainer *t) {
    struct bookings b = {.n = 0};
    add_activations(t, &b);
    add_tables(t, &b);
    add_backward(t, &b);
    return b;
}

static cria_status book_all(plan *p, struct bookings *b, struct cria_error *err) {
    for (int i = 0; i < b->n; i++) {
        const struct booking *one = &b->at[i];
        size_t bytes;
        if (checked_mul_size(one->n, one->size, &bytes))
            return ERROR_SET(err, CRIA_LIMIT, "%s: %zu x %zu bytes cannot be counted", one->name, one->n, one->size);
        const cria_status status =
            plan_book(p, one->name, bytes, PAGES_ALIGNMENT, one->first, one->last, &b->numbers[i], err);
        if (status != CRIA_OK) return status;
    }
    return plan_seal(p, err);
}

cria_status llama_trainer_book(llama_trainer *t, struct cria_error *err) {
    const struct arch_config *c = &t->model.config;
    llama_session *s = &t->session;
    cria_status status = CRIA_OK;
    count_slots(t);
    s->options =
        (struct llama_session_options){.kv_dtype = t->model.compute == LLAMA_COMPUTE_F32 ? DTYPE_F32 : DTYPE_BF16,
                                       .max_rows = t->max_slots,
                                       .max_context = t->options.max_row_tokens};
    device_kv_plan(t->model.dev, s->options.kv_dtype, c->n_kv_heads, c->head_size, &s->kv);
    s->page_bytes = s->kv.page_bytes;
    s->layer_bytes = 0;
    t->n_buffers = count_buffers(t->options.n_leaves);
    t->buffer_floats = llama_layout_floats(t->layout);
    if (c->tied) t->buffer_floats += (c->n_vocab * c->d_model + 15) / 16 * 16;
    t->bytes.gradients = (uint64_t)t->n_buffers * (uint64_t)t->buffer_floats * sizeof(float);
    struct bookings b = all_bookings(t);
    TRY(place_kept(t, NULL, &t->bytes.kept, err));
    TRY(plan_create(&t->books, err));
    TRY(book_all(t->books, &b, err));
    t->bytes.scratch = plan_bytes(t->books);
out:
    return status;
}

cria_status llama_trainer_bind(llama_trainer *t, struct cria_error *err) {
    cria_status status = CRIA_OK;
    struct bookings b = all_bookings(t);
    TRY(plan_allocate(t->books, "the trainer's rows", err));
    TRY(pages_get(&t->packed, (size_t)t->bytes.packed_weights, "the packed weights", err));
    TRY(pages_get(&t->gradients, (size_t)t->bytes.gradients, "the gradients", err));
    TRY(pages_get(&t->kept, (size_t)t->bytes.kept, "the rows kept for backward", err));
    for (int i = 0; i < b.n; i++) {
        void *place = plan_bind(t->books, i); /* booked in the same order */
        memcpy(b.at[i].ret, &place, sizeof place);
    }
    for (int i = 0; i < t->n_buffers; i++)
        t->buffers[i].data = (float *)t->gradients.data + (int64_t)i * t->buffer_floats;
    for (int32_t i = 0; i < t->n_pages; i++) t->page_table[i] = i;
    memset(t->session.cache.data, 0, (size_t)t->n_pages * t->session.page_bytes); /* tiles have places that stay zero */
    TRY(place_kept(t, t->kept.data, &t->bytes.kept, err));
out:
    return status;
}
