/* panel.h: how the steps of a panel lie in memory, by type; for the files of kernel/ only.
 *
 *   Q8_0   d: 16 f16 (one for each output) | 512 int8 codes
 *   Q4_0   d: 16 f16                       | 512 codes of 4 bits
 *   Q4_1   d: 16 f16 | m: 16 f16           | 512 codes of 4 bits
 *   Q4_K   of 8 steps: d: 16 f16 | dmin: 16 f16 | for each step 16 scales, 16 minima | for each 512 codes of 4 bits
 *   Q5_K   the same | for each step the fifth bits: 16 words, bit 8 * vector + nibble
 *   Q6_K   of 8 steps: d: 16 f16 | 32 bytes unused | for each step 16 scales of k < 16, 16 of k >= 16 | for each 512
 *          low halves of codes | for each their high two bits: 2 x 16 words, word vector / 2, bits
 *          16 * (vector % 2) + 2 * nibble
 *   BF16   512 numbers; F32 512 numbers as [32 k][16 outputs]
 * Where a code lies among the others is the instruction set's own (pack_nibbles, pack_bytes and code_place of its
 * table); lanes of the high bits are those of the codes. */
#ifndef KERNEL_PANEL_H
#define KERNEL_PANEL_H

#include "kernel/kernel.h"

enum { PANEL_GROUP = 8, PANEL_CODES = 256, PANEL_HALVES = 2 * KERNEL_PANEL };

struct panel_step {
    const uint16_t *d, *m;  /* m: Q4_1 and the K family's dmin */
    const uint8_t *scale;   /* K family: 16, or 32 in Q6_K */
    const uint8_t *minimum; /* Q4_K, Q5_K: 16 */
    const uint8_t *codes, *high;
};

/* A group of the K family: its scales, its codes and its high bits each begin on a cache line. */
enum { PANEL_K_SCALES = 2 * PANEL_HALVES, PANEL_K_CODES = PANEL_K_SCALES + PANEL_GROUP * 2 * KERNEL_PANEL };
static inline size_t panel_k_high_bytes(enum dtype d) { return d == DTYPE_Q6_K ? 128 : d == DTYPE_Q5_K ? 64 : 0; }
static inline size_t panel_k_group_bytes(enum dtype d) {
    return PANEL_K_CODES + PANEL_GROUP * (PANEL_CODES + panel_k_high_bytes(d));
}

static inline size_t panel_step_bytes(enum dtype d) {
    switch (d) {
        case DTYPE_F32:
            return 2048;
        case DTYPE_BF16:
            return 1024;
        case DTYPE_Q8_0:
            return PANEL_HALVES + 2 * PANEL_CODES;
        case DTYPE_Q4_0:
            return PANEL_HALVES + PANEL_CODES;
        default:
            return 2 * PANEL_HALVES + PANEL_CODES;
    }
}

/* Step s of the panel at w. */
__attribute__((always_inline)) static inline struct panel_step panel_step_at(const enum dtype d, const uint8_t *w,
                                                                             int s) {
    if (d < DTYPE_Q4_K) {
        const uint8_t *at = w + (size_t)s * panel_step_bytes(d);
        const uint16_t *halves = (const uint16_t *)at;
        if (d == DTYPE_Q4_1)
            return (struct panel_step){.d = halves, .m = halves + KERNEL_PANEL, .codes = at + 2 * PANEL_HALVES};
        return (struct panel_step){.d = halves, .codes = at + PANEL_HALVES};
    }
    const size_t in_group = (size_t)(s % PANEL_GROUP);
    const uint8_t *group = w + (size_t)(s / PANEL_GROUP) * panel_k_group_bytes(d);
    const uint8_t *scale = group + PANEL_K_SCALES + in_group * 2 * KERNEL_PANEL;
    return (struct panel_step){
        .d = (const uint16_t *)group,
        .m = (const uint16_t *)group + KERNEL_PANEL,
        .scale = scale,
        .minimum = scale + KERNEL_PANEL,
        .codes = group + PANEL_K_CODES + in_group * PANEL_CODES,
        .high = group + PANEL_K_CODES + PANEL_GROUP * PANEL_CODES + in_group * panel_k_high_bytes(d)};
}

/* Asks for every line of what comes PANEL_AHEAD bytes later, in order, at step s of a quantised panel. Codes alone
 * would leave the scales of the K family to the processor, which does not foresee the jumps between them. Behind the
 * last panel nothing is read. */
enum { PANEL_AHEAD = 4096 };
__attribute__((always_inline)) static inline void panel_prefetch(const enum dtype d, const uint8_t *w, int s) {
    const size_t bytes = d < DTYPE_Q4_K ? panel_step_bytes(d) : panel_k_group_bytes(d) / PANEL_GROUP;
    for (size_t line = 0; line < bytes; line += 64) __builtin_prefetch(w + (size_t)s * bytes + PANEL_AHEAD + line);
}

/* pack_x of every f32 product: the numbers as they are, padded with zeros. */
void panel_pack_x_f32(uint8_t *x, const float *values, int n);
/* pack_tile of every f32 product: rows of numbers as they are, padded with zeros. */
void panel_pack_tile_f32(uint8_t *tile, const float *values, size_t stride, int n_k, int n_outputs);

#endif
