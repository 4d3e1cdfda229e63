/* scenario_test.c: questions and answers of the planner: words in, figures out, and facts that must come out of them.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "plan/scenario_text.h"

static plan_hardware *hw;
static struct scenario_answer answer;

static int open_tables(void **state) {
    (void)state;
    return hardware_open(&hw, NULL, NULL) == CRIA_OK ? 0 : -1;
}

static int close_tables(void **state) {
    (void)state;
    hardware_close(&hw);
    return 0;
}

static struct scenario make(enum scenario_kind kind, const char *const *pairs) {
    struct scenario s;
    scenario_init(&s, kind, "test");
    for (; *pairs; pairs++) assert_int_equal(scenario_set_pair(&s, *pairs, NULL), CRIA_OK);
    return s;
}

#define MAKE(kind, ...) make(kind, (const char *const[]){__VA_ARGS__, NULL})

static double figure(const char *key) {
    const struct scenario_figure *f = scenario_figure(&answer, key);
    if (!f) fail_msg("no figure %s", key);
    return f->value;
}

static void ask(const struct scenario *s) {
    struct cria_error err;
    if (scenario_evaluate(s, hw, true, &answer, &err) != CRIA_OK) fail_msg("%s", err.text);
}

/* How people write numbers; and what is no number must not become one. */
static void test_numbers(void **state) {
    (void)state;
    const struct {
        const char *text;
        double value;
    } right[] = {{"16384", 16384}, {"500M", 5e8},       {"15.6T", 1.56e13}, {"30MW", 3e7}, {"5%", 0.05},
                 {"1.5e6", 1.5e6}, {"100,000", 100000}, {"1_000", 1000},    {"20 k", 2e4}, {"2 min", 120},
                 {"50ms", 0.05},   {"1e-3", 1e-3},      {"-4", -4},         {"0.9", 0.9}};
    const char *const wrong[] = {"", "many", "5X", "1.2.3", "0x10", "nan", "inf", "5 apples", "e5", "--3", "1e"};
    for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
        double value = 0;
        assert_int_equal(scenario_read_number(right[i].text, &value, NULL), CRIA_OK);
        assert_true(fabs(value - right[i].value) <= 1e-12 * fabs(right[i].value));
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        double value = 7;
        assert_int_not_equal(scenario_read_number(wrong[i], &value, NULL), CRIA_OK);
        assert_true(value == 7);
    }
}

/* Every mistake is refused, and the message names what was meant. */
static void test_refusals(void **state) {
    (void)state;
    struct scenario s;
    struct cria_error err;
    scenario_init(&s, SCENARIO_SERVE, "test");
    assert_int_equal(scenario_set(&s, "usres", "5", &err), CRIA_NOTFOUND);
    assert_non_null(strstr(err.text, "\"users\""));
    assert_int_equal(scenario_set(&s, "users", "-4", &err), CRIA_RANGE);
    assert_int_equal(scenario_set(&s, "users", "2.5", &err), CRIA_RANGE);
    assert_int_equal(scenario_set(&s, "tokens", "5", &err), CRIA_USAGE);
    assert_int_equal(scenario_set_pair(&s, "users", &err), CRIA_USAGE);
    assert_int_equal(scenario_set(&s, "cache_hits", "0.5", &err), CRIA_OK);
    s = MAKE(SCENARIO_SERVE, "gpu=h1000x");
    assert_int_equal(scenario_evaluate(&s, hw, true, &answer, &err), CRIA_NOTFOUND);
    s = MAKE(SCENARIO_SERVE, "precision=fp7");
    assert_int_equal(scenario_evaluate(&s, hw, true, &answer, &err), CRIA_UNSUPPORTED);
    s = MAKE(SCENARIO_SERVE, "model=llama3-405b", "engine-chips=2");
    assert_int_equal(scenario_evaluate(&s, hw, true, &answer, &err), CRIA_LIMIT);
    s = MAKE(SCENARIO_SERVE, "model=llama3-405b", "between-tokens=0.0001");
    assert_int_equal(scenario_evaluate(&s, hw, true, &answer, &err), CRIA_LIMIT);
    s = MAKE(SCENARIO_SITE, "gpus=0");
    assert_int_equal(scenario_evaluate(&s, hw, true, &answer, &err), CRIA_USAGE);
    s = MAKE(SCENARIO_SITE, "power-cap=10");
    assert_int_equal(scenario_evaluate(&s, hw, true, &answer, &err), CRIA_RANGE);
    s = MAKE(SCENARIO_TRAIN, "gpus=0");
    assert_int_equal(scenario_evaluate(&s, hw, true, &answer, &err), CRIA_USAGE);
}

