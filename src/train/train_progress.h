/* train_progress.h: where a run stands, beside its tensors: what state.json holds. Plain data. */
#ifndef TRAIN_TRAIN_PROGRESS_H
#define TRAIN_TRAIN_PROGRESS_H

#include "base/buffer.h"
#include "data/data_rows.h"

struct train_progress {
    int64_t step;      /* that is done */
    int64_t n_updates; /* of the weights: steps without the skipped ones */
    int64_t n_skipped, n_rewinds;
    int64_t n_tokens;          /* read */
    struct rows_cursor cursor; /* of the next row */
    /* Of the losses: running mean and variance, and how many went into them. */
    double mean, variance;
    int64_t n_losses;
    /* Spent by every session of the run, rewound steps too. */
    double seconds, joules;
    bool is_estimated;
};

CRIA_MUST_CHECK cria_status train_progress_write(struct buffer *out, const struct train_progress *p,
                                                 struct cria_error *err);
CRIA_MUST_CHECK cria_status train_progress_read(struct train_progress *ret, const char *text, size_t n,
                                                struct cria_error *err);

#endif
