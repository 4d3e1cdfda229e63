/* file.h: regular files: mapping, reading whole, writing so that a reader sees the old or the new one and nothing else.
 *
 * Every error names the path. Only regular files are opened for reading (a link to one is right): a FIFO, a
 * directory or a device is refused. NOTFOUND where there is no such file; IO for the rest. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/error.h"

/* A file mapped read-only. It holds its own descriptor; a file that shrinks while mapped is caught by file_guard(). */
struct file_map {
    const uint8_t *data; /* owned mapping; NULL for an empty file */
    size_t n_bytes;
    int fd;                     /* owned */
    char *path;                 /* owned, as given */
    atomic_int is_cut;          /* a watch met a page that the file no longer has; there are zeros now */
    struct timespec changed_at; /* the file's time of change when it was opened */
};

CRIA_MUST_CHECK cria_status file_map_open(struct file_map **ret, const char *path, struct cria_error *err);
/* Takes NULL; clears the caller's pointer. */
void file_map_close(struct file_map **map);
/* Runs fn(arg) with reads of the mapping guarded: where the file was cut after it was opened the call ends with IO
 * instead of SIGBUS. fn must hold no lock and own nothing that a jump out of it would lose. One guard a thread: fn
 * calls no file_guard() itself. */
CRIA_MUST_CHECK cria_status file_guard(const struct file_map *map, cria_status (*fn)(void *arg, struct cria_error *err),
                                       void *arg, struct cria_error *err);

/* For work of many threads: from begin to end, on any thread, reads of a part that the file has lost give zeros instead
 * of SIGBUS. end says IO if there was one, or if the file was cut or written since it was opened; what was read then is
 * of no use. Not twice at a time for one map. */
void file_watch_begin(struct file_map *map);
CRIA_MUST_CHECK cria_status file_watch_end(struct file_map *map, struct cria_error *err);

/* Reads a whole file of at most max_bytes (LIMIT beyond); *ret_data is NUL-terminated behind its n bytes; alloc_free()
 * it. */
CRIA_MUST_CHECK cria_status file_read(const char *path, size_t max_bytes, char **ret_data, size_t *ret_n,
                                      struct cria_error *err);
/* Writes a file by a temporary name in the same folder, fsync and rename. */
CRIA_MUST_CHECK cria_status file_write_atomic(const char *path, const void *data, size_t n, struct cria_error *err);
/* Opens a regular file for reading without waiting; *ret_fd is the caller's to close, *ret_bytes its size now. */
CRIA_MUST_CHECK cria_status file_open_read(const char *path, int *ret_fd, uint64_t *ret_bytes, struct cria_error *err);
/* Makes a folder and its parents. */
CRIA_MUST_CHECK cria_status file_make_folder(const char *path, struct cria_error *err);
/* Makes the names in a folder last through a loss of power. */
CRIA_MUST_CHECK cria_status file_sync_folder(const char *path, struct cria_error *err);
/* Whether path is an existing regular file / folder (links followed). */
int file_exists(const char *path);
int file_is_folder(const char *path);
/* folder + "/" + name in a fresh string; NULL without memory; alloc_free() it. */
char *file_join(const char *folder, const char *name);
/* The part of path behind its last slash; borrowed from path. */
const char *file_name(const char *path);

#endif
