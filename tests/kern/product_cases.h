/* product_cases.h: one harness for every product kernel: the same stored weights and activations go through a table
 * and through the reference, and the bits must be the same, inside guard bands.
 *
 * Shared by the test of this machine's instruction sets and the test of the tile kernels over an emulated tile unit. */
#ifndef TESTS_KERN_PRODUCT_CASES_H
#define TESTS_KERN_PRODUCT_CASES_H

#include <immintrin.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/random.h"
#include "kernel/kernel.h"

enum { GUARD_FLOATS = 16 };

static uint64_t cases_seed = 20261121;
static uint64_t cases_index;

static inline void cases_flush_subnormals(void) { _mm_setcsr(_mm_getcsr() | 0x8040); }

static inline uint64_t cases_draw(void) { return random_u64(cases_seed, RANDOM_TEST, cases_index++); }

/* What the numbers look like: ordinary, of many magnitudes (products underflow), or with zeros of both signs. */
static inline float cases_number(int flavour) {
    const uint64_t bits = cases_draw();
    const float unit = (float)(int32_t)(bits >> 32) * 0x1p-31f;
    if (flavour == 1) return unit * dtype_f32_from_bits((uint32_t)(40 + bits % 120) << 23);
    if (flavour == 2 && bits % 3 == 0) return bits & 8 ? -0.0f : 0.0f;
    return unit;
}

struct product_case {
    enum dtype stored, packed;          /* as in a file, and as the kernels read it */
    int n_rows, n_panels, n_steps, n_k; /* n_k: real columns; the rest of the steps is padding */
    int flavour;
    bool add;
};

/* The outputs of one case by one table; c has a guard band in front, behind and between rows. */
static inline void run_case(const struct kernel_table *t, const struct product_case *p, const uint8_t *rows,
                            size_t row_bytes, const float *x, float *c, size_t c_stride) {
    const struct kernel_product *product = p->packed == DTYPE_F32 ? &t->f32 : &t->bf16;
    const int group = kernel_panel_group(p->packed);
    const size_t panel_bytes = kernel_panel_bytes(p->packed, p->n_steps), tile_panel = 1024 * (size_t)p->n_steps;
    uint8_t *w = alloc_zeroed((size_t)p->n_panels, panel_bytes), *tiles = alloc_zeroed((size_t)p->n_panels, tile_panel);
    uint8_t *packed_x = alloc_zeroed((size_t)p->n_rows * (size_t)p->n_steps, product->x_step_bytes);
    assert_true(w && tiles && packed_x);
    const size_t x_stride = (size_t)p->n_steps * product->x_step_bytes;
    for (int panel = 0; panel < p->n_panels; panel++)
        for (int step = 0; step < p->n_steps; step += group) {
            const void *from[KERNEL_PANEL];
            const int left = p->n_k - step * ORDER_STEP, whole = group * ORDER_STEP;
            for (int n = 0; n < KERNEL_PANEL; n++) from[n] = rows + (size_t)(panel * KERNEL_PANEL + n) * row_bytes;
            kernel_pack_panel(t, w + (size_t)panel * panel_bytes + kernel_panel_bytes(p->packed, step), p->packed,
                              p->stored, from, (size_t)(step * ORDER_STEP), left < whole ? left : whole);
        }
    for (int row = 0; row < p->n_rows; row++)
        product->pack_x(packed_x + (size_t)row * x_stride, x + row * p->n_k, p->n_k);
    if (t->unpack[p->packed] && p->n_rows <= t->few_rows) {
        t->few[p->packed](c, c_stride, packed_x, x_stride, w, panel_bytes, p->n_rows, p->n_panels, p->n_steps, p->add);
    } else if (t->unpack[p->packed]) {
        for (int panel = 0; panel < p->n_panels; panel++)
            t->unpack[p->packed](tiles + (size_t)panel * tile_panel, w + (size_t)panel * panel_bytes, p->n_steps);
        product->run(c, c_stride, packed_x, x_stride, tiles, tile_panel, p->n_rows, p->n_panels, p->n_steps, p->add);
    } else {
        product->run(c, c_stride, packed_x, x_stride, w, panel_bytes, p->n_rows, p->n_panels, p->n_steps, p->add);
    }
    alloc_free(w);
    alloc_free(tiles);
    alloc_free(packed_x);
}

