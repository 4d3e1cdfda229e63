/* scenario_serve.c: a service: users in, engines, chips, power by the hour, energy and cost of an answer out
 * (scenario.h).
 *
 * The day: requests come as exp(k cos(hour - 20 h)), the one-parameter curve whose busiest hour stands as far over the
 * mean as `peak` says. An engine takes the largest batch that holds the latency; the fleet is as large as the busiest
 * hour and the headroom need. Over the day a chip draws its engine's power while it answers and the node's idle power
 * otherwise. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plan/scenario_parts.h"

enum { BUSIEST_HOUR = 20, MAX_ROUTERS_SPARE = 1 };

static double hour_weight(double k, int hour) {
    return exp(k * (cos((hour - BUSIEST_HOUR) * 3.141592653589793 / 12) - 1));
}

/* Twenty-four factors with mean 1 and the given maximum, by bisection on k. */
static void fill_day(double peak, double day[24]) {
    double low = 0, high = 500, sum = 24;
    for (int i = 0; i < 100; i++) {
        const double k = (low + high) / 2;
        sum = 0;
        for (int h = 0; h < 24; h++) sum += hour_weight(k, h);
        if (24 / sum < peak) low = k;
        else high = k;
    }
    for (int h = 0; h < 24; h++) day[h] = hour_weight(low, h) * 24 / sum;
}

struct demand {
    double requests_per_s, busy_requests_per_s; /* mean and busiest hour */
    double output_tokens_per_s, busy_tokens_per_s;
    double day[24];
};

static struct demand demand_of(const double *v) {
    struct demand d = {0};
    d.requests_per_s = v[SCENARIO_USERS] * v[SCENARIO_DAILY_PART] * v[SCENARIO_MESSAGES] / 86400;
    d.busy_requests_per_s = d.requests_per_s * v[SCENARIO_PEAK];
    d.output_tokens_per_s = d.requests_per_s * v[SCENARIO_ANSWER_TOKENS];
    d.busy_tokens_per_s = d.busy_requests_per_s * v[SCENARIO_ANSWER_TOKENS];
    fill_day(v[SCENARIO_PEAK], d.day);
    return d;
}

/* The engine that is asked for, before it is split over chips. */
static cria_status make_engine(struct scenario_answer *a, struct serving_engine *ret, struct cria_error *err) {
    struct scenario *s = &a->question;
    const double *v = s->values;
    const double history = v[SCENARIO_HISTORY_TOKENS], hits = v[SCENARIO_CACHE_HITS];
    struct serving_engine e = {.chip = &a->chip,
                               .tp = 1,
                               .pp = 1,
                               .dp = 1,
                               .stack = strcmp(s->software, "tuned") == 0 ? SERVING_STACK_TUNED : SERVING_STACK_ENGINE,
                               .prompt_tokens = v[SCENARIO_PROMPT_TOKENS] + history * (1 - hits),
                               .cached_tokens = history * hits,
                               .answer_tokens = v[SCENARIO_ANSWER_TOKENS],
                               .memory_part = 0.9,
                               .chunk_tokens = 8192};
    cria_status status;
    if (s->software[0] && strcmp(s->software, "tuned") != 0 && strcmp(s->software, "engine") != 0)
        return ERROR_SET(err, CRIA_USAGE,
                         "software of a service is engine (vLLM, SGLang) or tuned (TensorRT-LLM), not \"%s\"",
                         s->software);
    TRY(plan_model_open(s->model, &e.model, err));
    TRY(serving_format_find(s->precision, &e.format, err));
    if (v[SCENARIO_KV_BYTES] > 0) e.format.kv_bytes = v[SCENARIO_KV_BYTES];
    *ret = e;
out:
    return status;
}

static struct serving_target target_of(const double *v) {
    return (struct serving_target){.first_token_s = v[SCENARIO_FIRST_TOKEN],
                                   .between_tokens_s = v[SCENARIO_BETWEEN_TOKENS]};
}

static cria_status choose_engine(struct scenario_answer *a, struct cria_error *err) {
    const double *v = a->question.values;
    const struct serving_target target = target_of(v);
    struct serving_engine like;
    cria_status status;
    TRY(make_engine(a, &like, err));
    TRY(serving_search(&like, (int64_t)v[SCENARIO_ENGINE_CHIPS], &target, SCENARIO_MAX_BEST, a->choices, &a->n_choices,
                       err));
    a->has_serving = true;
out:
    return status;
}

