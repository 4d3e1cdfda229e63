/* buffer.h: a growing run of bytes that states its maximum at birth.
 *
 * After a failed append the buffer keeps what it had and remembers the failure: a caller may append many times and
 * check buffer_status() once. */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include <stddef.h>

#include "base/error.h"

struct buffer {
    char *data;         /* owned; NUL-terminated where not NULL */
    size_t n_bytes;     /* without the NUL */
    size_t capacity;    /* bytes allocated */
    size_t max_bytes;   /* n_bytes never passes this */
    cria_status status; /* the first failure: NOMEM or LIMIT */
};

/* A buffer that holds at most max_bytes; owns nothing yet. */
struct buffer buffer_make(size_t max_bytes);
/* Frees and zeroes; takes an empty one. */
void buffer_free(struct buffer *b);
void buffer_append(struct buffer *b, const void *bytes, size_t n);
void buffer_append_text(struct buffer *b, const char *text);
void buffer_append_char(struct buffer *b, char c);
void buffer_append_format(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Drops all but the first n_bytes (which is at most b->n_bytes). */
void buffer_cut(struct buffer *b, size_t n_bytes);
/* OK, or the remembered failure, explained with `what`. */
CRIA_MUST_CHECK cria_status buffer_status(const struct buffer *b, const char *what, struct cria_error *err);
/* The text, never NULL; owned by the buffer. */
const char *buffer_text(const struct buffer *b);
/* Hands the bytes (NUL-terminated, alloc_free()) to the caller and empties the buffer; NULL without memory. */
char *buffer_take(struct buffer *b);

#endif
