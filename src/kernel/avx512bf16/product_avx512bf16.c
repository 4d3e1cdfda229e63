/* product_avx512bf16.c: bf16 products by vdpbf16ps, which adds two products to each lane.
 *
 * The instruction computes, for each lane, fma(high halves), then fma(low halves) on its result, subnormals flushed. So
 * where a pair holds two neighbours of one chain (k and k + 2, the earlier one high), eight instructions are the even
 * chain of a step and eight the odd one: the canonical order (order.h) at two products a lane, with no widening.
 *
 * Tile: word r * 16 + output holds, for r < 8, k = 4r (high) and 4r + 2 (low); for r >= 8, k = 4(r - 8) + 1 and + 3.
 * 4-bit codes: four vectors of 16 words; vectors 0 and 1 hold the even rows of outputs 0-7 and 8-15, 2 and 3 the odd
 * ones; a word is the pair half of an output and its nibble r is the code of tile row r. 8-bit codes lie like the
 * tile's numbers. A row of activations has the same pairs, 64 bytes a step. */
#include <immintrin.h>

#include "kernel/panel.h"
#include "kernel/rows_fill.h"
#include "kernel/unroll.h"

enum { ROWS_AT_ONCE = 6, FEW_ROWS = 8, ROW_PAIRS = 8 };

static inline __m512bh pairs_of(__m512i v) { return (__m512bh)v; }

static inline __m512bh broadcast_pair(const uint8_t *x, int r) {
    int32_t pair;
    __builtin_memcpy(&pair, x + r * 4, 4);
    return pairs_of(_mm512_set1_epi32(pair));
}

/* One chain of a step, even (half 0) or odd, for n_rows x n_panels outputs. */
__attribute__((always_inline)) static inline void chains(__m512 chain[ROWS_AT_ONCE][2], const uint8_t *x,
                                                         size_t x_stride, const uint8_t *w, size_t w_stride,
                                                         const int half, const int n_rows, const int n_panels) {
    const uint8_t *const x_3 = x + 3 * x_stride;
    UNROLLED
    for (int i = 0; i < n_rows; i++) chain[i][0] = chain[i][1] = _mm512_setzero_ps();
    UNROLLED
    for (int r = half * ROW_PAIRS; r < (half + 1) * ROW_PAIRS; r++) {
        __m512bh weights[2];
        UNROLLED
        for (int p = 0; p < n_panels; p++) weights[p] = pairs_of(_mm512_loadu_si512(w + (size_t)p * w_stride + r * 64));
        UNROLLED
        for (int i = 0; i < n_rows; i++) {
            const __m512bh pair =
                broadcast_pair(i < 3 ? x + (size_t)i * x_stride : x_3 + (size_t)(i - 3) * x_stride, r);
            UNROLLED
            for (int p = 0; p < n_panels; p++) chain[i][p] = _mm512_dpbf16_ps(chain[i][p], weights[p], pair);
        }
    }
}

/* n_rows x n_panels outputs (both constants where this is inlined): one step at a time, accumulators in c. */
__attribute__((always_inline)) static inline void block(float *c, size_t c_stride, const uint8_t *x, size_t x_stride,
                                                        const uint8_t *w, size_t w_stride, int n_steps, bool add,
                                                        const int n_rows, const int n_panels) {
    for (int s = 0; s < n_steps; s++, x += 64, w += 1024) {
        __m512 e[ROWS_AT_ONCE][2], o[ROWS_AT_ONCE][2];
        chains(e, x, x_stride, w, w_stride, 0, n_rows, n_panels);
        chains(o, x, x_stride, w, w_stride, 1, n_rows, n_panels);
        UNROLLED
        for (int i = 0; i < n_rows; i++) {
            UNROLLED
            for (int p = 0; p < n_panels; p++) {
                float *out = c + (size_t)i * c_stride + (size_t)p * KERNEL_PANEL;
                const __m512 before = s > 0 || add ? _mm512_loadu_ps(out) : _mm512_setzero_ps();
                _mm512_storeu_ps(out, _mm512_add_ps(before, _mm512_add_ps(e[i][p], o[i][p])));
            }
        }
    }
}

