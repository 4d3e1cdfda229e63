/* cmd_resume.h: where the results of a batch go: standard output, or a file that an interrupted run goes on with.
 *
 * The file holds whole lines; a last line without its newline is the trace of an interruption and is cut off. */
#ifndef CMD_CMD_RESUME_H
#define CMD_CMD_RESUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

struct cmd_resume {
    bool is_open;
    const char *path; /* borrowed; NULL: standard output */
    FILE *file;       /* owned unless standard output */
    int64_t n_lines;  /* whole lines found */
    int64_t n_failed; /* of them, objects with `error` */
};

CRIA_MUST_CHECK cria_status cmd_resume_open(struct cmd_resume *r, const char *path, struct cria_error *err);
CRIA_MUST_CHECK cria_status cmd_resume_write(struct cmd_resume *r, const char *bytes, size_t n, struct cria_error *err);
CRIA_MUST_CHECK cria_status cmd_resume_flush(struct cmd_resume *r, struct cria_error *err);
CRIA_MUST_CHECK cria_status cmd_resume_close(struct cmd_resume *r, struct cria_error *err);

#endif
