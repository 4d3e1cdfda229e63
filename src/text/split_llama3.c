/* split_llama3.c: the pattern of Llama 3 (the same as OpenAI's cl100k_base). */
#include "text/split.h"
#include "text/split_chars.h"

size_t split_llama3(const char *text, size_t n, size_t at) {
    size_t bytes, next_bytes;
    if (text[at] == '\'') {
        size_t end = split_contraction(text, n, at);
        if (end > at) return end;
    }
    unsigned class = split_class(text, n, at, &bytes);
    if (class & CHAR_LETTER) return split_run(text, n, at + bytes, CHAR_LETTER);
    if (class & CHAR_NUMBER) return split_three_numbers(text, n, at);
    unsigned next = split_class_or_end(text, n, at + bytes, &next_bytes);
    if (!(class & CHAR_NEWLINE) && (next & CHAR_LETTER)) {
        return split_run(text, n, at + bytes + next_bytes, CHAR_LETTER);
    }
    if ((class & CHAR_SYMBOL) || (text[at] == ' ' && (next & CHAR_SYMBOL))) {
        size_t end = split_run(text, n, at + bytes, CHAR_SYMBOL);
        return split_run(text, n, end, CHAR_NEWLINE);
    }
    return split_white_space(text, n, at);
}
