/* product_ref.c: the products in plain C: they define the bits (order.h).
 *
 * Tiles have pairs of k in one 32-bit word: word r * 16 + output holds k = 2r (low half) and 2r + 1 (high half). AVX2,
 * AVX-512 and AMX use the same tiles. Rows of activations are 32 floats a step. */
#include <math.h>
#include <string.h>

#include "kernel/panel.h"
#include "kernel/rows_fill.h"

static const uint16_t *pair_tile_offset(void) {
    static const uint16_t offsets[KERNEL_PANEL * ORDER_STEP] = {
#define K2(n, r) (r) * 32 + (n) * 2, (r) * 32 + (n) * 2 + 1
#define K32(n)                                                                                                      \
    K2(n, 0), K2(n, 1), K2(n, 2), K2(n, 3), K2(n, 4), K2(n, 5), K2(n, 6), K2(n, 7), K2(n, 8), K2(n, 9), K2(n, 10),    \
        K2(n, 11), K2(n, 12), K2(n, 13), K2(n, 14), K2(n, 15)
        K32(0), K32(1), K32(2),  K32(3),  K32(4),  K32(5),  K32(6),  K32(7),
        K32(8), K32(9), K32(10), K32(11), K32(12), K32(13), K32(14), K32(15)
#undef K32
#undef K2
    };
    return offsets;
}

/* Codes: word v * 16 + output holds the eight 4-bit codes k = 8v .. 8v + 7; bytes k * 16 + output for 8-bit codes. */
static const uint16_t *pair_nibble_offset(void) {
    static const uint16_t offsets[KERNEL_PANEL * ORDER_STEP] = {
#define V8(n, v)                                                                                                     \
    ((v) * 16 + (n)) * 8, ((v) * 16 + (n)) * 8 + 1, ((v) * 16 + (n)) * 8 + 2, ((v) * 16 + (n)) * 8 + 3,              \
        ((v) * 16 + (n)) * 8 + 4, ((v) * 16 + (n)) * 8 + 5, ((v) * 16 + (n)) * 8 + 6, ((v) * 16 + (n)) * 8 + 7
#define V32(n) V8(n, 0), V8(n, 1), V8(n, 2), V8(n, 3)
        V32(0), V32(1), V32(2),  V32(3),  V32(4),  V32(5),  V32(6),  V32(7),
        V32(8), V32(9), V32(10), V32(11), V32(12), V32(13), V32(14), V32(15)
#undef V32
#undef V8
    };
    return offsets;
}

static const uint16_t *pair_byte_offset(void) {
    static const uint16_t offsets[KERNEL_PANEL * ORDER_STEP] = {
#define B8(n, k)                                                                                              \
    (k) * 16 + (n), ((k) + 1) * 16 + (n), ((k) + 2) * 16 + (n), ((k) + 3) * 16 + (n), ((k) + 4) * 16 + (n),   \
        ((k) + 5) * 16 + (n), ((k) + 6) * 16 + (n), ((k) + 7) * 16 + (n)
#define B32(n) B8(n, 0), B8(n, 8), B8(n, 16), B8(n, 24)
        B32(0), B32(1), B32(2),  B32(3),  B32(4),  B32(5),  B32(6),  B32(7),
        B32(8), B32(9), B32(10), B32(11), B32(12), B32(13), B32(14), B32(15)
#undef B32
#undef B8
    };
    return offsets;
}

/* One step of one output: the even chain, the odd chain, their sum. */
static float step_bf16(const float *x, const uint16_t *tile, int output) {
    float e = 0.0f, o = 0.0f;
    for (int r = 0; r < ORDER_STEP / 2; r++) {
        e = fmaf(x[2 * r], dtype_f32_from_bf16(tile[r * 32 + output * 2]), e);
        o = fmaf(x[2 * r + 1], dtype_f32_from_bf16(tile[r * 32 + output * 2 + 1]), o);
    }
    return e + o;
}

static void product_bf16_ref(float *c, size_t c_stride, const uint8_t *x, size_t x_stride, const uint8_t *w, size_t w_stride,
                             int n_rows, int n_panels, int n_steps, bool add) {
    for (int row = 0; row < n_rows; row++)
        for (int n = 0; n < n_panels * KERNEL_PANEL; n++) {
            const uint16_t *tile = (const uint16_t *)(w + (size_t)(n / KERNEL_PANEL) * w_stride);
            const float *values = (const float *)(x + (size_t)row * x_stride);
            float accumulator = add ? c[(size_t)row * c_stride + (size_t)n] : 0.0f;
            for (int s = 0; s < n_steps; s++)
                accumulator += step_bf16(values + s * ORDER_STEP, tile + s * 512, n % KERNEL_PANEL);
            c[(size_t)row * c_stride + (size_t)n] = accumulator;
        }
}