static int compare_formats(const void *a, const void *b) {
    const double x = ((const struct scenario_format *)a)->chips, y = ((const struct scenario_format *)b)->chips;
    return (x > y) - (x < y);
}

/* Usual formats of weights, each with the cache in 16 and in 8 bits. */
static void fill_formats(struct scenario_answer *a, double tokens_per_s) {
    static const char *const names[] = {"bf16", "fp8", "int8", "nvfp4", "int4"};
    const double *v = a->question.values;
    const struct serving_target target = target_of(v);
    struct serving_engine like;
    if (make_engine(a, &like, NULL) != CRIA_OK) return;
    for (size_t i = 0; i < 2 * sizeof names / sizeof *names && a->n_formats < SCENARIO_MAX_FORMATS; i++) {
        struct serving_choice best;
        int n = 0;
        if (serving_format_find(names[i / 2], &like.format, NULL) != CRIA_OK) continue;
        if (like.format.compute != PLAN_BF16 && a->chip.peak_flop_per_s[like.format.compute] <= 0) continue;
        like.format.kv_bytes = i % 2 ? 1 : 2;
        if (serving_search(&like, (int64_t)v[SCENARIO_ENGINE_CHIPS], &target, 1, &best, &n, NULL) != CRIA_OK) continue;
        const double each = (double)(best.engine.tp * best.engine.pp * best.engine.dp);
        const double engines = ceil(tokens_per_s / best.point.output_tokens_per_s.mid);
        a->formats[a->n_formats++] =
            (struct scenario_format){.format = like.format,
                                     .engine_chips = (int64_t)each,
                                     .batch = best.point.batch,
                                     .tokens_per_s_per_chip = best.output_tokens_per_s_per_chip,
                                     .chips = engines * each};
    }
    qsort(a->formats, (size_t)a->n_formats, sizeof *a->formats, compare_formats);
}

/* IT watts of one chip with host and network: while its engine answers, and idle. */
static void chip_watts(const struct scenario_answer *a, const struct scenario_place *at, double *ret_busy,
                       double *ret_idle) {
    const double full = scenario_peak_watts(a, at), extra = 1 + a->question.values[SCENARIO_EXTRA_POWER];
    const double idle =
        at->node && at->node->idle_watts > 0 ? at->node->idle_watts / (double)at->node->n_chips : full / extra / 4;
    *ret_busy = full - (a->chip.tdp_watts - a->choices[0].point.chip_watts) * extra;
    *ret_idle = fmin(idle * extra, *ret_busy);
}

static double fill_hours(struct scenario_answer *a, const struct scenario_place *at, const struct demand *d,
                         double n_chips, double capacity) {
    double busy, idle, sum = 0;
    chip_watts(a, at, &busy, &idle);
    for (int h = 0; h < 24; h++) {
        a->load_by_hour[h] = d->output_tokens_per_s * d->day[h];
        const double part = fmin(1, a->load_by_hour[h] / capacity);
        const double watts = idle + (busy - idle) * part;
        a->watts_by_hour[h] = watts * n_chips * a->question.values[SCENARIO_PUE];
        sum += watts / 24;
    }
    return sum;
}

static void add_engine(struct scenario_answer *a) {
    const struct serving_choice *c = &a->choices[0];
    const struct serving_point *p = &c->point;
    const double spread_low = p->output_tokens_per_s.low / p->output_tokens_per_s.mid;
    scenario_add(a, "engine-chips", "chips of an engine", "chip", UNITS_PLAIN,
                 (double)(c->engine.tp * c->engine.pp * c->engine.dp));
    scenario_add(a, "batch", "sequences at once in an engine", "1", UNITS_PLAIN, p->batch);
    scenario_add_range(a, "engine-tokens-per-s", "output tokens/s of an engine", "token/s", UNITS_PLAIN,
                       p->output_tokens_per_s);
    scenario_add(a, "first-token-s", "to the first token", "s", UNITS_SECONDS, p->first_token_s);
    scenario_add_range(
        a, "between-tokens-s", "between tokens", "s", UNITS_SECONDS,
        (struct plan_range){p->between_tokens_s, p->between_tokens_s * spread_low, p->between_tokens_s / spread_low});
    scenario_add(a, "kv-bytes-per-token", "cache of a token", "B", UNITS_BYTES,
                 plan_model_kv_bytes_per_token(&c->engine.model, c->engine.format.kv_bytes));
    scenario_add(a, "memory-used", "of the chip's memory", "1", UNITS_FRACTION,
                 p->memory.total_bytes / c->engine.chip->memory_bytes);
}

