/* train_policy_test.c: which losses are jumps.
 *
 * Catches a policy that judges before it knows the run, takes ordinary noise for a jump, is dulled by the jumps that it
 * was told to skip, or whose mean never follows the run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>

#include "base/random.h"
#include "train/train_policy.h"

/* A run that learns: the loss falls and is noisy. */
static double loss_of(int64_t step) {
    const double noise = 0.2 * (random_unit(3, RANDOM_TEST, (uint64_t)step) - 0.5);
    return 3 + 6 * exp(-(double)step / 200) + noise;
}

static void test_noise_is_no_jump(void **state) {
    (void)state;
    struct train_progress p = {0};
    for (int64_t step = 1; step <= 2000; step++) {
        if (train_policy_is_spike(&p, loss_of(step), 8)) fail_msg("step %d", (int)step);
        train_policy_learn(&p, loss_of(step));
    }
    assert_true(fabs(p.mean - 3) < 0.2);
}

static void test_jump(void **state) {
    (void)state;
    struct train_progress p = {0};
    for (int64_t step = 1; step <= 1000; step++) {
        const bool is_spike = train_policy_is_spike(&p, loss_of(step) + 5, 8);
        if (step <= TRAIN_POLICY_WARMUP) assert_false(is_spike);
        if (step > 300 && !is_spike) fail_msg("step %d", (int)step);
        assert_false(train_policy_is_spike(&p, loss_of(step) + 5, 0));
        assert_false(train_policy_is_spike(&p, loss_of(step) - 2, 8));
        train_policy_learn(&p, loss_of(step));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_noise_is_no_jump), cmocka_unit_test(test_jump)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
