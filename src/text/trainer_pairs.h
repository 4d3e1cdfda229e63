/* trainer_pairs.h: every pair of neighbouring tokens that was ever seen: how often it occurs, and in which words it
 * newly turned up.
 *
 * New places are collected between two calls of trainer_pairs_flush(), which makes queue entries of them. Only
 * trainer_merges.c includes this. */
#ifndef TEXT_TRAINER_PAIRS_H
#define TEXT_TRAINER_PAIRS_H

#include "text/trainer_queue.h"

#define TRAINER_PAIRS_NONE UINT32_MAX

struct trainer_pair {
    uint32_t left, right;
    int64_t count;      /* of occurrences; means nothing once the pair is merged */
    uint32_t n_new;     /* new words since the last flush */
    uint32_t last_word; /* the newest of them; TRAINER_PAIRS_NONE: none */
};

struct trainer_place {
    uint32_t pair, word;
};

struct trainer_chunk;

/* All zero: empty. */
struct trainer_pairs {
    struct trainer_pair *pairs; /* owned */
    size_t n_pairs, capacity;
    uint32_t *slots; /* owned; n_slots, a power of two: 1 + number of a pair, 0: free */
    size_t n_slots;
    struct trainer_place *places; /* owned; new ones, in the order of finding */
    size_t n_places, places_capacity;
    uint32_t *touched; /* owned; pairs with new places */
    size_t n_touched, touched_capacity;
    struct trainer_chunk *chunks; /* owned; memory of the entries' words */
};

void trainer_pairs_deinit(struct trainer_pairs *p);
/* Adds `change` to the count of a pair, which is entered where it is not known; for change > 0 notes the word. Words
 * come one after another: all changes of one before those of the next. NOMEM, LIMIT. */
CRIA_MUST_CHECK cria_status trainer_pairs_change(struct trainer_pairs *p, uint32_t left, uint32_t right, int64_t change,
                                                 uint32_t word, struct cria_error *err);
/* Makes an entry for each pair with new places and a count above 0. */
CRIA_MUST_CHECK cria_status trainer_pairs_flush(struct trainer_pairs *p, struct trainer_queue *q,
                                                struct cria_error *err);

#endif
