/* hub_archive.c: one file out of a wheel or a source archive, by libarchive.
 *
 * Only the name that was asked for is looked at; the file is written under the last part of that name, so nothing in
 * the archive can choose where it lands. */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/file.h"
#include "hub/hub_private.h"

enum { BLOCK_BYTES = 256 * 1024, MAX_MEMBERS = 1000000, MAX_LISTED = 12 };

static cria_status fail(struct archive *a, const char *path, struct cria_error *err) {
    const char *text = archive_error_string(a);
    const cria_status status = archive_errno(a) == ENOMEM ? CRIA_NOMEM : CRIA_FORMAT;
    return ERROR_SET(err, status, "%s: cannot be unpacked: %s", path, text ? text : "unknown reason");
}

static cria_status open_archive(struct archive **ret, const char *path, struct cria_error *err) {
    struct archive *a = archive_read_new();
    if (!a) return ERROR_NOMEM(err, BLOCK_BYTES, "unpacking");
    cria_status status = CRIA_OK;
    if (archive_read_support_filter_all(a) < ARCHIVE_WARN || archive_read_support_format_zip(a) < ARCHIVE_WARN ||
        archive_read_support_format_tar(a) < ARCHIVE_WARN ||
        archive_read_open_filename(a, path, BLOCK_BYTES) != ARCHIVE_OK)
        status = fail(a, path, err);
    if (status != CRIA_OK) archive_read_free(a);
    else *ret = a;
    return status;
}

/* The next regular file; *ret_name is borrowed from the archive, NULL at the end. */
static cria_status next_file(struct archive *a, const char *path, int *n_members, struct archive_entry **ret_entry,
                             const char **ret_name, struct cria_error *err) {
    for (;;) {
        struct archive_entry *entry;
        const int result = archive_read_next_header(a, &entry);
        if (result == ARCHIVE_EOF) {
            *ret_name = NULL;
            return CRIA_OK;
        }
        if (result != ARCHIVE_OK && result != ARCHIVE_WARN) return fail(a, path, err);
        if (++*n_members > MAX_MEMBERS)
            return ERROR_SET(err, CRIA_LIMIT, "%s: holds more than %d files", path, MAX_MEMBERS);
        const char *name = archive_entry_pathname(entry);
        if (!name || archive_entry_filetype(entry) != AE_IFREG || archive_entry_hardlink(entry)) continue;
        *ret_entry = entry;
        *ret_name = name;
        return CRIA_OK;
    }
}

/* In a source archive everything lies in a folder PACKAGE-VERSION, which may be left out. */
static bool is_member(const char *name, const char *member) {
    const char *slash = strchr(name, '/');
    return strcmp(name, member) == 0 || (slash && strcmp(slash + 1, member) == 0);
}

static bool is_gguf(const char *name) {
    const size_t n = strlen(name);
    return n > 5 && strcasecmp(name + n - 5, ".gguf") == 0;
}

/* Finds the only *.gguf of the archive. */
static cria_status find_gguf(const char *path, char **ret_member, struct cria_error *err) {
    struct archive *a;
    struct archive_entry *entry;
    const char *name;
    struct buffer list = buffer_make(512);
    int n_members = 0, n_found = 0;
    cria_status status = open_archive(&a, path, err);
    if (status != CRIA_OK) return status;
    char *member = NULL;
    for (;;) {
        TRY(next_file(a, path, &n_members, &entry, &name, err));
        if (!name) break;
        if (!is_gguf(name)) continue;
        if (n_found++ < MAX_LISTED) buffer_append_format(&list, "%s%s", n_found > 1 ? ", " : "", name);
        if (!member) TRY(hub_copy_text(&member, name, strlen(name), err));
    }
    if (n_found == 0) status = ERROR_SET(err, CRIA_NOTFOUND, "%s: holds no GGUF file", file_name(path));
    else if (n_found > 1)
        status = ERROR_SET(err, CRIA_USAGE, "%s: holds %d GGUF files; add :FILE to choose one of %s", file_name(path),
                           n_found, buffer_text(&list));
    if (status != CRIA_OK) goto out;
    *ret_member = member;
    member = NULL;
out:
    alloc_free(member);
    buffer_free(&list);
    archive_read_free(a);
    return status;
}

