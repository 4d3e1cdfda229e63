/* cmd_plan_measure.c: see cmd_plan_measure.h.
 *
 * Products: copies of one small matrix, together larger than any cache, so that one row reads memory as a decode step
 * does; for many rows a few copies are enough. Attention: one row and a chunk of rows over keys that are there.
 * Random numbers everywhere: units slow down under real data. */
#include "cmd/cmd_plan_measure.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/random.h"
#include "device/probe.h"
#include "hub/hub.h"
#include "tensor/pages.h"

enum {
    WIDTH = 2048, /* K of every matrix */
    HEIGHT = 1024,
    SMALL_WIDTH = 256,
    SMALL_HEIGHT = 64,
    MAX_ROWS = 256,
    MAX_COPIES = 256,
    FEW_COPIES = 8,
    MANY_ROWS = 32, /* from here on arithmetic is what takes time */
    HEADS = 16,
    KV_HEADS = 4,
    HEAD_SIZE = 64,
    KEYS = 2048,
    CHUNK = 128,
    READ_BYTES = 256 << 20
};

static const size_t spread_bytes = (size_t)192 << 20; /* of all copies: beyond the last cache */
static const double pass_seconds = 0.2;

struct bench {
    device *d;
    struct pages scratch, weights, x, packed, y, cache, q, attention;
    uint8_t *stored; /* owned: the matrix as a file would have it */
    struct device_matrix copies[MAX_COPIES];
    int n_copies;
    struct device_matrix small; /* the first numbers of the first copy's source, as a matrix of its own */
    struct pages small_weights;
};

static float number(uint64_t i) { return (float)(2 * random_unit(3, RANDOM_TEST, i) - 1); }

static double best_of(struct bench *b, void (*work)(struct bench *b, int n), int n) {
    double best = INFINITY;
    const double begin = clock_seconds();
    device_begin(b->d);
    do {
        const double start = clock_seconds();
        work(b, n);
        best = fmin(best, clock_seconds() - start);
    } while (clock_seconds() - begin < pass_seconds);
    device_end(b->d);
    return best;
}

static cria_status pack_copies(struct bench *b, enum dtype type, struct cria_error *err) {
    const size_t row_bytes = dtype_bytes(type, WIDTH);
    float row[WIDTH];
    for (int i = 0; i < HEIGHT; i++) {
        for (int k = 0; k < WIDTH; k++) row[k] = number((uint64_t)i * WIDTH + (uint64_t)k) / 32;
        dtype_row_from_f32(type, row, WIDTH, b->stored + (size_t)i * row_bytes);
    }
    const struct device_matrix_source source = {
        .stored = type, .data = b->stored, .n_rows = HEIGHT, .n_columns = WIDTH};
    struct device_matrix m;
    device_matrix_plan(b->d, &source, false, 1, NULL, &m);
    const size_t step = (m.n_bytes + 4095) & ~(size_t)4095;
    b->n_copies = (int)(spread_bytes / step) + 1;
    if (b->n_copies > MAX_COPIES) b->n_copies = MAX_COPIES;
    pages_release(&b->weights);
    const cria_status status = pages_get(&b->weights, step * (size_t)b->n_copies, "the measured matrices", err);
    if (status != CRIA_OK) return status;
    device_begin(b->d);
    for (int i = 0; i < b->n_copies; i++) {
        b->copies[i] = m;
        device_matrix_pack(b->d, &source, &b->copies[i], (uint8_t *)b->weights.data + (size_t)i * step, 0, HEIGHT);
    }
    device_end(b->d);
    return CRIA_OK;
}

static struct device_rows packed_rows(const struct bench *b) {
    return (struct device_rows){b->packed.data, device_row_bytes(b->d, &b->copies[0])};
}

static void work_norm(struct bench *b, int n_rows) {
    const struct device_norm norm = {.x = b->x.data,
                                     .x_stride = WIDTH,
                                     .w = b->x.data,
                                     .eps = 1e-5f,
                                     .m = &b->copies[0],
                                     .out = packed_rows(b),
                                     .n_rows = n_rows};
    device_norm(b->d, &norm);
}

static void multiply(struct bench *b, int n_rows, int n_copies) {
    for (int i = 0; i < n_copies; i++) {
        const struct device_linear linear = {.m = {&b->copies[i]},
                                             .n_parts = 1,
                                             .x = packed_rows(b),
                                             .n_rows = n_rows,
                                             .y = b->y.data,
                                             .y_stride = HEIGHT};
        device_linear(b->d, &linear);
    }
}

static int copies_for(const struct bench *b, int n_rows) {
    return n_rows >= MANY_ROWS && b->n_copies > FEW_COPIES ? FEW_COPIES : b->n_copies;
}

static void work_product(struct bench *b, int n_rows) { multiply(b, n_rows, copies_for(b, n_rows)); }

