/* clean.c: see clean.h. Most documents need no rule, so each first looks for what it would change. */
#include "data/clean.h"

#include <string.h>

static size_t drop_mark(char *text, size_t n, bool *ret_is_changed) {
    *ret_is_changed = n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0;
    if (!*ret_is_changed) return n;
    memmove(text, text + 3, n - 3);
    return n - 3;
}

static size_t join_line_ends(char *text, size_t n, bool *ret_is_changed) {
    char *from = n ? memchr(text, '\r', n) : NULL;
    *ret_is_changed = from != NULL;
    if (!from) return n;
    size_t to = (size_t)(from - text);
    for (size_t i = to; i < n; i++) {
        if (text[i] != '\r') text[to++] = text[i];
        else if (i + 1 == n || text[i + 1] != '\n') text[to++] = '\n';
    }
    return to;
}

static bool is_control(unsigned char c) { return (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f; }

static size_t drop_controls(char *text, size_t n, bool *ret_is_changed) {
    size_t to = 0;
    while (to < n && !is_control((unsigned char)text[to])) to++;
    *ret_is_changed = to < n;
    for (size_t i = to; i < n; i++)
        if (!is_control((unsigned char)text[i])) text[to++] = text[i];
    return to;
}

static size_t drop_line_tails(char *text, size_t n, bool *ret_is_changed) {
    size_t to = 0, kept = 0; /* kept: behind the last byte of this line that stays */
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\n') to = kept;
        const bool is_blank = text[i] == ' ' || text[i] == '\t';
        text[to++] = text[i];
        if (!is_blank) kept = to;
    }
    if (n > 0) to = kept;
    *ret_is_changed = to != n;
    return to;
}

static size_t join_empty_lines(char *text, size_t n, bool *ret_is_changed) {
    size_t to = 0, ends = 0;
    for (size_t i = 0; i < n; i++) {
        ends = text[i] == '\n' ? ends + 1 : 0;
        if (ends <= 2) text[to++] = text[i];
    }
    *ret_is_changed = to != n;
    return to;
}

const struct clean_rule clean_rules[CLEAN_COUNT] = {
    {"byte_order_mark", 1, true, "U+FEFF at the beginning is dropped", drop_mark},
    {"line_ends", 1, true, "CR LF and CR become LF", join_line_ends},
    {"controls", 1, true, "U+0000 to U+001F but tab and line end, and U+007F, are dropped", drop_controls},
    {"line_tails", 1, false, "spaces and tabs at the ends of lines are dropped", drop_line_tails},
    {"empty_lines", 1, false, "more than one empty line in a row becomes one", join_empty_lines},
};

int clean_find(const char *name) {
    for (int i = 0; i < CLEAN_COUNT; i++)
        if (strcmp(clean_rules[i].name, name) == 0) return i;
    return -1;
}