/* YAML: one scenario, several, and errors with their line. */
static void test_yaml(void **state) {
    (void)state;
    static const char one[] = "kind: serve\nname: ours\nmodel: llama3-8b\nusers: 20k\ncache_hits: 30%\n";
    static const char two[] =
        "scenarios:\n  - kind: site\n    gpus: 8\n  - kind: train\n    gpus: 64\n    tokens: 1B\n";
    static const char wrong[] = "kind: site\ngpus: 8\nuters: 3\n";
    static const char kindless[] = "gpus: 8\n";
    struct scenario rows[4];
    struct cria_error err;
    int n = 0;
    assert_int_equal(scenario_read_yaml("a.yaml", one, sizeof one - 1, 4, rows, &n, &err), CRIA_OK);
    assert_int_equal(n, 1);
    assert_string_equal(rows[0].name, "ours");
    assert_true(rows[0].values[SCENARIO_USERS] == 20000 && rows[0].values[SCENARIO_CACHE_HITS] == 0.3);
    assert_int_equal(scenario_read_yaml("b.yaml", two, sizeof two - 1, 4, rows, &n, &err), CRIA_OK);
    assert_int_equal(n, 2);
    assert_true(rows[0].kind == SCENARIO_SITE && rows[1].values[SCENARIO_TOKENS] == 1e9);
    assert_int_equal(scenario_read_yaml("b.yaml", two, sizeof two - 1, 1, rows, &n, &err), CRIA_LIMIT);
    assert_int_equal(scenario_read_yaml("c.yaml", wrong, sizeof wrong - 1, 4, rows, &n, &err), CRIA_NOTFOUND);
    assert_non_null(strstr(err.text, "c.yaml, line 3"));
    assert_int_equal(scenario_read_yaml("d.yaml", kindless, sizeof kindless - 1, 4, rows, &n, &err), CRIA_FORMAT);
}

/* 100,000 H100 take 150 MW of IT load and 1.59 TWh a year (SemiAnalysis); El Capitan's 29.7 MW feed some 17,000. */
static void test_power_facts(void **state) {
    (void)state;
    struct scenario s = MAKE(SCENARIO_SITE, "gpus=100000", "gpu=h100", "load=1", "pue=1.21");
    ask(&s);
    assert_true(fabs(figure("it-watts") / 150e6 - 1) < 0.05);
    assert_true(fabs(figure("energy-per-year") / 1.59e12 - 1) < 0.05);
    s = MAKE(SCENARIO_SITE, "power-cap=29.7MW", "gpu=h100");
    ask(&s);
    assert_true(figure("meter-watts") <= 29.7e6 && figure("meter-watts") > 29.6e6);
    assert_true(figure("chips") > 15000 && figure("chips") < 20000);
}

