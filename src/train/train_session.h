/* train_session.h: the memory of a run: master weights, optimizer, trainer, and one step's arithmetic.
 *
 * Private to this folder. Knows rows and numbers; nothing of logs, signals or when to save. */
#ifndef TRAIN_TRAIN_SESSION_H
#define TRAIN_TRAIN_SESSION_H

#include "tensor/pages.h"
#include "train/checkpoint.h"
#include "train/train.h"
#include "train/train_progress.h"

#define TRAIN_WHAT_BYTES 128

struct train_session {
    const struct train_options *options; /* borrowed */
    struct arch_config config;           /* the options', with the rotation of the phase */
    llama_layout *layout;                /* owned, as all of these */
    struct pages weights;
    optim *opt;
    llama_trainer *trainer;
    struct checkpoint_content content;
    struct train_progress at;
    int max_rows, max_pieces; /* of one call */
    struct rows_row *rows;    /* max_rows */
    struct llama_data_row *views;
    struct llama_piece *pieces; /* max_rows * pieces of a row */
    float *losses;
    int phase; /* that the trainer was made for; -1: none yet */
    int64_t n_floats;
    bool is_finite; /* all weights and optimizer state are: the update that wrote them has seen it */
};

/* Books everything; weights are zero. */
CRIA_MUST_CHECK cria_status train_session_create(struct train_session **ret, const struct train_options *options,
                                                 struct cria_error *err);
void train_session_destroy(struct train_session **s);
/* The state before the first step. */
CRIA_MUST_CHECK cria_status train_session_begin(struct train_session *s, struct cria_error *err);
/* The state of a checkpoint. */
CRIA_MUST_CHECK cria_status train_session_load(struct train_session *s, const char *folder, int64_t step,
                                               const uint8_t run_id[DIGEST_BYTES], struct cria_error *err);
float *train_session_weights(const struct train_session *s);
CRIA_MUST_CHECK cria_status train_session_digest(const struct train_session *s, uint8_t out[DIGEST_BYTES],
                                                 struct cria_error *err);

/* The gradient of a step. */
struct train_gradient {
    const float *values; /* sums over predicted tokens; borrowed from the trainer */
    int64_t n_rows, n_tokens, n_predicted;
    double loss, norm; /* means over predicted tokens */
    double flops;
    char what[TRAIN_WHAT_BYTES]; /* what is not finite; empty: everything is */
};
/* Of step at.step + 1, from the rows at the cursor; changes nothing of the state. */
CRIA_MUST_CHECK cria_status train_session_gradient(struct train_session *s, struct train_gradient *ret,
                                                   struct cria_error *err);
/* Changes the weights by it, at the learning rate of step at.step + 1. */
void train_session_update(struct train_session *s, const struct train_gradient *g);
/* Takes the step's rows as read, with an update or without. */
void train_session_advance(struct train_session *s, const struct train_gradient *g, bool is_updated);

struct train_evaluation {
    double loss, bits_per_byte; /* NaN where the bytes are not known */
    int64_t n_predicted, n_bytes;
};
CRIA_MUST_CHECK cria_status train_session_evaluate(struct train_session *s, struct train_evaluation *ret,
                                                   struct cria_error *err);

/* Rows that a step has: it ends where a phase does that another one follows. */
int64_t train_session_rows(const struct train_options *options, int64_t step, struct rows_cursor at);
/* RANGE with the numbers where the data ends before the run does. */
CRIA_MUST_CHECK cria_status train_session_check_rows(const struct train_options *options, struct cria_error *err);
/* The shape of the trainer's calls. */
void train_session_shape(const struct train_options *options, struct llama_trainer_options *ret);

#endif
