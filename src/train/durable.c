/* durable.c: see durable.h. */
#include "train/durable.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"

#define WRITE_BYTES ((size_t)4 << 20) /* of one call: hashing follows while the part is in the cache */

static atomic_uint_fast64_t n_calls, fault_at;
static _Atomic enum durable_fault fault_kind;
static atomic_int fault_number;

uint64_t durable_fail(uint64_t n, enum durable_fault fault, int number) {
    const uint64_t seen = atomic_exchange(&n_calls, 0);
    atomic_store(&fault_kind, fault);
    atomic_store(&fault_number, number);
    atomic_store(&fault_at, fault == DURABLE_NO_FAULT ? 0 : n);
    return seen;
}

/* Counts a call and says which fault it meets. */
static enum durable_fault count_call(void) {
    const uint64_t at = atomic_fetch_add(&n_calls, 1) + 1, wanted = atomic_load(&fault_at);
    if (wanted == 0 || at < wanted) return DURABLE_NO_FAULT;
    const enum durable_fault kind = atomic_load(&fault_kind);
    return at == wanted || kind == DURABLE_FAULT_ALL ? kind : DURABLE_NO_FAULT;
}

/* Whether this call is to fail; errno is set then. */
static bool meets_fault(void) {
    const enum durable_fault kind = count_call();
    if (kind != DURABLE_FAULT_ONCE && kind != DURABLE_FAULT_ALL) return false;
    errno = atomic_load(&fault_number);
    return true;
}

static cria_status failed(const char *path, const char *what, struct cria_error *err) {
    const char *advice = errno == ENOSPC || errno == EDQUOT ? ": make room on that disk" : "";
    return ERROR_SET(err, CRIA_IO, "%s: cannot be %s: %s%s", path, what, strerror(errno), advice);
}

cria_status durable_create(struct durable_file *f, const char *path, struct cria_error *err) {
    f->path = path;
    f->n_bytes = 0;
    f->fd = meets_fault() ? -1 : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (f->fd < 0) return failed(path, "made", err);
    const cria_status status = digest_create(&f->sum, err);
    if (status != CRIA_OK) durable_close(f);
    return status;
}

static ssize_t write_part(int fd, const void *data, size_t n) {
    const enum durable_fault kind = count_call();
    if (kind == DURABLE_FAULT_SHORT) return write(fd, data, n > 1 ? n / 2 : n);
    if (kind == DURABLE_NO_FAULT) return write(fd, data, n);
    errno = atomic_load(&fault_number);
    return -1;
}

cria_status durable_write(struct durable_file *f, const void *data, size_t n, struct cria_error *err) {
    const char *p = data;
    while (n) {
        const size_t part = n < WRITE_BYTES ? n : WRITE_BYTES;
        const ssize_t put = write_part(f->fd, p, part);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return failed(f->path, "written", err);
        digest_add(f->sum, p, (size_t)put);
        p += put;
        n -= (size_t)put;
        f->n_bytes += (uint64_t)put;
    }
    return CRIA_OK;
}

cria_status durable_digest(const struct durable_file *f, uint8_t out[DIGEST_BYTES], struct cria_error *err) {
    return digest_result(f->sum, out, err);
}

cria_status durable_finish(struct durable_file *f, struct cria_error *err) {
    cria_status status = CRIA_OK;
    if (meets_fault() || fsync(f->fd) != 0) status = failed(f->path, "synced", err);
    durable_close(f);
    return status;
}

void durable_close(struct durable_file *f) {
    if (f->fd >= 0) close(f->fd);
    f->fd = -1;
    digest_destroy(&f->sum);
}

cria_status durable_make_folder(const char *path, struct cria_error *err) {
    if (meets_fault() || mkdir(path, 0777) != 0) return failed(path, "made", err);
    return CRIA_OK;
}

cria_status durable_sync_folder(const char *path, struct cria_error *err) {
    if (meets_fault()) return failed(path, "synced", err);
    return file_sync_folder(path, err);
}

cria_status durable_rename(const char *from, const char *to, struct cria_error *err) {
    if (meets_fault() || rename(from, to) != 0) return failed(from, "renamed", err);
    return CRIA_OK;
}

cria_status durable_remove(const char *folder, struct cria_error *err) {
    DIR *d = opendir(folder);
    if (!d) return errno == ENOENT ? CRIA_OK : failed(folder, "opened", err);
    cria_status status = CRIA_OK;
    for (const struct dirent *e; status == CRIA_OK && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (meets_fault() || (unlinkat(dirfd(d), e->d_name, 0) != 0 && errno != ENOENT))
            status = failed(folder, "emptied", err);
    }
    closedir(d);
    if (status == CRIA_OK && (meets_fault() || rmdir(folder) != 0)) status = failed(folder, "removed", err);
    return status;
}
