/* device.h: the seam between the model and the machine that computes.
 *
 * A device is a table of operations over rows of numbers; the functions below call it. Callers may believe: on every
 * CPU back end the same operations give the same bits (kernel/order.h), whatever the number of threads or rows. They
 * must never know how weights or packed rows lie in memory: those are opaque bytes of a size that the device tells.
 * Back ends: cpu (threads, loops over the kernel table) and null (counts operations and bytes, computes nothing).
 * Memory is the host's for both. Thread rules: one thread at a time calls operations of a device.
 *
 * Letters: M rows, N outputs, K inputs; S head size, H query heads, G key/value heads. Operations cannot fail: what can
 * is checked when a matrix is described or a device made; shapes are the caller's duty (nn/ checks them). */
#ifndef DEVICE_DEVICE_H
#define DEVICE_DEVICE_H

#include "base/error.h"
#include "kernel/kernel.h"

typedef struct device device;

struct device_options {
    int n_threads;           /* 0: one for each processor that this process may use */
    enum kernel_isa max_isa; /* NONE: the best that the machine has */
};

#define DEVICE_MAX_THREADS 256
#define DEVICE_MAX_SHARDS 8
#define DEVICE_MAX_PARTS 3

CRIA_MUST_CHECK cria_status device_create_cpu(device **ret, const struct device_options *options,
                                              struct cria_error *err);
CRIA_MUST_CHECK cria_status device_create_null(device **ret, struct cria_error *err);
/* Takes NULL; clears the caller's pointer. */
void device_destroy(device **d);
enum kernel_isa device_isa(const device *d);
int device_threads(const device *d);

/* Computation happens between begin and end: they set and restore this thread's floating point state (FTZ and DAZ). */
void device_begin(device *d);
void device_end(device *d);

/* A stored matrix [N][K] in a file's mapping. */
struct device_matrix_source {
    enum dtype stored;
    const uint8_t *data; /* borrowed; rows one after the other */
    int64_t n_rows, n_columns;
    int64_t interleaved_heads; /* 0; else the S of heads whose rows come as pairs (2i, 2i + 1) and are put back to (i, i
                                  + S/2) */
};

/* A matrix as the device holds it; made by device_matrix_plan(), its bytes by device_matrix_pack(). Plain data; borrows
 * `data`. */
struct device_matrix {
    struct kernel_weights weights;
    int64_t n_rows, n_columns;              /* N, K */
    int n_shards;                           /* chains over K that are added in a tree */
    int shard_step[DEVICE_MAX_SHARDS + 1];  /* first step of each shard, and the end */
    int64_t shard_k[DEVICE_MAX_SHARDS + 1]; /* first column of each shard, and K */
    size_t n_bytes;
    bool has_non_finite; /* some number that was packed is NaN or infinite */
};

/* Describes how the device would hold the matrix: f32 products (exact values) or bf16 ones. shard_k: n_shards + 1 first
 * columns, or NULL for one shard. */
void device_matrix_plan(const device *d, const struct device_matrix_source *source, bool f32, int n_shards,
                        const int64_t *shard_k, struct device_matrix *ret);
/* Packs rows first_row .. end_row - 1 of the source into their place in memory (m->n_bytes, zeroed, 64-byte aligned,
 * owned by the caller) and makes m borrow it. No other rows are read where both are multiples of device_pack_grain() or
 * the matrix's end; first_row has to be. */
void device_matrix_pack(device *d, const struct device_matrix_source *source, struct device_matrix *m, uint8_t *memory,
                        int64_t first_row, int64_t end_row);
int64_t device_pack_grain(const struct device_matrix_source *source);
/* out[row i] = row ids[i] of the matrix, K floats, out_stride floats apart: the numbers that products would use. */
void device_embed(device *d, const struct device_matrix *m, const int32_t *ids, int n_rows, float *out,
                  size_t out_stride);

/* Rows of activations packed for a product with a matrix of the same K and shards. */
struct device_rows {
    uint8_t *data; /* borrowed */
    size_t stride; /* bytes from row to row */
};
/* Bytes of one packed row for products with m. */
size_t device_row_bytes(const device *d, const struct device_matrix *m);

