/* cpu_product.c: the products: packing weights, and the loops that share them out.
 *
 * A piece of work is a unit (two panels, 32 outputs) and a block of rows. Quantised panels are unpacked once for the
 * block, or, with few rows, multiplied as they are. Each shard of K is a chain of its own; the chains are added in
 * a tree before anything else happens to the result (kernel/order.h). */
#include "device/cpu/cpu.h"
#include "device/product_scratch.h"

/* The scratch of one thread. */
static uint8_t *tiles_of(const device *d, int i_thread) { return d->scratch + (size_t)i_thread * d->scratch_bytes; }
static float *results_of(const device *d, int i_thread) {
    return (float *)(tiles_of(d, i_thread) + d->scratch_bytes - product_results_bytes());
}

/* ---- packing ---- */

struct packing {
    const device *d;
    const struct device_matrix_source *source;
    struct device_matrix *m;
    int64_t first_panel;
};

/* The stored row that becomes output n: heads of interleaved pairs go back to halves. */
static int64_t stored_row(const struct device_matrix_source *source, int64_t n) {
    const int64_t size = source->interleaved_heads;
    if (size == 0) return n;
    const int64_t i = n % size, half = size / 2;
    return n - i + 2 * (i % half) + i / half;
}

static void pack_panel(const struct packing *p, int64_t panel) {
    const struct device_matrix *m = p->m;
    const enum dtype to = m->weights.dtype;
    const size_t row_bytes = dtype_bytes(p->source->stored, (size_t)m->n_columns);
    const int group = kernel_panel_group(to);
    uint8_t *out = (uint8_t *)m->weights.data + (size_t)panel * m->weights.panel_bytes;
    const void *rows[KERNEL_PANEL];
    bool is_finite = true;
    for (int n = 0; n < KERNEL_PANEL; n++) {
        const int64_t row = panel * KERNEL_PANEL + n;
        rows[n] = row < m->n_rows ? p->source->data + (size_t)stored_row(p->source, row) * row_bytes : NULL;
        if (rows[n]) is_finite &= dtype_row_is_finite(p->source->stored, rows[n], (size_t)m->n_columns);
    }
    if (!is_finite) __atomic_store_n(&p->m->has_non_finite, true, __ATOMIC_RELAXED);
    for (int s = 0; s < m->n_shards; s++)
        for (int step = m->shard_step[s]; step < m->shard_step[s + 1]; step += group) {
            const int64_t k = m->shard_k[s] + (int64_t)(step - m->shard_step[s]) * ORDER_STEP;
            const int64_t left = m->shard_k[s + 1] - k, whole = (int64_t)group * ORDER_STEP;
            kernel_pack_panel(&p->d->table, out + kernel_panel_bytes(to, step), to, p->source->stored, rows, (size_t)k,
                              (int)(left < whole ? left : whole));
        }
}

static void pack_panels(void *arg, int64_t begin, int64_t end, int i_thread) {
    const struct packing *p = arg;
    (void)i_thread;
    for (int64_t panel = begin; panel < end; panel++) pack_panel(p, p->first_panel + panel);
}

void cpu_matrix_pack(device *d, const struct device_matrix_source *source, struct device_matrix *m, int64_t first_row,
                     int64_t end_row) {
    struct packing p = {d, source, m, first_row / KERNEL_PANEL};
    team_for(cpu_of(d)->t, (end_row - first_row + KERNEL_PANEL - 1) / KERNEL_PANEL, 4, pack_panels, &p);
}

/* ---- embedding ---- */

struct embedding {
    const device *d;
    const struct device_matrix *m;
    const int32_t *ids;
    float *out;
    size_t out_stride;
};

static void embed_row(const struct embedding *e, int64_t i, uint8_t *tiles) {
    const struct device_matrix *m = e->m;
    const int lane = e->ids[i] % KERNEL_PANEL;
    const uint8_t *panel = m->weights.data + (size_t)(e->ids[i] / KERNEL_PANEL) * m->weights.panel_bytes;
    kernel_unpack_fn *unpack = e->d->table.unpack[m->weights.dtype];
    if (unpack) {
        unpack(tiles, panel, m->weights.n_steps);
        panel = tiles;
    }
    float *out = e->out + (size_t)i * e->out_stride;
    for (int64_t k = 0; k < m->n_columns; k++) {
        const size_t at = (size_t)(k / ORDER_STEP) * (KERNEL_PANEL * ORDER_STEP);
        const int in_step = (int)(k % ORDER_STEP);
        out[k] = m->weights.dtype == DTYPE_F32
                     ? ((const float *)panel)[at + (size_t)in_step * KERNEL_PANEL + (size_t)lane]
                     : dtype_f32_from_bf16(((const uint16_t *)panel)[at + e->d->table.tile_offset[lane][in_step]]);
    }
}

static void embed_rows(void *arg, int64_t begin, int64_t end, int i_thread) {
    const struct embedding *e = arg;
    for (int64_t i = begin; i < end; i++) embed_row(e, i, tiles_of(e->d, i_thread));
}

