/* plan_step.c: a training step put together: computing and traffic of every chunk, the pipeline simulated, what comes
 * once a step, and the range (see planner.h). */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "plan/plan_constants.h"
#include "plan/plan_cost.h"
#include "plan/plan_memory.h"
#include "plan/plan_pipeline.h"
#include "plan/plan_stack.h"
#include "plan/plan_traffic.h"

#define CHIPS_PER_SERVER 8.0
#define MAX_CHUNKS 4096
/* Micro-batches over stages after which a pipeline's pace is steady. */
#define ENOUGH_GROUPS 3
/* Where every operation is a kernel, what comes once a step takes about as many more of them as the layers do. */
#define EAGER_FIXED 3.5
/* Part of a chip's memory that the framework's allocator can hand out: contexts and collectives take some 2 GB of 80,
 * and pieces of memory between allocations stay unused. */
#define USABLE_MEMORY 0.95

/* ---- is it possible? ---- */

static cria_status check_at_least_one(const char *what, int64_t n, struct cria_error *err) {
    if (n >= 1) return CRIA_OK;
    return ERROR_SET(err, CRIA_RANGE, "%s is %lld; expected at least 1", what, (long long)n);
}

static cria_status check_divides(const char *what, int64_t n, const char *of, int64_t whole, struct cria_error *err) {
    if (whole % n == 0) return CRIA_OK;
    return ERROR_SET(err, CRIA_SHAPE, "%lld %s for %lld %s: expected a divisor", (long long)n, what, (long long)whole,
                     of);
}

static cria_status check_layout(const struct plan_train *t, struct cria_error *err) {
    const struct plan_layout *y = &t->layout;
    cria_status status = CRIA_OK;
    TRY(check_at_least_one("the number of chips", t->n_chips, err));
    TRY(check_at_least_one("data parallel", y->dp, err));
    TRY(check_at_least_one("tensor parallel", y->tp, err));
    TRY(check_at_least_one("pipeline parallel", y->pp, err));
    TRY(check_at_least_one("context parallel", y->cp, err));
    TRY(check_at_least_one("expert parallel", y->ep, err));
    TRY(check_at_least_one("the micro-batch", y->micro_batch, err));
    int64_t parts = plan_memory_parts(t);
    if (y->pp > t->model.n_layers)
        return ERROR_SET(err, CRIA_SHAPE, "%lld pipeline stages for %lld layers: expected at most one stage a layer",
                         (long long)y->pp, (long long)t->model.n_layers);
    if (y->pp * parts > t->model.n_layers + 2 || y->pp * parts > MAX_CHUNKS)
        return ERROR_SET(err, CRIA_SHAPE, "%lld pipeline stages of %lld parts for %lld layers: a part would be empty",
                         (long long)y->pp, (long long)parts, (long long)t->model.n_layers);
    TRY(check_divides("tensor-parallel ranks", y->tp, "heads", t->model.n_heads, err));
    double ranks = (double)y->dp * (double)y->tp * (double)y->pp * (double)y->cp;
    if (ranks != (double)t->n_chips)
        return ERROR_SET(
            err, CRIA_SHAPE, "dp %lld x tp %lld x pp %lld x cp %lld is %.0f ranks, but there are %lld chips",
            (long long)y->dp, (long long)y->tp, (long long)y->pp, (long long)y->cp, ranks, (long long)t->n_chips);
    if (t->model.n_experts) {
        TRY(check_divides("expert-parallel ranks", y->ep, "experts", t->model.n_experts, err));
        TRY(check_divides("expert-parallel ranks", y->ep, "ranks of a pipeline stage", y->dp * y->tp * y->cp, err));
    }
out:
    return status;
}