static cria_status measure_type(struct bench *b, enum dtype type, struct machine *m, struct cria_error *err) {
    const cria_status status = pack_copies(b, type, err);
    if (status != CRIA_OK) return status;
    device_begin(b->d);
    work_norm(b, MAX_ROWS);
    device_end(b->d);
    for (int i = 0; i < MACHINE_ROW_COUNTS; i++) {
        const int n_rows = machine_rows(i), n = copies_for(b, n_rows);
        const double s = best_of(b, work_product, n_rows) - n * m->operation_s;
        m->param_s[type][i] = s / ((double)n * HEIGHT * WIDTH);
    }
    return CRIA_OK;
}

/* One sequence whose last n rows are new. */
struct attending {
    struct device_kv kv;
    int32_t pages[KEYS / 32 + 1];
    float *cosines; /* owned: KEYS x HEAD_SIZE / 2 ones; sines are zeros behind them */
    struct device_run run;
};

static struct attending attending; /* one measurement at a time */

static void work_rotate(struct bench *b, int n_rows) {
    attending.run = (struct device_run){.n_rows = n_rows, .position_0 = KEYS - n_rows, .pages = attending.pages};
    const struct device_rotate rotate = {.qkv = b->x.data,
                                         .qkv_stride = (HEADS + 2 * KV_HEADS) * HEAD_SIZE,
                                         .n_heads = HEADS,
                                         .kv = &attending.kv,
                                         .cosines = attending.cosines,
                                         .sines = attending.cosines + KEYS * HEAD_SIZE / 2,
                                         .runs = &attending.run,
                                         .n_runs = 1,
                                         .n_rows = n_rows,
                                         .cache = b->cache.data,
                                         .page_stride = attending.kv.page_bytes,
                                         .q = {b->q.data, device_q_bytes(b->d, &attending.kv, HEADS)}};
    device_rotate(b->d, &rotate);
}

static void work_attention(struct bench *b, int n_rows) {
    struct device_matrix out = b->copies[0];
    const struct device_attention attention = {.n_heads = HEADS,
                                               .kv = &attending.kv,
                                               .runs = &attending.run,
                                               .n_runs = 1,
                                               .n_rows = n_rows,
                                               .cache = b->cache.data,
                                               .page_stride = attending.kv.page_bytes,
                                               .q = {b->q.data, device_q_bytes(b->d, &attending.kv, HEADS)},
                                               .out = packed_rows(b),
                                               .m = &out,
                                               .rows = b->y.data,
                                               .scratch = b->attention.data,
                                               .max_context = KEYS};
    device_attention(b->d, &attention);
}

static cria_status measure_attention(struct bench *b, struct machine *m, struct cria_error *err) {
    const size_t n_pages = KEYS / 32;
    cria_status status;
    device_kv_plan(b->d, DTYPE_BF16, KV_HEADS, HEAD_SIZE, &attending.kv);
    for (size_t i = 0; i < n_pages; i++) attending.pages[i] = (int32_t)i;
    attending.cosines = alloc_zeroed(KEYS * HEAD_SIZE, sizeof *attending.cosines);
    if (!attending.cosines) return ERROR_NOMEM(err, KEYS * HEAD_SIZE * sizeof(float), "the measured attention");
    for (int i = 0; i < KEYS * HEAD_SIZE / 2; i++) attending.cosines[i] = 1;
    TRY(pages_get(&b->cache, n_pages * attending.kv.page_bytes, "the measured cache", err));
    TRY(pages_get(&b->q, CHUNK * device_q_bytes(b->d, &attending.kv, HEADS), "the measured queries", err));
    TRY(pages_get(&b->attention, device_attention_bytes(b->d, &attending.kv, HEADS, KEYS), "attention's scratch", err));
    device_begin(b->d);
    for (int at = 0; at < KEYS; at += CHUNK) work_rotate(b, CHUNK); /* the last chunk's places get numbers */
    device_end(b->d);
    const double numbers = (double)HEADS * HEAD_SIZE;
    work_rotate(b, CHUNK);
    m->key_n_s = (best_of(b, work_attention, CHUNK) - m->operation_s) / (CHUNK * (KEYS - CHUNK / 2.0) * numbers);
    work_rotate(b, 1);
    m->key_1_s = (best_of(b, work_attention, 1) - m->operation_s) / (KEYS * numbers);
out:
    alloc_free(attending.cosines);
    attending.cosines = NULL;
    return status;
}

/* A product so small that sharing it out is what takes the time. */
static void work_small(struct bench *b, int n_rows) {
    const struct device_linear linear = {.m = {&b->small},
                                         .n_parts = 1,
                                         .x = {b->packed.data, device_row_bytes(b->d, &b->small)},
                                         .n_rows = n_rows,
                                         .y = b->y.data,
                                         .y_stride = SMALL_HEIGHT};
    device_linear(b->d, &linear);
}

