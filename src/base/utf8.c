/* utf8.c: see utf8.h. The ranges are those of the Unicode Standard, table 3-7. */
#include "base/utf8.h"

/* Bytes that the first byte announces, and the range of the second byte; 0 for a byte that starts nothing. */
static int announced(unsigned char first, unsigned char *ret_low, unsigned char *ret_high) {
    *ret_low = 0x80;
    *ret_high = 0xbf;
    if (first < 0x80) return 1;
    if (first >= 0xc2 && first <= 0xdf) return 2;
    if (first == 0xe0) *ret_low = 0xa0;
    if (first == 0xed) *ret_high = 0x9f;
    if (first >= 0xe0 && first <= 0xef) return 3;
    if (first == 0xf0) *ret_low = 0x90;
    if (first == 0xf4) *ret_high = 0x8f;
    if (first >= 0xf0 && first <= 0xf4) return 4;
    return 0;
}

/* How many of the bytes at text fit the announced sequence; *ret_length is the announced length. */
static int matching_bytes(const char *text, size_t n, int *ret_length) {
    unsigned char low, high;
    *ret_length = n ? announced((unsigned char)text[0], &low, &high) : 0;
    if (*ret_length == 0) return 0;
    int i = 1;
    for (; i < *ret_length && (size_t)i < n; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c < low || c > high) break;
        low = 0x80;
        high = 0xbf;
    }
    return i;
}

int utf8_sequence_bytes(const char *text, size_t n) {
    int length;
    return matching_bytes(text, n, &length) == length ? length : 0;
}

int utf8_decode(const char *text, size_t n, uint32_t *ret_code) {
    static const unsigned char first_bits[5] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    const int length = utf8_sequence_bytes(text, n);
    if (length == 0) return 0;
    uint32_t code = (unsigned char)text[0] & first_bits[length];
    for (int i = 1; i < length; i++) code = code << 6 | ((unsigned char)text[i] & 0x3f);
    *ret_code = code;
    return length;
}

int utf8_encode(uint32_t code, char *out) {
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return 0;
    const int length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char mark[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (int i = length - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (char)(mark[length] | code);
    return length;
}

int utf8_is_valid(const char *text, size_t n) {
    for (size_t i = 0; i < n;) {
        const int length = utf8_sequence_bytes(text + i, n - i);
        if (length == 0) return 0;
        i += (size_t)length;
    }
    return 1;
}

size_t utf8_complete_bytes(const char *text, size_t n) {
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        int length;
        const int matched = matching_bytes(text + n - back, back, &length);
        if (length > (int)back && matched == (int)back) return n - back;
        if (length > 0) break;
    }
    return n;
}
