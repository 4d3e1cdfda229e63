/* serving_constants.h: the eight fitted numbers of the serving model, each a physical quantity with its unit.
 *
 * Fitted on a random half of the published inference rows of one engine and judged on the other half
 * (tests/plan/test_plan_serving.py prints both); none belongs to a row, a paper or a model. */
#ifndef PLAN_SERVING_CONSTANTS_H
#define PLAN_SERVING_CONSTANTS_H

enum serving_constant {
    SERVING_READ_PART,
    SERVING_LAYER_S,
    SERVING_EXCHANGE_S,
    SERVING_SEQUENCE_S,
    SERVING_DISPATCH_S,
    SERVING_TUNED_PART,
    SERVING_BUSY_POWER,
    SERVING_ARITHMETIC_POWER,
    SERVING_CONSTANT_COUNT
};

struct serving_constant_row {
    const char *name, *unit; /* "s", "1" */
    double value;
    double low, high; /* between which fits on random halves lie */
    const char *what;
};

double serving_constant(enum serving_constant c);
const struct serving_constant_row *serving_constant_row(enum serving_constant c);

/* Nine of ten published rows lie within this factor (minus one) of a prediction; how the ranges are made. */
double serving_spread(void);

#endif
