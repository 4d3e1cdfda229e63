/* cpu.h: the CPU back end's own state; for the files of device/cpu only. */
#ifndef DEVICE_CPU_H
#define DEVICE_CPU_H

#include "device/cpu/team.h"
#include "device/device_ops.h"

struct cpu {
    struct device base; /* first: a device * is a struct cpu * */
    team *t;            /* owned */
};

static inline struct cpu *cpu_of(device *d) { return (struct cpu *)d; }

/* Pieces small enough that a slow thread holds up little, large enough that taking them costs nothing. */
static inline int64_t cpu_grain(const device *d, int64_t n_items) {
    const int64_t grain = n_items / (8 * d->n_threads);
    return grain < 1 ? 1 : grain > 64 ? 64 : grain;
}

/* Packs K floats of one row for products with m: each shard begins with a whole step. */
static inline void cpu_pack_row(const struct device *d, const struct device_matrix *m, const float *values,
                                uint8_t *out) {
    const struct kernel_product *product = device_product(d, m->weights.dtype);
    for (int s = 0; s < m->n_shards; s++)
        product->pack_x(out + (size_t)m->shard_step[s] * product->x_step_bytes, values + m->shard_k[s],
                        (int)(m->shard_k[s + 1] - m->shard_k[s]));
}

void cpu_matrix_pack(device *d, const struct device_matrix_source *source, struct device_matrix *m, int64_t first_row,
                     int64_t end_row);
void cpu_embed(device *d, const struct device_matrix *m, const int32_t *ids, int n_rows, float *out, size_t out_stride);
void cpu_linear(device *d, const struct device_linear *a);
void cpu_gated(device *d, const struct device_gated *a);
void cpu_norm(device *d, const struct device_norm *a);
void cpu_rotate(device *d, const struct device_rotate *a);
void cpu_attention(device *d, const struct device_attention *a);
void cpu_attention_backward(device *d, const struct device_attention_backward *a);
float cpu_logsumexp(device *d, const float *x, int64_t n);
void cpu_gradient_pack(device *d, const struct device_gradient_source *source, struct device_gradient_matrix *g);
void cpu_gradient_rows(device *d, const struct device_gradient_matrix *g, const float *dy, size_t dy_stride, int n_rows,
                       struct device_rows out);
void cpu_outer(device *d, const struct device_outer *a);
void cpu_norm_rows(device *d, const struct device_norm_rows *a);
void cpu_norm_backward(device *d, const struct device_norm_backward *a);
void cpu_gated_backward(device *d, const struct device_gated_backward *a);
void cpu_rotate_backward(device *d, const struct device_rotate_backward *a);
void cpu_embed_backward(device *d, const int32_t *ids, int n_rows, const float *dx, size_t dx_stride, int64_t width,
                        float *dw);
void cpu_cross_entropy(device *d, const struct device_cross_entropy *a);
void cpu_add(device *d, float *y, const float *x, int64_t n);
void cpu_copy(device *d, float *y, const float *x, int64_t n);
bool cpu_adamw(device *d, const struct device_adamw *a);
bool cpu_add_squares(device *d, const float *x, int64_t n, struct exact_sum *sum);
void cpu_transpose(device *d, const float *x, int64_t n_rows, int64_t n_columns, float *out);

#endif
