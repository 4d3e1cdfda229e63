/* probe.c: see probe.h. */
#include "device/probe.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/random.h"
#include "device/cpu/team.h"
#include "tensor/pages.h"

enum {
    READ_PASSES = 4,
    READ_BLOCK = 1 << 21, /* what a thread takes at once: a huge page */
    READ_STREAMS = 4,
    PREFETCH_BYTES = 1024,
    PRODUCT_ITEMS = 16, /* pieces of work for each thread in one pass */
    PRODUCT_ROWS = 64,
    PRODUCT_PANELS = 8,
    PRODUCT_STEPS = 16, /* weights 128 KiB in bf16, rows 64 KiB: in the second-level cache */
    PRODUCT_CALLS = 8,  /* of the kernel in one piece of work */
};

static const double product_seconds = 0.25; /* of passes, at least one */

typedef uint64_t words __attribute__((vector_size(64)));

struct read_job {
    const uint8_t *data;   /* borrowed */
    _Atomic uint64_t sink; /* keeps the reads from being left out */
};

/* Reads one block in READ_STREAMS streams. Compiled for each width of register that it may have. */
static inline __attribute__((always_inline)) uint64_t read_block(const uint8_t *block) {
    const size_t stream_bytes = READ_BLOCK / READ_STREAMS;
    words sums[READ_STREAMS] = {{0}};
    for (size_t at = 0; at < stream_bytes; at += sizeof(words)) {
        for (int s = 0; s < READ_STREAMS; s++) {
            const uint8_t *p = block + (size_t)s * stream_bytes + at;
            __builtin_prefetch(p + PREFETCH_BYTES);
            sums[s] ^= *(const words *)(const void *)p;
        }
    }
    const words all = sums[0] ^ sums[1] ^ sums[2] ^ sums[3];
    return all[0] ^ all[1] ^ all[2] ^ all[3] ^ all[4] ^ all[5] ^ all[6] ^ all[7];
}

static uint64_t read_block_plain(const uint8_t *block) { return read_block(block); }
__attribute__((target("avx2"))) static uint64_t read_block_avx2(const uint8_t *block) { return read_block(block); }
__attribute__((target("avx512f"))) static uint64_t read_block_avx512(const uint8_t *block) { return read_block(block); }

static void read_items(void *arg, int64_t begin, int64_t end, int i_thread) {
    struct read_job *job = arg;
    const enum kernel_isa isa = kernel_isa_best(KERNEL_ISA_AVX512);
    uint64_t sum = 0;
    (void)i_thread;
    for (int64_t i = begin; i < end; i++) {
        const uint8_t *block = job->data + (size_t)i * READ_BLOCK;
        sum ^= isa == KERNEL_ISA_AVX512 ? read_block_avx512(block)
               : isa == KERNEL_ISA_AVX2 ? read_block_avx2(block)
                                        : read_block_plain(block);
    }
    atomic_fetch_xor_explicit(&job->sink, sum, memory_order_relaxed);
}

/* A write to every page: memory that was never written is one page of zeros, which reads as if it lay in the cache. */
static void touch_items(void *arg, int64_t begin, int64_t end, int i_thread) {
    uint8_t *data = arg;
    (void)i_thread;
    for (int64_t i = begin * READ_BLOCK; i < end * READ_BLOCK; i += 4096) data[i] = (uint8_t)(i >> 12 | 1);
}

cria_status probe_read(int n_threads, size_t n_bytes, double *ret_bytes_per_s, struct cria_error *err) {
    const int64_t n_blocks = (int64_t)(n_bytes / READ_BLOCK) + (n_bytes < READ_BLOCK);
    struct pages memory = {0};
    team *t = NULL;
    double best = 0;
    cria_status status;
    TRY(pages_get(&memory, (size_t)n_blocks * READ_BLOCK, "the memory probe", err));
    TRY(team_create(&t, n_threads, err));
    team_for(t, n_blocks, 1, touch_items, memory.data);
    struct read_job job = {.data = memory.data};
    for (int pass = 0; pass < READ_PASSES; pass++) {
        const double start = clock_seconds();
        team_for(t, n_blocks, 1, read_items, &job);
        const double speed = (double)n_blocks * READ_BLOCK / (clock_seconds() - start);
        if (speed > best) best = speed;
    }
    *ret_bytes_per_s = best;
out:
    team_destroy(&t);
    pages_release(&memory);
    return status;
}

