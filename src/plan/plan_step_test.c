/* plan_step_test.c: steps, memory and layouts: what must hold whatever the constants are. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "plan/planner.h"

static plan_hardware *hw;

static int open_hardware(void **state) {
    (void)state;
    struct cria_error err = {0};
    return hardware_open(&hw, NULL, &err) != CRIA_OK;
}

static int close_hardware(void **state) {
    (void)state;
    hardware_close(&hw);
    return 0;
}

static struct plan_train run_of(const char *model, const char *gpu, int64_t n) {
    struct cria_error err = {0};
    struct plan_train t = {
        .n_chips = n,
        .precision = PLAN_BF16,
        .seq_len = 8192,
        .batch_tokens = 16777216,
        .stack = PLAN_STACK_PRODUCTION,
        .year = 2024.5,
        .layout = {.dp = n, .tp = 1, .pp = 1, .cp = 1, .ep = 1, .virtual_stages = 1, .micro_batch = 1, .zero = 1},
    };
    assert_int_equal(plan_model_preset(model, &t.model, &err), CRIA_OK);
    assert_int_equal(hardware_chip(hw, gpu, &t.chip, &err), CRIA_OK);
    assert_int_equal(hardware_node(hw, t.chip->node, &t.node, &err), CRIA_OK);
    assert_int_equal(hardware_network(hw, t.node->network, &t.network, &err), CRIA_OK);
    return t;
}

static struct plan_train_result predict(const struct plan_train *t) {
    struct cria_error err = {0};
    struct plan_train_result r;
    if (plan_train_predict(t, PLAN_COUNT_CAUSAL, &r, &err) != CRIA_OK) fail_msg("%s", err.text);
    return r;
}

/* Catches: impossible layouts that get a figure, and errors that do not say what was expected. */
static void test_impossible(void **state) {
    (void)state;
    struct plan_train base = run_of("llama3-8b", "h100", 16), t = base;
    struct cria_error err = {0};
    struct plan_train_result r = {.mfu = -1};
    t.model.n_layers = 5;
    t.layout.pp = 8;
    t.layout.dp = 2;
    assert_int_equal(plan_train_predict(&t, PLAN_COUNT_FULL, &r, &err), CRIA_SHAPE);
    assert_non_null(strstr(err.text, "8 pipeline stages for 5 layers"));
    t = base;
    t.layout.tp = 3;
    assert_int_equal(plan_train_predict(&t, PLAN_COUNT_FULL, &r, &err), CRIA_SHAPE);
    t = base;
    t.layout.dp = 8;
    assert_int_equal(plan_train_predict(&t, PLAN_COUNT_FULL, &r, &err), CRIA_SHAPE);
    assert_non_null(strstr(err.text, "16 chips"));
    t = base;
    t.layout.dp = -16;
    assert_int_equal(plan_train_predict(&t, PLAN_COUNT_FULL, &r, &err), CRIA_RANGE);
    t = base;
    t.batch_tokens = 8192;
    assert_int_equal(plan_train_predict(&t, PLAN_COUNT_FULL, &r, &err), CRIA_SHAPE);
    assert_non_null(strstr(err.text, "fewer than data parallel 16"));
    t = base;
    t.seq_len = NAN;
    assert_int_equal(plan_train_predict(&t, PLAN_COUNT_FULL, &r, &err), CRIA_RANGE);
    t = run_of("qwen3-30b-a3b", "h100", 16);
    t.layout.ep = 3;
    assert_int_equal(plan_train_predict(&t, PLAN_COUNT_FULL, &r, &err), CRIA_SHAPE);
    assert_true(r.mfu == -1);
}

/* Catches: seven stages for five layers, which nearly divide: each of the parts but the ends would be empty. */
static void test_seven_stages(void **state) {
    (void)state;
    struct plan_train t = run_of("llama3-8b", "h100", 14);
    struct cria_error err = {0};
    struct plan_train_result r;
    t.model.n_layers = 5;
    t.layout.pp = 7;
    t.layout.dp = 2;
    assert_int_equal(plan_train_predict(&t, PLAN_COUNT_FULL, &r, &err), CRIA_SHAPE);
    assert_non_null(strstr(err.text, "7 pipeline stages for 5 layers"));
}

