/* hub_local.c: a model that is on this machine already: a GGUF file or a Hugging Face directory is copied into the
 * store, as a clone where the file system can. Not as a hard link: who writes to the original would change the store.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "hub/hub_private.h"

enum { BLOCK_BYTES = 1 << 20 };

/* The name of a model at this path: its last part, without .gguf. */
static cria_status name_of(const char *path, char **ret, struct cria_error *err) {
    const char *last = file_name(path);
    size_t n = strlen(last);
    if (n > 5 && strcasecmp(last + n - 5, ".gguf") == 0) n -= 5;
    return hub_copy_text(ret, last, n, err);
}

cria_status hub_local_parse(struct hub_source *s, const char *rest, struct cria_error *err) {
    char *resolved = realpath(rest, NULL);
    if (!resolved) {
        const cria_status code = errno == ENOMEM                       ? CRIA_NOMEM
                                 : errno == ENOENT || errno == ENOTDIR ? CRIA_NOTFOUND
                                                                       : CRIA_IO;
        return ERROR_SET(err, code, "%s: %s", rest, strerror(errno));
    }
    char *slash = strrchr(resolved, '/');
    if (slash > resolved && strcmp(slash, "/config.json") == 0) *slash = '\0';
    cria_status status = CRIA_OK;
    TRY(hub_copy_text(&s->place, resolved, strlen(resolved), err));
    TRY(name_of(s->place, &s->name, err));
out:
    alloc_free(resolved);
    return status;
}

/* Writes everything of `from` to `to`, block by block. */
static cria_status copy_bytes(int from, int to, const char *path, uint64_t n_bytes, struct cria_error *err) {
    cria_status status = CRIA_OK;
    uint64_t done = 0;
    char *block = alloc_array(BLOCK_BYTES, 1);
    if (!block) return ERROR_NOMEM(err, BLOCK_BYTES, "copying");
    progress *bar = progress_start("copying", n_bytes, PROGRESS_BYTES);
    while (status == CRIA_OK) {
        const ssize_t got = read(from, block, BLOCK_BYTES);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) status = ERROR_SET(err, CRIA_IO, "%s: cannot be read: %s", path, strerror(errno));
        if (got <= 0) break;
        for (ssize_t put = 0; put < got && status == CRIA_OK;) {
            const ssize_t n = write(to, block + put, (size_t)(got - put));
            if (n > 0) put += n;
            if (n < 0 && errno != EINTR)
                status = ERROR_SET(err, CRIA_IO, "the copy of %s cannot be written: %s", path, strerror(errno));
        }
        progress_update(bar, done += (uint64_t)got);
    }
    progress_finish(&bar);
    alloc_free(block);
    return status;
}

static cria_status copy_file(const char *path, const char *target, struct cria_error *err) {
    int from = -1, to = -1;
    uint64_t n_bytes;
    cria_status status = CRIA_OK;
    TRY(file_open_read(path, &from, &n_bytes, err));
    to = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (to < 0) {
        status = ERROR_SET(err, CRIA_IO, "%s: cannot be created: %s", target, strerror(errno));
        goto out;
    }
    if (ioctl(to, FICLONE, from) != 0) TRY(copy_bytes(from, to, path, n_bytes, err));
    if (fsync(to) != 0) status = ERROR_SET(err, CRIA_IO, "the copy of %s cannot be written: %s", path, strerror(errno));
out:
    if (from >= 0) close(from);
    if (to >= 0) close(to);
    return status;
}

/* Copies folder `from`'s file `name` into folder `to`. */
static cria_status copy_named(const char *from, const char *to, const char *name, struct cria_error *err) {
    char *path = file_join(from, name), *target = file_join(to, name);
    cria_status status = CRIA_OK;
    if (!path || !target) status = ERROR_NOMEM(err, strlen(from), "a path");
    else if (file_exists(path)) /* a folder inside, or a link that leads nowhere, is none of the model's files */
        status = copy_file(path, target, err);
    alloc_free(path);
    alloc_free(target);
    return status;
}

static cria_status copy_folder(const char *from, const char *to, struct cria_error *err) {
    char *config = file_join(from, "config.json");
    if (!config) return ERROR_NOMEM(err, strlen(from), "a path");
    cria_status status = CRIA_OK;
    DIR *dir = NULL;
    if (!file_exists(config)) {
        status =
            ERROR_SET(err, CRIA_FORMAT, "%s: expected a Hugging Face model, found no config.json in the folder", from);
        goto out;
    }
    dir = opendir(from);
    if (!dir) {
        status = ERROR_SET(err, CRIA_IO, "%s: cannot be read: %s", from, strerror(errno));
        goto out;
    }
    for (struct dirent *e; status == CRIA_OK && (e = readdir(dir));)
        if (e->d_name[0] != '.' && strcmp(e->d_name, HUB_MANIFEST_NAME) != 0)
            status = copy_named(from, to, e->d_name, err);
out:
    if (dir) closedir(dir);
    alloc_free(config);
    return status;
}

/* Refuses a file that does not begin as a GGUF file does. */
static cria_status check_magic(const char *path, struct cria_error *err) {
    char magic[4] = {0};
    int fd;
    uint64_t n_bytes;
    const cria_status status = file_open_read(path, &fd, &n_bytes, err);
    if (status != CRIA_OK) return status;
    const ssize_t got = read(fd, magic, sizeof magic);
    close(fd);
    if (got == 4 && memcmp(magic, "GGUF", 4) == 0) return CRIA_OK;
    return ERROR_SET(err, CRIA_FORMAT, "%s: expected a GGUF file or the folder of a Hugging Face model, found neither",
                     path);
}

cria_status hub_local_fetch(const struct hub_source *s, const char *folder, const char *scratch, char **ret_open,
                            struct cria_error *err) {
    (void)scratch;
    cria_status status = CRIA_OK;
    if (file_is_folder(s->place)) {
        TRY(copy_folder(s->place, folder, err));
        return hub_copy_text(ret_open, ".", 1, err);
    }
    char *slash = strrchr(s->place, '/');
    TRY(check_magic(s->place, err));
    *slash = '\0';
    status = copy_named(s->place, folder, slash + 1, err);
    *slash = '/';
    if (status == CRIA_OK) status = hub_copy_text(ret_open, slash + 1, strlen(slash + 1), err);
out:
    return status;
}
