/* split_gpt2.c: the pattern of GPT-2, alone and behind SmolLM2's digit step. */
#include "text/split.h"
#include "text/split_chars.h"

/* 's|'t|'re|'ve|'m|'ll|'d, in lower case only: its end, or `at`. */
static size_t contraction(const char *text, size_t n, size_t at) {
    size_t end = split_contraction(text, n, at);
    for (size_t i = at + 1; i < end; i++) {
        if (text[i] < 'a' || text[i] > 'z') return at;
    }
    return end;
}

/* \s+(?!\S)|\s+ where the character at `at` is white space; characters in `stops` count as the end of the text. */
static size_t white_space(const char *text, size_t n, size_t at, unsigned stops) {
    size_t end = at, last = at, bytes;
    unsigned class;
    while ((class = split_class_or_end(text, n, end, &bytes)) & CHAR_ANY_SPACE) {
        last = end;
        end += bytes;
    }
    if (end == n || (class & stops) || last == at) return end;
    return last;
}

static inline size_t next_piece(const char *text, size_t n, size_t at, bool numbers_alone) {
    size_t bytes;
    if (text[at] == '\'') {
        size_t end = contraction(text, n, at);
        if (end > at) return end;
    }
    unsigned class = split_class(text, n, at, &bytes);
    if (numbers_alone && (class & CHAR_NUMBER)) return at + bytes;
    size_t start = at;
    if (text[at] == ' ') {
        start = at + 1;
        class = split_class_or_end(text, n, start, &bytes);
        if (numbers_alone && (class & CHAR_NUMBER)) return start;
    }
    if (class & CHAR_LETTER) return split_run(text, n, start + bytes, CHAR_LETTER);
    if (class & CHAR_NUMBER) return split_run(text, n, start + bytes, CHAR_NUMBER);
    if (class & CHAR_SYMBOL) return split_run(text, n, start + bytes, CHAR_SYMBOL);
    return white_space(text, n, at, numbers_alone ? CHAR_NUMBER : 0);
}

size_t split_gpt2(const char *text, size_t n, size_t at) { return next_piece(text, n, at, false); }

size_t split_smollm(const char *text, size_t n, size_t at) { return next_piece(text, n, at, true); }
