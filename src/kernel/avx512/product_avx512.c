/* product_avx512.c: products by fused multiply-adds on sixteen outputs at once; tiles as in ref/product_ref.c.
 *
 * A bf16 tile row (16 words of two k) is widened by a shift (even k) and a mask (odd k), and serves several rows of
 * activations. Rows of activations are floats, so that a broadcast is a memory operand. */
#include "kernel/avx512/product_avx512.h"

#include <immintrin.h>

#include "kernel/panel.h"
#include "kernel/rows_fill.h"
#include "kernel/unroll.h"

enum { ROWS_AT_ONCE = 6, FEW_ROWS = 8, TILE_ROWS = ORDER_STEP / 2 };

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
        UNROLLED
        for (int i = 0; i < n_rows; i++)
            for (int p = 0; p < n_panels; p++) e[i][p] = o[i][p] = _mm512_setzero_ps();
        UNROLLED
        for (int r = 0; r < TILE_ROWS; r++) {
            __m512 even[2], odd[2];
            for (int p = 0; p < n_panels; p++) {
                const __m512i pairs = _mm512_loadu_si512(w + (size_t)p * w_stride + (size_t)s * 1024 + (size_t)r * 64);
                even[p] = even_of(pairs);
                odd[p] = odd_of(pairs);
            }
            UNROLLED
            for (int i = 0; i < n_rows; i++) {
                const float *values = (const float *)(x + (size_t)i * x_stride) + s * ORDER_STEP + 2 * r;
                const __m512 x_even = _mm512_set1_ps(values[0]), x_odd = _mm512_set1_ps(values[1]);
                for (int p = 0; p < n_panels; p++) {
                    e[i][p] = _mm512_fmadd_ps(even[p], x_even, e[i][p]);
                    o[i][p] = _mm512_fmadd_ps(odd[p], x_odd, o[i][p]);
                }
            }
        }
        UNROLLED
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
    UNROLLED
    for (int i = 0; i < n_rows; i++)
        for (int p = 0; p < n_panels; p++)
            sum[i][p] =
                add ? _mm512_loadu_ps(c + (size_t)i * c_stride + (size_t)p * KERNEL_PANEL) : _mm512_setzero_ps();
    for (int k = 0; k < n_steps * ORDER_STEP; k++)
        for (int p = 0; p < n_panels; p++) {
            const __m512 weights =
                _mm512_loadu_ps((const float *)(w + (size_t)p * w_stride) + (size_t)k * KERNEL_PANEL);
            UNROLLED
            for (int i = 0; i < n_rows; i++)
                sum[i][p] =
                    _mm512_fmadd_ps(weights, _mm512_set1_ps(((const float *)(x + (size_t)i * x_stride))[k]), sum[i][p]);
        }
    UNROLLED
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
/* clang-format off */
#define BLOCKS(kind)                                                                                            \
    BLOCK(kind, 1, 1) BLOCK(kind, 2, 1) BLOCK(kind, 3, 1) BLOCK(kind, 4, 1) BLOCK(kind, 5, 1) BLOCK(kind, 6, 1) \
    BLOCK(kind, 1, 2) BLOCK(kind, 2, 2) BLOCK(kind, 3, 2) BLOCK(kind, 4, 2) BLOCK(kind, 5, 2) BLOCK(kind, 6, 2) \
    static block_fn *const kind##_table[2][ROWS_AT_ONCE] = {                                                    \
        {kind##_1_1, kind##_2_1, kind##_3_1, kind##_4_1, kind##_5_1, kind##_6_1},                               \
        {kind##_1_2, kind##_2_2, kind##_3_2, kind##_4_2, kind##_5_2, kind##_6_2}};
/* clang-format on */
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

/* A row of a tile-to-be, rounded as dtype_bf16_from_f32() does. */
static inline __m512i load_rounded(const float *row, __mmask16 mask) {
    const __m512 v = _mm512_maskz_loadu_ps(mask, row);
    const __m512i u = _mm512_castps_si512(v);
    const __mmask16 is_nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    const __mmask16 is_zero = _mm512_testn_epi32_mask(u, _mm512_set1_epi32(0x7f800000));
    const __m512i high = _mm512_and_si512(u, _mm512_set1_epi32((int)0xffff0000u));
    const __m512i rounded = _mm512_mask_or_epi32(round_bits(v), is_nan, high, _mm512_set1_epi32(0x400000));
    return _mm512_mask_and_epi32(rounded, is_zero, u, _mm512_set1_epi32((int)0x80000000u));
}

static void pack_tile_bf16(uint8_t *tile, const float *values, size_t stride, int n_k, int n_outputs) {
    const __mmask16 mask = (__mmask16)((1u << n_outputs) - 1);
    for (int r = 0; r < TILE_ROWS; r++) {
        const float *row = values + (size_t)(2 * r) * stride;
        __m512i even = _mm512_setzero_si512(), odd = even;
        if (2 * r < n_k) even = load_rounded(row, mask);
        if (2 * r + 1 < n_k) odd = load_rounded(row + stride, mask);
        _mm512_storeu_si512(tile + r * 64, _mm512_or_si512(_mm512_srli_epi32(even, 16), odd));
    }
}

/* A step of each type, ready to give the numbers of sixteen outputs at one k. */
struct step_codes {
    __m512 d[2], m; /* d[1]: of k >= 16 in Q6_K */
    __m512i words[4], high[2];
    const uint8_t *bytes;
};

static inline __m512 load_halves(const uint16_t *f16) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)f16));
}
static inline __m512 load_unsigned(const uint8_t *bytes) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)bytes)));
}
static inline __m512 load_signed(const uint8_t *bytes) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)bytes)));
}

