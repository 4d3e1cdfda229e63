/* transpose_avx2.c: turning blocks of 8 x 8 numbers in registers; edges one number at a time. */
#include <immintrin.h>

#include "kernel/rows_fill.h"

enum { EIGHT = 8 };

static inline void turn_eight(float *out, size_t out_stride, const float *x, size_t stride) {
    __m256 a[EIGHT], b[EIGHT];
    for (int i = 0; i < EIGHT; i++) a[i] = _mm256_loadu_ps(x + (size_t)i * stride);
    for (int i = 0; i < EIGHT; i += 4) {
        const __m256 low_0 = _mm256_unpacklo_ps(a[i], a[i + 1]), high_0 = _mm256_unpackhi_ps(a[i], a[i + 1]);
        const __m256 low_2 = _mm256_unpacklo_ps(a[i + 2], a[i + 3]), high_2 = _mm256_unpackhi_ps(a[i + 2], a[i + 3]);
        b[i] = _mm256_shuffle_ps(low_0, low_2, 0x44);
        b[i + 1] = _mm256_shuffle_ps(low_0, low_2, 0xee);
        b[i + 2] = _mm256_shuffle_ps(high_0, high_2, 0x44);
        b[i + 3] = _mm256_shuffle_ps(high_0, high_2, 0xee);
    }
    for (int i = 0; i < 4; i++) {
        _mm256_storeu_ps(out + (size_t)i * out_stride, _mm256_permute2f128_ps(b[i], b[i + 4], 0x20));
        _mm256_storeu_ps(out + (size_t)(i + 4) * out_stride, _mm256_permute2f128_ps(b[i], b[i + 4], 0x31));
    }
}

static void transpose(float *out, size_t out_stride, const float *x, size_t stride, int n_rows, int n_columns) {
    for (int i = 0; i < n_rows; i += EIGHT)
        for (int j = 0; j < n_columns; j += EIGHT) {
            float *to = out + (size_t)j * out_stride + i;
            const float *from = x + (size_t)i * stride + j;
            if (n_rows - i >= EIGHT && n_columns - j >= EIGHT) {
                turn_eight(to, out_stride, from, stride);
                continue;
            }
            for (int p = 0; p < EIGHT && p < n_rows - i; p++)
                for (int q = 0; q < EIGHT && q < n_columns - j; q++)
                    to[(size_t)q * out_stride + (size_t)p] = from[(size_t)p * stride + (size_t)q];
        }
}

void transpose_fill_avx2(struct kernel_table *t) { t->transpose = transpose; }
