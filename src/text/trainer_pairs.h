/* trainer_pairs.h: every pair of neighbouring tokens that was ever seen: how often it occurs, and in which words it
 * newly turned up.
 *
 * New places are collected between two calls of trainer_pairs_flush(), which makes queue entries of them. The first
 * time, when all places are new, they are too many to be kept twice: all words are shown two times instead, once to be
 * counted and once, after trainer_pairs_reserve(), to be entered where they belong. Only trainer_merges.c includes
 * this. */
#ifndef TEXT_TRAINER_PAIRS_H
#define TEXT_TRAINER_PAIRS_H

#include <stdbool.h>

#include "text/trainer_queue.h"

#define TRAINER_PAIRS_NONE UINT32_MAX

struct trainer_pair {
    uint32_t left, right;
    int64_t count;      /* of occurrences; means nothing once the pair is merged */
    uint32_t n_new;     /* new words since the last flush */
    uint32_t last_word; /* the newest of them; TRAINER_PAIRS_NONE: none */
    size_t fill;        /* where in trainer_pairs.words the next of them goes */
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
    uint32_t *words;   /* borrowed from chunks: where the words of the new places go; NULL: nowhere yet */
    bool is_counting;  /* words are shown the first time: places are counted alone */
    uint32_t *touched; /* owned; pairs with new places */
    size_t n_touched, touched_capacity;
    struct trainer_chunk *chunks; /* owned; memory of the entries' words */
};

void trainer_pairs_deinit(struct trainer_pairs *p);
/* Adds `change` to the count of a pair, which is entered where it is not known; for change > 0 notes the word. Words
 * come one after another: all changes of one before those of the next. NOMEM, LIMIT. */
CRIA_MUST_CHECK cria_status trainer_pairs_change(struct trainer_pairs *p, uint32_t left, uint32_t right, int64_t change,
                                                 uint32_t word, struct cria_error *err);
/* Between the first showing, with is_counting set, and the second: makes room. NOMEM. */
CRIA_MUST_CHECK cria_status trainer_pairs_reserve(struct trainer_pairs *p, struct cria_error *err);
/* The second showing of a pair in a word, in the same order. */
void trainer_pairs_enter(struct trainer_pairs *p, uint32_t left, uint32_t right, uint32_t word);
/* Makes an entry for each pair with new places and a count above 0. */
CRIA_MUST_CHECK cria_status trainer_pairs_flush(struct trainer_pairs *p, struct trainer_queue *q,
                                                struct cria_error *err);

#endif
