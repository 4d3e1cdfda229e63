/* near.c: see near.h. */
#include "data/near.h"

#include <string.h>

#include "data/gram.h"

enum { PLACE_BITS = 7 };
_Static_assert(1 << PLACE_BITS == NEAR_PLACES, "a place is chosen by PLACE_BITS bits");

#define FREE UINT64_MAX

static void compete(uint64_t minima[NEAR_PLACES], uint64_t hash) {
    const size_t place = (size_t)(hash >> (64 - PLACE_BITS));
    const uint64_t value = hash & (UINT64_MAX >> PLACE_BITS);
    if (value < minima[place]) minima[place] = value;
}

/* The place that the empty place `place` borrows from: the first that is not empty in a fixed random series. */
static size_t lender(const uint64_t minima[NEAR_PLACES], size_t place) {
    for (uint64_t i = 1;; i++) {
        const size_t other = (size_t)(gram_mix(i * NEAR_PLACES + place) >> (64 - PLACE_BITS));
        if (minima[other] != FREE) return other;
    }
}

bool near_sign(const char *text, size_t n, struct near_signature *ret) {
    uint64_t minima[NEAR_PLACES], rest;
    struct gram gram;
    struct gram_walk walk = gram_walk_make(text, n, NEAR_WORDS);
    for (size_t i = 0; i < NEAR_PLACES; i++) minima[i] = FREE;
    bool any = false;
    for (; gram_next(&walk, &gram); any = true) compete(minima, gram.hash);
    if (!any) {
        if (!gram_rest(&walk, &rest)) return false;
        compete(minima, rest);
    }
    for (size_t i = 0; i < NEAR_PLACES; i++) {
        const uint64_t minimum = minima[minima[i] == FREE ? lender(minima, i) : i];
        ret->places[i] = (uint16_t)gram_mix(minimum);
    }
    return true;
}

uint64_t near_band(const struct near_signature *s, int band) {
    enum { ROWS = NEAR_PLACES / NEAR_BANDS };
    uint64_t h = (uint64_t)band + 1;
    for (int i = 0; i < ROWS; i++) h = gram_mix(h ^ s->places[band * ROWS + i]) + (uint64_t)band;
    return h;
}

double near_similarity(const struct near_signature *a, const struct near_signature *b) {
    int n_equal = 0;
    for (int i = 0; i < NEAR_PLACES; i++) n_equal += a->places[i] == b->places[i];
    return (double)n_equal / NEAR_PLACES;
}
