/* bpe.c: one piece of text -> ids.
 *
 * A piece that is a token whole is found by one look where that is what merging would give (bpe.whole remembers). Other
 * pieces merge in a small array on the stack; long ones by bpe_queue. Symbols are ids where merges are pairs of ids,
 * and starts in the piece where a pair merges by its joined bytes: nothing is dropped there, so a symbol ends where the
 * next starts. */
#include "text/bpe.h"

#include "base/alloc.h"
#include "text/bpe_long.h"
#include "text/bpe_queue.h"
#include "text/bpe_symbols.h"

void bpe_deinit(struct bpe *b) {
    token_table_deinit(&b->table);
    alloc_free(b->pairs);
    alloc_free(b->ranks);
    alloc_free(b->joins);
    alloc_free((void *)b->whole);
    *b = (struct bpe){0};
}

void bpe_scratch_deinit(struct bpe_scratch *s) {
    alloc_free(s->nodes);
    alloc_free(s->symbols);
    bpe_queue_destroy(&s->queue);
    *s = (struct bpe_scratch){0};
}

cria_status bpe_pairs_init(struct bpe *b, size_t n, struct cria_error *err) {
    if (n > TOKEN_MAX_MERGES) {
        return ERROR_SET(err, CRIA_LIMIT, "the vocabulary has %zu merges; Cria takes at most %d", n, TOKEN_MAX_MERGES);
    }
    size_t slots = 1024;
    while (slots < 2 * n) slots *= 2;
    b->pairs = alloc_array(slots, sizeof *b->pairs);
    if (!b->pairs) return ERROR_NOMEM(err, slots * sizeof *b->pairs, "the merges");
    memset(b->pairs, 0xFF, slots * sizeof *b->pairs);
    b->pair_mask = (uint32_t)slots - 1;
    b->n_ranks = (uint32_t)n;
    return CRIA_OK;
}

void bpe_pairs_add(struct bpe *b, struct bpe_pair pair) { *bpe_pair_slot(b, pair.left, pair.right) = pair; }

static inline bool joins(const struct bpe *b, char left, char right) {
    return b->joins[(uint8_t)left * 32 + (uint8_t)right / 8] >> (uint8_t)right % 8 & 1;
}

cria_status bpe_learn_joins(struct bpe *b, struct cria_error *err) {
    for (int i = 0; i < 256 && b->characters; i++) {
        if (b->byte_ids[i] < 0) return CRIA_OK; /* unknown characters may fuse across a cut */
    }
    b->joins = alloc_zeroed(256 * 32, 1);
    if (!b->joins) return ERROR_NOMEM(err, 256 * 32, "the vocabulary");
    for (uint32_t id = 0; id < b->table.n_tokens; id++) {
        struct text_span s = token_table_bytes(&b->table, id);
        for (size_t i = 1; i < s.n; i++) {
            uint8_t right = (uint8_t)s.bytes[i];
            b->joins[(uint8_t)s.bytes[i - 1] * 32 + right / 8] |= (uint8_t)(1 << right % 8);
        }
    }
    /* A byte that is dropped lets its neighbours merge. */
    for (int i = 0; i < 256; i++) {
        if (b->byte_ids[i] >= 0 || b->characters) continue;
        memset(b->joins + i * 32, 0xFF, 32);
        for (int left = 0; left < 256; left++) b->joins[left * 32 + i / 8] |= (uint8_t)(1 << i % 8);
    }
    return CRIA_OK;
}

/* The place of the lowest rank among n, the first of equals; n where there is none. */
static size_t lowest(const uint32_t *ranks, size_t n) {
    size_t best = n;
    uint32_t rank = BPE_NO_RANK;
    for (size_t i = 0; i < n; i++) {
        if (ranks[i] < rank) {
            rank = ranks[i];
            best = i;
        }
    }
    return best;
}