/* A break-even that is needed at all. */
static void add_if(struct scenario_answer *a, const char *key, const char *label, enum units_kind kind, double value) {
    if (value > 0) scenario_add(a, key, label, kind == UNITS_MONEY ? "US$" : "1", kind, value);
}

/* How the service earns, where a price is set. */
static cria_status add_market(struct scenario_answer *a, const struct demand *d, const struct economics_year *y,
                              struct cria_error *err) {
    const double *v = a->question.values;
    const bool has_subscription = v[SCENARIO_SUBSCRIPTION] > 0;
    const struct economics_market m = {.users = v[SCENARIO_USERS],
                                       .output_tokens_per_year = d->output_tokens_per_s * 86400 * 365,
                                       .sold_part = v[SCENARIO_SOLD_PART],
                                       .usd_per_million_tokens = v[SCENARIO_TOKEN_PRICE],
                                       .paying_part = v[SCENARIO_PAYING_PART],
                                       .subscription_usd_per_month = v[SCENARIO_SUBSCRIPTION],
                                       .advertising_usd_per_user_year = v[SCENARIO_ADVERTISING]};
    struct economics_result r;
    const cria_status status = economics_market(&m, y->total_usd, &r, err);
    if (status != CRIA_OK) return status;
    scenario_add(a, "cost-per-million-tokens", "cost of a million answered tokens", "US$", UNITS_MONEY,
                 r.cost_usd_per_million_tokens);
    scenario_mark(a);
    scenario_add(a, "cost-per-user-year", "cost of a user and year", "US$", UNITS_MONEY, r.cost_usd_per_user_year);
    if (r.revenue_usd > 0) {
        scenario_add(a, "revenue-per-year", "revenue a year", "US$", UNITS_MONEY, r.revenue_usd);
        scenario_add(a, "profit-per-year", "profit a year", "US$", UNITS_MONEY, r.profit_usd);
        scenario_add(a, "margin", "margin", "1", UNITS_FRACTION, r.margin);
        scenario_mark(a);
    }
    add_if(a, "break-even-token-price", "break-even price of a million tokens", UNITS_MONEY,
           r.break_even_usd_per_million_tokens);
    add_if(a, "break-even-subscription",
           has_subscription ? "break-even subscription a month" : "subscription a month that paying users alone need",
           UNITS_MONEY, r.break_even_subscription_usd);
    if (has_subscription && r.break_even_paying_part <= 1)
        add_if(a, "break-even-paying-part", "paying users to break even", UNITS_FRACTION, r.break_even_paying_part);
    add_if(a, "break-even-advertising", "advertising a user and year to break even", UNITS_MONEY,
           r.break_even_advertising_usd);
    return CRIA_OK;
}

/* Latency and throughput over the batch, for a picture. */
static void fill_latency(struct scenario_answer *a) {
    struct scenario_curve *c = &a->latency;
    const struct serving_choice *best = &a->choices[0];
    for (double batch = 1; c->n < SCENARIO_MAX_CURVE && batch <= fmin(4096, best->point.max_batch); batch *= 2) {
        struct serving_point p;
        if (serving_at(&best->engine, batch, &p, NULL) != CRIA_OK) break;
        c->x[c->n] = batch;
        c->y[c->n] = p.between_tokens_s;
        c->z[c->n] = p.output_tokens_per_s.mid;
        c->n++;
    }
}