static cria_status check(const struct plan_train *t, struct cria_error *err) {
    cria_status status = CRIA_OK;
    TRY(plan_model_check(&t->model, err));
    if (!(t->seq_len >= 1 && t->seq_len <= 1e9))
        return ERROR_SET(err, CRIA_RANGE, "a sequence of %g tokens; expected 1 to 1e9", t->seq_len);
    if (!(t->batch_tokens >= 1 && t->batch_tokens <= 1e12))
        return ERROR_SET(err, CRIA_RANGE, "a batch of %g tokens; expected 1 to 1e12", t->batch_tokens);
    if (!(t->year >= 2010 && t->year <= 2100))
        return ERROR_SET(err, CRIA_RANGE, "the year of the software is %g; expected 2010 to 2100", t->year);
    TRY(check_layout(t, err));
    double rows = t->batch_tokens / t->seq_len, least = (double)(t->layout.dp * t->layout.micro_batch);
    if (rows < 0.999 * least)
        return ERROR_SET(
            err, CRIA_SHAPE,
            "a batch of %g tokens is %.4g sequences of %g, fewer than data parallel %lld x micro-batch %lld",
            t->batch_tokens, rows, t->seq_len, (long long)t->layout.dp, (long long)t->layout.micro_batch);
out:
    return status;
}

/* ---- chunks ---- */

/* Costs of the three kinds of layer, computing and exposed traffic. */
struct kinds {
    struct plan_cost cost[PLAN_LAYER_KIND_COUNT];
    struct plan_traffic traffic[PLAN_LAYER_KIND_COUNT];
    struct plan_seconds total[PLAN_LAYER_KIND_COUNT];
};

static void cost_kinds(const struct plan_train *t, struct kinds *k) {
    for (int i = 0; i < PLAN_LAYER_KIND_COUNT; i++) {
        if (i == PLAN_LAYER_EXPERTS && !t->model.n_experts) {
            k->cost[i] = (struct plan_cost){0};
            k->traffic[i] = (struct plan_traffic){0};
            k->total[i] = (struct plan_seconds){0, 0};
            continue;
        }
        plan_cost_layer(t, (enum plan_layer_kind)i, &k->cost[i]);
        plan_traffic_layer(t, (enum plan_layer_kind)i, &k->cost[i], &k->traffic[i]);
        struct plan_seconds s = plan_cost_total(&k->cost[i]);
        const struct plan_traffic *f = &k->traffic[i];
        s.forward += f->tensor.forward + f->context.forward + f->expert.forward + f->data.forward;
        s.backward += f->tensor.backward + f->context.backward + f->expert.backward + f->data.backward;
        k->total[i] = s;
    }
}

static void count_layers(const struct plan_train *t, int64_t chunk, double n[PLAN_LAYER_KIND_COUNT]) {
    struct plan_chunk c;
    plan_memory_chunk(t, chunk, &c);
    n[PLAN_LAYER_DENSE] = c.n_dense;
    n[PLAN_LAYER_EXPERTS] = c.n_experts;
    n[PLAN_LAYER_HEAD] = c.has_head ? 1 + (double)t->model.n_mtp_layers : 0;
}

static struct plan_seconds chunk_seconds(const struct plan_train *t, const struct kinds *k, int64_t chunk) {
    double n[PLAN_LAYER_KIND_COUNT];
    struct plan_seconds s = {0, 0};
    count_layers(t, chunk, n);
    for (int i = 0; i < PLAN_LAYER_KIND_COUNT; i++) {
        s.forward += n[i] * k->total[i].forward;
        s.backward += n[i] * k->total[i].backward;
    }
    return s;
}

/* Adds what `weight` layers of a kind take, forward and backward, to the parts of the breakdown. */
static void break_down(struct plan_breakdown *b, const struct plan_cost *c, const struct plan_traffic *f,
                       double weight) {
    b->product_s += weight * (c->product.forward + c->product.backward);
    b->attention_s += weight * (c->attention.forward + c->attention.backward);
    b->elementwise_s += weight * (c->elementwise.forward + c->elementwise.backward);
    b->recompute_s += weight * c->recompute;
    b->host_s += weight * c->host;
    b->tensor_s += weight * (f->tensor.forward + f->tensor.backward);
    b->context_s += weight * (f->context.forward + f->context.backward);
    b->expert_s += weight * (f->expert.forward + f->expert.backward);
    b->data_s += weight * (f->data.forward + f->data.backward);
}

