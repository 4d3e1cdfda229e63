/* plan_pipeline.c: the simulation (see plan_pipeline.h).
 *
 * Times need no event queue: a pass's begin depends on its predecessors' ends alone, so stages are advanced whenever
 * the pass that they wait for has been placed. Orders: 1F1B and its interleaved form as in Narayanan et al. 2021 (each
 * stage begins with as many forward passes as keep its successors busy, then alternates); zero-bubble as ZB-H1 (Qi et
 * al. 2023): the weight gradient, half of a backward pass, waits until its stage would be idle. */
#include "plan/plan_pipeline.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/random.h"

#define WEIGHT_GRADIENT_PART 0.5

struct simulation {
    struct plan_pipeline *p;
    double *forward_end, *backward_end;              /* owned; chunk x micro-batch; negative: not placed */
    double *free_at;                                 /* owned; stage */
    int64_t *next_forward, *next_backward, *waiting; /* owned; stage: passes done; weight gradients put off */
    int64_t *queue;                                  /* owned; stages that may advance, a ring of n_stages + 1 */
    uint8_t *is_queued;                              /* owned; stage */
    int64_t head, tail;
};

/* The i-th forward (or backward) pass of a stage: its part and micro-batch. Micro-batches go in groups of n_stages, and
 * a group passes all parts before the next. */
static void pass_at(const struct plan_pipeline *p, int64_t i, bool is_backward, int64_t *ret_part, int64_t *ret_mb) {
    int64_t per_group = p->n_stages * p->n_parts, group = i / per_group, in_group = i % per_group;
    if (p->n_parts == 1) group = i / p->n_stages, in_group = 0;
    int64_t part = in_group / p->n_stages;
    *ret_part = is_backward ? p->n_parts - 1 - part : part;
    *ret_mb = group * p->n_stages + i % p->n_stages;
}

/* How many forward passes a stage does before its first backward pass. */
static int64_t warm_up(const struct plan_pipeline *p, int64_t stage) {
    int64_t n = p->n_stages - 1 - stage, all = p->n_parts * p->n_micro_batches;
    if (p->n_parts > 1) n = 2 * n + (p->n_parts - 1) * p->n_stages;
    return n < all ? n : all;
}

static void record(struct plan_pipeline *p, char kind, int64_t stage, int64_t part, int64_t mb, double begin,
                   double end) {
    if (p->intervals) p->intervals[p->n_intervals++] = (struct plan_interval){stage, mb, part, kind, begin, end};
}

static double slowness(const struct plan_pipeline *p, int64_t stage) { return p->slowness ? p->slowness[stage] : 1; }

static void wake(struct simulation *s, int64_t stage) {
    if (s->is_queued[stage]) return;
    s->is_queued[stage] = 1;
    s->queue[s->tail] = stage;
    s->tail = (s->tail + 1) % (s->p->n_stages + 1);
}

static double weight_gradient_s(const struct plan_pipeline *p, int64_t stage) {
    return p->backward_s[stage] * WEIGHT_GRADIENT_PART * slowness(p, stage);
}

/* Puts weight gradients that wait into the idle time before `until`. */
static void fill_idle(struct simulation *s, int64_t stage, double until) {
    double w = weight_gradient_s(s->p, stage);
    while (s->waiting[stage] > 0 && s->free_at[stage] + w <= until) {
        s->waiting[stage]--;
        record(s->p, 'W', stage, 0, -1, s->free_at[stage], s->free_at[stage] + w);
        s->free_at[stage] += w;
    }
}

/* Places the stage's next forward pass; false where it waits for another stage. */
static bool place_forward(struct simulation *s, int64_t stage) {
    struct plan_pipeline *p = s->p;
    int64_t part, mb, m = p->n_micro_batches;
    pass_at(p, s->next_forward[stage], false, &part, &mb);
    int64_t chunk = part * p->n_stages + stage;
    double ready = 0;
    if (chunk > 0) {
        ready = s->forward_end[(chunk - 1) * m + mb];
        if (ready < 0) return false;
        ready += p->hop_s;
    }
    fill_idle(s, stage, ready);
    double begin = fmax(ready, s->free_at[stage]), end = begin + p->forward_s[chunk] * slowness(p, stage);
    record(p, 'F', stage, part, mb, begin, end);
    s->forward_end[chunk * m + mb] = s->free_at[stage] = end;
    s->next_forward[stage]++;
    wake(s, (stage + 1) % p->n_stages);
    return true;
}

