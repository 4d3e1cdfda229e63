/* train.h: a training run from its options to a trained model, and the proof of one.
 *
 * Callers may believe: the weights after a step depend on the options that change results, the data and the weights
 * they began with, and on nothing else: not on threads, instruction set, micro-batches, recomputation, interruptions or
 * resumes. A folder of a run is continued by the same call that began it.
 * What a run writes into its folder: docs/FORMATS.md, "Run folder". One thread calls; others compute and save. */
#ifndef TRAIN_TRAIN_H
#define TRAIN_TRAIN_H

#include "data/data_rows.h"
#include "format/format.h"
#include "llama/llama_train.h"
#include "meter/meter.h"
#include "optim/optim.h"
#include "optim/schedule.h"
#include "report/live.h"

/* What to do about a number that is not finite, and about a loss that jumps. Each is told in the log. */
enum train_action {
    TRAIN_WARN,  /* go on (a jump only) */
    TRAIN_STOP,  /* end the run before the update: NUMERIC */
    TRAIN_SKIP,  /* no update from this step's rows */
    TRAIN_REWIND /* back to the last scheduled checkpoint, and past the rows that were read since */
};

struct train_policy {
    enum train_action on_nan, on_spike;
    double spike; /* a loss this many deviations above its running mean is a jump */
};

/* An entry of the list of what a run's results depend on, or of all its options. */
struct train_fact {
    const char *name, *value; /* borrowed */
};

struct train_options {
    const char *out; /* the run's folder */
    struct arch_config config;
    const model_files *init; /* the weights to begin with; NULL: by the seed */
    uint64_t seed;
    const char *tokenizer_folder; /* whose tokenizer files go with the model; NULL: none */
    rows *data, *held_out;        /* held_out NULL: no evaluation */
    device *dev;
    enum llama_compute compute;
    enum llama_recompute recompute;
    struct schedule schedule;
    struct optim_options optim;
    double clip;
    int n_leaves;                           /* of a step; 0: by the rule (train_leaves()) */
    int micro_rows;                         /* rows computed at once; 0: about 4,096 tokens */
    int64_t eval_every, eval_rows;          /* 0: at the end only; all held-out rows */
    int64_t digest_every, checkpoint_every; /* steps; 0: at the end only */
    double checkpoint_seconds;              /* 0: by steps alone */
    int keep;                               /* checkpoints that stay, at least 2 */
    bool save_behind;
    struct train_policy policy;
    struct meter_options meter;
    struct live_options live;
    double peak_flops;                            /* the machine's, measured; 0: unknown */
    const struct train_fact *identity, *settings; /* what results depend on; all options */
    int n_identity, n_settings;
};

/* Row groups of a step of n_rows rows of at most max_tokens tokens: as asked where that divides the rows, else the
 * largest power of two up to 8 that divides them and leaves at least 8,192 tokens in each. */
int train_leaves(int64_t n_rows, int64_t max_tokens, int asked);

/* Bytes by what they are for. */
struct train_memory {
    uint64_t weights, optimizer, copy; /* master weights; m, v and scratch; the state that is saved behind the steps */
    struct llama_trainer_bytes trainer;
    uint64_t program; /* code, libraries, the ends of huge pages: about the same for every run */
    uint64_t total;
};
CRIA_MUST_CHECK cria_status train_plan(const struct train_options *options, struct train_memory *ret,
                                       struct cria_error *err);
/* Floating point operations of the run: rows of full length, one document each. */
double train_flops(const struct train_options *options);
/* Seconds of a step of this run on this machine as it is now: one step of the run's own is computed twice, and nothing
 * is written. */
CRIA_MUST_CHECK cria_status train_estimate(const struct train_options *options, double *ret_seconds,
                                           struct cria_error *err);

/* How a run ended. */
struct train_end {
    int64_t step, steps; /* done, and in all */
    int64_t n_tokens;
    double loss;      /* of the last step */
    double eval_bits; /* bits per byte of held-out rows; NaN: none */
    double seconds, joules;
    bool is_estimated; /* the joules are */
    int signal;        /* that ended it early; 0: none */
};

/* Begins or goes on with the run in options->out. RANGE, USAGE, LIMIT, NOMEM before the first step, with the numbers;
 * NUMERIC where the policy stops it; IO where the last state could not be saved. */
CRIA_MUST_CHECK cria_status train_run(const struct train_options *options, struct train_end *ret,
                                      struct cria_error *err);

/* What a replay found. */
struct train_proof {
    int64_t from, to;           /* steps that were replayed: from + 1 .. to */
    int64_t n_steps, n_digests; /* compared */
    int64_t differs_at;         /* the first step that differs; 0: none */
    char what[256];             /* how */
};
/* Replays the steps up to `to` (-1: the last one of the log) from the newest checkpoint that is not behind step `from`,
 * or from the first weights, and holds them to log.jsonl. NOTFOUND where the log has no step behind that. */
CRIA_MUST_CHECK cria_status train_verify(const struct train_options *options, int64_t from, int64_t to,
                                         struct train_proof *ret, struct cria_error *err);

#endif