/* Seconds of a stage over all its parts for one micro-batch. */
static struct plan_seconds stage_seconds(const struct plan_train *t, const struct kinds *k, int64_t stage) {
    struct plan_seconds s = {0, 0};
    for (int64_t part = 0; part < plan_memory_parts(t); part++) {
        struct plan_seconds c = chunk_seconds(t, k, part * t->layout.pp + stage);
        s.forward += c.forward;
        s.backward += c.backward;
    }
    return s;
}

static int64_t slowest_stage(const struct plan_train *t, const struct kinds *k) {
    int64_t slowest = 0;
    double most = -1;
    for (int64_t stage = 0; stage < t->layout.pp; stage++) {
        struct plan_seconds s = stage_seconds(t, k, stage);
        if (s.forward + s.backward > most) most = s.forward + s.backward, slowest = stage;
    }
    return slowest;
}

/* ---- the pipeline ---- */

/* Times of the chunks of a layout, and a pipeline made of them. */
struct schedule {
    double *seconds; /* owned: forward of all chunks, then backward */
    struct plan_pipeline pipeline;
};

static cria_status schedule_init(struct schedule *s, const struct plan_train *t, const struct kinds *k,
                                 struct cria_error *err) {
    int64_t parts = plan_memory_parts(t), n = t->layout.pp * parts;
    s->seconds = alloc_array((size_t)n * 2, sizeof *s->seconds);
    if (!s->seconds) return ERROR_NOMEM(err, (size_t)n * 2 * sizeof *s->seconds, "the times of a pipeline's chunks");
    for (int64_t c = 0; c < n; c++) {
        struct plan_seconds x = chunk_seconds(t, k, c);
        s->seconds[c] = x.forward;
        s->seconds[n + c] = x.backward;
    }
    s->pipeline = (struct plan_pipeline){
        .n_stages = t->layout.pp,
        .n_parts = parts,
        .schedule = t->layout.schedule,
        .forward_s = s->seconds,
        .backward_s = s->seconds + n,
        .hop_s = plan_traffic_hop(t),
    };
    return CRIA_OK;
}

/* Interleaving goes in groups of as many micro-batches as there are stages; a last group that is smaller is filled up.
 */
static int64_t whole_groups(const struct plan_train *t) {
    int64_t m = plan_memory_micro_batches(t), pp = t->layout.pp;
    return plan_memory_parts(t) > 1 ? (m + pp - 1) / pp * pp : m;
}

/* The span of a step's passes. Of a long pipeline the beginning is simulated twice, and the rest goes on at the pace
 * between the two; what a last group was filled up with is taken off at the pace of the slowest stage. */
static cria_status run_pipeline(const struct plan_train *t, const struct kinds *k, double *ret_span_s,
                                struct cria_error *err) {
    struct schedule s = {0};
    cria_status status = CRIA_OK;
    double span, shorter, m = (double)plan_memory_micro_batches(t), n = (double)whole_groups(t);
    int64_t enough = ENOUGH_GROUPS * t->layout.pp;
    TRY(schedule_init(&s, t, k, err));
    s.pipeline.n_micro_batches = whole_groups(t);
    if (s.pipeline.n_micro_batches <= 2 * enough) {
        TRY(plan_pipeline_simulate(&s.pipeline, &span, err));
    } else {
        s.pipeline.n_micro_batches = enough;
        TRY(plan_pipeline_simulate(&s.pipeline, &shorter, err));
        s.pipeline.n_micro_batches = 2 * enough;
        TRY(plan_pipeline_simulate(&s.pipeline, &span, err));
        span += (span - shorter) / (double)enough * (n - 2 * (double)enough);
    }
    struct plan_seconds slowest = stage_seconds(t, k, slowest_stage(t, k));
    *ret_span_s = span - (n - m) * (slowest.forward + slowest.backward);
out:
    alloc_free(s.seconds);
    return status;
}

