/* rows_fill.h: what each instruction set's files put into the kernel table; for the files of kernel/ only. */
#ifndef KERNEL_ROWS_FILL_H
#define KERNEL_ROWS_FILL_H

#include "kernel/kernel.h"

void rows_fill_ref(struct kernel_table *t);
void rows_fill_avx2(struct kernel_table *t);
void rows_fill_avx512(struct kernel_table *t);
void rows_fill_backward_ref(struct kernel_table *t);
void rows_fill_backward_avx2(struct kernel_table *t);
void rows_fill_backward_avx512(struct kernel_table *t);
void transpose_fill_ref(struct kernel_table *t);
void transpose_fill_avx2(struct kernel_table *t);
void transpose_fill_avx512(struct kernel_table *t);
void product_fill_ref(struct kernel_table *t);
void product_fill_avx2(struct kernel_table *t);
void product_fill_avx512(struct kernel_table *t);
void product_fill_avx512bf16(struct kernel_table *t);
void product_fill_amx(struct kernel_table *t);

#endif
