/* product_avx512.c: products by fused multiply-adds on sixteen outputs at once; tiles as in ref/product_ref.c.
 *
 * A bf16 tile row (16 words of two k) is widened by a shift (even k) and a mask (odd k), and serves several rows of
 * activations. Rows of activations are floats, so that a broadcast is a memory operand. */
#include "kernel/avx512/product_avx512.h"

#include <immintrin.h>

#include "kernel/panel.h"
#include "kernel/rows_fill.h"

enum { ROWS_AT_ONCE = 6, TILE_ROWS = ORDER_STEP / 2 };

static inline __m512 even_of(__m512i pairs) { return _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)); }
static inline __m512 odd_of(__m512i pairs) {
    return _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32((int)0xffff0000u)));
}

__attribute__((always_inline)) static inline void block_bf16(float *c, size_t c_stride, const uint8_t *x,
                                                             size_t x_stride, const uint8_t *w, size_t w_stride,
                                                             int n_steps, bool add, const int n_rows,
                                                             const int n_panels) {
    for (int s = 0; s < n_steps; s++) {
        __m512 e[ROWS_AT_ONCE][2], o[ROWS_AT_ONCE][2];
        for (int i = 0; i < n_rows; i++)
            for (int p = 0; p < n_panels; p++) e[i][p] = o[i][p] = _mm512_setzero_ps();
#pragma GCC unroll 4
        for (int r = 0; r < TILE_ROWS; r++) {
            for (int p = 0; p < n_panels; p++) {
                const __m512i pairs = _mm512_loadu_si512(w + (size_t)p * w_stride + (size_t)s * 1024 + (size_t)r * 64);
                const __m512 even = even_of(pairs), odd = odd_of(pairs);
#pragma GCC unroll 6
                for (int i = 0; i < n_rows; i++) {
                    const float *values = (const float *)(x + (size_t)i * x_stride) + s * ORDER_STEP + 2 * r;
                    e[i][p] = _mm512_fmadd_ps(even, _mm512_set1_ps(values[0]), e[i][p]);
                    o[i][p] = _mm512_fmadd_ps(odd, _mm512_set1_ps(values[1]), o[i][p]);
                }
            }
        }
        for (int i = 0; i < n_rows; i++)
            for (int p = 0; p < n_panels; p++) {
                float *out = c + (size_t)i * c_stride + (size_t)p * KERNEL_PANEL;
                const __m512 before = s > 0 || add ? _mm512_loadu_ps(out) : _mm512_setzero_ps();
                _mm512_storeu_ps(out, _mm512_add_ps(before, _mm512_add_ps(e[i][p], o[i][p])));
            }
    }
}

__attribute__((always_inline)) static inline void block_f32(float *c, size_t c_stride, const uint8_t *x,
                                                            size_t x_stride, const uint8_t *w, size_t w_stride,
                                                            int n_steps, bool add, const int n_rows,
                                                            const int n_panels) {
    __m512 sum[ROWS_AT_ONCE][2];
    for (int i = 0; i < n_rows; i++)
        for (int p = 0; p < n_panels; p++)
            sum[i][p] =
                add ? _mm512_loadu_ps(c + (size_t)i * c_stride + (size_t)p * KERNEL_PANEL) : _mm512_setzero_ps();
    for (int k = 0; k < n_steps * ORDER_STEP; k++)
        for (int p = 0; p < n_panels; p++) {
            const __m512 weights =
                _mm512_loadu_ps((const float *)(w + (size_t)p * w_stride) + (size_t)k * KERNEL_PANEL);
#pragma GCC unroll 6
            for (int i = 0; i < n_rows; i++)
                sum[i][p] =
                    _mm512_fmadd_ps(weights, _mm512_set1_ps(((const float *)(x + (size_t)i * x_stride))[k]), sum[i][p]);
        }
    for (int i = 0; i < n_rows; i++)
        for (int p = 0; p < n_panels; p++)
            _mm512_storeu_ps(c + (size_t)i * c_stride + (size_t)p * KERNEL_PANEL, sum[i][p]);
}

typedef void block_fn(float *c, size_t c_stride, const uint8_t *x, size_t x_stride, const uint8_t *w, size_t w_stride,
                      int n_steps, bool add);

#define BLOCK(kind, rows, panels)                                                                      \
    static void kind##_##rows##_##panels(float *c, size_t c_stride, const uint8_t *x, size_t x_stride, \
                                         const uint8_t *w, size_t w_stride, int n_steps, bool add) {   \
        kind(c, c_stride, x, x_stride, w, w_stride, n_steps, add, rows, panels);                       \
    }
