/* gram.c: see gram.h. */
#include "data/gram.h"

#define FACTOR 0x9e3779b97f4a7c15u /* odd, so that no word's share is lost */

/* 0: no part of a word; else the byte, a letter in lower case. */
static uint8_t byte_of(char c) {
    const uint8_t b = (uint8_t)c;
    const uint8_t lower = b | 0x20;
    if (b >= 0x80 || (uint8_t)(b - '0') < 10) return b;
    return (uint8_t)(lower - 'a') < 26 ? lower : 0;
}

uint64_t gram_mix(uint64_t x) {
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    return x ^ x >> 32;
}

struct gram_walk gram_walk_make(const char *text, size_t n, int n_words) {
    struct gram_walk w = {.text = text, .n = n, .n_words = n_words, .drop_factor = 1};
    for (int i = 1; i < n_words; i++) w.drop_factor *= FACTOR;
    return w;
}

bool gram_next(struct gram_walk *w, struct gram *ret) {
    do {
        while (w->at < w->n && !byte_of(w->text[w->at])) w->at++;
        if (w->at == w->n) return false;
        const size_t begin = w->at;
        uint64_t h = 0xcbf29ce484222325u;
        for (uint8_t c; w->at < w->n && (c = byte_of(w->text[w->at])) != 0; w->at++) h = (h ^ c) * 0x100000001b3u;
        const size_t slot = (size_t)(w->n_seen % (uint64_t)w->n_words);
        if (w->n_seen >= (uint64_t)w->n_words) w->sum -= w->words[slot] * w->drop_factor;
        w->sum = w->sum * FACTOR + h;
        w->words[slot] = h;
        w->begins[slot] = begin;
        w->n_seen++;
    } while (w->n_seen < (uint64_t)w->n_words);
    const size_t oldest = (size_t)(w->n_seen % (uint64_t)w->n_words);
    *ret = (struct gram){gram_mix(w->sum), w->begins[oldest], w->at};
    return true;
}

bool gram_rest(const struct gram_walk *w, uint64_t *ret) {
    if (w->n_seen == 0 || w->n_seen >= (uint64_t)w->n_words) return false;
    *ret = gram_mix(w->sum);
    return true;
}
