/* json_string.c: strings of the JSON reader: finding their end eight bytes at a time, checking UTF-8, undoing escapes.
 *
 * Without escapes a string is a part of the text and nothing is copied. */
#include <string.h>

#include "base/json_scan.h"
#include "base/utf8.h"

#define EACH_BYTE(c) (0x0101010101010101u * (uint64_t)(c))

/* The high bit of the lowest byte that is no plain ASCII string byte, and maybe of bytes above it; 0: all are plain.
 * x - 1 borrows only past bytes that are zero, so the lowest mark is always right. */
static uint64_t special_bytes(uint64_t word) {
    const uint64_t quote = word ^ EACH_BYTE('"'), backslash = word ^ EACH_BYTE('\\');
    const uint64_t zero = ((quote - EACH_BYTE(1)) & ~quote) | ((backslash - EACH_BYTE(1)) & ~backslash);
    const uint64_t control = (word - EACH_BYTE(0x20)) & ~word;
    return (zero | control | word) & EACH_BYTE(0x80);
}

/* The first place from `at` on that is no plain ASCII string byte, or n. */
static size_t plain_end(const char *text, size_t at, size_t n) {
    for (; n - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, text + at, 8);
        word = special_bytes(word);
        if (word) return at + (size_t)(__builtin_ctzll(word) >> 3);
    }
    while (at < n && (unsigned char)text[at] >= 0x20 && (unsigned char)text[at] < 0x80 && text[at] != '"' &&
           text[at] != '\\')
        at++;
    return at;
}

/* The first place from `at` on that holds a quote, a backslash or something that may not be in a string, or n. */
static size_t run_end(const char *text, size_t at, size_t n) {
    for (;;) {
        at = plain_end(text, at, n);
        const int length = at < n && (unsigned char)text[at] >= 0x80 ? utf8_sequence_bytes(text + at, n - at) : 0;
        if (length == 0) return at;
        at += (size_t)length;
    }
}

/* The value of four hexadecimal digits at text, or -1. */
static int32_t hex_value(const char *text, size_t n) {
    int32_t value = 0;
    if (n < 4) return -1;
    for (int i = 0; i < 4; i++) {
        const char c = text[i];
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (digit < 0) return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* Undoes the \u escape at the reader's place, a surrogate pair as a whole. */
static cria_status take_unicode(json_reader *r, struct cria_error *err) {
    const char *p = r->text + r->at;
    const size_t left = r->n - r->at;
    size_t taken = 6;
    int32_t code = hex_value(p + 2, left - 2);
    if (code < 0) return json_scan_fail(r, err, CRIA_FORMAT, r->at, "expected four hexadecimal digits behind \\u");
    if (code >= 0xd800 && code < 0xdc00 && left >= 12 && p[6] == '\\' && p[7] == 'u') {
        const int32_t low = hex_value(p + 8, left - 8);
        if (low >= 0xdc00 && low < 0xe000) {
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            taken = 12;
        }
    }
    char bytes[4];
    const int n = utf8_encode((uint32_t)code, bytes);
    if (n == 0)
        return json_scan_fail(r, err, CRIA_FORMAT, r->at, "\\u%.4s is half of a surrogate pair and stands alone",
                              p + 2);
    buffer_append(&r->scratch, bytes, (size_t)n);
    r->at += taken;
    return CRIA_OK;
}

/* Undoes the escape at the reader's place. */
static cria_status take_escape(json_reader *r, struct cria_error *err) {
    static const char plain[] = "\"\\/bfnrt", meaning[] = "\"\\/\b\f\n\r\t";
    if (r->n - r->at < 2) return json_scan_fail(r, err, CRIA_FORMAT, r->at, "the text ends inside of a string");
    const char c = r->text[r->at + 1];
    if (c == 'u') return take_unicode(r, err);
    const char *p = c ? strchr(plain, c) : NULL;
    if (!p) return json_scan_fail(r, err, CRIA_FORMAT, r->at, "a string has an unknown escape");
    buffer_append_char(&r->scratch, meaning[p - plain]);
    r->at += 2;
    return CRIA_OK;
}

/* Says why the string cannot go on at the reader's place. */
static cria_status fail_inside(json_reader *r, struct cria_error *err) {
    if (r->at == r->n)
        return json_scan_fail(r, err, CRIA_FORMAT, r->value_at, "the string that begins here has no end");
    const unsigned char c = (unsigned char)r->text[r->at];
    if (c < 0x20)
        return json_scan_fail(r, err, CRIA_FORMAT, r->at, "the control character 0x%02x in a string is not escaped", c);
    return json_scan_fail(r, err, CRIA_FORMAT, r->at, "the byte 0x%02x in a string is not UTF-8", c);
}

/* Goes on with a string whose first escape is at the reader's place; its bytes so far begin at `begin`. */
static cria_status scan_escaped(json_reader *r, size_t begin, struct json_text *ret, struct cria_error *err) {
    buffer_cut(&r->scratch, 0);
    for (;;) {
        buffer_append(&r->scratch, r->text + begin, r->at - begin);
        if (r->at == r->n) return fail_inside(r, err);
        if (r->text[r->at] == '"') break;
        if (r->text[r->at] != '\\') return fail_inside(r, err);
        const cria_status status = take_escape(r, err);
        if (status != CRIA_OK) return status;
        begin = r->at;
        r->at = run_end(r->text, r->at, r->n);
    }
    r->at++;
    const cria_status status = buffer_status(&r->scratch, "a JSON string", err);
    if (status != CRIA_OK) {
        r->failed = status;
        return status;
    }
    *ret = (struct json_text){buffer_text(&r->scratch), r->scratch.n_bytes};
    return CRIA_OK;
}

cria_status json_scan_string(json_reader *r, const char *what, struct json_text *ret, bool *ret_is_scratch,
                             struct cria_error *err) {
    json_scan_space(r);
    r->value_at = r->at;
    if (r->at == r->n || r->text[r->at] != '"') return json_scan_expected(r, err, what);
    const size_t begin = r->at + 1;
    r->at = run_end(r->text, begin, r->n);
    if (r->at < r->n && r->text[r->at] == '"') {
        *ret = (struct json_text){r->text + begin, r->at - begin};
        *ret_is_scratch = false;
        r->at++;
        return CRIA_OK;
    }
    *ret_is_scratch = true;
    return scan_escaped(r, begin, ret, err);
}

cria_status json_read_string(json_reader *r, struct json_text *ret, struct cria_error *err) {
    if (r->failed != CRIA_OK) return json_scan_again(r, err);
    bool is_scratch;
    return json_scan_string(r, "a string", ret, &is_scratch, err);
}
