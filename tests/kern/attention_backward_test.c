/* attention_backward_test.c: the gradients of attention against double precision, and the same bits from every
 * instruction set, any number of threads, and for a document among others as alone. Catches: a sum in another order, a
 * block at a span's or a document's edge, padding that leaks, a wrong term of the derivative. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/digest.h"
#include "base/random.h"
#include "device/device_backward.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#else
#define HAS_SANITIZER 0
#endif

enum { MAX_RUNS = 4 };
static const uint64_t seed = 7;

struct problem {
    int n_heads, n_kv_heads, size;
    enum dtype dtype;
    int n_runs, lengths[MAX_RUNS];
};

/* What one problem is computed from and what came out; owned. */
struct run_state {
    struct problem p;
    int n_rows, max_context;
    int64_t width, out_width; /* of rows of qkv, and of out */
    struct device_run runs[MAX_RUNS];
    int32_t *pages;
    float *qkv, *d_out, *dqkv, *out, *stats;
};

static void *zeroed(size_t n) {
    void *p = aligned_alloc(64, (n + 63) / 64 * 64);
    assert_non_null(p);
    return memset(p, 0, (n + 63) / 64 * 64);
}

/* Numbers that bf16 holds exactly, so that only what is computed is rounded; keyed by run and place, so that a document
 * has the same numbers wherever it stands. */
static float number(int run, int64_t place, float range) {
    const double unit = random_unit(seed + (uint64_t)run, RANDOM_TEST, (uint64_t)place);
    return dtype_f32_from_bf16(dtype_bf16_from_f32((float)(2.0 * unit - 1.0) * range));
}

static void make(struct run_state *s, const struct problem *p, int first_run) {
    *s = (struct run_state){.p = *p};
    s->width = (int64_t)(p->n_heads + 2 * p->n_kv_heads) * p->size;
    s->out_width = (int64_t)p->n_heads * p->size;
    int n_pages = 0;
    for (int i = 0; i < p->n_runs; i++) {
        s->runs[i] = (struct device_run){s->n_rows, p->lengths[i], 0, NULL};
        s->n_rows += p->lengths[i];
        n_pages += (p->lengths[i] + 31) / 32;
        if (p->lengths[i] > s->max_context) s->max_context = p->lengths[i];
    }
    s->pages = zeroed((size_t)n_pages * sizeof *s->pages);
    for (int i = 0; i < n_pages; i++) s->pages[i] = n_pages - 1 - i;
    const size_t rows = (size_t)s->n_rows;
    s->qkv = zeroed(rows * (size_t)s->width * sizeof(float));
    s->dqkv = zeroed(rows * (size_t)s->width * sizeof(float));
    s->out = zeroed(rows * (size_t)s->out_width * sizeof(float));
    s->d_out = zeroed(rows * (size_t)s->out_width * sizeof(float));
    s->stats = zeroed(rows * (size_t)p->n_heads * 2 * sizeof(float));
    int32_t *pages = s->pages;
    for (int r = 0; r < p->n_runs; r++) {
        s->runs[r].pages = pages;
        pages += (p->lengths[r] + 31) / 32;
        for (int64_t i = 0; i < p->lengths[r] * s->width; i++)
            s->qkv[s->runs[r].row_0 * s->width + i] = number(first_run + r, 2 * i, 2.0f);
        for (int64_t i = 0; i < p->lengths[r] * s->out_width; i++)
            s->d_out[s->runs[r].row_0 * s->out_width + i] = number(first_run + r, 2 * i + 1, 1.0f);
    }
}

static void unmake(struct run_state *s) {
    free(s->pages);
    free(s->qkv);
    free(s->dqkv);
    free(s->out);
    free(s->d_out);
    free(s->stats);
}

