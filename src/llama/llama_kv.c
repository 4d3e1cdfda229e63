/* llama_kv.c: sequences and the pages of the cache.
 *
 * Invariants:
 *   1. A page is free (on the stack, no users) or has as many users as sequences hold it in their tables.
 *   2. A sequence holds exactly the pages that its tokens need; only a page with one user is written to.
 *   3. Behind its last token a page holds zeros: a weight of zero times what was there before must be zero. */
#include <string.h>

#include "llama/llama_private.h"

static int64_t pages_for(int64_t n_tokens) { return (n_tokens + LLAMA_PAGE - 1) / LLAMA_PAGE; }

static uint8_t *page_at(const llama_session *s, int32_t page) {
    return (uint8_t *)s->cache.data + (size_t)page * s->page_bytes;
}

static int32_t take_page(llama_session *s) {
    const int32_t page = s->free_pages[--s->n_free];
    s->page_users[page] = 1;
    memset(page_at(s, page), 0, s->page_bytes);
    return page;
}

/* Zeroes what lies behind the first n_tokens of a page, in every layer. */
static void clear_behind(llama_session *s, int32_t page, int n_tokens) {
    for (int64_t layer = 0; layer < s->model->config.n_layers; layer++)
        device_kv_clear(s->model->dev, &s->kv, page_at(s, page) + (size_t)layer * s->kv.page_bytes, n_tokens);
}

/* A page of its own with the first n_tokens of another. */
static int32_t copy_page(llama_session *s, int32_t from, int n_tokens) {
    const int32_t page = take_page(s);
    memcpy(page_at(s, page), page_at(s, from), s->page_bytes);
    clear_behind(s, page, n_tokens);
    return page;
}

static void drop_page(llama_session *s, int32_t page) {
    if (--s->page_users[page] == 0) s->free_pages[s->n_free++] = page;
}

cria_status llama_kv_reserve(llama_sequence *q, int64_t n_tokens, struct cria_error *err) {
    llama_session *s = q->session;
    if (n_tokens > s->options.max_context - q->n_tokens)
        return ERROR_SET(err, CRIA_LIMIT, "%lld tokens and %lld more are over the context of %lld",
                         (long long)q->n_tokens, (long long)n_tokens, (long long)s->options.max_context);
    const int64_t have = pages_for(q->n_tokens), need = pages_for(q->n_tokens + n_tokens);
    const int in_last = (int)(q->n_tokens % LLAMA_PAGE);
    const bool is_shared = in_last && s->page_users[q->pages[have - 1]] > 1;
    if (need - have + is_shared > s->n_free)
        return ERROR_SET(err, CRIA_LIMIT, "the KV cache has %d free pages of %d tokens, %lld are needed", s->n_free,
                         LLAMA_PAGE, (long long)(need - have + is_shared));
    if (is_shared) {
        const int32_t shared = q->pages[have - 1];
        q->pages[have - 1] = copy_page(s, shared, in_last);
        drop_page(s, shared);
    }
    for (int64_t i = have; i < need; i++) q->pages[i] = take_page(s);
    return CRIA_OK;
}

void llama_kv_shrink(llama_sequence *q, int64_t n_tokens) {
    llama_session *s = q->session;
    for (int64_t i = pages_for(n_tokens); i < pages_for(q->n_tokens); i++) drop_page(s, q->pages[i]);
    const int in_last = (int)(n_tokens % LLAMA_PAGE);
    if (in_last && s->page_users[q->pages[n_tokens / LLAMA_PAGE]] == 1)
        clear_behind(s, q->pages[n_tokens / LLAMA_PAGE], in_last);
    q->n_tokens = n_tokens;
}

cria_status llama_sequence_create(llama_sequence **ret, llama_session *s, struct cria_error *err) {
    for (int i = 0; i < s->options.max_sequences; i++) {
        llama_sequence *q = &s->sequences[i];
        if (q->is_used) continue;
        q->is_used = true;
        q->n_tokens = 0;
        *ret = q;
        return CRIA_OK;
    }
    return ERROR_SET(err, CRIA_BUSY, "all %d sequences of the session are in use", s->options.max_sequences);
}

cria_status llama_sequence_fork(llama_sequence **ret, const llama_sequence *from, int64_t n_tokens,
                                struct cria_error *err) {
    llama_session *s = from->session;
    if (n_tokens < 0 || n_tokens > from->n_tokens)
        return ERROR_SET(err, CRIA_RANGE, "cannot take %lld tokens from a sequence of %lld", (long long)n_tokens,
                         (long long)from->n_tokens);
    const int64_t whole = n_tokens / LLAMA_PAGE;
    const bool has_part = n_tokens % LLAMA_PAGE != 0;
    if (has_part && s->n_free == 0) return ERROR_SET(err, CRIA_LIMIT, "the KV cache has no free page");
    llama_sequence *q;
    const cria_status status = llama_sequence_create(&q, s, err);
    if (status != CRIA_OK) return status;
    for (int64_t i = 0; i < whole; i++) {
        q->pages[i] = from->pages[i];
        s->page_users[q->pages[i]]++;
    }
    if (has_part) q->pages[whole] = copy_page(s, from->pages[whole], (int)(n_tokens % LLAMA_PAGE));
    q->n_tokens = n_tokens;
    *ret = q;
    return CRIA_OK;
}

void llama_sequence_cut(llama_sequence *q, int64_t n_tokens) {
    if (n_tokens < q->n_tokens) llama_kv_shrink(q, n_tokens < 0 ? 0 : n_tokens);
}

void llama_sequence_destroy(llama_sequence **q) {
    if (!*q) return;
    llama_kv_shrink(*q, 0);
    (*q)->is_used = false;
    *q = NULL;
}

int64_t llama_sequence_length(const llama_sequence *q) { return q->n_tokens; }
int64_t llama_session_free_tokens(const llama_session *s) { return (int64_t)s->n_free * LLAMA_PAGE; }
