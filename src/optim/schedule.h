/* schedule.h: the learning rate and the number of rows of each step, as closed forms of the step's number.
 *
 * Pure functions of plain data, the same bits on every machine (base/realmath.h). Steps count from 1. */
#ifndef OPTIM_SCHEDULE_H
#define OPTIM_SCHEDULE_H

#include <stdint.h>

#include "base/error.h"

enum schedule_kind {
    SCHEDULE_CONSTANT, /* the peak from the end of the warm-up on */
    SCHEDULE_COSINE,   /* Llama 3 (Grattafiori et al. 2024, 3.4): warm-up, half a cosine to the floor, then down to 0 */
    SCHEDULE_WSD       /* warm-up, the peak, and in the last steps straight down to the floor (Hu et al. 2024) */
};

#define SCHEDULE_MAX_RAMP 8

/* From step `from` on a step has `rows` rows. */
struct schedule_ramp {
    int64_t from, rows;
};

struct schedule {
    enum schedule_kind kind;
    double peak, floor; /* learning rates, 0 <= floor <= peak */
    int64_t steps;      /* of the whole run, at least 1 */
    int64_t warmup,
        decay;    /* warm-up steps; the last steps: COSINE anneals from the floor to 0, WSD from peak to floor */
    int64_t rows; /* of a step, before the first entry of the ramp */
    struct schedule_ramp ramp[SCHEDULE_MAX_RAMP]; /* `from` ascending */
    int n_ramp;
};

/* RANGE naming the two numbers that do not fit together. */
CRIA_MUST_CHECK cria_status schedule_check(const struct schedule *s, struct cria_error *err);
/* The warm-up rises linearly and reaches the peak at its last step; a step beyond the last has the last one's. */
double schedule_rate(const struct schedule *s, int64_t step);
int64_t schedule_rows(const struct schedule *s, int64_t step);
/* The most rows that a step of the run has. */
int64_t schedule_max_rows(const struct schedule *s);

#endif
