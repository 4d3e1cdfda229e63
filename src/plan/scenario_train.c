/* scenario_train.c: a training run: chips and tokens in, layout, days, failures, energy and money out (scenario.h). */
#include <math.h>
#include <string.h>

#include "plan/plan_stack.h"
#include "plan/scenario_parts.h"

static enum plan_precision precision_of(const char *name) {
    for (int p = PLAN_PRECISION_NONE + 1; p < PLAN_PRECISION_COUNT; p++)
        if (strcmp(name, hardware_precision_name((enum plan_precision)p)) == 0) return (enum plan_precision)p;
    return PLAN_PRECISION_NONE;
}

static cria_status fill_train(struct scenario_answer *a, const struct scenario_place *at, struct cria_error *err) {
    const struct scenario *s = &a->question;
    const double *v = s->values;
    struct plan_train *t = &a->train;
    *t = (struct plan_train){.chip = &a->chip,
                             .network = at->network,
                             .node = at->node,
                             .n_chips = (int64_t)v[SCENARIO_GPUS],
                             .precision = precision_of(s->precision),
                             .seq_len = v[SCENARIO_SEQUENCE],
                             .batch_tokens = v[SCENARIO_BATCH_TOKENS],
                             .stack = s->software[0] ? plan_stack_find(s->software) : PLAN_STACK_PRODUCTION,
                             .year = v[SCENARIO_YEAR],
                             .is_balanced = true};
    if (t->precision == PLAN_PRECISION_NONE)
        return ERROR_SET(err, CRIA_USAGE, "precision of a training run is bf16, fp8, fp4, tf32 or fp32, not \"%s\"",
                         s->precision);
    if (t->n_chips < 1) return ERROR_SET(err, CRIA_USAGE, "a training run needs gpus, such as gpus=1024");
    return plan_model_open(s->model, &t->model, err);
}

/* As many data-parallel ranks of this layout as the chips allow. */
static cria_status predict_layout(struct scenario_answer *a, struct plan_layout layout, struct plan_candidate *ret,
                                  struct cria_error *err) {
    struct plan_train t = a->train;
    const int64_t inner = layout.tp * layout.pp * layout.cp;
    const double dp = a->question.values[SCENARIO_DP];
    t.layout = layout;
    t.layout.dp = dp > 0 ? (int64_t)dp : t.n_chips / inner > 0 ? t.n_chips / inner : 1;
    t.n_chips = t.layout.dp * inner;
    ret->layout = t.layout;
    return plan_train_predict(&t, PLAN_COUNT_CAUSAL, &ret->result, err);
}

/* The layout that the parameters state: of the ways to save memory the fastest that fits, else the smallest. */
static cria_status complete_layout(struct scenario_answer *a, struct cria_error *err) {
    const double *v = a->question.values;
    struct plan_candidate best = {0};
    for (int recompute = PLAN_RECOMPUTE_NONE; recompute <= PLAN_RECOMPUTE_FULL; recompute++)
        for (int zero = 1; zero <= 3; zero += 2) {
            const struct plan_layout layout = {.tp = (int64_t)v[SCENARIO_TP],
                                               .pp = (int64_t)fmax(v[SCENARIO_PP], 1),
                                               .cp = (int64_t)fmax(v[SCENARIO_CP], 1),
                                               .ep = (int64_t)fmax(v[SCENARIO_EP], 1),
                                               .micro_batch = (int64_t)fmax(v[SCENARIO_MICRO_BATCH], 1),
                                               .recompute = (enum plan_recompute)recompute,
                                               .zero = zero};
            struct plan_candidate c;
            const cria_status status = predict_layout(a, layout, &c, err);
            if (status != CRIA_OK) return status;
            const bool is_faster = c.result.step_s.mid < best.result.step_s.mid;
            const bool is_smaller = c.result.memory_bytes.mid < best.result.memory_bytes.mid;
            const bool is_better = c.result.fits != best.result.fits ? c.result.fits
                                   : c.result.fits                   ? is_faster
                                                                     : is_smaller;
            if (best.layout.tp == 0 || is_better) best = c;
        }
    a->best[0] = best;
    a->n_best = 1;
    return CRIA_OK;
}

