/* plan_pipeline_test.c: the simulated schedules against their closed forms. */
#include "plan/plan_pipeline.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"
#include "plan/planner.h"

#define MAX_CHUNKS 1024

static double simulate(int64_t stages, int64_t parts, int64_t micro_batches, enum plan_schedule schedule, double hop) {
    double forward[MAX_CHUNKS], backward[MAX_CHUNKS], span = -1;
    for (int64_t i = 0; i < stages * parts; i++) forward[i] = 1.0 / (double)parts, backward[i] = 2.0 / (double)parts;
    struct plan_pipeline p = {
        .n_stages = stages,
        .n_parts = parts,
        .n_micro_batches = micro_batches,
        .schedule = schedule,
        .forward_s = forward,
        .backward_s = backward,
        .hop_s = hop,
    };
    struct cria_error err = {0};
    assert_int_equal(plan_pipeline_simulate(&p, &span, &err), CRIA_OK);
    return span;
}

static void assert_near(double a, double b, double relative) {
    if (fabs(a - b) > relative * fabs(b)) fail_msg("%.9g, expected %.9g", a, b);
}

/* Catches: an order in which a stage waits where 1F1B does not, or runs two passes at once: its idle time is
 * (stages - 1) / micro-batches of the work, interleaved that over the parts (Narayanan et al. 2021). */
static void test_bubbles(void **state) {
    (void)state;
    for (int64_t p = 1; p <= 16; p *= 2)
        for (int64_t m = p; m <= 8 * p; m += p) {
            double work = 3 * (double)m, bubble = 3 * (double)(p - 1);
            assert_near(simulate(p, 1, m, PLAN_SCHEDULE_1F1B, 0), work + bubble, 1e-9);
            for (int64_t v = 2; v <= 4 && p > 1; v++)
                assert_near(simulate(p, v, m, PLAN_SCHEDULE_INTERLEAVED, 0), work + bubble / (double)v, 1e-9);
        }
}

/* Catches: fewer micro-batches than stages, which end early or never. */
static void test_few_micro_batches(void **state) {
    (void)state;
    assert_near(simulate(8, 1, 1, PLAN_SCHEDULE_1F1B, 0), 24, 1e-9);
    assert_near(simulate(8, 1, 3, PLAN_SCHEDULE_1F1B, 0), 24 + 2 * 3, 1e-9);
    struct plan_pipeline p = {.n_stages = 4, .n_parts = 2, .n_micro_batches = 6};
    double span = -1;
    struct cria_error err = {0};
    assert_int_equal(plan_pipeline_simulate(&p, &span, &err), CRIA_SHAPE);
    p.n_stages = 0;
    assert_int_equal(plan_pipeline_simulate(&p, &span, &err), CRIA_RANGE);
    p = (struct plan_pipeline){.n_stages = 1 << 20, .n_parts = 1, .n_micro_batches = 1 << 20};
    assert_int_equal(plan_pipeline_simulate(&p, &span, &err), CRIA_LIMIT);
    assert_true(span == -1);
}

/* Catches: weight gradients that are lost, or that do not fill the idle time: ZB-H1 lies between the work alone and
 * 1F1B, and saves most of the drain. */
static void test_zero_bubble(void **state) {
    (void)state;
    for (int64_t p = 2; p <= 16; p *= 2) {
        int64_t m = 4 * p;
        double work = 3 * (double)m, plain = simulate(p, 1, m, PLAN_SCHEDULE_1F1B, 0);
        double filled = simulate(p, 1, m, PLAN_SCHEDULE_ZERO_BUBBLE, 0);
        assert_true(filled >= work);
        assert_true(filled - work <= 0.75 * (plain - work));
    }
}

/* Catches: traffic between stages that takes no time, or that is paid for more often than once a hop at the ends. */
static void test_hops(void **state) {
    (void)state;
    assert_near(simulate(4, 1, 1, PLAN_SCHEDULE_1F1B, 0.5), 12 + 6 * 0.5, 1e-9);
    assert_true(simulate(8, 1, 64, PLAN_SCHEDULE_1F1B, 0.1) > simulate(8, 1, 64, PLAN_SCHEDULE_1F1B, 0));
}

/* Catches: a slow stage that does not set the pace, and a time line whose intervals overlap or are missing. */
static void test_time_line(void **state) {
    (void)state;
    double forward[4] = {1, 1, 2, 1}, backward[4] = {2, 2, 4, 2}, span = 0, end[4] = {0};
    struct plan_interval intervals[3 * 4 * 32];
    struct plan_pipeline p = {.n_stages = 4,
                              .n_parts = 1,
                              .n_micro_batches = 32,
                              .forward_s = forward,
                              .backward_s = backward,
                              .intervals = intervals};
    struct cria_error err = {0};
    assert_int_equal(plan_pipeline_simulate(&p, &span, &err), CRIA_OK);
    assert_true(span > 32 * 6 && span < 35 * 6);
    assert_int_equal(p.n_intervals, 2 * 4 * 32);
    for (size_t i = 0; i < p.n_intervals; i++) {
        assert_true(intervals[i].begin_s >= end[intervals[i].stage]);
        end[intervals[i].stage] = intervals[i].end_s;
        assert_true(intervals[i].end_s <= span);
    }
}

/* Catches: a simulation too slow for 100,000 ranks (16 stages of 8 ranks, 782 pipelines), or one in which ranks of
 * different speed cost nothing. */
static void test_hundred_thousand_ranks(void **state) {
    (void)state;
    double forward[64], backward[64], span = 0, even = 0;
    for (int i = 0; i < 64; i++) forward[i] = 0.25, backward[i] = 0.5;
    struct plan_pipeline p = {.n_stages = 16,
                              .n_parts = 4,
                              .n_micro_batches = 16,
                              .forward_s = forward,
                              .backward_s = backward,
                              .hop_s = 1e-3};
    struct cria_error err = {0};
    double begin = clock_cpu_seconds();
    assert_int_equal(plan_pipeline_simulate_all(&p, 782, 0.01, 1, &span, &err), CRIA_OK);
    double seconds = clock_cpu_seconds() - begin;
    assert_int_equal(plan_pipeline_simulate(&p, &even, &err), CRIA_OK);
    assert_true(span > 1.01 * even && span < 1.1 * even);
#ifdef __OPTIMIZE__
    if (seconds > 1) fail_msg("782 pipelines of 16 stages took %.2f s", seconds);
#else
    (void)seconds;
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bubbles),     cmocka_unit_test(test_few_micro_batches),
        cmocka_unit_test(test_zero_bubble), cmocka_unit_test(test_hops),
        cmocka_unit_test(test_time_line),   cmocka_unit_test(test_hundred_thousand_ranks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
