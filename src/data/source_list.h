/* source_list.h: the files behind a list of paths, folders walked in a fixed order; private to source*.c. */
#ifndef DATA_SOURCE_LIST_H
#define DATA_SOURCE_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct source_file {
    char *path;       /* owned */
    uint64_t n_bytes; /* on disk, when it was listed */
    bool is_lines;    /* JSON lines, else plain text */
};

struct source_list {
    struct source_file *files; /* owned, [capacity] */
    int64_t n, capacity;
    int64_t n_ignored;
    uint64_t n_bytes;
};

/* Fills a zeroed list; as source_open(). */
CRIA_MUST_CHECK cria_status source_list_fill(struct source_list *list, const char *const *paths, int n_paths,
                                             struct cria_error *err);
void source_list_free(struct source_list *list);

#endif
