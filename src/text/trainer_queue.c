/* trainer_queue.c: see trainer_queue.h. */
#include "text/trainer_queue.h"

#include <stdbool.h>

#include "base/alloc.h"

enum { CHILDREN = 4 };

void trainer_queue_deinit(struct trainer_queue *q) {
    alloc_free(q->entries);
    *q = (struct trainer_queue){0};
}

static bool comes_first(const struct trainer_entry *a, const struct trainer_entry *b) {
    if (a->count != b->count) return a->count > b->count;
    return a->key < b->key;
}

static void sift_down(struct trainer_queue *q, size_t at, struct trainer_entry entry) {
    for (;;) {
        size_t first = CHILDREN * at + 1, end = first + CHILDREN < q->n ? first + CHILDREN : q->n;
        if (first >= q->n) break;
        size_t best = first;
        for (size_t i = first + 1; i < end; i++) {
            if (comes_first(&q->entries[i], &q->entries[best])) best = i;
        }
        if (!comes_first(&q->entries[best], &entry)) break;
        q->entries[at] = q->entries[best];
        at = best;
    }
    q->entries[at] = entry;
}

cria_status trainer_queue_add(struct trainer_queue *q, struct trainer_entry entry, struct cria_error *err) {
    if (q->n == q->capacity) {
        size_t capacity = q->capacity + q->capacity / 2 + 1024;
        struct trainer_entry *entries = alloc_resize(q->entries, capacity, sizeof *entries);
        if (!entries) return ERROR_NOMEM(err, capacity * sizeof *entries, "pairs of tokens");
        q->entries = entries;
        q->capacity = capacity;
    }
    size_t at = q->n++;
    while (at > 0 && comes_first(&entry, &q->entries[(at - 1) / CHILDREN])) {
        q->entries[at] = q->entries[(at - 1) / CHILDREN];
        at = (at - 1) / CHILDREN;
    }
    q->entries[at] = entry;
    return CRIA_OK;
}

struct trainer_entry trainer_queue_take(struct trainer_queue *q) {
    struct trainer_entry first = q->entries[0];
    struct trainer_entry last = q->entries[--q->n];
    if (q->n) sift_down(q, 0, last);
    return first;
}

void trainer_queue_correct(struct trainer_queue *q, uint64_t count) {
    struct trainer_entry entry = q->entries[0];
    entry.count = count;
    sift_down(q, 0, entry);
}