#define BLOCKS(kind)                                                                                            \
    BLOCK(kind, 1, 1)                                                                                           \
    BLOCK(kind, 2, 1) BLOCK(kind, 3, 1) BLOCK(kind, 4, 1) BLOCK(kind, 5, 1) BLOCK(kind, 6, 1) BLOCK(kind, 1, 2) \
        BLOCK(kind, 2, 2) BLOCK(kind, 3, 2) BLOCK(kind, 4, 2) BLOCK(kind, 5, 2)                                 \
            BLOCK(kind, 6, 2) static block_fn *const kind##_table[2][ROWS_AT_ONCE] = {                          \
                {kind##_1_1, kind##_2_1, kind##_3_1, kind##_4_1, kind##_5_1, kind##_6_1},                       \
                {kind##_1_2, kind##_2_2, kind##_3_2, kind##_4_2, kind##_5_2, kind##_6_2}};
BLOCKS(block_bf16)
BLOCKS(block_f32)
#undef BLOCKS
#undef BLOCK

static void run_blocks(block_fn *const table[2][ROWS_AT_ONCE], float *c, size_t c_stride, const uint8_t *x,
                       size_t x_stride, const uint8_t *w, size_t w_stride, int n_rows, int n_panels, int n_steps,
                       bool add) {
    for (int p = 0; p < n_panels; p += 2) {
        const int n_p = n_panels - p < 2 ? 1 : 2;
        for (int row = 0; row < n_rows; row += ROWS_AT_ONCE) {
            const int n_r = n_rows - row < ROWS_AT_ONCE ? n_rows - row : ROWS_AT_ONCE;
            table[n_p - 1][n_r - 1](c + (size_t)row * c_stride + (size_t)p * KERNEL_PANEL, c_stride,
                                    x + (size_t)row * x_stride, x_stride, w + (size_t)p * w_stride, w_stride, n_steps,
                                    add);
        }
    }
}

static void product_bf16(float *c, size_t c_stride, const uint8_t *x, size_t x_stride, const uint8_t *w,
                         size_t w_stride, int n_rows, int n_panels, int n_steps, bool add) {
    run_blocks(block_bf16_table, c, c_stride, x, x_stride, w, w_stride, n_rows, n_panels, n_steps, add);
}

static void product_f32(float *c, size_t c_stride, const uint8_t *x, size_t x_stride, const uint8_t *w, size_t w_stride,
                        int n_rows, int n_panels, int n_steps, bool add) {
    run_blocks(block_f32_table, c, c_stride, x, x_stride, w, w_stride, n_rows, n_panels, n_steps, add);
}

/* Rounded to bf16 and still sixteen floats; for numbers that are not NaN or subnormal. */
static inline __m512i round_bits(__m512 a) {
    const __m512i u = _mm512_castps_si512(a);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
    return _mm512_and_si512(_mm512_add_epi32(_mm512_add_epi32(u, odd), _mm512_set1_epi32(0x7fff)),
                            _mm512_set1_epi32((int)0xffff0000u));
}

static void pack_x_bf16(uint8_t *x, const float *values, int n) {
    float *out = (float *)x;
    const int padded = (n + ORDER_STEP - 1) / ORDER_STEP * ORDER_STEP;
    for (int k = 0; k < padded; k += KERNEL_PANEL) {
        const int left = n - k;
        const __mmask16 mask = left >= 16 ? 0xffff : left <= 0 ? 0 : (__mmask16)((1u << left) - 1);
        const __m512 v = _mm512_maskz_loadu_ps(mask, values + k);
        const __mmask16 is_nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
        const __m512i quiet = _mm512_or_si512(
            _mm512_and_si512(_mm512_castps_si512(v), _mm512_set1_epi32((int)0xffff0000u)), _mm512_set1_epi32(0x400000));
        _mm512_storeu_si512(out + k,
                            _mm512_mask_mov_epi32(round_bits(_mm512_add_ps(v, _mm512_setzero_ps())), is_nan, quiet));
    }
}

/* The numbers of sixteen outputs at one k, rounded to bf16, as floats. */
struct step_codes {
    __m512 d, m;
    __m512i words[4];
    const uint8_t *bytes;
};

__attribute__((always_inline)) static inline struct step_codes load_codes(const enum dtype d, const uint8_t *w) {
    const struct panel_step p = panel_step_at(d, w);
    struct step_codes c = {.d = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p.d)), .bytes = p.codes};
    if (d == DTYPE_Q4_1) c.m = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p.m));
    if (d != DTYPE_Q8_0)
        for (int v = 0; v < 4; v++) c.words[v] = _mm512_loadu_si512(p.codes + 64 * v);
    return c;
}

__attribute__((always_inline)) static inline __m512i weights_at(const enum dtype d, const struct step_codes *c, int k) {
    if (d == DTYPE_Q8_0) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(c->bytes + k * KERNEL_PANEL));
        return round_bits(_mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)), c->d));
    }
    const __m512 bias = _mm512_set1_ps(d == DTYPE_Q4_0 ? 8.0f : 0.0f);
    const __m512 table = _mm512_sub_ps(_mm512_set_ps(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), bias);
    const __m512 codes = _mm512_permutexvar_ps(_mm512_srli_epi32(c->words[k / 8], (unsigned)(4 * (k % 8))), table);
    return round_bits(d == DTYPE_Q4_0 ? _mm512_mul_ps(codes, c->d) : _mm512_fmadd_ps(codes, c->d, c->m));
}

