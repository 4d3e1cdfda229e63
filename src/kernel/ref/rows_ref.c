/* rows_ref.c: the row kernels in plain C: they define the bits. */
#include "kernel/ref/lanes_ref.h"

#define ROWS(name) name##_ref
#include "kernel/tmpl/rows.h"
#include "kernel/tmpl/rows_backward.h"
