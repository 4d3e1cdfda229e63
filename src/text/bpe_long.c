/* bpe_long.c: a long piece as linked symbols and a queue of pairs, a chunk of some thousand bytes at a time.
 *
 * Why chunks change nothing: let t1 .. tn be tokens such that merging the text of any two neighbours gives just these
 * two. Then merging the whole text gives t1 .. tn. For if not, look at the first merge across a border between two of
 * them. Until then merges inside the two went on as they do in the text of the two alone, for their order there is that
 * of rank and place, and nothing outside reached in. So that merge would come first there too, and the two would not
 * stay. The other way round, neighbours in the result of merging some text stay as they are when merged alone. So the
 * tokens of chunks may be put side by side wherever the two tokens at the border stay; where they do not, the border
 * moves to the left. */
#include "text/bpe_long.h"

#include "base/alloc.h"
#include "text/bpe_queue.h"
#include "text/bpe_symbols.h"

#define CHUNK_BYTES 16384
#define TAIL_TOKENS 4 /* of a chunk that are merged again with the next: its end was cut anywhere */
#define MAX_BACK 1024 /* tokens; beyond it the piece is merged in one */

static uint32_t node_end(const struct bpe_node *nodes, uint32_t p, size_t n) {
    return nodes[p].next ? nodes[nodes[p].next].value : (uint32_t)n;
}

/* Computes the rank of the pair at p, which is in no list, and lets it wait. */
static void enqueue(const struct bpe *b, struct bpe_scratch *s, const char *piece, size_t n, uint32_t p) {
    struct bpe_node *nodes = s->nodes;
    uint32_t next = nodes[p].next;
    if (!next) return;
    uint32_t rank = b->pairs ? bpe_rank_of_pair(b, nodes[p].value, nodes[next].value)
                             : bpe_rank_of_bytes(b, piece + nodes[p].value, node_end(nodes, next, n) - nodes[p].value);
    if (rank != BPE_NO_RANK) bpe_queue_add(s->queue, nodes, p, rank);
}