static size_t merge_ids(const struct bpe *b, uint32_t *ids, size_t n) {
    uint32_t ranks[BPE_SHORT];
    for (size_t i = 0; i + 1 < n; i++) ranks[i] = bpe_rank_of_pair(b, ids[i], ids[i + 1]);
    while (n > 1) {
        size_t i = lowest(ranks, n - 1);
        if (i == n - 1) break;
        ids[i] = bpe_pair_slot(b, ids[i], ids[i + 1])->id;
        memmove(ids + i + 1, ids + i + 2, (n - i - 2) * sizeof *ids);
        if (i + 2 < n) memmove(ranks + i, ranks + i + 1, (n - i - 2) * sizeof *ranks);
        n--;
        if (i > 0) ranks[i - 1] = bpe_rank_of_pair(b, ids[i - 1], ids[i]);
        if (i + 1 < n) ranks[i] = bpe_rank_of_pair(b, ids[i], ids[i + 1]);
    }
    return n;
}

/* starts[n] is the end of the piece. */
static size_t merge_starts(const struct bpe *b, const char *piece, uint32_t *starts, size_t n) {
    uint32_t ranks[BPE_SHORT];
    for (size_t i = 0; i + 1 < n; i++) ranks[i] = bpe_rank_of_bytes(b, piece + starts[i], starts[i + 2] - starts[i]);
    while (n > 1) {
        size_t i = lowest(ranks, n - 1);
        if (i == n - 1) break;
        memmove(starts + i + 1, starts + i + 2, (n - i - 1) * sizeof *starts);
        memmove(ranks + i, ranks + i + 1, (n - i - 2) * sizeof *ranks);
        n--;
        if (i > 0) ranks[i - 1] = bpe_rank_of_bytes(b, piece + starts[i - 1], starts[i + 1] - starts[i - 1]);
        if (i + 1 < n) ranks[i] = bpe_rank_of_bytes(b, piece + starts[i], starts[i + 2] - starts[i]);
    }
    return n;
}

static void encode_short(const struct bpe *b, struct bpe_scratch *s, const char *piece, size_t n,
                         struct token_list *list) {
    uint32_t symbols[BPE_SHORT + 1];
    if (b->pairs) {
        size_t count = merge_ids(b, symbols, bpe_first_ids(b, s, piece, n, symbols));
        for (size_t i = 0; i < count; i++) list->ids[list->n++] = (int32_t)symbols[i];
        return;
    }
    size_t count = bpe_first_starts(b, piece, n, symbols);
    symbols[count] = (uint32_t)n;
    count = merge_starts(b, piece, symbols, count);
    int64_t last = -2;
    for (size_t i = 0; i < count; i++)
        bpe_add_symbol(b, s, piece + symbols[i], symbols[i + 1] - symbols[i], &last, list);
}

/* Merges a piece that is longer than BPE_SHORT in parts that no merge can cross. */
static cria_status encode_parts(const struct bpe *b, struct bpe_scratch *s, const char *piece, size_t n,
                                struct token_list *list, struct cria_error *err) {
    for (size_t start = 0, end = 1; start < n; start = end++) {
        while (end < n && (!b->joins || joins(b, piece[end - 1], piece[end]) ||
                           (b->characters && ((uint8_t)piece[end] & 0xC0) == 0x80))) {
            end++;
        }
        cria_status status = CRIA_OK;
        if (end - start <= BPE_SHORT) encode_short(b, s, piece + start, end - start, list);
        else status = bpe_long_encode(b, s, piece + start, end - start, list, err);
        if (status != CRIA_OK) return status;
    }
    return CRIA_OK;
}

cria_status bpe_encode_piece(const struct bpe *b, struct bpe_scratch *s, const char *piece, size_t n,
                             struct token_list *list, struct cria_error *err) {
    cria_status status = token_list_reserve(list, n, err);
    if (status != CRIA_OK) return status;
    int32_t id = token_table_find(&b->table, piece, n);
    if (id >= 0 && (b->whole_first || (b->whole && atomic_load_explicit(&b->whole[id], memory_order_relaxed) == 1))) {
        list->ids[list->n++] = id;
        return CRIA_OK;
    }
    size_t before = list->n;
    if (n <= BPE_SHORT) encode_short(b, s, piece, n, list);
    else status = encode_parts(b, s, piece, n, list, err);
    if (status == CRIA_OK && id >= 0 && b->whole) {
        bool same = list->n == before + 1 && list->ids[before] == id;
        atomic_store_explicit(&b->whole[id], same ? 1 : 2, memory_order_relaxed);
    }
    return status;
}