void cpu_embed(device *d, const struct device_matrix *m, const int32_t *ids, int n_rows, float *out,
               size_t out_stride) {
    CRIA_ASSERT(m->n_shards == 1);
    struct embedding e = {d, m, ids, out, out_stride};
    team_for(cpu_of(d)->t, n_rows, 8, embed_rows, &e);
}

/* ---- products ---- */

/* The packed rows of one piece of work, and the thread's place for tiles. */
struct row_block {
    const uint8_t *x;
    size_t x_stride;
    int n_rows; /* at most PRODUCT_ROWS */
    uint8_t *tiles;
};

/* n_steps steps of two panels of tiles. Rows wait for a few steps of both panels at a time, which stay in the nearest
 * cache; where K is long, a block of rows would not even stay in the next one. */
static void multiply_tiles(const struct kernel_product *product, const uint8_t *w, const struct kernel_weights *m,
                           const uint8_t *x, int n_steps, const struct row_block *rows, float *c) {
    const size_t tile_bytes = kernel_panel_bytes(m->dtype, 1);
    for (int step = 0; step < n_steps; step += PRODUCT_STEPS) {
        const int n = n_steps - step < PRODUCT_STEPS ? n_steps - step : PRODUCT_STEPS;
        product->run(c, PRODUCT_UNIT, x + (size_t)step * product->x_step_bytes, rows->x_stride,
                     w + (size_t)step * tile_bytes, m->panel_bytes, rows->n_rows, 2, n, step > 0);
    }
}

/* A block of rows times one shard of a unit's two panels. Quantised panels are unpacked a few steps at a time, so that
 * their tiles are still in the nearest cache when the rows meet them; storing and adding an accumulator is exact. */
static void multiply_shard(const device *d, const struct device_matrix *m, int64_t i_unit, int shard,
                           const struct row_block *rows, float *c) {
    const enum dtype dtype = m->weights.dtype;
    const struct kernel_product *product = device_product(d, dtype);
    const size_t panel_bytes = m->weights.panel_bytes, tiles_bytes = kernel_panel_bytes(DTYPE_BF16, PRODUCT_TILE_STEPS);
    const uint8_t *panels = m->weights.data + (size_t)i_unit * 2 * panel_bytes;
    const int begin = m->shard_step[shard], end = m->shard_step[shard + 1];
    const uint8_t *x = rows->x + (size_t)begin * product->x_step_bytes, *w = panels + kernel_panel_bytes(dtype, begin);
    kernel_unpack_fn *unpack = d->table.unpack[dtype];
    if (!unpack) {
        multiply_tiles(product, w, &m->weights, x, end - begin, rows, c);
        return;
    }
    if (rows->n_rows <= d->table.few_rows) {
        d->table.few[dtype](c, PRODUCT_UNIT, x, rows->x_stride, w, panel_bytes, rows->n_rows, 2, end - begin, false);
        return;
    }
    for (int step = begin; step < end; step += PRODUCT_TILE_STEPS) {
        const int n = end - step < PRODUCT_TILE_STEPS ? end - step : PRODUCT_TILE_STEPS;
        unpack(rows->tiles, panels + kernel_panel_bytes(dtype, step), n);
        unpack(rows->tiles + tiles_bytes, panels + panel_bytes + kernel_panel_bytes(dtype, step), n);
        product->run(c, PRODUCT_UNIT, rows->x + (size_t)step * product->x_step_bytes, rows->x_stride, rows->tiles,
                     tiles_bytes, rows->n_rows, 2, n, step > begin);
    }
}

/* c[PRODUCT_ROWS][PRODUCT_UNIT] = rows of x times the unit; c has room for every shard. */
static void multiply(const device *d, const struct device_matrix *m, int64_t i_unit, const struct row_block *rows,
                     float *c) {
    const size_t shard_floats = (size_t)PRODUCT_ROWS * PRODUCT_UNIT;
    for (int s = 0; s < m->n_shards; s++) multiply_shard(d, m, i_unit, s, rows, c + (size_t)s * shard_floats);
    for (int width = 1; width < m->n_shards; width *= 2)
        for (int s = 0; s + width < m->n_shards; s += 2 * width)
            d->table.add(c + (size_t)s * shard_floats, c + (size_t)(s + width) * shard_floats,
                         rows->n_rows * PRODUCT_UNIT);
}

/* Rows `row` and after of x, at most PRODUCT_ROWS. */
static struct row_block block_at(const device *d, struct device_rows x, int n_rows, int row, int i_thread) {
    const int left = n_rows - row;
    return (struct row_block){x.data + (size_t)row * x.stride, x.stride, left < PRODUCT_ROWS ? left : PRODUCT_ROWS,
                              tiles_of(d, i_thread)};
}

static int64_t units_of(const struct device_matrix *m) { return (m->n_rows + PRODUCT_UNIT - 1) / PRODUCT_UNIT; }

