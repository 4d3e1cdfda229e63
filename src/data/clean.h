/* clean.h: what is done to a document before anything looks at it, as a table of rules. A rule only ever changes or
 * removes bytes, so it works in place; text stays well-formed UTF-8. */
#ifndef DATA_CLEAN_H
#define DATA_CLEAN_H

#include <stdbool.h>
#include <stddef.h>

struct clean_rule {
    const char *name;
    int version; /* goes up when the rule's results change */
    bool is_default;
    const char *help;
    /* Changes text[0..n) in place; returns the new length and says whether any byte differs. */
    size_t (*run)(char *text, size_t n, bool *ret_is_changed);
};

#define CLEAN_COUNT 5
extern const struct clean_rule clean_rules[CLEAN_COUNT];

/* The index of the rule of that name, or -1. */
int clean_find(const char *name);

#endif
