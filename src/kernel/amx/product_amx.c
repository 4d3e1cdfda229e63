/* product_amx.c: bf16 products by the AMX tile unit, whose step is the canonical one (order.h).
 *
 * Two tiles of rows by two panels at once; weights lie as in ref/product_ref.c, activations as plain bf16, 64 bytes a
 * row and step. One row leaves the unit idle, so single rows widen their activations and use the AVX-512 kernels. */
#ifndef CRIA_TILE_HEADER
#define CRIA_TILE_HEADER "kernel/amx/tile.h"
#endif
#include CRIA_TILE_HEADER

#include "kernel/avx512/product_avx512.h"
#include "kernel/panel.h"
#include "kernel/rows_fill.h"

enum { TILE_ROWS = 16, X_STEP = 64, TILE_BYTES = 1024, WIDE_STEPS = 16 };

/* Two row tiles x two panels; the configuration says how many rows each has. */
static void block_2_2(float *c, size_t c_stride, const uint8_t *x, size_t x_stride, const uint8_t *w, size_t w_stride,
                      int n_steps, bool add) {
    float *c_low = c + TILE_ROWS * c_stride;
    const size_t c_bytes = c_stride * sizeof(float);
    if (add) {
        tile_load(0, c, c_bytes);
        tile_load(1, c + KERNEL_PANEL, c_bytes);
        tile_load(2, c_low, c_bytes);
        tile_load(3, c_low + KERNEL_PANEL, c_bytes);
    } else {
        tile_clear(0);
        tile_clear(1);
        tile_clear(2);
        tile_clear(3);
    }
    for (int s = 0; s < n_steps; s++) {
        tile_load(4, x + (size_t)s * X_STEP, x_stride);
        tile_load(6, w + (size_t)s * TILE_BYTES, 64);
        tile_load(7, w + w_stride + (size_t)s * TILE_BYTES, 64);
        tile_multiply(0, 4, 6);
        tile_multiply(1, 4, 7);
        tile_load(5, x + TILE_ROWS * x_stride + (size_t)s * X_STEP, x_stride);
        tile_multiply(2, 5, 6);
        tile_multiply(3, 5, 7);
    }
    tile_store(0, c, c_bytes);
    tile_store(1, c + KERNEL_PANEL, c_bytes);
    tile_store(2, c_low, c_bytes);
    tile_store(3, c_low + KERNEL_PANEL, c_bytes);
}

/* One row tile x one panel. */
static void block_1_1(float *c, size_t c_stride, const uint8_t *x, size_t x_stride, const uint8_t *w, int n_steps,
                      bool add) {
    const size_t c_bytes = c_stride * sizeof(float);
    if (add) tile_load(0, c, c_bytes);
    else tile_clear(0);
    for (int s = 0; s < n_steps; s++) {
        tile_load(4, x + (size_t)s * X_STEP, x_stride);
        tile_load(6, w + (size_t)s * TILE_BYTES, 64);
        tile_multiply(0, 4, 6);
    }
    tile_store(0, c, c_bytes);
}

static void product_bf16(float *c, size_t c_stride, const uint8_t *x, size_t x_stride, const uint8_t *w,
                         size_t w_stride, int n_rows, int n_panels, int n_steps, bool add) {
    for (int row = 0; row < n_rows; row += 2 * TILE_ROWS) {
        const int left = n_rows - row, rows_0 = left < TILE_ROWS ? left : TILE_ROWS;
        const int rows_1 = left - rows_0 < TILE_ROWS ? left - rows_0 : TILE_ROWS;
        float *c_row = c + (size_t)row * c_stride;
        const uint8_t *x_row = x + (size_t)row * x_stride;
        tile_configure(rows_0, rows_1 > 0 ? rows_1 : 1);
        int p = 0;
        for (; rows_1 > 0 && p + 2 <= n_panels; p += 2)
            block_2_2(c_row + p * KERNEL_PANEL, c_stride, x_row, x_stride, w + (size_t)p * w_stride, w_stride, n_steps,
                      add);
        const int first = p;
        for (; p < n_panels; p++)
            block_1_1(c_row + p * KERNEL_PANEL, c_stride, x_row, x_stride, w + (size_t)p * w_stride, n_steps, add);
        if (rows_1 == 0 || first == n_panels) continue;
        tile_configure(rows_1, 1);
        for (p = first; p < n_panels; p++)
            block_1_1(c_row + TILE_ROWS * c_stride + p * KERNEL_PANEL, c_stride, x_row + TILE_ROWS * x_stride, x_stride,
                      w + (size_t)p * w_stride, n_steps, add);
    }
    tile_release();
}