__attribute__((always_inline)) static inline struct step_codes load_codes(const enum dtype d, const uint8_t *w, int s) {
    const struct panel_step p = panel_step_at(d, w, s);
    struct step_codes c = {.d = {load_halves(p.d)}, .bytes = p.codes};
    if (d == DTYPE_Q4_1) c.m = load_halves(p.m);
    if (d == DTYPE_Q4_K || d == DTYPE_Q5_K) {
        c.d[0] = _mm512_mul_ps(c.d[0], load_unsigned(p.scale));
        c.m = _mm512_mul_ps(load_halves(p.m), load_unsigned(p.minimum));
    }
    if (d == DTYPE_Q6_K) {
        c.d[1] = _mm512_mul_ps(c.d[0], load_signed(p.scale + KERNEL_PANEL));
        c.d[0] = _mm512_mul_ps(c.d[0], load_signed(p.scale));
    }
    if (d != DTYPE_Q8_0)
        for (int v = 0; v < 4; v++) c.words[v] = _mm512_loadu_si512(p.codes + 64 * v);
    for (int v = 0; v < (d == DTYPE_Q5_K ? 1 : d == DTYPE_Q6_K ? 2 : 0); v++)
        c.high[v] = _mm512_loadu_si512(p.high + 64 * v);
    return c;
}

/* table[low four bits of words >> shift]. */
__attribute__((always_inline)) static inline __m512 look_up(__m512i words, int shift, __m512 table) {
    return _mm512_permutexvar_ps(_mm512_srli_epi32(words, (unsigned)shift), table);
}

