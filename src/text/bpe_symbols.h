/* bpe_symbols.h: what the short and the long way of merging share: first symbols, ranks of pairs, last ids.
 *
 * A symbol is an id where merges are pairs of ids, and a place in the piece where a pair merges by its joined bytes.
 * Private to bpe*.c. */
#ifndef TEXT_BPE_SYMBOLS_H
#define TEXT_BPE_SYMBOLS_H

#include "text/bpe.h"

/* The slot of a pair: its own, or the free one where it belongs. */
static inline struct bpe_pair *bpe_pair_slot(const struct bpe *b, uint32_t left, uint32_t right) {
    uint32_t i = (uint32_t)token_table_mix(left, right) & b->pair_mask;
    struct bpe_pair *slot = &b->pairs[i];
    while (slot->rank != BPE_NO_RANK && (slot->left != left || slot->right != right)) {
        i = (i + 1) & b->pair_mask;
        slot = &b->pairs[i];
    }
    return slot;
}

static inline uint32_t bpe_rank_of_bytes(const struct bpe *b, const char *bytes, size_t n) {
    int32_t id = token_table_find(&b->table, bytes, n);
    if (id < 0) return BPE_NO_RANK;
    return b->ranks ? b->ranks[id] : (uint32_t)id;
}

static inline uint32_t bpe_rank_of_pair(const struct bpe *b, uint32_t left, uint32_t right) {
    return bpe_pair_slot(b, left, right)->rank;
}

/* The first symbols of a piece as ids, at most n of them. */
size_t bpe_first_ids(const struct bpe *b, struct bpe_scratch *s, const char *piece, size_t n, uint32_t *out);
/* The first symbols of a piece as starts, at most n of them. */
size_t bpe_first_starts(const struct bpe *b, const char *piece, size_t n, uint32_t *out);
/* Appends what the symbol of n bytes is, for which there is room; *last is the id before it in this piece, or -2. */
void bpe_add_symbol(const struct bpe *b, struct bpe_scratch *s, const char *bytes, size_t n, int64_t *last,
                    struct token_list *list);

#endif
