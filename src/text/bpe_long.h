/* bpe_long.h: merging long pieces of text in time linear in their length. */
#ifndef TEXT_BPE_LONG_H
#define TEXT_BPE_LONG_H

#include "text/bpe.h"

/* Appends the ids of a piece of n > 0 bytes; merges only, a whole piece is not looked up. */
CRIA_MUST_CHECK cria_status bpe_long_encode(const struct bpe *b, struct bpe_scratch *s, const char *piece, size_t n,
                                            struct token_list *list, struct cria_error *err);

#endif