__attribute__((always_inline)) static inline void unpack(const enum dtype d, uint8_t *tiles, const uint8_t *w,
                                                         int n_steps) {
    const size_t step_bytes = kernel_panel_step_bytes(d);
    for (int s = 0; s < n_steps; s++) {
        const struct step_codes c = load_codes(d, w + (size_t)s * step_bytes);
#pragma GCC unroll 16
        for (int r = 0; r < TILE_ROWS; r++) {
            const __m512i even = _mm512_srli_epi32(weights_at(d, &c, 2 * r), 16), odd = weights_at(d, &c, 2 * r + 1);
            _mm512_storeu_si512(tiles + s * 1024 + r * 64, _mm512_or_si512(even, odd));
        }
    }
}

__attribute__((always_inline)) static inline void vector(const enum dtype d, float *c, const uint8_t *x,
                                                         const uint8_t *w, size_t w_stride, int n_panels, int n_steps,
                                                         bool add) {
    const size_t step_bytes = kernel_panel_step_bytes(d);
    for (int p = 0; p < n_panels; p++) {
        const uint8_t *panel = w + (size_t)p * w_stride;
        __m512 accumulator = add ? _mm512_loadu_ps(c + p * KERNEL_PANEL) : _mm512_setzero_ps();
        for (int s = 0; s < n_steps; s++) {
            const struct step_codes codes = load_codes(d, panel + (size_t)s * step_bytes);
            _mm_prefetch((const char *)(panel + (size_t)s * step_bytes + 2048), _MM_HINT_T0);
            const float *values = (const float *)x + s * ORDER_STEP;
            __m512 e = _mm512_setzero_ps(), o = _mm512_setzero_ps();
#pragma GCC unroll 16
            for (int r = 0; r < TILE_ROWS; r++) {
                const __m512 even = _mm512_castsi512_ps(weights_at(d, &codes, 2 * r));
                const __m512 odd = _mm512_castsi512_ps(weights_at(d, &codes, 2 * r + 1));
                e = _mm512_fmadd_ps(even, _mm512_set1_ps(values[2 * r]), e);
                o = _mm512_fmadd_ps(odd, _mm512_set1_ps(values[2 * r + 1]), o);
            }
            accumulator = _mm512_add_ps(accumulator, _mm512_add_ps(e, o));
        }
        _mm512_storeu_ps(c + p * KERNEL_PANEL, accumulator);
    }
}

static void unpack_q8_0(uint8_t *tiles, const uint8_t *w, int n_steps) { unpack(DTYPE_Q8_0, tiles, w, n_steps); }
static void unpack_q4_0(uint8_t *tiles, const uint8_t *w, int n_steps) { unpack(DTYPE_Q4_0, tiles, w, n_steps); }
static void unpack_q4_1(uint8_t *tiles, const uint8_t *w, int n_steps) { unpack(DTYPE_Q4_1, tiles, w, n_steps); }

void product_avx512_vector_q8_0(float *c, const uint8_t *x, const uint8_t *w, size_t w_stride, int n_panels,
                                int n_steps, bool add) {
    vector(DTYPE_Q8_0, c, x, w, w_stride, n_panels, n_steps, add);
}
void product_avx512_vector_q4_0(float *c, const uint8_t *x, const uint8_t *w, size_t w_stride, int n_panels,
                                int n_steps, bool add) {
    vector(DTYPE_Q4_0, c, x, w, w_stride, n_panels, n_steps, add);
}
void product_avx512_vector_q4_1(float *c, const uint8_t *x, const uint8_t *w, size_t w_stride, int n_panels,
                                int n_steps, bool add) {
    vector(DTYPE_Q4_1, c, x, w, w_stride, n_panels, n_steps, add);
}

void product_fill_avx512(struct kernel_table *t) {
    t->bf16 = (struct kernel_product){product_bf16, pack_x_bf16, ORDER_STEP * sizeof(float)};
    t->f32 = (struct kernel_product){product_f32, panel_pack_x_f32, ORDER_STEP * sizeof(float)};
    t->unpack[DTYPE_Q8_0] = unpack_q8_0;
    t->unpack[DTYPE_Q4_0] = unpack_q4_0;
    t->unpack[DTYPE_Q4_1] = unpack_q4_1;
    t->vector[DTYPE_Q8_0] = product_avx512_vector_q8_0;
    t->vector[DTYPE_Q4_0] = product_avx512_vector_q4_0;
    t->vector[DTYPE_Q4_1] = product_avx512_vector_q4_1;
}
