/* rows_avx2.c: the row kernels, sixteen lanes in two registers. */
#include "kernel/avx2/lanes_avx2.h"

#define ROWS(name) name##_avx2
#include "kernel/tmpl/rows.h"
#include "kernel/tmpl/rows_backward.h"
