/* lanes_avx2.h: sixteen floats in two AVX registers; contracts in kernel/ref/lanes_ref.h. */
#ifndef KERNEL_LANES_AVX2_H
#define KERNEL_LANES_AVX2_H

#include <immintrin.h>

typedef struct lanes {
    __m256 a, b;
} lanes;

/* All ones in the first n of 8 lanes. */
static inline __m256i lanes_mask(int n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
#define LANES_BOTH(op) \
    (lanes) { op(x.a, y.a), op(x.b, y.b) }
static inline lanes lanes_splat(float x) { return (lanes){_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
static inline lanes lanes_load(const float *p) { return (lanes){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
static inline lanes lanes_load_n(const float *p, int n) {
    if (n >= 16) return lanes_load(p);
    return (lanes){_mm256_maskload_ps(p, lanes_mask(n)), _mm256_maskload_ps(p + 8, lanes_mask(n - 8))};
}
static inline void lanes_store(float *p, lanes x) {
    _mm256_storeu_ps(p, x.a);
    _mm256_storeu_ps(p + 8, x.b);
}
static inline void lanes_store_n(float *p, lanes x, int n) {
    if (n >= 16) {
        lanes_store(p, x);
        return;
    }
    _mm256_maskstore_ps(p, lanes_mask(n), x.a);
    _mm256_maskstore_ps(p + 8, lanes_mask(n - 8), x.b);
}
static inline lanes lanes_add(lanes x, lanes y) { return LANES_BOTH(_mm256_add_ps); }
static inline lanes lanes_sub(lanes x, lanes y) { return LANES_BOTH(_mm256_sub_ps); }
static inline lanes lanes_mul(lanes x, lanes y) { return LANES_BOTH(_mm256_mul_ps); }
static inline lanes lanes_div(lanes x, lanes y) { return LANES_BOTH(_mm256_div_ps); }
static inline lanes lanes_sqrt(lanes x) { return (lanes){_mm256_sqrt_ps(x.a), _mm256_sqrt_ps(x.b)}; }
static inline lanes lanes_fma(lanes x, lanes y, lanes z) {
    return (lanes){_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
}
static inline lanes lanes_max(lanes x, lanes y) { return LANES_BOTH(_mm256_max_ps); }
static inline lanes lanes_min(lanes x, lanes y) { return LANES_BOTH(_mm256_min_ps); }
static inline lanes lanes_first_n(lanes x, int n, lanes other) {
    return (lanes){_mm256_blendv_ps(other.a, x.a, _mm256_castsi256_ps(lanes_mask(n))),
                   _mm256_blendv_ps(other.b, x.b, _mm256_castsi256_ps(lanes_mask(n - 8)))};
}
static inline __m256 lanes_round_half(__m256 x) {
    const __m256i u = _mm256_castps_si256(x);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
    const __m256i r = _mm256_add_epi32(_mm256_add_epi32(u, odd), _mm256_set1_epi32(0x7fff));
    return _mm256_castsi256_ps(_mm256_and_si256(r, _mm256_set1_epi32((int)0xffff0000u)));
}
static inline lanes lanes_round_bf16(lanes x) { return (lanes){lanes_round_half(x.a), lanes_round_half(x.b)}; }
/* In two halves: 2^n alone may be no number. */
static inline __m256 lanes_half_times_pow2(__m256 x, __m256 t, float magic) {
    const __m256i n = _mm256_sub_epi32(_mm256_castps_si256(t), _mm256_castps_si256(_mm256_set1_ps(magic)));
    const __m256i half = _mm256_srai_epi32(n, 1), bias = _mm256_set1_epi32(127);
    const __m256i rest = _mm256_sub_epi32(n, half);
    x = _mm256_mul_ps(x, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23)));
    return _mm256_mul_ps(x, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23)));
}
static inline lanes lanes_times_pow2(lanes x, lanes t, float magic) {
    return (lanes){lanes_half_times_pow2(x.a, t.a, magic), lanes_half_times_pow2(x.b, t.b, magic)};
}
static inline lanes lanes_upper(lanes x, int half) {
    if (half == 8) return (lanes){x.b, x.b};
    if (half == 4) return (lanes){_mm256_permute2f128_ps(x.a, x.a, 0x11), x.b};
    if (half == 2) return (lanes){_mm256_permute_ps(x.a, 0xee), x.b};
    return (lanes){_mm256_permute_ps(x.a, 0x55), x.b};
}
static inline float lanes_first(lanes x) { return _mm256_cvtss_f32(x.a); }
#undef LANES_BOTH

#endif
