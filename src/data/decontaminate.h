/* decontaminate.h: documents that share a run of words with a test set (13 words, as Brown et al., 2020, do it).
 *
 * The grams of the test sets are held in memory, 12 bytes a slot, at most DECONTAMINATE_MAX_GRAMS of them. Read-only
 * after creation: any thread may look up. */
#ifndef DATA_DECONTAMINATE_H
#define DATA_DECONTAMINATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define DECONTAMINATE_WORDS 13
#define DECONTAMINATE_MAX_GRAMS ((size_t)12 << 20)

typedef struct decontaminate decontaminate;

/* Where a document meets a test set. */
struct decontaminate_hit {
    const char *test;  /* the test document's name; borrowed from the decontaminate */
    size_t begin, end; /* the bytes of the first run of words in common */
};

/* Reads the test sets (as source_open() reads paths). LIMIT where they have too many grams. */
CRIA_MUST_CHECK cria_status decontaminate_create(decontaminate **ret, const char *const *paths, int n_paths,
                                                 const char *text_field, int n_words, struct cria_error *err);
void decontaminate_destroy(decontaminate **d);
/* Whether the text has a gram of a test set. */
bool decontaminate_find(const decontaminate *d, const char *text, size_t n, struct decontaminate_hit *ret);

uint64_t decontaminate_n_grams(const decontaminate *d);
uint64_t decontaminate_n_documents(const decontaminate *d);
/* Test documents with fewer words than a gram, which nothing can meet. */
uint64_t decontaminate_n_short(const decontaminate *d);

#endif
