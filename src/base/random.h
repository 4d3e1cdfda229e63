/* random.h: counter-based random numbers: Philox 4x32-10 (Salmon et al., SC 2011).
 *
 * A number depends on (seed, purpose, index) and on nothing else: never on the thread, the rank or what was drawn
 * before. The bits equal the published known-answer vectors. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdint.h>

enum random_purpose { RANDOM_NONE, RANDOM_SAMPLING, RANDOM_INIT, RANDOM_SHUFFLE, RANDOM_TEST, RANDOM_PURPOSE_COUNT };

/* The raw function: 4 words for a 4-word counter and a 2-word key. */
void random_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);
/* 64 random bits. */
uint64_t random_u64(uint64_t seed, enum random_purpose purpose, uint64_t index);
/* Uniform in [0, 1), a multiple of 2^-53. */
double random_unit(uint64_t seed, enum random_purpose purpose, uint64_t index);

#endif
