/* log.c: see log.h. A record is one write(), so records of several threads do not mix. */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

enum { LINE_BYTES = 4096 };

static _Atomic int max_level = LOG_NOTICE, chosen_style = LOG_COLOUR;

void log_set_level(enum log_level level) { max_level = level; }
void log_set_style(enum log_style style) { chosen_style = style; }
enum log_style log_style(void) { return (enum log_style)chosen_style; }

/* What stands before a record of each level, and its colour. */
static const struct {
    const char *word, *colour;
} heads[] = {
    [LOG_ERROR] = {"error: ", "\033[1;31m"},
    [LOG_WARNING] = {"warning: ", "\033[1;33m"},
    [LOG_NOTICE] = {"", ""},
    [LOG_DETAIL] = {"detail: ", "\033[2m"},
};

static void put(enum log_level level, const char *format, va_list args) {
    if ((int)level > max_level) return;
    char raw[LINE_BYTES], text[LINE_BYTES], line[LINE_BYTES + 64];
    vsnprintf(raw, sizeof raw, format, args);
    error_escape_line(text, sizeof text, raw);
    const int is_terminal = chosen_style != LOG_PLAIN && isatty(STDERR_FILENO);
    const char *colour = is_terminal && chosen_style == LOG_COLOUR ? heads[level].colour : "";
    /* On a terminal a progress line may be standing: it is wiped, and draws itself again. */
    const int n = snprintf(line, sizeof line, "%scria: %s%s%s%s\n", is_terminal ? "\r\033[K" : "", colour,
                           heads[level].word, *colour ? "\033[0m" : "", text);
    if (n <= 0) return;
    const ssize_t put_bytes = write(STDERR_FILENO, line, (size_t)n);
    (void)put_bytes; /* where the terminal is gone there is nobody to tell */
}

void log_error(const char *format, ...) {
    va_list args;
    va_start(args, format);
    put(LOG_ERROR, format, args);
    va_end(args);
}

void log_warning(const char *format, ...) {
    va_list args;
    va_start(args, format);
    put(LOG_WARNING, format, args);
    va_end(args);
}

void log_notice(const char *format, ...) {
    va_list args;
    va_start(args, format);
    put(LOG_NOTICE, format, args);
    va_end(args);
}

void log_detail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    put(LOG_DETAIL, format, args);
    va_end(args);
}