typedef void block_fn(float *c, size_t c_stride, const uint8_t *x, size_t x_stride, const uint8_t *w, size_t w_stride,
                      int n_steps, bool add);

#define BLOCK(rows, panels)                                                                           \
    static void block_##rows##_##panels(float *c, size_t c_stride, const uint8_t *x, size_t x_stride, \
                                        const uint8_t *w, size_t w_stride, int n_steps, bool add) {   \
        block(c, c_stride, x, x_stride, w, w_stride, n_steps, add, rows, panels);                     \
    }
BLOCK(1, 1)
BLOCK(2, 1)
BLOCK(3, 1)
BLOCK(4, 1)
BLOCK(5, 1)
BLOCK(6, 1)
BLOCK(1, 2)
BLOCK(2, 2)
BLOCK(3, 2)
BLOCK(4, 2)
BLOCK(5, 2)
BLOCK(6, 2)
#undef BLOCK

static void product_bf16(float *c, size_t c_stride, const uint8_t *x, size_t x_stride, const uint8_t *w,
                         size_t w_stride, int n_rows, int n_panels, int n_steps, bool add) {
    static block_fn *const blocks[2][ROWS_AT_ONCE] = {
        {block_1_1, block_2_1, block_3_1, block_4_1, block_5_1, block_6_1},
        {block_1_2, block_2_2, block_3_2, block_4_2, block_5_2, block_6_2},
    };
    /* Rows are shared out evenly: a block of two takes nearly as long as one of four. */
    const int n_blocks = (n_rows + ROWS_AT_ONCE - 1) / ROWS_AT_ONCE;
    for (int p = 0; p < n_panels; p += 2) {
        const int n_p = n_panels - p < 2 ? 1 : 2;
        for (int row = 0, left = n_blocks, n_r; left > 0; row += n_r, left--) {
            n_r = (n_rows - row + left - 1) / left;
            blocks[n_p - 1][n_r - 1](c + (size_t)row * c_stride + (size_t)p * KERNEL_PANEL, c_stride,
                                     x + (size_t)row * x_stride, x_stride, w + (size_t)p * w_stride, w_stride, n_steps,
                                     add);
        }
    }
}

/* The k behind word place 2r + high of a step. */
static int pair_k(int r, int high) {
    return r < ROW_PAIRS ? 4 * r + (high ? 0 : 2) : 4 * (r - ROW_PAIRS) + (high ? 1 : 3);
}

static void pack_x(uint8_t *x, const float *values, int n) {
    const __m512i places = _mm512_set_epi16(29, 31, 25, 27, 21, 23, 17, 19, 13, 15, 9, 11, 5, 7, 1, 3, 28, 30, 24, 26,
                                            20, 22, 16, 18, 12, 14, 8, 10, 4, 6, 0, 2);
    for (int k = 0; k < n; k += ORDER_STEP) {
        const int left = n - k;
        const __mmask16 low = left >= 16 ? 0xffff : (__mmask16)((1u << left) - 1);
        const __mmask16 high = left >= 32 ? 0xffff : left <= 16 ? 0 : (__mmask16)((1u << (left - 16)) - 1);
        const __m512 a = _mm512_maskz_loadu_ps(low, values + k), b = _mm512_maskz_loadu_ps(high, values + k + 16);
        const __m512i rounded = (__m512i)_mm512_cvtne2ps_pbh(b, a);
        _mm512_storeu_si512(x + k * 2, _mm512_permutexvar_epi16(places, rounded));
    }
}

/* Row k of a tile-to-be, zeros behind the last. */
static inline __m512 load_row(const float *values, size_t stride, int k, int n_k, __mmask16 mask) {
    return k < n_k ? _mm512_maskz_loadu_ps(mask, values + (size_t)k * stride) : _mm512_setzero_ps();
}

