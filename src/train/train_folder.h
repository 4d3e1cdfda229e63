/* train_folder.h: a run's folder: who may write into it, whose run it is, and the state to go on from.
 *
 * Private to this folder of the source. */
#ifndef TRAIN_TRAIN_FOLDER_H
#define TRAIN_TRAIN_FOLDER_H

#include "train/train_session.h"

struct train_folder {
    char *checkpoints, *log, *events, *record, *model, *board; /* owned: paths */
    int lock;                                                  /* owned: descriptor of the folder; -1: none */
    uint8_t run_id[DIGEST_BYTES];
    bool is_new; /* there was no run in it */
};

/* The paths and the identity; nothing is read or made. */
CRIA_MUST_CHECK cria_status train_folder_init(struct train_folder *f, const struct train_session *s,
                                              struct cria_error *err);
/* Makes the folder, takes it for this process (BUSY where another has it), holds run.json to the options or writes it,
 * and cleans up behind writers that died. */
CRIA_MUST_CHECK cria_status train_folder_claim(struct train_folder *f, const struct train_session *s,
                                               struct cria_error *err);
/* Loads the newest state that verifies, at most of step `last` (-1: any), or begins anew; says on the log what was
 * refused and what was restored. */
CRIA_MUST_CHECK cria_status train_folder_restore(const struct train_folder *f, struct train_session *s, int64_t last,
                                                 struct cria_error *err);
void train_folder_deinit(struct train_folder *f);

#endif
