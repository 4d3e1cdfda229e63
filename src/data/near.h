/* near.h: signatures by which near-duplicates are found (MinHash: Broder, 1997).
 *
 * A document stands for the set of its runs of five words. One hash of each run serves all 128 places of a signature:
 * its upper bits choose the place, the rest competes for the minimum there (one permutation hashing: Li, Owen and
 * Zhang, 2012); an empty place borrows from another (Shrivastava, 2017). The share of equal places estimates the share
 * that two sets have in common, with a standard error of at most 0.045. Sixteen bands of eight places find the pairs to
 * compare: a pair of similarity s meets in one with probability 1 - (1 - s^8)^16 (0.5 at 0.68, 0.95 at 0.80, 0.999 at
 * 0.88). */
#ifndef DATA_NEAR_H
#define DATA_NEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NEAR_VERSION 1
#define NEAR_WORDS 5
#define NEAR_PLACES 128
#define NEAR_BANDS 16

struct near_signature {
    uint16_t places[NEAR_PLACES];
};

/* False where the text has no word, and so no signature. */
bool near_sign(const char *text, size_t n, struct near_signature *ret);
/* The hash of one band; of different bands they never meet by design but by chance. */
uint64_t near_band(const struct near_signature *s, int band);
/* The estimated similarity, 0 to 1. */
double near_similarity(const struct near_signature *a, const struct near_signature *b);

#endif
