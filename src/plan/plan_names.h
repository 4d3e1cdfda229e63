/* plan_names.h: names as people write them: "H100 SXM 80GB (DGX)", "h100_sxm", "8xH100". */
#ifndef PLAN_PLAN_NAMES_H
#define PLAN_PLAN_NAMES_H

#include <stddef.h>

#define PLAN_NAMES_EXACT ((size_t)1000)

/* How well a known spelling answers a name: PLAN_NAMES_EXACT where they are the same but for case and separators; the
 * number of letters of the spelling where its words stand in the name one after the other; half of it where a word of
 * the name begins with it ("H100s"); else 0. */
size_t plan_names_score(const char *spelling, const char *name);
/* How many letters have to be changed, added or left out to make one of the other (Levenshtein); case and separators
 * do not count. */
size_t plan_names_distance(const char *a, const char *b);

#endif
