/* sampling.h: from one row of logits to one token.
 *
 * The order of the operations, each over what the ones before it left:
 *
 *   1  penalties   for each token of the window once: a score above 0 is divided by repetition_penalty, any other is
 *                  multiplied by it; then presence_penalty and count x frequency_penalty are subtracted
 *   2  biases      score += bias
 *      temperature 0 ends here: the highest score, ties to the lower id
 *   3  temperature weight = exp((score - highest score) / temperature)
 *   4  top_k       the k highest scores
 *   5  top_p       in descending order, an entry goes when the share of those before it exceeds top_p
 *   6  min_p       an entry goes when its weight is below min_p x the highest weight
 *   7  typical_p   with H the entropy of what is left: in ascending order of | -log p - H |, an entry goes when the
 *                  share of those before it reaches typical_p
 *   8  draw        one number u in [0, 1), by (seed, index of the token in the answer): in descending order, the first
 *                  entry at which the running share passes u
 *
 * "Descending" is by score, ties to the lower id; at least one entry always stays. Scores and weights are doubles, sums
 * run in id order (all entries) or in descending order, exp and log are our own: the choice depends on the
 * row, the settings, the tokens so far and the index, and on nothing else. Log-probabilities are not taken here: they
 * belong to the raw row. */
#ifndef INFER_SAMPLING_H
#define INFER_SAMPLING_H

#include "infer/infer.h"

/* What penalties look at: the prompt, then the answer so far; borrowed. */
struct sampling_history {
    const int32_t *prompt, *answer;
    int64_t n_prompt, n_answer; /* n_answer is the index of the token to choose */
};

struct sampling_heap {
    const double *key; /* borrowed */
    int32_t *items;    /* owned; the highest key first, ties to the lower item */
    int32_t n;
};

/* Scratch for rows of n_vocab; one is enough for any number of requests. */
struct sampling_room {
    int32_t n_vocab;
    double *scores;            /* owned; by id */
    int32_t *counts;           /* owned; by id; all zero between calls */
    struct sampling_heap heap; /* ids not yet in order */
    int32_t *order;            /* owned; ids in descending order, as far as they were needed */
    double *weights;           /* owned; of `order` */
    int32_t n_ordered, n_kept;
    double highest, temperature;
    double total;       /* weight of the kept */
    double *deviations; /* owned; typical_p, by place in `order` */
    struct sampling_heap typical;
};

CRIA_MUST_CHECK cria_status sampling_room_init(struct sampling_room *room, int32_t n_vocab, struct cria_error *err);
void sampling_room_deinit(struct sampling_room *room);

/* row: n_vocab finite logits, left alone; s passed sampling_check(). Allocates nothing. */
int32_t sampling_choose(struct sampling_room *room, const struct sampling *s, const float *row,
                        const struct sampling_history *history);

#endif