static void merge_nodes(const struct bpe *b, struct bpe_scratch *s, const char *piece, size_t n) {
    struct bpe_node *nodes = s->nodes;
    uint32_t p;
    while ((p = bpe_queue_take(s->queue, nodes))) {
        uint32_t q = nodes[p].next, prev = nodes[p].prev;
        if (b->pairs) nodes[p].value = bpe_pair_slot(b, nodes[p].value, nodes[q].value)->id;
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

static cria_status encode_whole(const struct bpe *b, struct bpe_scratch *s, const char *piece, size_t n,
                                struct token_list *list, struct cria_error *err) {
    cria_status status = reserve_nodes(b, s, n, err);
    if (status != CRIA_OK) return status;
    struct bpe_node *nodes = s->nodes;
    uint32_t *symbols = s->symbols;
    uint32_t count =
        (uint32_t)(b->pairs ? bpe_first_ids(b, s, piece, n, symbols) : bpe_first_starts(b, piece, n, symbols));
    for (uint32_t i = 1; i <= count; i++) {
        nodes[i] = (struct bpe_node){
            .value = symbols[i - 1], .prev = i - 1, .next = i < count ? i + 1 : 0, .rank = BPE_NO_RANK};
    }
    for (uint32_t i = 1; i <= count; i++) enqueue(b, s, piece, n, i);
    merge_nodes(b, s, piece, n);
    int64_t last = -2;
    for (uint32_t i = count ? 1 : 0; i; i = nodes[i].next) {
        if (b->pairs) list->ids[list->n++] = (int32_t)nodes[i].value;
        else bpe_add_symbol(b, s, piece + nodes[i].value, node_end(nodes, i, n) - nodes[i].value, &last, list);
    }
    return CRIA_OK;
}

/* Whether id is a token that merging makes (and not a byte that stands for part of a character). */
static bool is_made(const struct bpe *b, int32_t id) {
    struct text_span s = token_table_bytes(&b->table, (uint32_t)id);
    return token_table_find(&b->table, s.bytes, s.n) == id;
}

/* Whether merging the text of two tokens gives just these two. */
static cria_status check_pair(const struct bpe *b, struct bpe_scratch *s, const int32_t ids[2], struct token_list *list,
                              bool *ret_stays, struct cria_error *err) {
    char bytes[2 * TOKEN_MAX_BYTES];
    struct text_span left = token_table_bytes(&b->table, (uint32_t)ids[0]);
    struct text_span right = token_table_bytes(&b->table, (uint32_t)ids[1]);
    const int32_t wanted[2] = {ids[0], ids[1]};
    size_t before = list->n;
    cria_status status;
    *ret_stays = false;
    if (!is_made(b, ids[0]) || !is_made(b, ids[1])) return CRIA_OK;
    memcpy(bytes, left.bytes, left.n);
    memcpy(bytes + left.n, right.bytes, right.n);
    TRY(token_list_reserve(list, left.n + right.n, err));
    TRY(encode_whole(b, s, bytes, left.n + right.n, list, err));
    *ret_stays = list->n == before + 2 && memcmp(list->ids + before, wanted, sizeof wanted) == 0;
out:
    list->n = before;
    return status;
}

/* Takes at least count tokens off the list and their bytes off *at, until *at is a border between characters behind a
 * token that merging made; not beyond the first `base` ids. */
static void take_back(const struct bpe *b, const char *piece, struct token_list *list, size_t base, size_t count,
                      size_t *at) {
    while (list->n > base) {
        bool border = !b->characters || ((uint8_t)piece[*at] & 0xC0) != 0x80;
        int32_t last = list->ids[list->n - 1];
        if (count == 0 && border && is_made(b, last)) return;
        *at -= is_made(b, last) ? token_table_bytes(&b->table, (uint32_t)last).n : 1;
        list->n--;
        if (count) count--;
    }
}

/* Whether each byte of the piece is some token's, so that tokens say how many bytes they took. */
static bool all_bytes_known(const struct bpe *b, const char *piece, size_t n) {
    for (int i = 0; b->characters && i < 256; i++) {
        if (b->byte_ids[i] < 0) return false;
    }
    for (size_t i = 0; !b->characters && i < n; i++) {
        if (b->byte_ids[(uint8_t)piece[i]] < 0) return false;
    }
    return true;
}

static size_t chunk_end(const struct bpe *b, const char *piece, size_t n, size_t start) {
    if (n - start <= CHUNK_BYTES) return n;
    size_t end = start + CHUNK_BYTES;
    while (b->characters && end > start + 1 && ((uint8_t)piece[end] & 0xC0) == 0x80) end--;
    return end;
}

/* *ret_done is false where no border holds; then the list is as it was. */
static cria_status encode_chunks(const struct bpe *b, struct bpe_scratch *s, const char *piece, size_t n,
                                 struct token_list *list, bool *ret_done, struct cria_error *err) {
    const size_t base = list->n;
    size_t start = 0, furthest = 0, back = TAIL_TOKENS;
    cria_status status = CRIA_OK;
    *ret_done = false;
    while (start < n) {
        size_t joint = list->n, end = chunk_end(b, piece, n, start);
        bool stays = true;
        TRY(token_list_reserve(list, end - start, err));
        TRY(encode_whole(b, s, piece + start, end - start, list, err));
        if (joint > base) TRY(check_pair(b, s, list->ids + joint - 1, list, &stays, err));
        if (stays) {
            back = TAIL_TOKENS;
            start = end;
            if (end < n) take_back(b, piece, list, base, back, &start);
            if (start < n && start < furthest + CHUNK_BYTES / 4) break;
            furthest = start;
        } else {
            list->n = joint;
            back *= 2;
            if (back > MAX_BACK) break;
            take_back(b, piece, list, base, back, &start);
        }
        if (list->n == base) break;
    }
    *ret_done = start == n;
    if (!*ret_done) list->n = base;
out:
    return status;
}

cria_status bpe_long_encode(const struct bpe *b, struct bpe_scratch *s, const char *piece, size_t n,
                            struct token_list *list, struct cria_error *err) {
    bool done = false;
    cria_status status = CRIA_OK;
    if (n > CHUNK_BYTES && all_bytes_known(b, piece, n)) TRY(encode_chunks(b, s, piece, n, list, &done, err));
    if (!done) TRY(token_list_reserve(list, n, err));
    if (!done) TRY(encode_whole(b, s, piece, n, list, err));
out:
    return status;
}
