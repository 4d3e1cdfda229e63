/* finish.h: how an answer ends: the names of the reasons, and the search for stop strings in text that comes in pieces.
 *
 * The search runs byte by byte and takes the stop string that is complete first (of several, the longest), so that the
 * result does not depend on where tokens end. Text that could still become a stop string is held back; nothing else is.
 */
#ifndef INFER_FINISH_H
#define INFER_FINISH_H

#include "infer/infer.h"

/* One stop string and how far the text so far matches it (Knuth, Morris and Pratt). */
struct finish_string {
    const char *bytes; /* borrowed */
    size_t n_bytes;
    size_t *fallback; /* owned; fallback[i]: the longest border of the first i + 1 bytes */
    size_t n_matched;
};

struct finish_search {
    struct finish_string *strings; /* owned */
    int n_strings;
};

/* strings: borrowed until deinit. RANGE: an empty or too long one, too many, or not UTF-8. */
CRIA_MUST_CHECK cria_status finish_search_init(struct finish_search *f, const char *const *strings, int n_strings,
                                               struct cria_error *err);
void finish_search_deinit(struct finish_search *f);
/* Reads the next n bytes of text. Where a stop string is complete after *ret_end of them it returns its bytes, of which
 * some may lie in earlier pieces; else 0. */
size_t finish_search_add(struct finish_search *f, const char *bytes, size_t n, size_t *ret_end);
/* How many of the last bytes read may be the beginning of a stop string. */
size_t finish_search_held(const struct finish_search *f);

#endif