/* The layout of the question, that of its parameters, or the best found. */
static cria_status choose_layout(struct scenario_answer *a, struct cria_error *err) {
    double *v = a->question.values;
    struct plan_train *t = &a->train;
    cria_status status = CRIA_OK;
    if (a->question.layout.tp > 0) {
        a->n_best = 1;
        TRY(predict_layout(a, a->question.layout, &a->best[0], err));
    } else if (v[SCENARIO_TP] > 0) {
        TRY(complete_layout(a, err));
    } else {
        TRY(plan_search(t, SCENARIO_MAX_BEST, a->best, &a->n_best, err));
    }
    t->layout = a->best[0].layout;
    t->n_chips = t->layout.dp * t->layout.tp * t->layout.pp * t->layout.cp;
    if (!a->best[0].result.fits)
        TRY(ERROR_SET(err, CRIA_LIMIT, "this layout needs %.1f GB a chip; %s has %.1f",
                      a->best[0].result.memory_bytes.mid * 1e-9, a->chip.name, a->chip.memory_bytes * 1e-9));
    v[SCENARIO_DP] = (double)t->layout.dp;
    v[SCENARIO_TP] = (double)t->layout.tp;
    v[SCENARIO_PP] = (double)t->layout.pp;
    v[SCENARIO_CP] = (double)t->layout.cp;
    v[SCENARIO_EP] = (double)t->layout.ep;
    v[SCENARIO_MICRO_BATCH] = (double)t->layout.micro_batch;
    a->question.layout = t->layout;
out:
    return status;
}

static cria_status live_through(struct scenario_answer *a, double days, bool is_quick, struct cria_error *err) {
    const double *v = a->question.values;
    struct plan_params params;
    plan_model_params(&a->train.model, &params);
    a->job = failures_usual_job((double)a->train.n_chips, params.total);
    a->job.rate_scale = v[SCENARIO_FAILURE_SCALE];
    a->job.detect_s = v[SCENARIO_DETECT];
    a->job.replace_s = v[SCENARIO_REPLACE];
    a->job.pause_s = v[SCENARIO_CHECKPOINT_PAUSE];
    a->job.interval_s = v[SCENARIO_CHECKPOINT_INTERVAL];
    if (is_quick) return failures_expect(&a->job, &a->failures.at, err);
    return failures_simulate(&a->job, fmin(fmax(days, 1), 3650), (int)v[SCENARIO_TRIALS], (uint64_t)v[SCENARIO_SEED],
                             &a->failures, err);
}

static void add_speed(struct scenario_answer *a, const struct plan_train_result *r, double flop) {
    scenario_add(a, "model-flop", "operations of the run (6 N D)", "FLOP", UNITS_PLAIN, flop);
    scenario_add_range(a, "step-s", "a step", "s", UNITS_SECONDS, r->step_s);
    scenario_add_range(a, "tokens-per-s-per-chip", "tokens/s a chip", "token/s", UNITS_PLAIN, r->tokens_per_s_per_chip);
    scenario_add(a, "mfu", "of the chips' peak (causal attention)", "1", UNITS_FRACTION, r->mfu);
    scenario_mark(a);
    scenario_add(a, "flop-per-s-per-chip", "model operations a chip", "FLOP/s", UNITS_SI, r->flop_per_s_per_chip);
    scenario_add_range(a, "memory-per-chip", "memory of the fullest chip", "B", UNITS_BYTES, r->memory_bytes);
}

static void add_failures(struct scenario_answer *a, double days, bool is_quick) {
    const struct failures_estimate *e = &a->failures.at;
    struct plan_range goodput = {.mid = e->goodput}, interruptions = {.mid = e->per_day * days};
    if (!is_quick) {
        goodput.low = a->failures.goodput.p10;
        goodput.high = a->failures.goodput.p90;
        interruptions.low = a->failures.interruptions.p10;
        interruptions.high = a->failures.interruptions.p90;
    }
    scenario_add_range(a, "goodput", "time that moves the run forward", "1", UNITS_FRACTION, goodput);
    scenario_mark(a);
    scenario_add_range(a, "interruptions", "interruptions of the run", "1", UNITS_PLAIN, interruptions);
    scenario_add(a, "interruptions-54-days", "interruptions in 54 days", "1", UNITS_PLAIN, e->per_day * 54);
    scenario_add(a, "mtbf-s", "between failures", "s", UNITS_SECONDS, e->mtbf_s);
    scenario_add(a, "checkpoint-s", "between checkpoints", "s", UNITS_SECONDS, e->interval_s);
    scenario_add(a, "restart-s", "to restart", "s", UNITS_SECONDS, e->restart_s);
}

