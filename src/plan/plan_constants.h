/* plan_constants.h: every constant of the planner that is neither a definition nor a figure of a data sheet.
 *
 * At most 24, each a physical quantity with a unit and an interval in which we believe it. Those of training were
 * fitted on one half of the published rows and judged on the other (tests/plan/fit.py, docs/PLANNER.md); none belongs
 * to one row, one paper or one chip. */
#ifndef PLAN_PLAN_CONSTANTS_H
#define PLAN_PLAN_CONSTANTS_H

#include <stddef.h>

#include "base/error.h"

enum plan_constant {
    PLAN_C_MATMUL_SUSTAINED,
    PLAN_C_OPERAND_TRAFFIC,
    PLAN_C_ELEMENTWISE,
    PLAN_C_ATTENTION_SUSTAINED,
    PLAN_C_LOW_PRECISION_TRAFFIC,
    PLAN_C_KERNEL_YOUTH,
    PLAN_C_KERNEL_AGE,
    PLAN_C_FABRIC_ACHIEVED,
    PLAN_C_TENSOR_EXPOSED,
    PLAN_C_DATA_EXPOSED,
    PLAN_C_EXPERT_LAYER,
    PLAN_C_EXPERT_TRAFFIC,
    PLAN_C_EXPERT_AGE,
    PLAN_C_STEP_FIXED,
    PLAN_C_RANK_SPREAD,
    PLAN_C_PRODUCTION,
    /* of serving, from here on */
    PLAN_C_SERVING_READ,
    PLAN_C_SERVING_LAYER,
    PLAN_C_SERVING_SEQUENCE,
    PLAN_C_SERVING_DISPATCH,
    PLAN_C_SERVING_COMPILED,
    PLAN_C_SERVING_BUSY_POWER,
    PLAN_C_COUNT
};

#define PLAN_C_MAX 24
_Static_assert(PLAN_C_COUNT <= PLAN_C_MAX, "the planner promises at most 24 constants");

struct plan_constant_row {
    const char *name; /* "matmul_sustained" */
    double value;
    const char *unit; /* "1", "s", "year" */
    double low, high; /* where we believe it to be */
    const char *meaning;
};

/* The row as it stands in the program. */
const struct plan_constant_row *plan_constants_row(enum plan_constant c);
/* The value in force: the row's, unless plan_constants_read() gave another. */
double plan_constants_value(enum plan_constant c);
/* Replaces values by those of a YAML file of lines `name: value` (for fitting, and for other calibrations). Call it
 * before any prediction, from one thread. */
CRIA_MUST_CHECK cria_status plan_constants_read(const char *path, struct cria_error *err);

#endif
