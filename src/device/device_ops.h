/* device_ops.h: what a back end gives: the table behind device.h. For the files of device/ only. */
#ifndef DEVICE_OPS_H
#define DEVICE_OPS_H

#include "device/device_backward.h"

struct device_ops {
    void (*destroy)(device *d);
    void (*matrix_pack)(device *d, const struct device_matrix_source *source, struct device_matrix *m,
                        int64_t first_row, int64_t end_row);
    void (*embed)(device *d, const struct device_matrix *m, const int32_t *ids, int n_rows, float *out,
                  size_t out_stride);
    void (*norm)(device *d, const struct device_norm *a);
    void (*linear)(device *d, const struct device_linear *a);
    void (*gated)(device *d, const struct device_gated *a);
    void (*rotate)(device *d, const struct device_rotate *a);
    void (*attention)(device *d, const struct device_attention *a);
    void (*attention_backward)(device *d, const struct device_attention_backward *a);
    float (*logsumexp)(device *d, const float *x, int64_t n);
    void (*gradient_pack)(device *d, const struct device_gradient_source *source, struct device_gradient_matrix *g);
    void (*gradient_rows)(device *d, const struct device_gradient_matrix *g, const float *dy, size_t dy_stride,
                          int n_rows, struct device_rows out);
    void (*outer)(device *d, const struct device_outer *a);
    void (*norm_rows)(device *d, const struct device_norm_rows *a);
    void (*norm_backward)(device *d, const struct device_norm_backward *a);
    void (*gated_backward)(device *d, const struct device_gated_backward *a);
    void (*rotate_backward)(device *d, const struct device_rotate_backward *a);
    void (*embed_backward)(device *d, const int32_t *ids, int n_rows, const float *dx, size_t dx_stride, int64_t width,
                           float *dw);
    void (*cross_entropy)(device *d, const struct device_cross_entropy *a);
    void (*add)(device *d, float *y, const float *x, int64_t n);
    void (*copy)(device *d, float *y, const float *x, int64_t n);
    bool (*adamw)(device *d, const struct device_adamw *a);
    bool (*add_squares)(device *d, const float *x, int64_t n, struct exact_sum *sum);
    void (*transpose)(device *d, const float *x, int64_t n_rows, int64_t n_columns, float *out);
};

/* A back end's own struct begins with this one. */
struct device {
    const struct device_ops *ops;
    struct kernel_table table;
    int n_threads;
    uint8_t *scratch;     /* borrowed */
    size_t scratch_bytes; /* of one thread */
    unsigned float_state; /* the caller's, between begin and end */
};

/* Packed rows: bytes of a step for this matrix's products. */
static inline size_t device_step_bytes(const device *d, enum dtype weights) {
    return weights == DTYPE_F32 ? d->table.f32.x_step_bytes : d->table.bf16.x_step_bytes;
}
static inline const struct kernel_product *device_product(const device *d, enum dtype weights) {
    return weights == DTYPE_F32 ? &d->table.f32 : &d->table.bf16;
}

#endif
