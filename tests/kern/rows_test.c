/* rows_test.c: the row kernels: every instruction set gives the reference's bits at odd sizes inside guard bands, and
 * the reference is right against double precision, within bounds from the number of its roundings. Catches: a tail
 * handled by other operations, a write past the end, a wrong polynomial, a wrong tree. */
#include <immintrin.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "kernel/kernel.h"

enum { MAX_N = 200, GUARD = 16, ROUNDS = 300 };
static const uint64_t seed = 42;
static uint64_t n_drawn;

static uint64_t draw(void) { return random_u64(seed, RANDOM_TEST, n_drawn++); }
static float number(float range) { return (float)(2.0 * random_unit(seed, RANDOM_TEST, n_drawn++) - 1.0) * range; }

static void fill(float *x, int n, float range) {
    for (int i = 0; i < n; i++) x[i] = number(range);
}

struct arrays {
    float a[MAX_N + GUARD], b[MAX_N + GUARD], c[MAX_N + GUARD], out[MAX_N + GUARD];
    struct kernel_attention_row row;
    float scalar[2];
};

/* All row kernels on the same inputs; everything they may write is in the arrays. */
static void run_all(const struct kernel_table *t, struct arrays *v, int n, int n_visible, bool round_p) {
    t->rmsnorm(v->out, v->a, v->b, n, 1e-5f);
    t->gate(v->a, v->a, v->b, n);
    t->rope(v->c, v->a, v->b, n / 2);
    t->scale(v->b, v->b, 0.37f, n);
    t->add(v->a, v->out, n);
    t->attention(&(struct kernel_attention_block){&v->row, v->scalar[0] > 0 ? v->a + MAX_N - 64 : v->b + MAX_N - 64,
                                                  v->c, 0, 1, n_visible, 1, n / 2, 0.125f, round_p});
    t->merge(&v->scalar[0], &v->scalar[1], v->c, 0.3f, 1.7f, v->out, n);
    v->scalar[0] += t->lanes(v->row.l);
    v->scalar[1] += t->logsumexp(v->a, n);
}

static void test_same_bits(void **state) {
    (void)state;
    struct kernel_table ref, t;
    kernel_table_init(&ref, KERNEL_ISA_REF);
    for (int isa = KERNEL_ISA_AVX2; isa < KERNEL_ISA_COUNT; isa++) {
        const char *reason;
        if (!kernel_isa_usable((enum kernel_isa)isa, &reason)) continue;
        kernel_table_init(&t, (enum kernel_isa)isa);
        for (int round = 0; round < ROUNDS; round++) {
            struct arrays expected, got;
            const int n = 2 + (int)(draw() % (MAX_N - 70)) / 2 * 2, n_visible = 1 + (int)(draw() % 32);
            const bool round_p = draw() & 1;
            const float range = round % 3 == 0 ? 90.0f : round % 3 == 1 ? 1.0f : 1e-30f;
            fill(expected.a, MAX_N + GUARD, range);
            fill(expected.b, MAX_N + GUARD, range);
            fill(expected.c, MAX_N + GUARD, range);
            fill(expected.out, MAX_N + GUARD, range);
            fill(expected.row.l, ORDER_LANES, 1.0f);
            fill(expected.scalar, 2, 1.0f);
            expected.row.m = round % 5 == 0 ? -INFINITY : number(5.0f);
            got = expected;
            run_all(&ref, &expected, n, n_visible, round_p);
            run_all(&t, &got, n, n_visible, round_p);
            if (memcmp(&expected, &got, sizeof got) != 0)
                fail_msg("%s differs from the reference: round %d, n %d, %d visible (seed %llu)",
                         kernel_isa_name((enum kernel_isa)isa), round, n, n_visible, (unsigned long long)seed);
        }
    }
}

enum { MAX_ROWS = 150, MAX_O = 80 };

struct rows_of_block {
    struct kernel_attention_row rows[MAX_ROWS];
    float scores[MAX_ROWS * ORDER_KEY_BLOCK + GUARD], o[MAX_ROWS * MAX_O + GUARD];
};

static void attend(const struct kernel_table *t, struct rows_of_block *v, struct kernel_attention_block b) {
    b.rows = v->rows;
    b.scores = v->scores;
    b.o = v->o;
    t->attention(&b);
}

/* Many rows in one call: the reference's bits, and each row's as if it were alone. Catches: a row that takes its
 * neighbour's maximum or factor, a wrong number of visible keys behind the first token, the seams between groups. */
