/* product_scratch.h: the scratch of one thread: unpacked tiles, partial results, one row of floats. For device/ only.
 */
#ifndef DEVICE_PRODUCT_SCRATCH_H
#define DEVICE_PRODUCT_SCRATCH_H

#include "device/device_ops.h"

enum {
    PRODUCT_UNIT = 2 * KERNEL_PANEL, /* outputs of one piece of work: a pair of panels, one step of the next product */
    PRODUCT_ROWS = 240,              /* rows of one piece: many times the rows that a kernel takes at once */
    PRODUCT_STEPS = 24,              /* steps of two panels that rows meet before the next: 48 KiB of tiles */
    PRODUCT_TILE_STEPS = 8,          /* steps of both panels that are unpacked at once: 16 KiB */
};

/* Partial results of every shard, at the end of a thread's scratch. */
static inline size_t product_results_bytes(void) {
    return (size_t)PRODUCT_ROWS * PRODUCT_UNIT * sizeof(float) * DEVICE_MAX_SHARDS;
}

/* Bytes of one thread, for matrices of at most n_steps steps: a panel's tiles (of which a norm takes a part as floats),
 * or the pieces of two. */
static inline size_t product_scratch_bytes(int n_steps) {
    const size_t steps = n_steps > 2 * PRODUCT_TILE_STEPS ? (size_t)n_steps : 2 * PRODUCT_TILE_STEPS;
    return steps * 1024 + product_results_bytes();
}

#endif
