/* plan_constants.c: the table of constants (see plan_constants.h). */
#include "plan/plan_constants.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "conf/conf_yaml.h"

static const struct plan_constant_row rows[PLAN_C_COUNT] = {
    [PLAN_C_MATMUL_SUSTAINED] =
        {"matmul_sustained", 0.878, "1", 0.85, 0.95,
         "rate of large products through a whole step, as a part of the best one measured alone "
         "(power, clocks, neighbours on the chip)"},
    [PLAN_C_OPERAND_TRAFFIC] = {"operand_traffic", 0.66, "1", 0.45, 0.8,
                                "part of the time to move a product's operands that its arithmetic does not hide"},
    [PLAN_C_ELEMENTWISE] = {"elementwise", 0.385, "1", 0.3, 0.5,
                            "time of the work between products over that of its least traffic at the data sheet's "
                            "memory bandwidth, where kernels are fused"},
    [PLAN_C_ATTENTION_SUSTAINED] = {"attention_sustained", 0.779, "1", 0.75, 0.86,
                                    "rate of attention in a step, as a part of that of the kernel measured alone"},
    [PLAN_C_LOW_PRECISION_TRAFFIC] =
        {"low_precision_traffic", 1.6, "1", 0.8, 2.0,
         "traffic of quantising operands to FP8 or FP4 over the least (read once, write once)"},
    [PLAN_C_KERNEL_YOUTH] = {"kernel_youth", 0.45, "1", 0.2, 0.5,
                             "part of the products' rate that software does not reach when a chip is first shipped"},
    [PLAN_C_KERNEL_AGE] = {"kernel_age", 0.755, "year", 0.5, 1.2, "time in which that lack shrinks to 1/e"},
    [PLAN_C_FABRIC_ACHIEVED] = {"fabric_achieved", 0.9, "1", 0.75, 0.9,
                                "bandwidth that collectives reach over the line rate, in nodes and between them"},
    [PLAN_C_TENSOR_EXPOSED] = {"tensor_exposed", 0.486, "1", 0.45, 0.7,
                               "part of the tensor-parallel traffic's time that products do not hide"},
    [PLAN_C_DATA_EXPOSED] = {"data_exposed", 0.232, "1", 0.08, 0.25,
                             "part of data-, context- and expert-parallel traffic that computing cannot hide, however "
                             "much of it there is"},
    [PLAN_C_EXPERT_LAYER] = {"expert_layer", 0.00652, "s", 4e-3, 1e-2,
                             "time that routing adds to a layer with experts, forward and backward, in early 2025"},
    [PLAN_C_EXPERT_TRAFFIC] =
        {"expert_traffic", 9.32, "1", 4.0, 20.0,
         "work on the copies of tokens that experts get, in early 2025: sorting, padding, what is not fused, as "
         "traffic over the least (each copy written and read once each way)"},
    [PLAN_C_EXPERT_AGE] = {"expert_age", 1.73, "year", 0.9, 2.0,
                           "time in which the overheads of experts (routing, sorting, exposed traffic) shrink to 1/e"},
    [PLAN_C_STEP_FIXED] = {"step_fixed", 0.0199, "s", 0.01, 0.06,
                           "time of a step that depends on nothing: gradient norm, logging, data"},
    [PLAN_C_RANK_SPREAD] = {"rank_spread", 0.002, "1", 0.002, 0.01,
                            "standard deviation of the speed of nodes that are nominally the same"},
    [PLAN_C_PRODUCTION] = {"production", 0.934, "1", 0.88, 0.96,
                           "speed of a long production run over that of a tuned benchmark of the same layout"},
    [PLAN_C_SERVING_READ] = {"serving_read", 0.82, "1", 0.77, 0.87,
                             "part of the data sheet's memory bandwidth that a decode step reaches"},
    [PLAN_C_SERVING_LAYER] = {"serving_layer", 68e-6, "s", 60e-6, 78e-6,
                              "time that a layer's kernels wait for each other in a decode step, whatever their size"},
    [PLAN_C_SERVING_SEQUENCE] = {"serving_sequence", 47e-6, "s", 43e-6, 53e-6,
                                 "time to schedule, sample and detokenise one sequence for one step"},
    [PLAN_C_SERVING_DISPATCH] = {"serving_dispatch", 1.0e-6, "s", 0.85e-6, 1.15e-6,
                                 "time to sort, send and wait for one token in one layer of shared-out experts"},
    [PLAN_C_SERVING_COMPILED] = {"serving_compiled", 0.65, "1", 0.4, 1.0,
                                 "part of a general engine's latencies that one compiled for its model keeps"},
    [PLAN_C_SERVING_BUSY_POWER] = {"serving_busy_power", 0.69, "1", 0.6, 0.75,
                                   "power of a chip that mostly reads, as a part of its design power"},
};

static double values[PLAN_C_COUNT];
static bool has_value[PLAN_C_COUNT];

const struct plan_constant_row *plan_constants_row(enum plan_constant c) { return &rows[c]; }

double plan_constants_value(enum plan_constant c) { return has_value[c] ? values[c] : rows[c].value; }

static cria_status set(const struct conf_yaml_item *item, struct cria_error *err) {
    for (int c = 0; c < PLAN_C_COUNT; c++) {
        if (strcmp(rows[c].name, item->path) != 0) continue;
        char *end;
        double x = strtod(item->value, &end);
        if (end == item->value || *end || !isfinite(x) || x < 0)
            return ERROR_SET(err, CRIA_FORMAT, "%s: expected a number from 0, found \"%s\"", item->path, item->value);
        values[c] = x;
        has_value[c] = true;
        return CRIA_OK;
    }
    return ERROR_SET(err, CRIA_FORMAT, "%s: there is no such constant", item->path);
}

cria_status plan_constants_read(const char *path, struct cria_error *err) {
    cria_status status = CRIA_OK;
    struct conf_yaml *y = NULL;
    char *text = NULL;
    size_t n;
    TRY(file_read(path, CONF_YAML_BYTES, &text, &n, err));
    TRY(conf_yaml_parse(&y, path, text, n, err));
    for (int i = 0; i < y->n_items; i++) TRY(set(&y->items[i], err));
out:
    conf_yaml_destroy(&y);
    alloc_free(text);
    return status;
}
