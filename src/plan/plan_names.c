/* plan_names.c: comparing names (see plan_names.h). */
#include "plan/plan_names.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define MAX_LETTERS 160

/* Lower case, every run of other characters one blank, "8xh100" as "8 h100"; returns the number of letters. */
static size_t words_of(const char *text, char out[MAX_LETTERS + 2]) {
    size_t n = 0, n_letters = 0;
    bool is_count = true; /* the word so far is a number */
    for (const char *c = text; *c && n < MAX_LETTERS; c++) {
        unsigned char u = (unsigned char)*c;
        bool is_word_start = !n || out[n - 1] == ' ';
        bool is_times = tolower(u) == 'x' && !is_word_start && is_count && isalpha((unsigned char)c[1]);
        if (isalnum(u) && !is_times) {
            is_count = isdigit(u) && (is_count || is_word_start);
            out[n++] = (char)tolower(u);
            n_letters++;
        } else if (!is_word_start) {
            out[n++] = ' ';
        }
    }
    if (n && out[n - 1] == ' ') n--;
    out[n] = 0;
    return n_letters;
}

static void without_blanks(char *text) {
    char *to = text;
    for (const char *c = text; *c; c++)
        if (*c != ' ') *to++ = *c;
    *to = 0;
}

/* Whether a word of `words` is the spelling with letters behind it ("h100s", "tpuv5p"), but not another number. */
static bool begins_word(const char *spelling, const char *words) {
    size_t n = strlen(spelling);
    if (n < 4) return false;
    for (const char *at = words; (at = strstr(at, spelling)); at++)
        if ((at == words || at[-1] == ' ') && !isdigit((unsigned char)at[n])) return true;
    return false;
}

size_t plan_names_score(const char *spelling, const char *name) {
    char a[MAX_LETTERS + 2], b[MAX_LETTERS + 2];
    size_t n_letters = words_of(spelling, a);
    words_of(name, b);
    if (!n_letters) return 0;
    size_t n = strlen(a);
    for (const char *at = b; (at = strstr(at, a)); at++)
        if ((at == b || at[-1] == ' ') && (at[n] == ' ' || !at[n]) && n < strlen(b)) return n_letters;
    char joined[MAX_LETTERS + 2];
    memcpy(joined, b, strlen(b) + 1);
    without_blanks(a);
    without_blanks(joined);
    if (strcmp(a, joined) == 0) return PLAN_NAMES_EXACT;
    return begins_word(a, b) ? n_letters / 2 : 0;
}

size_t plan_names_distance(const char *x, const char *y) {
    char a[MAX_LETTERS + 2], b[MAX_LETTERS + 2];
    words_of(x, a);
    words_of(y, b);
    without_blanks(a);
    without_blanks(b);
    size_t n = strlen(b), row[MAX_LETTERS + 2];
    for (size_t j = 0; j <= n; j++) row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[n];
}
