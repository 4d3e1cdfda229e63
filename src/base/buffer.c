/* buffer.c: see buffer.h. */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"

struct buffer buffer_make(size_t max_bytes) {
    return (struct buffer){.max_bytes = max_bytes};
}

void buffer_free(struct buffer *b) {
    alloc_free(b->data);
    *b = (struct buffer){.max_bytes = b->max_bytes};
}

/* Makes room for n more bytes and the NUL; zero where that failed, and then the buffer remembers why. */
static int reserve(struct buffer *b, size_t n) {
    if (b->status != CRIA_OK) return 0;
    size_t need;
    if (checked_add_size(b->n_bytes, n, &need) || need > b->max_bytes) {
        b->status = CRIA_LIMIT;
        return 0;
    }
    if (need < b->capacity) return 1;
    size_t capacity = b->capacity ? b->capacity : 64;
    while (capacity <= need && capacity <= SIZE_MAX / 2) capacity *= 2;
    char *data = capacity > need ? alloc_resize(b->data, capacity, 1) : NULL;
    if (!data) {
        b->status = CRIA_NOMEM;
        return 0;
    }
    b->data = data;
    b->capacity = capacity;
    return 1;
}

void buffer_append(struct buffer *b, const void *bytes, size_t n) {
    if (!reserve(b, n)) return;
    if (n) memcpy(b->data + b->n_bytes, bytes, n);
    b->n_bytes += n;
    b->data[b->n_bytes] = '\0';
}

void buffer_append_text(struct buffer *b, const char *text) { buffer_append(b, text, strlen(text)); }

void buffer_append_char(struct buffer *b, char c) { buffer_append(b, &c, 1); }

void buffer_append_format(struct buffer *b, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n >= 0 && reserve(b, (size_t)n)) {
        vsnprintf(b->data + b->n_bytes, (size_t)n + 1, format, again);
        b->n_bytes += (size_t)n;
    }
    va_end(again);
}

void buffer_cut(struct buffer *b, size_t n_bytes) {
    CRIA_ASSERT(n_bytes <= b->n_bytes);
    b->n_bytes = n_bytes;
    if (b->data) b->data[n_bytes] = '\0';
}

cria_status buffer_status(const struct buffer *b, const char *what, struct cria_error *err) {
    if (b->status == CRIA_NOMEM) return ERROR_NOMEM(err, b->capacity * 2, what);
    if (b->status == CRIA_LIMIT) return ERROR_SET(err, CRIA_LIMIT, "%s is longer than %zu bytes", what, b->max_bytes);
    return CRIA_OK;
}

const char *buffer_text(const struct buffer *b) { return b->data ? b->data : ""; }

char *buffer_take(struct buffer *b) {
    char *data = b->data ? b->data : alloc_text("", 0);
    b->data = NULL;
    buffer_free(b);
    return data;
}
