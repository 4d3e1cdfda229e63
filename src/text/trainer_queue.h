/* trainer_queue.h: the pairs that wait to be merged, the most frequent first.
 *
 * An entry holds the words in which its pair was found. Counts may be out of date: who takes the first entry compares
 * its count and corrects it. Only trainer_merges.c and trainer_pairs.c include this. */
#ifndef TEXT_TRAINER_QUEUE_H
#define TEXT_TRAINER_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct trainer_entry {
    uint64_t count;
    uint64_t key;          /* left id << 32 | right id: the lower one comes first where counts are equal */
    uint32_t pair;         /* the pair's number */
    const uint32_t *words; /* borrowed; ascending runs, a word at most once in a row */
    size_t n_words;
};

/* A heap of four children a node; all zero: empty. */
struct trainer_queue {
    struct trainer_entry *entries; /* owned */
    size_t n, capacity;
};

void trainer_queue_deinit(struct trainer_queue *q);
/* NOMEM. */
CRIA_MUST_CHECK cria_status trainer_queue_add(struct trainer_queue *q, struct trainer_entry entry,
                                              struct cria_error *err);
/* Removes the first entry; the queue is not empty. */
struct trainer_entry trainer_queue_take(struct trainer_queue *q);
/* Gives the first entry another count and moves it where it belongs. */
void trainer_queue_correct(struct trainer_queue *q, uint64_t count);

#endif