static void pack_tile(uint8_t *tile, const float *values, size_t stride, int n_k, int n_outputs) {
    const __m512i interleaved = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7,
                                                 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    const __mmask16 mask = (__mmask16)((1u << n_outputs) - 1);
    for (int r = 0; r < 2 * ROW_PAIRS; r++) {
        const __m512 low = load_row(values, stride, pair_k(r, 0), n_k, mask);
        const __m512 high = load_row(values, stride, pair_k(r, 1), n_k, mask);
        const __m512i rounded = (__m512i)_mm512_cvtne2ps_pbh(high, low);
        _mm512_storeu_si512(tile + r * 64, _mm512_permutexvar_epi16(interleaved, rounded));
    }
}

/* The 16 scales of a step for outputs 0-7 and 8-15, each twice: once for each half of a pair. */
struct scales {
    __m512 low, high;
};

static inline struct scales twice(__m512 all) {
    const __m512i places = _mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
    return (struct scales){_mm512_permutexvar_ps(places, all),
                           _mm512_permutexvar_ps(_mm512_add_epi32(places, _mm512_set1_epi32(8)), all)};
}

static inline __m512 halves(const uint16_t *f16) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)f16)); }
static inline __m512 unsigned_values(const uint8_t *bytes) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)bytes)));
}
static inline struct scales load_scales(const uint16_t *f16) { return twice(halves(f16)); }

/* A step of each type, ready to give the rows of its tile. */
struct step_codes {
    struct scales d[2], m; /* d[1]: of k >= 16 in Q6_K */
    __m512i words[4], high[2];
    const uint8_t *bytes;
};

__attribute__((always_inline)) static inline struct scales times_bytes(struct scales s, const uint8_t *bytes,
                                                                       bool is_signed) {
    const __m128i raw = _mm_loadu_si128((const __m128i *)bytes);
    const struct scales f =
        twice(_mm512_cvtepi32_ps(is_signed ? _mm512_cvtepi8_epi32(raw) : _mm512_cvtepu8_epi32(raw)));
    return (struct scales){_mm512_mul_ps(s.low, f.low), _mm512_mul_ps(s.high, f.high)};
}

__attribute__((always_inline)) static inline struct step_codes load_codes(const enum dtype d, const uint8_t *w, int s) {
    const struct panel_step p = panel_step_at(d, w, s);
    struct step_codes c = {.d = {load_scales(p.d)}, .bytes = p.codes};
    if (d == DTYPE_Q4_1) c.m = load_scales(p.m);
    if (d == DTYPE_Q4_K || d == DTYPE_Q5_K) {
        c.d[0] = twice(_mm512_mul_ps(halves(p.d), unsigned_values(p.scale)));
        c.m = twice(_mm512_mul_ps(halves(p.m), unsigned_values(p.minimum)));
    }
    if (d == DTYPE_Q6_K) {
        c.d[1] = times_bytes(c.d[0], p.scale + KERNEL_PANEL, true);
        c.d[0] = times_bytes(c.d[0], p.scale, true);
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

static inline __m512 byte_values(const uint8_t *bytes) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)bytes)));
}

/* The codes, less their bias and in Q6_K without their high bits, of tile row `half` * 8 + r: outputs 0-7 (v = 2 *
 * half) or 8-15 (v = 2 * half + 1). */
