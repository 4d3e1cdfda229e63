/* tile_emulation.h: the AMX tile unit in plain C, for machines without one: the functions of kernel/amx/tile.h.
 *
 * Its step is the one measured on the real unit: a chain of fused multiply-adds over even k, one over odd k, their sum
 * added to the accumulator, subnormals flushed. Tile shapes are held to the configuration, so that a row too many
 * shows. */
#ifndef TESTS_KERN_TILE_EMULATION_H
#define TESTS_KERN_TILE_EMULATION_H

#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/kernel.h"

struct emulated_tile {
    int rows;
    uint8_t bytes[16][64];
};
static struct emulated_tile emulated_tiles[8];

static inline void tile_configure(int rows_0, int rows_1) {
    const int rows[8] = {rows_0, rows_0, rows_1, rows_1, rows_0, rows_1, 16, 16};
    memset(emulated_tiles, 0, sizeof emulated_tiles);
    for (int t = 0; t < 8; t++) emulated_tiles[t].rows = rows[t];
}

static inline void tile_release(void) { memset(emulated_tiles, 0, sizeof emulated_tiles); }

static inline void tile_clear(int t) { memset(emulated_tiles[t].bytes, 0, sizeof emulated_tiles[t].bytes); }

static inline void tile_load(int t, const void *from, size_t stride) {
    CRIA_ASSERT(emulated_tiles[t].rows > 0);
    tile_clear(t);
    for (int r = 0; r < emulated_tiles[t].rows; r++)
        memcpy(emulated_tiles[t].bytes[r], (const uint8_t *)from + (size_t)r * stride, 64);
}

static inline void tile_store(int t, void *to, size_t stride) {
    CRIA_ASSERT(emulated_tiles[t].rows > 0);
    for (int r = 0; r < emulated_tiles[t].rows; r++)
        memcpy((uint8_t *)to + (size_t)r * stride, emulated_tiles[t].bytes[r], 64);
}

static inline float emulated_half(const uint8_t *row, int i) {
    uint16_t h;
    memcpy(&h, row + 2 * i, sizeof h);
    return dtype_f32_from_bf16(h);
}

static inline void tile_multiply(int c, int a, int b) {
    CRIA_ASSERT(emulated_tiles[a].rows == emulated_tiles[c].rows && emulated_tiles[b].rows == 16);
    for (int m = 0; m < emulated_tiles[c].rows; m++)
        for (int n = 0; n < 16; n++) {
            float even = 0.0f, odd = 0.0f, sum;
            for (int r = 0; r < 16; r++) {
                even = fmaf(emulated_half(emulated_tiles[a].bytes[m], 2 * r),
                            emulated_half(emulated_tiles[b].bytes[r], 2 * n), even);
                odd = fmaf(emulated_half(emulated_tiles[a].bytes[m], 2 * r + 1),
                           emulated_half(emulated_tiles[b].bytes[r], 2 * n + 1), odd);
            }
            memcpy(&sum, emulated_tiles[c].bytes[m] + 4 * n, sizeof sum);
            sum += even + odd;
            memcpy(emulated_tiles[c].bytes[m] + 4 * n, &sum, sizeof sum);
        }
}

#endif