cria_status plan_train_timeline(const struct plan_train *t, size_t max_intervals, struct plan_interval **ret,
                                size_t *ret_n, struct cria_error *err) {
    struct kinds k;
    struct schedule s = {0};
    struct plan_interval *intervals = NULL;
    double span;
    cria_status status = check(t, err);
    if (status != CRIA_OK) return status;
    double passes = (double)t->layout.pp * (double)plan_memory_parts(t) * (double)whole_groups(t) * 3;
    if (passes > (double)max_intervals)
        return ERROR_SET(err, CRIA_LIMIT, "a time line of up to %.0f intervals; at most %zu are wanted", passes,
                         max_intervals);
    cost_kinds(t, &k);
    TRY(schedule_init(&s, t, &k, err));
    intervals = alloc_array((size_t)passes, sizeof *intervals);
    if (!intervals) {
        status = ERROR_NOMEM(err, (size_t)passes * sizeof *intervals, "a time line");
        goto out;
    }
    s.pipeline.n_micro_batches = whole_groups(t);
    s.pipeline.intervals = intervals;
    TRY(plan_pipeline_simulate(&s.pipeline, &span, err));
    *ret = intervals;
    *ret_n = s.pipeline.n_intervals;
    intervals = NULL;
out:
    alloc_free(intervals);
    alloc_free(s.seconds);
    return status;
}

cria_status plan_train_simulate(const struct plan_train *t, uint64_t seed, double *ret_slowest_s, double *ret_equal_s,
                                struct cria_error *err) {
    struct kinds k;
    struct schedule s = {0};
    double equal, slowest;
    cria_status status = check(t, err);
    if (status != CRIA_OK) return status;
    cost_kinds(t, &k);
    TRY(schedule_init(&s, t, &k, err));
    s.pipeline.n_micro_batches = whole_groups(t);
    TRY(plan_pipeline_simulate(&s.pipeline, &equal, err));
    TRY(plan_pipeline_simulate_all(&s.pipeline, t->layout.dp * t->layout.cp, plan_constants_value(PLAN_C_RANK_SPREAD),
                                   seed, &slowest, err));
    *ret_equal_s = equal;
    *ret_slowest_s = slowest;
out:
    alloc_free(s.seconds);
    return status;
}

/* ---- a step ---- */

/* Reading and writing gradients, master weights and moments once. */
static double optimizer_seconds(const struct plan_train *t, double params, double expert_params) {
    const struct plan_stack_row *stack = plan_stack_row(t->stack);
    double n = (double)(t->layout.dp * t->layout.cp),
           n_expert = fmax(1, n * (double)t->layout.tp / (double)t->layout.ep);
    double mine = t->layout.zero ? params / n + expert_params / n_expert : params + expert_params;
    double bytes = 2 * stack->state_bytes + stack->gradient_bytes + stack->weight_bytes;
    return (t->is_lora ? 0 : mine * bytes / t->chip->memory_bytes_per_s);
}

/* The slowest of many servers sets the pace: the expected maximum of normal speeds. */
static double straggling(const struct plan_train *t) {
    double servers = fmax(1, (double)t->n_chips / CHIPS_PER_SERVER);
    return plan_constants_value(PLAN_C_RANK_SPREAD) * sqrt(2 * log(servers));
}

/* Relative half-width of the range: what earlier predictions of such runs missed by (docs/PLANNER.md). */
static double uncertainty(const struct plan_train *t) {
    double u = 0.125;
    if (t->model.n_experts) u += 0.18;
    if (t->is_production || plan_stack_row(t->stack)->is_production) u += 0.08;
    if (t->stack == PLAN_STACK_TORCH || t->stack == PLAN_STACK_NANOTRON) u += 0.09;
    if (t->stack == PLAN_STACK_JAX) u += 0.05;
    if (t->precision == PLAN_FP4) u += 0.04;
    if (t->year - t->chip->launch_year < 0.5) u += 0.04;
    if (t->chip->is_cpu) u += 0.3;
    return u;
}

static struct plan_range range_around(double mid, double u) {
    return (struct plan_range){mid, mid / (1 + u), mid * (1 + u)};
}

static void fill_memory(const struct plan_train *t, struct plan_train_result *r) {
    plan_memory_fullest(t, &r->memory);
    r->memory_bytes = range_around(r->memory.total_bytes, 0.2);
    r->fits = r->memory.total_bytes <= t->chip->memory_bytes * USABLE_MEMORY;
}

