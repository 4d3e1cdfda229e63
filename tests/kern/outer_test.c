/* outer_test.c: weight gradients and input gradients on every instruction set and several numbers of threads have the
 * bits that kernel/order.h prescribes, which loops of this file compute one output at a time. Catches: another order of
 * tokens or of shards and parts, an edge of a block, a write outside the result, a call that forgets what the calls
 * before it left. */
#include "product_cases.h"

#include <math.h>

#include "device/device_backward.h"

enum { GUARD = 7 };
static const int thread_counts[] = {1, 2, 3, 5};

static int draw_to(int n) { return 1 + (int)(cases_draw() % (uint64_t)n); }

static float *numbers(size_t n) {
    float *x = alloc_array(n, sizeof *x);
    assert_non_null(x);
    const int flavour = (int)(cases_draw() % 3);
    for (size_t i = 0; i < n; i++) x[i] = cases_number(flavour);
    return x;
}

static float rounded(float x, bool f32) { return f32 ? x : dtype_f32_from_bf16(dtype_bf16_from_f32(x)); }

/* One step of a product, n of whose numbers are there: x[i * x_stride] and w[i * w_stride]. */
static float add_step(float sum, const float *x, size_t x_stride, const float *w, size_t w_stride, int n, bool f32) {
    float chain[2] = {0.0f, 0.0f};
    for (int i = 0; i < n; i++) {
        const float a = rounded(x[(size_t)i * x_stride], f32), b = rounded(w[(size_t)i * w_stride], f32);
        if (f32) sum = fmaf(a, b, sum);
        else chain[i % 2] = fmaf(a, b, chain[i % 2]);
    }
    return f32 ? sum : sum + (chain[0] + chain[1]);
}

/* The chain of one output over n numbers, in steps. */
static float add_chain(float sum, const float *x, size_t x_stride, const float *w, size_t w_stride, int64_t n,
                       bool f32) {
    for (int64_t i = 0; i < n; i += ORDER_STEP)
        sum = add_step(sum, x + (size_t)i * x_stride, x_stride, w + (size_t)i * w_stride, w_stride,
                       (int)(n - i < ORDER_STEP ? n - i : ORDER_STEP), f32);
    return sum;
}

/* Runs a check on every device. */
static void on_devices(void (*check)(device *d, void *arg), void *arg) {
    for (int isa = KERNEL_ISA_REF; isa < KERNEL_ISA_COUNT; isa++) {
        const char *reason;
        if (!kernel_isa_usable((enum kernel_isa)isa, &reason)) continue;
        for (size_t i = 0; i < sizeof thread_counts / sizeof thread_counts[0]; i++) {
            const struct device_options options = {thread_counts[i], (enum kernel_isa)isa};
            device *d = NULL;
            assert_int_equal(device_create_cpu(&d, &options, NULL), CRIA_OK);
            device_begin(d);
            check(d, arg);
            device_end(d);
            device_destroy(&d);
        }
    }
}

static void assert_same(const device *d, const float *got, const float *expected, size_t n, const char *what) {
    for (size_t i = 0; i < n; i++)
        if (memcmp(&got[i], &expected[i], sizeof got[i]) != 0)
            fail_msg("%s, %d threads: %s %zu is %a, expected %a (seed %llu)", kernel_isa_name(device_isa(d)),
                     device_threads(d), what, i, (double)got[i], (double)expected[i], (unsigned long long)cases_seed);
}

/* ---- weight gradients ---- */

struct outer_case {
    struct device_outer o; /* out: as it was before */
    int split;             /* tokens of a first call; a multiple of ORDER_STEP */
    size_t n_out;
    float *expected;
};

static void check_outer(device *d, void *arg) {
    const struct outer_case *c = arg;
    const struct device_outer *o = &c->o;
    const size_t n_bytes = device_outer_bytes(d, o->n_tokens, o->n_a, o->n_b, o->f32);
    uint8_t *scratch = NULL;
    float *out = alloc_array(c->n_out, sizeof *out);
    assert_int_equal(posix_memalign((void **)&scratch, 64, n_bytes + 64), 0);
    memset(scratch, 0xff, n_bytes);
    memcpy(out, o->out, c->n_out * sizeof *out);
    struct device_outer first = *o, second = *o;
    first.out = second.out = out + GUARD;
    first.scratch = second.scratch = scratch;
    first.n_tokens = c->split;
    second.n_tokens -= c->split;
    second.a += (size_t)c->split * o->a_stride;
    second.b += (size_t)c->split * o->b_stride;
    device_outer(d, &first);
    device_outer(d, &second);
    assert_same(d, out, c->expected, c->n_out, "number");
    free(scratch);
    alloc_free(out);
}

