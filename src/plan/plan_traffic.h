/* plan_traffic.h: seconds of traffic between ranks that computing does not hide; private to src/plan.
 *
 * Ranks are numbered tensor-parallel first, then context, then data, then pipeline: so tensor-parallel groups lie in
 * one scale-up domain (NVLink, ICI) where they fit into it. */
#ifndef PLAN_PLAN_TRAFFIC_H
#define PLAN_PLAN_TRAFFIC_H

#include "plan/plan_cost.h"

/* Of one micro-batch through one layer: exposed seconds. */
struct plan_traffic {
    struct plan_seconds tensor, context, expert, data; /* data: ZeRO-3 only */
};

void plan_traffic_layer(const struct plan_train *t, enum plan_layer_kind kind, const struct plan_cost *cost,
                        struct plan_traffic *ret);
/* From one pipeline stage to the next: seconds on the way of one micro-batch. */
double plan_traffic_hop(const struct plan_train *t);
/* Exposed seconds of the data-parallel traffic of a step, once a step (ZeRO 0 to 2): params on the rank, and the
 * seconds of computing that can hide gradients (window.backward) and weights (window.forward). */
double plan_traffic_step(const struct plan_train *t, double params, double expert_params, struct plan_seconds window);
/* Parameters of one layer on one rank before data-parallel sharing: all but experts, and experts. */
void plan_traffic_layer_params(const struct plan_train *t, enum plan_layer_kind kind, double *ret_common,
                               double *ret_experts);
/* Chips that share a scale-up domain, and whether the whole job lies in one. */
double plan_traffic_domain(const struct plan_train *t);

#endif
