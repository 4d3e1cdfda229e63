/* schedule.c: see schedule.h. */
#include "optim/schedule.h"

#include "base/realmath.h"

#define PI 3.14159265358979323846

cria_status schedule_check(const struct schedule *s, struct cria_error *err) {
    const int64_t decay = s->kind == SCHEDULE_CONSTANT ? 0 : s->decay;
    if (s->steps < 1) return ERROR_SET(err, CRIA_RANGE, "a run has at least 1 step, not %lld", (long long)s->steps);
    if (s->warmup < 0 || decay < 0 || s->warmup > s->steps || decay > s->steps - s->warmup)
        return ERROR_SET(err, CRIA_RANGE, "%lld steps of warm-up and %lld of decay do not fit into a run of %lld",
                         (long long)s->warmup, (long long)decay, (long long)s->steps);
    if (!(s->peak >= 0) || !(s->floor >= 0) || s->floor > s->peak)
        return ERROR_SET(err, CRIA_RANGE, "the learning rate falls to %g, which is not between 0 and its peak %g",
                         s->floor, s->peak);
    if (s->rows < 1) return ERROR_SET(err, CRIA_RANGE, "a step has at least 1 row, not %lld", (long long)s->rows);
    for (int i = 0; i < s->n_ramp; i++) {
        const struct schedule_ramp *r = &s->ramp[i];
        if (r->rows < 1 || r->from < 2 || (i && r->from <= r[-1].from))
            return ERROR_SET(err, CRIA_RANGE,
                             "batch ramp, entry %d: %lld rows from step %lld on; expected at least 1 row and steps "
                             "from 2 on, ascending",
                             i + 1, (long long)r->rows, (long long)r->from);
    }
    return CRIA_OK;
}

/* Half a cosine from the peak at the warm-up's end to the floor where the annealing begins, which ends in 0. */
static double cosine_rate(const struct schedule *s, int64_t step) {
    const int64_t span = s->steps - s->warmup - s->decay, at = step - s->warmup;
    if (at <= span)
        return s->floor +
               (s->peak - s->floor) * 0.5 * (1.0 + realmath_cos(PI * (double)at / (double)(span ? span : 1)));
    return s->floor * (double)(s->steps - step) / (double)s->decay;
}

double schedule_rate(const struct schedule *s, int64_t step) {
    if (step > s->steps) step = s->steps;
    if (step <= s->warmup) return s->peak * (double)step / (double)s->warmup;
    if (s->kind == SCHEDULE_CONSTANT) return s->peak;
    if (s->kind == SCHEDULE_COSINE) return cosine_rate(s, step);
    const int64_t left = s->steps - step;
    if (left >= s->decay) return s->peak;
    return s->floor + (s->peak - s->floor) * (double)left / (double)s->decay;
}

int64_t schedule_rows(const struct schedule *s, int64_t step) {
    int64_t rows = s->rows;
    for (int i = 0; i < s->n_ramp && s->ramp[i].from <= step; i++) rows = s->ramp[i].rows;
    return rows;
}

int64_t schedule_max_rows(const struct schedule *s) {
    int64_t most = s->rows;
    for (int i = 0; i < s->n_ramp; i++)
        if (s->ramp[i].from <= s->steps && s->ramp[i].rows > most) most = s->ramp[i].rows;
    return most;
}
