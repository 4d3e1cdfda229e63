/* split_chars.c: character classes of the splitters, and the parts of patterns that several of them share. */
#include "text/split_chars.h"

#include "base/utf8.h"
#include "text/unicode_classes.h"

const uint8_t split_ascii_class[128] = {
    [0 ... 8] = CHAR_OTHER,   ['\t'] = CHAR_SPACE,         ['\n'] = CHAR_NEWLINE,      ['\v'] = CHAR_SPACE,
    ['\f'] = CHAR_SPACE,      ['\r'] = CHAR_NEWLINE,       [14 ... 31] = CHAR_OTHER,   [' '] = CHAR_SPACE,
    [33 ... 47] = CHAR_OTHER, ['0' ... '9'] = CHAR_NUMBER, [58 ... 64] = CHAR_OTHER,   ['A' ... 'Z'] = CHAR_UPPER,
    [91 ... 96] = CHAR_OTHER, ['a' ... 'z'] = CHAR_LOWER,  [123 ... 127] = CHAR_OTHER,
};

static const uint8_t category_class[128] = {
    [UNICODE_CN... UNICODE_CO] = CHAR_OTHER,
    [UNICODE_LU... UNICODE_LT] = CHAR_UPPER,
    [UNICODE_LL] = CHAR_LOWER,
    [UNICODE_LM... UNICODE_LO] = CHAR_CASELESS,
    [UNICODE_MN... UNICODE_ME] = CHAR_MARK,
    [UNICODE_ND... UNICODE_NO] = CHAR_NUMBER,
    [UNICODE_PC... UNICODE_SK] = CHAR_OTHER,
    [UNICODE_SO] = CHAR_OTHER,
    [UNICODE_ZS... UNICODE_WC] = CHAR_SPACE,
};

unsigned split_wide_class(const char *text, size_t n, size_t *ret_bytes) {
    uint32_t code;
    int bytes = utf8_decode(text, n, &code);
    if (bytes == 0) {
        *ret_bytes = 1;
        return CHAR_OTHER;
    }
    *ret_bytes = (size_t)bytes;
    return category_class[unicode_category(code)];
}

size_t split_three_numbers(const char *text, size_t n, size_t at) {
    size_t bytes;
    for (int i = 0; i < 3; i++) {
        if (!(split_class_or_end(text, n, at, &bytes) & CHAR_NUMBER)) break;
        at += bytes;
    }
    return at;
}

/* Lower case for the ASCII letters; other bytes stay what they are or become no letter. */
static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c; }

size_t split_contraction(const char *text, size_t n, size_t at) {
    if (n - at < 2 || text[at] != '\'') return at;
    char first = lower(text[at + 1]);
    if (first == 's' || first == 't' || first == 'm' || first == 'd') return at + 2;
    if (n - at < 3) return at;
    char second = lower(text[at + 2]);
    if ((first == 'r' || first == 'v') && second == 'e') return at + 3;
    if (first == 'l' && second == 'l') return at + 3;
    /* U+017F, the long s, is an s without case */
    if (first == '\xC5' && text[at + 2] == '\xBF') return at + 3;
    return at;
}

size_t split_white_space(const char *text, size_t n, size_t at) {
    size_t end = at, last = at, behind_newline = 0, bytes;
    unsigned class;
    while ((class = split_class_or_end(text, n, end, &bytes)) & CHAR_ANY_SPACE) {
        last = end;
        end += bytes;
        if (class & CHAR_NEWLINE) behind_newline = end;
    }
    if (behind_newline) return behind_newline; /* \s* gives back until [\r\n]+ finds the last newline */
    if (end == n || last == at) return end;
    return last; /* (?!\S): the last one goes with what follows */
}
