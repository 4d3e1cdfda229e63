/* kernel.h: pure kernels on a run of numbers, and the table that names the best of them for this machine.
 *
 * Callers may believe: whatever the instruction set, the same inputs give the same bits (order.h). Kernels allocate
 * nothing, start no thread and know no model. They expect FTZ and DAZ to be set (device/cpu does that in its threads).
 *
 * Layouts. A weight matrix [N][K] lies in panels of 16 outputs; a panel is its steps of 32 k one after the other; a
 *   panel-step (a "tile" once it is bf16: 16 x 32 numbers, 1 KiB) is stored as its type allows: see
 * kernel_panel_step_bytes(). Which number of the tile lies where differs between instruction sets:
 * kernel_table.tile_offset. Rows of activations are packed the same way: `pack_x` writes 32 numbers a step. Callers
 * treat both as opaque bytes. */
#ifndef KERNEL_KERNEL_H
#define KERNEL_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "kernel/order.h"
#include "tensor/dtype.h"

#define KERNEL_PANEL 16 /* outputs in a panel */

enum kernel_isa {
    KERNEL_ISA_NONE,
    KERNEL_ISA_REF,
    KERNEL_ISA_AVX2,
    KERNEL_ISA_AVX512,
    KERNEL_ISA_AVX512BF16,
    KERNEL_ISA_AMX,
    KERNEL_ISA_COUNT
};

const char *kernel_isa_name(enum kernel_isa isa); /* "ref", "avx2", "avx512", "avx512bf16", "amx" */
/* NONE for an unknown name. */
enum kernel_isa kernel_isa_from_name(const char *name);
/* Whether this machine and its system can run it; else *ret_reason says what is missing (a constant string). */
bool kernel_isa_usable(enum kernel_isa isa, const char **ret_reason);
/* The one that is fastest here, at most max (NONE: no bound). */
enum kernel_isa kernel_isa_best(enum kernel_isa max);

/* A packed matrix as its kernels see it. */
struct kernel_weights {
    enum dtype dtype;    /* BF16 or a quantised type (bf16 products), or F32 (f32 products) */
    const uint8_t *data; /* borrowed; panels of panel_bytes each */
    size_t panel_bytes;
    int n_steps; /* of 32 k, over all shards */
};

/* c[row][16 p + i] for n_rows rows and n_panels panels: accumulators start at zero, or at c where `add`; steps step_0
 * .. step_0 + n_steps - 1 are added. x: packed rows, x_stride bytes apart, at step_0. c: c_stride floats a row,
 * n_panels * 16 written. `w` points at tiles: panel p begins at w + p * w_stride, at step_0. Rows 0 .. any. */
typedef void kernel_product_fn(float *c, size_t c_stride, const uint8_t *x, size_t x_stride, const uint8_t *w,
                               size_t w_stride, int n_rows, int n_panels, int n_steps, bool add);
/* Quantised panel-steps to tiles. */
typedef void kernel_unpack_fn(uint8_t *tiles, const uint8_t *w, int n_steps);
/* The codes of one output of a panel-step, from a stored block's 16 bytes of 4-bit codes or its 32 8-bit ones. */
typedef void kernel_pack_codes_fn(uint8_t *codes, int output, const uint8_t *q);
/* The 32 bf16 numbers of one output into a tile. */
typedef void kernel_pack_row_fn(uint8_t *tile, int output, const uint16_t values[ORDER_STEP]);
/* Where the 4-bit code of (output, k) lies: which of the step's 4 x 16 words, and which nibble of it. */
struct kernel_code_place {
    uint8_t vector, lane, nibble;
};
/* n numbers (up to a multiple of 32 is zero padded) of a row to packed form, rounded as the form demands. */
typedef void kernel_pack_x_fn(uint8_t *x, const float *values, int n);

