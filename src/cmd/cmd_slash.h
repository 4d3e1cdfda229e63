/* cmd_slash.h: the commands of a chat, /help and so on: one row each. */
#ifndef CMD_CMD_SLASH_H
#define CMD_CMD_SLASH_H

#include <stdbool.h>

#include "cmd/cmd_line.h"
#include "cmd/cmd_talk.h"

/* Whether a message is a command: it begins with one slash. */
bool cmd_slash_is(const char *message);
/* Runs one. *ret_end: the chat is to end. A failure leaves the chat as it was. */
CRIA_MUST_CHECK cria_status cmd_slash_run(struct cmd_talk *t, cmd_line *l, const char *message, bool *ret_end,
                                          struct cria_error *err);

#endif
