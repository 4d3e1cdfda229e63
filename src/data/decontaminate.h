/* decontaminate.h: passages of documents that share a run of words with a test set, as Brown et al. (2020, appendix C)
 * find and remove them: 13 words; what is removed is the run with 200 bytes on either side, to whole words; a document
 * that more than ten passages would be cut from, or that less than 200 bytes would be left of, is dropped.
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

#define DECONTAMINATE_MAX_CUTS 10
#define DECONTAMINATE_MARGIN 200
#define DECONTAMINATE_MIN_LEFT 200

/* Where a document meets a test set. */
struct decontaminate_passage {
    const char *test;              /* the test document's name; borrowed from the decontaminate */
    size_t words_begin, words_end; /* the first run of words in common */
    size_t begin, end;             /* what is to be cut */
};

/* Reads the test sets (as source_open() reads paths). LIMIT where they have too many grams. */
CRIA_MUST_CHECK cria_status decontaminate_create(decontaminate **ret, const char *const *paths, int n_paths,
                                                 const char *text_field, int n_words, struct cria_error *err);
void decontaminate_destroy(decontaminate **d);
/* The passages to cut, in order and apart from each other; returns how many, DECONTAMINATE_MAX_CUTS + 1 for more than
 * can be cut, of which the first DECONTAMINATE_MAX_CUTS are filled in. */
int decontaminate_find(const decontaminate *d, const char *text, size_t n,
                       struct decontaminate_passage ret[DECONTAMINATE_MAX_CUTS]);
/* Cuts the passages out in place, an empty line in place of each, and returns the new length. */
size_t decontaminate_cut(char *text, size_t n, const struct decontaminate_passage *passages, int n_passages);

uint64_t decontaminate_n_grams(const decontaminate *d);
uint64_t decontaminate_n_documents(const decontaminate *d);
/* Test documents with fewer words than a gram, which nothing can meet. */
uint64_t decontaminate_n_short(const decontaminate *d);

#endif
