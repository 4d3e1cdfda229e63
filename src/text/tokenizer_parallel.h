/* tokenizer_parallel.h: encoding a long text on several threads, with the ids that one thread gives.
 *
 * Only tokenizer_*.c include this. */
#ifndef TEXT_TOKENIZER_PARALLEL_H
#define TEXT_TOKENIZER_PARALLEL_H

#include "text/tokenizer.h"

#define TOKENIZER_PARALLEL_BYTES ((size_t)1 << 17) /* a part of a text is at least this long */
#define TOKENIZER_PARALLEL_THREADS 64

/* How many parts the text is to be encoded in: 1 where it is short, where options->threads says so, or where this
 * tokenizer could see across the borders of parts. */
int tokenizer_parallel_parts(const tokenizer *t, size_t n, const struct tokenizer_options *options);
/* As tokenizer_encode(), in at most n_parts parts as tokenizer_parallel_parts() gave them. */
CRIA_MUST_CHECK cria_status tokenizer_parallel_encode(const tokenizer *t, const char *text, size_t n,
                                                      const struct tokenizer_options *options, int n_parts,
                                                      struct token_list *list, size_t *ret_dropped,
                                                      struct cria_error *err);

#endif