/* Catches: a breakdown that is not the step, throughput that is not the batch over the step, dimensions mixed up. */
static void test_sums(void **state) {
    (void)state;
    struct plan_train t = run_of("llama3-70b", "h100", 256);
    t.layout = (struct plan_layout){
        .dp = 16, .tp = 4, .pp = 4, .cp = 1, .ep = 1, .virtual_stages = 5, .micro_batch = 1, .zero = 1};
    struct plan_train_result r = predict(&t);
    const struct plan_breakdown *b = &r.breakdown;
    double sum = b->product_s + b->attention_s + b->elementwise_s + b->recompute_s + b->tensor_s + b->context_s +
                 b->expert_s + b->data_s + b->bubble_s + b->optimizer_s + b->host_s + b->straggler_s;
    assert_true(fabs(sum / r.step_s.mid - 1) < 1e-6);
    double tokens = t.batch_tokens / (r.step_s.mid * 256);
    assert_true(fabs(r.tokens_per_s_per_chip.mid / tokens - 1) < 1e-9);
    assert_true(fabs(r.mfu * 989.4e12 / r.flop_per_s_per_chip - 1) < 1e-9);
    const struct plan_memory *m = &r.memory;
    double bytes = m->weights_bytes + m->gradients_bytes + m->optimizer_bytes + m->activations_bytes + m->logits_bytes +
                   m->buffers_bytes;
    assert_true(fabs(bytes / m->total_bytes - 1) < 1e-9);
    assert_true(r.step_s.low < r.step_s.mid && r.step_s.mid < r.step_s.high);
}

/* Catches: effects with the wrong sign: each change makes a step slower, or takes more memory. */
static void test_directions(void **state) {
    (void)state;
    struct plan_train base = run_of("llama3-70b", "h100", 256), t;
    base.layout = (struct plan_layout){
        .dp = 8, .tp = 8, .pp = 4, .cp = 1, .ep = 1, .virtual_stages = 1, .micro_batch = 1, .zero = 1};
    struct plan_train_result r = predict(&base), s;
    t = base;
    t.layout.recompute = PLAN_RECOMPUTE_FULL;
    s = predict(&t);
    assert_true(s.step_s.mid > 1.15 * r.step_s.mid && s.step_s.mid < 1.45 * r.step_s.mid);
    assert_true(s.memory.activations_bytes < 0.3 * r.memory.activations_bytes);
    t.layout.recompute_part = 0.5;
    struct plan_train_result half = predict(&t);
    assert_true(half.step_s.mid < s.step_s.mid && half.step_s.mid > r.step_s.mid);
    t = base;
    t.year = 2023.0;
    assert_true(predict(&t).step_s.mid > r.step_s.mid);
    t = base;
    t.precision = PLAN_FP8;
    assert_true(predict(&t).step_s.mid < 0.85 * r.step_s.mid);
    t = base;
    t.layout.zero = 0;
    assert_true(predict(&t).memory.optimizer_bytes > 7 * r.memory.optimizer_bytes);
    t = base;
    t.layout.virtual_stages = 5;
    s = predict(&t);
    assert_true(s.breakdown.bubble_s < r.breakdown.bubble_s);
    assert_true(s.memory.activations_bytes > r.memory.activations_bytes);
    t = base;
    t.layout.tp = 16;
    t.layout.dp = 4;
    assert_true(predict(&t).breakdown.tensor_s > 2 * r.breakdown.tensor_s);
    struct plan_network thin = *base.network;
    thin.bytes_per_s_per_chip /= 20;
    t = base;
    t.network = &thin;
    assert_true(predict(&t).step_s.mid > r.step_s.mid);
}

/* Catches: a search that misses the layout which Llama 3 405B was trained with, or is slow; the figures of its paper
 * (41 percent of the peak, 6.5 s a step) within a tenth. */
static void test_llama3_405b(void **state) {
    (void)state;
    struct plan_train t = run_of("llama3-405b", "h100", 16384);
    struct plan_candidate best[10];
    struct cria_error err = {0};
    size_t n = 0;
    double begin = clock_cpu_seconds();
    if (plan_search(&t, 10, best, &n, &err) != CRIA_OK) fail_msg("%s", err.text);
    double seconds = clock_cpu_seconds() - begin;
#ifdef __OPTIMIZE__
    if (seconds > 2) fail_msg("the search took %.2f s", seconds);
#else
    (void)seconds;
#endif
    assert_int_equal(n, 10);
    const struct plan_layout *y = &best[0].layout;
    if (y->tp != 8 || y->pp != 16 || y->dp != 128)
        fail_msg("dp %lld tp %lld pp %lld", (long long)y->dp, (long long)y->tp, (long long)y->pp);
    assert_true(fabs(best[0].result.step_s.mid / 6.5 - 1) < 0.1);
    assert_true(fabs(best[0].result.mfu / 0.41 - 1) < 0.1);
    for (size_t i = 0; i < n; i++) {
        assert_true(best[i].result.fits);
        if (i) assert_true(best[i].result.step_s.mid >= best[i - 1].result.step_s.mid);
    }
    struct plan_params p;
    plan_model_params(&t.model, &p);
    assert_true(fabs(6 * p.total * 15.6e12 / 3.8e25 - 1) < 0.01);
}

