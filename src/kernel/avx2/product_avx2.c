/* product_avx2.c: products by fused multiply-adds on eight outputs at once; tiles as in ref/product_ref.c. */
#include <immintrin.h>

#include "kernel/panel.h"
#include "kernel/rows_fill.h"
#include "kernel/unroll.h"

enum { BF16_ROWS = 2, F32_ROWS = 4, FEW_ROWS = 4, TILE_ROWS = ORDER_STEP / 2, HALF = 8 };

static inline __m256 even_of(__m256i pairs) { return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16)); }
static inline __m256 odd_of(__m256i pairs) {
    return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32((int)0xffff0000u)));
}

/* n_rows (a constant where this is inlined) x the 16 outputs of one panel, in two halves that share each broadcast. */
__attribute__((always_inline)) static inline void block_bf16(float *c, size_t c_stride, const uint8_t *x,
                                                             size_t x_stride, const uint8_t *w, int n_steps, bool add,
                                                             const int n_rows) {
    for (int s = 0; s < n_steps; s++) {
        __m256 e[BF16_ROWS][2], o[BF16_ROWS][2];
        UNROLLED
        for (int i = 0; i < n_rows; i++)
            for (int h = 0; h < 2; h++) e[i][h] = o[i][h] = _mm256_setzero_ps();
        UNROLLED
        for (int r = 0; r < TILE_ROWS; r++) {
            __m256 even[2], odd[2];
            for (int h = 0; h < 2; h++) {
                const __m256i pairs =
                    _mm256_loadu_si256((const __m256i *)(w + (size_t)s * 1024 + (size_t)r * 64 + h * 32));
                even[h] = even_of(pairs);
                odd[h] = odd_of(pairs);
            }
            UNROLLED
            for (int i = 0; i < n_rows; i++) {
                const float *values = (const float *)(x + (size_t)i * x_stride) + s * ORDER_STEP + 2 * r;
                const __m256 x_even = _mm256_broadcast_ss(values), x_odd = _mm256_broadcast_ss(values + 1);
                for (int h = 0; h < 2; h++) {
                    e[i][h] = _mm256_fmadd_ps(even[h], x_even, e[i][h]);
                    o[i][h] = _mm256_fmadd_ps(odd[h], x_odd, o[i][h]);
                }
            }
        }
        UNROLLED
        for (int i = 0; i < n_rows; i++)
            for (int h = 0; h < 2; h++) {
                float *out = c + (size_t)i * c_stride + h * HALF;
                const __m256 before = s > 0 || add ? _mm256_loadu_ps(out) : _mm256_setzero_ps();
                _mm256_storeu_ps(out, _mm256_add_ps(before, _mm256_add_ps(e[i][h], o[i][h])));
            }
    }
}

__attribute__((always_inline)) static inline void block_f32(float *c, size_t c_stride, const uint8_t *x,
                                                            size_t x_stride, const uint8_t *w, int n_steps, bool add,
                                                            const int n_rows) {
    __m256 sum[F32_ROWS][2];
    UNROLLED
    for (int i = 0; i < n_rows; i++)
        for (int h = 0; h < 2; h++)
            sum[i][h] = add ? _mm256_loadu_ps(c + (size_t)i * c_stride + h * HALF) : _mm256_setzero_ps();
    for (int k = 0; k < n_steps * ORDER_STEP; k++) {
        const float *weights = (const float *)w + (size_t)k * KERNEL_PANEL;
        const __m256 low = _mm256_loadu_ps(weights), high = _mm256_loadu_ps(weights + HALF);
        UNROLLED
        for (int i = 0; i < n_rows; i++) {
            const __m256 value = _mm256_broadcast_ss((const float *)(x + (size_t)i * x_stride) + k);
            sum[i][0] = _mm256_fmadd_ps(low, value, sum[i][0]);
            sum[i][1] = _mm256_fmadd_ps(high, value, sum[i][1]);
        }
    }
    UNROLLED
    for (int i = 0; i < n_rows; i++)
        for (int h = 0; h < 2; h++) _mm256_storeu_ps(c + (size_t)i * c_stride + h * HALF, sum[i][h]);
}

