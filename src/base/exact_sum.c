/* exact_sum.c: sums of floats without rounding (see exact_sum.h).
 *
 * Squares are collected by the exponent of their number: the square of a float's 24 bits is an integer of 48, and 2^16
 * of one exponent fit in 64. */
#include "base/exact_sum.h"

#include <string.h>

#include "base/error.h"

enum {
    WORD_BITS = 32,
    MAX_PENDING = 1 << 30,
    LOWEST = 298,    /* bit 0 of word 0 counts 2^-LOWEST */
    EXPONENTS = 256, /* of a float */
    TABLES = 4,      /* that neighbours go to in turn, so that no addition waits for the one before */
    BATCH = TABLES << 16,
};
#define WORD_MASK 0xffffffffll

/* Takes carries on: every word but the last becomes 0 .. 2^32 - 1. */
static void carry(struct exact_sum *s) {
    for (int i = 0; i + 1 < EXACT_SUM_WORDS; i++) {
        s->words[i + 1] += s->words[i] >> WORD_BITS;
        s->words[i] &= WORD_MASK;
    }
    s->n_pending = 1;
}

/* Adds value * 2^(bit - LOWEST), or takes it away. */
static void add_bits(struct exact_sum *s, uint64_t value, int bit, bool is_negative) {
    const int word = bit / WORD_BITS, shift = bit % WORD_BITS;
    const unsigned __int128 wide = (unsigned __int128)value << shift;
    CRIA_ASSERT(word >= 0 && word + 2 < EXACT_SUM_WORDS);
    for (int i = 0; i < 3; i++) {
        const int64_t part = (int64_t)(wide >> (WORD_BITS * i)) & WORD_MASK;
        s->words[word + i] += is_negative ? -part : part;
    }
    if (++s->n_pending >= MAX_PENDING) carry(s);
}

void exact_sum_add(struct exact_sum *s, double x) {
    uint64_t u;
    memcpy(&u, &x, sizeof u);
    const int exponent = (int)(u >> 52 & 0x7ff);
    if (exponent == 0) return; /* zero: a multiple of 2^-LOWEST is no subnormal */
    uint64_t mantissa = (u & ((1ull << 52) - 1)) | 1ull << 52;
    int bit = exponent - 1075 + LOWEST;
    for (; bit < 0 && !(mantissa & 1); bit++) mantissa >>= 1;
    add_bits(s, mantissa, bit, u >> 63);
}

static void add_table(struct exact_sum *s, const uint64_t sums[EXPONENTS]) {
    for (int e = 1; e < EXPONENTS - 1; e++)
        if (sums[e]) add_bits(s, sums[e], 2 * (e - 1), false);
}

/* At most BATCH numbers. */
static bool add_batch(struct exact_sum *s, const float *x, int64_t n) {
    uint64_t sums[TABLES][EXPONENTS];
    memset(sums, 0, sizeof sums);
    for (int64_t i = 0; i < n; i++) {
        uint32_t u;
        memcpy(&u, x + i, sizeof u);
        const uint64_t mantissa = (u & 0x7fffff) | 0x800000;
        sums[i % TABLES][u >> 23 & 0xff] += mantissa * mantissa;
    }
    bool is_finite = true;
    for (int t = 0; t < TABLES; t++) {
        is_finite &= sums[t][EXPONENTS - 1] == 0;
        add_table(s, sums[t]);
    }
    return is_finite;
}

bool exact_sum_add_squares(struct exact_sum *s, const float *x, int64_t n) {
    for (int64_t i = 0; i < n; i += BATCH)
        if (!add_batch(s, x + i, n - i < BATCH ? n - i : BATCH)) return false;
    return true;
}

void exact_sum_merge(struct exact_sum *to, const struct exact_sum *from) {
    struct exact_sum other = *from;
    carry(&other);
    carry(to);
    for (int i = 0; i < EXACT_SUM_WORDS; i++) to->words[i] += other.words[i];
    to->n_pending++;
}

/* Bits first .. first + n - 1 (n at most 64) of a sum without pending carries that is not negative. */
static uint64_t bits_at(const struct exact_sum *s, int first, int n) {
    uint64_t bits = 0;
    for (int i = 0; i < n; i++) {
        const int at = first + i;
        if (at >= 0) bits |= (uint64_t)(s->words[at / WORD_BITS] >> at % WORD_BITS & 1) << i;
    }
    return bits;
}

static bool any_below(const struct exact_sum *s, int end) {
    for (int at = 0; at < end; at++)
        if (s->words[at / WORD_BITS] >> at % WORD_BITS & 1) return true;
    return false;
}

double exact_sum_value(const struct exact_sum *s) {
    struct exact_sum t = *s;
    carry(&t);
    const bool is_negative = t.words[EXACT_SUM_WORDS - 1] < 0;
    if (is_negative) {
        for (int i = 0; i < EXACT_SUM_WORDS; i++) t.words[i] = -t.words[i];
        carry(&t);
    }
    int top = EXACT_SUM_WORDS * WORD_BITS - 1;
    while (top >= 0 && !bits_at(&t, top, 1)) top--;
    if (top < 0) return 0.0;
    const int low = top - 52; /* of the 53 bits of a double */
    uint64_t mantissa = bits_at(&t, low, 53);
    const bool is_half = low > 0 && bits_at(&t, low - 1, 1);
    if (is_half && ((mantissa & 1) || any_below(&t, low - 1))) mantissa++;
    /* mantissa is at most 2^53 and the scale is a power of two in range: both steps are exact. */
    const uint64_t scale_bits = (uint64_t)(low - LOWEST + 1023) << 52;
    double scale;
    memcpy(&scale, &scale_bits, sizeof scale);
    const double value = (double)mantissa * scale;
    return is_negative ? -value : value;
}
