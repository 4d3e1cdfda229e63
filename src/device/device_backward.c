/* device_backward.c: the part of device_backward.h that is the same for every back end: plans, sizes and the calls
 * through. */
#include "device/device_backward.h"

#include "device/device_ops.h"
#include "device/outer_scratch.h"

static int steps_of(int64_t n) { return (int)((n + ORDER_STEP - 1) / ORDER_STEP); }

void device_gradient_plan(const device *d, const struct device_gradient_source *source,
                          struct device_gradient_matrix *ret) {
    (void)d;
    CRIA_ASSERT(source->n_parts >= 1 && source->n_parts <= DEVICE_MAX_PARTS);
    CRIA_ASSERT(source->n_shards >= 1 && source->n_shards <= DEVICE_MAX_SHARDS);
    struct device_gradient_matrix g = {.m = {.n_rows = source->n_columns, .n_shards = source->n_shards}};
    for (int p = 0; p < source->n_parts; p++) g.m.n_columns += source->n_rows[p];
    int step = 0;
    for (int s = 0; s < source->n_shards; s++) {
        int64_t part_column = 0;
        g.m.shard_step[s] = step;
        for (int p = 0; p < source->n_parts; part_column += source->n_rows[p++]) {
            const int64_t first = source->shard_row[p][s], n = source->shard_row[p][s + 1] - first;
            if (n == 0) continue;
            g.segments[g.n_segments++] = (struct device_gradient_segment){part_column + first, n, step};
            step += steps_of(n);
        }
    }
    g.m.shard_step[source->n_shards] = step;
    g.m.weights.dtype = source->f32 ? DTYPE_F32 : DTYPE_BF16;
    g.m.weights.n_steps = step;
    g.m.weights.panel_bytes = kernel_panel_bytes(g.m.weights.dtype, step);
    /* Work is handed out in pairs of panels. */
    g.m.n_bytes = (size_t)(g.m.n_rows + 2 * KERNEL_PANEL - 1) / (2 * KERNEL_PANEL) * 2 * g.m.weights.panel_bytes;
    *ret = g;
}

void device_gradient_pack(device *d, const struct device_gradient_source *source, struct device_gradient_matrix *g,
                          uint8_t *memory) {
    g->m.weights.data = memory;
    d->ops->gradient_pack(d, source, g);
}

void device_gradient_rows(device *d, const struct device_gradient_matrix *g, const float *dy, size_t dy_stride,
                          int n_rows, struct device_rows out) {
    d->ops->gradient_rows(d, g, dy, dy_stride, n_rows, out);
}

size_t device_outer_bytes(const device *d, int n_tokens, int64_t n_a, int64_t n_b, bool f32) {
    return outer_scratch_plan(d, n_tokens, n_a, n_b, f32).n_bytes;
}

void device_outer(device *d, const struct device_outer *a) { d->ops->outer(d, a); }
void device_norm_rows(device *d, const struct device_norm_rows *a) { d->ops->norm_rows(d, a); }
void device_norm_backward(device *d, const struct device_norm_backward *a) { d->ops->norm_backward(d, a); }
void device_gated_backward(device *d, const struct device_gated_backward *a) { d->ops->gated_backward(d, a); }
void device_rotate_backward(device *d, const struct device_rotate_backward *a) { d->ops->rotate_backward(d, a); }

void device_embed_backward(device *d, const int32_t *ids, int n_rows, const float *dx, size_t dx_stride, int64_t width,
                           float *dw) {
    d->ops->embed_backward(d, ids, n_rows, dx, dx_stride, width, dw);
}

void device_cross_entropy(device *d, const struct device_cross_entropy *a) { d->ops->cross_entropy(d, a); }
void device_add(device *d, float *y, const float *x, int64_t n) { d->ops->add(d, y, x, n); }
void device_copy(device *d, float *y, const float *x, int64_t n) { d->ops->copy(d, y, x, n); }
bool device_adamw(device *d, const struct device_adamw *a) { return d->ops->adamw(d, a); }

bool device_add_squares(device *d, const float *x, int64_t n, struct exact_sum *sum) {
    return d->ops->add_squares(d, x, n, sum);
}

void device_transpose(device *d, const float *x, int64_t n_rows, int64_t n_columns, float *out) {
    d->ops->transpose(d, x, n_rows, n_columns, out);
}