/* A tile from floats that lie the other way round: output n at k = values[k * stride + n], for k < n_k (at most
 * ORDER_STEP) and n < n_outputs (at most KERNEL_PANEL); the rest is zero. Rounded as the tile demands. */
typedef void kernel_pack_tile_fn(uint8_t *tile, const float *values, size_t stride, int n_k, int n_outputs);

struct kernel_product {
    kernel_product_fn *run;
    kernel_pack_x_fn *pack_x;
    size_t x_step_bytes; /* of one row's step: 64 or 128 */
    kernel_pack_tile_fn *pack_tile;
    bool x_is_column; /* a row's step has the 16 words that one output has in a tile: turning a tile makes rows of x */
};

/* y = rmsnorm(x) * w over n numbers. */
typedef void kernel_rmsnorm_fn(float *y, const float *x, const float *w, int n, float eps);
/* h = silu(g) * u over n numbers; h may be g. */
typedef void kernel_gate_fn(float *h, const float *g, const float *u, int n);
/* Rotates one head of 2 * half numbers in place, pairs (i, i + half). */
typedef void kernel_rope_fn(float *head, const float *cosines, const float *sines, int half);

/* The running state of a query row inside a span. */
struct kernel_attention_row {
    float m;
    float l[ORDER_LANES];
};
/* One key block for n_rows query rows: takes 32 scores of each, of which the first n_visible + i / rows_per_token (1 or
 * more; 32 and more: all) count in row i; updates m and l; writes the 32 p's (0 where not visible) over the scores,
 * rounded to bf16 where round_p; multiplies o (n_o numbers of each row) by c where c is not 1. */
struct kernel_attention_block {
    struct kernel_attention_row *rows;
    float *scores, *o; /* rows of 32, and of o_stride */
    size_t o_stride;
    int n_rows, n_visible, rows_per_token, n_o;
    float scale;
    bool round_p;
};
typedef void kernel_attention_fn(const struct kernel_attention_block *b);
/* Merges the span (m2, l2, o2) into (m1, l1, o1); o has n numbers. */
typedef void kernel_merge_fn(float *m1, float *l1, float *o1, float m2, float l2, const float *o2, int n);
/* One key block for one query row, backward: takes 32 products q . k in p and 32 products dO . v in ds, of which the
 * first n_visible (1..32) count; p becomes exp(p * scale - m) * inverse_l, ds becomes p * (ds - d) * scale, both 0
 * where not visible. */
typedef void kernel_attention_gradient_fn(float *p, float *ds, int n_visible, float scale, float m, float inverse_l,
                                          float d);
/* The row reduction of a[i] * b[i] over n numbers. */
typedef float kernel_dot_fn(const float *a, const float *b, int n);
/* Tree sum of 16 lanes. */
typedef float kernel_lanes_fn(const float lanes[ORDER_LANES]);
/* y = x * a over n numbers; y may be x. */
typedef void kernel_scale_fn(float *y, const float *x, float a, int n);
/* y = y + x over n numbers. */
typedef void kernel_add_fn(float *y, const float *x, int n);
/* log of the sum of exponentials over n numbers by vocabulary shards. */
typedef float kernel_logsumexp_fn(const float *x, int64_t n);

/* Learning; order.h, "Backward". dx += the gradient of rmsnorm over n numbers; returns r. */
typedef float kernel_norm_backward_fn(float *dx, const float *x, const float *w, const float *dy, int n, float eps);
/* dw[j] += dy[i][j] * (x[i][j] * r[i]) for rows i ascending, over n columns. */
typedef void kernel_gain_fn(float *dw, const float *x, size_t x_stride, const float *dy, size_t dy_stride,
                            const float *r, int n_rows, int n);
/* From g, u and dh over n numbers: h again, dg, du; h may be dh, dg and du may be g and u. */
typedef void kernel_gate_backward_fn(float *h, float *dg, float *du, const float *g, const float *u, const float *dh,
                                     int n);
