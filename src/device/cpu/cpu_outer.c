/* cpu_outer.c: weight gradients, products over tokens: out[n][k] += sum over t of a[t][n] * b[t][k].
 *
 * The kernels want one operand as rows along the inner dimension and the other as panels across it. b has its tokens
 * as rows already and becomes panels by interleaving; a is turned, block by block. Then a piece of work is a block of
 * rows and a pair of panels, whose accumulators live in out itself: storing and adding one is exact, so tokens may come
 * in any number of calls (kernel/order.h). */
#include <string.h>

#include "device/cpu/cpu.h"
#include "device/outer_scratch.h"

enum {
    GROUPS_AT_ONCE = 16, /* of 16 columns, in one piece of packing */
    GROUPS_AHEAD = 2     /* that are on their way from memory while one is packed */
};

struct outer_work {
    const device *d;
    const struct device_outer *a;
    const struct kernel_product *product;
    struct outer_scratch s;
    size_t tile_bytes;
    int64_t a_pieces, b_pieces; /* pieces of packing along the columns of a step */
    int64_t n_units;            /* pairs of panels */
};

static int64_t ceiling(int64_t n, int64_t by) { return (n + by - 1) / by; }
static int at_most(int64_t n, int bound) { return n < bound ? (int)n : bound; }

/* Sixteen columns of a step, GROUPS_AHEAD groups behind `from`: too many rows for the processor to see it coming. */
static inline void fetch_ahead(const float *from, size_t stride, int n_tokens) {
    for (int t = 0; t < n_tokens; t++)
        __builtin_prefetch(from + (size_t)t * stride + (size_t)GROUPS_AHEAD * KERNEL_BLOCK);
}

static float *block_of(const struct outer_work *w, int i_thread) {
    return (float *)(w->a->scratch + w->s.blocks_at) + (size_t)i_thread * OUTER_ROWS * OUTER_COLUMNS;
}

/* Sixteen columns of a, up to a step of tokens from token_0, as rows of packed tokens: by way of a tile, whose words
 * only change places, or by way of floats. */
static void turn_step(const struct outer_work *w, int64_t column, int token_0, float *block) {
    const struct kernel_product *product = w->product;
    const float *from = w->a->a + (size_t)token_0 * w->a->a_stride + column;
    const int n_tokens = at_most(w->a->n_tokens - token_0, ORDER_STEP);
    const int n_columns = at_most(w->a->n_a - column, KERNEL_BLOCK);
    uint8_t *out =
        w->a->scratch + (size_t)column * w->s.row_bytes + (size_t)(token_0 / ORDER_STEP) * product->x_step_bytes;
    fetch_ahead(from, w->a->a_stride, n_tokens);
    if (product->x_is_column) {
        product->pack_tile((uint8_t *)block, from, w->a->a_stride, n_tokens, n_columns);
        w->d->table.transpose((float *)out, w->s.row_bytes / sizeof(float), block, KERNEL_PANEL, ORDER_STEP / 2,
                              n_columns);
        return;
    }
    for (int t = 0; t < n_tokens; t += KERNEL_BLOCK)
        w->d->table.transpose(block + t, ORDER_STEP, from + (size_t)t * w->a->a_stride, w->a->a_stride,
                              at_most(n_tokens - t, KERNEL_BLOCK), n_columns);
    for (int i = 0; i < n_columns; i++)
        product->pack_x(out + (size_t)i * w->s.row_bytes, block + i * ORDER_STEP, n_tokens);
}

static void turn_piece(const struct outer_work *w, int step, int64_t piece, float *block) {
    const int64_t first = piece * GROUPS_AT_ONCE * KERNEL_BLOCK, end = first + GROUPS_AT_ONCE * KERNEL_BLOCK;
    for (int64_t column = first; column < end && column < w->a->n_a; column += KERNEL_BLOCK)
        turn_step(w, column, step * ORDER_STEP, block);
}

static void panel_piece(const struct outer_work *w, int step, int64_t piece) {
    const struct device_outer *a = w->a;
    const int token = step * ORDER_STEP;
    for (int64_t panel = piece * GROUPS_AT_ONCE; panel < (piece + 1) * GROUPS_AT_ONCE; panel++) {
        const int64_t column = panel * KERNEL_PANEL;
        if (column >= a->n_b) return;
        fetch_ahead(a->b + (size_t)token * a->b_stride + column, a->b_stride, at_most(a->n_tokens - token, ORDER_STEP));
        w->product->pack_tile(
            a->scratch + w->s.panels_at + (size_t)panel * w->s.panel_bytes + (size_t)step * w->tile_bytes,
            a->b + (size_t)token * a->b_stride + column, a->b_stride, at_most(a->n_tokens - token, ORDER_STEP),
            at_most(a->n_b - column, KERNEL_PANEL));
    }
}

