/* rows_avx512.c: the row kernels, sixteen lanes in one register. */
#include "kernel/avx512/lanes_avx512.h"

#define ROWS(name) name##_avx512
#include "kernel/tmpl/rows.h"
#include "kernel/tmpl/rows_backward.h"
