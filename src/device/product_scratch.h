/* product_scratch.h: the scratch of one thread: unpacked tiles, partial results, one row of floats. For device/ only.
 */
#ifndef DEVICE_PRODUCT_SCRATCH_H
#define DEVICE_PRODUCT_SCRATCH_H

#include "device/device_ops.h"

enum {
    PRODUCT_UNIT = 2 * KERNEL_PANEL, /* outputs of one piece of work: a pair of panels, one step of the next product */
    PRODUCT_ROWS = 48,               /* rows whose results are held at once */
    PRODUCT_MATRICES = 2,            /* gate and up */
};

/* Partial results of every shard, at the end of a thread's scratch. */
static inline size_t product_results_bytes(void) {
    return (size_t)PRODUCT_ROWS * PRODUCT_UNIT * sizeof(float) * DEVICE_MAX_SHARDS;
}

/* Bytes of one thread, for matrices of at most n_steps steps: tiles first. */
static inline size_t product_scratch_bytes(int n_steps) {
    return (size_t)PRODUCT_MATRICES * 2 * (size_t)n_steps * 1024 + product_results_bytes();
}

#endif