/* Catches: a search that gives layouts which do not fit, or an error without the numbers. */
static void test_too_large(void **state) {
    (void)state;
    struct plan_train t = run_of("llama3-405b", "h100", 8);
    struct plan_candidate best[1];
    struct cria_error err = {0};
    size_t n = 7;
    assert_int_equal(plan_search(&t, 1, best, &n, &err), CRIA_LIMIT);
    assert_true(strstr(err.text, "do not fit") && strstr(err.text, "80.0 GB"));
    assert_int_equal(n, 7);
    t.n_chips = -1;
    assert_int_equal(plan_search(&t, 1, best, &n, &err), CRIA_RANGE);
}

/* Catches: experts whose ranks are not searched, and long sequences without context parallel. */
static void test_other_searches(void **state) {
    (void)state;
    struct plan_train t = run_of("deepseek-v3", "h800", 2048);
    struct plan_candidate best[3];
    struct cria_error err = {0};
    size_t n = 0;
    t.seq_len = 4096;
    t.stack = PLAN_STACK_DEEPSEEK;
    t.precision = PLAN_FP8;
    if (plan_search(&t, 3, best, &n, &err) != CRIA_OK) fail_msg("%s", err.text);
    assert_true(best[0].layout.ep > 1);
    t = run_of("llama3-8b", "h100", 64);
    t.seq_len = 131072;
    if (plan_search(&t, 3, best, &n, &err) != CRIA_OK) fail_msg("%s", err.text);
    assert_true(best[0].layout.cp > 1 || best[0].layout.tp > 1);
}

/* Catches: a time line that is not that of the layout. */
static void test_time_line(void **state) {
    (void)state;
    struct plan_train t = run_of("llama3-8b", "h100", 16);
    struct plan_interval *intervals = NULL;
    struct cria_error err = {0};
    size_t n = 0;
    t.layout.pp = 4;
    t.layout.dp = 4;
    t.batch_tokens = 8192 * 32;
    assert_int_equal(plan_train_timeline(&t, 10, &intervals, &n, &err), CRIA_LIMIT);
    assert_int_equal(plan_train_timeline(&t, 1000, &intervals, &n, &err), CRIA_OK);
    assert_int_equal(n, 2 * 4 * 8);
    alloc_free(intervals);
}

/* Catches: a job of 100,000 ranks whose step takes more than a second to simulate, and chance that costs nothing, or
 * much more than the largest of 12,500 normal numbers (about four standard deviations). */
static void test_hundred_thousand_ranks(void **state) {
    (void)state;
    struct plan_train t = run_of("llama3-405b", "h100", 98304);
    struct cria_error err = {0};
    double slowest = 0, equal = 0, begin = clock_cpu_seconds();
    t.batch_tokens = 8192.0 * 768 * 16;
    t.layout = (struct plan_layout){
        .dp = 768, .tp = 8, .pp = 16, .cp = 1, .ep = 1, .virtual_stages = 4, .micro_batch = 1, .zero = 1};
    if (plan_train_simulate(&t, 1, &slowest, &equal, &err) != CRIA_OK) fail_msg("%s", err.text);
    double seconds = clock_cpu_seconds() - begin;
#ifdef __OPTIMIZE__
    if (seconds > 1) fail_msg("98,304 ranks took %.2f s", seconds);
#else
    (void)seconds;
#endif
    assert_true(slowest > 1.001 * equal && slowest < 1.03 * equal);
}

/* Catches: a forecast for this machine that lacks the states (16 bytes a parameter) or the operations. */
static void test_local(void **state) {
    (void)state;
    struct plan_model m;
    struct plan_params p;
    struct plan_local r;
    struct cria_error err = {0};
    assert_int_equal(plan_model_preset("smollm2-135m", &m, &err), CRIA_OK);
    plan_model_params(&m, &p);
    plan_local_train(&m, 4096, 1024, 1e12, 5e10, &r);
    assert_true(r.bytes > 16 * p.total);
    assert_true(r.seconds_per_step > 6 * 4096 * 0.9 * p.total / 1e12);
    assert_true(r.seconds_per_step < 60);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_impossible),     cmocka_unit_test(test_seven_stages),
        cmocka_unit_test(test_sums),           cmocka_unit_test(test_directions),
        cmocka_unit_test(test_llama3_405b),    cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_other_searches), cmocka_unit_test(test_time_line),
        cmocka_unit_test(test_local),          cmocka_unit_test(test_hundred_thousand_ranks),
    };
    return cmocka_run_group_tests(tests, open_hardware, close_hardware);
}
