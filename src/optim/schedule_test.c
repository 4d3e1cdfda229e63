/* schedule_test.c: schedules against their closed forms, computed here with the C library.
 *
 * Catches a warm-up that starts a step early or ends a step late, a cosine that does not end at the floor, an annealing
 * or decay that does not end where it should, and a ramp that begins a step off. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "optim/schedule.h"

static void near(double found, double expected) {
    if (!(fabs(found - expected) <= 1e-12 * fabs(expected) + 1e-18)) fail_msg("%.17g, not %.17g", found, expected);
}

static const struct schedule cosine = {
    .kind = SCHEDULE_COSINE, .peak = 3e-4, .floor = 3e-5, .steps = 1000, .warmup = 100, .decay = 50, .rows = 8};

static void test_cosine(void **state) {
    (void)state;
    for (int64_t step = 1; step <= 1000; step++) {
        double expected;
        if (step <= 100) expected = 3e-4 * (double)step / 100;
        else if (step <= 950) expected = 3e-5 + (3e-4 - 3e-5) * (1 + cos(M_PI * (double)(step - 100) / 850)) / 2;
        else expected = 3e-5 * (double)(1000 - step) / 50;
        near(schedule_rate(&cosine, step), expected);
    }
    near(schedule_rate(&cosine, 100), 3e-4);
    near(schedule_rate(&cosine, 950), 3e-5);
    near(schedule_rate(&cosine, 1000), 0);
    near(schedule_rate(&cosine, 5000), 0);
}

static void test_wsd(void **state) {
    (void)state;
    const struct schedule s = {
        .kind = SCHEDULE_WSD, .peak = 1e-3, .floor = 1e-5, .steps = 100, .warmup = 10, .decay = 20, .rows = 8};
    near(schedule_rate(&s, 1), 1e-4);
    for (int64_t step = 10; step <= 80; step++) near(schedule_rate(&s, step), 1e-3);
    near(schedule_rate(&s, 81), 1e-5 + (1e-3 - 1e-5) * 19 / 20);
    near(schedule_rate(&s, 100), 1e-5);
}

static void test_constant(void **state) {
    (void)state;
    const struct schedule s = {.kind = SCHEDULE_CONSTANT, .peak = 1e-3, .steps = 10, .rows = 8};
    for (int64_t step = 1; step <= 12; step++) near(schedule_rate(&s, step), 1e-3);
}

static void test_edges(void **state) {
    (void)state;
    /* One step; no warm-up and no annealing: the last step has the floor. */
    struct schedule s = {.kind = SCHEDULE_COSINE, .peak = 1, .floor = 0.1, .steps = 1, .rows = 1};
    near(schedule_rate(&s, 1), 0.1);
    s.warmup = 1;
    near(schedule_rate(&s, 1), 1);
}

static void test_ramp(void **state) {
    (void)state;
    struct schedule s = cosine;
    s.ramp[0] = (struct schedule_ramp){.from = 10, .rows = 16};
    s.ramp[1] = (struct schedule_ramp){.from = 20, .rows = 4};
    s.n_ramp = 2;
    assert_int_equal(schedule_check(&s, NULL), CRIA_OK);
    assert_int_equal(schedule_rows(&s, 9), 8);
    assert_int_equal(schedule_rows(&s, 10), 16);
    assert_int_equal(schedule_rows(&s, 19), 16);
    assert_int_equal(schedule_rows(&s, 20), 4);
    assert_int_equal(schedule_max_rows(&s), 16);
}

static void test_refusals(void **state) {
    (void)state;
    struct cria_error error;
    struct schedule s = cosine;
    s.warmup = 960;
    assert_int_equal(schedule_check(&s, &error), CRIA_RANGE);
    assert_non_null(strstr(error.text, "960"));
    s = cosine;
    s.floor = 1;
    assert_int_equal(schedule_check(&s, NULL), CRIA_RANGE);
    s = cosine;
    s.steps = 0;
    assert_int_equal(schedule_check(&s, NULL), CRIA_RANGE);
    s = cosine;
    s.ramp[0] = (struct schedule_ramp){.from = 10, .rows = 16};
    s.ramp[1] = (struct schedule_ramp){.from = 10, .rows = 4};
    s.n_ramp = 2;
    assert_int_equal(schedule_check(&s, NULL), CRIA_RANGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cosine),   cmocka_unit_test(test_wsd),
                                       cmocka_unit_test(test_constant), cmocka_unit_test(test_edges),
                                       cmocka_unit_test(test_ramp),     cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
