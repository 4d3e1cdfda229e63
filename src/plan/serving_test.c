/* serving_test.c: engines against hand-worked figures, published ones, and what must hold whatever the constants. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "plan/serving.h"

static plan_hardware *hw;

static int open_tables(void **state) {
    (void)state;
    return hardware_open(&hw, NULL, NULL) == CRIA_OK ? 0 : -1;
}

static int close_tables(void **state) {
    (void)state;
    hardware_close(&hw);
    return 0;
}

static struct serving_engine make(const char *model, const char *chip, const char *format, int64_t tp) {
    struct serving_engine e = {.tp = tp,
                               .pp = 1,
                               .dp = 1,
                               .prompt_tokens = 300,
                               .answer_tokens = 400,
                               .memory_part = 0.9,
                               .chunk_tokens = 8192};
    assert_int_equal(plan_model_preset(model, &e.model, NULL), CRIA_OK);
    assert_int_equal(hardware_chip(hw, chip, &e.chip, NULL), CRIA_OK);
    assert_int_equal(serving_format_find(format, &e.format, NULL), CRIA_OK);
    return e;
}

static struct serving_point at(const struct serving_engine *e, double batch) {
    struct serving_point p;
    struct cria_error err;
    if (serving_at(e, batch, &p, &err) != CRIA_OK) fail_msg("%s", err.text);
    return p;
}

/* Cache bytes of a token in BF16 as published: 8B 128 KiB, 70B 320 KiB, 405B 504 KiB, Llama 2 7B 512 KiB. */
static void test_cache_bytes(void **state) {
    (void)state;
    const struct {
        const char *model;
        double kib;
    } rows[] = {{"llama3-8b", 128}, {"llama3-70b", 320}, {"llama3-405b", 504}, {"llama2-7b", 512}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct plan_model m;
        assert_int_equal(plan_model_preset(rows[i].model, &m, NULL), CRIA_OK);
        assert_true(plan_model_kv_bytes_per_token(&m, 2) == rows[i].kib * 1024);
    }
}

/* Tokens a second and chip that an engine reached on H100 and B200, as published: each within 30 percent. Fails when a
 * part of the step is lost or counted twice. */
static void test_published(void **state) {
    (void)state;
    const struct {
        const char *model, *chip, *format;
        int64_t tp;
        double batch, tokens_per_s_per_chip;
    } rows[] = {{"llama3-8b", "h100", "bf16", 1, 8, 1070},    {"llama3-8b", "h100", "bf16", 1, 128, 7037},
                {"llama3-8b", "b200", "bf16", 1, 8, 1637},    {"llama3-70b", "h100", "bf16", 4, 32, 372},
                {"llama3-70b", "h100", "bf16", 4, 512, 1480}, {"llama3-70b", "b200", "bf16", 2, 128, 1989},
                {"llama3-405b", "h100", "fp8", 8, 32, 98},    {"qwen3-32b", "h100", "bf16", 2, 64, 1327}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct serving_engine e = make(rows[i].model, rows[i].chip, rows[i].format, rows[i].tp);
        const struct serving_point p = at(&e, rows[i].batch);
        const double each = p.output_tokens_per_s.mid / (double)rows[i].tp;
        if (fabs(each / rows[i].tokens_per_s_per_chip - 1) > 0.3)
            fail_msg("%s on %lld x %s, batch %.0f: %.0f instead of %.0f", rows[i].model, (long long)rows[i].tp,
                     rows[i].chip, rows[i].batch, each, rows[i].tokens_per_s_per_chip);
    }
}

/* What holds for any engine: a larger batch is slower for each and faster for all, a longer context slower, a smaller
 * format not slower; parts of a step are not negative and the step is no shorter than its longest part. */
static void test_order(void **state) {
    (void)state;
    static const char *const models[] = {"llama3-8b", "llama3-70b", "llama4-scout", "deepseek-v3"};
    static const int64_t tps[] = {1, 4, 8, 16};
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        struct serving_engine e = make(models[i], "h200", "fp8", tps[i]);
        double last_step = 0, last_rate = 0;
        for (double batch = 1; batch <= 64; batch *= 4) {
            const struct serving_point p = at(&e, batch);
            const struct serving_breakdown *b = &p.breakdown;
            assert_true(p.step_s.mid > last_step && p.output_tokens_per_s.mid > last_rate);
            assert_true(p.step_s.low < p.step_s.mid && p.step_s.mid < p.step_s.high);
            assert_true(p.step_s.mid >= b->weights_s + b->kv_s && p.step_s.mid >= b->arithmetic_s);
            assert_true(b->exchange_s >= 0 && b->host_s >= 0 && b->launch_s > 0);
            assert_true(p.chip_watts > 0 && p.chip_watts <= e.chip->tdp_watts);
            last_step = p.step_s.mid;
            last_rate = p.output_tokens_per_s.mid;
        }
        struct serving_engine deep = e;
        deep.cached_tokens = 4000;
        assert_true(at(&deep, 16).step_s.mid > at(&e, 16).step_s.mid);
        assert_true(at(&deep, 16).max_batch < at(&e, 16).max_batch);
    }
}

