/* cmd_train_setup.h: from options to everything that a training run works on: model, data, device, schedule.
 *
 * `train` takes the options from its arguments and RUN.yaml, `verify` from the run.json of a run; both meet here, so a
 * replay is made of the same things as the run. */
#ifndef CMD_CMD_TRAIN_SETUP_H
#define CMD_CMD_TRAIN_SETUP_H

#include "conf/conf.h"
#include "train/train.h"

#define CMD_TRAIN_MAX_PHASES 16
#define CMD_TRAIN_MAX_FACTS 128

/* Zero-initialise; everything is owned but what `options` borrows. */
struct cmd_train_setup {
    struct train_options options;
    char *init_path, *tokenizer_folder;
    model_files *init;
    rows *data, *held_out;
    device *dev;
    double *weights[CMD_TRAIN_MAX_PHASES];
    struct rows_phase_options phases[CMD_TRAIN_MAX_PHASES];
    int n_phases;
    struct train_fact identity[CMD_TRAIN_MAX_FACTS], settings[CMD_TRAIN_MAX_FACTS];
    char *texts[CMD_TRAIN_MAX_FACTS]; /* the values of both */
    int n_texts;
};

/* c: of the command train. apart: settings that are no options, "phases[0].seq-len" and its like. */
CRIA_MUST_CHECK cria_status cmd_train_setup_open(struct cmd_train_setup *s, const struct conf *c, const char *out,
                                                 const struct train_fact *apart, int n_apart, struct cria_error *err);
void cmd_train_setup_close(struct cmd_train_setup *s);

/* cmd_train_shape.c: the model of the options: of --init, of a preset, or spelled out. data_vocab and data_length: what
 * the data asks for where nothing else is said. */
CRIA_MUST_CHECK cria_status cmd_train_shape_config(const struct conf *c, const model_files *init, int64_t data_vocab,
                                                   int64_t data_length, struct arch_config *ret,
                                                   struct cria_error *err);
/* The learning rate and the rows over `steps` steps. */
CRIA_MUST_CHECK cria_status cmd_train_shape_schedule(const struct conf *c, int64_t steps, struct schedule *ret,
                                                     struct cria_error *err);

#endif
