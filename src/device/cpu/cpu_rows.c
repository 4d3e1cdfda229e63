/* cpu_rows.c: what happens to each row apart: norms, rotation, filling the cache. */
#include "device/cpu/cpu.h"

enum { NORM_GRAIN = 4, ROTATE_GRAIN = 4, PAGE_GRAIN = 4 };

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

/* Whether the page of this position is filled by the run from its first token to its last: then it is packed at once.
 */
static bool fills_page(const struct device_run *run, int64_t position) {
    const int64_t first = position / ORDER_KEY_BLOCK * ORDER_KEY_BLOCK;
    return first >= run->position_0 && first + ORDER_KEY_BLOCK <= run->position_0 + run->n_rows;
}

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
    const bool is_single = !fills_page(run, position);
    for (int64_t g = 0; g < n_kv; g++) {
        t->rope(k + g * size, cosines, sines, (int)(size / 2));
        if (!is_single) continue;
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

/* The rotated keys and the values of a page's tokens for one KV head: rows of qkv from k and v on. */
static void pack_page(const struct rotate_work *w, uint8_t *head, const float *k, const float *v) {
    const struct device_kv *kv = w->a->kv;
    const size_t tile = kernel_panel_bytes(kv->dtype, 1), stride = w->a->qkv_stride;
    uint8_t *keys = head, *values = head + kv->value_offset;
    for (int token = 0; token < ORDER_KEY_BLOCK; token += KERNEL_PANEL) {
        const void *rows[KERNEL_PANEL];
        for (int i = 0; i < KERNEL_PANEL; i++) rows[i] = k + (size_t)(token + i) * stride;
        for (int64_t at = 0; at < kv->head_size; at += ORDER_STEP, keys += tile)
            kernel_pack_panel(&w->d->table, keys, kv->dtype, DTYPE_F32, rows, (size_t)at,
                              (int)(kv->head_size - at < ORDER_STEP ? kv->head_size - at : ORDER_STEP));
    }
    for (int64_t at = 0; at < kv->head_size; at += KERNEL_PANEL, values += tile)
        device_product(w->d, kv->dtype)
            ->pack_tile(values, v + at, stride, ORDER_KEY_BLOCK,
                        (int)(kv->head_size - at < KERNEL_PANEL ? kv->head_size - at : KERNEL_PANEL));
}

/* Position of the first token of the run's first page that it fills from the beginning, and how many it fills. */
static int64_t first_page_start(const struct device_run *run) {
    return (run->position_0 + ORDER_KEY_BLOCK - 1) / ORDER_KEY_BLOCK * ORDER_KEY_BLOCK;
}
static int64_t filled_pages(const struct device_run *run) {
    const int64_t n_tokens = run->position_0 + run->n_rows - first_page_start(run);
    return n_tokens > 0 ? n_tokens / ORDER_KEY_BLOCK : 0;
}

/* Items: for each run the pages it fills, for each of them the KV heads. */
static void pack_pages(void *arg, int64_t begin, int64_t end, int i_thread) {
    const struct rotate_work *w = arg;
    const struct device_rotate *a = w->a;
    const int64_t n_kv = a->kv->n_kv_heads, size = a->kv->head_size;
    (void)i_thread;
    for (int64_t item = begin; item < end; item++) {
        const struct device_run *run = a->runs;
        int64_t i = item / n_kv;
        while (i >= filled_pages(run)) i -= filled_pages(run++);
        const int64_t g = item % n_kv, position = first_page_start(run) + i * ORDER_KEY_BLOCK;
        const size_t row = (size_t)(run->row_0 + (position - run->position_0));
        const float *k = a->qkv + row * a->qkv_stride + (a->n_heads + g) * size;
        uint8_t *page = a->cache + (size_t)run->pages[position / ORDER_KEY_BLOCK] * a->page_stride;
        pack_page(w, page + (size_t)g * a->kv->head_bytes, k, k + n_kv * size);
    }
}

void cpu_rotate(device *d, const struct device_rotate *a) {
    struct rotate_work w = {d, a};
    team_for(cpu_of(d)->t, a->n_rows, ROTATE_GRAIN, rotate_rows, &w);
    int64_t n_pages = 0;
    for (int i = 0; i < a->n_runs; i++) n_pages += filled_pages(&a->runs[i]);
    if (n_pages > 0) team_for(cpu_of(d)->t, n_pages * a->kv->n_kv_heads, PAGE_GRAIN, pack_pages, &w);
}

float cpu_logsumexp(device *d, const float *x, int64_t n) { return d->table.logsumexp(x, n); }