static void pack_x(uint8_t *x, const float *values, int n) {
    for (int k = 0; k < n; k += ORDER_STEP) {
        const int left = n - k;
        const __mmask16 low = left >= 16 ? 0xffff : (__mmask16)((1u << left) - 1);
        const __mmask16 high = left >= 32 ? 0xffff : left <= 16 ? 0 : (__mmask16)((1u << (left - 16)) - 1);
        const __m512 a = _mm512_maskz_loadu_ps(low, values + k), b = _mm512_maskz_loadu_ps(high, values + k + 16);
        _mm512_storeu_si512(x + k * 2, (__m512i)_mm512_cvtne2ps_pbh(b, a));
    }
}

static void pack_tile(uint8_t *tile, const float *values, size_t stride, int n_k, int n_outputs) {
    const __m512i interleaved = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7,
                                                 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    const __mmask16 mask = (__mmask16)((1u << n_outputs) - 1);
    for (int r = 0; r < TILE_ROWS; r++) {
        const float *row = values + (size_t)(2 * r) * stride;
        const __m512 even = 2 * r < n_k ? _mm512_maskz_loadu_ps(mask, row) : _mm512_setzero_ps();
        const __m512 odd = 2 * r + 1 < n_k ? _mm512_maskz_loadu_ps(mask, row + stride) : _mm512_setzero_ps();
        const __m512i rounded = (__m512i)_mm512_cvtne2ps_pbh(odd, even);
        _mm512_storeu_si512(tile + r * 64, _mm512_permutexvar_epi16(interleaved, rounded));
    }
}

/* Runs an AVX-512 kernel on one row of activations, widened a few steps at a time. */
static void widened(enum dtype d, float *c, const uint8_t *x, const uint8_t *w, size_t w_stride, int n_panels,
                    int n_steps, bool add) {
    float wide[WIDE_STEPS * ORDER_STEP];
    kernel_product_fn *kernel = product_avx512_few(d);
    for (int s = 0; s < n_steps; s += WIDE_STEPS) {
        const int n = n_steps - s < WIDE_STEPS ? n_steps - s : WIDE_STEPS;
        for (int k = 0; k < n * ORDER_STEP; k += KERNEL_PANEL) {
            const __m256i halves = _mm256_loadu_si256((const __m256i *)(x + (size_t)s * X_STEP + (size_t)k * 2));
            _mm512_storeu_si512(wide + k, _mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
        }
        kernel(c, 0, (const uint8_t *)wide, 0, w + kernel_panel_bytes(d, s), w_stride, 1, n_panels, n, add || s > 0);
    }
}

#define TYPE(name, d)                                                                                      \
    static void few_##name(float *c, size_t c_stride, const uint8_t *x, size_t x_stride, const uint8_t *w, \
                           size_t w_stride, int n_rows, int n_panels, int n_steps, bool add) {             \
        (void)c_stride, (void)x_stride, (void)n_rows;                                                      \
        widened(d, c, x, w, w_stride, n_panels, n_steps, add);                                             \
    }
TYPE(q8_0, DTYPE_Q8_0)
TYPE(q4_0, DTYPE_Q4_0)
TYPE(q4_1, DTYPE_Q4_1)
TYPE(q4_k, DTYPE_Q4_K)
TYPE(q5_k, DTYPE_Q5_K)
TYPE(q6_k, DTYPE_Q6_K)
#undef TYPE

void product_fill_amx(struct kernel_table *t) {
    t->bf16 = (struct kernel_product){product_bf16, pack_x, X_STEP, pack_tile, true};
    t->few_rows = 1;
    t->few[DTYPE_Q8_0] = few_q8_0;
    t->few[DTYPE_Q4_0] = few_q4_0;
    t->few[DTYPE_Q4_1] = few_q4_1;
    t->few[DTYPE_Q4_K] = few_q4_k;
    t->few[DTYPE_Q5_K] = few_q5_k;
    t->few[DTYPE_Q6_K] = few_q6_k;
}
