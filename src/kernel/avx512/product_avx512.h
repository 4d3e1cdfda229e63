/* product_avx512.h: the one-row kernels that amx/ uses too (a tile is idle with one row). */
#ifndef KERNEL_PRODUCT_AVX512_H
#define KERNEL_PRODUCT_AVX512_H

#include "kernel/kernel.h"

/* The kernel of a quantised type. */
kernel_vector_fn *product_avx512_vector(enum dtype d);

#endif