typedef void block_fn(float *c, size_t c_stride, const uint8_t *x, size_t x_stride, const uint8_t *w, int n_steps,
                      bool add);

#define BLOCK(kind, rows)                                                                                     \
    static void kind##_##rows(float *c, size_t c_stride, const uint8_t *x, size_t x_stride, const uint8_t *w, \
                              int n_steps, bool add) {                                                        \
        kind(c, c_stride, x, x_stride, w, n_steps, add, rows);                                                \
    }
BLOCK(block_bf16, 1)
BLOCK(block_bf16, 2)
BLOCK(block_f32, 1)
BLOCK(block_f32, 2)
BLOCK(block_f32, 3)
BLOCK(block_f32, 4)
#undef BLOCK

static void product_bf16(float *c, size_t c_stride, const uint8_t *x, size_t x_stride, const uint8_t *w,
                         size_t w_stride, int n_rows, int n_panels, int n_steps, bool add) {
    static block_fn *const blocks[BF16_ROWS] = {block_bf16_1, block_bf16_2};
    for (int p = 0; p < n_panels; p++)
        for (int row = 0; row < n_rows; row += BF16_ROWS)
            blocks[n_rows - row < BF16_ROWS ? n_rows - row - 1 : BF16_ROWS - 1](
                c + (size_t)row * c_stride + (size_t)p * KERNEL_PANEL, c_stride, x + (size_t)row * x_stride, x_stride,
                w + (size_t)p * w_stride, n_steps, add);
}

static void product_f32(float *c, size_t c_stride, const uint8_t *x, size_t x_stride, const uint8_t *w, size_t w_stride,
                        int n_rows, int n_panels, int n_steps, bool add) {
    static block_fn *const blocks[F32_ROWS] = {block_f32_1, block_f32_2, block_f32_3, block_f32_4};
    for (int p = 0; p < n_panels; p++)
        for (int row = 0; row < n_rows; row += F32_ROWS)
            blocks[n_rows - row < F32_ROWS ? n_rows - row - 1 : F32_ROWS - 1](
                c + (size_t)row * c_stride + (size_t)p * KERNEL_PANEL, c_stride, x + (size_t)row * x_stride, x_stride,
                w + (size_t)p * w_stride, n_steps, add);
}

/* Rounded to bf16 and still eight floats; for numbers that are not NaN or subnormal. */
static inline __m256i round_bits(__m256 a) {
    const __m256i u = _mm256_castps_si256(a);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
    return _mm256_and_si256(_mm256_add_epi32(_mm256_add_epi32(u, odd), _mm256_set1_epi32(0x7fff)),
                            _mm256_set1_epi32((int)0xffff0000u));
}

/* Rounded as dtype_bf16_from_f32() does: subnormals become zero under DAZ, a NaN stays a quiet one. */
static inline __m256i round_any(__m256 a) {
    const __m256 is_nan = _mm256_cmp_ps(a, a, _CMP_UNORD_Q);
    const __m256i high = _mm256_and_si256(_mm256_castps_si256(a), _mm256_set1_epi32((int)0xffff0000u));
    const __m256i quiet = _mm256_or_si256(high, _mm256_set1_epi32(0x400000));
    const __m256i rounded = round_bits(_mm256_add_ps(a, _mm256_setzero_ps()));
    return _mm256_blendv_epi8(rounded, quiet, _mm256_castps_si256(is_nan));
}

static void pack_x_bf16(uint8_t *x, const float *values, int n) {
    float *out = (float *)x;
    const int whole = n / HALF * HALF, padded = (n + ORDER_STEP - 1) / ORDER_STEP * ORDER_STEP;
    for (int k = 0; k < whole; k += HALF)
        _mm256_storeu_si256((__m256i *)(out + k), round_any(_mm256_loadu_ps(values + k)));
    for (int k = whole; k < padded; k += HALF) {
        const __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(n - k), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
        const __m256 v = n > k ? _mm256_maskload_ps(values + k, mask) : _mm256_setzero_ps();
        _mm256_storeu_si256((__m256i *)(out + k), round_any(v));
    }
}