/* A batch beyond memory is cut to what fits; weights beyond it are an error that says how many chips there should be.
 */
static void test_memory(void **state) {
    (void)state;
    struct serving_engine e = make("llama3-8b", "h100", "bf16", 1);
    struct serving_point p = at(&e, 1e6);
    struct cria_error err;
    assert_true(p.batch == p.max_batch && p.max_batch > 300 && p.max_batch < 1000);
    assert_true(p.memory.total_bytes <= p.memory.limit_bytes * 1.0001);
    assert_true(fabs(p.memory.weights_bytes / 16.06e9 - 1) < 0.01); /* 8.03 G parameters in 16 bits */
    e = make("llama3-405b", "h100", "bf16", 8);
    assert_int_equal(serving_at(&e, 1, &p, &err), CRIA_LIMIT);
    assert_non_null(strstr(err.text, "chips"));
    e.tp = 3;
    e.pp = 200;
    assert_int_equal(serving_at(&e, 1, &p, &err), CRIA_SHAPE);
    e.pp = 1;
    e.answer_tokens = -1;
    assert_int_equal(serving_at(&e, 1, &p, &err), CRIA_RANGE);
}

/* The search holds its target, and sorts by tokens a chip. */
static void test_search(void **state) {
    (void)state;
    const struct serving_engine e = make("llama3-70b", "h100", "fp8", 1);
    struct serving_choice rows[8];
    struct cria_error err;
    int n = 0;
    const struct serving_target target = {.first_token_s = 1, .between_tokens_s = 0.04};
    assert_int_equal(serving_search(&e, 16, &target, 8, rows, &n, &err), CRIA_OK);
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        assert_true(rows[i].point.between_tokens_s <= 0.04 && rows[i].point.first_token_s <= 1);
        if (i > 0) assert_true(rows[i].output_tokens_per_s_per_chip <= rows[i - 1].output_tokens_per_s_per_chip);
    }
    const struct serving_target hopeless = {.between_tokens_s = 1e-5};
    assert_int_equal(serving_search(&e, 16, &hopeless, 8, rows, &n, &err), CRIA_LIMIT);
    assert_non_null(strstr(err.text, "quickest"));
    assert_int_equal(serving_search(&e, 1, &target, 8, rows, &n, &err), CRIA_LIMIT);
}

/* Names of formats as files and papers spell them. */
static void test_formats(void **state) {
    (void)state;
    static const char *const known[] = {"BF16",   "bfloat16", "F16",   "FP8", "fp8-e4m3",
                                        "Q4_K_M", "NVFP4",    "MXFP4", "int4"};
    struct serving_format f;
    struct cria_error err;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        assert_int_equal(serving_format_find(known[i], &f, NULL), CRIA_OK);
    assert_int_equal(serving_format_find("fp7", &f, &err), CRIA_UNSUPPORTED);
    assert_int_equal(serving_format_find("", &f, &err), CRIA_UNSUPPORTED);
    assert_int_equal(serving_format_find(NULL, &f, &err), CRIA_UNSUPPORTED);
    for (int i = 0; serving_format_at(i); i++) assert_true(serving_format_at(i)->weight_bytes > 0);
}

/* Settings are read from the notes, measured figures are not: another latency in the text changes nothing. */
static void test_case_reads_settings(void **state) {
    (void)state;
    struct serving_case c = {.id = "x-seqs32",
                             .precision = "bf16",
                             .source = "vLLM",
                             .n_chips = 1,
                             .tp = 1,
                             .notes = "max_num_seqs 64, median inter-token latency 13.9 ms, power 500 W"};
    struct serving_prediction a, b;
    struct cria_error err;
    assert_int_equal(plan_model_preset("llama3-8b", &c.shape, NULL), CRIA_OK);
    assert_int_equal(hardware_chip(hw, "h100", &c.chip, NULL), CRIA_OK);
    assert_int_equal(plan_serving_predict_row(&c, &a, &err), CRIA_OK);
    assert_true(a.batch == 64);
    c.notes = "max_num_seqs 64, median inter-token latency 99.9 ms, power 900 W, total 5 tok/s";
    assert_int_equal(plan_serving_predict_row(&c, &b, &err), CRIA_OK);
    assert_memory_equal(&a, &b, sizeof a);
    c.notes = NULL;
    assert_int_equal(plan_serving_predict_row(&c, &b, &err), CRIA_OK);
    assert_true(b.batch == 32);
    c.n_chips = 0;
    assert_int_equal(plan_serving_predict_row(&c, &b, &err), CRIA_RANGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cache_bytes),
        cmocka_unit_test(test_published),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_search),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_case_reads_settings),
    };
    return cmocka_run_group_tests(tests, open_tables, close_tables);
}
