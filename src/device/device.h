/* device.h: the seam between the model and the machine that computes.
 *
 * A device is a table of operations. Callers may believe: the same operations give the same bits on every CPU back end. Memory of a device
 * is addressed by the host (unified) for cpu and null. Back ends: cpu (threads, packing, loops over the kernel table), null (records, computes nothing). */
#ifndef DEVICE_DEVICE_H
#define DEVICE_DEVICE_H

#include "base/error.h"
#include "kernel/kernel.h"

typedef struct device device;

struct device_options {
    int n_threads;            /* 0: one for each processor that this process may use */
    enum kernel_isa max_isa;  /* KERNEL_ISA_NONE: the best that the machine has */
};

CRIA_MUST_CHECK cria_status device_create_cpu(device **ret, const struct device_options *options, struct cria_error *err);
void device_destroy(device **d);

#endif