/* The codes of one k, less their bias and in Q6_K without their high bits. */
__attribute__((always_inline)) static inline __m512 code_values(const enum dtype d, const struct step_codes *c, int k) {
    const __m512 plain = _mm512_set_ps(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const int v = k / 8, i = k % 8;
    if (d == DTYPE_Q8_0) return load_signed(c->bytes + k * KERNEL_PANEL);
    if (d == DTYPE_Q4_0) return look_up(c->words[v], 4 * i, _mm512_sub_ps(plain, _mm512_set1_ps(8)));
    const __m512 low = look_up(c->words[v], 4 * i, plain);
    /* The tables of the high bits repeat: only the lowest one or two of the four index bits are theirs. */
    if (d == DTYPE_Q5_K)
        return _mm512_add_ps(
            low, look_up(c->high[0], 8 * v + i, _mm512_set_ps(16, 0, 16, 0, 16, 0, 16, 0, 16, 0, 16, 0, 16, 0, 16, 0)));
    return low;
}

/* What the high bits of a Q6_K code add to it, its bias taken away: a power of two or nothing, so that its product with
 * a scale is exact. */
__attribute__((always_inline)) static inline __m512 high_values(const struct step_codes *c, int k) {
    return look_up(c->high[k / 16], 16 * (k / 8 % 2) + 2 * (k % 8),
                   _mm512_set_ps(16, 0, -16, -32, 16, 0, -16, -32, 16, 0, -16, -32, 16, 0, -16, -32));
}

/* Rounded to bf16 and still sixteen floats, for finite numbers of ordinary size: their product with 2^16 + 1, less
 * 65,536 of them, is rounded where a bf16 ends (Veltkamp's splitting), and a tie has an even last bit to go to. */
static inline __m512 round_plain(__m512 a) {
    const __m512 high = _mm512_mul_ps(a, _mm512_set1_ps(65537));
    return _mm512_add_ps(high, _mm512_sub_ps(a, high));
}

__attribute__((always_inline)) static inline __m512 weights_at(const enum dtype d, const struct step_codes *c, int k) {
    const __m512 codes = code_values(d, c, k), scale = c->d[d == DTYPE_Q6_K ? k / 16 : 0];
    if (d == DTYPE_Q4_1) return round_plain(_mm512_fmadd_ps(codes, scale, c->m));
    if (d == DTYPE_Q4_K || d == DTYPE_Q5_K) return round_plain(_mm512_fmsub_ps(codes, scale, c->m));
    if (d == DTYPE_Q6_K) return round_plain(_mm512_fmadd_ps(codes, scale, _mm512_mul_ps(high_values(c, k), scale)));
    return round_plain(_mm512_mul_ps(codes, scale));
}

__attribute__((always_inline)) static inline void unpack(const enum dtype d, uint8_t *tiles, const uint8_t *w,
                                                         int n_steps) {
    for (int s = 0; s < n_steps; s++) {
        const struct step_codes c = load_codes(d, w, s);
        panel_prefetch(d, w, s);
        UNROLLED
        for (int r = 0; r < TILE_ROWS; r++) {
            const __m512i even = _mm512_castps_si512(weights_at(d, &c, 2 * r));
            const __m512i odd = _mm512_castps_si512(weights_at(d, &c, 2 * r + 1));
            _mm512_storeu_si512(tiles + s * 1024 + r * 64, _mm512_or_si512(_mm512_srli_epi32(even, 16), odd));
        }
    }
}

/* n_rows (a constant where this is inlined) against quantised panels: the numbers of a k are made once, in a register.
 */
__attribute__((always_inline)) static inline void few(const enum dtype d, float *c, size_t c_stride, const uint8_t *x,
                                                      size_t x_stride, const uint8_t *w, size_t w_stride, int n_panels,
                                                      int n_steps, bool add, const int n_rows) {
    for (int p = 0; p < n_panels; p++) {
        const uint8_t *panel = w + (size_t)p * w_stride;
        float *out = c + (size_t)p * KERNEL_PANEL;
        __m512 accumulator[FEW_ROWS];
        UNROLLED
        for (int i = 0; i < n_rows; i++)
            accumulator[i] = add ? _mm512_loadu_ps(out + (size_t)i * c_stride) : _mm512_setzero_ps();
        for (int s = 0; s < n_steps; s++) {
            const struct step_codes codes = load_codes(d, panel, s);
            __m512 e[FEW_ROWS], o[FEW_ROWS];
            panel_prefetch(d, panel, s);
            UNROLLED
            for (int i = 0; i < n_rows; i++) e[i] = o[i] = _mm512_setzero_ps();
            UNROLLED
            for (int r = 0; r < TILE_ROWS; r++) {
                const __m512 even = weights_at(d, &codes, 2 * r), odd = weights_at(d, &codes, 2 * r + 1);
                UNROLLED
                for (int i = 0; i < n_rows; i++) {
                    const float *values = (const float *)(x + (size_t)i * x_stride) + s * ORDER_STEP;
                    e[i] = _mm512_fmadd_ps(even, _mm512_set1_ps(values[2 * r]), e[i]);
                    o[i] = _mm512_fmadd_ps(odd, _mm512_set1_ps(values[2 * r + 1]), o[i]);
                }
            }
            UNROLLED
            for (int i = 0; i < n_rows; i++) accumulator[i] = _mm512_add_ps(accumulator[i], _mm512_add_ps(e[i], o[i]));
        }
        UNROLLED
        for (int i = 0; i < n_rows; i++) _mm512_storeu_ps(out + (size_t)i * c_stride, accumulator[i]);
    }
}

/* The entry points of each quantised type. */
#define ROWS(n, d)                                                                \
    case n:                                                                       \
        few(d, c, c_stride, x, x_stride, w, w_stride, n_panels, n_steps, add, n); \
        break;
#define TYPE(name, d)                                                                                               \
    static void unpack_##name(uint8_t *tiles, const uint8_t *w, int n_steps) { unpack(d, tiles, w, n_steps); }      \
    static void few_##name(float *c, size_t c_stride, const uint8_t *x, size_t x_stride, const uint8_t *w,          \
                           size_t w_stride, int n_rows, int n_panels, int n_steps, bool add) {                      \
        switch (n_rows) { ROWS(1, d) ROWS(2, d) ROWS(3, d) ROWS(4, d) ROWS(5, d) ROWS(6, d) ROWS(7, d) ROWS(8, d) } \
    }
