/* cpu.c: making a CPU device: its thread team and its kernels. */
#include "device/cpu/cpu.h"

#include <sched.h>

#include "base/alloc.h"

static void cpu_destroy(device *d) {
    team_destroy(&cpu_of(d)->t);
    alloc_free(d);
}

static const struct device_ops cpu_ops = {
    .destroy = cpu_destroy,
    .matrix_pack = cpu_matrix_pack,
    .embed = cpu_embed,
    .norm = cpu_norm,
    .linear = cpu_linear,
    .gated = cpu_gated,
    .rotate = cpu_rotate,
    .attention = cpu_attention,
    .attention_backward = cpu_attention_backward,
    .logsumexp = cpu_logsumexp,
    .gradient_pack = cpu_gradient_pack,
    .gradient_rows = cpu_gradient_rows,
    .outer = cpu_outer,
    .norm_rows = cpu_norm_rows,
    .norm_backward = cpu_norm_backward,
    .gated_backward = cpu_gated_backward,
    .rotate_backward = cpu_rotate_backward,
    .embed_backward = cpu_embed_backward,
    .cross_entropy = cpu_cross_entropy,
    .add = cpu_add,
    .copy = cpu_copy,
    .adamw = cpu_adamw,
    .add_squares = cpu_add_squares,
    .transpose = cpu_transpose,
};

static int usable_processors(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    const int n = CPU_COUNT(&set);
    return n < 1 ? 1 : n > DEVICE_MAX_THREADS ? DEVICE_MAX_THREADS : n;
}

cria_status device_create_cpu(device **ret, const struct device_options *options, struct cria_error *err) {
    const char *reason = NULL;
    if (options->n_threads < 0 || options->n_threads > DEVICE_MAX_THREADS)
        return ERROR_SET(err, CRIA_RANGE, "threads: %d, expected 1 to %d (0: one for each processor)",
                         options->n_threads, DEVICE_MAX_THREADS);
    if (options->max_isa != KERNEL_ISA_NONE && !kernel_isa_usable(options->max_isa, &reason))
        return ERROR_SET(err, CRIA_UNSUPPORTED, "instruction set %s: %s", kernel_isa_name(options->max_isa), reason);
    struct cpu *c = ALLOC_NEW(struct cpu);
    if (!c) return ERROR_NOMEM(err, sizeof *c, "the CPU device");
    const int n_threads = options->n_threads ? options->n_threads : usable_processors();
    const cria_status status = team_create(&c->t, n_threads, err);
    if (status != CRIA_OK) {
        alloc_free(c);
        return status;
    }
    c->base.ops = &cpu_ops;
    c->base.n_threads = n_threads;
    kernel_table_init(&c->base.table, kernel_isa_best(options->max_isa));
    *ret = &c->base;
    return CRIA_OK;
}
