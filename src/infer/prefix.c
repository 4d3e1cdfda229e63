/* prefix.c: see prefix.h. */
#include "infer/prefix.h"

#include <string.h>

#include "base/alloc.h"

cria_status prefix_cache_init(struct prefix_cache *c, int max_entries, struct cria_error *err) {
    struct prefix_entry *entries = alloc_zeroed((size_t)max_entries, sizeof *entries);
    if (!entries) return ERROR_NOMEM(err, (size_t)max_entries * sizeof *entries, "the prefix cache");
    *c = (struct prefix_cache){.entries = entries, .max_entries = max_entries};
    return CRIA_OK;
}

static void entry_remove(struct prefix_cache *c, int i) {
    llama_sequence_destroy(&c->entries[i].sequence);
    alloc_free(c->entries[i].tokens);
    c->entries[i] = c->entries[--c->n_entries];
}

void prefix_cache_deinit(struct prefix_cache *c) {
    while (c->n_entries > 0) entry_remove(c, c->n_entries - 1);
    alloc_free(c->entries);
    memset(c, 0, sizeof *c);
}

int64_t prefix_common(const int32_t *a, int64_t n_a, const int32_t *b, int64_t n_b) {
    const int64_t n = n_a < n_b ? n_a : n_b;
    int64_t i = 0;
    while (i < n && a[i] == b[i]) i++;
    return i;
}

int64_t prefix_find(struct prefix_cache *c, const int32_t *tokens, int64_t n, const llama_sequence **ret) {
    struct prefix_entry *best = NULL;
    int64_t most = 0;
    for (int i = 0; i < c->n_entries; i++) {
        struct prefix_entry *e = &c->entries[i];
        const int64_t common = prefix_common(e->tokens, e->n_tokens, tokens, n) / LLAMA_PAGE * LLAMA_PAGE;
        if (common <= most) continue;
        most = common;
        best = e;
    }
    *ret = best ? best->sequence : NULL;
    if (best) best->used = ++c->clock;
    return most;
}

bool prefix_evict(struct prefix_cache *c) {
    if (c->n_entries == 0) return false;
    int oldest = 0;
    for (int i = 1; i < c->n_entries; i++)
        if (c->entries[i].used < c->entries[oldest].used) oldest = i;
    entry_remove(c, oldest);
    return true;
}

/* Holds invariant 2: false where an entry already begins with these tokens; removes those that they begin with. */
static bool make_unique(struct prefix_cache *c, const int32_t *tokens, int64_t n) {
    for (int i = c->n_entries; i-- > 0;) {
        struct prefix_entry *e = &c->entries[i];
        const int64_t common = prefix_common(e->tokens, e->n_tokens, tokens, n);
        if (common == n) {
            e->used = ++c->clock;
            return false;
        }
        if (common == e->n_tokens) entry_remove(c, i);
    }
    return true;
}

void prefix_keep(struct prefix_cache *c, llama_sequence **sequence, const int32_t *first, int64_t n_first,
                 const int32_t *more) {
    const int64_t n = llama_sequence_length(*sequence) / LLAMA_PAGE * LLAMA_PAGE;
    int32_t *tokens = n > 0 && c->max_entries > 0 ? alloc_array((size_t)n, sizeof *tokens) : NULL;
    for (int64_t i = 0; tokens && i < n; i++) tokens[i] = i < n_first ? first[i] : more[i - n_first];
    /* Without memory for the tokens there is merely nothing to share. */
    if (!tokens || !make_unique(c, tokens, n)) {
        alloc_free(tokens);
        llama_sequence_destroy(sequence);
        return;
    }
    if (c->n_entries == c->max_entries) prefix_evict(c);
    llama_sequence_cut(*sequence, n);
    c->entries[c->n_entries++] =
        (struct prefix_entry){.sequence = *sequence, .tokens = tokens, .n_tokens = n, .used = ++c->clock};
    *sequence = NULL;
}
