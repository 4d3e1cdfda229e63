/* prefix.h: the cache of prefixes: sequences of ended requests, kept for requests that begin with the same tokens.
 *
 * Invariants: 1. every kept sequence is a whole number of pages and its tokens are known; 2. no kept prefix is the
 * beginning of another; 3. the order of use decides who goes first. It knows nothing of requests and never decides when
 * room is needed. */
#ifndef INFER_PREFIX_H
#define INFER_PREFIX_H

#include "llama/llama.h"

struct prefix_entry {
    llama_sequence *sequence; /* owned */
    int32_t *tokens;          /* owned */
    int64_t n_tokens;
    uint64_t used; /* when it was last of use, counted in uses */
};

struct prefix_cache {
    struct prefix_entry *entries; /* owned */
    int n_entries, max_entries;
    uint64_t clock;
};

CRIA_MUST_CHECK cria_status prefix_cache_init(struct prefix_cache *c, int max_entries, struct cria_error *err);
void prefix_cache_deinit(struct prefix_cache *c);
/* How many of the first tokens a and b share. */
int64_t prefix_common(const int32_t *a, int64_t n_a, const int32_t *b, int64_t n_b);
/* The kept sequence that shares most with the n tokens, and how many tokens in whole pages; 0 and NULL where none does.
 */
int64_t prefix_find(struct prefix_cache *c, const int32_t *tokens, int64_t n, const llama_sequence **ret);
/* Takes *sequence, whose tokens are first[0 .. n_first-1] and then more[]; keeps its whole pages or destroys it. */
void prefix_keep(struct prefix_cache *c, llama_sequence **sequence, const int32_t *first, int64_t n_first,
                 const int32_t *more);
/* Destroys the entry that was of use longest ago; false where there is none. */
bool prefix_evict(struct prefix_cache *c);

#endif
