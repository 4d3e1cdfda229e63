/* tensorboard.h: event files that TensorBoard shows: scalars by step.
 *
 * One file a folder, named so that TensorBoard finds it. A record is appended with one write, so that a process killed
 * at any byte leaves whole records and at most one torn one; opening the file again cuts what is torn, and what a run
 * that goes on from an earlier step will write again, so that every step is in the file once. Not for two writers. */
#ifndef REPORT_TENSORBOARD_H
#define REPORT_TENSORBOARD_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define TENSORBOARD_FILE "events.out.tfevents.0000000001.cria"
#define TENSORBOARD_MAX_VALUES 32
#define TENSORBOARD_MAX_TAG 128

struct tensorboard_value {
    const char *tag; /* "loss", "eval/bits_per_byte": UTF-8 of at most TENSORBOARD_MAX_TAG bytes */
    float value;
};

typedef struct tensorboard tensorboard; /* opaque; NULL is valid for write and close and does nothing */

/* Opens (makes, with the folder) the event file in `folder`. Records of steps above last_step, and everything behind
 * the first record that is not whole, are cut; -1 begins anew. wall_time, in seconds since 1970, dates a new file. IO,
 * NOMEM. */
CRIA_MUST_CHECK cria_status tensorboard_open(tensorboard **ret, const char *folder, int64_t last_step, double wall_time,
                                             struct cria_error *err);
/* Appends the values of one step; RANGE for more than TENSORBOARD_MAX_VALUES or too long a tag. Allocates nothing.
 * After an IO error the file ends with the record before. */
CRIA_MUST_CHECK cria_status tensorboard_write(tensorboard *t, int64_t step, double wall_time,
                                              const struct tensorboard_value *values, size_t n, struct cria_error *err);
/* Takes NULL; clears the caller's pointer. */
void tensorboard_close(tensorboard **t);

#endif
