/* panel.c: packing stored rows of weights into panel-steps; see panel.h for the layouts. */
#include "kernel/panel.h"

#include <string.h>

#include "kernel/kernel.h"

size_t kernel_panel_step_bytes(enum dtype d) {
    static const uint16_t bytes[DTYPE_COUNT] = {
        [DTYPE_F32] = 2048, [DTYPE_BF16] = 1024, [DTYPE_Q8_0] = 544, [DTYPE_Q4_0] = 288, [DTYPE_Q4_1] = 320};
    return bytes[d];
}

/* A row that is not there: its codes must stand for zero. */
static void pack_quantised(const struct kernel_table *t, uint8_t *out, enum dtype d,
                           const void *const rows[KERNEL_PANEL]) {
    const size_t bytes = kernel_panel_step_bytes(d);
    memset(out, 0, bytes);
    uint16_t *scales = (uint16_t *)out;
    uint8_t *codes = out + (d == DTYPE_Q4_1 ? 4 : 2) * KERNEL_PANEL;
    for (int n = 0; n < KERNEL_PANEL; n++) {
        if (!rows[n]) continue;
        memcpy(&scales[n], rows[n], sizeof(uint16_t));
        const uint8_t *block = rows[n];
        if (d == DTYPE_Q8_0) {
            t->pack_bytes(codes, n, block + 2);
        } else if (d == DTYPE_Q4_0) {
            t->pack_nibbles(codes, n, block + 2);
        } else {
            memcpy(&scales[KERNEL_PANEL + n], block + 2, sizeof(uint16_t));
            t->pack_nibbles(codes, n, block + 4);
        }
    }
}

static void pack_f32(float *tile, enum dtype stored, const void *const rows[KERNEL_PANEL], int n_k) {
    float values[ORDER_STEP];
    memset(tile, 0, 2048);
    for (int n = 0; n < KERNEL_PANEL; n++) {
        if (!rows[n]) continue;
        dtype_row_to_f32(stored, rows[n], (size_t)n_k, values);
        for (int k = 0; k < n_k; k++) tile[k * KERNEL_PANEL + n] = values[k];
    }
}

static void pack_bf16(const struct kernel_table *t, uint16_t *tile, enum dtype stored,
                      const void *const rows[KERNEL_PANEL], int n_k) {
    uint16_t values[ORDER_STEP];
    memset(tile, 0, 1024);
    for (int n = 0; n < KERNEL_PANEL; n++) {
        if (!rows[n]) continue;
        dtype_row_to_bf16(stored, rows[n], (size_t)n_k, values);
        for (int k = 0; k < n_k; k++) tile[t->tile_offset[n][k]] = values[k];
    }
}

void kernel_pack_panel_step(const struct kernel_table *t, uint8_t *out, enum dtype to, enum dtype stored,
                            const void *const rows[KERNEL_PANEL], int n) {
    if (to == DTYPE_F32) pack_f32((float *)out, stored, rows, n);
    else if (to == DTYPE_BF16) pack_bf16(t, (uint16_t *)out, stored, rows, n);
    else pack_quantised(t, out, to, rows);
}
