/* error.h: filling in a cria_error, and the assertions.
 *
 * A failing function says what it expected, what it found and where; its callers add where they were with
 * error_prefix(). Text from files is escaped, so an error is always one printable line. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdarg.h>
#include <stddef.h>

#include "cria/status.h"

/* Fills *err (NULL: nothing) and returns status, so that `return ERROR_SET(...)` is the usual form. The format is
 * printf's; bytes below 0x20, 0x7f and invalid UTF-8 in the result are escaped as \xNN; too long a text is cut. */
#define ERROR_SET(err, status, ...) error_set((err), (status), __FILE__, __LINE__, __VA_ARGS__)
cria_status error_set(struct cria_error *err, cria_status status, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Puts "prefix: " before the text of *err (NULL: nothing): the file, tensor or option that a caller knows. */
void error_prefix(struct cria_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Copies raw into out, which holds n bytes (at least 1), as one printable line, escaped and cut as above. */
void error_escape_line(char *out, size_t n, const char *raw);

/* NOMEM with the number of bytes and what they were for. */
#define ERROR_NOMEM(err, bytes, what) \
    error_set((err), CRIA_NOMEM, __FILE__, __LINE__, "no memory for %s (%zu bytes)", (what), (size_t)(bytes))

/* CRIA_ASSERT: cheap invariants, programmer error only, always on; no side effect inside. CRIA_DASSERT: the same on hot
 * paths, only in builds with CRIA_DEBUG. Neither can be reached from a file or a request. */
_Noreturn void error_assert_failed(const char *expression, const char *file, int line);
#define CRIA_ASSERT(e) ((e) ? (void)0 : error_assert_failed(#e, __FILE__, __LINE__))
#ifdef CRIA_DEBUG
#define CRIA_DASSERT(e) CRIA_ASSERT(e)
#else
#define CRIA_DASSERT(e) ((void)0)
#endif

/* Runs an expression that gives a cria_status; on failure leaves through the label out with `status` set. */
#define TRY(expression)                  \
    do {                                 \
        status = (expression);           \
        if (status != CRIA_OK) goto out; \
    } while (0)

#endif
