/* transpose_ref.c: turning a block of numbers, in plain C. */
#include "kernel/rows_fill.h"

static void transpose_ref(float *out, size_t out_stride, const float *x, size_t stride, int n_rows, int n_columns) {
    for (int i = 0; i < n_rows; i++)
        for (int j = 0; j < n_columns; j++) out[(size_t)j * out_stride + (size_t)i] = x[(size_t)i * stride + (size_t)j];
}

void transpose_fill_ref(struct kernel_table *t) { t->transpose = transpose_ref; }