struct product_job {
    const struct kernel_product *product; /* borrowed */
    size_t weight_bytes, panel_bytes, row_bytes;
    const uint8_t *weights, *rows; /* borrowed; every thread reads the same */
    float *out;                    /* PRODUCT_ROWS x PRODUCT_PANELS x 16 for each thread */
};

static void product_items(void *arg, int64_t begin, int64_t end, int i_thread) {
    const struct product_job *job = arg;
    const size_t n_columns = (size_t)PRODUCT_PANELS * KERNEL_PANEL;
    float *out = job->out + (size_t)i_thread * PRODUCT_ROWS * n_columns;
    for (int64_t i = begin * PRODUCT_CALLS; i < end * PRODUCT_CALLS; i++)
        job->product->run(out, n_columns, job->rows, job->row_bytes, job->weights, job->panel_bytes, PRODUCT_ROWS,
                          PRODUCT_PANELS, PRODUCT_STEPS, false);
}

/* Random numbers in -1 .. 1: units slow down under real data, and zeros would flatter them. */
static void fill_numbers(const struct product_job *job, uint8_t *weights, uint8_t *rows, bool f32) {
    const size_t n_weights = job->weight_bytes / (f32 ? 4 : 2);
    for (size_t i = 0; i < n_weights; i++) {
        const float value = (float)(2 * random_unit(1, RANDOM_TEST, i) - 1);
        if (f32) ((float *)(void *)weights)[i] = value;
        else ((uint16_t *)(void *)weights)[i] = dtype_bf16_from_f32(value);
    }
    for (size_t row = 0; row < PRODUCT_ROWS; row++) {
        float values[PRODUCT_STEPS * ORDER_STEP];
        for (size_t i = 0; i < PRODUCT_STEPS * ORDER_STEP; i++)
            values[i] = (float)(2 * random_unit(2, RANDOM_TEST, row * PRODUCT_STEPS * ORDER_STEP + i) - 1);
        job->product->pack_x(rows + row * job->row_bytes, values, PRODUCT_STEPS * ORDER_STEP);
    }
}

cria_status probe_product(int n_threads, enum kernel_isa isa, bool f32, double *ret_flops_per_s,
                          struct cria_error *err) {
    struct kernel_table table;
    struct product_job job = {0};
    struct pages memory = {0};
    team *t = NULL;
    double best = 0;
    cria_status status;
    kernel_table_init(&table, isa);
    job.product = f32 ? &table.f32 : &table.bf16;
    job.panel_bytes = kernel_panel_bytes(f32 ? DTYPE_F32 : DTYPE_BF16, PRODUCT_STEPS);
    job.weight_bytes = job.panel_bytes * PRODUCT_PANELS;
    job.row_bytes = job.product->x_step_bytes * PRODUCT_STEPS;
    const size_t rows_bytes = job.row_bytes * PRODUCT_ROWS;
    const size_t out_bytes = (size_t)n_threads * PRODUCT_ROWS * PRODUCT_PANELS * KERNEL_PANEL * sizeof(float);
    TRY(pages_get(&memory, job.weight_bytes + rows_bytes + out_bytes, "the product probe", err));
    TRY(team_create(&t, n_threads, err));
    uint8_t *data = memory.data;
    job.weights = data;
    job.rows = data + job.weight_bytes;
    job.out = (float *)(void *)(data + job.weight_bytes + rows_bytes);
    fill_numbers(&job, data, data + job.weight_bytes, f32);
    const double flops =
        2.0 * PRODUCT_ROWS * PRODUCT_PANELS * KERNEL_PANEL * PRODUCT_STEPS * ORDER_STEP * PRODUCT_CALLS;
    const double begin = clock_seconds();
    do {
        const double start = clock_seconds();
        team_for(t, PRODUCT_ITEMS * n_threads, 1, product_items, &job);
        const double speed = flops * PRODUCT_ITEMS * n_threads / (clock_seconds() - start);
        if (speed > best) best = speed;
    } while (clock_seconds() - begin < product_seconds);
    *ret_flops_per_s = best;
out:
    team_destroy(&t);
    pages_release(&memory);
    return status;
}
