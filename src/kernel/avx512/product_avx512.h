/* product_avx512.h: the one-row kernels that amx/ uses too (a tile is idle with one row). */
#ifndef KERNEL_PRODUCT_AVX512_H
#define KERNEL_PRODUCT_AVX512_H

#include "kernel/kernel.h"

kernel_vector_fn product_avx512_vector_q8_0, product_avx512_vector_q4_0, product_avx512_vector_q4_1;

#endif
