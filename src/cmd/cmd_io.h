/* cmd_io.h: standard input and output for the subcommands: whole inputs with a limit, and writes whose failure is an
 * error. */
#ifndef CMD_CMD_IO_H
#define CMD_CMD_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"

#define CMD_MAX_TEXT ((size_t)1 << 32)

/* To standard output, through its buffer. IO where a write fails: a full disk, a reader that went away. */
CRIA_MUST_CHECK cria_status cmd_write(const void *bytes, size_t n, struct cria_error *err);
CRIA_MUST_CHECK cria_status cmd_print(struct cria_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
CRIA_MUST_CHECK cria_status cmd_flush(struct cria_error *err);
/* Text of a model: where standard output is a terminal, control characters other than newline and tab become U+FFFD, so
 * that an answer cannot steer the terminal; elsewhere the exact bytes. */
CRIA_MUST_CHECK cria_status cmd_write_shown(const char *text, size_t n, struct cria_error *err);
/* The buffer's failure, or the write's. */
CRIA_MUST_CHECK cria_status cmd_write_buffer(const struct buffer *b, struct cria_error *err);
/* The buffer and a newline, for JSON. */
CRIA_MUST_CHECK cria_status cmd_write_line(struct buffer *b, struct cria_error *err);

/* A whole file, or standard input for "-"; NUL-terminated, alloc_free() it. */
CRIA_MUST_CHECK cria_status cmd_read(const char *path, char **ret_text, size_t *ret_n, struct cria_error *err);
/* Integers separated by commas and white space, each from 0 to max. */
struct token_list;
CRIA_MUST_CHECK cria_status cmd_read_ids(const char *text, int64_t max, struct token_list *list,
                                         struct cria_error *err);

/* OK where a result may be written at path: nothing is there yet, or a regular file. A device or a folder is not
 * replaced. */
CRIA_MUST_CHECK cria_status cmd_check_target(const char *path, struct cria_error *err);

/* "1.5 GiB", into out. */
void cmd_bytes_text(uint64_t n_bytes, char out[32]);

#endif
