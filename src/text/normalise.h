/* normalise.h: what happens to a stretch of text before it is split: the few normalisers that Llama vocabularies use.
 *
 * Prepend puts a text in front of what is not empty; Replace replaces every occurrence of one text by another;
 * Metaspace is both with its own rules: spaces become the mark, which is put in front where the stretch does not begin
 * with it. */
#ifndef TEXT_NORMALISE_H
#define TEXT_NORMALISE_H

#include <stdbool.h>

#include "base/buffer.h"

#define NORMALISE_MAX_STEPS 8
#define NORMALISE_MAX_BYTES 32

enum normalise_kind { NORMALISE_PREPEND, NORMALISE_REPLACE };
enum normalise_when { NORMALISE_ALWAYS, NORMALISE_UNLESS_THERE, NORMALISE_FIRST_UNLESS_THERE };

struct normalise_step {
    enum normalise_kind kind;
    enum normalise_when
        when; /* of PREPEND: always, where the text does not begin with it, the same at the text's start only */
    char from[NORMALISE_MAX_BYTES], to[NORMALISE_MAX_BYTES];
    size_t n_from, n_to; /* from: REPLACE only, not empty */
};

struct normaliser {
    struct normalise_step steps[NORMALISE_MAX_STEPS];
    int n_steps;
};

/* Puts the normalised form of text into *out (whose contents it replaces), with *spare as working memory; at_start says
 * that the stretch begins the whole text. Without steps it must not be called. */
CRIA_MUST_CHECK cria_status normalise(const struct normaliser *m, const char *text, size_t n, bool at_start,
                                      struct buffer *out, struct buffer *spare, struct cria_error *err);
/* Adds a step; UNSUPPORTED where there are too many or a text is too long. */
CRIA_MUST_CHECK cria_status normalise_add_prepend(struct normaliser *m, enum normalise_when when, const char *text,
                                                  size_t n, struct cria_error *err);
CRIA_MUST_CHECK cria_status normalise_add_replace(struct normaliser *m, const char *from, size_t n_from, const char *to,
                                                  size_t n_to, struct cria_error *err);

#endif
