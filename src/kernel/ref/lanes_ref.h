/* lanes_ref.h: sixteen floats as plain C; this is the contract of `lanes` for every instruction set.
 *
 * Each operation acts on each lane apart. fma rounds once; div and the like are IEEE; max gives a > b ? a : b and min a
 * < b ? a : b, so that a NaN on the right stays. Loads and stores are unaligned. */
#ifndef KERNEL_LANES_REF_H
#define KERNEL_LANES_REF_H

#include <math.h>

#include "kernel/kernel.h"

typedef struct lanes {
    float v[ORDER_LANES];
} lanes;

#define LANES_EACH(expression)                                   \
    lanes r;                                                     \
    for (int i = 0; i < ORDER_LANES; i++) r.v[i] = (expression); \
    return r

static inline lanes lanes_splat(float a) { LANES_EACH(a); }
static inline lanes lanes_load(const float *p) { LANES_EACH(p[i]); }
/* The first n (may be over 16) of memory, zeros behind them. */
static inline lanes lanes_load_n(const float *p, int n) { LANES_EACH(i < n ? p[i] : 0.0f); }
static inline void lanes_store(float *p, lanes a) {
    for (int i = 0; i < ORDER_LANES; i++) p[i] = a.v[i];
}
static inline void lanes_store_n(float *p, lanes a, int n) {
    for (int i = 0; i < ORDER_LANES && i < n; i++) p[i] = a.v[i];
}
static inline lanes lanes_add(lanes a, lanes b) { LANES_EACH(a.v[i] + b.v[i]); }
static inline lanes lanes_sub(lanes a, lanes b) { LANES_EACH(a.v[i] - b.v[i]); }
static inline lanes lanes_mul(lanes a, lanes b) { LANES_EACH(a.v[i] * b.v[i]); }
static inline lanes lanes_div(lanes a, lanes b) { LANES_EACH(a.v[i] / b.v[i]); }
static inline lanes lanes_sqrt(lanes a) { LANES_EACH(sqrtf(a.v[i])); }
static inline lanes lanes_fma(lanes a, lanes b, lanes c) { LANES_EACH(fmaf(a.v[i], b.v[i], c.v[i])); }
static inline lanes lanes_max(lanes a, lanes b) { LANES_EACH(a.v[i] > b.v[i] ? a.v[i] : b.v[i]); }
static inline lanes lanes_min(lanes a, lanes b) { LANES_EACH(a.v[i] < b.v[i] ? a.v[i] : b.v[i]); }
/* Lanes from the n-th on replaced by those of other; n may be negative or over 16. */
static inline lanes lanes_first_n(lanes a, int n, lanes other) { LANES_EACH(i < n ? a.v[i] : other.v[i]); }
/* Rounded to bf16, for numbers that are not NaN. */
static inline lanes lanes_round_bf16(lanes a) { LANES_EACH(dtype_f32_from_bf16(dtype_bf16_from_f32(a.v[i]))); }
/* t holds an integer n (-150..130) as n + magic; a * 2^n, flushed where it is below the smallest normal number. */
static inline lanes lanes_times_pow2(lanes a, lanes t, float magic) {
    for (int i = 0; i < ORDER_LANES; i++) {
        const int32_t n = (int32_t)(dtype_bits_from_f32(t.v[i]) - dtype_bits_from_f32(magic));
        const int32_t half = n >> 1;
        a.v[i] *= dtype_f32_from_bits(((uint32_t)half + 127) << 23);
        a.v[i] *= dtype_f32_from_bits(((uint32_t)n - (uint32_t)half + 127) << 23);
    }
    return a;
}
/* Lane i becomes lane i + half, for i < half (8, 4, 2 or 1); what the others become is open. */
static inline lanes lanes_upper(lanes a, int half) { LANES_EACH(a.v[(i + half) % ORDER_LANES]); }
static inline float lanes_first(lanes a) { return a.v[0]; }
#undef LANES_EACH

#endif
