/* unroll.h: loops that must disappear so that arrays become registers; for the files of kernel/ only.
 *
 * UNROLLED stands before a loop whose count is a constant, of at most 16, once its function is inlined. The two
 * compilers need different words: clang takes a count as an order, and leaves a loop that is shorter as it was. */
#ifndef KERNEL_UNROLL_H
#define KERNEL_UNROLL_H

#ifdef __clang__
#define UNROLLED _Pragma("clang loop unroll(full)")
#else
#define UNROLLED _Pragma("GCC unroll 16")
#endif

#endif