/* Forward (without a rotation) and backward. */
static void compute(struct run_state *s, enum kernel_isa isa, int n_threads) {
    device *d = NULL;
    struct cria_error error = {0};
    if (device_create_cpu(&d, &(struct device_options){n_threads, isa}, &error) != CRIA_OK) fail_msg("%s", error.text);
    const size_t rows = (size_t)s->n_rows, half = (size_t)s->p.size / 2;
    struct device_kv kv;
    device_kv_plan(d, s->p.dtype, s->p.n_kv_heads, s->p.size, &kv);
    const float *none = NULL;
    const struct device_matrix_source source = {DTYPE_F32, (const uint8_t *)none, 16, s->out_width, 0};
    struct device_matrix m;
    device_matrix_plan(d, &source, s->p.dtype == DTYPE_F32, 1, NULL, &m);
    float *cosines = zeroed((size_t)s->max_context * half * sizeof(float)),
          *sines = zeroed((size_t)s->max_context * half * sizeof(float));
    for (size_t i = 0; i < (size_t)s->max_context * half; i++) cosines[i] = 1.0f;
    uint8_t *cache = zeroed((rows / 32 + MAX_RUNS) * kv.page_bytes),
            *q = zeroed(rows * device_q_bytes(d, &kv, s->p.n_heads)), *packed = zeroed(rows * device_row_bytes(d, &m)),
            *scratch = zeroed(device_attention_bytes(d, &kv, s->p.n_heads, s->max_context));
    device_begin(d);
    device_rotate(d, &(struct device_rotate){.qkv = s->qkv,
                                             .qkv_stride = (size_t)s->width,
                                             .n_heads = s->p.n_heads,
                                             .kv = &kv,
                                             .cosines = cosines,
                                             .sines = sines,
                                             .runs = s->runs,
                                             .n_runs = s->p.n_runs,
                                             .n_rows = s->n_rows,
                                             .cache = cache,
                                             .page_stride = kv.page_bytes,
                                             .q = {q, 0}});
    device_attention(d, &(struct device_attention){.n_heads = s->p.n_heads,
                                                   .kv = &kv,
                                                   .runs = s->runs,
                                                   .n_runs = s->p.n_runs,
                                                   .n_rows = s->n_rows,
                                                   .cache = cache,
                                                   .page_stride = kv.page_bytes,
                                                   .q = {q, 0},
                                                   .out = {packed, device_row_bytes(d, &m)},
                                                   .m = &m,
                                                   .rows = s->out,
                                                   .stats = s->stats,
                                                   .scratch = scratch,
                                                   .max_context = s->max_context});
    struct device_attention_backward a = {.qkv = s->qkv,
                                          .out = s->out,
                                          .d_out = s->d_out,
                                          .stats = s->stats,
                                          .dqkv = s->dqkv,
                                          .qkv_stride = (size_t)s->width,
                                          .out_stride = (size_t)s->out_width,
                                          .d_out_stride = (size_t)s->out_width,
                                          .dqkv_stride = (size_t)s->width,
                                          .n_heads = s->p.n_heads,
                                          .n_kv_heads = s->p.n_kv_heads,
                                          .head_size = s->p.size,
                                          .kv_dtype = s->p.dtype,
                                          .runs = s->runs,
                                          .n_runs = s->p.n_runs,
                                          .max_context = s->max_context};
    a.scratch = zeroed(device_attention_backward_bytes(d, &a));
    device_attention_backward(d, &a);
    device_end(d);
    free(a.scratch);
    free(cosines);
    free(sines);
    free(cache);
    free(q);
    free(packed);
    free(scratch);
    device_destroy(&d);
}

/* ---- in double ---- */

/* One head of one run. p: n x n weights. */
struct head {
    const struct run_state *s;
    int row_0, n, h, g;
};

static const float *q_at(const struct head *t, int i) {
    return t->s->qkv + (t->row_0 + i) * t->s->width + (int64_t)t->h * t->s->p.size;
}
static const float *k_at(const struct head *t, int i) {
    return t->s->qkv + (t->row_0 + i) * t->s->width + (int64_t)(t->s->p.n_heads + t->g) * t->s->p.size;
}
static const float *v_at(const struct head *t, int i) {
    return k_at(t, i) + (int64_t)t->s->p.n_kv_heads * t->s->p.size;
}
static const float *d_out_at(const struct head *t, int i) {
    return t->s->d_out + (t->row_0 + i) * t->s->out_width + (int64_t)t->h * t->s->p.size;
}

static double dot(const float *a, const float *b, int n) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += (double)a[i] * b[i];
    return sum;
}

