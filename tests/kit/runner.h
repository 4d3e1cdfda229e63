/* runner.h: a model opened for a test: device, files, weights and one sequence, in one call.
 *
 * Tests that compare logits with a reference need nothing else of the library. One thread. */
#ifndef KIT_RUNNER_H
#define KIT_RUNNER_H

#include "base/error.h"
#include "llama/llama.h"

struct runner {
    device *dev;              /* owned */
    llama_model *model;       /* owned */
    llama_session *session;   /* owned */
    llama_sequence *sequence; /* owned */
    int max_rows;
    int32_t n_vocab;
};

/* Loads the model at path; a forward call takes at most max_rows tokens, the sequence at most max_context. */
CRIA_MUST_CHECK cria_status runner_open(struct runner *ret, const char *path, enum llama_compute compute, int max_rows,
                                        int64_t max_context, struct cria_error *err);
/* Takes a zeroed or half-built runner. */
void runner_close(struct runner *r);
/* Appends n tokens to the sequence, max_rows at a time; logits (NULL: none wanted) gets a row of V for each. */
CRIA_MUST_CHECK cria_status runner_append(struct runner *r, const int32_t *tokens, int n, float *logits,
                                          struct cria_error *err);
/* The index of the largest of n numbers, the first of equals. */
int32_t runner_argmax(const float *row, int32_t n);
/* The largest magnitude of n numbers. */
double runner_largest(const float *row, int32_t n);

#endif
