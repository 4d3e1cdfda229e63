/* cmd_line.h: messages from a person: edited in the terminal with history, or read line by line from anything else.
 *
 * A message may have several lines: a line that ends with a backslash goes on in the next, and """ begins and ends a
 * block. Signals: the reader is meant for a program whose SIGINT handler only sets cmd_line_interrupted. */
#ifndef CMD_CMD_LINE_H
#define CMD_CMD_LINE_H

#include <signal.h>
#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"

typedef struct cmd_line cmd_line;

enum cmd_line_kind { CMD_LINE_TEXT, CMD_LINE_INTERRUPTED, CMD_LINE_END };

/* Set by Ctrl-C once cmd_line_catch() was called; whoever acts on it clears it. SIGTERM and SIGHUP set it too, and the
 * next line at a terminal is then the end. */
extern volatile sig_atomic_t cmd_line_interrupted;
void cmd_line_catch(void);

/* Whether both sides are a terminal, so that lines can be edited. */
bool cmd_line_is_terminal(void);
/* history_path NULL: no history. Where there is no terminal nothing is echoed and no history is kept. */
CRIA_MUST_CHECK cria_status cmd_line_open(cmd_line **ret, const char *history_path, struct cria_error *err);
/* Saves the history. Takes NULL. */
void cmd_line_close(cmd_line **l);
/* Reads one message into *out (emptied first), without its last newline. */
CRIA_MUST_CHECK cria_status cmd_line_read(cmd_line *l, const char *prompt, struct buffer *out,
                                          enum cmd_line_kind *ret_kind, struct cria_error *err);
/* The next line begins with this text, to be edited; text has no newline. Nothing without a terminal. */
void cmd_line_prefill(cmd_line *l, const char *text);

#endif
