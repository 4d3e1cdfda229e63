/* error.c: see error.h. */
#include "base/error.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

const char *cria_status_text(cria_status status) {
    static const char *const texts[CRIA_STATUS_COUNT] = {
#define CRIA_STATUS_TEXT(name, text) [CRIA_##name] = text,
        CRIA_STATUS_LIST(CRIA_STATUS_TEXT)
#undef CRIA_STATUS_TEXT
    };
    return (unsigned)status < CRIA_STATUS_COUNT ? texts[status] : "unknown status";
}

const char *cria_status_name(cria_status status) {
    static const char *const names[CRIA_STATUS_COUNT] = {
#define CRIA_STATUS_NAME(name, text) [CRIA_##name] = "CRIA_" #name,
        CRIA_STATUS_LIST(CRIA_STATUS_NAME)
#undef CRIA_STATUS_NAME
    };
    return (unsigned)status < CRIA_STATUS_COUNT ? names[status] : "CRIA_UNKNOWN";
}

void error_escape_line(char *out, size_t n, const char *raw) {
    size_t used = 0;
    const size_t raw_bytes = strlen(raw);
    for (size_t i = 0; i < raw_bytes;) {
        const int length = utf8_sequence_bytes(raw + i, raw_bytes - i);
        const unsigned char c = (unsigned char)raw[i];
        const int plain = length > 0 && c >= 0x20 && c != 0x7f;
        const size_t need = plain ? (size_t)length : 4;
        if (used + need + 1 > n) break;
        if (plain) {
            memcpy(out + used, raw + i, need);
            i += need;
        } else {
            snprintf(out + used, 5, "\\x%02x", c);
            i++;
        }
        used += need;
    }
    out[used] = '\0';
}

cria_status error_set(struct cria_error *err, cria_status status, const char *file, int line, const char *format, ...) {
    if (!err) return status;
    char raw[sizeof err->text];
    va_list args;
    va_start(args, format);
    vsnprintf(raw, sizeof raw, format, args);
    va_end(args);
    err->status = status;
    err->source_file = file;
    err->source_line = line;
    error_escape_line(err->text, sizeof err->text, raw);
    return status;
}

void error_prefix(struct cria_error *err, const char *format, ...) {
    if (!err) return;
    char prefix[sizeof err->text], whole[2 * sizeof err->text + 2];
    va_list args;
    va_start(args, format);
    vsnprintf(prefix, sizeof prefix, format, args);
    va_end(args);
    snprintf(whole, sizeof whole, "%s: %s", prefix, err->text);
    error_escape_line(err->text, sizeof err->text, whole);
}

_Noreturn void error_assert_failed(const char *expression, const char *file, int line) {
    fprintf(stderr, "cria: a fault in Cria itself: %s does not hold (%s:%d)\n", expression, file, line);
    abort();
}
