/* lanes_avx512.h: sixteen floats in one AVX-512 register; contracts in kernel/ref/lanes_ref.h. */
#ifndef KERNEL_LANES_AVX512_H
#define KERNEL_LANES_AVX512_H

#include <immintrin.h>

typedef __m512 lanes;

static inline __mmask16 lanes_mask(int n) {
    return n >= 16 ? (__mmask16)0xffff : n <= 0 ? (__mmask16)0 : (__mmask16)((1u << n) - 1);
}
static inline lanes lanes_splat(float a) { return _mm512_set1_ps(a); }
static inline lanes lanes_load(const float *p) { return _mm512_loadu_ps(p); }
static inline lanes lanes_load_n(const float *p, int n) { return _mm512_maskz_loadu_ps(lanes_mask(n), p); }
static inline void lanes_store(float *p, lanes a) { _mm512_storeu_ps(p, a); }
static inline void lanes_store_n(float *p, lanes a, int n) { _mm512_mask_storeu_ps(p, lanes_mask(n), a); }
static inline lanes lanes_add(lanes a, lanes b) { return _mm512_add_ps(a, b); }
static inline lanes lanes_sub(lanes a, lanes b) { return _mm512_sub_ps(a, b); }
static inline lanes lanes_mul(lanes a, lanes b) { return _mm512_mul_ps(a, b); }
static inline lanes lanes_div(lanes a, lanes b) { return _mm512_div_ps(a, b); }
static inline lanes lanes_sqrt(lanes a) { return _mm512_sqrt_ps(a); }
static inline lanes lanes_fma(lanes a, lanes b, lanes c) { return _mm512_fmadd_ps(a, b, c); }
static inline lanes lanes_max(lanes a, lanes b) { return _mm512_max_ps(a, b); }
static inline lanes lanes_min(lanes a, lanes b) { return _mm512_min_ps(a, b); }
static inline lanes lanes_first_n(lanes a, int n, lanes other) { return _mm512_mask_mov_ps(other, lanes_mask(n), a); }
static inline lanes lanes_round_bf16(lanes a) {
    const __m512i u = _mm512_castps_si512(a);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
    const __m512i r = _mm512_add_epi32(_mm512_add_epi32(u, odd), _mm512_set1_epi32(0x7fff));
    return _mm512_castsi512_ps(_mm512_and_si512(r, _mm512_set1_epi32((int)0xffff0000u)));
}
/* One instruction: it rounds to the same number, and flushes as a product does. */
static inline lanes lanes_times_pow2(lanes a, lanes t, float magic) {
    return _mm512_scalef_ps(a, _mm512_sub_ps(t, _mm512_set1_ps(magic)));
}
static inline lanes lanes_upper(lanes a, int half) {
    if (half == 8) return _mm512_shuffle_f32x4(a, a, 0xee);
    if (half == 4) return _mm512_shuffle_f32x4(a, a, 0x55);
    if (half == 2) return _mm512_permute_ps(a, 0xee);
    return _mm512_permute_ps(a, 0x55);
}
static inline float lanes_first(lanes a) { return _mm512_cvtss_f32(a); }

#endif
