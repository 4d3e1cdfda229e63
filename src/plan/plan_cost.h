/* plan_cost.h: seconds of computing on one rank; private to src/plan.
 *
 * Everything is for one micro-batch through one layer (or through the head), on one of tp x cp ranks. Traffic between
 * ranks is in plan_traffic.h. */
#ifndef PLAN_PLAN_COST_H
#define PLAN_PLAN_COST_H

#include "plan/planner.h"

enum plan_layer_kind { PLAN_LAYER_DENSE, PLAN_LAYER_EXPERTS, PLAN_LAYER_HEAD, PLAN_LAYER_KIND_COUNT };

/* Forward and backward seconds. */
struct plan_seconds {
    double forward, backward;
};

struct plan_cost {
    struct plan_seconds product, attention, elementwise;
    double recompute;         /* forward work done again before the backward pass */
    double host;              /* launching and routing that computing does not hide, forward and backward */
    double host_forward_part; /* of host */
};

void plan_cost_layer(const struct plan_train *t, enum plan_layer_kind kind, struct plan_cost *ret);
/* Seconds of the forward and of the backward pass, recomputation and host included. */
struct plan_seconds plan_cost_total(const struct plan_cost *c);
/* Tokens of a micro-batch on one context-parallel rank. */
double plan_cost_tokens(const struct plan_train *t);
/* Whether attention writes its scores to memory: software from before the fused kernels. */
bool plan_cost_unfused_attention(const struct plan_train *t);
/* How far the software has come on the chip: 0 when it ships, to 1. */
double plan_cost_maturity(const struct plan_train *t);
/* What is left of the overheads of experts that there were in early 2025; more than 1 before. */
double plan_cost_expert_progress(const struct plan_train *t);
/* Sustained FLOP/s of large products of a precision. */
double plan_cost_rate(const struct plan_train *t, enum plan_precision precision);

#endif
