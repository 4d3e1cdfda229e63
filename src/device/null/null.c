/* null.c: the device that computes nothing: it counts what a real one would do. Planner and tests compare its counts
 * with the formulas of arch/. Results are left as they were. */
#include <string.h>

#include "base/alloc.h"
#include "device/device_ops.h"

struct null_device {
    struct device base; /* first */
    struct device_counts counts;
};

static void null_destroy(device *d) { alloc_free(d); }

static void null_matrix_pack(device *d, const struct device_matrix_source *source, struct device_matrix *m,
                             int64_t first_row, int64_t end_row) {
    (void)d;
    (void)source;
    (void)m;
    (void)first_row;
    (void)end_row;
}

static void null_embed(device *d, const struct device_matrix *m, const int32_t *ids, int n_rows, float *out,
                       size_t out_stride) {
    (void)d;
    (void)ids;
    for (int i = 0; i < n_rows; i++) memset(out + (size_t)i * out_stride, 0, (size_t)m->n_columns * sizeof(float));
}

static void null_norm(device *d, const struct device_norm *a) {
    (void)d;
    (void)a;
}

static void count_product(device *d, const struct device_matrix *m, int n_rows) {
    struct device_counts *counts = &((struct null_device *)d)->counts;
    counts->flops += 2.0 * (double)m->n_rows * (double)m->n_columns * n_rows;
    counts->weight_bytes += (double)m->n_bytes;
}

static void null_linear(device *d, const struct device_linear *a) {
    for (int i = 0; i < a->n_parts; i++) count_product(d, a->m[i], a->n_rows);
}

static void null_gated(device *d, const struct device_gated *a) {
    count_product(d, a->gate, a->n_rows);
    count_product(d, a->up, a->n_rows);
}

static void null_rotate(device *d, const struct device_rotate *a) {
    (void)d;
    (void)a;
}

/* Scores and weighted values: each row sees the keys up to its own. */
static void null_attention(device *d, const struct device_attention *a) {
    struct device_counts *counts = &((struct null_device *)d)->counts;
    for (int i = 0; i < a->n_runs; i++)
        for (int r = 0; r < a->runs[i].n_rows; r++)
            counts->flops += 4.0 * (double)(a->runs[i].position_0 + r + 1) * (double)(a->n_heads * a->kv->head_size);
}

/* The scores again, and the gradients of scores, values, keys and queries: five products over what a query sees. */
static void null_attention_backward(device *d, const struct device_attention_backward *a) {
    struct device_counts *counts = &((struct null_device *)d)->counts;
    for (int i = 0; i < a->n_runs; i++) {
        const double n = a->runs[i].n_rows;
        counts->flops += 10.0 * (n * (n + 1) / 2) * (double)(a->n_heads * a->head_size);
    }
}

static float null_logsumexp(device *d, const float *x, int64_t n) {
    (void)d;
    (void)x;
    (void)n;
    return 0.0f;
}

static void null_gradient_pack(device *d, const struct device_gradient_source *source,
                               struct device_gradient_matrix *g) {
    (void)d, (void)source, (void)g;
}

static void null_gradient_rows(device *d, const struct device_gradient_matrix *g, const float *dy, size_t dy_stride,
                               int n_rows, struct device_rows out) {
    (void)d, (void)g, (void)dy, (void)dy_stride, (void)n_rows, (void)out;
}

static void null_outer(device *d, const struct device_outer *a) {
    ((struct null_device *)d)->counts.flops += 2.0 * (double)a->n_a * (double)a->n_b * a->n_tokens;
}

static void null_norm_rows(device *d, const struct device_norm_rows *a) { (void)d, (void)a; }
static void null_norm_backward(device *d, const struct device_norm_backward *a) { (void)d, (void)a; }
static void null_gated_backward(device *d, const struct device_gated_backward *a) { (void)d, (void)a; }
static void null_rotate_backward(device *d, const struct device_rotate_backward *a) { (void)d, (void)a; }

static void null_embed_backward(device *d, const int32_t *ids, int n_rows, const float *dx, size_t dx_stride,
                                int64_t width, float *dw) {
    (void)d, (void)ids, (void)n_rows, (void)dx, (void)dx_stride, (void)width, (void)dw;
}

static void null_cross_entropy(device *d, const struct device_cross_entropy *a) {
    (void)d;
    memset(a->losses, 0, (size_t)a->n_rows * sizeof *a->losses);
}

static void null_add(device *d, float *y, const float *x, int64_t n) { (void)d, (void)y, (void)x, (void)n; }
static void null_copy(device *d, float *y, const float *x, int64_t n) { (void)d, (void)y, (void)x, (void)n; }
static bool null_adamw(device *d, const struct device_adamw *a) {
    (void)d, (void)a;
    return true;
}

static bool null_add_squares(device *d, const float *x, int64_t n, struct exact_sum *sum) {
    (void)d, (void)x, (void)n, (void)sum;
    return true;
}

static void null_transpose(device *d, const float *x, int64_t n_rows, int64_t n_columns, float *out) {
    (void)d, (void)x, (void)n_rows, (void)n_columns, (void)out;
}

static const struct device_ops null_ops = {
    .destroy = null_destroy,
    .matrix_pack = null_matrix_pack,
    .embed = null_embed,
    .norm = null_norm,
    .linear = null_linear,
    .gated = null_gated,
    .rotate = null_rotate,
    .attention = null_attention,
    .attention_backward = null_attention_backward,
    .logsumexp = null_logsumexp,
    .gradient_pack = null_gradient_pack,
    .gradient_rows = null_gradient_rows,
    .outer = null_outer,
    .norm_rows = null_norm_rows,
    .norm_backward = null_norm_backward,
    .gated_backward = null_gated_backward,
    .rotate_backward = null_rotate_backward,
    .embed_backward = null_embed_backward,
    .cross_entropy = null_cross_entropy,
    .add = null_add,
    .copy = null_copy,
    .adamw = null_adamw,
    .add_squares = null_add_squares,
    .transpose = null_transpose,
};

cria_status device_create_null(device **ret, struct cria_error *err) {
    struct null_device *n = ALLOC_NEW(struct null_device);
    if (!n) return ERROR_NOMEM(err, sizeof *n, "the null device");
    n->base.ops = &null_ops;
    n->base.n_threads = 1;
    kernel_table_init(&n->base.table, KERNEL_ISA_REF);
    *ret = &n->base;
    return CRIA_OK;
}

struct device_counts device_null_counts(const device *d) {
    return d->ops == &null_ops ? ((const struct null_device *)d)->counts : (struct device_counts){0};
}
