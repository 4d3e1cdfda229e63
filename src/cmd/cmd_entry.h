/* cmd_entry.h: JSON lines: one object a line with `text`, `ids` or `messages`; other keys are the user's own and are
 * passed over. */
#ifndef CMD_CMD_ENTRY_H
#define CMD_CMD_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "text/tokenizer.h"

/* Walks over the lines that are not blank. Zero-initialise all but text and n. */
struct cmd_lines {
    const char *text; /* borrowed */
    size_t n, at;
    int64_t number;   /* of the current line, from 1 */
    const char *line; /* the current line, without its newline */
    size_t n_line;
};

/* Steps to the next line; false at the end. */
bool cmd_lines_next(struct cmd_lines *l);
/* How many lines are left behind the current one. */
int64_t cmd_lines_count(struct cmd_lines l);

enum cmd_entry_kind { CMD_ENTRY_NONE, CMD_ENTRY_TEXT, CMD_ENTRY_IDS, CMD_ENTRY_MESSAGES };

struct cmd_entry {
    enum cmd_entry_kind kind;
    char *text; /* owned: of TEXT */
    size_t n_text;
    struct token_list ids; /* owned: of IDS */
};

/* allowed: bits 1 << kind. FORMAT where the line is no object or has not exactly one of the allowed keys. */
CRIA_MUST_CHECK cria_status cmd_entry_parse(struct cmd_entry *ret, const char *line, size_t n, unsigned allowed,
                                            struct cria_error *err);
void cmd_entry_free(struct cmd_entry *e);

#endif
