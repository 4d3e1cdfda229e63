/* hub_store.c: the store's folders, names, locks and removal (see hub.h for the promises).
 *
 * In models/ lie: NAME/ (a whole model), .NAME.lock (held while NAME is pulled or removed; never removed itself, as
 * another process may be waiting for it), .NAME.part/ (what a pull is making, or left behind). */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/file.h"
#include "hub/hub_private.h"

cria_status hub_copy_text(char **ret, const char *text, size_t n, struct cria_error *err) {
    char *copy = alloc_text(text, n);
    if (!copy) return ERROR_NOMEM(err, n, "a text");
    *ret = copy;
    return CRIA_OK;
}

cria_status hub_folder(char **ret, struct cria_error *err) {
    const char *base = getenv("XDG_DATA_HOME"), *below = "cria";
    if (!base || base[0] != '/') { /* a relative one is to be ignored, says the XDG base directory specification */
        base = getenv("HOME");
        below = ".local/share/cria";
    }
    if (!base || base[0] != '/')
        return ERROR_SET(err, CRIA_NOTFOUND,
                         "where models lie is not known: set XDG_DATA_HOME or HOME to the full path of a folder");
    char *folder = file_join(base, below);
    if (!folder) return ERROR_NOMEM(err, strlen(base), "a path");
    *ret = folder;
    return CRIA_OK;
}

cria_status hub_store_models(char **ret, struct cria_error *err) {
    char *folder;
    const cria_status status = hub_folder(&folder, err);
    if (status != CRIA_OK) return status;
    char *models = file_join(folder, "models");
    alloc_free(folder);
    if (!models) return ERROR_NOMEM(err, 64, "a path");
    *ret = models;
    return CRIA_OK;
}

cria_status hub_store_check_name(const char *name, struct cria_error *err) {
    const size_t n = strlen(name);
    if (n == 0 || n > HUB_MAX_NAME)
        return ERROR_SET(err, CRIA_RANGE, "a model's name has 1 to %d bytes; this one has %zu", HUB_MAX_NAME, n);
    if (name[0] == '.' || name[0] == '-')
        return ERROR_SET(err, CRIA_RANGE, "'%s' is no name of a model: it begins with '%c'", name, name[0]);
    for (size_t i = 0; i < n; i++)
        if (!isascii((unsigned char)name[i]) || (!isalnum((unsigned char)name[i]) && !strchr("._-+", name[i])))
            return ERROR_SET(err, CRIA_RANGE, "'%s' is no name of a model: letters, digits and . _ - + are allowed",
                             name);
    return CRIA_OK;
}

/* folder/.NAMEsuffix; NULL without memory. */
static char *hidden_path(const char *folder, const char *name, const char *suffix) {
    struct buffer path = buffer_make(SIZE_MAX);
    buffer_append_format(&path, "%s/.%s%s", folder, name, suffix);
    if (path.status != CRIA_OK) buffer_free(&path);
    return path.data;
}

char *hub_store_part(const char *models, const char *name) { return hidden_path(models, name, ".part"); }

cria_status hub_store_lock(const char *models, const char *name, bool wait, int *ret_fd, struct cria_error *err) {
    char *path = hidden_path(models, name, ".lock");
    if (!path) return ERROR_NOMEM(err, strlen(models), "a path");
    cria_status status = CRIA_OK;
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        status = ERROR_SET(err, CRIA_IO, "%s: cannot be opened: %s", path, strerror(errno));
        goto out;
    }
    int failed;
    do failed = flock(fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB);
    while (failed && errno == EINTR);
    if (failed) {
        const cria_status code = errno == EWOULDBLOCK ? CRIA_BUSY : CRIA_IO;
        status = ERROR_SET(err, code, "%s: cannot be locked: %s", path, strerror(errno));
        close(fd);
        goto out;
    }
    *ret_fd = fd;
out:
    alloc_free(path);
    return status;
}

cria_status hub_store_erase(const char *path, struct cria_error *err) {
    char *const paths[] = {(char *)path, NULL};
    cria_status status = CRIA_OK;
    FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
    if (!walk) return ERROR_SET(err, CRIA_NOMEM, "%s: cannot be removed: %s", path, strerror(errno));
    for (FTSENT *e; status == CRIA_OK && (e = fts_read(walk));) {
        int failed = 0;
        if (e->fts_info == FTS_DP) failed = rmdir(e->fts_accpath);
        else if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR) failed = errno = e->fts_errno;
        else if (e->fts_info != FTS_D) failed = unlink(e->fts_accpath);
        if (failed && errno != ENOENT)
            status = ERROR_SET(err, CRIA_IO, "%s: cannot be removed: %s", e->fts_path, strerror(errno));
    }
    fts_close(walk);
    return status;
}

uint64_t hub_store_bytes(const char *path) {
    char *const paths[] = {(char *)path, NULL};
    uint64_t bytes = 0;
    FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, NULL);
    if (!walk) return 0;
    for (FTSENT *e; (e = fts_read(walk));)
        if (e->fts_info == FTS_F) bytes += (uint64_t)e->fts_statp->st_size;
    fts_close(walk);
    return bytes;
}

/* The NAME of an entry ".NAME.part" as a fresh string, or NULL. */
static char *name_of_part(const char *entry) {
    static const char suffix[] = ".part";
    const size_t n = strlen(entry), n_suffix = sizeof suffix - 1;
    if (n <= 1 + n_suffix || entry[0] != '.' || strcmp(entry + n - n_suffix, suffix) != 0) return NULL;
    return alloc_text(entry + 1, n - 1 - n_suffix);
}

/* What cannot be cleared now is left for the next pull: nothing depends on it. */
void hub_store_sweep(const char *models) {
    DIR *dir = opendir(models);
    if (!dir) return;
    for (struct dirent *e; (e = readdir(dir));) {
        int lock;
        char *name = name_of_part(e->d_name);
        char *part = name ? file_join(models, e->d_name) : NULL;
        if (part && hub_store_lock(models, name, false, &lock, NULL) == CRIA_OK) {
            const cria_status status = hub_store_erase(part, NULL);
            (void)status;
            close(lock);
        }
        alloc_free(part);
        alloc_free(name);
    }
    closedir(dir);
}