__attribute__((always_inline)) static inline __m512 code_values(const enum dtype d, const struct step_codes *c, int v,
                                                                int r) {
    const __m512 plain = _mm512_set_ps(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    if (d == DTYPE_Q4_0) return look_up(c->words[v], 4 * r, _mm512_sub_ps(plain, _mm512_set1_ps(8)));
    const __m512 low = look_up(c->words[v], 4 * r, plain);
    /* The tables of the high bits repeat: only the lowest one or two of the four index bits are theirs. */
    if (d == DTYPE_Q5_K)
        return _mm512_add_ps(
            low, look_up(c->high[0], 8 * v + r, _mm512_set_ps(16, 0, 16, 0, 16, 0, 16, 0, 16, 0, 16, 0, 16, 0, 16, 0)));
    return low;
}

/* What the high bits of a Q6_K code add to it, its bias taken away: a power of two or nothing, so that its product with
 * a scale is exact. */
__attribute__((always_inline)) static inline __m512 high_values(const struct step_codes *c, int v, int r) {
    return look_up(c->high[v / 2], 16 * (v % 2) + 2 * r,
                   _mm512_set_ps(16, 0, -16, -32, 16, 0, -16, -32, 16, 0, -16, -32, 16, 0, -16, -32));
}

__attribute__((always_inline)) static inline __m512bh tile_row(const enum dtype d, const struct step_codes *c, int half,
                                                               int r) {
    const struct scales scale = c->d[d == DTYPE_Q6_K ? r / 4 : 0];
    __m512 low, high;
    if (d == DTYPE_Q8_0) {
        const uint8_t *bytes = c->bytes + (half * ROW_PAIRS + r) * 32;
        low = byte_values(bytes);
        high = byte_values(bytes + 16);
    } else {
        low = code_values(d, c, 2 * half, r);
        high = code_values(d, c, 2 * half + 1, r);
    }
    if (d == DTYPE_Q6_K) {
        const __m512 low_high = _mm512_mul_ps(high_values(c, 2 * half, r), scale.low);
        const __m512 high_high = _mm512_mul_ps(high_values(c, 2 * half + 1, r), scale.high);
        return _mm512_cvtne2ps_pbh(_mm512_fmadd_ps(high, scale.high, high_high),
                                   _mm512_fmadd_ps(low, scale.low, low_high));
    }
    if (d == DTYPE_Q4_1)
        return _mm512_cvtne2ps_pbh(_mm512_fmadd_ps(high, scale.high, c->m.high),
                                   _mm512_fmadd_ps(low, scale.low, c->m.low));
    if (d == DTYPE_Q4_K || d == DTYPE_Q5_K)
        return _mm512_cvtne2ps_pbh(_mm512_fmsub_ps(high, scale.high, c->m.high),
                                   _mm512_fmsub_ps(low, scale.low, c->m.low));
    return _mm512_cvtne2ps_pbh(_mm512_mul_ps(high, scale.high), _mm512_mul_ps(low, scale.low));
}

__attribute__((always_inline)) static inline void unpack(const enum dtype d, uint8_t *tiles, const uint8_t *w,
                                                         int n_steps) {
    for (int s = 0; s < n_steps; s++) {
        const struct step_codes c = load_codes(d, w, s);
        panel_prefetch(d, w, s);
        for (int half = 0; half < 2; half++) {
            UNROLLED
            for (int r = 0; r < ROW_PAIRS; r++)
                _mm512_storeu_si512(tiles + s * 1024 + (half * ROW_PAIRS + r) * 64, (__m512i)tile_row(d, &c, half, r));
        }
    }
}

/* n_rows (a constant where this is inlined) against quantised panels: each row of a tile is made once, in a register.
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
            __m512 chain[FEW_ROWS][2];
            panel_prefetch(d, panel, s);
            UNROLLED
            for (int i = 0; i < n_rows; i++) chain[i][0] = chain[i][1] = _mm512_setzero_ps();
            UNROLLED
            for (int r = 0; r < ROW_PAIRS; r++) {
                UNROLLED
                for (int half = 0; half < 2; half++) {
                    const __m512bh weights = tile_row(d, &codes, half, r);
                    UNROLLED
                    for (int i = 0; i < n_rows; i++)
                        chain[i][half] =
                            _mm512_dpbf16_ps(chain[i][half], weights,
                                             broadcast_pair(x + (size_t)i * x_stride + s * 64, half * ROW_PAIRS + r));
                }
            }
            UNROLLED
            for (int i = 0; i < n_rows; i++)
                accumulator[i] = _mm512_add_ps(accumulator[i], _mm512_add_ps(chain[i][0], chain[i][1]));
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

/* The word of k = j, j + 4, .. j + 28 for each j: low halves of bytes j, j + 4, j + 8, j + 12, then their high halves.
 */
static void pack_nibbles(uint8_t *codes, int output, const uint8_t *q) {
    static const uint8_t vector_of[4] = {0, 2, 0, 2}, high_of[4] = {1, 1, 0, 0};
    uint32_t quads[4];
    __builtin_memcpy(quads, q, sizeof quads);
    for (int j = 0; j < 4; j++) {
        uint32_t word = 0;
        for (int r = 0; r < ROW_PAIRS; r++) word |= (quads[r % 4] >> (8 * j + r / 4 * 4) & 15u) << 4 * r;
        ((uint32_t *)codes)[(vector_of[j] + output / 8) * 16 + output % 8 * 2 + high_of[j]] = word;
    }
}

static void pack_row(uint8_t *tile, int output, const uint16_t values[ORDER_STEP]) {
    uint32_t *words = (uint32_t *)tile + output;
    for (int r = 0; r < ROW_PAIRS; r++) {
        const uint16_t *v = values + 4 * r;
        words[r * KERNEL_PANEL] = (uint32_t)v[0] << 16 | v[2];
        words[(r + ROW_PAIRS) * KERNEL_PANEL] = (uint32_t)v[1] << 16 | v[3];
    }
}

/* Tile row r of k = 4r + j; its even rows are vectors 0 and 1, its odd ones 2 and 3; the earlier k of a pair is high.
 */
static struct kernel_code_place place_of(int output, int k) {
    const int j = k % 4;
    return (struct kernel_code_place){(uint8_t)(j % 2 * 2 + output / 8), (uint8_t)(output % 8 * 2 + (j < 2)),
                                      (uint8_t)(k / 4)};
}

static void pack_bytes(uint8_t *codes, int output, const uint8_t *q) {
    for (int r = 0; r < 2 * ROW_PAIRS; r++) {
        codes[r * 32 + output * 2] = q[pair_k(r, 0)];
        codes[r * 32 + output * 2 + 1] = q[pair_k(r, 1)];
    }
}

void product_fill_avx512bf16(struct kernel_table *t) {
    t->bf16 = (struct kernel_product){product_bf16, pack_x, 64, pack_tile, true};
    t->unpack[DTYPE_Q8_0] = unpack_q8_0;
    t->unpack[DTYPE_Q4_0] = unpack_q4_0;
    t->unpack[DTYPE_Q4_1] = unpack_q4_1;
    t->few[DTYPE_Q8_0] = few_q8_0;
    t->few[DTYPE_Q4_0] = few_q4_0;
    t->few[DTYPE_Q4_1] = few_q4_1;
    t->unpack[DTYPE_Q4_K] = unpack_q4_k;
    t->unpack[DTYPE_Q5_K] = unpack_q5_k;
    t->unpack[DTYPE_Q6_K] = unpack_q6_k;
    t->few[DTYPE_Q4_K] = few_q4_k;
    t->few[DTYPE_Q5_K] = few_q5_k;
    t->few[DTYPE_Q6_K] = few_q6_k;
    t->few_rows = FEW_ROWS;
    t->pack_row = pack_row;
    t->pack_nibbles = pack_nibbles;
    t->pack_bytes = pack_bytes;
    for (int n = 0; n < KERNEL_PANEL; n++) {
        for (int k = 0; k < ORDER_STEP; k++) t->code_place[n][k] = place_of(n, k);
        for (int r = 0; r < 2 * ROW_PAIRS; r++)
            for (int high = 0; high < 2; high++) t->tile_offset[n][pair_k(r, high)] = (uint16_t)(r * 32 + n * 2 + high);
    }
}
