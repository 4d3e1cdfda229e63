/* bpe_queue.h: merging long pieces: linked symbols, and the pairs that may merge in one list for each rank.
 *
 * A binary heap of all pairs would cost a cache miss a level on a long run. Here a pair waits in the list of its rank,
 * in the order of the text, and a heap holds only the ranks in use: taking the next pair is a few steps whatever the
 * length. */
#ifndef TEXT_BPE_QUEUE_H
#define TEXT_BPE_QUEUE_H

#include "text/bpe.h"

/* One symbol; index 0 of an array of nodes is no symbol, so 0 means none in every link. */
struct bpe_node {
    uint32_t value;          /* merges by ids: the id; by bytes: where the symbol starts */
    uint32_t prev, next;     /* neighbours in the text */
    uint32_t q_prev, q_next; /* neighbours in the list of the rank */
    uint32_t rank;           /* of the pair with the next symbol; BPE_NO_RANK: in no list */
};

CRIA_MUST_CHECK cria_status bpe_queue_create(struct bpe_queue **ret, uint32_t n_ranks, struct cria_error *err);
void bpe_queue_destroy(struct bpe_queue **q);
/* Puts the pair that begins at node p, which is in no list, into the list of rank. */
void bpe_queue_add(struct bpe_queue *q, struct bpe_node *nodes, uint32_t p, uint32_t rank);
/* Takes p out of its list; does nothing where it is in none. */
void bpe_queue_remove(struct bpe_queue *q, struct bpe_node *nodes, uint32_t p);
/* Takes out the leftmost pair of the lowest rank; 0 where none waits. */
uint32_t bpe_queue_take(struct bpe_queue *q, struct bpe_node *nodes);

#endif
