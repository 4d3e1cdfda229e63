/* markup.c: see markup.h. */
#include "report/markup.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

#define REPLACEMENT "\xef\xbf\xbd"
/* The mean letter of a sans-serif face is a bit more than half as wide as it is high. */
#define LETTER_WIDTH 0.56

static const char *entity(char c) {
    switch (c) {
        case '&':
            return "&amp;";
        case '<':
            return "&lt;";
        case '>':
            return "&gt;";
        case '"':
            return "&quot;";
        case '\'':
            return "&#39;";
        default:
            return NULL;
    }
}

void markup_text(struct buffer *out, const char *text) {
    if (!text) return;
    const size_t n = strlen(text);
    for (size_t i = 0; i < n;) {
        const int bytes = utf8_sequence_bytes(text + i, n - i);
        const unsigned char c = (unsigned char)text[i];
        if (bytes == 0 || (c < 0x20 && c != '\t' && c != '\n') || c == 0x7f) {
            buffer_append_text(out, REPLACEMENT);
            i++;
        } else if (entity(text[i])) {
            buffer_append_text(out, entity(text[i]));
            i++;
        } else {
            buffer_append(out, text + i, (size_t)bytes);
            i += (size_t)bytes;
        }
    }
}

void markup_number(struct buffer *out, double value) {
    double tenths = isfinite(value) && fabs(value) < 1e9 ? round(value * 10) : 0;
    if (tenths == 0) tenths = 0; /* drops the sign of -0 */
    const long long whole = (long long)fabs(tenths);
    buffer_append_format(out, "%s%lld", tenths < 0 ? "-" : "", whole / 10);
    if (whole % 10) buffer_append_format(out, ".%lld", whole % 10);
}

double markup_width(const char *text, double size) {
    size_t n_letters = 0;
    for (const char *p = text ? text : ""; *p; p++) n_letters += ((unsigned char)*p & 0xc0) != 0x80;
    return (double)n_letters * size * LETTER_WIDTH;
}
