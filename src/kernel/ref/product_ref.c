/* product_ref.c: the products in plain C: they define the bits (order.h).
 *
 * Tiles have pairs of k in one 32-bit word: word r * 16 + output holds k = 2r (low half) and 2r + 1 (high half). AVX2,
 * AVX-512 and AMX use the same tiles. Codes of 4 bits: word v * 16 + output holds k = 8v .. 8v + 7; codes of 8 bits:
 * byte k * 16 + output. Rows of activations are 32 floats a step. */
#include <math.h>
#include <string.h>

#include "kernel/panel.h"
#include "kernel/rows_fill.h"

/* One step of one output: the even chain, the odd chain, their sum. */
static float step_bf16(const float *x, const uint16_t *tile, int output) {
    float e = 0.0f, o = 0.0f;
    for (int r = 0; r < ORDER_STEP / 2; r++) {
        e = fmaf(x[2 * r], dtype_f32_from_bf16(tile[r * 32 + output * 2]), e);
        o = fmaf(x[2 * r + 1], dtype_f32_from_bf16(tile[r * 32 + output * 2 + 1]), o);
    }
    return e + o;
}

static void product_bf16_ref(float *c, size_t c_stride, const uint8_t *x, size_t x_stride, const uint8_t *w,
                             size_t w_stride, int n_rows, int n_panels, int n_steps, bool add) {
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

static void product_f32_ref(float *c, size_t c_stride, const uint8_t *x, size_t x_stride, const uint8_t *w,
                            size_t w_stride, int n_rows, int n_panels, int n_steps, bool add) {
    for (int row = 0; row < n_rows; row++)
        for (int n = 0; n < n_panels * KERNEL_PANEL; n++) {
            const float *tile = (const float *)(w + (size_t)(n / KERNEL_PANEL) * w_stride) + n % KERNEL_PANEL;
            const float *values = (const float *)(x + (size_t)row * x_stride);
            float accumulator = add ? c[(size_t)row * c_stride + (size_t)n] : 0.0f;
            for (int k = 0; k < n_steps * ORDER_STEP; k++)
                accumulator = fmaf(values[k], tile[k * KERNEL_PANEL], accumulator);
            c[(size_t)row * c_stride + (size_t)n] = accumulator;
        }
}

static void pack_x_bf16_ref(uint8_t *x, const float *values, int n) {
    float *out = (float *)x;
    const int padded = (n + ORDER_STEP - 1) / ORDER_STEP * ORDER_STEP;
    for (int k = 0; k < padded; k++) out[k] = k < n ? dtype_f32_from_bf16(dtype_bf16_from_f32(values[k])) : 0.0f;
}

/* The code of (output, k), with its high bits. */
static int code_at(enum dtype d, const struct panel_step *p, int output, int k) {
    const int v = k / 8, i = k % 8;
    const int low = (int)(((const uint32_t *)p->codes)[v * KERNEL_PANEL + output] >> 4 * i & 15);
    const uint32_t *high = (const uint32_t *)p->high;
    if (d == DTYPE_Q5_K) return low | (int)(high[output] >> (8 * v + i) & 1) << 4;
    if (d == DTYPE_Q6_K) return low | (int)(high[v / 2 * KERNEL_PANEL + output] >> (16 * (v % 2) + 2 * i) & 3) << 4;
    return low;
}

/* The value of a code: what dtype_row_to_f32() computes for it. */
static float code_value(enum dtype d, const struct panel_step *p, int output, int k) {
    const float scale = dtype_f32_from_f16(p->d[output]);
    if (d == DTYPE_Q8_0) return (float)(int8_t)p->codes[k * KERNEL_PANEL + output] * scale;
    const int code = code_at(d, p, output, k);
    if (d == DTYPE_Q4_0) return (float)(code - 8) * scale;
    if (d == DTYPE_Q4_1) return (float)code * scale + dtype_f32_from_f16(p->m[output]);
    if (d == DTYPE_Q6_K) return scale * (float)(int8_t)p->scale[k / 16 * KERNEL_PANEL + output] * (float)(code - 32);
    return scale * (float)p->scale[output] * (float)code - dtype_f32_from_f16(p->m[output]) * (float)p->minimum[output];
}

static void unpack_ref(uint8_t *tiles, const uint8_t *w, int n_steps, enum dtype d) {
    for (int s = 0; s < n_steps; s++) {
        const struct panel_step p = panel_step_at(d, w, s);
        uint16_t *tile = (uint16_t *)tiles + s * 512;
        for (int n = 0; n < KERNEL_PANEL; n++)
            for (int k = 0; k < ORDER_STEP; k++)
                tile[k / 2 * 32 + n * 2 + k % 2] = dtype_bf16_from_f32(code_value(d, &p, n, k));
    }
}

#define UNPACK(name, d) \
    static void name(uint8_t *tiles, const uint8_t *w, int n_steps) { unpack_ref(tiles, w, n_steps, d); }
UNPACK(unpack_q8_0_ref, DTYPE_Q8_0)
UNPACK(unpack_q4_0_ref, DTYPE_Q4_0)
UNPACK(unpack_q4_1_ref, DTYPE_Q4_1)
UNPACK(unpack_q4_k_ref, DTYPE_Q4_K)
UNPACK(unpack_q5_k_ref, DTYPE_Q5_K)
UNPACK(unpack_q6_k_ref, DTYPE_Q6_K)
#undef UNPACK

/* The low halves of eight bytes, side by side: byte i becomes bits 4i .. 4i + 3. */
static uint32_t gather_nibbles(uint64_t bytes) {
    bytes &= 0x0f0f0f0f0f0f0f0full;
    bytes = (bytes | bytes >> 4) & 0x00ff00ff00ff00ffull;
    bytes = (bytes | bytes >> 8) & 0x0000ffff0000ffffull;
    return (uint32_t)(bytes | bytes >> 16);
}

static void pack_nibbles_ref(uint8_t *codes, int output, const uint8_t *q) {
    uint64_t half[2];
    memcpy(half, q, sizeof half);
    uint32_t *words = (uint32_t *)codes + output;
    for (int v = 0; v < 4; v++) words[v * KERNEL_PANEL] = gather_nibbles(half[v % 2] >> 4 * (v / 2));
}

static void pack_row_ref(uint8_t *tile, int output, const uint16_t values[ORDER_STEP]) {
    for (int r = 0; r < ORDER_STEP / 2; r++) memcpy(tile + (r * KERNEL_PANEL + output) * 4, values + 2 * r, 4);
}

static void pack_tile_bf16_ref(uint8_t *tile, const float *values, size_t stride, int n_k, int n_outputs) {
    uint16_t *out = (uint16_t *)tile;
    memset(tile, 0, KERNEL_PANEL * ORDER_STEP * sizeof *out);
    for (int k = 0; k < n_k; k++)
        for (int n = 0; n < n_outputs; n++)
            out[k / 2 * 32 + n * 2 + k % 2] = dtype_bf16_from_f32(values[(size_t)k * stride + (size_t)n]);
}

static void pack_bytes_ref(uint8_t *codes, int output, const uint8_t *q) {
    for (int k = 0; k < ORDER_STEP; k++) codes[k * KERNEL_PANEL + output] = q[k];
}

void product_fill_ref(struct kernel_table *t) {
    t->bf16 = (struct kernel_product){product_bf16_ref, pack_x_bf16_ref, ORDER_STEP * sizeof(float), pack_tile_bf16_ref,
                                      false};
    t->f32 = (struct kernel_product){product_f32_ref, panel_pack_x_f32, ORDER_STEP * sizeof(float), panel_pack_tile_f32,
                                     false};
    t->unpack[DTYPE_Q8_0] = unpack_q8_0_ref;
    t->unpack[DTYPE_Q4_0] = unpack_q4_0_ref;
    t->unpack[DTYPE_Q4_1] = unpack_q4_1_ref;
    t->unpack[DTYPE_Q4_K] = unpack_q4_k_ref;
    t->unpack[DTYPE_Q5_K] = unpack_q5_k_ref;
    t->unpack[DTYPE_Q6_K] = unpack_q6_k_ref;
    t->pack_row = pack_row_ref;
    t->pack_nibbles = pack_nibbles_ref;
    t->pack_bytes = pack_bytes_ref;
    for (int n = 0; n < KERNEL_PANEL; n++)
        for (int k = 0; k < ORDER_STEP; k++) {
            t->tile_offset[n][k] = (uint16_t)(k / 2 * 32 + n * 2 + k % 2);
            t->code_place[n][k] = (struct kernel_code_place){(uint8_t)(k / 8), (uint8_t)n, (uint8_t)(k % 8)};
        }
}
