/* split_regex.h: patterns that have no splitter of their own, run by Oniguruma, the engine of the reference library,
 * under limits.
 *
 * Letters, marks, numbers and so on are those of unicode_classes.h, whatever version of Unicode Oniguruma has (\w, \d
 * and POSIX brackets stay its own: they differ in characters newer than the library). Recursion, conditionals, callouts
 * and absent functions are refused by name. A text on which the pattern needs too many steps is refused with LIMIT: it
 * is never cut otherwise. A compiled pattern is read-only: any thread may search with it. */
#ifndef TEXT_SPLIT_REGEX_H
#define TEXT_SPLIT_REGEX_H

#include <stddef.h>

#include "base/error.h"

/* What happens to the matches and to what lies between them, as in the reference library. */
enum split_behaviour {
    SPLIT_REMOVED,
    SPLIT_ISOLATED,
    SPLIT_MERGED_WITH_PREVIOUS,
    SPLIT_MERGED_WITH_NEXT,
    SPLIT_CONTIGUOUS
};

struct split_regex;

CRIA_MUST_CHECK cria_status split_regex_compile(struct split_regex **ret, const char *pattern, size_t n,
                                                struct cria_error *err);
void split_regex_destroy(struct split_regex **r);
/* The first match at or behind `from` in text: [*ret_start, *ret_end); NOTFOUND where there is none (then *err is
 * untouched). */
CRIA_MUST_CHECK cria_status split_regex_find(const struct split_regex *r, const char *text, size_t n, size_t from,
                                             size_t *ret_start, size_t *ret_end, struct cria_error *err);

#endif