static void test_outer(void **state) {
    (void)state;
    for (int round = 0; round < 40; round++) {
        struct outer_case c = {.o = {.n_tokens = draw_to(150), .f32 = round % 3 == 0}};
        struct device_outer *o = &c.o;
        o->n_a = round % 5 == 0 ? 150 + draw_to(300) : draw_to(90);
        o->n_b = draw_to(100);
        if (round % 8 == 7) { /* more steps than a block of the loops has */
            o->n_tokens = 500 + draw_to(1200);
            o->n_a = draw_to(20);
            o->n_b = draw_to(40);
        }
        o->a_stride = (size_t)o->n_a + cases_draw() % 9;
        o->b_stride = (size_t)o->n_b + cases_draw() % 9;
        o->out_stride = (size_t)o->n_b + (round % 2 ? 0 : cases_draw() % 40);
        c.n_out = (size_t)o->n_a * o->out_stride + 2 * GUARD;
        c.split = o->n_tokens / (2 * ORDER_STEP) * (int)(cases_draw() % 2) * ORDER_STEP;
        float *a = numbers((size_t)o->n_tokens * o->a_stride), *b = numbers((size_t)o->n_tokens * o->b_stride);
        o->a = a;
        o->b = b;
        o->out = numbers(c.n_out);
        c.expected = alloc_array(c.n_out, sizeof *c.expected);
        memcpy(c.expected, o->out, c.n_out * sizeof *c.expected);
        for (int64_t n = 0; n < o->n_a; n++)
            for (int64_t k = 0; k < o->n_b; k++) {
                float *at = c.expected + GUARD + (size_t)n * o->out_stride + k;
                *at = add_chain(*at, a + n, o->a_stride, b + k, o->b_stride, o->n_tokens, o->f32);
            }
        on_devices(check_outer, &c);
        alloc_free(a);
        alloc_free(b);
        alloc_free(o->out);
        alloc_free(c.expected);
    }
}

/* ---- input gradients ---- */

struct gradient_case {
    struct device_gradient_source source;
    const float *dy;
    size_t dy_stride;
    int n_rows;
    float *expected; /* [n_rows][n_columns] */
};

static uint8_t *zeroed(size_t n) {
    uint8_t *bytes = NULL;
    assert_int_equal(posix_memalign((void **)&bytes, 64, n + 64), 0);
    memset(bytes, 0, n);
    return bytes;
}

static void check_gradient(device *d, void *arg) {
    const struct gradient_case *c = arg;
    struct device_gradient_matrix g;
    device_gradient_plan(d, &c->source, &g);
    assert_int_equal(g.m.n_rows, c->source.n_columns);
    uint8_t *packed = zeroed(g.m.n_bytes), *scratch = zeroed(device_scratch_bytes(d, g.m.n_columns));
    const size_t row_bytes = device_row_bytes(d, &g.m), n_out = (size_t)c->n_rows * (size_t)c->source.n_columns;
    const struct device_rows rows = {zeroed(row_bytes * (size_t)c->n_rows), row_bytes};
    float *out = alloc_array(n_out, sizeof *out);
    device_set_scratch(d, scratch, g.m.n_columns);
    device_gradient_pack(d, &c->source, &g, packed);
    device_gradient_rows(d, &g, c->dy, c->dy_stride, c->n_rows, rows);
    const struct device_linear linear = {
        .m = {&g.m}, .n_parts = 1, .x = rows, .n_rows = c->n_rows, .y = out, .y_stride = (size_t)c->source.n_columns};
    device_linear(d, &linear);
    assert_same(d, out, c->expected, n_out, "input gradient");
    free(packed);
    free(scratch);
    free(rows.data);
    alloc_free(out);
}

static float expected_gradient(const struct gradient_case *c, int row, int64_t k) {
    const struct device_gradient_source *s = &c->source;
    float chains[DEVICE_MAX_SHARDS];
    for (int shard = 0; shard < s->n_shards; shard++) {
        const float *dy = c->dy + (size_t)row * c->dy_stride;
        float sum = 0.0f;
        for (int p = 0; p < s->n_parts; dy += s->n_rows[p++]) {
            const int64_t first = s->shard_row[p][shard], n = s->shard_row[p][shard + 1] - first;
            sum = add_chain(sum, dy + first, 1, s->w[p] + first * s->n_columns + k, (size_t)s->n_columns, n, s->f32);
        }
        chains[shard] = sum;
    }
    for (int width = 1; width < s->n_shards; width *= 2)
        for (int i = 0; i + width < s->n_shards; i += 2 * width) chains[i] = chains[i] + chains[i + width];
    return chains[0];
}

static void test_gradient(void **state) {
    (void)state;
    for (int round = 0; round < 30; round++) {
        struct gradient_case c = {.n_rows = draw_to(40)};
        struct device_gradient_source *s = &c.source;
        float *w[DEVICE_MAX_PARTS] = {NULL};
        int64_t n_dy = 0;
        s->n_parts = 1 + round % DEVICE_MAX_PARTS;
        s->n_shards = 1 << (round % 4);
        s->n_columns = draw_to(150);
        s->f32 = round % 3 == 1;
        for (int p = 0; p < s->n_parts; p++) {
            for (int i = 0; i < s->n_shards; i++) s->shard_row[p][i + 1] = s->shard_row[p][i] + draw_to(50);
            s->n_rows[p] = s->shard_row[p][s->n_shards];
            s->w[p] = w[p] = numbers((size_t)(s->n_rows[p] * s->n_columns));
            n_dy += s->n_rows[p];
        }
        c.dy_stride = (size_t)n_dy + cases_draw() % 5;
        float *dy = numbers(c.dy_stride * (size_t)c.n_rows);
        c.dy = dy;
        c.expected = alloc_array((size_t)c.n_rows * (size_t)s->n_columns, sizeof(float));
        for (int row = 0; row < c.n_rows; row++)
            for (int64_t k = 0; k < s->n_columns; k++)
                c.expected[row * s->n_columns + k] = expected_gradient(&c, row, k);
        on_devices(check_gradient, &c);
        for (int p = 0; p < s->n_parts; p++) alloc_free(w[p]);
        alloc_free(dy);
        alloc_free(c.expected);
    }
}

int main(void) {
    print_message("seed %llu\n", (unsigned long long)cases_seed);
    cases_flush_subnormals();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_outer), cmocka_unit_test(test_gradient)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
