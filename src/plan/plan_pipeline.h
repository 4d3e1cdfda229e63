/* plan_pipeline.h: discrete-event simulation of a pipeline's schedule; private to src/plan.
 *
 * A stage has `parts` chunks of layers (1: not interleaved); chunk c = part x stages + stage. A micro-batch passes
 * chunks 0 to last forward, then back. A chunk's pass begins when the one before it has arrived (hop_s after its end)
 * and its stage is free; each stage takes its passes in the order that its schedule prescribes. */
#ifndef PLAN_PLAN_PIPELINE_H
#define PLAN_PLAN_PIPELINE_H

#include "plan/planner.h"

#define PLAN_PIPELINE_MAX_PASSES (1 << 24) /* stages x parts x micro-batches of one pipeline */

struct plan_pipeline {
    int64_t n_stages, n_parts, n_micro_batches; /* with parts: a multiple of the stages */
    enum plan_schedule schedule;
    const double *forward_s, *backward_s; /* of each chunk: n_stages x n_parts */
    const double *slowness;               /* of each stage, 1: nominal; NULL: all 1 */
    double hop_s;
    struct plan_interval *intervals; /* NULL, or room for 3 x passes: filled in the order of simulation */
    size_t n_intervals;              /* out */
};

/* *ret_span_s: from the first pass's begin to the last one's end. NOMEM, or LIMIT for more passes than above. */
CRIA_MUST_CHECK cria_status plan_pipeline_simulate(struct plan_pipeline *p, double *ret_span_s, struct cria_error *err);
/* A step of n_pipelines such pipelines side by side whose stages differ in speed (normal, standard deviation spread,
 * seeded): the span of the slowest. */
CRIA_MUST_CHECK cria_status plan_pipeline_simulate_all(const struct plan_pipeline *p, int64_t n_pipelines,
                                                       double spread, uint64_t seed, double *ret_span_s,
                                                       struct cria_error *err);

#endif