/* out row i = rmsnorm(x row i) * w, packed for m. */
struct device_norm {
    const float *x;
    size_t x_stride;
    const float *w;
    float eps;
    const struct device_matrix *m;
    struct device_rows out;
    int n_rows;
};
void device_norm(device *d, const struct device_norm *a);

/* y[row][y_offset[p] + n] = x . matrix_p row n, for up to three matrices over the same x; with `add` the product is
 * added to y. */
struct device_linear {
    const struct device_matrix *m[DEVICE_MAX_PARTS];
    int64_t y_offset[DEVICE_MAX_PARTS];
    int n_parts;
    struct device_rows x;
    int n_rows;
    float *y;
    size_t y_stride;
    bool add;
};
void device_linear(device *d, const struct device_linear *a);

/* out = silu(x . gate) * (x . up), packed for `down` (whose K is their N). */
struct device_gated {
    const struct device_matrix *gate, *up, *down;
    struct device_rows x, out;
    int n_rows;
    float *gate_up; /* NULL, or where rows of x . gate and, behind it, x . up are kept for backward */
    size_t gate_up_stride;
};
void device_gated(device *d, const struct device_gated *a);

/* How keys and values of one layer lie in a page of ORDER_KEY_BLOCK tokens. */
struct device_kv {
    enum dtype dtype; /* BF16 or F32 */
    int64_t n_kv_heads, head_size;
    size_t head_bytes, value_offset; /* of one KV head's keys and values; values begin at value_offset inside it */
    size_t page_bytes;               /* all heads of one layer */
};
void device_kv_plan(const device *d, enum dtype dtype, int64_t n_kv_heads, int64_t head_size, struct device_kv *ret);

/* Zeroes the keys and values of all places from first_token on in one layer's page. */
void device_kv_clear(const device *d, const struct device_kv *kv, uint8_t *page, int first_token);

/* The rows of one sequence inside a batch. */
struct device_run {
    int row_0, n_rows;
    int64_t position_0;   /* of row_0 in its sequence */
    const int32_t *pages; /* borrowed: page numbers of the sequence, enough for its last row */
};

/* Rotates q and k of each row (qkv: H heads of q, G of k, G of v, one after the other), writes k and v into their pages
 * and packs q for device_attention(). */
struct device_rotate {
    float *qkv;
    size_t qkv_stride;
    int64_t n_heads;
    const struct device_kv *kv;
    const float *cosines, *sines; /* [position][S/2] */
    const struct device_run *runs;
    int n_runs, n_rows;
    uint8_t *cache;       /* the layer's part of page 0 */
    size_t page_stride;   /* bytes from page to page */
    struct device_rows q; /* n_rows rows of device_q_bytes() */
};
size_t device_q_bytes(const device *d, const struct device_kv *kv, int64_t n_heads);
void device_rotate(device *d, const struct device_rotate *a);

/* out row i = attention of row i over its sequence up to itself, H x S numbers packed for m (the output projection). */
struct device_attention {
    int64_t n_heads;
    const struct device_kv *kv;
    const struct device_run *runs;
    int n_runs, n_rows;
    const uint8_t *cache;
    size_t page_stride;
    struct device_rows q, out;
    const struct device_matrix *m;
    float *rows;      /* n_rows x H * S: the result before it is rounded */
    float *stats;     /* n_rows x H x 2: m and 1 / l of each row and head; NULL: not kept */
    uint8_t *scratch; /* device_attention_bytes() for this max_context */
    int64_t max_context;
};
size_t device_attention_bytes(const device *d, const struct device_kv *kv, int64_t n_heads, int64_t max_context);
void device_attention(device *d, const struct device_attention *a);

/* log of the sum of exponentials of n numbers. */
float device_logsumexp(device *d, const float *x, int64_t n);

/* Scratch that products, norms and embedding need for matrices of at most max_columns. */
size_t device_scratch_bytes(const device *d, int64_t max_columns);
/* The scratch that they use from now on, with the max_columns it was made for; borrowed. */
void device_set_scratch(device *d, uint8_t *scratch, int64_t max_columns);

/* What the null device counted: products' floating point operations, bytes of weights read. */
struct device_counts {
    double flops, weight_bytes;
};
struct device_counts device_null_counts(const device *d);

#endif
