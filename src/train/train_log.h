/* train_log.h: log.jsonl and events.jsonl: one JSON object a line, appended as the run goes.
 *
 * A line is one write, so a killed run leaves whole lines and at most one torn one. Opening at a step cuts what is torn
 * and what stands behind the last line of that step: a run that goes on writes those again. docs/FORMATS.md, "Run
 * folder", has the keys. */
#ifndef TRAIN_TRAIN_LOG_H
#define TRAIN_TRAIN_LOG_H

#include "base/json.h"
#include "data/data_rows.h"

typedef struct train_log train_log;

/* Opens or makes the file; lines of later steps than last_step are cut. */
CRIA_MUST_CHECK cria_status train_log_open(train_log **ret, const char *path, int64_t last_step,
                                           struct cria_error *err);
void train_log_close(train_log **l);

/* Begins a line with its step; the caller adds members, then train_log_end() writes it. */
json_writer *train_log_begin(train_log *l, int64_t step);
CRIA_MUST_CHECK cria_status train_log_end(train_log *l, struct cria_error *err);
/* What was written lasts through a loss of power. */
CRIA_MUST_CHECK cria_status train_log_sync(train_log *l, struct cria_error *err);
void train_log_real(json_writer *w, const char *key, double value); /* null where it is not finite */
void train_log_text(json_writer *w, const char *key, const char *value);
void train_log_integer(json_writer *w, const char *key, int64_t value);

/* A line as the proof reads it. */
struct train_log_line {
    int64_t step;
    bool is_rewound;        /* the run went back to the step before this one, and on from another row */
    double loss, grad_norm; /* NaN where they are not said */
    bool has_digest;
    uint8_t digest[32];
    struct rows_cursor cursor; /* where is_rewound: of this step's first row */
};
typedef struct train_log_reader train_log_reader;
CRIA_MUST_CHECK cria_status train_log_read_open(train_log_reader **ret, const char *path, struct cria_error *err);
/* The next line; *ret_more false at the end or at a torn last line. FORMAT names the line. */
CRIA_MUST_CHECK cria_status train_log_read(train_log_reader *r, struct train_log_line *ret, bool *ret_more,
                                           struct cria_error *err);
void train_log_read_close(train_log_reader **r);

#endif