static bool place_backward(struct simulation *s, int64_t stage) {
    struct plan_pipeline *p = s->p;
    int64_t part, mb, m = p->n_micro_batches, last = p->n_stages * p->n_parts - 1;
    pass_at(p, s->next_backward[stage], true, &part, &mb);
    int64_t chunk = part * p->n_stages + stage;
    double ready = chunk == last ? s->forward_end[chunk * m + mb] : s->backward_end[(chunk + 1) * m + mb];
    if (ready < 0) return false;
    if (chunk < last) ready += p->hop_s;
    fill_idle(s, stage, ready);
    double seconds = p->backward_s[chunk] * slowness(p, stage);
    if (p->schedule == PLAN_SCHEDULE_ZERO_BUBBLE) seconds *= 1 - WEIGHT_GRADIENT_PART, s->waiting[stage]++;
    double begin = fmax(ready, s->free_at[stage]);
    record(p, 'B', stage, part, mb, begin, begin + seconds);
    s->backward_end[chunk * m + mb] = s->free_at[stage] = begin + seconds;
    s->next_backward[stage]++;
    wake(s, (stage + p->n_stages - 1) % p->n_stages);
    return true;
}

/* Whether the stage's order has a backward pass next. */
static bool is_backward_next(const struct simulation *s, int64_t stage) {
    int64_t all = s->p->n_parts * s->p->n_micro_batches;
    if (s->next_forward[stage] == all) return true;
    return s->next_forward[stage] - s->next_backward[stage] > warm_up(s->p, stage);
}

static void advance(struct simulation *s, int64_t stage) {
    int64_t all = s->p->n_parts * s->p->n_micro_batches;
    while (s->next_backward[stage] < all)
        if (!(is_backward_next(s, stage) ? place_backward(s, stage) : place_forward(s, stage))) return;
}

static void run(struct simulation *s) {
    struct plan_pipeline *p = s->p;
    for (int64_t i = 0; i < p->n_stages; i++) wake(s, i);
    while (s->head != s->tail) {
        int64_t stage = s->queue[s->head];
        s->head = (s->head + 1) % (p->n_stages + 1);
        s->is_queued[stage] = 0;
        advance(s, stage);
    }
}

static void restart(struct simulation *s) {
    size_t n_stages = (size_t)s->p->n_stages;
    size_t passes = n_stages * (size_t)(s->p->n_parts * s->p->n_micro_batches);
    for (size_t i = 0; i < passes; i++) s->forward_end[i] = s->backward_end[i] = -1;
    memset(s->free_at, 0, n_stages * sizeof *s->free_at);
    memset(s->next_forward, 0, n_stages * sizeof *s->next_forward);
    memset(s->next_backward, 0, n_stages * sizeof *s->next_backward);
    memset(s->waiting, 0, n_stages * sizeof *s->waiting);
    memset(s->is_queued, 0, n_stages);
    s->head = s->tail = 0;
    s->p->n_intervals = 0;
}

static double span(struct simulation *s) {
    double end = 0;
    for (int64_t i = 0; i < s->p->n_stages; i++) {
        fill_idle(s, i, INFINITY);
        end = fmax(end, s->free_at[i]);
    }
    return end;
}

static void simulation_deinit(struct simulation *s) {
    alloc_free(s->forward_end);
    alloc_free(s->backward_end);
    alloc_free(s->free_at);
    alloc_free(s->next_forward);
    alloc_free(s->next_backward);
    alloc_free(s->waiting);
    alloc_free(s->queue);
    alloc_free(s->is_queued);
}

