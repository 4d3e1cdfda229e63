/* product_avx512.h: the kernels for few rows that amx/ uses too (a tile is idle with one row). */
#ifndef KERNEL_PRODUCT_AVX512_H
#define KERNEL_PRODUCT_AVX512_H

#include "kernel/kernel.h"

/* The kernel of a quantised type. */
kernel_product_fn *product_avx512_few(enum dtype d);

#endif
