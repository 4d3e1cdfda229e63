/* exact_sum.h: sums of floats without rounding, so that any order and any partition give the same bits.
 *
 * A sum is an integer of EXACT_SUM_WORDS x 32 bits (two's complement, words with room for carries) that counts
 * multiples of 2^-298, the smallest square of a float that is not subnormal. Adding is associative and commutative
 * because it is integer addition; only exact_sum_value() rounds, once, to nearest even. Thread rules: one thread a sum;
 * sums of threads are merged by exact_sum_merge(). */
#ifndef BASE_EXACT_SUM_H
#define BASE_EXACT_SUM_H

#include <stdbool.h>
#include <stdint.h>

#define EXACT_SUM_WORDS 20

struct exact_sum {
    int64_t words[EXACT_SUM_WORDS]; /* word i counts 2^(32 i - 298) */
    int64_t n_pending;              /* additions since carries were last taken on; 2^30 fit */
};

/* All zero is the empty sum. */
void exact_sum_add(struct exact_sum *s, double x); /* x finite; at most 2^256 and a multiple of 2^-298, such as any
                                                      float and any square of one */
/* Adds the squares of n numbers; subnormal ones count as zero. False, and s is of no more use, where one is NaN or
 * infinite. */
bool exact_sum_add_squares(struct exact_sum *s, const float *x, int64_t n);
void exact_sum_merge(struct exact_sum *to, const struct exact_sum *from);
double exact_sum_value(const struct exact_sum *s);

#endif
