/* probe.h: what this machine can do, measured: how fast its threads read memory, and how fast the product kernel
 * multiplies numbers that lie in the cache. The limits that `bench` holds a model's speed to.
 *
 * A probe takes some tenths of a second and gives the best of several passes: a limit is what was reached at least
 * once. Thread rules: any thread, but a probe beside other work measures what that work leaves. */
#ifndef DEVICE_PROBE_H
#define DEVICE_PROBE_H

#include <stddef.h>

#include "base/error.h"
#include "kernel/kernel.h"

/* Bytes a second that n_threads read from n_bytes of memory in huge pages, several streams with prefetch each. */
CRIA_MUST_CHECK cria_status probe_read(int n_threads, size_t n_bytes, double *ret_bytes_per_s, struct cria_error *err);
/* Floating point operations a second of the product kernel of isa (f32: products of f32, else of bf16) on n_threads,
 * everything in the second-level cache, random numbers. */
CRIA_MUST_CHECK cria_status probe_product(int n_threads, enum kernel_isa isa, bool f32, double *ret_flops_per_s,
                                          struct cria_error *err);

#endif
