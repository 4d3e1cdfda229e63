/* byte_alphabet.c: see byte_alphabet.h. All characters of the alphabet have one or two bytes in UTF-8. */
#include "text/byte_alphabet.h"

#include "base/utf8.h"

/* The byte that a code point stands for, -1 for one outside the alphabet. */
static int byte_of(uint32_t code) {
    if ((code >= 33 && code <= 126) || (code >= 161 && code <= 172) || (code >= 174 && code <= 255)) return (int)code;
    if (code < 0x100 || code >= 0x100 + 68) return -1;
    int i = (int)code - 0x100;
    if (i <= 32) return i;
    if (i <= 66) return i - 33 + 127; /* 127..160 */
    return 173;
}

ptrdiff_t byte_alphabet_read(const char *text, size_t n, char *out) {
    size_t count = 0;
    for (size_t at = 0; at < n;) {
        uint32_t code = (uint8_t)text[at];
        int bytes = code < 0x80 ? 1 : utf8_decode(text + at, n - at, &code);
        int byte = bytes ? byte_of(code) : -1;
        if (byte < 0) return -1;
        out[count++] = (char)byte;
        at += (size_t)bytes;
    }
    return (ptrdiff_t)count;
}
