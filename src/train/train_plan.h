/* train_plan.h: what a run needs, told before its first step. Private to this folder (the plan itself: train.h). */
#ifndef TRAIN_TRAIN_PLAN_H
#define TRAIN_TRAIN_PLAN_H

#include "train/train.h"

/* The options fit together, the data lasts, and the machine has the memory; else RANGE, SHAPE or NOMEM with the
 * numbers. */
CRIA_MUST_CHECK cria_status train_plan_check(const struct train_options *options, struct cria_error *err);

#endif
