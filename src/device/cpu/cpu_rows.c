/* cpu_rows.c: what happens to each row apart: norms, rotation, filling the cache. */
#include "device/cpu/cpu.h"

enum { NORM_GRAIN = 4, ROTATE_GRAIN = 4 };

struct norm_work {
    const device *d;
    const struct device_norm *a;
};

static void norm_rows(void *arg, int64_t begin, int64_t end, int i_thread) {
    const struct norm_work *w = arg;
    const struct device_norm *a = w->a;
    float *row = (float *)(w->d->scratch + (size_t)i_thread * w->d->scratch_bytes);
    for (int64_t i = begin; i < end; i++) {
        w->d->table.rmsnorm(row, a->x + (size_t)i * a->x_stride, a->w, (int)a->m->n_columns, a->eps);
        cpu_pack_row(w->d, a->m, row, a->out.data + (size_t)i * a->out.stride);
    }
}

void cpu_norm(device *d, const struct device_norm *a) {
    struct norm_work w = {d, a};
    team_for(cpu_of(d)->t, a->n_rows, NORM_GRAIN, norm_rows, &w);
}

struct rotate_work {
    const device *d;
    const struct device_rotate *a;
};

/* Writes the key and value of one token for one KV head at place `token` of its page. */
static void put_kv(const struct kernel_table *t, const struct device_kv *kv, uint8_t *head, int token, const float *k,
                   const float *v) {
    const size_t tile = kernel_panel_bytes(kv->dtype, 1);
    const int n_steps = (int)((kv->head_size + ORDER_STEP - 1) / ORDER_STEP);
    uint8_t *keys = head + (size_t)(token / KERNEL_PANEL) * (size_t)n_steps * tile, *values = head + kv->value_offset;
    for (int i = 0; i < kv->head_size; i++) {
        kernel_tile_put(t, keys + (size_t)(i / ORDER_STEP) * tile, kv->dtype, token % KERNEL_PANEL, i % ORDER_STEP,
                        k[i]);
        kernel_tile_put(t, values + (size_t)(i / KERNEL_PANEL) * tile, kv->dtype, i % KERNEL_PANEL, token, v[i]);
    }
}

static void rotate_row(const struct rotate_work *w, const struct device_run *run, int row) {
    const struct device_rotate *a = w->a;
    const struct kernel_table *t = &w->d->table;
    const int64_t size = a->kv->head_size, n_kv = a->kv->n_kv_heads, position = run->position_0 + row - run->row_0;
    const float *cosines = a->cosines + position * (size / 2), *sines = a->sines + position * (size / 2);
    float *q = a->qkv + (size_t)row * a->qkv_stride, *k = q + a->n_heads * size, *v = k + n_kv * size;
    const struct kernel_product *product = device_product(w->d, a->kv->dtype);
    const size_t head_bytes = device_q_bytes(w->d, a->kv, 1), n_rep = (size_t)(a->n_heads / n_kv);
    for (int64_t h = 0; h < a->n_heads; h++) {
        /* q rows of one KV head lie together: [KV head][row][query head of the group]. */
        const size_t place = ((size_t)h / n_rep * (size_t)a->n_rows + (size_t)row) * n_rep + (size_t)h % n_rep;
        t->rope(q + h * size, cosines, sines, (int)(size / 2));
        product->pack_x(a->q.data + place * head_bytes, q + h * size, (int)size);
    }
    uint8_t *page = a->cache + (size_t)run->pages[position / ORDER_KEY_BLOCK] * a->page_stride;
    for (int64_t g = 0; g < n_kv; g++) {
        t->rope(k + g * size, cosines, sines, (int)(size / 2));
        put_kv(t, a->kv, page + (size_t)g * a->kv->head_bytes, (int)(position % ORDER_KEY_BLOCK), k + g * size,
               v + g * size);
    }
}

static void rotate_rows(void *arg, int64_t begin, int64_t end, int i_thread) {
    const struct rotate_work *w = arg;
    (void)i_thread;
    const struct device_run *run = w->a->runs;
    for (int64_t row = begin; row < end; row++) {
        while (row >= run->row_0 + run->n_rows) run++;
        rotate_row(w, run, (int)row);
    }
}

void cpu_rotate(device *d, const struct device_rotate *a) {
    struct rotate_work w = {d, a};
    team_for(cpu_of(d)->t, a->n_rows, ROTATE_GRAIN, rotate_rows, &w);
}

float cpu_logsumexp(device *d, const float *x, int64_t n) { return d->table.logsumexp(x, n); }