static void add_fleet(struct scenario_answer *a, const struct demand *d, double n_engines, double n_chips) {
    const double *v = a->question.values;
    const double capacity = n_engines * a->choices[0].point.output_tokens_per_s.mid;
    scenario_add(a, "chips", "chips", "chip", UNITS_PLAIN, n_chips);
    scenario_mark(a);
    scenario_add(a, "engines", "engines", "1", UNITS_PLAIN, n_engines);
    const double routers = ceil(d->busy_requests_per_s * (1 + v[SCENARIO_HEADROOM]) / v[SCENARIO_ROUTER_RATE]);
    scenario_add(a, "routers", "routers", "1", UNITS_PLAIN, routers + MAX_ROUTERS_SPARE);
    scenario_add(a, "requests-per-s", "requests/s, mean", "1/s", UNITS_PLAIN, d->requests_per_s);
    scenario_add(a, "busy-requests-per-s", "requests/s, busiest hour", "1/s", UNITS_PLAIN, d->busy_requests_per_s);
    scenario_add(a, "busy-load", "load in the busiest hour", "1", UNITS_FRACTION, d->busy_tokens_per_s / capacity);
    const double users = v[SCENARIO_USERS] * capacity / (d->busy_tokens_per_s * (1 + v[SCENARIO_HEADROOM]));
    scenario_add(a, "users-served", "users that these chips serve", "user", UNITS_PLAIN, users);
}

cria_status scenario_serve(struct scenario_answer *a, const struct scenario_place *at, bool is_quick,
                           struct cria_error *err) {
    double *v = a->question.values;
    const struct demand d = demand_of(v);
    struct economics_year y;
    cria_status status;
    TRY(choose_engine(a, err));
    const struct serving_choice *best = &a->choices[0];
    const double each = (double)(best->engine.tp * best->engine.pp * best->engine.dp);
    const double rate = best->point.output_tokens_per_s.mid;
    const double needed = ceil(d.busy_tokens_per_s * (1 + v[SCENARIO_HEADROOM]) / rate);
    const double n_engines = v[SCENARIO_GPUS] > 0 ? floor(v[SCENARIO_GPUS] / each) : needed;
    if (n_engines < 1)
        TRY(ERROR_SET(err, CRIA_RANGE, "%.0f chips are less than one engine of %.0f", v[SCENARIO_GPUS], each));
    const double n_chips = n_engines * each;
    add_fleet(a, &d, n_engines, n_chips);
    const double mean_watts = fill_hours(a, at, &d, n_chips, n_engines * rate);
    const double used = fmin(1, d.output_tokens_per_s / (n_engines * rate));
    TRY(scenario_money(a, at, n_chips, mean_watts, fmax(used, 1e-6), &y, err));
    scenario_add(a, "mean-watts", "mean power at the meter", "W", UNITS_SI, mean_watts * n_chips * v[SCENARIO_PUE]);
    scenario_add(a, "energy-per-answer", "energy of an answer, at the meter", "Wh", UNITS_SI,
                 mean_watts * n_chips * v[SCENARIO_PUE] / d.requests_per_s / 3600);
    scenario_mark(a);
    scenario_add(a, "energy-per-million-tokens", "energy of a million answered tokens", "Wh", UNITS_SI,
                 mean_watts * n_chips * v[SCENARIO_PUE] / d.output_tokens_per_s / 3600 * 1e6);
    scenario_add(a, "carbon-per-answer", "CO2 of an answer", "g", UNITS_SI,
                 mean_watts * n_chips * v[SCENARIO_PUE] / d.requests_per_s / 3.6e6 * v[SCENARIO_CARBON]);
    add_engine(a);
    scenario_add(a, "capital", "capital", "US$", UNITS_MONEY, y.capital_usd);
    scenario_add(a, "cost-per-year", "cost a year", "US$", UNITS_MONEY, y.total_usd);
    scenario_mark(a);
    scenario_add(a, "cost-per-answer", "cost of an answer", "US$", UNITS_MONEY,
                 y.total_usd / (d.requests_per_s * 86400 * 365));
    TRY(add_market(a, &d, &y, err));
    scenario_costs(a, &y, 1, "a year");
    if (!is_quick) {
        fill_latency(a);
        fill_formats(a, d.busy_tokens_per_s * (1 + v[SCENARIO_HEADROOM]));
    }
    scenario_note(a,
                  "between the hours a chip draws its engine's power while it answers and the node's idle power "
                  "otherwise; nothing is switched off at night");
out:
    return status;
}
