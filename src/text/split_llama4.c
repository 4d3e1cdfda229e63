/* split_llama4.c: the pattern of Llama 4 (the same as OpenAI's o200k_base but for the name).
 *
 * A word is an optional character in front, then U*L+ or U+L*, where the two classes share Lm, Lo and M. The greedy U*
 * may have to give back: where no Ll follows it, it gives back until its last shared character, which is then all of
 * L+. */
#include "text/split.h"
#include "text/split_chars.h"

enum {
    WORD_SHARED = CHAR_CASELESS | CHAR_MARK,
    WORD_UPPER = CHAR_UPPER | WORD_SHARED,
    WORD_LOWER = CHAR_LOWER | WORD_SHARED,
};

/* U*L+ at `at`: its end, or `at` where it does not match. *ret_upper is the end of the run of U. */
static size_t lower_word(const char *text, size_t n, size_t at, size_t *ret_upper) {
    size_t end = at, behind_shared = at, bytes;
    unsigned class;
    while ((class = split_class_or_end(text, n, end, &bytes)) & WORD_UPPER) {
        end += bytes;
        if (class & WORD_SHARED) behind_shared = end;
    }
    *ret_upper = end;
    if (class & CHAR_LOWER) return split_run(text, n, end, WORD_LOWER);
    return behind_shared;
}

/* The two alternatives for words, with the prefix of `prefix` bytes tried first; `at` where neither matches. */
static size_t word(const char *text, size_t n, size_t at, size_t prefix) {
    size_t upper_prefixed = at, upper = at, end;
    if (prefix) {
        end = lower_word(text, n, at + prefix, &upper_prefixed);
        if (end > at + prefix) return end;
    }
    end = lower_word(text, n, at, &upper);
    if (end > at) return end;
    if (prefix && upper_prefixed > at + prefix) return upper_prefixed; /* L* finds nothing behind the run of U */
    return upper;
}

static size_t symbols(const char *text, size_t n, size_t at) {
    size_t end = split_run(text, n, at, CHAR_SYMBOL);
    while (end < n && (text[end] == '\r' || text[end] == '\n' || text[end] == '/')) end++;
    return end;
}

size_t split_llama4(const char *text, size_t n, size_t at) {
    size_t bytes, next_bytes;
    unsigned class = split_class(text, n, at, &bytes);
    if (class & CHAR_NUMBER) return split_three_numbers(text, n, at);
    if (!(class & CHAR_NEWLINE)) {
        size_t end = word(text, n, at, class & CHAR_LETTER ? 0 : bytes);
        if (end > at) return split_contraction(text, n, end);
    }
    if (class & CHAR_SYMBOL) return symbols(text, n, at);
    unsigned next = split_class_or_end(text, n, at + bytes, &next_bytes);
    if (text[at] == ' ' && (next & CHAR_SYMBOL)) return symbols(text, n, at + 1);
    return split_white_space(text, n, at);
}