/* Rounded as round_any() does, but a zero keeps its sign. */
static inline __m256i round_signed(__m256 a) {
    const __m256i u = _mm256_castps_si256(a), exponent = _mm256_set1_epi32(0x7f800000);
    const __m256i is_zero = _mm256_cmpeq_epi32(_mm256_and_si256(u, exponent), _mm256_setzero_si256());
    const __m256i sign = _mm256_and_si256(u, _mm256_set1_epi32((int)0x80000000u));
    return _mm256_blendv_epi8(round_any(a), sign, is_zero);
}

static void pack_tile_bf16(uint8_t *tile, const float *values, size_t stride, int n_k, int n_outputs) {
    const __m256i places = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    for (int half = 0; half < 2; half++) {
        const __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32(n_outputs - half * HALF), places);
        for (int r = 0; r < TILE_ROWS; r++) {
            const float *row = values + (size_t)(2 * r) * stride + half * HALF;
            __m256i even = _mm256_setzero_si256(), odd = even;
            if (2 * r < n_k) even = round_signed(_mm256_maskload_ps(row, mask));
            if (2 * r + 1 < n_k) odd = round_signed(_mm256_maskload_ps(row + stride, mask));
            _mm256_storeu_si256((__m256i *)(tile + r * 64 + half * 32),
                                _mm256_or_si256(_mm256_srli_epi32(even, 16), odd));
        }
    }
}

/* A step of each type, ready to give the numbers of eight outputs at one k. */
struct step_codes {
    __m256 d[2], m;  /* d[1]: of k >= 16 in Q6_K */
    __m256 place[8]; /* 4-bit types: d for the codes of each nibble, which are left in their place */
    __m256i words[4], high[2];
    const uint8_t *bytes;
};

static inline __m256 load_halves(const uint16_t *f16) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)f16)); }
static inline __m256 load_unsigned(const uint8_t *bytes) {
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)bytes)));
}
static inline __m256 load_signed(const uint8_t *bytes) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)bytes)));
}

__attribute__((always_inline)) static inline struct step_codes load_codes(const enum dtype d, const uint8_t *w, int s,
                                                                          int half) {
    const struct panel_step p = panel_step_at(d, w, s);
    const int n = half * HALF;
    struct step_codes c = {.d = {load_halves(p.d + n)}, .bytes = p.codes + n};
    if (d == DTYPE_Q4_0) c.m = _mm256_mul_ps(c.d[0], _mm256_set1_ps(8));
    if (d == DTYPE_Q4_1) c.m = load_halves(p.m + n);
    if (d == DTYPE_Q4_K || d == DTYPE_Q5_K) {
        c.d[0] = _mm256_mul_ps(c.d[0], load_unsigned(p.scale + n));
        c.m = _mm256_mul_ps(load_halves(p.m + n), load_unsigned(p.minimum + n));
    }
    c.place[0] = c.place[7] = c.d[0];
    for (int i = 1; i < 7; i++) c.place[i] = _mm256_mul_ps(c.d[0], _mm256_set1_ps(1.0f / (float)(1 << 4 * i)));
    if (d == DTYPE_Q6_K) {
        c.d[1] = _mm256_mul_ps(c.d[0], load_signed(p.scale + KERNEL_PANEL + n));
        c.d[0] = _mm256_mul_ps(c.d[0], load_signed(p.scale + n));
    }
    if (d != DTYPE_Q8_0)
        for (int v = 0; v < 4; v++) c.words[v] = _mm256_loadu_si256((const __m256i *)(p.codes + 64 * v + 4 * n));
    for (int v = 0; v < (d == DTYPE_Q5_K ? 1 : d == DTYPE_Q6_K ? 2 : 0); v++)
        c.high[v] = _mm256_loadu_si256((const __m256i *)(p.high + 64 * v + 4 * n));
    return c;
}

