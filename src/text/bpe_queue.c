/* bpe_queue.c: pairs that wait to be merged, by rank and then by place.
 *
 * Pairs reach a list nearly always in the order of the text; one that does not is put right near either end, or the
 * list is marked and sorted when it is next read. A rank stays in the heap until it is found empty there, so it is in
 * it once. */
#include "text/bpe_queue.h"

#include "base/alloc.h"

#define NEAR_STEPS 8

struct bucket {
    uint32_t head, tail;
    bool in_heap, unsorted;
};

struct bpe_queue {
    struct bucket *buckets; /* owned */
    uint32_t *heap;         /* owned; ranks */
    uint32_t n_heap;
};

cria_status bpe_queue_create(struct bpe_queue **ret, uint32_t n_ranks, struct cria_error *err) {
    struct bpe_queue *q = ALLOC_NEW(struct bpe_queue);
    if (!q) return ERROR_NOMEM(err, sizeof *q, "merging");
    q->buckets = alloc_zeroed((size_t)n_ranks + 1, sizeof *q->buckets);
    q->heap = alloc_array((size_t)n_ranks + 1, sizeof *q->heap);
    if (!q->buckets || !q->heap) {
        bpe_queue_destroy(&q);
        return ERROR_NOMEM(err, n_ranks * (sizeof(struct bucket) + 4), "merging");
    }
    *ret = q;
    return CRIA_OK;
}

void bpe_queue_destroy(struct bpe_queue **q) {
    if (!*q) return;
    alloc_free((*q)->buckets);
    alloc_free((*q)->heap);
    alloc_free(*q);
    *q = NULL;
}

static void heap_push(struct bpe_queue *q, uint32_t rank) {
    uint32_t i = q->n_heap++;
    while (i > 0 && q->heap[(i - 1) / 2] > rank) {
        q->heap[i] = q->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    q->heap[i] = rank;
}

static void heap_pop(struct bpe_queue *q) {
    uint32_t last = q->heap[--q->n_heap], i = 0;
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= q->n_heap) break;
        if (child + 1 < q->n_heap && q->heap[child + 1] < q->heap[child]) child++;
        if (q->heap[child] >= last) break;
        q->heap[i] = q->heap[child];
        i = child;
    }
    q->heap[i] = last;
}

/* The node of the list before which p belongs; 0: at the end. Sets *unsorted where that is too far to look. */
static uint32_t place_before(const struct bucket *b, const struct bpe_node *nodes, uint32_t p, bool *unsorted) {
    if (b->unsorted || p > b->tail) return 0;
    uint32_t at = b->head;
    for (int i = 0; i < NEAR_STEPS; i++, at = nodes[at].q_next) {
        if (p < at) return at;
    }
    at = b->tail;
    for (int i = 0; i < NEAR_STEPS; i++, at = nodes[at].q_prev) {
        if (p > nodes[at].q_prev) return at;
    }
    *unsorted = true;
    return 0;
}

void bpe_queue_add(struct bpe_queue *q, struct bpe_node *nodes, uint32_t p, uint32_t rank) {
    struct bucket *b = &q->buckets[rank];
    nodes[p].rank = rank;
    if (!b->head) {
        if (!b->in_heap) heap_push(q, rank);
        *b = (struct bucket){p, p, true, false};
        nodes[p].q_prev = nodes[p].q_next = 0;
        return;
    }
    uint32_t next = place_before(b, nodes, p, &b->unsorted);
    uint32_t prev = next ? nodes[next].q_prev : b->tail;
    nodes[p].q_prev = prev;
    nodes[p].q_next = next;
    *(prev ? &nodes[prev].q_next : &b->head) = p;
    *(next ? &nodes[next].q_prev : &b->tail) = p;
}

void bpe_queue_remove(struct bpe_queue *q, struct bpe_node *nodes, uint32_t p) {
    if (nodes[p].rank == BPE_NO_RANK) return;
    struct bucket *b = &q->buckets[nodes[p].rank];
    uint32_t prev = nodes[p].q_prev, next = nodes[p].q_next;
    *(prev ? &nodes[prev].q_next : &b->head) = next;
    *(next ? &nodes[next].q_prev : &b->tail) = prev;
    nodes[p].rank = BPE_NO_RANK;
}

/* Merges two sorted lists that are linked by q_next alone. */
static uint32_t merge_lists(struct bpe_node *nodes, uint32_t a, uint32_t b) {
    uint32_t head = 0, *end = &head;
    while (a && b) {
        uint32_t *first = a < b ? &a : &b;
        *end = *first;
        end = &nodes[*first].q_next;
        *first = *end;
    }
    *end = a ? a : b;
    return head;
}

/* Bottom-up: pile[i] holds a sorted list of 2^i nodes, or none. */
static void sort_bucket(struct bucket *b, struct bpe_node *nodes) {
    uint32_t pile[32] = {0}, list = b->head;
    while (list) {
        uint32_t one = list, i = 0;
        list = nodes[one].q_next;
        nodes[one].q_next = 0;
        for (; i < 31 && pile[i]; i++) {
            one = merge_lists(nodes, pile[i], one);
            pile[i] = 0;
        }
        pile[i] = one;
    }
    uint32_t sorted = 0, prev = 0;
    for (int i = 0; i < 32; i++) sorted = merge_lists(nodes, pile[i], sorted);
    b->head = sorted;
    for (uint32_t p = sorted; p; p = nodes[p].q_next) {
        nodes[p].q_prev = prev;
        prev = p;
    }
    b->tail = prev;
    b->unsorted = false;
}

uint32_t bpe_queue_take(struct bpe_queue *q, struct bpe_node *nodes) {
    while (q->n_heap) {
        struct bucket *b = &q->buckets[q->heap[0]];
        if (b->head) {
            if (b->unsorted) sort_bucket(b, nodes);
            uint32_t p = b->head;
            bpe_queue_remove(q, nodes, p);
            return p;
        }
        b->in_heap = false;
        heap_pop(q);
    }
    return 0;
}
