/* byte_alphabet.c: see byte_alphabet.h. All characters of the alphabet have one or two bytes in UTF-8. */
#include "text/byte_alphabet.h"

/* The byte that a code point stands for, -1 for one outside the alphabet. */
static int byte_of(unsigned code) {
    if ((code >= 33 && code <= 126) || (code >= 161 && code <= 172) || (code >= 174 && code <= 255)) return (int)code;
    if (code < 0x100 || code >= 0x100 + 68) return -1;
    int i = (int)code - 0x100;
    if (i <= 32) return i;
    if (i <= 66) return i - 33 + 127; /* 127..160 */
    return 173;
}

ptrdiff_t byte_alphabet_read(const char *text, size_t n, char *out) {
    size_t count = 0;
    for (size_t at = 0; at < n; at++) {
        unsigned code = (uint8_t)text[at];
        if (code >= 0x80) {
            unsigned next = at + 1 < n ? (uint8_t)text[at + 1] : 0;
            if (code < 0xC2 || code > 0xC5 || (next & 0xC0) != 0x80) return -1;
            code = (code & 0x1F) << 6 | (next & 0x3F);
            at++;
        }
        int byte = byte_of(code);
        if (byte < 0) return -1;
        out[count++] = (char)byte;
    }
    return (ptrdiff_t)count;
}
