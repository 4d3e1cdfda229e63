/* permute.c: see permute.h. */
#include "data/permute.h"

#include "base/error.h"
#include "base/random.h"

enum { ROUNDS = 6 };

uint64_t permute_index(uint64_t n, uint64_t seed, uint64_t stream, uint64_t i) {
    CRIA_DASSERT(n <= PERMUTE_MAX);
    CRIA_DASSERT(i < n);
    unsigned half_bits = 1;
    while (half_bits < 31 && (uint64_t)1 << (2 * half_bits) < n) half_bits++;
    const uint64_t mask = ((uint64_t)1 << half_bits) - 1;
    const uint64_t key = random_u64(seed, RANDOM_SHUFFLE, stream);
    do {
        uint64_t left = i >> half_bits, right = i & mask;
        for (uint64_t round = 0; round < ROUNDS; round++) {
            const uint64_t mixed = random_u64(key, RANDOM_SHUFFLE, round << 32 | right);
            const uint64_t next = left ^ (mixed & mask);
            left = right;
            right = next;
        }
        i = left << half_bits | right;
    } while (i >= n);
    return i;
}
