/* pages.h: large zeroed memory straight from the system, in huge pages where it gives them.
 *
 * For packed weights, KV caches and activations: what is walked in one stream profits from 2 MiB pages. Small sizes
 * come from the heap. Any thread. */
#ifndef TENSOR_PAGES_H
#define TENSOR_PAGES_H

#include <stddef.h>

#include "base/error.h"

#define PAGES_ALIGNMENT 64 /* of every pointer given out; large ones begin on a huge page */

struct pages {
    void *data;        /* owned; zeroed at first; NULL for none */
    size_t n_bytes;    /* as asked for */
    void *base;        /* owned: what the heap or the system gave */
    size_t base_bytes; /* 0: from the heap */
};

/* Room for n_bytes (0: one byte). what is for the message of NOMEM. *ret is untouched on failure. */
CRIA_MUST_CHECK cria_status pages_get(struct pages *ret, size_t n_bytes, const char *what, struct cria_error *err);
/* Gives the memory back and clears *p; takes an empty one. */
void pages_release(struct pages *p);

#endif