static void test_rows_of_attention(void **state) {
    (void)state;
    static struct rows_of_block first, expected, got;
    struct kernel_table t, ref;
    kernel_table_init(&ref, KERNEL_ISA_REF);
    for (int round = 0; round < 40; round++) {
        struct kernel_attention_block b = {.o_stride = MAX_O,
                                           .n_rows = 1 + (int)(draw() % MAX_ROWS),
                                           .n_visible = 1 + (int)(draw() % 32),
                                           .rows_per_token = 1 + (int)(draw() % 7),
                                           .n_o = 16 + (int)(draw() % (MAX_O - 15)),
                                           .scale = 0.125f,
                                           .round_p = round & 1};
        for (int r = 0; r < MAX_ROWS; r++) {
            first.rows[r].m = draw() % 3 == 0 ? -INFINITY : number(5.0f);
            fill(first.rows[r].l, ORDER_LANES, 1.0f);
        }
        fill(first.scores, MAX_ROWS * ORDER_KEY_BLOCK + GUARD, round % 3 == 0 ? 700.0f : 20.0f);
        fill(first.o, MAX_ROWS * MAX_O + GUARD, 1.0f);
        expected = first;
        for (int r = 0; r < b.n_rows; r++) {
            struct kernel_attention_block one = b;
            one.rows = expected.rows + r;
            one.scores = expected.scores + r * ORDER_KEY_BLOCK;
            one.o = expected.o + r * MAX_O;
            one.n_rows = 1;
            one.n_visible = b.n_visible + r / b.rows_per_token;
            if (one.n_visible > ORDER_KEY_BLOCK) one.n_visible = ORDER_KEY_BLOCK;
            ref.attention(&one);
        }
        for (int isa = KERNEL_ISA_REF; isa < KERNEL_ISA_COUNT; isa++) {
            const char *reason;
            if (!kernel_isa_usable((enum kernel_isa)isa, &reason)) continue;
            kernel_table_init(&t, (enum kernel_isa)isa);
            got = first;
            attend(&t, &got, b);
            if (memcmp(&expected, &got, sizeof got) != 0)
                fail_msg("%s: %d rows differ from single ones: round %d (seed %llu)",
                         kernel_isa_name((enum kernel_isa)isa), b.n_rows, round, (unsigned long long)seed);
        }
    }
}

/* exp where its result becomes too small to be a normal number or too large to be finite, over neighbouring floats.
 * Catches: a power of two that is put on in one operation and rounds, flushes or overflows otherwise. */
static void test_exp_at_its_ends(void **state) {
    (void)state;
    static const float starts[] = {-87.33655f, -88.02969f, -103.97208f, -104.0f, 88.72284f, 89.0f, 0.0f};
    enum { N = 4096 };
    static float expected[N], got[N];
    struct kernel_table t, ref;
    kernel_table_init(&ref, KERNEL_ISA_REF);
    for (int isa = KERNEL_ISA_AVX2; isa < KERNEL_ISA_COUNT; isa++) {
        const char *reason;
        if (!kernel_isa_usable((enum kernel_isa)isa, &reason)) continue;
        kernel_table_init(&t, (enum kernel_isa)isa);
        for (size_t s = 0; s < sizeof starts / sizeof starts[0]; s++) {
            float x = starts[s];
            for (int i = 0; i < N / 2; i++) x = nextafterf(x, -INFINITY);
            for (int i = 0; i < N; i++, x = nextafterf(x, INFINITY)) expected[i] = got[i] = x;
            ref.softmax(expected, 0.0f, N);
            t.softmax(got, 0.0f, N);
            if (memcmp(expected, got, sizeof got) != 0)
                fail_msg("%s: exp near %g differs from the reference", kernel_isa_name((enum kernel_isa)isa),
                         (double)starts[s]);
        }
    }
}

/* silu through the gate kernel, over the range where exp neither vanishes nor overflows: relative error of exp 2^-23
 * and three more roundings. */
static void test_gate_is_right(void **state) {
    (void)state;
    struct kernel_table ref;
    kernel_table_init(&ref, KERNEL_ISA_REF);
    for (int i = 0; i < 20000; i++) {
        float g = number(80.0f), one = 1.0f, h;
        ref.gate(&h, &g, &one, 1);
        const double exact = (double)g / (1.0 + exp(-(double)g));
        if (fabs((double)h - exact) > 5 * 0x1p-23 * fabs(exact))
            fail_msg("silu(%.9g) is %.9g, expected %.9g", (double)g, (double)h, exact);
    }
    const float extremes[] = {-INFINITY, -200.0f, 0.0f, 200.0f};
    for (int i = 0; i < 4; i++) {
        float g = extremes[i], one = 1.0f, h;
        ref.gate(&h, &g, &one, 1);
        assert_true(i == 0 ? isnan(h) : i == 1 ? fabsf(h) < 1e-30f : h == g);
    }
}

static void test_logsumexp_is_right(void **state) {
    (void)state;
    struct kernel_table ref;
    kernel_table_init(&ref, KERNEL_ISA_REF);
    for (int n = 1; n < 2000; n += 37) {
        float x[2000];
        double sum = 0.0;
        fill(x, n, 20.0f);
        for (int i = 0; i < n; i++) sum += exp((double)x[i]);
        const double exact = log(sum), got = (double)ref.logsumexp(x, n);
        if (fabs(got - exact) > 2e-6 + fabs(exact) * 0x1p-23) fail_msg("n %d: %.9g, expected %.9g", n, got, exact);
    }
}

int main(void) {
    _mm_setcsr(_mm_getcsr() | 0x8040);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_bits), cmocka_unit_test(test_rows_of_attention),
                                       cmocka_unit_test(test_exp_at_its_ends), cmocka_unit_test(test_gate_is_right),
                                       cmocka_unit_test(test_logsumexp_is_right)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