/* Writes the data of the entry at hand to fd; n_bytes 0: unknown. */
static cria_status write_data(struct archive *a, const char *path, uint64_t n_bytes, int fd, struct cria_error *err) {
    const uint64_t max_bytes = n_bytes ? n_bytes : HUB_MAX_FILE_BYTES;
    cria_status status = CRIA_OK;
    uint64_t done = 0;
    progress *bar = progress_start("unpacking", n_bytes, PROGRESS_BYTES);
    char *block = alloc_array(BLOCK_BYTES, 1);
    if (!block) {
        status = ERROR_NOMEM(err, BLOCK_BYTES, "unpacking");
        goto out;
    }
    for (;;) {
        const la_ssize_t got = archive_read_data(a, block, BLOCK_BYTES);
        if (got == ARCHIVE_RETRY) continue;
        if (got < 0) status = fail(a, path, err);
        if (got <= 0) break;
        done += (uint64_t)got;
        if (done > max_bytes) break;
        for (la_ssize_t put = 0; put < got;) {
            const ssize_t n = write(fd, block + put, (size_t)(got - put));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) {
                status =
                    ERROR_SET(err, CRIA_IO, "unpacking %s: cannot be written: %s", file_name(path), strerror(errno));
                goto out;
            }
            put += n;
        }
        progress_update(bar, done);
    }
    if (status == CRIA_OK && (done > max_bytes || (n_bytes && done != n_bytes)))
        status = ERROR_SET(err, CRIA_FORMAT, "%s: expected a file of %llu bytes inside, found %s", file_name(path),
                           (unsigned long long)max_bytes, done > max_bytes ? "more" : "fewer");
    if (status == CRIA_OK && fsync(fd) != 0)
        status = ERROR_SET(err, CRIA_IO, "unpacking %s: cannot be written: %s", file_name(path), strerror(errno));
out:
    alloc_free(block);
    progress_finish(&bar);
    return status;
}

/* Writes the data of the entry at hand to the new file `target`. */
static cria_status write_file(struct archive *a, const char *path, uint64_t n_bytes, const char *target,
                              struct cria_error *err) {
    const int fd = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) return ERROR_SET(err, CRIA_IO, "%s: cannot be created: %s", target, strerror(errno));
    const cria_status status = write_data(a, path, n_bytes, fd, err);
    close(fd);
    return status;
}

/* Finds the member and writes it. */
static cria_status extract(const char *path, const char *member, uint64_t n_bytes, const char *target,
                           struct cria_error *err) {
    struct archive *a;
    struct archive_entry *entry;
    const char *name;
    int n_members = 0;
    cria_status status = open_archive(&a, path, err);
    if (status != CRIA_OK) return status;
    do TRY(next_file(a, path, &n_members, &entry, &name, err));
    while (name && !is_member(name, member));
    if (!name) {
        status = ERROR_SET(err, CRIA_NOTFOUND, "%s: holds no file '%s'", file_name(path), member);
        goto out;
    }
    TRY(write_file(a, path, n_bytes, target, err));
out:
    archive_read_free(a);
    return status;
}

cria_status hub_archive_extract(const char *archive_path, const char *member, uint64_t n_bytes, const char *folder,
                                char **ret_name, struct cria_error *err) {
    char *found = NULL, *target = NULL, *name = NULL;
    cria_status status = CRIA_OK;
    if (!member) {
        TRY(find_gguf(archive_path, &found, err));
        member = found;
    }
    TRY(hub_copy_text(&name, file_name(member), strlen(file_name(member)), err));
    target = file_join(folder, name);
    if (!target) {
        status = ERROR_NOMEM(err, strlen(folder), "a path");
        goto out;
    }
    TRY(extract(archive_path, member, n_bytes, target, err));
    *ret_name = name;
    name = NULL;
out:
    alloc_free(found);
    alloc_free(target);
    alloc_free(name);
    return status;
}
