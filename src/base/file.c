/* file.c: see file.h. The mapping and its guard are in file_map.c. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/checked.h"

static const char *kind_of(mode_t mode) {
    if (S_ISDIR(mode)) return "a folder";
    if (S_ISFIFO(mode)) return "a named pipe";
    if (S_ISSOCK(mode)) return "a socket";
    return "a device";
}

cria_status file_open_read(const char *path, int *ret_fd, uint64_t *ret_bytes, struct cria_error *err) {
    /* O_NONBLOCK: the open of a named pipe would wait for its writer. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        const cria_status status = errno == ENOENT || errno == ENOTDIR ? CRIA_NOTFOUND : CRIA_IO;
        return ERROR_SET(err, status, "%s: cannot be opened: %s", path, strerror(errno));
    }
    struct stat st;
    cria_status status = CRIA_OK;
    if (fstat(fd, &st) != 0) status = ERROR_SET(err, CRIA_IO, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        status = ERROR_SET(err, CRIA_IO, "%s: expected a regular file, found %s", path, kind_of(st.st_mode));
    if (status != CRIA_OK) {
        close(fd);
        return status;
    }
    *ret_fd = fd;
    *ret_bytes = (uint64_t)st.st_size;
    return CRIA_OK;
}

/* Reads to the end of fd, at most max_bytes, into *data, whose capacity is *capacity and is grown as needed. */
static cria_status read_all(int fd, const char *path, size_t max_bytes, char **data, size_t capacity, size_t *ret_n,
                            struct cria_error *err) {
    size_t n = 0;
    for (;;) {
        if (n == capacity) {
            size_t wider;
            if (checked_mul_size(capacity, 2, &wider)) return ERROR_NOMEM(err, capacity, path);
            char *grown = alloc_resize(*data, wider, 1);
            if (!grown) return ERROR_NOMEM(err, wider, path);
            *data = grown;
            capacity = wider;
        }
        const ssize_t got = read(fd, *data + n, capacity - n);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return ERROR_SET(err, CRIA_IO, "%s: cannot be read: %s", path, strerror(errno));
        if (got == 0) break;
        n += (size_t)got;
        if (n > max_bytes) return ERROR_SET(err, CRIA_LIMIT, "%s: longer than %zu bytes", path, max_bytes);
    }
    (*data)[n] = '\0'; /* the round that found the end had n < capacity */
    *ret_n = n;
    return CRIA_OK;
}

cria_status file_read(const char *path, size_t max_bytes, char **ret_data, size_t *ret_n, struct cria_error *err) {
    int fd;
    uint64_t bytes;
    cria_status status = file_open_read(path, &fd, &bytes, err);
    if (status != CRIA_OK) return status;
    char *data = NULL;
    size_t n = 0;
    if (bytes > max_bytes) {
        status = ERROR_SET(err, CRIA_LIMIT, "%s: expected at most %zu bytes, found %llu", path, max_bytes,
                           (unsigned long long)bytes);
        goto out;
    }
    const size_t capacity = (size_t)bytes + 64; /* some files of /proc say 0 and have more */
    data = alloc_array(capacity, 1);
    if (!data) {
        status = ERROR_NOMEM(err, capacity, path);
        goto out;
    }
    TRY(read_all(fd, path, max_bytes, &data, capacity, &n, err));
    *ret_data = data;
    *ret_n = n;
    data = NULL;
out:
    alloc_free(data);
    close(fd);
    return status;
}

static cria_status write_all(int fd, const char *path, const char *data, size_t n, struct cria_error *err) {
    while (n > 0) {
        const ssize_t put = write(fd, data, n);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return ERROR_SET(err, CRIA_IO, "%s: cannot be written: %s", path, strerror(errno));
        data += put;
        n -= (size_t)put;
    }
    if (fsync(fd) != 0) return ERROR_SET(err, CRIA_IO, "%s: cannot be written: %s", path, strerror(errno));
    return CRIA_OK;
}

