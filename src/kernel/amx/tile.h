/* tile.h: the tile unit behind eight functions, so that the tests can put an emulation in its place.
 *
 * Tiles 0-3 are accumulators (rows x 16 f32), 4-5 activations (rows x 32 bf16), 6-7 weights (16 x 32 bf16 pairs). */
#ifndef KERNEL_AMX_TILE_H
#define KERNEL_AMX_TILE_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

/* Gives the accumulators and activations of pair i (tiles 2i, 2i + 1 and 4 + i) rows[i] rows, 1 to 16, and clears all
 * tiles. */
static inline void tile_configure(int rows_0, int rows_1) {
    _Alignas(64) uint8_t config[64];
    memset(config, 0, sizeof config);
    config[0] = 1;
    const int rows[8] = {rows_0, rows_0, rows_1, rows_1, rows_0, rows_1, 16, 16};
    for (int t = 0; t < 8; t++) {
        config[16 + 2 * t] = 64;
        config[48 + t] = (uint8_t)rows[t];
    }
    /* gcc 12 believes that only the first 8 bytes are read and may drop the stores of the others. */
    __asm__ volatile("" ::"r"(config) : "memory");
    _tile_loadconfig(config);
}

static inline void tile_release(void) { _tile_release(); }

#define tile_clear(t) _tile_zero(t)
#define tile_load(t, from, stride) _tile_loadd(t, from, stride)
#define tile_store(t, to, stride) _tile_stored(t, to, stride)
#define tile_multiply(c, a, b) _tile_dpbf16ps(c, a, b)

#endif
