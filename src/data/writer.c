/* writer.c: see writer.h. */
#include "data/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"

enum { BLOCK_BYTES = 1 << 20 };

struct writer {
    char *path; /* owned */
    int fd;     /* owned */
    char *block;
    size_t n_held;
    uint64_t n_bytes;
};

cria_status writer_create(writer **ret, const char *folder, const char *name, struct cria_error *err) {
    cria_status status = CRIA_OK;
    writer *w = ALLOC_NEW(writer);
    if (!w) return ERROR_NOMEM(err, sizeof *w, name);
    w->fd = -1;
    w->path = file_join(folder, name);
    w->block = alloc_array(BLOCK_BYTES, 1);
    if (!w->path || !w->block) {
        status = ERROR_NOMEM(err, BLOCK_BYTES, name);
        goto out;
    }
    w->fd = open(w->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (w->fd < 0) {
        status = ERROR_SET(err, CRIA_IO, "%s: cannot be created: %s", w->path, strerror(errno));
        goto out;
    }
    *ret = w;
    w = NULL;
out:
    writer_destroy(&w);
    return status;
}

void writer_destroy(writer **at) {
    writer *w = *at;
    if (!w) return;
    *at = NULL;
    if (w->fd >= 0) close(w->fd);
    alloc_free(w->path);
    alloc_free(w->block);
    alloc_free(w);
}

static cria_status write_all(writer *w, const char *bytes, size_t n, struct cria_error *err) {
    while (n > 0) {
        const ssize_t put = write(w->fd, bytes, n);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return ERROR_SET(err, CRIA_IO, "%s: cannot be written: %s", w->path, strerror(errno));
        bytes += put;
        n -= (size_t)put;
    }
    return CRIA_OK;
}

cria_status writer_flush(writer *w, struct cria_error *err) {
    const size_t n = w->n_held;
    w->n_held = 0;
    return write_all(w, w->block, n, err);
}

cria_status writer_add(writer *w, const void *bytes, size_t n, struct cria_error *err) {
    cria_status status = CRIA_OK;
    w->n_bytes += n;
    if (w->n_held + n > BLOCK_BYTES) TRY(writer_flush(w, err));
    if (n > BLOCK_BYTES) return write_all(w, bytes, n, err);
    memcpy(w->block + w->n_held, bytes, n);
    w->n_held += n;
out:
    return status;
}

cria_status writer_finish(writer **at, struct cria_error *err) {
    writer *w = *at;
    cria_status status = CRIA_OK;
    TRY(writer_flush(w, err));
    if (fsync(w->fd) != 0) status = ERROR_SET(err, CRIA_IO, "%s: cannot be written: %s", w->path, strerror(errno));
    const int fd = w->fd;
    w->fd = -1;
    if (close(fd) != 0 && status == CRIA_OK)
        status = ERROR_SET(err, CRIA_IO, "%s: cannot be written: %s", w->path, strerror(errno));
out:
    writer_destroy(at);
    return status;
}

uint64_t writer_bytes(const writer *w) { return w->n_bytes; }
int writer_fd(const writer *w) { return w->fd; }
const char *writer_path(const writer *w) { return w->path; }
