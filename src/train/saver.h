/* saver.h: checkpoints written behind the next step, and how many of them stay.
 *
 * saver_start() copies the state (so that no later step can mix into it) and returns; a thread writes, publishes, reads
 * back and verifies, then removes what is too old. Without memory for the copy, or where the caller asks for it, the
 * save is done before saver_start() returns. Retention: the newest `keep` checkpoints that this run verified stay,
 * whatever later saves come to; nothing is removed before two are verified.
 * The caller's thread alone calls these functions. */
#ifndef TRAIN_SAVER_H
#define TRAIN_SAVER_H

#include "train/checkpoint.h"

typedef struct saver saver;

struct saver_options {
    const char *folder;                       /* of the checkpoints; borrowed */
    const struct checkpoint_content *content; /* the live state; borrowed */
    int keep;                                 /* at least 2 */
    bool is_behind;                           /* copy and write beside the next step */
};

/* Bytes of the copy. */
uint64_t saver_bytes(const struct checkpoint_content *c);
CRIA_MUST_CHECK cria_status saver_create(saver **ret, const struct saver_options *options, struct cria_error *err);
/* Waits for a running save. */
void saver_destroy(saver **s);

/* A checkpoint that was loaded, so it verified. */
void saver_know(saver *s, int64_t step);
/* Waits for the save before (ask saver_poll() how it ended first); then copies the state and the stamp. */
CRIA_MUST_CHECK cria_status saver_start(saver *s, const struct checkpoint_stamp *stamp, struct cria_error *err);
/* Whether a save ended since the last call; *ret_status and *err tell how. */
bool saver_poll(saver *s, int64_t *ret_step, cria_status *ret_status, double *ret_seconds, struct cria_error *err);
/* Waits until nothing is running; saver_poll() then tells how it ended. */
void saver_wait(saver *s);

#endif
