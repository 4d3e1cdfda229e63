/* gram.h: runs of n words, hashed, as near-duplicate removal and decontamination compare them.
 *
 * A word is a run of ASCII letters and digits and of bytes from 0x80 up; ASCII letters count without their case, and
 * everything between words counts as nothing. So texts that differ in case, white space or punctuation have the same
 * grams. The hash of a gram is a polynomial in the hashes of its words modulo 2^64, which rolls from gram to gram
 * (Karp and Rabin, 1987), mixed at the end. */
#ifndef DATA_GRAM_H
#define DATA_GRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GRAM_MAX_WORDS 64

struct gram {
    uint64_t hash;
    size_t begin, end; /* the bytes of its words, first to last */
};

struct gram_walk {
    const char *text; /* borrowed */
    size_t n, at;
    int n_words; /* of a gram */
    uint64_t sum, drop_factor;
    uint64_t words[GRAM_MAX_WORDS];
    size_t begins[GRAM_MAX_WORDS];
    uint64_t n_seen;
};

/* 1 <= n_words <= GRAM_MAX_WORDS. */
struct gram_walk gram_walk_make(const char *text, size_t n, int n_words);
/* The next gram; false at the end. A text with fewer words has none; see gram_rest(). */
bool gram_next(struct gram_walk *w, struct gram *ret);
/* After gram_next() said false for the first time in a text of fewer than n_words words: the hash of all its words,
 * where it has one at least. */
bool gram_rest(const struct gram_walk *w, uint64_t *ret);
/* A bijection of 64 bits that spreads them. */
uint64_t gram_mix(uint64_t x);

#endif
