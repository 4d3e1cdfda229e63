/* failures_test.c: the failure model against published figures, its closed form against its simulation. */
#include "plan/failures.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka.h needs those above */
#include <cmocka.h>
#include <string.h>

#include "base/clock.h"

static struct failures_job llama_job(void) { return failures_usual_job(16384, 405.85e9); }

/* Llama 3: 466 interruptions in 54 days on 16,384 H100, more than 90 percent effective. Fails when a rate is counted by
 * the wrong part or a term of the lost time is left out or counted twice. */
static void test_llama3(void **state) {
    (void)state;
    const struct failures_job job = llama_job();
    struct failures_estimate e;
    struct failures_distribution d;
    assert_int_equal(failures_expect(&job, &e, NULL), CRIA_OK);
    assert_true(fabs(e.per_day * 54 / 466 - 1) < 0.15);
    assert_true(e.goodput > 0.90 && e.goodput < 0.97);
    assert_int_equal(failures_simulate(&job, 54, 1000, 7, &d, NULL), CRIA_OK);
    assert_true(d.interruptions.p10 < 466 && 466 < d.interruptions.p90);
}

/* Mean time to failure at 16,384 chips is 1.8 hours in one published projection and 3.1 in a measured run. Fails when
 * rates stop growing with the cluster. */
static void test_scale(void **state) {
    (void)state;
    double last = 0;
    for (double n = 8; n <= 131072; n *= 2) {
        struct failures_job job = llama_job();
        struct failures_estimate e;
        job.n_chips = n;
        assert_int_equal(failures_expect(&job, &e, NULL), CRIA_OK);
        if (last > 0) assert_true(fabs(last / e.mtbf_s - 2) < 1e-9);
        if (n == 16384) assert_true(e.mtbf_s > 1.8 * 3600 && e.mtbf_s < 3.3 * 3600);
        last = e.mtbf_s;
    }
}

/* A worked example of Young and Daly: 60 s of stall at 3.1 h, 300 s at 3.1 h. Fails when a factor of the form is
 * lost. */
static void test_interval(void **state) {
    (void)state;
    struct failures_job job = llama_job();
    struct failures_estimate e;
    job.is_async = false;
    job.checkpoint_bytes = 0;
    job.pause_s = 60;
    assert_int_equal(failures_expect(&job, &e, NULL), CRIA_OK);
    job.rate_scale = e.mtbf_s / (3.1 * 3600);
    assert_int_equal(failures_expect(&job, &e, NULL), CRIA_OK);
    assert_true(fabs(e.mtbf_s / 3600 - 3.1) < 1e-9);
    assert_true(fabs(e.young_s / 60 - 19.3) < 0.1);
    assert_true(e.daly_s < e.young_s && e.daly_s > 0.93 * e.young_s);
    job.pause_s = 300;
    assert_int_equal(failures_expect(&job, &e, NULL), CRIA_OK);
    assert_true(fabs(e.young_s / 60 - 43.1) < 0.2);
    /* Neither a shorter nor a longer interval does better. */
    const double best = e.goodput, interval = e.interval_s;
    for (int i = 0; i < 2; i++) {
        job.interval_s = interval * (i ? 1.5 : 0.66);
        assert_int_equal(failures_expect(&job, &e, NULL), CRIA_OK);
        assert_true(e.goodput < best);
    }
}

/* The simulation, told the exact rate, agrees with the closed form over sizes and stalls. Fails when one of the two
 * forgets rework, restart or stall. */
static void test_simulation_agrees(void **state) {
    (void)state;
    for (double n = 64; n <= 65536; n *= 32)
        for (double pause = 1; pause < 200; pause *= 12) {
            struct failures_job job = llama_job();
            struct failures_distribution d;
            job.n_chips = n;
            job.pause_s = pause;
            job.rate_spread = 0;
            assert_int_equal(failures_simulate(&job, 365, 40, 3, &d, NULL), CRIA_OK);
            assert_true(fabs(d.goodput.mean - d.at.goodput) < 0.012);
            assert_true(d.goodput.p5 <= d.goodput.p50 && d.goodput.p50 <= d.goodput.p95);
        }
}

/* The same seed gives the same numbers, another one others; every trial is in a bin. */
static void test_seed(void **state) {
    (void)state;
    const struct failures_job job = llama_job();
    struct failures_distribution a, b, c;
    int n = 0;
    assert_int_equal(failures_simulate(&job, 30, 200, 11, &a, NULL), CRIA_OK);
    assert_int_equal(failures_simulate(&job, 30, 200, 11, &b, NULL), CRIA_OK);
    assert_int_equal(failures_simulate(&job, 30, 200, 12, &c, NULL), CRIA_OK);
    assert_memory_equal(&a.goodput, &b.goodput, sizeof a.goodput);
    assert_true(a.goodput.mean != c.goodput.mean);
    for (int i = 0; i < FAILURES_BINS; i++) n += a.bins[i];
    assert_int_equal(n, 200);
}

/* A year of failures of 100,000 chips, 1,000 trials, under 5 s of this thread (processor time: others may be at
 * work). */
static void test_fast(void **state) {
    (void)state;
    const struct failures_job job = failures_usual_job(100000, 2e12);
    struct failures_distribution d;
    const double start = clock_cpu_seconds();
    assert_int_equal(failures_simulate(&job, 365, 1000, 1, &d, NULL), CRIA_OK);
    const double took = clock_cpu_seconds() - start;
    print_message("a year of 100,000 chips, 1,000 trials: %.2f s, goodput %.3f\n", took, d.goodput.p50);
#ifdef NDEBUG
    assert_true(took < 5);
#endif
}

/* Impossible jobs are refused by name, hopeless ones end at zero and do not run for ever. */
static void test_limits(void **state) {
    (void)state;
    struct failures_job job = llama_job();
    struct failures_distribution d;
    struct cria_error err;
    job.n_chips = -4;
    assert_int_equal(failures_simulate(&job, 1, 1, 1, &d, &err), CRIA_RANGE);
    assert_non_null(strstr(err.text, "chips"));
    job.n_chips = (double)NAN;
    assert_int_equal(failures_simulate(&job, 1, 1, 1, &d, &err), CRIA_RANGE);
    job = llama_job();
    assert_int_equal(failures_simulate(&job, 1, 0, 1, &d, &err), CRIA_RANGE);
    assert_int_equal(failures_simulate(&job, -1, 1, 1, &d, &err), CRIA_RANGE);
    job.rate_scale = 10000;
    assert_int_equal(failures_simulate(&job, 365, 100, 1, &d, &err), CRIA_OK);
    assert_true(d.goodput.p95 < 0.01);
    job.rate_scale = 0;
    assert_int_equal(failures_simulate(&job, 365, 10, 1, &d, &err), CRIA_OK);
    assert_true(d.goodput.p5 > 0.99 && d.interruptions.p95 == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_llama3),   cmocka_unit_test(test_scale),
        cmocka_unit_test(test_interval), cmocka_unit_test(test_simulation_agrees),
        cmocka_unit_test(test_seed),     cmocka_unit_test(test_fast),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
