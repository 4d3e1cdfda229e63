/* device_backward.h: the operations of learning: what backward, the loss and the optimizers ask of a device.
 *
 * What stands in device.h holds here: the same bits on every CPU back end, whatever the number of threads; shapes are
 * the caller's duty. Values are rows of floats; where a product rounds its operands (`f32` false: bf16) it does so
 * while it packs them, and each time to the same bits. Operations marked += add to what is there, in the order that
 * kernel/order.h gives; the owner zeroes.
 *
 * Letters: M rows (token slots), N outputs and K inputs of a product. The rows of a batch are the slots of its data
 * rows one after the other; each data row begins at a multiple of ORDER_STEP slots, and a slot without a token has
 * finite inputs and zero gradients, which makes it the padding that the order asks for. */
#ifndef DEVICE_DEVICE_BACKWARD_H
#define DEVICE_DEVICE_BACKWARD_H

#include "device/device.h"

/* ---- input gradients: dx = dy . W ---- */

/* The matrix that the input gradient of up to three products over the same x is a product with: K outputs over the
 * parts' N columns. Each of the n_shards chains takes its rows of part 0, then of part 1, then of part 2, each part
 * beginning a whole step; the chains are added in a tree. Plain data; borrows its packed bytes. */
struct device_gradient_segment {
    int64_t column, n; /* of the rows dy: where the parts stand side by side */
    int step;          /* where its packed form begins */
};
#define DEVICE_MAX_SEGMENTS (DEVICE_MAX_SHARDS * DEVICE_MAX_PARTS)
struct device_gradient_matrix {
    struct device_matrix m; /* n_rows = K; for device_linear() over rows from device_gradient_pack() */
    struct device_gradient_segment segments[DEVICE_MAX_SEGMENTS];
    int n_segments;
};
struct device_gradient_source {
    const float *w[DEVICE_MAX_PARTS]; /* [N][K] each, rows one after the other; borrowed, may be NULL for planning */
    int64_t n_rows[DEVICE_MAX_PARTS]; /* N */
    int64_t n_columns;                /* K */
    int n_parts, n_shards;
    int64_t shard_row[DEVICE_MAX_PARTS][DEVICE_MAX_SHARDS + 1]; /* first row of each shard in each part, and N */
    bool f32;
};
void device_gradient_plan(const device *d, const struct device_gradient_source *source,
                          struct device_gradient_matrix *ret);
/* Packs the weights into memory (g->m.n_bytes, zeroed once, 64-byte aligned, owned by the caller). */
void device_gradient_pack(device *d, const struct device_gradient_source *source, struct device_gradient_matrix *g,
                          uint8_t *memory);
/* out row i = dy row i (all parts side by side) packed for products with g->m: device_row_bytes(d, &g->m) each. */
void device_gradient_rows(device *d, const struct device_gradient_matrix *g, const float *dy, size_t dy_stride,
                          int n_rows, struct device_rows out);

/* ---- weight gradients ---- */

/* out[n][k] += sum over tokens t ascending of a[t][n] * b[t][k]: one chain in steps of ORDER_STEP tokens. */
struct device_outer {
    const float *a, *b; /* [n_tokens][n_a], [n_tokens][n_b] */
    size_t a_stride, b_stride;
    int n_tokens; /* any; a last step that is not full is padded with zeros */
    int64_t n_a, n_b;
    float *out; /* [n_a][out_stride] */
    size_t out_stride;
    bool f32;
    uint8_t *scratch; /* device_outer_bytes() for these sizes or larger ones */
};
size_t device_outer_bytes(const device *d, int n_tokens, int64_t n_a, int64_t n_b, bool f32);
void device_outer(device *d, const struct device_outer *a);

/* ---- rows ---- */

/* y row i = rmsnorm(x row i) * w as floats: what device_norm() packs. */
struct device_norm_rows {
    const float *x, *w;
    float *y;
    size_t x_stride, y_stride;
    int64_t width;
    float eps;
    int n_rows;
};
void device_norm_rows(device *d, const struct device_norm_rows *a);
/* dx += , dw += (tokens ascending). */
struct device_norm_backward {
    const float *x, *w, *dy;
    float *dx, *dw;
    size_t x_stride, dy_stride, dx_stride;
    int64_t width;
    float eps;
    int n_rows;
    float *scratch; /* n_rows floats */
};
void device_norm_backward(device *d, const struct device_norm_backward *a);