static inline void check_case(const struct kernel_table *t, const struct kernel_table *ref,
                              const struct product_case *p) {
    const size_t n_out = (size_t)p->n_panels * KERNEL_PANEL, c_stride = n_out + GUARD_FLOATS;
    const size_t row_bytes = dtype_bytes(p->stored, (size_t)p->n_k), n_c = (size_t)p->n_rows * c_stride + GUARD_FLOATS;
    uint8_t *rows = alloc_array(n_out, row_bytes);
    float *values = alloc_array((size_t)p->n_k, sizeof(float)),
          *x = alloc_array((size_t)(p->n_rows * p->n_k), sizeof(float));
    float *c = alloc_array(n_c, sizeof(float)), *expected = alloc_array(n_c, sizeof(float));
    assert_true(rows && values && x && c && expected);
    for (size_t n = 0; n < n_out; n++) {
        for (int k = 0; k < p->n_k; k++) values[k] = cases_number(p->flavour);
        dtype_row_from_f32(p->stored, values, (size_t)p->n_k, rows + n * row_bytes);
    }
    for (int i = 0; i < p->n_rows * p->n_k; i++) x[i] = cases_number(p->flavour);
    for (size_t i = 0; i < n_c; i++) c[i] = expected[i] = cases_number(0);
    run_case(ref, p, rows, row_bytes, x, expected + GUARD_FLOATS, c_stride);
    run_case(t, p, rows, row_bytes, x, c + GUARD_FLOATS, c_stride);
    for (size_t i = 0; i < n_c; i++)
        if (memcmp(&c[i], &expected[i], sizeof c[i]) != 0)
            fail_msg(
                "%s, %s as %s, %d rows, %d panels, %d steps, %d columns, flavour %d, add %d: float %zu is %a, "
                "reference %a "
                "(seed %llu)",
                kernel_isa_name(t->isa), dtype_name(p->stored), dtype_name(p->packed), p->n_rows, p->n_panels,
                p->n_steps, p->n_k, p->flavour, p->add, i, (double)c[i], (double)expected[i],
                (unsigned long long)cases_seed);
    alloc_free(rows);
    alloc_free(values);
    alloc_free(x);
    alloc_free(c);
    alloc_free(expected);
}

/* Turning a tile's words gives rows of activations, as x_is_column says. */
static inline void check_columns(const struct kernel_table *t) {
    float values[KERNEL_PANEL][ORDER_STEP], turned[ORDER_STEP][KERNEL_PANEL];
    uint32_t tile[ORDER_STEP / 2][KERNEL_PANEL], row[ORDER_STEP / 2];
    const int n_k = 1 + (int)(cases_draw() % ORDER_STEP);
    for (int n = 0; n < KERNEL_PANEL; n++)
        for (int k = 0; k < ORDER_STEP; k++) turned[k][n] = values[n][k] = cases_number(1);
    t->bf16.pack_tile((uint8_t *)tile, turned[0], KERNEL_PANEL, n_k, KERNEL_PANEL);
    assert_int_equal(t->bf16.x_step_bytes, sizeof row);
    for (int n = 0; n < KERNEL_PANEL; n++) {
        t->bf16.pack_x((uint8_t *)row, values[n], n_k);
        for (int r = 0; r < ORDER_STEP / 2; r++) assert_int_equal(row[r], tile[r][n]);
    }
}

/* Every type, and shapes around each blocking limit. */
static inline void check_all_cases(const struct kernel_table *t) {
    static const struct {
        enum dtype stored, packed;
    } kinds[] = {
        {DTYPE_F32, DTYPE_F32},   {DTYPE_F16, DTYPE_F32},   {DTYPE_Q4_1, DTYPE_F32},  {DTYPE_F32, DTYPE_BF16},
        {DTYPE_BF16, DTYPE_BF16}, {DTYPE_F16, DTYPE_BF16},  {DTYPE_Q8_0, DTYPE_BF16}, {DTYPE_Q8_0, DTYPE_Q8_0},
        {DTYPE_Q4_0, DTYPE_Q4_0}, {DTYPE_Q4_1, DTYPE_Q4_1}, {DTYPE_Q4_K, DTYPE_F32},  {DTYPE_Q5_K, DTYPE_BF16},
        {DTYPE_Q6_K, DTYPE_BF16}, {DTYPE_Q4_K, DTYPE_Q4_K}, {DTYPE_Q5_K, DTYPE_Q5_K}, {DTYPE_Q6_K, DTYPE_Q6_K},
    };
    static const int row_counts[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 16, 17, 31, 32, 33, 50};
    struct kernel_table ref;
    kernel_table_init(&ref, KERNEL_ISA_REF);
    int n_cases = 0;
    for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++)
        for (size_t r = 0; r < sizeof row_counts / sizeof row_counts[0]; r++)
            for (int n_panels = 1; n_panels <= 3; n_panels++) {
                const size_t block = dtype_info(kinds[kind].stored)->block_elements;
                const bool blocks = block > 1;
                const int n_steps = block > ORDER_STEP ? 8 + 8 * (int)(cases_draw() % 2) : 1 + (int)(cases_draw() % 5);
                const int n_k = blocks ? n_steps * ORDER_STEP : n_steps * ORDER_STEP - (int)(cases_draw() % ORDER_STEP);
                const struct product_case p = {
                    kinds[kind].stored,      kinds[kind].packed, row_counts[r], n_panels, n_steps, n_k,
                    (int)(cases_draw() % 3), cases_draw() & 1};
                check_case(t, &ref, &p);
                n_cases++;
            }
    printf("%s: %d products equal the reference bit for bit (seed %llu)\n", kernel_isa_name(t->isa), n_cases,
           (unsigned long long)cases_seed);
}

#endif
