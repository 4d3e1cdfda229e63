/* log.h: what the program tells the person at the terminal, on standard error: one escaped line a record.
 *
 * Only src/cmd, and long-running loops above it, log. Colour and control sequences only where standard error is a
 * terminal. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_NONE, LOG_ERROR, LOG_WARNING, LOG_NOTICE, LOG_DETAIL };

/* PLAIN: a terminal that knows no control sequences, so no progress line either. */
enum log_style { LOG_COLOUR, LOG_NO_COLOUR, LOG_PLAIN };

void log_set_level(enum log_level level);
void log_set_style(enum log_style style);
enum log_style log_style(void);
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_notice(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_detail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