static void product_f32_ref(float *c, size_t c_stride, const uint8_t *x, size_t x_stride, const uint8_t *w, size_t w_stride,
                            int n_rows, int n_panels, int n_steps, bool add) {
    for (int row = 0; row < n_rows; row++)
        for (int n = 0; n < n_panels * KERNEL_PANEL; n++) {
            const float *tile = (const float *)(w + (size_t)(n / KERNEL_PANEL) * w_stride) + n % KERNEL_PANEL;
            const float *values = (const float *)(x + (size_t)row * x_stride);
            float accumulator = add ? c[(size_t)row * c_stride + (size_t)n] : 0.0f;
            for (int k = 0; k < n_steps * ORDER_STEP; k++) accumulator = fmaf(values[k], tile[k * KERNEL_PANEL], accumulator);
            c[(size_t)row * c_stride + (size_t)n] = accumulator;
        }
}

static void pack_x_bf16_ref(uint8_t *x, const float *values, int n) {
    float *out = (float *)x;
    const int padded = (n + ORDER_STEP - 1) / ORDER_STEP * ORDER_STEP;
    for (int k = 0; k < padded; k++) out[k] = k < n ? dtype_f32_from_bf16(dtype_bf16_from_f32(values[k])) : 0.0f;
}

void panel_pack_x_f32(uint8_t *x, const float *values, int n) {
    const int padded = (n + ORDER_STEP - 1) / ORDER_STEP * ORDER_STEP;
    memcpy(x, values, (size_t)n * sizeof(float));
    memset(x + (size_t)n * sizeof(float), 0, (size_t)(padded - n) * sizeof(float));
}

/* The value of a code: what dtype_row_to_f32() computes for it. */
static float code_value(enum dtype d, const struct panel_step *p, int output, int k) {
    const float scale = dtype_f32_from_f16(p->d[output]);
    if (d == DTYPE_Q8_0) return (float)(int8_t)p->codes[k * 16 + output] * scale;
    const uint32_t word = ((const uint32_t *)p->codes)[k / 8 * 16 + output];
    const int code = (int)(word >> 4 * (k % 8) & 15);
    if (d == DTYPE_Q4_0) return (float)(code - 8) * scale;
    return (float)code * scale + dtype_f32_from_f16(p->m[output]);
}

static void unpack_ref(uint8_t *tiles, const uint8_t *w, int n_steps, enum dtype d) {
    for (int s = 0; s < n_steps; s++) {
        const struct panel_step p = panel_step_at(d, w + (size_t)s * kernel_panel_step_bytes(d));
        uint16_t *tile = (uint16_t *)tiles + s * 512;
        for (int n = 0; n < KERNEL_PANEL; n++)
            for (int k = 0; k < ORDER_STEP; k++) tile[k / 2 * 32 + n * 2 + k % 2] = dtype_bf16_from_f32(code_value(d, &p, n, k));
    }
}

static void unpack_q8_0_ref(uint8_t *tiles, const uint8_t *w, int n_steps) { unpack_ref(tiles, w, n_steps, DTYPE_Q8_0); }
static void unpack_q4_0_ref(uint8_t *tiles, const uint8_t *w, int n_steps) { unpack_ref(tiles, w, n_steps, DTYPE_Q4_0); }
static void unpack_q4_1_ref(uint8_t *tiles, const uint8_t *w, int n_steps) { unpack_ref(tiles, w, n_steps, DTYPE_Q4_1); }

void product_fill_ref(struct kernel_table *t) {
    t->bf16 = (struct kernel_product){product_bf16_ref, pack_x_bf16_ref, ORDER_STEP * sizeof(float)};
    t->f32 = (struct kernel_product){product_f32_ref, panel_pack_x_f32, ORDER_STEP * sizeof(float)};
    t->unpack[DTYPE_Q8_0] = unpack_q8_0_ref;
    t->unpack[DTYPE_Q4_0] = unpack_q4_0_ref;
    t->unpack[DTYPE_Q4_1] = unpack_q4_1_ref;
    t->tile_offset = pair_tile_offset();
    t->nibble_offset = pair_nibble_offset();
    t->byte_offset = pair_byte_offset();
}
