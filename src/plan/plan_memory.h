/* plan_memory.h: bytes on a training rank; private to src/plan. */
#ifndef PLAN_PLAN_MEMORY_H
#define PLAN_PLAN_MEMORY_H

#include "plan/planner.h"

/* Layers of a chunk of the pipeline (chunk = part x stages + stage): which ones, and how many of them have experts. */
struct plan_chunk {
    double n_dense, n_experts; /* layers */
    bool has_embedding, has_head;
};
void plan_memory_chunk(const struct plan_train *t, int64_t chunk, struct plan_chunk *ret);
/* Parts of a stage: the layout's virtual stages, 1 where they are not stated. */
int64_t plan_memory_parts(const struct plan_train *t);
/* Micro-batches of a step through one pipeline, at least 1. */
int64_t plan_memory_micro_batches(const struct plan_train *t);
/* Parameters on a rank of a stage before data-parallel sharing: all but experts, and experts. */
void plan_memory_params(const struct plan_train *t, int64_t stage, double *ret_common, double *ret_experts);
/* Sets the least recomputation with which the fullest stage stays under a limit; false, and all of it, where none does.
 */
bool plan_memory_choose_recompute(struct plan_train *t, double limit_bytes);
/* The fullest stage. */
void plan_memory_fullest(const struct plan_train *t, struct plan_memory *ret);

#endif