/* More of what helps never makes it worse. Fails on a sign or a swapped argument. */
static void test_directions(void **state) {
    (void)state;
    const struct {
        const char *less, *more, *key;
        int sign; /* of the change of the figure */
    } rows[] = {{"users=1M", "users=2M", "chips", 1},
                {"answer-tokens=200", "answer-tokens=400", "chips", 1},
                {"cache-hits=0.2", "cache-hits=0.8", "chips", -1},
                {"precision=bf16", "precision=fp8", "chips", -1},
                {"chip-bandwidth=1", "chip-bandwidth=2", "cost-per-million-tokens", -1},
                {"between-tokens=0.03", "between-tokens=0.2", "cost-per-million-tokens", -1},
                {"kwh-price=0.05", "kwh-price=0.2", "cost-per-year", 1},
                {"pue=1.1", "pue=1.5", "energy-per-answer", 1},
                {"chip-years=3", "chip-years=6", "cost-per-year", -1},
                {"peak=1.2", "peak=3", "chips", 1},
                {"subscription=5", "subscription=20", "margin", 1},
                {"model=llama3-8b", "model=llama3-70b", "energy-per-answer", 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct scenario s = MAKE(SCENARIO_SERVE, "users=50M", rows[i].less);
        ask(&s);
        const double less = figure(rows[i].key);
        s = MAKE(SCENARIO_SERVE, "users=50M", rows[i].more);
        ask(&s);
        if ((figure(rows[i].key) - less) * rows[i].sign <= 0)
            fail_msg("%s -> %s: %s", rows[i].less, rows[i].more, rows[i].key);
    }
}

/* The hours of the day: their mean is the mean, their maximum the peak; energy is the sum of the hours. */
static void test_day(void **state) {
    (void)state;
    struct scenario s = MAKE(SCENARIO_SERVE, "users=100M", "peak=2.5");
    double sum = 0, most = 0, watts = 0;
    ask(&s);
    for (int h = 0; h < 24; h++) {
        sum += answer.load_by_hour[h];
        most = fmax(most, answer.load_by_hour[h]);
        watts += answer.watts_by_hour[h] / 24;
    }
    assert_true(fabs(sum / 24 / (figure("requests-per-s") * 350) - 1) < 1e-6);
    assert_true(fabs(most / (sum / 24) - 2.5) < 1e-3);
    assert_true(fabs(watts / figure("mean-watts") - 1) < 1e-9);
    assert_true(figure("mean-watts") < figure("meter-watts"));
    assert_true(figure("busy-load") <= 1 / 1.25 + 1e-9);
}

/* Levers: the tokens of a run move its days by exactly as much; nothing that is a choice is listed. */
static void test_levers(void **state) {
    (void)state;
    struct scenario_lever rows[SCENARIO_PARAM_COUNT];
    int n = 0;
    struct scenario s = MAKE(SCENARIO_TRAIN, "model=llama3-8b", "gpus=512", "tokens=1T", "batch-tokens=4194304");
    bool has_tokens = false;
    ask(&s);
    assert_int_equal(scenario_sensitivity(&answer, hw, "run-days", rows, &n, NULL), CRIA_OK);
    assert_true(n >= 3);
    for (int i = 0; i < n; i++) {
        assert_true(rows[i].param != SCENARIO_SEED && rows[i].param != SCENARIO_TP);
        if (rows[i].param != SCENARIO_TOKENS) continue;
        has_tokens = true;
        assert_true(fabs(rows[i].at_more - 0.1) < 1e-3 && fabs(rows[i].at_less + 0.1) < 1e-3);
    }
    assert_true(has_tokens);
    assert_int_equal(scenario_sensitivity(&answer, hw, "nothing", rows, &n, NULL), CRIA_NOTFOUND);
}

/* Every built-in set can be answered and written in each form. */
static void test_sets(void **state) {
    (void)state;
    for (int i = 0; scenario_set_name(i); i++) {
        struct scenario rows[8];
        struct buffer text = buffer_make(1 << 20);
        int n = 0;
        assert_int_equal(scenario_set_open(scenario_set_name(i), 8, rows, &n, NULL), CRIA_OK);
        assert_true(n >= 2 && scenario_set_title(i) != NULL);
        for (int k = 0; k < n; k++) {
            ask(&rows[k]);
            const struct scenario_told told = {.answer = &answer};
            assert_int_equal(scenario_text_write(&text, &told, NULL), CRIA_OK);
            scenario_text_json(&text, &told, 1);
        }
        assert_null(strstr(buffer_text(&text), "nan"));
        assert_null(strstr(buffer_text(&text), "inf "));
        buffer_free(&text);
    }
}

/* Each parameter has a unit and says why its default is what it is; keys are unlike each other. */
static void test_table(void **state) {
    (void)state;
    for (int p = 0; p < SCENARIO_PARAM_COUNT; p++) {
        const struct scenario_param_row *row = scenario_param_row((enum scenario_param)p);
        assert_true(row->key && row->unit && *row->unit && row->what && row->kinds);
        assert_true(row->is_derived ? row->fallback == 0 : row->source != NULL);
        assert_true(row->fallback >= row->min && row->fallback <= row->max);
        for (int q = 0; q < p; q++) assert_string_not_equal(row->key, scenario_param_row((enum scenario_param)q)->key);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),     cmocka_unit_test(test_refusals),   cmocka_unit_test(test_yaml),
        cmocka_unit_test(test_power_facts), cmocka_unit_test(test_directions), cmocka_unit_test(test_day),
        cmocka_unit_test(test_levers),      cmocka_unit_test(test_sets),       cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests(tests, open_tables, close_tables);
}