struct linear_work {
    const device *d;
    const struct device_linear *a;
    int64_t n_units[DEVICE_MAX_PARTS], n_row_blocks;
};

static void store_rows(const struct linear_work *w, int part, int64_t i_unit, const float *c, int row, int n_rows) {
    const struct device_linear *a = w->a;
    const int64_t n_0 = i_unit * PRODUCT_UNIT, left = a->m[part]->n_rows - n_0;
    const int n = left < PRODUCT_UNIT ? (int)left : PRODUCT_UNIT;
    for (int i = 0; i < n_rows; i++) {
        float *y = a->y + (size_t)(row + i) * a->y_stride + a->y_offset[part] + n_0;
        const float *from = c + (size_t)i * PRODUCT_UNIT;
        if (a->add) w->d->table.add(y, from, n);
        else __builtin_memcpy(y, from, (size_t)n * sizeof(float));
    }
}

static void linear_piece(const struct linear_work *w, int64_t item, int i_thread) {
    const struct device_linear *a = w->a;
    const int row = (int)(item % w->n_row_blocks) * PRODUCT_ROWS;
    const struct row_block rows = block_at(w->d, a->x, a->n_rows, row, i_thread);
    int64_t i_unit = item / w->n_row_blocks;
    int part = 0;
    while (i_unit >= w->n_units[part]) i_unit -= w->n_units[part++];
    float *c = results_of(w->d, i_thread);
    multiply(w->d, a->m[part], i_unit, &rows, c);
    store_rows(w, part, i_unit, c, row, rows.n_rows);
}

static void linear_pieces(void *arg, int64_t begin, int64_t end, int i_thread) {
    for (int64_t item = begin; item < end; item++) linear_piece(arg, item, i_thread);
}

void cpu_linear(device *d, const struct device_linear *a) {
    struct linear_work w = {.d = d, .a = a, .n_row_blocks = (a->n_rows + PRODUCT_ROWS - 1) / PRODUCT_ROWS};
    int64_t n = 0;
    for (int part = 0; part < a->n_parts; part++) n += w.n_units[part] = units_of(a->m[part]);
    n *= w.n_row_blocks;
    team_for(cpu_of(d)->t, n, cpu_grain(d, n), linear_pieces, &w);
}

struct gated_work {
    const device *d;
    const struct device_gated *a;
    int64_t n_row_blocks;
};

/* Leaves gate and up of a unit behind for backward. */
static void keep_unit(const struct device_gated *a, int64_t i_unit, int row, int n_rows, const float *g,
                      const float *u) {
    const int64_t width = a->gate->n_rows, first = i_unit * PRODUCT_UNIT, left = width - first;
    const size_t bytes = (size_t)(left < PRODUCT_UNIT ? left : PRODUCT_UNIT) * sizeof(float);
    for (int i = 0; i < n_rows; i++) {
        float *to = a->gate_up + (size_t)(row + i) * a->gate_up_stride + first;
        __builtin_memcpy(to, g + (size_t)i * PRODUCT_UNIT, bytes);
        __builtin_memcpy(to + width, u + (size_t)i * PRODUCT_UNIT, bytes);
    }
}

static void gated_piece(const struct gated_work *w, int64_t item, int i_thread) {
    const struct device_gated *a = w->a;
    const int row = (int)(item % w->n_row_blocks) * PRODUCT_ROWS;
    const struct row_block rows = block_at(w->d, a->x, a->n_rows, row, i_thread);
    const int64_t i_unit = item / w->n_row_blocks, left = a->gate->n_rows - i_unit * PRODUCT_UNIT;
    const struct kernel_product *next = device_product(w->d, a->down->weights.dtype);
    uint8_t *out = a->out.data + (size_t)row * a->out.stride + (size_t)i_unit * next->x_step_bytes;
    float *g = results_of(w->d, i_thread), *u = g + (size_t)PRODUCT_ROWS * PRODUCT_UNIT;
    multiply(w->d, a->gate, i_unit, &rows, g);
    multiply(w->d, a->up, i_unit, &rows, u);
    if (a->gate_up) keep_unit(a, i_unit, row, rows.n_rows, g, u);
    w->d->table.gate(g, g, u, rows.n_rows * PRODUCT_UNIT);
    for (int i = 0; i < rows.n_rows; i++)
        next->pack_x(out + (size_t)i * a->out.stride, g + (size_t)i * PRODUCT_UNIT,
                     left < PRODUCT_UNIT ? (int)left : PRODUCT_UNIT);
}

static void gated_pieces(void *arg, int64_t begin, int64_t end, int i_thread) {
    for (int64_t item = begin; item < end; item++) gated_piece(arg, item, i_thread);
}

void cpu_gated(device *d, const struct device_gated *a) {
    struct gated_work w = {d, a, (a->n_rows + PRODUCT_ROWS - 1) / PRODUCT_ROWS};
    const int64_t n = units_of(a->gate) * w.n_row_blocks;
    team_for(cpu_of(d)->t, n, cpu_grain(d, n), gated_pieces, &w);
}
