/* bpe.c: one piece of text -> ids.
 *
 * A piece that is a token whole is found by one look where that is what merging would give (bpe.whole remembers). Other
 * pieces merge in a small array on the stack; long ones by bpe_queue. Symbols are ids where merges are pairs of ids,
 * and starts in the piece where a pair merges by its joined bytes: nothing is dropped there, so a symbol ends where the
 * next starts. */
#include "text/bpe.h"

#include "base/alloc.h"
#include "base/utf8.h"
#include "text/bpe_queue.h"

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

/* The slot of a pair: its own, or the free one where it belongs. */
static inline struct bpe_pair *pair_slot(const struct bpe *b, uint32_t left, uint32_t right) {
    uint32_t i = (uint32_t)token_table_mix(left, right) & b->pair_mask;
    struct bpe_pair *slot = &b->pairs[i];
    while (slot->rank != BPE_NO_RANK && (slot->left != left || slot->right != right)) {
        i = (i + 1) & b->pair_mask;
        slot = &b->pairs[i];
    }
    return slot;
}

void bpe_pairs_add(struct bpe *b, struct bpe_pair pair) { *pair_slot(b, pair.left, pair.right) = pair; }

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

/* Whether a character that is no token, of n bytes, can be said by byte tokens. */
static bool bytes_known(const struct bpe *b, const char *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (b->byte_ids[(uint8_t)bytes[i]] < 0) return false;
    }
    return true;
}

/* The ids of a symbol that is no token: its bytes, or unknown_id, or nothing. Returns how many. */
static size_t unknown_symbol(const struct bpe *b, const char *bytes, size_t n, size_t *dropped, uint32_t *out) {
    if (bytes_known(b, bytes, n)) {
        for (size_t i = 0; i < n; i++) out[i] = (uint32_t)b->byte_ids[(uint8_t)bytes[i]];
        return n;
    }
    if (b->unknown_id < 0) {
        *dropped += n;
        return 0;
    }
    *out = (uint32_t)b->unknown_id;
    return 1;
}

/* Whether id, behind the ids that end with `last`, adds nothing. */
static inline bool fuses(const struct bpe *b, int64_t last, uint32_t id) {
    return b->fuse_unknown && last == b->unknown_id && (int64_t)id == last;
}

static size_t character_bytes(const char *text, size_t n) {
    int bytes = utf8_sequence_bytes(text, n);
    return bytes > 0 ? (size_t)bytes : 1;
}

/* The first symbols of a piece as ids, at most n of them. */
static size_t first_ids(const struct bpe *b, struct bpe_scratch *s, const char *piece, size_t n, uint32_t *out) {
    size_t count = 0;
    for (size_t at = 0, bytes; at < n; at += bytes) {
        bytes = b->characters ? character_bytes(piece + at, n - at) : 1;
        int32_t id = b->characters ? token_table_find(&b->table, piece + at, bytes) : b->byte_ids[(uint8_t)piece[at]];
        uint32_t ids[4] = {(uint32_t)id};
        size_t n_ids = id >= 0 ? 1 : unknown_symbol(b, piece + at, bytes, &s->n_dropped, ids);
        for (size_t i = 0; i < n_ids; i++) {
            if (!count || !fuses(b, out[count - 1], ids[i])) out[count++] = ids[i];
        }
    }
    return count;
}

/* The first symbols of a piece as starts, at most n of them. */
static size_t first_starts(const struct bpe *b, const char *piece, size_t n, uint32_t *out) {
    size_t count = 0;
    for (size_t at = 0; at < n; at += b->characters ? character_bytes(piece + at, n - at) : 1)
        out[count++] = (uint32_t)at;
    return count;
}

static inline uint32_t rank_of_bytes(const struct bpe *b, const char *bytes, size_t n) {
    int32_t id = token_table_find(&b->table, bytes, n);
    if (id < 0) return BPE_NO_RANK;
    return b->ranks ? b->ranks[id] : (uint32_t)id;
}

static uint32_t rank_of_pair(const struct bpe *b, uint32_t left, uint32_t right) {
    return pair_slot(b, left, right)->rank;
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
    for (size_t i = 0; i + 1 < n; i++) ranks[i] = rank_of_pair(b, ids[i], ids[i + 1]);
    while (n > 1) {
        size_t i = lowest(ranks, n - 1);
        if (i == n - 1) break;
        ids[i] = pair_slot(b, ids[i], ids[i + 1])->id;
        memmove(ids + i + 1, ids + i + 2, (n - i - 2) * sizeof *ids);
        if (i + 2 < n) memmove(ranks + i, ranks + i + 1, (n - i - 2) * sizeof *ranks);
        n--;
        if (i > 0) ranks[i - 1] = rank_of_pair(b, ids[i - 1], ids[i]);
        if (i + 1 < n) ranks[i] = rank_of_pair(b, ids[i], ids[i + 1]);
    }
    return n;
}

/* starts[n] is the end of the piece. */
static size_t merge_starts(const struct bpe *b, const char *piece, uint32_t *starts, size_t n) {
    uint32_t ranks[BPE_SHORT];
    for (size_t i = 0; i + 1 < n; i++) ranks[i] = rank_of_bytes(b, piece + starts[i], starts[i + 2] - starts[i]);
    while (n > 1) {
        size_t i = lowest(ranks, n - 1);
        if (i == n - 1) break;
        memmove(starts + i + 1, starts + i + 2, (n - i - 1) * sizeof *starts);
        memmove(ranks + i, ranks + i + 1, (n - i - 2) * sizeof *ranks);
        n--;
        if (i > 0) ranks[i - 1] = rank_of_bytes(b, piece + starts[i - 1], starts[i + 1] - starts[i - 1]);
        if (i + 1 < n) ranks[i] = rank_of_bytes(b, piece + starts[i], starts[i + 2] - starts[i]);
    }
    return n;
}

