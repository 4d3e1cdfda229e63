/* engine_admit.c: who comes in: room in the cache, and prefixes that are there already or just being computed. */
#include "infer/engine.h"

/* What is known of a request's prefix, in tokens of whole pages. */
struct prefix_match {
    const llama_sequence *source; /* holds the first n_ready; NULL where n_ready is 0 */
    int64_t n_ready;
    int64_t n_coming; /* what a running request will have computed when its prompt is done */
};

static int64_t pages_of(int64_t n_tokens) { return (n_tokens + LLAMA_PAGE - 1) / LLAMA_PAGE; }

static int64_t whole_pages(int64_t n_tokens) { return n_tokens / LLAMA_PAGE * LLAMA_PAGE; }

/* At least one token of the prompt must be run: its logits are wanted. */
static struct prefix_match match_prefix(engine *e, const struct request *r) {
    struct prefix_match match = {.source = NULL};
    if (!e->has_prefixes || request_wants_all_rows(r)) return match;
    const int64_t n = r->what.n_prompt - 1;
    match.n_ready = prefix_find(&e->prefixes, r->what.prompt, n, &match.source);
    for (int i = 0; i < e->n_running; i++) {
        const struct request *other = e->running[i];
        const int64_t common = prefix_common(r->what.prompt, n, other->what.prompt, other->what.n_prompt);
        const int64_t length = llama_sequence_length(other->sequence);
        const int64_t ready = whole_pages(common < length ? common : length);
        if (ready > match.n_ready) {
            match.n_ready = ready;
            match.source = other->sequence;
        }
        if (whole_pages(common) > match.n_coming) match.n_coming = whole_pages(common);
    }
    return match;
}

/* Pages that running requests may still ask for. */
static int64_t promised_pages(const engine *e) {
    int64_t n = 0;
    for (int i = 0; i < e->n_running; i++)
        n += pages_of(request_total(e->running[i])) - pages_of(llama_sequence_length(e->running[i]->sequence));
    return n;
}

/* Frees kept prefixes, the oldest first, until n_pages are free beside those that are promised. */
static bool make_room(engine *e, int64_t n_pages) {
    const int64_t needed = n_pages + promised_pages(e);
    while (llama_session_free_tokens(e->session) / LLAMA_PAGE < needed)
        if (!prefix_evict(&e->prefixes)) return false;
    return true;
}

/* *ret_started false and *ret_no_room false: it waits for a prefix. */
static cria_status try_start(engine *e, struct request *r, bool *ret_started, bool *ret_no_room,
                             struct cria_error *err) {
    *ret_started = *ret_no_room = false;
    const struct prefix_match match = match_prefix(e, r);
    if (match.n_coming > match.n_ready) return CRIA_OK;
    llama_sequence *sequence = NULL;
    const cria_status status = match.n_ready > 0 ? llama_sequence_fork(&sequence, match.source, match.n_ready, err)
                                                 : llama_sequence_create(&sequence, e->session, err);
    if (status != CRIA_OK) return status;
    if (!make_room(e, pages_of(request_total(r)) - match.n_ready / LLAMA_PAGE)) {
        llama_sequence_destroy(&sequence);
        *ret_no_room = true;
        return CRIA_OK;
    }
    r->sequence = sequence;
    r->result.n_cached = match.n_ready;
    *ret_started = true;
    return CRIA_OK;
}

cria_status engine_admit(engine *e, struct cria_error *err) {
    struct request *prev = NULL, *r = e->queue.first;
    while (r && e->n_running < e->max_batch) {
        struct request *next = r->next;
        bool started, no_room;
        const cria_status status = try_start(e, r, &started, &no_room, err);
        if (status != CRIA_OK) return status;
        if (no_room && e->n_running == 0)
            return ERROR_SET(err, CRIA_INTERNAL, "request %d has no room in an empty cache", r->number);
        if (no_room) break;
        if (started) {
            engine_list_remove(&e->queue, prev, r);
            request_start(r);
            e->running[e->n_running++] = r;
        } else {
            prev = r;
        }
        r = next;
    }
    return CRIA_OK;
}
