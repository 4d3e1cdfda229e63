/* cmd_rows.h: rows of logits on their way to a safetensors file whose number of rows is known only at the end.
 *
 * The rows wait in an unnamed file beside the target; closing it, or dying, leaves nothing behind. */
#ifndef CMD_CMD_ROWS_H
#define CMD_CMD_ROWS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

struct cmd_rows {
    FILE *file;       /* owned; NULL: nothing is kept */
    const char *path; /* borrowed: the target */
    int64_t n_rows;
    int32_t n_vocab;
};

/* path NULL: rows are taken and dropped. */
CRIA_MUST_CHECK cria_status cmd_rows_open(struct cmd_rows *r, const char *path, struct cria_error *err);
CRIA_MUST_CHECK cria_status cmd_rows_add(struct cmd_rows *r, const float *row, int32_t n_vocab, struct cria_error *err);
/* Writes the target. */
CRIA_MUST_CHECK cria_status cmd_rows_publish(struct cmd_rows *r, struct cria_error *err);
void cmd_rows_close(struct cmd_rows *r);

#endif