TYPE(q8_0, DTYPE_Q8_0)
TYPE(q4_0, DTYPE_Q4_0)
TYPE(q4_1, DTYPE_Q4_1)
TYPE(q4_k, DTYPE_Q4_K)
TYPE(q5_k, DTYPE_Q5_K)
TYPE(q6_k, DTYPE_Q6_K)
#undef TYPE
#undef ROWS

kernel_product_fn *product_avx512_few(enum dtype d) {
    static kernel_product_fn *const kernels[DTYPE_COUNT] = {
        [DTYPE_Q8_0] = few_q8_0, [DTYPE_Q4_0] = few_q4_0, [DTYPE_Q4_1] = few_q4_1,
        [DTYPE_Q4_K] = few_q4_k, [DTYPE_Q5_K] = few_q5_k, [DTYPE_Q6_K] = few_q6_k};
    return kernels[d];
}

void product_fill_avx512(struct kernel_table *t) {
    t->bf16 = (struct kernel_product){product_bf16, pack_x_bf16, ORDER_STEP * sizeof(float), pack_tile_bf16, false};
    t->f32 =
        (struct kernel_product){product_f32, panel_pack_x_f32, ORDER_STEP * sizeof(float), panel_pack_tile_f32, false};
    t->unpack[DTYPE_Q8_0] = unpack_q8_0;
    t->unpack[DTYPE_Q4_0] = unpack_q4_0;
    t->unpack[DTYPE_Q4_1] = unpack_q4_1;
    t->unpack[DTYPE_Q4_K] = unpack_q4_k;
    t->unpack[DTYPE_Q5_K] = unpack_q5_k;
    t->unpack[DTYPE_Q6_K] = unpack_q6_k;
    t->few_rows = FEW_ROWS;
    for (int d = DTYPE_Q8_0; d < DTYPE_COUNT; d++) t->few[d] = product_avx512_few((enum dtype)d);
}