/* The same layout on fewer and more chips, the batch as it is: where strong scaling ends. */
static void fill_scaling(struct scenario_answer *a) {
    struct scenario_curve *c = &a->scaling;
    const struct plan_layout *l = &a->train.layout;
    const double inner = (double)(l->tp * l->pp * l->cp);
    double each = 0;
    for (int64_t dp = 1; c->n < SCENARIO_MAX_CURVE; dp *= 2) {
        struct plan_train t = a->train;
        struct plan_train_result r;
        if (dp > 4 * l->dp || (double)dp * t.seq_len * (double)l->micro_batch > t.batch_tokens) break;
        if (dp < l->dp / 16) continue;
        t.layout.dp = dp;
        t.n_chips = (int64_t)((double)dp * inner);
        if (plan_train_predict(&t, PLAN_COUNT_CAUSAL, &r, NULL) != CRIA_OK) continue;
        const double rate = t.batch_tokens / r.step_s.mid;
        if (each == 0) each = rate / (double)t.n_chips;
        c->x[c->n] = (double)t.n_chips;
        c->y[c->n] = rate;
        c->z[c->n] = each * (double)t.n_chips;
        c->n++;
    }
}

cria_status scenario_train(struct scenario_answer *a, const struct scenario_place *at, bool is_quick,
                           struct cria_error *err) {
    const double *v = a->question.values;
    struct economics_year y;
    cria_status status;
    TRY(fill_train(a, at, err));
    TRY(choose_layout(a, err));
    const struct plan_train_result *r = &a->best[0].result;
    const double n = (double)a->train.n_chips, n_steps = ceil(v[SCENARIO_TOKENS] / v[SCENARIO_BATCH_TOKENS]);
    const double plain_days = n_steps * r->step_s.mid / 86400;
    const double flop = plan_model_train_flop_per_token(&a->train.model, v[SCENARIO_SEQUENCE], PLAN_COUNT_NONE);
    TRY(live_through(a, plain_days, is_quick, err));
    const double goodput = fmax(a->failures.at.goodput, 1e-6), days = plain_days / goodput;
    const double low = r->step_s.low / r->step_s.mid, high = r->step_s.high / r->step_s.mid;
    const double chip_hours = n * days * 24, all_hours = chip_hours * (1 + v[SCENARIO_OTHER_WORK]);
    const double mean_watts = scenario_peak_watts(a, at) * v[SCENARIO_LOAD];
    scenario_add(a, "chips", "chips", "chip", UNITS_PLAIN, n);
    scenario_add_range(a, "run-days", "days of the run, failures included", "day", UNITS_SECONDS,
                       (struct plan_range){days, days * low, days * high});
    scenario_mark(a);
    scenario_add(a, "run-days-undisturbed", "days without failures", "day", UNITS_SECONDS, plain_days);
    scenario_add_range(a, "chip-hours", "chip-hours of the run", "h", UNITS_PLAIN,
                       (struct plan_range){chip_hours, chip_hours * low, chip_hours * high});
    scenario_add_range(a, "all-chip-hours", "chip-hours with the work beside it", "h", UNITS_PLAIN,
                       (struct plan_range){all_hours, all_hours * low, all_hours * high});
    scenario_mark(a);
    add_speed(a, r, flop * v[SCENARIO_TOKENS]);
    add_failures(a, days, is_quick);
    TRY(scenario_money(a, at, n, mean_watts, v[SCENARIO_UTILISATION], &y, err));
    const double kwh = all_hours * mean_watts * v[SCENARIO_PUE] / 1000;
    scenario_add(a, "energy", "energy of the run and the work beside it, at the meter", "Wh", UNITS_SI, kwh * 1000);
    scenario_mark(a);
    scenario_add(a, "carbon", "CO2", "t", UNITS_PLAIN, kwh * v[SCENARIO_CARBON] * 1e-6);
    scenario_add(a, "cost", "cost of the run and the work beside it", "US$", UNITS_MONEY,
                 all_hours * y.usd_per_chip_hour);
    scenario_mark(a);
    scenario_add(a, "cost-per-chip-hour", "cost of a used chip-hour", "US$", UNITS_MONEY, y.usd_per_chip_hour);
    scenario_add(a, "capital", "capital, if the chips are bought", "US$", UNITS_MONEY, y.capital_usd);
    scenario_costs(a, &y, y.total_usd > 0 ? all_hours * y.usd_per_chip_hour / y.total_usd : 0, "the run");
    a->has_train = true;
    if (!is_quick) fill_scaling(a);
    scenario_note(a, "failures: %s", failures_source());
    scenario_note(a, "software: %s of %.1f%s", plan_stack_row(a->train.stack)->name, v[SCENARIO_YEAR],
                  a->train.model.n_experts ? "; tokens spread evenly over the experts" : "");
out:
    return status;
}
