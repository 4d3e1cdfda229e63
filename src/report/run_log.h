/* run_log.h: what a training run wrote about itself: RUN/run.json and RUN/log.jsonl, read for reports.
 *
 * log.jsonl has one JSON object a line (docs/FORMATS.md). Keys that are missing are NaN, keys that are unknown are
 * passed over; a line that is no JSON object, or a known key of the wrong kind, is an error that names the line. A last
 * line without its newline is a write that a kill cut short, and passed over. Where steps go back, a run was resumed:
 * the later lines replace the earlier ones. */
#ifndef REPORT_RUN_LOG_H
#define REPORT_RUN_LOG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* One array each, of the same length, so that a chart can take two of them. */
enum run_log_column {
    RUN_LOG_STEP,
    RUN_LOG_TOKENS, /* seen so far */
    RUN_LOG_LOSS,   /* nats per token */
    RUN_LOG_GRAD_NORM,
    RUN_LOG_LR,
    RUN_LOG_TOKENS_PER_S,
    RUN_LOG_PEAK_FRACTION, /* 0 to 1 */
    RUN_LOG_JOULES,        /* so far; what was spent on steps that were done again counts */
    RUN_LOG_JOULES_PER_TOKEN,
    RUN_LOG_SECONDS, /* so far, of steps */
    RUN_LOG_COLUMN_COUNT
};

enum run_log_eval_column {
    RUN_LOG_EVAL_STEP,
    RUN_LOG_EVAL_TOKENS,
    RUN_LOG_EVAL_BITS, /* per byte, on held-out text */
    RUN_LOG_EVAL_LOSS,
    RUN_LOG_EVAL_COLUMN_COUNT
};

struct run_log_sample {
    double step;
    char *text; /* owned */
};

/* What did not go as planned: a step that was skipped, a loss that jumped, a run that went back. */
struct run_log_event {
    double step;
    char *kind, *reason; /* owned; reason may be NULL */
};

/* A leaf of run.json: "options.lr" and its value as text. */
struct run_log_fact {
    char *path, *value; /* owned */
};

struct run_log {
    double *columns[RUN_LOG_COLUMN_COUNT]; /* owned, [n] */
    size_t n, capacity;
    double *evals[RUN_LOG_EVAL_COLUMN_COUNT]; /* owned, [n_evals] */
    size_t n_evals, evals_capacity;
    struct run_log_sample *samples; /* owned */
    size_t n_samples, samples_capacity;
    struct run_log_event *events; /* owned; all of them, of steps that were done again too */
    size_t n_events, events_capacity;
    struct run_log_fact *facts; /* owned; in the file's order */
    size_t n_facts, facts_capacity;
    double joules, seconds; /* of every line, those of steps that were done again too */
    bool is_estimated;      /* some line says so of its joules */
    char digest[65];        /* the last weights_digest, or "" */
};

/* Reads both files of folder; log.jsonl has to be there, run.json need not. A zeroed *ret. NOTFOUND, FORMAT, LIMIT, IO,
 * NOMEM; on failure *ret is empty again. */
CRIA_MUST_CHECK cria_status run_log_read(struct run_log *ret, const char *folder, struct cria_error *err);
/* Takes an empty one. */
void run_log_free(struct run_log *log);
/* The value of the first fact whose path is `path` or ends with "." and it; NULL where there is none. */
const char *run_log_fact(const struct run_log *log, const char *path);
/* The last value of a column that is a number; NaN without one. */
double run_log_last(const struct run_log *log, enum run_log_column column);

#endif