static void pack_pieces(void *arg, int64_t begin, int64_t end, int i_thread) {
    const struct outer_work *w = arg;
    for (int64_t item = begin; item < end; item++) {
        const int step = (int)(item / (w->a_pieces + w->b_pieces));
        const int64_t piece = item % (w->a_pieces + w->b_pieces);
        if (piece < w->a_pieces) turn_piece(w, step, piece, block_of(w, i_thread));
        else panel_piece(w, step, piece - w->a_pieces);
    }
}

/* Adds the tokens to c: n_rows rows from `row`, n_panels panels from `panel`. */
static void add_tokens(const struct outer_work *w, float *c, size_t c_stride, int64_t row, int64_t panel, int n_rows,
                       int n_panels) {
    w->product->run(c, c_stride, w->a->scratch + (size_t)row * w->s.row_bytes, w->s.row_bytes,
                    w->a->scratch + w->s.panels_at + (size_t)panel * w->s.panel_bytes, w->s.panel_bytes, n_rows,
                    n_panels, w->s.n_steps, true);
}

/* Pieces of one block of rows follow each other: the block, the larger operand, stays near while panels pass by.
 * Kernels write whole panels: where the last one is not, its result is made beside. */
static void add_piece(const struct outer_work *w, int64_t item, int i_thread) {
    const int64_t row = item / w->n_units * OUTER_ROWS, column = item % w->n_units * OUTER_COLUMNS;
    const int n_rows = at_most(w->a->n_a - row, OUTER_ROWS), n_columns = at_most(w->a->n_b - column, OUTER_COLUMNS);
    const int n_panels = (int)ceiling(n_columns, KERNEL_PANEL);
    float *out = w->a->out + (size_t)row * w->a->out_stride + column;
    if (n_columns % KERNEL_PANEL == 0) {
        add_tokens(w, out, w->a->out_stride, row, column / KERNEL_PANEL, n_rows, n_panels);
        return;
    }
    float *block = block_of(w, i_thread);
    const size_t row_bytes = (size_t)n_columns * sizeof(float);
    for (int i = 0; i < n_rows; i++) {
        memset(block + i * OUTER_COLUMNS, 0, OUTER_COLUMNS * sizeof(float));
        memcpy(block + i * OUTER_COLUMNS, out + (size_t)i * w->a->out_stride, row_bytes);
    }
    add_tokens(w, block, OUTER_COLUMNS, row, column / KERNEL_PANEL, n_rows, n_panels);
    for (int i = 0; i < n_rows; i++) memcpy(out + (size_t)i * w->a->out_stride, block + i * OUTER_COLUMNS, row_bytes);
}

static void add_pieces(void *arg, int64_t begin, int64_t end, int i_thread) {
    for (int64_t item = begin; item < end; item++) add_piece(arg, item, i_thread);
}

static void add_chunk(device *d, const struct device_outer *a) {
    struct outer_work w = {.d = d, .a = a, .product = a->f32 ? &d->table.f32 : &d->table.bf16};
    w.s = outer_scratch_plan(d, a->n_tokens, a->n_a, a->n_b, a->f32);
    w.tile_bytes = w.s.panel_bytes / (size_t)w.s.n_steps;
    w.a_pieces = ceiling(a->n_a, GROUPS_AT_ONCE * KERNEL_BLOCK);
    w.b_pieces = ceiling(a->n_b, GROUPS_AT_ONCE * KERNEL_PANEL);
    w.n_units = ceiling(a->n_b, OUTER_COLUMNS);
    const int64_t n_packings = (w.a_pieces + w.b_pieces) * w.s.n_steps;
    const int64_t n_products = w.n_units * ceiling(a->n_a, OUTER_ROWS);
    team_for(cpu_of(d)->t, n_packings, cpu_grain(d, n_packings), pack_pieces, &w);
    team_for(cpu_of(d)->t, n_products, cpu_grain(d, n_products), add_pieces, &w);
}

/* Chunks of the same length: each reads and writes the whole result once. */
void cpu_outer(device *d, const struct device_outer *a) {
    const int n_steps = (int)ceiling(a->n_tokens, ORDER_STEP), n_chunks = (int)ceiling(n_steps, OUTER_STEPS);
    for (int i = 0; i < n_chunks; i++) {
        const int token = n_steps * i / n_chunks * ORDER_STEP, end = n_steps * (i + 1) / n_chunks * ORDER_STEP;
        struct device_outer chunk = *a;
        chunk.a += (size_t)token * a->a_stride;
        chunk.b += (size_t)token * a->b_stride;
        chunk.n_tokens = at_most(a->n_tokens, end) - token;
        add_chunk(d, &chunk);
    }
}
