/* trainer_merges.h: from counted words to a vocabulary: merging the most frequent pair of tokens, again and again.
 *
 * Only trainer*.c include this. Everything here is one thread's and deterministic: the order of the words does not
 * matter. */
#ifndef TEXT_TRAINER_MERGES_H
#define TEXT_TRAINER_MERGES_H

#include "text/token_table.h"
#include "text/trainer.h"
#include "text/trainer_words.h"

struct trainer_merge {
    uint32_t left, right; /* ids */
};

/* What was learned; all zero: nothing. */
struct trainer_vocabulary {
    struct token_table table; /* owned; bytes of ids from 0, special ones included but not findable */
    struct trainer_merge
        *merges; /* owned; in the order of their ranks; the k-th makes the k-th token behind the bytes */
    size_t n_merges, n_tokens;
    uint64_t last_count;
};

void trainer_merges_deinit(struct trainer_vocabulary *v);
/* Fills *ret, and empties *words as early as it can. FORMAT where there are none; NOMEM; LIMIT. */
CRIA_MUST_CHECK cria_status trainer_merges_learn(struct trainer_vocabulary *ret, struct trainer_words *words,
                                                 const struct trainer_options *options, struct cria_error *err);

#endif
