/* serving_constants.c: see serving_constants.h. Values: median of fits on four random halves of 162 rows (H100 and
 * B200, 8B to 671B parameters, dense and experts, batches 8 to 4,096); low and high: the smallest and largest of the
 * four. */
#include "plan/serving_constants.h"

static const struct serving_constant_row rows[SERVING_CONSTANT_COUNT] = {
    [SERVING_READ_PART] = {"read part", "1", 0.83, 0.77, 0.91,
                           "of the data-sheet memory bandwidth that decode reaches"},
    [SERVING_LAYER_S] = {"layer latency", "s", 70e-6, 60e-6, 81e-6,
                         "a layer's kernels wait for each other, whatever their size"},
    [SERVING_EXCHANGE_S] = {"exchange latency", "s", 14e-6, 11e-6, 17.5e-6,
                            "one collective inside a node, for each doubling of its ranks"},
    [SERVING_SEQUENCE_S] = {"sequence handling", "s", 49e-6, 46e-6, 55e-6,
                            "scheduling, sampling and detokenising one sequence for one step"},
    [SERVING_DISPATCH_S] = {"expert dispatch", "s", 0.9e-6, 0.71e-6, 1.07e-6,
                            "sorting, sending and waiting for one token in one layer of experts"},
    [SERVING_TUNED_PART] = {"compiled overhead", "1", 0.4, 0.3, 0.6,
                            "of a general engine's latencies that a compiled one keeps"},
    [SERVING_BUSY_POWER] = {"busy power", "1", 0.66, 0.55, 0.68, "of the design power while a chip mostly reads"},
    [SERVING_ARITHMETIC_POWER] = {"arithmetic power", "1", 0.46, 0.26, 0.51,
                                  "of the design power that multiplying all the time adds"},
};

const struct serving_constant_row *serving_constant_row(enum serving_constant c) { return &rows[c]; }

double serving_constant(enum serving_constant c) { return rows[c].value; }

double serving_spread(void) { return 0.30; }
