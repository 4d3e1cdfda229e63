/* panel.h: how a panel-step of each type lies in memory; for the files of kernel/ only.
 *
 *   Q8_0   d: 16 f16 (one for each output) | 512 int8 codes
 *   Q4_0   d: 16 f16                       | 512 codes of 4 bits
 *   Q4_1   d: 16 f16 | m: 16 f16           | 512 codes of 4 bits
 *   BF16   512 numbers; F32 512 numbers as [32 k][16 outputs]
 * Where the code of (output, k) lies inside the codes is the instruction set's own
 * (pack_nibbles and pack_bytes of its table). */
#ifndef KERNEL_PANEL_H
#define KERNEL_PANEL_H

#include "kernel/kernel.h"

struct panel_step {
    const uint16_t *d, *m; /* m: Q4_1 alone */
    const uint8_t *codes;
};

static inline struct panel_step panel_step_at(enum dtype d, const uint8_t *w) {
    const uint16_t *scales = (const uint16_t *)w;
    if (d == DTYPE_Q4_1) return (struct panel_step){scales, scales + KERNEL_PANEL, w + 4 * KERNEL_PANEL};
    return (struct panel_step){scales, NULL, w + 2 * KERNEL_PANEL};
}

/* pack_x of every f32 product: the numbers as they are, padded with zeros. */
void panel_pack_x_f32(uint8_t *x, const float *values, int n);

#endif
