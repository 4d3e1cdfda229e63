/* cpu_backward.c: learning, row by row: norms, gate, rotation, embedding, loss. Sums over tokens are shared out by
 * columns, so that each column takes its tokens in order (kernel/order.h). */
#include <string.h>

#include "device/cpu/cpu.h"

enum { ROW_GRAIN = 4, COLUMNS = 64 /* of one piece of a sum over tokens */ };

static int columns_from(int64_t width, int64_t column) {
    return width - column < COLUMNS ? (int)(width - column) : COLUMNS;
}
static int64_t column_pieces(int64_t width) { return (width + COLUMNS - 1) / COLUMNS; }

/* ---- norms ---- */

struct norm_rows_work {
    const device *d;
    const struct device_norm_rows *a;
};

static void norm_rows(void *arg, int64_t begin, int64_t end, int i_thread) {
    const struct norm_rows_work *w = arg;
    const struct device_norm_rows *a = w->a;
    (void)i_thread;
    for (int64_t i = begin; i < end; i++)
        w->d->table.rmsnorm(a->y + (size_t)i * a->y_stride, a->x + (size_t)i * a->x_stride, a->w, (int)a->width,
                            a->eps);
}

void cpu_norm_rows(device *d, const struct device_norm_rows *a) {
    struct norm_rows_work w = {d, a};
    team_for(cpu_of(d)->t, a->n_rows, ROW_GRAIN, norm_rows, &w);
}

struct norm_work {
    const device *d;
    const struct device_norm_backward *a;
};

static void norm_inputs(void *arg, int64_t begin, int64_t end, int i_thread) {
    const struct norm_work *w = arg;
    const struct device_norm_backward *a = w->a;
    (void)i_thread;
    for (int64_t i = begin; i < end; i++)
        a->scratch[i] = w->d->table.norm_backward(a->dx + (size_t)i * a->dx_stride, a->x + (size_t)i * a->x_stride,
                                                  a->w, a->dy + (size_t)i * a->dy_stride, (int)a->width, a->eps);
}

static void norm_gains(void *arg, int64_t begin, int64_t end, int i_thread) {
    const struct norm_work *w = arg;
    const struct device_norm_backward *a = w->a;
    (void)i_thread;
    for (int64_t column = begin * COLUMNS; column < end * COLUMNS && column < a->width; column += COLUMNS)
        w->d->table.gain(a->dw + column, a->x + column, a->x_stride, a->dy + column, a->dy_stride, a->scratch,
                         a->n_rows, columns_from(a->width, column));
}

void cpu_norm_backward(device *d, const struct device_norm_backward *a) {
    struct norm_work w = {d, a};
    team_for(cpu_of(d)->t, a->n_rows, ROW_GRAIN, norm_inputs, &w);
    team_for(cpu_of(d)->t, column_pieces(a->width), 1, norm_gains, &w);
}

/* ---- gate ---- */

struct gated_work {
    const device *d;
    const struct device_gated_backward *a;
};

static void gated_rows(void *arg, int64_t begin, int64_t end, int i_thread) {
    const struct gated_work *w = arg;
    const struct device_gated_backward *a = w->a;
    (void)i_thread;
    for (int64_t i = begin; i < end; i++) {
        const size_t at = (size_t)i * a->stride, h_at = (size_t)i * a->h_stride;
        w->d->table.gate_backward(a->h + h_at, a->dg + at, a->du + at, a->g + at, a->u + at, a->dh + h_at,
                                  (int)a->width);
    }
}

void cpu_gated_backward(device *d, const struct device_gated_backward *a) {
    struct gated_work w = {d, a};
    team_for(cpu_of(d)->t, a->n_rows, ROW_GRAIN, gated_rows, &w);
}

/* ---- rotation ---- */

struct rotate_work {
    const device *d;
    const struct device_rotate_backward *a;
};

static void rotate_runs(void *arg, int64_t begin, int64_t end, int i_thread) {
    const struct rotate_work *w = arg;
    const struct device_rotate_backward *a = w->a;
    const struct device_run *run = a->runs;
    int64_t before = 0; /* rows of the runs in front of this one */
    (void)i_thread;
    for (int64_t i = begin; i < end; i++) {
        while (i - before >= run->n_rows) before += (run++)->n_rows;
        const int64_t in_run = i - before, half = a->head_size / 2, angle = (run->position_0 + in_run) * half;
        float *row = a->dqkv + (size_t)(run->row_0 + in_run) * a->stride;
        for (int64_t h = 0; h < a->n_heads + a->n_kv_heads; h++)
            w->d->table.rope_backward(row + h * a->head_size, a->cosines + angle, a->sines + angle, (int)half);
    }
}

void cpu_rotate_backward(device *d, const struct device_rotate_backward *a) {
    struct rotate_work w = {d, a};
    int64_t n_rows = 0;
    for (int i = 0; i < a->n_runs; i++) n_rows += a->runs[i].n_rows;
    team_for(cpu_of(d)->t, n_rows, ROW_GRAIN, rotate_runs, &w);
}

/* ---- embedding ---- */

struct embed_work {
    const device *d;
    const int32_t *ids;
    int n_rows;
    const float *dx;
    size_t dx_stride;
    int64_t width;
    float *dw;
};

static void embed_columns(void *arg, int64_t begin, int64_t end, int i_thread) {
    const struct embed_work *w = arg;
    const int64_t last = end * COLUMNS < w->width ? end * COLUMNS : w->width, first = begin * COLUMNS;
    (void)i_thread;
    for (int i = 0; i < w->n_rows; i++)
        if (w->ids[i] >= 0)
            w->d->table.add(w->dw + (size_t)w->ids[i] * (size_t)w->width + first,
                            w->dx + (size_t)i * w->dx_stride + first, (int)(last - first));
}

void cpu_embed_backward(device *d, const int32_t *ids, int n_rows, const float *dx, size_t dx_stride, int64_t width,
                        float *dw) {
    struct embed_work w = {d, ids, n_rows, dx, dx_stride, width, dw};
    const int64_t n = column_pieces(width);
    team_for(cpu_of(d)->t, n, (n + d->n_threads - 1) / d->n_threads, embed_columns, &w);
}

/* ---- loss ---- */

struct loss_work {
    const device *d;
    const struct device_cross_entropy *a;
};

static void loss_rows(void *arg, int64_t begin, int64_t end, int i_thread) {
    const struct loss_work *w = arg;
    const struct device_cross_entropy *a = w->a;
    (void)i_thread;
    for (int64_t i = begin; i < end; i++) {
        float *logits = a->logits + (size_t)i * a->stride;
        const int32_t target = a->targets[i];
        if (target < 0) {
            memset(logits, 0, (size_t)a->n_vocab * sizeof *logits);
            a->losses[i] = 0.0f;
            continue;
        }
        const float lse = w->d->table.logsumexp(logits, a->n_vocab);
        a->losses[i] = lse - logits[target];
        w->d->table.softmax(logits, lse, a->n_vocab);
        logits[target] -= 1.0f;
    }
}

void cpu_cross_entropy(device *d, const struct device_cross_entropy *a) {
    struct loss_work w = {d, a};
    team_for(cpu_of(d)->t, a->n_rows, 1, loss_rows, &w);
}