/* Appends what the symbol of n bytes is, for which there is room; *last is the id before it in this piece, or -2. */
static void add_symbol(const struct bpe *b, struct bpe_scratch *s, const char *bytes, size_t n, int64_t *last,
                       struct token_list *list) {
    int32_t id = token_table_find(&b->table, bytes, n);
    uint32_t ids[4] = {(uint32_t)id};
    size_t count = id >= 0 ? 1 : unknown_symbol(b, bytes, n, &s->n_dropped, ids);
    for (size_t i = 0; i < count; i++) {
        if (!fuses(b, *last, ids[i])) list->ids[list->n++] = (int32_t)ids[i];
        *last = ids[i];
    }
}

static void encode_short(const struct bpe *b, struct bpe_scratch *s, const char *piece, size_t n,
                         struct token_list *list) {
    uint32_t symbols[BPE_SHORT + 1];
    if (b->pairs) {
        size_t count = merge_ids(b, symbols, first_ids(b, s, piece, n, symbols));
        for (size_t i = 0; i < count; i++) list->ids[list->n++] = (int32_t)symbols[i];
        return;
    }
    size_t count = first_starts(b, piece, n, symbols);
    symbols[count] = (uint32_t)n;
    count = merge_starts(b, piece, symbols, count);
    int64_t last = -2;
    for (size_t i = 0; i < count; i++) add_symbol(b, s, piece + symbols[i], symbols[i + 1] - symbols[i], &last, list);
}

static uint32_t node_end(const struct bpe_node *nodes, uint32_t p, size_t n) {
    return nodes[p].next ? nodes[nodes[p].next].value : (uint32_t)n;
}

/* Computes the rank of the pair at p, which is in no list, and lets it wait. */
static void enqueue(const struct bpe *b, struct bpe_scratch *s, const char *piece, size_t n, uint32_t p) {
    struct bpe_node *nodes = s->nodes;
    uint32_t next = nodes[p].next;
    if (!next) return;
    uint32_t rank = b->pairs ? rank_of_pair(b, nodes[p].value, nodes[next].value)
                             : rank_of_bytes(b, piece + nodes[p].value, node_end(nodes, next, n) - nodes[p].value);
    if (rank != BPE_NO_RANK) bpe_queue_add(s->queue, nodes, p, rank);
}

static void merge_nodes(const struct bpe *b, struct bpe_scratch *s, const char *piece, size_t n) {
    struct bpe_node *nodes = s->nodes;
    uint32_t p;
    while ((p = bpe_queue_take(s->queue, nodes))) {
        uint32_t q = nodes[p].next, prev = nodes[p].prev;
        if (b->pairs) nodes[p].value = pair_slot(b, nodes[p].value, nodes[q].value)->id;
        bpe_queue_remove(s->queue, nodes, q);
        nodes[p].next = nodes[q].next;
        if (nodes[q].next) nodes[nodes[q].next].prev = p;
        if (prev) {
            bpe_queue_remove(s->queue, nodes, prev);
            enqueue(b, s, piece, n, prev);
        }
        enqueue(b, s, piece, n, p);
    }
}

static cria_status reserve_nodes(const struct bpe *b, struct bpe_scratch *s, size_t n, struct cria_error *err) {
    if (n + 1 > s->node_capacity) {
        size_t capacity = n + n / 4 + 1;
        alloc_free(s->nodes);
        alloc_free(s->symbols);
        s->node_capacity = 0;
        s->nodes = alloc_array(capacity, sizeof *s->nodes);
        s->symbols = alloc_array(capacity, sizeof *s->symbols);
        if (!s->nodes || !s->symbols)
            return ERROR_NOMEM(err, capacity * sizeof *s->nodes, "merging a long piece of text");
        s->node_capacity = capacity;
    }
    if (!s->queue) return bpe_queue_create(&s->queue, b->n_ranks, err);
    return CRIA_OK;
}

static cria_status encode_long(const struct bpe *b, struct bpe_scratch *s, const char *piece, size_t n,
                               struct token_list *list, struct cria_error *err) {
    cria_status status = reserve_nodes(b, s, n, err);
    if (status != CRIA_OK) return status;
    struct bpe_node *nodes = s->nodes;
    uint32_t *symbols = s->symbols;
    uint32_t count = (uint32_t)(b->pairs ? first_ids(b, s, piece, n, symbols) : first_starts(b, piece, n, symbols));
    for (uint32_t i = 1; i <= count; i++) {
        nodes[i] = (struct bpe_node){
            .value = symbols[i - 1], .prev = i - 1, .next = i < count ? i + 1 : 0, .rank = BPE_NO_RANK};
    }
    for (uint32_t i = 1; i <= count; i++) enqueue(b, s, piece, n, i);
    merge_nodes(b, s, piece, n);
    int64_t last = -2;
    for (uint32_t i = count ? 1 : 0; i; i = nodes[i].next) {
        if (b->pairs) list->ids[list->n++] = (int32_t)nodes[i].value;
        else add_symbol(b, s, piece + nodes[i].value, node_end(nodes, i, n) - nodes[i].value, &last, list);
    }
    return CRIA_OK;
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
        else status = encode_long(b, s, piece + start, end - start, list, err);
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
