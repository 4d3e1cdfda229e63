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

uint32_t byte_alphabet_code(uint8_t byte) {
    if (byte_of(byte) >= 0) return byte;
    if (byte <= 32) return 0x100u + byte;
    return byte == 173 ? 0x100 + 67 : 0x100u + byte - 127 + 33;
}

uint8_t byte_alphabet_nth(int i) {
    const int printable = 126 - 33 + 1 + 172 - 161 + 1 + 255 - 174 + 1;
    if (i >= printable) return (uint8_t)byte_of(0x100 + (unsigned)(i - printable));
    if (i < 94) return (uint8_t)(33 + i);
    return (uint8_t)(i < 106 ? 161 + i - 94 : 174 + i - 106);
}