/* From gate, up (g, u) and dh: h again, and the gradients of gate and up. h may be dh; dg and du may be g and u. */
struct device_gated_backward {
    const float *g, *u, *dh;
    float *h, *dg, *du;
    size_t stride, h_stride; /* of g, u, dg, du; of dh and h */
    int64_t width;
    int n_rows;
};
void device_gated_backward(device *d, const struct device_gated_backward *a);

/* Turns the gradients of rotated q and k (dqkv: H heads, G heads, G heads of v) back, in place. */
struct device_rotate_backward {
    float *dqkv;
    size_t stride;
    int64_t n_heads, n_kv_heads, head_size;
    const float *cosines, *sines; /* [position][S/2] */
    const struct device_run *runs;
    int n_runs;
};
void device_rotate_backward(device *d, const struct device_rotate_backward *a);

/* The gradients of attention over whole runs that begin at position 0: dqkv rows are written (rotated q and k; v).
 * qkv: rotated, as device_rotate() leaves it; out, d_out: H * S floats a row, as device_attention() leaves them in
 * `rows`; stats: m and 1 / l of each row and head, as device_attention() leaves them. */
struct device_attention_backward {
    const float *qkv, *out, *d_out, *stats;
    float *dqkv;
    size_t qkv_stride, out_stride, d_out_stride, dqkv_stride;
    int64_t n_heads, n_kv_heads, head_size;
    enum dtype kv_dtype; /* BF16 or F32: how the products round */
    const struct device_run *runs;
    int n_runs;
    int64_t max_context; /* the longest run */
    uint8_t *scratch;    /* device_attention_backward_bytes() for this shape */
};
size_t device_attention_backward_bytes(const device *d, const struct device_attention_backward *shape);
void device_attention_backward(device *d, const struct device_attention_backward *a);

/* dw row ids[i] += dx row i, i ascending; ids[i] < 0: a slot without a token. */
void device_embed_backward(device *d, const int32_t *ids, int n_rows, const float *dx, size_t dx_stride, int64_t width,
                           float *dw);

/* losses[i] = -log softmax(logits row i)[targets[i]]; the logits become their gradients, softmax - one-hot. A target
 * below 0 gives 0 and a row of zeros. */
struct device_cross_entropy {
    float *logits;
    size_t stride;
    int64_t n_vocab;
    const int32_t *targets;
    int n_rows;
    float *losses;
};
void device_cross_entropy(device *d, const struct device_cross_entropy *a);

/* ---- whole tensors ---- */

/* y = y + x over n numbers. */
void device_add(device *d, float *y, const float *x, int64_t n);
/* y = x over n numbers that do not overlap; x NULL: zeros. */
void device_copy(device *d, float *y, const float *x, int64_t n);
/* AdamW (Loshchilov and Hutter 2019) over n numbers:
 *   g = gradient * scale;  m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g g
 *   w = w - lr * decay * w;  w = w - step * m / (sqrt(v) * root + eps)
 * with step = lr / (1 - beta1^t) and root = 1 / sqrt(1 - beta2^t), computed by the caller in double. Each line in f32,
 * one rounding an operation, no fused multiply-add. False where one of w, m and v is now NaN or infinite. */
struct device_adamw {
    float *w, *m, *v;
    const float *gradient;
    int64_t n;
    float scale, beta1, beta2, one_minus_beta1, one_minus_beta2, eps, lr_decay, step, root;
};
bool device_adamw(device *d, const struct device_adamw *a);
/* Adds the squares of n numbers, exactly, to a sum (base/exact_sum.h); false where one is NaN or infinite. */
struct exact_sum;
bool device_add_squares(device *d, const float *x, int64_t n, struct exact_sum *sum);
/* out[j][i] = x[i][j] of [n_rows][n_columns]. */
void device_transpose(device *d, const float *x, int64_t n_rows, int64_t n_columns, float *out);

#endif
