/* rendering.h: a template's result as the reference wrote it down, and how Cria's is held against it. */
#ifndef KIT_RENDERING_H
#define KIT_RENDERING_H

#include <stdbool.h>

#include "base/json.h"
#include "text/template.h"

struct rendering {
    char *text;  /* owned; NULL where the reference fails */
    char *error; /* owned; NULL where it does not */
    size_t n;    /* of text */
};

/* Where rendering_unpack() puts the real templates, what is expected of them, and the vocabularies. */
#define RENDERING_FOLDER CRIA_SOURCE_DIR "/build/fetched/templates/"
#define RENDERING_SCRIPT CRIA_SOURCE_DIR "/tests/template/unpack.py"

/* Runs the script, which fetches what is missing; false where it fails. */
bool rendering_unpack(const char *script, const char *folder);

/* The value of "text" or "error" that comes next in the reader. */
CRIA_MUST_CHECK cria_status rendering_read(json_reader *r, bool is_error, struct rendering *ret,
                                           struct cria_error *err);
void rendering_free(struct rendering *e);

/* Renders and compares; on a difference says so on standard error, with where it begins, and returns false. */
bool rendering_holds(const struct rendering *e, const char *what, const char *source, size_t n_source,
                     const char *variables, size_t n_variables);

#endif
