/* transpose_avx512.c: turning a block of 16 x 16 numbers in registers: pairs of rows, pairs of pairs, then quarters. */
#include <immintrin.h>

#include "kernel/rows_fill.h"

static inline __m512 pairs_low(__m512 a, __m512 b) {
    return _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
}
static inline __m512 pairs_high(__m512 a, __m512 b) {
    return _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
}

static void transpose(float *out, size_t out_stride, const float *x, size_t stride, int n_rows, int n_columns) {
    const __mmask16 in_mask = (__mmask16)((1u << n_columns) - 1), out_mask = (__mmask16)((1u << n_rows) - 1);
    __m512 a[16], b[16];
    for (int i = 0; i < 16; i++)
        a[i] = i < n_rows ? _mm512_maskz_loadu_ps(in_mask, x + (size_t)i * stride) : _mm512_setzero_ps();
    for (int i = 0; i < 16; i += 4) { /* columns 4q .. 4q + 3 of rows i .. i + 3 in quarter q */
        const __m512 low_0 = _mm512_unpacklo_ps(a[i], a[i + 1]), high_0 = _mm512_unpackhi_ps(a[i], a[i + 1]);
        const __m512 low_2 = _mm512_unpacklo_ps(a[i + 2], a[i + 3]), high_2 = _mm512_unpackhi_ps(a[i + 2], a[i + 3]);
        b[i] = pairs_low(low_0, low_2);
        b[i + 1] = pairs_high(low_0, low_2);
        b[i + 2] = pairs_low(high_0, high_2);
        b[i + 3] = pairs_high(high_0, high_2);
    }
    for (int i = 0; i < 4; i++) {
        const __m512 even_0 = _mm512_shuffle_f32x4(b[i], b[i + 4], 0x88),
                     odd_0 = _mm512_shuffle_f32x4(b[i], b[i + 4], 0xdd);
        const __m512 even_8 = _mm512_shuffle_f32x4(b[i + 8], b[i + 12], 0x88),
                     odd_8 = _mm512_shuffle_f32x4(b[i + 8], b[i + 12], 0xdd);
        a[i] = _mm512_shuffle_f32x4(even_0, even_8, 0x88);
        a[i + 8] = _mm512_shuffle_f32x4(even_0, even_8, 0xdd);
        a[i + 4] = _mm512_shuffle_f32x4(odd_0, odd_8, 0x88);
        a[i + 12] = _mm512_shuffle_f32x4(odd_0, odd_8, 0xdd);
    }
    for (int j = 0; j < n_columns; j++) _mm512_mask_storeu_ps(out + (size_t)j * out_stride, out_mask, a[j]);
}

void transpose_fill_avx512(struct kernel_table *t) { t->transpose = transpose; }
