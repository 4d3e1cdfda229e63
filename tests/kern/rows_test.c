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
    t->attention(&v->row, v->scalar[0] > 0 ? v->a + MAX_N - 64 : v->b + MAX_N - 64, n_visible, 0.125f, round_p, v->c,
                 n / 2);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_bits), cmocka_unit_test(test_gate_is_right),
                                       cmocka_unit_test(test_logsumexp_is_right)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
