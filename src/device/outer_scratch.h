/* outer_scratch.h: how the operands of a weight gradient lie while it is computed. For device/ only.
 *
 * So many tokens at once are packed, each operand once: a turned into rows of tokens, b into panels of 16 columns; then
 * each thread has a block of floats, for turning and for edges of the result. */
#ifndef DEVICE_OUTER_SCRATCH_H
#define DEVICE_OUTER_SCRATCH_H

#include "device/device_ops.h"

enum {
    OUTER_ROWS = 192,                 /* rows of the result in one piece of work */
    OUTER_COLUMNS = 2 * KERNEL_PANEL, /* and its columns */
    CACHE_LINE = 64,
    OUTER_STEPS = 16 /* tokens at once, in steps: two panels stay in the nearest cache, packed operands in the next */
};

struct outer_scratch {
    int n_steps;
    size_t row_bytes, panel_bytes; /* of one row of a turned, of one panel of b */
    size_t panels_at, blocks_at;   /* where they begin; rows begin at 0 */
    size_t n_bytes;
};

static inline struct outer_scratch outer_scratch_plan(const device *d, int n_tokens, int64_t n_a, int64_t n_b,
                                                      bool f32) {
    const int n_steps = (n_tokens + ORDER_STEP - 1) / ORDER_STEP;
    struct outer_scratch s = {.n_steps = n_steps < OUTER_STEPS ? n_steps : OUTER_STEPS};
    const enum dtype dtype = f32 ? DTYPE_F32 : DTYPE_BF16;
    const size_t block_bytes = (size_t)OUTER_ROWS * OUTER_COLUMNS * sizeof(float);
    s.row_bytes = (size_t)s.n_steps * device_step_bytes(d, dtype);
    if (s.row_bytes / CACHE_LINE % 2 == 0) s.row_bytes += CACHE_LINE; /* so that rows meet in no set of a cache */
    s.panel_bytes = kernel_panel_bytes(dtype, s.n_steps);
    s.panels_at = (size_t)n_a * s.row_bytes;
    s.blocks_at = s.panels_at + (size_t)((n_b + KERNEL_PANEL - 1) / KERNEL_PANEL) * s.panel_bytes;
    s.n_bytes = s.blocks_at + block_bytes * (size_t)d->n_threads;
    return s;
}

#endif