/* Adds the head's exact gradients to `exact`, and to `mass` the sums of magnitudes that a rounding can act on. */
static void head_oracle(const struct head *t, double *exact, double *mass) {
    const int size = t->s->p.size;
    const double scale = 1 / sqrt(size);
    double *p = zeroed((size_t)t->n * sizeof *p), *dp = zeroed((size_t)t->n * sizeof *dp);
    for (int i = 0; i < t->n; i++) {
        double best = -INFINITY, sum = 0, d = 0, d_mass = 0;
        for (int j = 0; j <= i; j++) best = fmax(best, p[j] = dot(q_at(t, i), k_at(t, j), size) * scale);
        for (int j = 0; j <= i; j++) sum += p[j] = exp(p[j] - best);
        for (int j = 0; j <= i; j++) {
            p[j] /= sum;
            dp[j] = dot(d_out_at(t, i), v_at(t, j), size);
            d += p[j] * dp[j];
            d_mass += p[j] * fabs(dp[j]);
        }
        const int64_t at_q = (t->row_0 + i) * t->s->width + (int64_t)t->h * size;
        for (int j = 0; j <= i; j++) {
            const int64_t at_k = k_at(t, j) - t->s->qkv, at_v = v_at(t, j) - t->s->qkv;
            const double ds = p[j] * (dp[j] - d) * scale, ds_mass = p[j] * (fabs(dp[j]) + d_mass) * scale;
            for (int x = 0; x < size; x++) {
                exact[at_q + x] += ds * k_at(t, j)[x];
                mass[at_q + x] += ds_mass * fabs((double)k_at(t, j)[x]);
                exact[at_k + x] += ds * q_at(t, i)[x];
                mass[at_k + x] += ds_mass * fabs((double)q_at(t, i)[x]);
                exact[at_v + x] += p[j] * d_out_at(t, i)[x];
                mass[at_v + x] += p[j] * fabs((double)d_out_at(t, i)[x]);
            }
        }
    }
    free(p);
    free(dp);
}

static double head_loss(const struct head *t) {
    const int size = t->s->p.size;
    double loss = 0, *p = zeroed((size_t)t->n * sizeof *p);
    for (int i = 0; i < t->n; i++) {
        double sum = 0;
        for (int j = 0; j <= i; j++) sum += p[j] = exp(dot(q_at(t, i), k_at(t, j), size) / sqrt(size));
        for (int j = 0; j <= i; j++) loss += p[j] / sum * dot(d_out_at(t, i), v_at(t, j), size);
    }
    free(p);
    return loss;
}

static void for_each_head(const struct run_state *s, double *exact, double *mass, double *loss) {
    for (int r = 0; r < s->p.n_runs; r++)
        for (int h = 0; h < s->p.n_heads; h++) {
            const struct head t = {s, s->runs[r].row_0, s->runs[r].n_rows, h, h / (s->p.n_heads / s->p.n_kv_heads)};
            if (exact) head_oracle(&t, exact, mass);
            if (loss) *loss += head_loss(&t);
        }
}

/* Each rounding of a product's operand is at most 2^-9 (bf16: P or dS, the forward's weights in l and out, which D
 * takes in) or 2^-24; chains of n additions add n * 2^-24 of their mass. exp and the rest: a few 2^-24. */
static double unit_of(const struct run_state *s) {
    const double f32 = (s->max_context + s->p.size + 32) * 0x1p-24;
    return s->p.dtype == DTYPE_F32 ? f32 : f32 + 4 * 0x1p-9;
}

static const struct problem problems[] = {
    {2, 2, 8, DTYPE_F32, 2, {33, 5}},
    {4, 1, 16, DTYPE_BF16, 3, {1, 40, 64}},
    {4, 2, 48, DTYPE_BF16, 2, {70, 31}},
    {3, 3, 20, DTYPE_F32, 1, {100}},
    {2, 1, 64, DTYPE_BF16, 2, {1100, 513}},
    {2, 1, 32, DTYPE_F32, 1, {1600}},
    {6, 2, 128, DTYPE_BF16, 4, {32, 64, 2, 95}},
    {6, 2, 16, DTYPE_BF16, 3, {1030, 40, 1600}}, /* with 5 threads one piece is shared out, with more all six */
};
enum { N_PROBLEMS = sizeof problems / sizeof problems[0] };

static void test_right(void **state) {
    (void)state;
    for (int i = 0; i < N_PROBLEMS; i++) {
        struct run_state s;
        make(&s, &problems[i], 0);
        compute(&s, KERNEL_ISA_NONE, 2);
        const size_t n = (size_t)s.n_rows * (size_t)s.width;
        double *exact = zeroed(n * sizeof *exact), *mass = zeroed(n * sizeof *mass), worst = 0;
        for_each_head(&s, exact, mass, NULL);
        for (size_t x = 0; x < n; x++) {
            const double bound = unit_of(&s) * mass[x] + 1e-30, error = fabs(s.dqkv[x] - exact[x]);
            if (!(error <= bound))
                fail_msg("problem %d, row %zu, column %zu: %g, exactly %g, bound %g", i, x / (size_t)s.width,
                         x % (size_t)s.width, (double)s.dqkv[x], exact[x], bound);
            worst = fmax(worst, error / bound);
        }
        printf("problem %d: worst error %.3f of its bound\n", i, worst);
        free(exact);
        free(mass);
        unmake(&s);
    }
}

