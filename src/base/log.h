/* log.h: what the program tells the person at the terminal, on standard error: one escaped line a record.
 *
 * Only src/cmd, and long-running loops above it, log. Colour only where standard error is a terminal. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_NONE, LOG_ERROR, LOG_WARNING, LOG_NOTICE, LOG_DETAIL };

void log_set_level(enum log_level level);
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_notice(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_detail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
