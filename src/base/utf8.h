/* utf8.h: UTF-8 as Unicode defines it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the well-formed sequence at text (n bytes readable): 1 to 4; 0 where it is malformed, cut or n = 0. */
int utf8_sequence_bytes(const char *text, size_t n);
/* Decodes the sequence at text into *ret_code; returns its bytes, or 0 as above with *ret_code untouched. */
int utf8_decode(const char *text, size_t n, uint32_t *ret_code);
/* Writes code (a scalar value) to out, which has room for 4 bytes; returns the bytes written, 0 for no scalar value. */
int utf8_encode(uint32_t code, char *out);
/* Whether all n bytes are well-formed. */
int utf8_is_valid(const char *text, size_t n);
/* How many of the n bytes can be shown now: all but an incomplete, still possible sequence at the end. */
size_t utf8_complete_bytes(const char *text, size_t n);

#endif
