/* engine_step.c: one step of an engine: who runs, the forward call, and what becomes of its rows. See engine.h. */
#include "infer/engine.h"

/* A running request that ended gives its sequence to the prefix cache (or back), and waits to be taken. */
static void release(engine *e, struct request *r) {
    const bool is_worth = e->has_prefixes && r->status == CRIA_OK;
    if (is_worth && r->sequence)
        prefix_keep(&e->prefixes, &r->sequence, r->what.prompt, r->what.n_prompt, r->result.tokens);
    llama_sequence_destroy(&r->sequence);
    engine_list_append(&e->ended, r);
}

void engine_sweep(engine *e) {
    const bool was_in_step = e->in_step;
    e->in_step = true; /* the end is an event, and its receiver may cancel others */
    struct request *prev = NULL, *next;
    for (struct request *r = e->queue.first; r; r = next) {
        next = r->next;
        if (!r->cancelled) {
            prev = r;
            continue;
        }
        engine_list_remove(&e->queue, prev, r);
        request_end(r, FINISH_CANCELLED);
        engine_list_append(&e->ended, r);
    }
    int n = 0;
    for (int i = 0; i < e->n_running; i++) {
        struct request *r = e->running[i];
        if (r->cancelled && r->state != REQUEST_ENDED) request_end(r, FINISH_CANCELLED);
        if (r->state == REQUEST_ENDED) release(e, r);
        else e->running[n++] = r;
    }
    e->n_running = n;
    e->in_step = was_in_step;
}

static struct llama_run decode_run(const struct request *r) {
    return (struct llama_run){
        .sequence = r->sequence,
        .tokens = &r->result.tokens[r->result.n_tokens - 1],
        .n_tokens = 1,
        .n_logits = 1,
    };
}

/* The next piece of a prompt within the rows that are left; n_tokens 0 where none are. */
static struct llama_run prompt_run(const engine *e, const struct request *r, int rows_left, int score_rows_left) {
    const int64_t done = llama_sequence_length(r->sequence), left = r->what.n_prompt - done;
    int64_t n = e->chunk < rows_left ? e->chunk : rows_left;
    if (request_wants_all_rows(r) && n > score_rows_left) n = score_rows_left;
    if (n > left) n = left;
    const bool has_last = n == left && request_wants_last_row(r);
    return (struct llama_run){
        .sequence = r->sequence,
        .tokens = r->what.prompt + done,
        .n_tokens = (int)n,
        .n_logits = request_wants_all_rows(r) ? (int)n
                    : has_last                ? 1
                                              : 0,
    };
}

/* Fills runs in the order of `running`; returns how many. Rows for prompts go to those who came in first; who gets none
 * has no run in this step. */
static int plan_runs(engine *e) {
    int n_runs = 0, rows_left = e->max_prompt_rows, score_rows_left = e->max_score_rows;
    for (int i = 0; i < e->n_running; i++) {
        const struct request *r = e->running[i];
        struct llama_run run;
        if (r->state == REQUEST_DECODE) {
            run = decode_run(r);
        } else {
            run = prompt_run(e, r, rows_left, score_rows_left);
            rows_left -= run.n_tokens;
            if (request_wants_all_rows(r)) score_rows_left -= run.n_tokens;
        }
        if (run.n_tokens > 0) e->runs[n_runs++] = run;
    }
    return n_runs;
}

static struct request *owner_of(const engine *e, const llama_sequence *sequence) {
    for (int i = 0; i < e->n_running; i++)
        if (e->running[i]->sequence == sequence) return e->running[i];
    return NULL;
}

/* Hands the rows of the forward call to their requests. */
static void deliver(engine *e, int n_runs) {
    const float *row = e->logits;
    for (int i = 0; i < n_runs; i++) {
        const struct llama_run *run = &e->runs[i];
        struct request *r = owner_of(e, run->sequence);
        const int64_t length = llama_sequence_length(run->sequence);
        for (int j = 0; j < run->n_logits; j++, row += e->tools.config->n_vocab)
            request_row(r, &e->tools, length - run->n_logits + j, row);
        if (length >= r->what.n_prompt) request_prompt_done(r);
    }
}

cria_status engine_step(engine *e, bool *ret_busy, struct cria_error *err) {
    cria_status status = CRIA_OK;
    e->in_step = true;
    engine_sweep(e);
    TRY(engine_admit(e, err));
    const int n_runs = plan_runs(e);
    if (n_runs > 0) {
        TRY(llama_forward(e->session, e->runs, n_runs, e->logits, err));
        deliver(e, n_runs);
        engine_sweep(e);
    }
    *ret_busy = e->n_running > 0 || e->queue.first != NULL;
out:
    e->in_step = false;
    return status;
}
