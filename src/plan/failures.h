/* failures.h: how often a large job is interrupted, by what, and how much of its time is left for training.
 *
 * Rates are data: a row for each cause with the kind of part that it belongs to (chip, node, link, job), so that they
 * scale with the size of the cluster. Formulas: Young (1974) and Daly (2006) for the interval between checkpoints.
 * All functions are pure; any thread. Knows nothing of models or of step times: a job is counts, bytes and seconds. */
#ifndef PLAN_FAILURES_H
#define PLAN_FAILURES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* What a cause is counted by. */
enum failures_part {
    FAILURES_PART_NONE,
    FAILURES_PART_CHIP,
    FAILURES_PART_NODE,
    FAILURES_PART_LINK /* one of the network for each chip */
};

struct failures_cause {
    const char *name;
    enum failures_part part;
    double per_part_hour; /* interruptions for each part and hour */
    bool is_planned;      /* a checkpoint is written before it */
};

/* The rows of the table; NULL behind the last. */
const struct failures_cause *failures_cause(int i);
/* Where the rates come from, one sentence. */
const char *failures_source(void);

struct failures_job {
    double n_chips, chips_per_node;
    double rate_scale;            /* 1: the table's rates; 2: twice as many failures */
    double rate_spread;           /* standard deviation of the logarithm of the site's rate; 0: exactly the table */
    double checkpoint_bytes;      /* of the whole job */
    double storage_bytes_per_s;   /* that the whole job writes or reads */
    double host_copy_bytes_per_s; /* from one chip to its host's memory */
    double pause_s;               /* barrier and bookkeeping of a checkpoint, beside its bytes */
    bool is_async;                /* the write goes on behind training: only the copy stalls */
    double detect_s, replace_s, warm_s; /* until noticed, until healthy nodes are there, until full speed */
    double n_readers;                   /* times that the checkpoint is read to start: data-parallel replicas */
    double interval_s;                  /* between checkpoints; 0: Daly's best */
};

/* A job with what is usual for the rest: asynchronous checkpoints of 14 bytes a parameter, see failures.c. */
struct failures_job failures_usual_job(double n_chips, double n_parameters);

struct failures_estimate {
    double per_day;         /* interruptions, planned and not */
    double planned_per_day; /* of these */
    double mtbf_s;          /* mean time between interruptions that nobody planned */
    double stall_s;         /* training stands still for one checkpoint */
    double write_s;         /* until it is on storage */
    double restart_s;       /* from the interruption to full speed, without the work that is done again */
    double young_s, daly_s, interval_s;
    double lost_checkpoint, lost_rework, lost_restart; /* parts of the time, 0 to 1 */
    double goodput;                                    /* part of the time that moves the run forward */
};

/* The closed form. RANGE names the field that is impossible. */
CRIA_MUST_CHECK cria_status failures_expect(const struct failures_job *job, struct failures_estimate *ret,
                                            struct cria_error *err);

#define FAILURES_MAX_TRIALS 100000
#define FAILURES_BINS 32

struct failures_quantiles {
    double p5, p10, p50, p90, p95, mean;
};

struct failures_distribution {
    int n_trials;
    double days;
    struct failures_quantiles goodput, interruptions, longest_gap_s;
    double bin_from, bin_width;  /* of goodput */
    int bins[FAILURES_BINS];     /* trials in each */
    struct failures_estimate at; /* the closed form beside it */
};

/* Lives through `days` n_trials times, each with a site rate of its own. The numbers depend on seed alone. A year of
 * 100,000 chips and 1,000 trials takes about two seconds of one core. */
CRIA_MUST_CHECK cria_status failures_simulate(const struct failures_job *job, double days, int n_trials, uint64_t seed,
                                              struct failures_distribution *ret, struct cria_error *err);

#endif