static cria_status simulation_init(struct simulation *s, struct plan_pipeline *p, struct cria_error *err) {
    size_t n = (size_t)p->n_stages, passes;
    *s = (struct simulation){.p = p};
    if (p->n_parts > 1 && p->n_stages > 0 && p->n_micro_batches % p->n_stages)
        return ERROR_SET(err, CRIA_SHAPE, "%lld micro-batches through %lld interleaved stages: expected a multiple",
                         (long long)p->n_micro_batches, (long long)p->n_stages);
    if (p->n_stages < 1 || p->n_parts < 1 || p->n_micro_batches < 1)
        return ERROR_SET(err, CRIA_RANGE, "a pipeline of %lld stages, %lld parts and %lld micro-batches",
                         (long long)p->n_stages, (long long)p->n_parts, (long long)p->n_micro_batches);
    if (checked_mul_size(n, (size_t)p->n_parts, &passes) ||
        checked_mul_size(passes, (size_t)p->n_micro_batches, &passes) || passes > PLAN_PIPELINE_MAX_PASSES)
        return ERROR_SET(
            err, CRIA_LIMIT, "%lld stages x %lld parts x %lld micro-batches; at most %d passes are simulated",
            (long long)p->n_stages, (long long)p->n_parts, (long long)p->n_micro_batches, PLAN_PIPELINE_MAX_PASSES);
    s->forward_end = alloc_array(passes, sizeof *s->forward_end);
    s->backward_end = alloc_array(passes, sizeof *s->backward_end);
    s->free_at = alloc_array(n, sizeof *s->free_at);
    s->next_forward = alloc_array(n, sizeof *s->next_forward);
    s->next_backward = alloc_array(n, sizeof *s->next_backward);
    s->waiting = alloc_array(n, sizeof *s->waiting);
    s->queue = alloc_array(n + 1, sizeof *s->queue);
    s->is_queued = alloc_array(n, 1);
    if (s->forward_end && s->backward_end && s->free_at && s->next_forward && s->next_backward && s->waiting &&
        s->queue && s->is_queued)
        return CRIA_OK;
    simulation_deinit(s);
    return ERROR_NOMEM(err, passes * 2 * sizeof *s->forward_end, "the simulation of a pipeline");
}

cria_status plan_pipeline_simulate(struct plan_pipeline *p, double *ret_span_s, struct cria_error *err) {
    struct simulation s;
    cria_status status = simulation_init(&s, p, err);
    if (status != CRIA_OK) return status;
    restart(&s);
    run(&s);
    *ret_span_s = span(&s);
    simulation_deinit(&s);
    return CRIA_OK;
}

/* A standard normal number (Box and Muller). */
static double normal(uint64_t seed, uint64_t i) {
    double u = 1 - random_unit(seed, RANDOM_SHUFFLE, 2 * i), v = random_unit(seed, RANDOM_SHUFFLE, 2 * i + 1);
    return sqrt(-2 * log(u)) * cos(2 * M_PI * v);
}

cria_status plan_pipeline_simulate_all(const struct plan_pipeline *p, int64_t n_pipelines, double spread, uint64_t seed,
                                       double *ret_span_s, struct cria_error *err) {
    struct plan_pipeline one = *p;
    struct simulation s;
    one.intervals = NULL;
    cria_status status = simulation_init(&s, &one, err);
    if (status != CRIA_OK) return status;
    double slowest = 0, *speeds = alloc_array((size_t)p->n_stages, sizeof *speeds);
    if (!speeds) {
        status = ERROR_NOMEM(err, (size_t)p->n_stages * sizeof *speeds, "the speeds of a pipeline's stages");
        goto out;
    }
    one.slowness = speeds;
    for (int64_t i = 0; i < n_pipelines; i++) {
        for (int64_t j = 0; j < p->n_stages; j++)
            speeds[j] = fmax(0.5, 1 + spread * normal(seed, (uint64_t)(i * p->n_stages + j)));
        restart(&s);
        run(&s);
        slowest = fmax(slowest, span(&s));
    }
    *ret_span_s = slowest;
out:
    alloc_free(speeds);
    simulation_deinit(&s);
    return status;
}