/* Bits `from` .. of the words moved to bits `to` .. of a mask. */
__attribute__((always_inline)) static inline __m256i bits_of(__m256i words, int from, int to, int mask) {
    if (from > to) words = _mm256_srli_epi32(words, from - to);
    if (from < to) words = _mm256_slli_epi32(words, to - from);
    return _mm256_and_si256(words, _mm256_set1_epi32(mask));
}

static inline bool is_nibbles(const enum dtype d) { return d == DTYPE_Q4_0 || d == DTYPE_Q4_1 || d == DTYPE_Q4_K; }

/* Nibble i of the words, in place: 16^i times the code. The last one comes down, for its place is the sign's. */
__attribute__((always_inline)) static inline __m256 nibble(__m256i words, int i) {
    if (i == 7) return _mm256_cvtepi32_ps(_mm256_srli_epi32(words, 28));
    return _mm256_cvtepi32_ps(_mm256_and_si256(words, _mm256_set1_epi32(15 << 4 * i)));
}

/* The codes of one k, in Q6_K with their bias, of the types that have no nibbles alone. */
__attribute__((always_inline)) static inline __m256 code_values(const enum dtype d, const struct step_codes *c, int k) {
    const int v = k / 8, i = k % 8;
    if (d == DTYPE_Q8_0) return load_signed(c->bytes + k * KERNEL_PANEL);
    __m256i code = bits_of(c->words[v], 4 * i, 0, 15);
    if (d == DTYPE_Q5_K) code = _mm256_or_si256(code, bits_of(c->high[0], 8 * v + i, 4, 16));
    if (d == DTYPE_Q6_K) code = _mm256_or_si256(code, bits_of(c->high[v / 2], 16 * (v % 2) + 2 * i, 4, 48));
    return _mm256_cvtepi32_ps(code);
}

/* Rounded to bf16 and still eight floats, for finite numbers of ordinary size: their product with 2^16 + 1, less
 * 65,536 of them, is rounded where a bf16 ends (Veltkamp's splitting), and a tie has an even last bit to go to. */
static inline __m256 round_plain(__m256 a) {
    const __m256 high = _mm256_mul_ps(a, _mm256_set1_ps(65537));
    return _mm256_add_ps(high, _mm256_sub_ps(a, high));
}

__attribute__((always_inline)) static inline __m256 weights_at(const enum dtype d, const struct step_codes *c, int k) {
    if (is_nibbles(d)) {
        const __m256 code = nibble(c->words[k / 8], k % 8), scale = c->place[k % 8];
        return round_plain(d == DTYPE_Q4_1 ? _mm256_fmadd_ps(code, scale, c->m) : _mm256_fmsub_ps(code, scale, c->m));
    }
    const __m256 code = code_values(d, c, k), scale = c->d[d == DTYPE_Q6_K ? k / 16 : 0];
    if (d == DTYPE_Q5_K) return round_plain(_mm256_fmsub_ps(code, scale, c->m));
    if (d == DTYPE_Q6_K) return round_plain(_mm256_fmsub_ps(code, scale, _mm256_mul_ps(scale, _mm256_set1_ps(32))));
    return round_plain(_mm256_mul_ps(code, scale));
}

__attribute__((always_inline)) static inline void unpack(const enum dtype d, uint8_t *tiles, const uint8_t *w,
                                                         int n_steps) {
    for (int s = 0; s < n_steps; s++) {
        panel_prefetch(d, w, s);
        for (int half = 0; half < 2; half++) {
            const struct step_codes c = load_codes(d, w, s, half);
            UNROLLED
            for (int r = 0; r < TILE_ROWS; r++) {
                const __m256i even = _mm256_castps_si256(weights_at(d, &c, 2 * r));
                const __m256i odd = _mm256_castps_si256(weights_at(d, &c, 2 * r + 1));
                _mm256_storeu_si256((__m256i *)(tiles + s * 1024 + r * 64 + half * 32),
                                    _mm256_or_si256(_mm256_srli_epi32(even, 16), odd));
            }
        }
    }
}