/* The oracle's own derivative, by central differences of its loss. */
static void test_oracle(void **state) {
    (void)state;
    struct run_state s;
    make(&s, &problems[0], 0);
    const size_t n = (size_t)s.n_rows * (size_t)s.width;
    double *exact = zeroed(n * sizeof *exact), *mass = zeroed(n * sizeof *mass);
    for_each_head(&s, exact, mass, NULL);
    for (size_t x = 0; x < n; x += 7) {
        const float h = 0x1p-10f, before = s.qkv[x];
        double up = 0, down = 0;
        s.qkv[x] = before + h;
        for_each_head(&s, NULL, NULL, &up);
        s.qkv[x] = before - h;
        for_each_head(&s, NULL, NULL, &down);
        s.qkv[x] = before;
        const double slope = (up - down) / (2.0 * (double)h);
        if (!(fabs(slope - exact[x]) <= 1e-5 * (mass[x] + 1))) fail_msg("number %zu: %g, slope %g", x, exact[x], slope);
    }
    free(exact);
    free(mass);
    unmake(&s);
}

static void digest_of(const struct run_state *s, int first_row, int n_rows, uint8_t ret[DIGEST_BYTES]) {
    digest *d = NULL;
    assert_int_equal(digest_create(&d, NULL), CRIA_OK);
    digest_add(d, s->dqkv + first_row * s->width, (size_t)n_rows * (size_t)s->width * sizeof(float));
    assert_int_equal(digest_result(d, ret, NULL), CRIA_OK);
    digest_destroy(&d);
}

static void test_same_bits(void **state) {
    (void)state;
    static const int threads[] = {1, 2, 3, 5, 7};
    for (int i = 0; i < N_PROBLEMS; i++) {
        uint8_t expected[DIGEST_BYTES] = {0}, got[DIGEST_BYTES];
        bool is_first = true;
        for (int isa = KERNEL_ISA_REF; isa < KERNEL_ISA_COUNT; isa++)
            for (size_t t = 0; t < sizeof threads / sizeof threads[0]; t++) {
                const char *reason;
                if (!kernel_isa_usable((enum kernel_isa)isa, &reason)) continue;
                if (isa == KERNEL_ISA_REF && problems[i].lengths[0] > 1000 && (t > 0 || HAS_SANITIZER))
                    continue; /* it is slow */
                struct run_state s;
                make(&s, &problems[i], 0);
                compute(&s, (enum kernel_isa)isa, threads[t]);
                digest_of(&s, 0, s.n_rows, is_first ? expected : got);
                if (!is_first && memcmp(expected, got, sizeof got) != 0)
                    fail_msg("problem %d: %s with %d threads gives other bits", i,
                             kernel_isa_name((enum kernel_isa)isa), threads[t]);
                is_first = false;
                unmake(&s);
            }
    }
}

static void test_document_alone(void **state) {
    (void)state;
    struct run_state all;
    make(&all, &problems[6], 0);
    compute(&all, KERNEL_ISA_NONE, 2);
    for (int r = 0; r < all.p.n_runs; r++) {
        struct problem one = all.p;
        struct run_state alone;
        uint8_t expected[DIGEST_BYTES], got[DIGEST_BYTES];
        one.n_runs = 1;
        one.lengths[0] = all.p.lengths[r];
        make(&alone, &one, r);
        compute(&alone, KERNEL_ISA_NONE, 1);
        digest_of(&alone, 0, alone.n_rows, expected);
        digest_of(&all, all.runs[r].row_0, alone.n_rows, got);
        assert_memory_equal(expected, got, sizeof got);
        unmake(&alone);
    }
    unmake(&all);
}

int main(void) {
    printf("seed %llu\n", (unsigned long long)seed);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_oracle), cmocka_unit_test(test_right),
                                       cmocka_unit_test(test_same_bits), cmocka_unit_test(test_document_alone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
