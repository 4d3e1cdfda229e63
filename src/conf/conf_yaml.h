/* conf_yaml.h: YAML files as a flat list of values, each with its path and line.
 *
 *   sources:                       sources[0].path   = "a.txt"       line 2
 *     - path: a.txt                sources[0].weight = "2"           line 3
 *       weight: 2                  seq-length        = "1024"        line 4
 *   seq-length: 1024
 *
 * Callers may believe: every value is text as it stands in the file (what it means is the caller's business), in the
 * file's order; no path comes twice. Refused, with the line: what is no YAML, more than one document, aliases and
 * anchors, tags, keys that are not plain words (letters, digits, - and _, and dots never), a key given twice, nesting
 * deeper than CONF_YAML_DEPTH, a value left out. An empty file, mapping or list gives nothing and is no error. */
#ifndef CONF_YAML_H
#define CONF_YAML_H

#include "base/error.h"

#define CONF_YAML_DEPTH 16
#define CONF_YAML_ITEMS (1 << 14)
#define CONF_YAML_PATH 512
#define CONF_YAML_BYTES (4 << 20)

struct conf_yaml_item {
    char *path;  /* owned */
    char *value; /* owned */
    int line;    /* counted from 1 */
};

struct conf_yaml {
    char *name; /* owned: the file, as messages call it */
    struct conf_yaml_item *items;
    int n_items;
};

/* Reads n bytes of text; FORMAT. */
CRIA_MUST_CHECK cria_status conf_yaml_parse(struct conf_yaml **ret, const char *name, const char *text, size_t n,
                                            struct cria_error *err);
/* Takes NULL; clears the caller's pointer. */
void conf_yaml_destroy(struct conf_yaml **y);
/* The value at a path, or NULL. */
const char *conf_yaml_get(const struct conf_yaml *y, const char *path);
/* How many entries the list at a path has: 0 for none and for what is no list. */
int conf_yaml_count(const struct conf_yaml *y, const char *path);

#endif
