/* source_list.c: see source_list.h. A folder's files are collected whatever their order and then sorted by the bytes of
 * their paths, so that "a/b.txt" and "a.txt" stand where strcmp() puts them. */
#include "data/source_list.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "data/source.h"

static bool has_ending(const char *name, size_t n, const char *ending) {
    const size_t n_ending = strlen(ending);
    return n > n_ending && memcmp(name + n - n_ending, ending, n_ending) == 0;
}

/* What the name says: whether a folder's file of that name is read at all, and as what. */
static bool is_known(const char *name, bool *ret_is_lines) {
    static const struct {
        const char *ending;
        bool is_lines;
    } kinds[] = {{".txt", false},  {".text", false},  {".md", false},
                 {".jsonl", true}, {".ndjson", true}, {".json", true}};
    size_t n = strlen(name);
    if (has_ending(name, n, ".gz")) n -= 3;
    else if (has_ending(name, n, ".zst")) n -= 4;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (has_ending(name, n, kinds[i].ending)) {
            *ret_is_lines = kinds[i].is_lines;
            return true;
        }
    *ret_is_lines = false;
    return false;
}

/* Takes path, also on failure. */
static cria_status add_file(struct source_list *list, char *path, const struct stat *st, struct cria_error *err) {
    cria_status status = CRIA_OK;
    if (list->n == SOURCE_MAX_FILES) {
        status = ERROR_SET(err, CRIA_LIMIT, "%s: more than %d files; give fewer, or join them", path, SOURCE_MAX_FILES);
        goto out;
    }
    if (list->n == list->capacity) {
        const int64_t wider = list->capacity ? 2 * list->capacity : 64;
        struct source_file *grown = alloc_resize(list->files, (size_t)wider, sizeof *grown);
        if (!grown) {
            status = ERROR_NOMEM(err, (size_t)wider * sizeof *grown, "the list of files");
            goto out;
        }
        list->files = grown;
        list->capacity = wider;
    }
    struct source_file *f = &list->files[list->n];
    *f = (struct source_file){path, (uint64_t)st->st_size, false};
    is_known(file_name(path), &f->is_lines);
    list->n_bytes += f->n_bytes;
    list->n++;
    path = NULL;
out:
    alloc_free(path);
    return status;
}

static cria_status walk(struct source_list *list, const char *folder, int depth, struct cria_error *err);

/* One name inside a folder that is being walked. */
static cria_status walk_entry(struct source_list *list, const char *folder, const char *name, int depth,
                              struct cria_error *err) {
    cria_status status = CRIA_OK;
    struct stat st, target;
    bool is_lines;
    char *path = file_join(folder, name);
    if (!path) return ERROR_NOMEM(err, strlen(folder), "a path");
    if (lstat(path, &st) != 0) {
        status = ERROR_SET(err, CRIA_IO, "%s: %s", path, strerror(errno));
    } else if (S_ISDIR(st.st_mode) && name[0] != '.') {
        status = walk(list, path, depth + 1, err);
    } else if (name[0] != '.' && stat(path, &target) == 0 && S_ISREG(target.st_mode) && is_known(name, &is_lines)) {
        status = add_file(list, path, &target, err);
        path = NULL;
    } else {
        list->n_ignored++;
    }
    alloc_free(path);
    return status;
}

static cria_status walk(struct source_list *list, const char *folder, int depth, struct cria_error *err) {
    cria_status status = CRIA_OK;
    if (depth > SOURCE_MAX_DEPTH)
        return ERROR_SET(err, CRIA_LIMIT, "%s: more than %d folders inside each other", folder, SOURCE_MAX_DEPTH);
    DIR *d = opendir(folder);
    if (!d) return ERROR_SET(err, CRIA_IO, "%s: cannot be opened: %s", folder, strerror(errno));
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(d);
        if (!entry && errno) status = ERROR_SET(err, CRIA_IO, "%s: cannot be read: %s", folder, strerror(errno));
        if (!entry) break;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        TRY(walk_entry(list, folder, entry->d_name, depth, err));
    }
out:
    closedir(d);
    return status;
}

static int compare_paths(const void *a, const void *b) {
    return strcmp(((const struct source_file *)a)->path, ((const struct source_file *)b)->path);
}

static cria_status add_path(struct source_list *list, const char *path, struct cria_error *err) {
    struct stat st;
    cria_status status = CRIA_OK;
    if (stat(path, &st) != 0) {
        const cria_status code = errno == ENOENT || errno == ENOTDIR ? CRIA_NOTFOUND : CRIA_IO;
        return ERROR_SET(err, code, "%s: %s", path, strerror(errno));
    }
    if (S_ISDIR(st.st_mode)) {
        const int64_t first = list->n;
        TRY(walk(list, path, 0, err));
        if (list->n == first)
            return ERROR_SET(err, CRIA_NOTFOUND,
                             "%s: the folder holds no text: expected files named .txt, .text, .md, .jsonl, .ndjson or "
                             ".json, bare or with .gz or .zst, found %lld others",
                             path, (long long)list->n_ignored);
        qsort(list->files + first, (size_t)(list->n - first), sizeof *list->files, compare_paths);
    } else if (S_ISREG(st.st_mode)) {
        char *copy = alloc_text(path, strlen(path));
        if (!copy) return ERROR_NOMEM(err, strlen(path), "a path");
        TRY(add_file(list, copy, &st, err));
    } else {
        return ERROR_SET(err, CRIA_IO, "%s: expected a regular file or a folder, found something else", path);
    }
out:
    return status;
}

cria_status source_list_fill(struct source_list *list, const char *const *paths, int n_paths, struct cria_error *err) {
    cria_status status = CRIA_OK;
    if (n_paths < 1) return ERROR_SET(err, CRIA_USAGE, "expected at least one file or folder of text, found none");
    for (int i = 0; i < n_paths; i++) TRY(add_path(list, paths[i], err));
out:
    return status;
}

void source_list_free(struct source_list *list) {
    for (int64_t i = 0; i < list->n; i++) alloc_free(list->files[i].path);
    alloc_free(list->files);
    *list = (struct source_list){0};
}