/* x = exp(x - lse) over n numbers. */
typedef void kernel_softmax_fn(float *x, float lse, int64_t n);
/* One step over n numbers: device/device_backward.h has the equations; false where one of w, m and v is now NaN or
 * infinite. */
struct kernel_adamw {
    float scale, beta1, beta2, one_minus_beta1, one_minus_beta2, eps, lr_decay, step, root;
};
typedef bool kernel_adamw_fn(float *w, float *m, float *v, const float *gradient, int64_t n,
                             const struct kernel_adamw *a);
/* out[j * out_stride + i] = x[i * stride + j] for i < n_rows, j < n_columns, both at most KERNEL_BLOCK. */
#define KERNEL_BLOCK 16
typedef void kernel_transpose_fn(float *out, size_t out_stride, const float *x, size_t stride, int n_rows,
                                 int n_columns);

struct kernel_table {
    enum kernel_isa isa;
    struct kernel_product bf16, f32;
    kernel_product_fn *few[DTYPE_COUNT];            /* up to few_rows rows against panels that are still quantised */
    int few_rows;                                   /* 0: always unpack first */
    kernel_unpack_fn *unpack[DTYPE_COUNT];          /* quantised types */
    uint16_t tile_offset[KERNEL_PANEL][ORDER_STEP]; /* place of (output, k) in a bf16 tile, in numbers */
    kernel_pack_row_fn *pack_row;
    kernel_pack_codes_fn *pack_nibbles, *pack_bytes;
    struct kernel_code_place code_place[KERNEL_PANEL][ORDER_STEP];
    kernel_rmsnorm_fn *rmsnorm;
    kernel_gate_fn *gate;
    kernel_rope_fn *rope;
    kernel_attention_fn *attention;
    kernel_merge_fn *merge;
    kernel_attention_gradient_fn *attention_gradient;
    kernel_dot_fn *dot;
    kernel_lanes_fn *lanes;
    kernel_scale_fn *scale;
    kernel_add_fn *add;
    kernel_logsumexp_fn *logsumexp;
    kernel_norm_backward_fn *norm_backward;
    kernel_gain_fn *gain;
    kernel_gate_backward_fn *gate_backward;
    kernel_rope_fn *rope_backward;
    kernel_softmax_fn *softmax;
    kernel_adamw_fn *adamw;
    kernel_transpose_fn *transpose;
};

/* Fills the table for isa, which is usable: ref first, then each better set over it. */
void kernel_table_init(struct kernel_table *t, enum kernel_isa isa);

/* Steps that are packed together: 8 for the K family, whose scales belong to 256 k; else 1. */
int kernel_panel_group(enum dtype d);
/* Bytes of n_steps steps of a panel (a multiple of the group): 1,024 for each step of BF16, 2,048 of F32, and of
 * quantised types what they take in a file, or a little more (kernel/panel.h). f32 tiles are [32 k][16 outputs] on
 * every instruction set. */
size_t kernel_panel_bytes(enum dtype d, int n_steps);

/* Packs one group of a panel from 16 stored rows (rows[i] points at the row's first element, NULL: a row of zeros),
 * columns first .. first + n - 1; n is at most 32 times the group, and what is missing is zero. stored is any type;
 * `to` is what kernel_weights.dtype says. A quantised type packed as itself needs whole blocks. */
void kernel_pack_panel(const struct kernel_table *t, uint8_t *out, enum dtype to, enum dtype stored,
                       const void *const rows[KERNEL_PANEL], size_t first, int n);
/* Places one number of a bf16 or f32 tile (the KV cache writes single keys). */
static inline void kernel_tile_put(const struct kernel_table *t, uint8_t *tile, enum dtype d, int output, int k,
                                   float value) {
    if (d == DTYPE_F32) ((float *)tile)[k * KERNEL_PANEL + output] = value;
    else ((uint16_t *)tile)[t->tile_offset[output][k]] = dtype_bf16_from_f32(value);
}

#endif