/* The peak that the run's FLOP/s are held against. DeepSeek counts its FP8 run against the BF16 peak. */
static double peak(const struct plan_train *t) {
    enum plan_precision p = t->precision;
    if (t->stack == PLAN_STACK_DEEPSEEK) p = PLAN_BF16;
    if (t->chip->peak_flop_per_s[p] > 0) return t->chip->peak_flop_per_s[p];
    return t->chip->peak_flop_per_s[PLAN_BF16] > 0 ? t->chip->peak_flop_per_s[PLAN_BF16]
                                                   : t->chip->peak_flop_per_s[PLAN_FP32];
}

cria_status plan_train_predict(const struct plan_train *t, enum plan_attention_count count,
                               struct plan_train_result *ret, struct cria_error *err) {
    struct kinds k;
    struct plan_train_result r = {0};
    struct plan_breakdown *b = &r.breakdown;
    double span, params, experts, n[PLAN_LAYER_KIND_COUNT];
    cria_status status = CRIA_OK;
    TRY(check(t, err));
    cost_kinds(t, &k);
    TRY(run_pipeline(t, &k, &span, err));
    int64_t slowest = slowest_stage(t, &k);
    double m = (double)plan_memory_micro_batches(t);
    for (int64_t part = 0; part < plan_memory_parts(t); part++) {
        count_layers(t, part * t->layout.pp + slowest, n);
        for (int i = 0; i < PLAN_LAYER_KIND_COUNT; i++) break_down(b, &k.cost[i], &k.traffic[i], m * n[i]);
    }
    struct plan_seconds window = stage_seconds(t, &k, slowest);
    b->bubble_s = fmax(0, span - m * (window.forward + window.backward));
    plan_memory_params(t, slowest, &params, &experts);
    double once = plan_traffic_step(t, params, experts, window);
    b->data_s += once;
    b->optimizer_s = optimizer_seconds(t, params, experts);
    double fixed = plan_constants_value(PLAN_C_STEP_FIXED) * (plan_stack_row(t->stack)->is_fused ? 1 : EAGER_FIXED);
    b->host_s += fixed;
    double step = span + once + b->optimizer_s + fixed;
    b->straggler_s = step * straggling(t);
    if (t->is_production || plan_stack_row(t->stack)->is_production)
        b->straggler_s += step * (1 / plan_constants_value(PLAN_C_PRODUCTION) - 1);
    step += b->straggler_s;
    r.step_s = range_around(step, uncertainty(t));
    double per_chip = t->batch_tokens / (double)t->n_chips;
    r.tokens_per_s_per_chip = (struct plan_range){per_chip / step, per_chip / r.step_s.high, per_chip / r.step_s.low};
    r.model_flop = plan_model_train_flop_per_token(&t->model, t->seq_len, count) * t->batch_tokens;
    r.flop_per_s_per_chip = r.model_flop / (step * (double)t->n_chips);
    r.mfu = r.flop_per_s_per_chip / peak(t);
    fill_memory(t, &r);
    *ret = r;
out:
    return status;
}

void plan_local_train(const struct plan_model *m, double tokens, double seq_len, double flop_per_s, double bytes_per_s,
                      struct plan_local *ret) {
    struct plan_params p;
    plan_model_params(m, &p);
    double flop = plan_model_train_flop_per_token(m, seq_len, PLAN_COUNT_CAUSAL) * tokens;
    double width =
        2 * (double)m->d_model + 2 * (double)(m->n_heads + m->n_kv_heads) * (double)m->head_size + 4 * (double)m->d_ff;
    /* Weights, gradients and both moments in 32 bits; every saved value in 32 bits; logits and their gradient. */
    double states = 16 * p.total;
    double activations = tokens * (4 * width * (double)m->n_layers + 8 * (double)m->n_vocab);
    *ret = (struct plan_local){
        .seconds_per_step = flop / flop_per_s + (2 * states + 3 * activations) / bytes_per_s,
        .bytes = states + activations,
    };
}
