/* panel.c: packing stored rows of weights into panels; see panel.h for the layouts. */
#include "kernel/panel.h"

#include <string.h>

#include "kernel/kernel.h"
#include "tensor/dtype_k.h"

int kernel_panel_group(enum dtype d) { return d >= DTYPE_Q4_K ? PANEL_GROUP : 1; }

size_t kernel_panel_bytes(enum dtype d, int n_steps) {
    if (d < DTYPE_Q4_K) return (size_t)n_steps * panel_step_bytes(d);
    return (size_t)(n_steps / PANEL_GROUP) * panel_k_group_bytes(d);
}

/* Blocks of 32. Where a row is not there scales and codes stay zero and stand for zero. */
static void pack_blocks(const struct kernel_table *t, uint8_t *out, enum dtype d, const void *const rows[KERNEL_PANEL],
                        size_t first) {
    const struct dtype_info *info = dtype_info(d);
    uint16_t *scales = (uint16_t *)out;
    memset(out, 0, panel_step_bytes(d));
    uint8_t *codes = out + (d == DTYPE_Q4_1 ? 2 : 1) * PANEL_HALVES;
    for (int n = 0; n < KERNEL_PANEL; n++) {
        if (!rows[n]) continue;
        const uint8_t *block = (const uint8_t *)rows[n] + first / info->block_elements * info->block_bytes;
        memcpy(&scales[n], block, sizeof(uint16_t));
        if (d == DTYPE_Q4_1) memcpy(&scales[KERNEL_PANEL + n], block + 2, sizeof(uint16_t));
        if (d == DTYPE_Q8_0) t->pack_bytes(codes, n, block + 2);
        else t->pack_nibbles(codes, n, block + (d == DTYPE_Q4_1 ? 4 : 2));
    }
}

/* The high bits of one output's codes. */
static void pack_high_bits(const struct kernel_code_place place[ORDER_STEP], uint32_t *words, enum dtype d,
                           const uint8_t *codes) {
    for (int k = 0; k < ORDER_STEP; k++) {
        const struct kernel_code_place at = place[k];
        const uint32_t high = codes[k] >> 4;
        if (d == DTYPE_Q5_K) words[at.lane] |= high << (8 * at.vector + at.nibble);
        else words[at.vector / 2 * KERNEL_PANEL + at.lane] |= high << (16 * (at.vector % 2) + 2 * at.nibble);
    }
}

/* Blocks of 256: the eight steps of one group. */
static void pack_k_blocks(const struct kernel_table *t, uint8_t *out, enum dtype d,
                          const void *const rows[KERNEL_PANEL], size_t first) {
    memset(out, 0, kernel_panel_bytes(d, PANEL_GROUP));
    for (int n = 0; n < KERNEL_PANEL; n++) {
        if (!rows[n]) continue;
        const uint8_t *block = (const uint8_t *)rows[n] + first / DTYPE_K_BLOCK * dtype_info(d)->block_bytes;
        uint16_t half_d, half_min;
        dtype_k_halves(d, block, &half_d, &half_min);
        ((uint16_t *)out)[n] = half_d;
        if (d != DTYPE_Q6_K) ((uint16_t *)out)[KERNEL_PANEL + n] = half_min;
        for (int s = 0; s < PANEL_GROUP; s++) {
            const struct panel_step to = panel_step_at(d, out, s);
            struct dtype_k_step from;
            uint8_t q[ORDER_STEP / 2], *scale = (uint8_t *)to.scale;
            dtype_k_step_at(d, block, s, &from);
            scale[n] = (uint8_t)from.scale[0];
            scale[KERNEL_PANEL + n] = d == DTYPE_Q6_K ? (uint8_t)from.scale[1] : from.minimum;
            for (int i = 0; i < ORDER_STEP / 2; i++)
                q[i] = (uint8_t)((from.code[i] & 15) | (from.code[i + 16] & 15) << 4);
            t->pack_nibbles((uint8_t *)to.codes, n, q);
            if (d != DTYPE_Q4_K) pack_high_bits(t->code_place[n], (uint32_t *)to.high, d, from.code);
        }
    }
}

static void pack_f32(float *tile, enum dtype stored, const void *const rows[KERNEL_PANEL], size_t first, int n_k) {
    float values[ORDER_STEP];
    memset(tile, 0, panel_step_bytes(DTYPE_F32));
    for (int n = 0; n < KERNEL_PANEL; n++) {
        if (!rows[n]) continue;
        dtype_range_to_f32(stored, rows[n], first, (size_t)n_k, values);
        for (int k = 0; k < n_k; k++) tile[k * KERNEL_PANEL + n] = values[k];
    }
}

/* Floats, where rows of x are a tile's columns: the vector unit rounds the rows and turns them. */
static void pack_columns(const struct kernel_table *t, uint8_t *tile, const void *const rows[KERNEL_PANEL],
                         size_t first, int n_k) {
    _Alignas(64) float columns[KERNEL_PANEL][ORDER_STEP / 2] = {0};
    for (int n = 0; n < KERNEL_PANEL; n++)
        if (rows[n]) t->bf16.pack_x((uint8_t *)columns[n], (const float *)rows[n] + first, n_k);
    t->transpose((float *)tile, KERNEL_PANEL, columns[0], ORDER_STEP / 2, KERNEL_PANEL, ORDER_STEP / 2);
}

static void pack_bf16(const struct kernel_table *t, uint8_t *tile, enum dtype stored,
                      const void *const rows[KERNEL_PANEL], size_t first, int n_k) {
    if (stored == DTYPE_F32 && t->bf16.x_is_column) {
        pack_columns(t, tile, rows, first, n_k);
        return;
    }
    for (int n = 0; n < KERNEL_PANEL; n++) {
        uint16_t rounded[ORDER_STEP] = {0};
        float values[ORDER_STEP];
        if (rows[n] && stored == DTYPE_BF16) {
            memcpy(rounded, (const uint8_t *)rows[n] + first * sizeof *rounded, (size_t)n_k * sizeof *rounded);
        } else if (rows[n]) {
            dtype_range_to_f32(stored, rows[n], first, (size_t)n_k, values);
            for (int k = 0; k < n_k; k++) rounded[k] = dtype_bf16_from_f32(values[k]);
        }
        t->pack_row(tile, n, rounded);
    }
}

void kernel_pack_panel(const struct kernel_table *t, uint8_t *out, enum dtype to, enum dtype stored,
                       const void *const rows[KERNEL_PANEL], size_t first, int n) {
    if (to == DTYPE_F32) pack_f32((float *)out, stored, rows, first, n);
    else if (to == DTYPE_BF16) pack_bf16(t, out, stored, rows, first, n);
    else if (kernel_panel_group(to) == 1) pack_blocks(t, out, to, rows, first);
    else pack_k_blocks(t, out, to, rows, first);
}

void panel_pack_x_f32(uint8_t *x, const float *values, int n) {
    const int padded = (n + ORDER_STEP - 1) / ORDER_STEP * ORDER_STEP;
    memcpy(x, values, (size_t)n * sizeof(float));
    memset(x + (size_t)n * sizeof(float), 0, (size_t)(padded - n) * sizeof(float));
}

void panel_pack_tile_f32(uint8_t *tile, const float *values, size_t stride, int n_k, int n_outputs) {
    float *out = (float *)tile;
    if (n_outputs < KERNEL_PANEL || n_k < ORDER_STEP) memset(tile, 0, panel_step_bytes(DTYPE_F32));
    for (int k = 0; k < n_k; k++)
        memcpy(out + k * KERNEL_PANEL, values + (size_t)k * stride, (size_t)n_outputs * sizeof(float));
}