/* The folder part of path in a fresh string; "." where it has none; NULL without memory. */
static char *folder_of(const char *path) {
    const size_t n = (size_t)(file_name(path) - path);
    if (n == 0) return alloc_text(".", 1);
    return alloc_text(path, n == 1 ? 1 : n - 1);
}

/* Creates PATH.PID-N for the first N that is free, names it in `temporary` and returns its descriptor; -1 with errno.
 * Not mkstemp(): the finished file shall have the rights that the umask gives. */
static int create_beside(const char *path, char *temporary, size_t temporary_bytes) {
    static _Atomic unsigned next;
    for (int i = 0; i < 1000; i++) {
        snprintf(temporary, temporary_bytes, "%s.%ld-%u", path, (long)getpid(), next++);
        const int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0 || errno != EEXIST) return fd;
    }
    return -1;
}

cria_status file_write_atomic(const char *path, const void *data, size_t n, struct cria_error *err) {
    cria_status status = CRIA_OK;
    int fd = -1;
    const size_t temporary_bytes = strlen(path) + 32;
    char *folder = folder_of(path);
    char *temporary = alloc_array(temporary_bytes, 1);
    if (!folder || !temporary) {
        status = ERROR_NOMEM(err, temporary_bytes, path);
        goto out;
    }
    fd = create_beside(path, temporary, temporary_bytes);
    if (fd < 0) {
        const cria_status code = errno == ENOENT || errno == ENOTDIR ? CRIA_NOTFOUND : CRIA_IO;
        status = ERROR_SET(err, code, "%s: cannot be created: %s", path, strerror(errno));
        goto out;
    }
    TRY(write_all(fd, path, data, n, err));
    if (rename(temporary, path) != 0) {
        status = ERROR_SET(err, CRIA_IO, "%s: cannot be put in place: %s", path, strerror(errno));
        goto out;
    }
    temporary[0] = '\0';
    TRY(file_sync_folder(folder, err));
out:
    if (fd >= 0) close(fd);
    if (fd >= 0 && temporary[0]) unlink(temporary);
    alloc_free(temporary);
    alloc_free(folder);
    return status;
}

cria_status file_sync_folder(const char *path, struct cria_error *err) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    if (fd < 0) return ERROR_SET(err, CRIA_IO, "%s: cannot be opened: %s", path, strerror(errno));
    const int failed = fsync(fd) != 0 && errno != EINVAL; /* EINVAL: a file system that has nothing to sync */
    const int number = errno;
    close(fd);
    return failed ? ERROR_SET(err, CRIA_IO, "%s: cannot be synced: %s", path, strerror(number)) : CRIA_OK;
}

cria_status file_make_folder(const char *path, struct cria_error *err) {
    const size_t n = strlen(path);
    char *partial = alloc_text(path, n);
    if (!partial) return ERROR_NOMEM(err, n, path);
    cria_status status = CRIA_OK;
    for (size_t i = 1; i <= n && status == CRIA_OK; i++) {
        if (partial[i] != '/' && partial[i] != '\0') continue;
        const char kept = partial[i];
        partial[i] = '\0';
        if (mkdir(partial, 0777) != 0 && errno != EEXIST && !file_is_folder(partial))
            status = ERROR_SET(err, CRIA_IO, "%s: the folder cannot be made: %s", partial, strerror(errno));
        partial[i] = kept;
    }
    if (status == CRIA_OK && !file_is_folder(path))
        status = ERROR_SET(err, CRIA_IO, "%s: expected a folder, found something else", path);
    alloc_free(partial);
    return status;
}

int file_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

int file_is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

char *file_join(const char *folder, const char *name) {
    const size_t n_folder = strlen(folder), n_name = strlen(name);
    size_t n;
    if (checked_add_size(n_folder, n_name, &n) || checked_add_size(n, 2, &n)) return NULL;
    char *joined = alloc_array(n, 1);
    if (!joined) return NULL;
    memcpy(joined, folder, n_folder);
    joined[n_folder] = '/';
    memcpy(joined + n_folder + 1, name, n_name + 1);
    return joined;
}

const char *file_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}
