/* json_write.c: the JSON writer (see json.h). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/utf8.h"

json_writer json_writer_make(struct buffer *out) { return (json_writer){.out = out}; }

/* The comma before a member, where one is due; another will be due behind it. */
static void separate(json_writer *w) {
    if (w->needs_comma) buffer_append_char(w->out, ',');
    w->needs_comma = true;
}

static void begin(json_writer *w, char c) {
    separate(w);
    buffer_append_char(w->out, c);
    w->depth++;
    w->needs_comma = false;
}

static void end(json_writer *w, char c) {
    CRIA_ASSERT(w->depth > 0);
    buffer_append_char(w->out, c);
    w->depth--;
    w->needs_comma = true;
}

void json_write_begin_object(json_writer *w) { begin(w, '{'); }
void json_write_end_object(json_writer *w) { end(w, '}'); }
void json_write_begin_array(json_writer *w) { begin(w, '['); }
void json_write_end_array(json_writer *w) { end(w, ']'); }

void json_write_key(json_writer *w, const char *key) {
    json_write_text(w, key);
    buffer_append_char(w->out, ':');
    w->needs_comma = false;
}

/* Writes one byte that cannot stand for itself: a quote, a backslash, a control character or malformed UTF-8. */
static void write_special(struct buffer *out, unsigned char c) {
    static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    const char *p = c ? strchr(plain, c) : NULL;
    if (p) {
        const char escape[2] = {'\\', letters[p - plain]};
        buffer_append(out, escape, 2);
    } else if (c < 0x20) {
        buffer_append_format(out, "\\u%04x", c);
    } else {
        buffer_append_text(out, "\xef\xbf\xbd");
    }
}

void json_write_string(json_writer *w, const char *bytes, size_t n) {
    separate(w);
    buffer_append_char(w->out, '"');
    size_t begin_at = 0;
    for (size_t i = 0; i < n;) {
        const unsigned char c = (unsigned char)bytes[i];
        const int length = c < 0x80 ? 1 : utf8_sequence_bytes(bytes + i, n - i);
        if (c >= 0x20 && c != '"' && c != '\\' && length > 0) {
            i += (size_t)length;
            continue;
        }
        buffer_append(w->out, bytes + begin_at, i - begin_at);
        write_special(w->out, c);
        begin_at = ++i;
    }
    buffer_append(w->out, bytes + begin_at, n - begin_at);
    buffer_append_char(w->out, '"');
}

void json_write_text(json_writer *w, const char *text) { json_write_string(w, text, strlen(text)); }

void json_write_i64(json_writer *w, int64_t value) {
    separate(w);
    buffer_append_format(w->out, "%lld", (long long)value);
}

void json_write_u64(json_writer *w, uint64_t value) {
    separate(w);
    buffer_append_format(w->out, "%llu", (unsigned long long)value);
}

/* Appends what printf wrote, with '.' for the decimal point of whatever locale is set. */
static void append_number(struct buffer *out, const char *text) {
    for (size_t i = 0; text[i];) {
        if (strchr("0123456789+-e", text[i])) {
            buffer_append_char(out, text[i++]);
        } else {
            buffer_append_char(out, '.');
            while (text[i] && !strchr("0123456789", text[i])) i++;
        }
    }
}

void json_write_f32(json_writer *w, float value) {
    char text[64];
    if (!isfinite(value)) {
        json_write_null(w);
        return;
    }
    separate(w);
    snprintf(text, sizeof text, "%.9g", (double)value);
    append_number(w->out, text);
}

void json_write_f64(json_writer *w, double value) {
    char text[64];
    if (!isfinite(value)) {
        json_write_null(w);
        return;
    }
    separate(w);
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    append_number(w->out, text);
}

void json_write_bool(json_writer *w, bool value) {
    separate(w);
    buffer_append_text(w->out, value ? "true" : "false");
}

void json_write_null(json_writer *w) {
    separate(w);
    buffer_append_text(w->out, "null");
}
