/* split_chain.h: the steps that cut a stretch of text into pieces, each within the pieces of the one before. */
#ifndef TEXT_SPLIT_CHAIN_H
#define TEXT_SPLIT_CHAIN_H

#include <stdbool.h>

#include "base/error.h"
#include "text/split.h"
#include "text/split_regex.h"

#define SPLIT_MAX_STEPS 6

enum split_kind {
    SPLIT_FUNCTION,    /* by hand: split.h */
    SPLIT_PATTERN,     /* by Oniguruma */
    SPLIT_NUMBERS,     /* each \p{N} alone */
    SPLIT_NUMBER_RUNS, /* runs of \p{N} */
    SPLIT_MARKS,       /* a piece begins at each U+2581 */
    SPLIT_WORDS,       /* a piece begins at each run of U+2581 */
};

struct split_step {
    enum split_kind kind;
    split_fn *function;             /* of SPLIT_FUNCTION */
    struct split_regex *regex;      /* owned; of SPLIT_PATTERN */
    enum split_behaviour behaviour; /* of SPLIT_PATTERN */
    bool invert;                    /* of SPLIT_PATTERN: what lies between the matches counts as matched */
};

/* Without steps the whole stretch is one piece. */
struct split_chain {
    struct split_step steps[SPLIT_MAX_STEPS];
    int n_steps;
};

/* Called for each piece, n > 0. */
typedef cria_status split_piece_fn(void *arg, const char *piece, size_t n, struct cria_error *err);

void split_chain_deinit(struct split_chain *c);
/* Takes over step.regex, also where it fails (UNSUPPORTED: too many steps). */
CRIA_MUST_CHECK cria_status split_chain_add(struct split_chain *c, struct split_step step, struct cria_error *err);
CRIA_MUST_CHECK cria_status split_chain_run(const struct split_chain *c, const char *text, size_t n, split_piece_fn *fn,
                                            void *arg, struct cria_error *err);

#endif
