/* plan_stack.h: what kinds of training software do, as a user would state them; not how fast each one is. */
#ifndef PLAN_PLAN_STACK_H
#define PLAN_PLAN_STACK_H

#include "plan/planner.h"

struct plan_stack_row {
    const char *name;
    bool is_fused;         /* kernels between products are fused */
    bool is_production;    /* long runs, not benchmarks */
    bool casts_apart;      /* FP8 casts are not fused into the kernels around them */
    bool low_attention;    /* keeps attention kernels a year behind the best */
    bool fills_bubbles;    /* weight gradients run where a pipeline would idle (zero-bubble, DualPipe) */
    bool hides_experts;    /* expert traffic runs beside computing */
    bool is_sharded;       /* weights are shared out (FSDP, ZeRO-3) where the layout does not say otherwise */
    double gradient_bytes; /* of one parameter while gradients are summed */
    double weight_bytes;   /* of one parameter as it is gathered and kept for products */
    double state_bytes;    /* of one parameter in the optimizer: master and two moments, and the rest */
};

const struct plan_stack_row *plan_stack_row(enum plan_stack_id stack);
/* The software that a text names (a paper's or a repository's title, notes); DEFAULT where it names none. */
enum plan_stack_id plan_stack_find(const char *text);

#endif
