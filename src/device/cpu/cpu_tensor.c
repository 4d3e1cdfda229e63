/* cpu_tensor.c: operations on whole tensors, shared out by pieces of many numbers. */
#include <string.h>

#include "base/exact_sum.h"
#include "device/cpu/cpu.h"

enum { PIECE = 1 << 15, /* numbers */ SQUARES_PIECE = 1 << 18, TURN_ROWS = 2 * KERNEL_BLOCK };

static int64_t pieces_of(int64_t n, int64_t piece) { return (n + piece - 1) / piece; }
static int64_t numbers_from(int64_t n, int64_t first, int64_t piece) { return n - first < piece ? n - first : piece; }

struct add_work {
    const device *d;
    float *y;
    const float *x;
    int64_t n;
};

static void add_pieces(void *arg, int64_t begin, int64_t end, int i_thread) {
    const struct add_work *w = arg;
    (void)i_thread;
    for (int64_t i = begin * PIECE; i < end * PIECE && i < w->n; i += PIECE)
        w->d->table.add(w->y + i, w->x + i, (int)numbers_from(w->n, i, PIECE));
}

void cpu_add(device *d, float *y, const float *x, int64_t n) {
    struct add_work w = {d, y, x, n};
    team_for(cpu_of(d)->t, pieces_of(n, PIECE), 1, add_pieces, &w);
}

static void copy_pieces(void *arg, int64_t begin, int64_t end, int i_thread) {
    const struct add_work *w = arg;
    (void)i_thread;
    for (int64_t i = begin * PIECE; i < end * PIECE && i < w->n; i += PIECE) {
        const size_t n_bytes = (size_t)numbers_from(w->n, i, PIECE) * sizeof(float);
        if (w->x) memcpy(w->y + i, w->x + i, n_bytes);
        else memset(w->y + i, 0, n_bytes);
    }
}

void cpu_copy(device *d, float *y, const float *x, int64_t n) {
    struct add_work w = {d, y, x, n};
    team_for(cpu_of(d)->t, pieces_of(n, PIECE), 1, copy_pieces, &w);
}

struct adamw_work {
    const device *d;
    const struct device_adamw *a;
    struct kernel_adamw constants;
    bool has_non_finite;
};

static void adamw_pieces(void *arg, int64_t begin, int64_t end, int i_thread) {
    struct adamw_work *w = arg;
    const struct device_adamw *a = w->a;
    bool is_finite = true;
    (void)i_thread;
    for (int64_t i = begin * PIECE; i < end * PIECE && i < a->n; i += PIECE)
        is_finite &= w->d->table.adamw(a->w + i, a->m + i, a->v + i, a->gradient + i, numbers_from(a->n, i, PIECE),
                                       &w->constants);
    if (!is_finite) __atomic_store_n(&w->has_non_finite, true, __ATOMIC_RELAXED);
}

bool cpu_adamw(device *d, const struct device_adamw *a) {
    struct adamw_work w = {
        d,
        a,
        {a->scale, a->beta1, a->beta2, a->one_minus_beta1, a->one_minus_beta2, a->eps, a->lr_decay, a->step, a->root},
        false};
    team_for(cpu_of(d)->t, pieces_of(a->n, PIECE), 1, adamw_pieces, &w);
    return !w.has_non_finite;
}

struct squares_work {
    const float *x;
    int64_t n;
    struct exact_sum sums[DEVICE_MAX_THREADS]; /* of each thread; how pieces fall to them shows in no bit */
    bool has_non_finite;
};

static void squares_pieces(void *arg, int64_t begin, int64_t end, int i_thread) {
    struct squares_work *w = arg;
    for (int64_t i = begin * SQUARES_PIECE; i < end * SQUARES_PIECE && i < w->n; i += SQUARES_PIECE)
        if (!exact_sum_add_squares(&w->sums[i_thread], w->x + i, numbers_from(w->n, i, SQUARES_PIECE)))
            __atomic_store_n(&w->has_non_finite, true, __ATOMIC_RELAXED);
}

bool cpu_add_squares(device *d, const float *x, int64_t n, struct exact_sum *sum) {
    struct squares_work w = {.x = x, .n = n};
    team_for(cpu_of(d)->t, pieces_of(n, SQUARES_PIECE), 1, squares_pieces, &w);
    if (w.has_non_finite) return false;
    for (int i = 0; i < d->n_threads; i++) exact_sum_merge(sum, &w.sums[i]);
    return true;
}

struct transpose_work {
    const device *d;
    const float *x;
    int64_t n_rows, n_columns;
    float *out;
};

static void transpose_rows(void *arg, int64_t begin, int64_t end, int i_thread) {
    const struct transpose_work *w = arg;
    const int64_t last = end * TURN_ROWS < w->n_rows ? end * TURN_ROWS : w->n_rows;
    (void)i_thread;
    for (int64_t j = 0; j < w->n_columns; j += KERNEL_BLOCK)
        for (int64_t i = begin * TURN_ROWS; i < last; i += KERNEL_BLOCK)
            w->d->table.transpose(w->out + j * w->n_rows + i, (size_t)w->n_rows, w->x + i * w->n_columns + j,
                                  (size_t)w->n_columns, (int)numbers_from(last, i, KERNEL_BLOCK),
                                  (int)numbers_from(w->n_columns, j, KERNEL_BLOCK));
}

void cpu_transpose(device *d, const float *x, int64_t n_rows, int64_t n_columns, float *out) {
    struct transpose_work w = {d, x, n_rows, n_columns, out};
    team_for(cpu_of(d)->t, pieces_of(n_rows, TURN_ROWS), 1, transpose_rows, &w);
}
