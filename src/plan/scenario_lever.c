/* scenario_lever.c: which inputs move an answer most: each by ten percent, the others as they are (scenario.h). */
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "plan/scenario.h"

/* What is a choice or a drawing of lots, not a quantity that somebody estimates. */
static bool is_quantity(const struct scenario_answer *a, enum scenario_param p) {
    const struct scenario_param_row *row = scenario_param_row(p);
    if (!(row->kinds & 1u << a->question.kind) || a->question.values[p] == 0) return false;
    return p != SCENARIO_TRIALS && p != SCENARIO_SEED && p != SCENARIO_YEAR && p != SCENARIO_POWER_CAP &&
           (p < SCENARIO_DP || p > SCENARIO_MICRO_BATCH) && p != SCENARIO_ENGINE_CHIPS && p != SCENARIO_SEQUENCE &&
           p != SCENARIO_BATCH_TOKENS;
}

/* The figure with parameter p times `factor`, relative to `base`; NaN where that is no possible question. */
static double moved(const struct scenario *question, enum scenario_param p, double factor, const plan_hardware *hw,
                    const char *figure, double base, struct scenario_answer *scratch) {
    const struct scenario_param_row *row = scenario_param_row(p);
    struct scenario s = *question;
    double value = s.values[p] * factor;
    if (row->is_whole) value = round(value);
    if (value < row->min || value > row->max) return (double)NAN;
    s.values[p] = value;
    s.is_set[p] = true;
    if (p == SCENARIO_GPUS && s.layout.dp > 0) {
        /* More chips are more copies of the layout, each with the work that it had. */
        const double dp = fmax(1, round((double)s.layout.dp * factor)), copies = dp / (double)s.layout.dp;
        s.values[SCENARIO_GPUS] = round(question->values[p] * copies);
        s.values[SCENARIO_BATCH_TOKENS] *= copies;
    }
    if (scenario_evaluate(&s, hw, true, scratch, NULL) != CRIA_OK) return (double)NAN;
    const struct scenario_figure *f = scenario_figure(scratch, figure);
    return f ? f->value / base - 1 : (double)NAN;
}

static double reach(const struct scenario_lever *l) {
    const double less = isfinite(l->at_less) ? fabs(l->at_less) : 0, more = isfinite(l->at_more) ? fabs(l->at_more) : 0;
    return fmax(less, more);
}

static int compare_levers(const void *a, const void *b) {
    const double x = reach(a), y = reach(b);
    return (x < y) - (x > y);
}

cria_status scenario_sensitivity(const struct scenario_answer *a, const plan_hardware *hw, const char *figure,
                                 struct scenario_lever *ret_rows, int *ret_n, struct cria_error *err) {
    const struct scenario_figure *f = scenario_figure(a, figure);
    struct scenario_answer *scratch = NULL;
    struct scenario question = a->question;
    int n = 0;
    if (!f) return ERROR_SET(err, CRIA_NOTFOUND, "the answer has no figure %s", figure);
    if (f->value == 0) {
        *ret_n = 0;
        return CRIA_OK;
    }
    scratch = ALLOC_NEW(struct scenario_answer);
    if (!scratch) return ERROR_NOMEM(err, sizeof *scratch, "sensitivities");
    /* The layout stays; only how many copies of it there are follows from the chips. A service is as large as needed.
     */
    question.values[SCENARIO_DP] = 0;
    for (int p = 0; p < SCENARIO_PARAM_COUNT; p++) {
        struct scenario_lever lever = {.param = (enum scenario_param)p};
        if (!is_quantity(a, lever.param)) continue;
        lever.at_less = moved(&question, lever.param, 0.9, hw, figure, f->value, scratch);
        lever.at_more = moved(&question, lever.param, 1.1, hw, figure, f->value, scratch);
        if (reach(&lever) > 1e-4) ret_rows[n++] = lever;
    }
    qsort(ret_rows, (size_t)n, sizeof *ret_rows, compare_levers);
    *ret_n = n;
    alloc_free(scratch);
    return CRIA_OK;
}
