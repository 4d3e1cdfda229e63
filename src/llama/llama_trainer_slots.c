/* llama_trainer_slots.c: data rows on their way into a call: checked, and laid into slots, runs and pages.
 *
 * A row begins at a multiple of ORDER_STEP slots. The tokens behind the last one that predicts are left out: nobody
 * looks back from them, and their gradients are zero. (A row of 1,024 predictions has 1,025 tokens.) What a row leaves
 * of its last step becomes a run of its own, a document of token 0 that predicts nothing: finite numbers and zero
 * gradients. Each document has pages of its own in a cache of one layer that all layers use in turn; behind its last
 * token a page holds zeros, as everywhere (llama_kv.c). */
#include <string.h>

#include "llama/llama_train_private.h"

static cria_status check_tokens(const struct arch_config *c, const struct llama_data_row *row, int i_row,
                                struct cria_error *err) {
    for (int i = 0; i < row->n_tokens; i++) {
        if (row->ids[i] < 0 || row->ids[i] >= c->n_vocab)
            return ERROR_SET(err, CRIA_RANGE, "row %d: token id %d at place %d is not in 0 .. %lld", i_row, row->ids[i],
                             i, (long long)c->n_vocab - 1);
        if (row->targets[i] < -1 || row->targets[i] >= c->n_vocab)
            return ERROR_SET(err, CRIA_RANGE, "row %d: target %d at place %d is not in -1 .. %lld", i_row,
                             row->targets[i], i, (long long)c->n_vocab - 1);
    }
    return CRIA_OK;
}

static cria_status check_row(const llama_trainer *t, const struct llama_data_row *row, int i_row,
                             struct cria_error *err) {
    int next = 0;
    if (row->n_tokens < 1 || row->n_tokens > t->options.max_row_tokens)
        return ERROR_SET(err, CRIA_LIMIT, "row %d: %d tokens, expected 1 to %d", i_row, row->n_tokens,
                         t->options.max_row_tokens);
    for (int i = 0; i < row->n_pieces; i++) {
        const struct llama_piece *p = &row->pieces[i];
        if (p->first != next || p->n < 1 || p->n > row->n_tokens - next)
            return ERROR_SET(err, CRIA_SHAPE, "row %d: document %d has %d tokens from %d, expected some from %d to %d",
                             i_row, i, p->n, p->first, next, row->n_tokens);
        next += p->n;
    }
    if (next != row->n_tokens)
        return ERROR_SET(err, CRIA_SHAPE, "row %d: its documents have %d tokens, the row has %d", i_row, next,
                         row->n_tokens);
    return check_tokens(&t->model.config, row, i_row, err);
}

static cria_status check_rows(const llama_trainer *t, const struct llama_data_row *rows, int n_rows,
                              struct cria_error *err) {
    int64_t n_pieces = 0;
    if (n_rows < 1 || n_rows > t->options.max_rows)
        return ERROR_SET(err, CRIA_LIMIT, "%d rows at once, expected 1 to %d", n_rows, t->options.max_rows);
    for (int i = 0; i < n_rows; i++) {
        const cria_status status = check_row(t, &rows[i], i, err);
        if (status != CRIA_OK) return status;
        n_pieces += rows[i].n_pieces;
    }
    if (n_pieces > t->options.max_pieces)
        return ERROR_SET(err, CRIA_LIMIT, "%lld documents at once, expected at most %d", (long long)n_pieces,
                         t->options.max_pieces);
    return CRIA_OK;
}

int llama_trainer_kept(const struct llama_data_row *row) {
    int n = row->n_tokens;
    while (n > 1 && row->targets[n - 1] < 0) n--;
    return n;
}

/* A document of n tokens at the batch's end, on the next pages. */
static void add_run(llama_trainer *t, int n, int *page, struct llama_batch *batch) {
    llama_session *s = &t->session;
    s->runs[batch->n_runs++] = (struct device_run){batch->n_rows, n, 0, t->page_table + *page};
    batch->n_rows += n;
    *page += (n + LLAMA_PAGE - 1) / LLAMA_PAGE;
    if (n % LLAMA_PAGE)
        device_kv_clear(t->model.dev, &s->kv, (uint8_t *)s->cache.data + (size_t)(*page - 1) * s->page_bytes,
                        n % LLAMA_PAGE);
}

static void lay_row(llama_trainer *t, const struct llama_data_row *row, int *page, struct llama_batch *batch) {
    const struct llama_slots *slots = &t->slots;
    const int first = batch->n_rows, n_kept = llama_trainer_kept(row), padding = -n_kept & (ORDER_STEP - 1);
    const size_t n = (size_t)n_kept;
    memcpy(slots->ids + first, row->ids, n * sizeof *row->ids);
    memcpy(slots->gradients + first, row->ids, n * sizeof *row->ids);
    memcpy(slots->targets + first, row->targets, n * sizeof *row->targets);
    for (int i = 0; i < row->n_pieces && row->pieces[i].first < n_kept; i++) {
        const int left = n_kept - row->pieces[i].first;
        add_run(t, row->pieces[i].n < left ? row->pieces[i].n : left, page, batch);
    }
    for (int i = batch->n_rows; i < batch->n_rows + padding; i++) {
        slots->ids[i] = 0;
        slots->gradients[i] = slots->targets[i] = -1;
    }
    if (padding) add_run(t, padding, page, batch);
}

cria_status llama_trainer_lay(llama_trainer *t, const struct llama_data_row *rows, int n_rows, struct llama_batch *ret,
                              struct cria_error *err) {
    struct llama_batch batch = {0};
    int page = 0;
    const cria_status status = check_rows(t, rows, n_rows, err);
    if (status != CRIA_OK) return status;
    for (int i = 0; i < n_rows; i++) lay_row(t, &rows[i], &page, &batch);
    CRIA_ASSERT(page <= t->n_pages && batch.n_rows <= t->max_slots);
    *ret = batch;
    return CRIA_OK;
}
