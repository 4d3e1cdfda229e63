/* byte_alphabet.h: the alphabet in which byte-level vocabularies are written: one printable character for each byte.
 *
 * Bytes 33..126, 161..172 and 174..255 are the characters of the same code; the other 68, in order, are U+0100, U+0101,
 * ... */
#ifndef TEXT_BYTE_ALPHABET_H
#define TEXT_BYTE_ALPHABET_H

#include <stddef.h>
#include <stdint.h>

/* Writes the bytes that the n bytes of text spell to out, which has room for n; returns how many, or -1 where a
 * character is not of the alphabet. */
ptrdiff_t byte_alphabet_read(const char *text, size_t n, char *out);
/* The code point of a byte's character; below 0x800. */
uint32_t byte_alphabet_code(uint8_t byte);
/* The byte whose character is the i-th by code point, i from 0 to 255. */
uint8_t byte_alphabet_nth(int i);

#endif
