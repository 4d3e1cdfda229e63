/* split_chars.h: what the splitters ask about one character, for ASCII by one look into a table.
 *
 * Only split_*.c include this. A byte that begins no well-formed UTF-8 sequence is one character of class CHAR_OTHER.
 */
#ifndef TEXT_SPLIT_CHARS_H
#define TEXT_SPLIT_CHARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    CHAR_UPPER = 1,    /* Lu Lt */
    CHAR_LOWER = 2,    /* Ll */
    CHAR_CASELESS = 4, /* Lm Lo */
    CHAR_MARK = 8,     /* M */
    CHAR_NUMBER = 16,  /* N */
    CHAR_SPACE = 32,   /* White_Space but for the next */
    CHAR_NEWLINE = 64, /* \r \n */
    CHAR_OTHER = 128,
    CHAR_LETTER = CHAR_UPPER | CHAR_LOWER | CHAR_CASELESS,
    CHAR_ANY_SPACE = CHAR_SPACE | CHAR_NEWLINE,
    CHAR_SYMBOL = CHAR_MARK | CHAR_OTHER, /* [^\s\p{L}\p{N}] */
};

extern const uint8_t split_ascii_class[128];

/* The class of the character at text, of which n > 0 bytes can be read; *ret_bytes is its length. For bytes from 0x80
 * on. */
unsigned split_wide_class(const char *text, size_t n, size_t *ret_bytes);

static inline unsigned split_class(const char *text, size_t n, size_t at, size_t *ret_bytes) {
    uint8_t byte = (uint8_t)text[at];
    if (byte < 0x80) {
        *ret_bytes = 1;
        return split_ascii_class[byte];
    }
    return split_wide_class(text + at, n - at, ret_bytes);
}

/* The class at `at`, 0 at the end of the text. */
static inline unsigned split_class_or_end(const char *text, size_t n, size_t at, size_t *ret_bytes) {
    return at < n ? split_class(text, n, at, ret_bytes) : 0;
}

/* The end of the run of characters in `classes` that begins at `at`. */
static inline size_t split_run(const char *text, size_t n, size_t at, unsigned classes) {
    size_t bytes;
    while (at < n && (split_class(text, n, at, &bytes) & classes)) at += bytes;
    return at;
}

/* \p{N}{1,3} where the character at `at` is a number. */
size_t split_three_numbers(const char *text, size_t n, size_t at);
/* (?i:'s|'t|'re|'ve|'m|'ll|'d): its end, or `at` where there is none. */
size_t split_contraction(const char *text, size_t n, size_t at);
/* \s*[\r\n]+|\s+(?!\S)|\s+ where the character at `at` is white space. */
size_t split_white_space(const char *text, size_t n, size_t at);

#endif