/* n_rows (a constant where this is inlined) against eight outputs of a quantised panel. */
__attribute__((always_inline)) static inline void few_half(const enum dtype d, float *c, size_t c_stride,
                                                           const uint8_t *x, size_t x_stride, const uint8_t *w,
                                                           int n_steps, bool add, int half, const int n_rows) {
    __m256 accumulator[FEW_ROWS];
    UNROLLED
    for (int i = 0; i < n_rows; i++)
        accumulator[i] = add ? _mm256_loadu_ps(c + (size_t)i * c_stride) : _mm256_setzero_ps();
    for (int s = 0; s < n_steps; s++) {
        const struct step_codes codes = load_codes(d, w, s, half);
        __m256 e[FEW_ROWS], o[FEW_ROWS];
        panel_prefetch(d, w, s);
        UNROLLED
        for (int i = 0; i < n_rows; i++) e[i] = o[i] = _mm256_setzero_ps();
        UNROLLED
        for (int r = 0; r < TILE_ROWS; r++) {
            const __m256 even = weights_at(d, &codes, 2 * r), odd = weights_at(d, &codes, 2 * r + 1);
            UNROLLED
            for (int i = 0; i < n_rows; i++) {
                const float *values = (const float *)(x + (size_t)i * x_stride) + s * ORDER_STEP;
                e[i] = _mm256_fmadd_ps(even, _mm256_broadcast_ss(values + 2 * r), e[i]);
                o[i] = _mm256_fmadd_ps(odd, _mm256_broadcast_ss(values + 2 * r + 1), o[i]);
            }
        }
        UNROLLED
        for (int i = 0; i < n_rows; i++) accumulator[i] = _mm256_add_ps(accumulator[i], _mm256_add_ps(e[i], o[i]));
    }
    UNROLLED
    for (int i = 0; i < n_rows; i++) _mm256_storeu_ps(c + (size_t)i * c_stride, accumulator[i]);
}

/* The entry points of each quantised type; p counts halves of panels. */
#define ROWS(n, d)                                                                       \
    case n:                                                                              \
        few_half(d, c + p * HALF, c_stride, x, x_stride, panel, n_steps, add, p % 2, n); \
        break;
#define TYPE(name, d)                                                                                          \
    static void unpack_##name(uint8_t *tiles, const uint8_t *w, int n_steps) { unpack(d, tiles, w, n_steps); } \
    static void few_##name(float *c, size_t c_stride, const uint8_t *x, size_t x_stride, const uint8_t *w,     \
                           size_t w_stride, int n_rows, int n_panels, int n_steps, bool add) {                 \
        for (int p = 0; p < 2 * n_panels; p++) {                                                               \
            const uint8_t *panel = w + (size_t)(p / 2) * w_stride;                                             \
            switch (n_rows) { ROWS(1, d) ROWS(2, d) ROWS(3, d) ROWS(4, d) }                                    \
        }                                                                                                      \
    }
TYPE(q8_0, DTYPE_Q8_0)
TYPE(q4_0, DTYPE_Q4_0)
TYPE(q4_1, DTYPE_Q4_1)
TYPE(q4_k, DTYPE_Q4_K)
TYPE(q5_k, DTYPE_Q5_K)
TYPE(q6_k, DTYPE_Q6_K)
#undef TYPE
#undef ROWS

void product_fill_avx2(struct kernel_table *t) {
    t->bf16 = (struct kernel_product){product_bf16, pack_x_bf16, ORDER_STEP * sizeof(float), pack_tile_bf16, false};
    t->f32 =
        (struct kernel_product){product_f32, panel_pack_x_f32, ORDER_STEP * sizeof(float), panel_pack_tile_f32, false};
    t->few_rows = FEW_ROWS;
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
}