static cria_status pack_small(struct bench *b, struct cria_error *err) {
    const struct device_matrix_source source = {
        .stored = DTYPE_BF16, .data = b->stored, .n_rows = SMALL_HEIGHT, .n_columns = SMALL_WIDTH};
    device_matrix_plan(b->d, &source, false, 1, NULL, &b->small);
    const cria_status status = pages_get(&b->small_weights, b->small.n_bytes, "a small matrix", err);
    if (status != CRIA_OK) return status;
    device_begin(b->d);
    device_matrix_pack(b->d, &source, &b->small, b->small_weights.data, 0, SMALL_HEIGHT);
    device_end(b->d);
    return CRIA_OK;
}

static void measure_rows(struct bench *b, struct machine *m) {
    device_begin(b->d);
    work_norm(b, 1);
    device_end(b->d);
    m->operation_s = best_of(b, work_small, 1);
    m->number_s = (best_of(b, work_norm, MAX_ROWS) - m->operation_s) / ((double)WIDTH * MAX_ROWS);
    if (m->number_s < 0) m->number_s = 0;
}

static void name_machine(const device *d, struct machine *m) {
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "re");
    snprintf(m->name, sizeof m->name, "this machine, %s", kernel_isa_name(device_isa(d)));
    while (file && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon) continue;
        line[strcspn(line, "\n\"")] = '\0';
        snprintf(m->name, sizeof m->name, "%.64s, %s", colon + 2, kernel_isa_name(device_isa(d)));
        break;
    }
    if (file) fclose(file);
    m->n_threads = device_threads(d);
    m->memory_bytes = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
}

static cria_status prepare(struct bench *b, struct cria_error *err) {
    cria_status status;
    TRY(pages_get(&b->scratch, device_scratch_bytes(b->d, WIDTH), "the device's scratch", err));
    device_set_scratch(b->d, b->scratch.data, WIDTH);
    TRY(pages_get(&b->x, (size_t)MAX_ROWS * WIDTH * sizeof(float), "measured rows", err));
    TRY(pages_get(&b->packed, (size_t)MAX_ROWS * WIDTH * sizeof(float), "measured rows", err));
    TRY(pages_get(&b->y, (size_t)MAX_ROWS * WIDTH * sizeof(float), "measured rows", err));
    b->stored = alloc_array(HEIGHT, WIDTH * sizeof(float));
    if (!b->stored) TRY(ERROR_NOMEM(err, (size_t)HEIGHT * WIDTH * sizeof(float), "the measured matrix"));
    for (size_t i = 0; i < (size_t)MAX_ROWS * WIDTH; i++) ((float *)b->x.data)[i] = number(i);
out:
    return status;
}

cria_status cmd_plan_measure(device *d, struct machine *ret, struct cria_error *err) {
    struct bench *b = ALLOC_NEW(struct bench);
    struct machine m = {0};
    cria_status status;
    if (!b) return ERROR_NOMEM(err, sizeof *b, "the measurement");
    b->d = d;
    name_machine(d, &m);
    TRY(probe_read(device_threads(d), READ_BYTES, &m.read_bytes_per_s, err));
    TRY(probe_product(device_threads(d), device_isa(d), false, &m.product_flop_per_s, err));
    TRY(prepare(b, err));
    TRY(pack_copies(b, DTYPE_BF16, err));
    TRY(pack_small(b, err));
    measure_rows(b, &m);
    TRY(measure_attention(b, &m, err));
    for (int type = DTYPE_NONE + 1; type < DTYPE_COUNT; type++) TRY(measure_type(b, (enum dtype)type, &m, err));
    *ret = m;
out:
    alloc_free(b->stored);
    pages_release(&b->scratch);
    pages_release(&b->weights);
    pages_release(&b->small_weights);
    pages_release(&b->x);
    pages_release(&b->packed);
    pages_release(&b->y);
    pages_release(&b->cache);
    pages_release(&b->q);
    pages_release(&b->attention);
    alloc_free(b);
    return status;
}

cria_status cmd_plan_machine_path(char **ret, struct cria_error *err) {
    char *folder = NULL, *path = NULL;
    cria_status status = hub_folder(&folder, err);
    if (status != CRIA_OK) return status;
    path = file_join(folder, "machine.yaml");
    alloc_free(folder);
    if (!path) return ERROR_NOMEM(err, 256, "the machine's file");
    *ret = path;
    return CRIA_OK;
}

cria_status cmd_plan_machine(struct machine *ret, struct cria_error *err) {
    char *path = NULL, *text = NULL;
    size_t n = 0;
    cria_status status;
    TRY(cmd_plan_machine_path(&path, err));
    TRY(file_read(path, 1 << 20, &text, &n, err));
    TRY(machine_read(path, text, n, ret, err));
out:
    alloc_free(text);
    alloc_free(path);
    return status;
}
