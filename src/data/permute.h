/* permute.h: a keyed permutation of 0 .. n-1 that needs no memory: where number i comes to lie is computed.
 *
 * A balanced Feistel network of six rounds over the smallest even number of bits that holds n, its round function made
 * of Philox (base/random.h); a value outside 0 .. n-1 is put through again until it lies inside ("cycle walking", Black
 * and Rogaway, 2002), on average fewer than four times. Not a cipher: it has to look shuffled, not to keep secrets. */
#ifndef DATA_PERMUTE_H
#define DATA_PERMUTE_H

#include <stdint.h>

#define PERMUTE_MAX ((uint64_t)1 << 62)

/* i < n, 1 <= n <= PERMUTE_MAX; the result is below n, another one for every i. seed and stream choose the permutation.
 */
uint64_t permute_index(uint64_t n, uint64_t seed, uint64_t stream, uint64_t i);

#endif
