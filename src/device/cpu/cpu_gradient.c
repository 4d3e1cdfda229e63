/* cpu_gradient.c: weights and rows packed for input gradients, dx = dy . W: the inner dimension is the outputs of W,
 * in segments that each begin a whole step (device_gradient_plan). */
#include "device/cpu/cpu.h"

enum { PANELS_AT_ONCE = 8, /* 512 bytes of each of 32 rows */ ROWS_GRAIN = 4 };

struct gradient_packing {
    const device *d;
    const struct device_gradient_source *source;
    const struct device_gradient_matrix *g;
    int64_t n_groups; /* of panels, in a step */
};

/* The weights behind one step: rows from *ret_w on, *ret_n of them. */
static void rows_of_step(const struct gradient_packing *p, int step, const float **ret_w, int *ret_n) {
    const struct device_gradient_segment *segment = p->g->segments + p->g->n_segments - 1;
    while (segment->step > step) segment--;
    int64_t column = segment->column;
    int part = 0;
    while (column >= p->source->n_rows[part]) column -= p->source->n_rows[part++];
    const int64_t done = (int64_t)(step - segment->step) * ORDER_STEP, left = segment->n - done;
    *ret_w = p->source->w[part] + (size_t)(column + done) * (size_t)p->source->n_columns;
    *ret_n = left < ORDER_STEP ? (int)left : ORDER_STEP;
}

static void pack_tiles(void *arg, int64_t begin, int64_t end, int i_thread) {
    const struct gradient_packing *p = arg;
    const struct kernel_weights *m = &p->g->m.weights;
    const struct kernel_product *product = device_product(p->d, m->dtype);
    const int64_t n_columns = p->source->n_columns;
    (void)i_thread;
    for (int64_t item = begin; item < end; item++) {
        const int step = (int)(item / p->n_groups);
        const int64_t panel_0 = item % p->n_groups * PANELS_AT_ONCE;
        const float *w;
        int n;
        rows_of_step(p, step, &w, &n);
        for (int64_t panel = panel_0; panel < panel_0 + PANELS_AT_ONCE; panel++) {
            const int64_t column = panel * KERNEL_PANEL, left = n_columns - column;
            if (left <= 0) break;
            uint8_t *tile = (uint8_t *)m->data + (size_t)panel * m->panel_bytes + kernel_panel_bytes(m->dtype, step);
            product->pack_tile(tile, w + column, (size_t)n_columns, n, left < KERNEL_PANEL ? (int)left : KERNEL_PANEL);
        }
    }
}

void cpu_gradient_pack(device *d, const struct device_gradient_source *source, struct device_gradient_matrix *g) {
    const int64_t columns_at_once = PANELS_AT_ONCE * KERNEL_PANEL;
    struct gradient_packing p = {d, source, g, (source->n_columns + columns_at_once - 1) / columns_at_once};
    const int64_t n_items = p.n_groups * g->m.weights.n_steps;
    team_for(cpu_of(d)->t, n_items, cpu_grain(d, n_items), pack_tiles, &p);
}

struct gradient_rows {
    const device *d;
    const struct device_gradient_matrix *g;
    const float *dy;
    size_t dy_stride;
    struct device_rows out;
};

static void pack_gradients(void *arg, int64_t begin, int64_t end, int i_thread) {
    const struct gradient_rows *r = arg;
    const struct kernel_product *product = device_product(r->d, r->g->m.weights.dtype);
    (void)i_thread;
    for (int64_t i = begin; i < end; i++)
        for (int s = 0; s < r->g->n_segments; s++) {
            const struct device_gradient_segment *segment = &r->g->segments[s];
            product->pack_x(r->out.data + (size_t)i * r->out.stride + (size_t)segment->step * product->x_step_bytes,
                            r->dy + (size_t)i * r->dy_stride + segment->column, (int)segment->n);
        }
}

void cpu_gradient_rows(device *d, const struct device_gradient_matrix *g, const float *dy, size_t dy_stride, int n_rows,
                       struct device_rows out) {
    struct gradient_rows r = {d, g, dy, dy_stride, out};
    team_for(cpu_of(d)->t, n_rows, ROWS_GRAIN, pack_gradients, &r);
}
