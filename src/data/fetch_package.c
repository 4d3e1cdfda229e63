/* fetch_package.c: Debian packages: getting one through apt and reading a file out of it. A .deb is an ar archive with
 * a compressed tar archive `data.tar.*` inside. */
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "base/alloc.h"
#include "base/file.h"
#include "data/fetch_private.h"

enum { BLOCK_BYTES = 1 << 16, MAX_MEMBERS = 1000000, MAX_SAID = 1 << 20, SHOWN = 300 };

/* Runs apt-get in `scratch`, its words into scratch/said. */
static cria_status run_apt(const char *package, const char *scratch, const char *said, struct cria_error *err) {
    char *const argv[] = {(char[]){"apt-get"}, (char[]){"-q"}, (char[]){"download"}, (char *)package, NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    int result = 0, failed = posix_spawn_file_actions_init(&actions);
    if (!failed) failed = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (!failed) failed = posix_spawn_file_actions_addopen(&actions, 1, said, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (!failed) failed = posix_spawn_file_actions_adddup2(&actions, 1, 2);
    if (!failed) failed = posix_spawn_file_actions_addchdir_np(&actions, scratch);
    if (!failed) failed = posix_spawnp(&child, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed)
        return ERROR_SET(err, CRIA_IO, "apt-get cannot be started: %s; corpora from packages need Debian's apt",
                         strerror(failed));
    while (waitpid(child, &result, 0) < 0 && errno == EINTR) continue;
    if (WIFEXITED(result) && WEXITSTATUS(result) == 0) return CRIA_OK;
    char *text = NULL;
    size_t n = 0;
    struct cria_error ignored;
    if (file_read(said, MAX_SAID, &text, &n, &ignored) != CRIA_OK) n = 0;
    const cria_status status =
        ERROR_SET(err, CRIA_IO, "apt-get download %s failed (is the package list there? apt-get update): %s", package,
                  n > SHOWN ? text + n - SHOWN
                  : text    ? text
                            : "it said nothing");
    alloc_free(text);
    return status;
}

cria_status fetch_package_download(const char *package, const char *scratch, char **ret_path, struct cria_error *err) {
    cria_status status = CRIA_OK;
    char full[PATH_MAX];
    DIR *d = NULL;
    char *said = realpath(scratch, full) ? file_join(full, "said") : NULL;
    if (!said) return ERROR_SET(err, CRIA_IO, "%s: %s", scratch, strerror(errno));
    TRY(run_apt(package, full, said, err));
    d = opendir(full);
    const struct dirent *entry;
    char *found = NULL;
    while (d && !found && (entry = readdir(d)) != NULL) {
        const size_t n = strlen(entry->d_name);
        if (n > 4 && strcmp(entry->d_name + n - 4, ".deb") == 0) found = file_join(full, entry->d_name);
    }
    if (!found) status = ERROR_SET(err, CRIA_IO, "apt-get download %s left no package", package);
    else *ret_path = found;
out:
    if (d) closedir(d);
    alloc_free(said);
    return status;
}

static cria_status fail(struct archive *a, const char *path, struct cria_error *err) {
    const char *text = a ? archive_error_string(a) : "no memory";
    return ERROR_SET(err, CRIA_FORMAT, "%s: cannot be unpacked: %s", path, text ? text : "unknown reason");
}

/* Goes to the member whose name begins with `name`, "./" in front aside, and ends there or (is_prefix) goes on. */
static cria_status find_member(struct archive *a, const char *path, const char *name, int is_prefix,
                               struct cria_error *err) {
    struct archive_entry *entry;
    const size_t n = strlen(name);
    for (int i = 0; i < MAX_MEMBERS; i++) {
        const int code = archive_read_next_header(a, &entry);
        if (code == ARCHIVE_EOF) break;
        if (code != ARCHIVE_OK && code != ARCHIVE_WARN) return fail(a, path, err);
        const char *found = archive_entry_pathname(entry);
        if (!found || archive_entry_filetype(entry) != AE_IFREG) continue;
        if (strncmp(found, "./", 2) == 0) found += 2;
        if (strncmp(found, name, n) == 0 && (is_prefix || found[n] == '\0')) return CRIA_OK;
    }
    return ERROR_SET(err, CRIA_NOTFOUND, "%s: holds no file '%s'", path, name);
}

/* The data of the member at hand, appended. */
static cria_status read_member(struct archive *a, const char *path, struct buffer *ret, struct cria_error *err) {
    char block[BLOCK_BYTES];
    for (;;) {
        const la_ssize_t got = archive_read_data(a, block, sizeof block);
        if (got == ARCHIVE_RETRY) continue;
        if (got < 0) return fail(a, path, err);
        if (got == 0) return buffer_status(ret, path, err);
        buffer_append(ret, block, (size_t)got);
        if (ret->status != CRIA_OK) return buffer_status(ret, path, err);
    }
}

cria_status fetch_package_member(const char *deb, const char *member, struct buffer *ret, struct cria_error *err) {
    cria_status status = CRIA_OK;
    struct buffer inner = buffer_make(FETCH_MAX_TEXT);
    struct archive *outer = archive_read_new(), *tar = archive_read_new();
    if (!outer || !tar || archive_read_support_format_ar(outer) < ARCHIVE_WARN ||
        archive_read_open_filename(outer, deb, BLOCK_BYTES) != ARCHIVE_OK) {
        status = fail(outer, deb, err);
        goto out;
    }
    TRY(find_member(outer, deb, "data.tar", 1, err));
    TRY(read_member(outer, deb, &inner, err));
    if (archive_read_support_filter_all(tar) < ARCHIVE_WARN || archive_read_support_format_tar(tar) < ARCHIVE_WARN ||
        archive_read_open_memory(tar, inner.data, inner.n_bytes) != ARCHIVE_OK) {
        status = fail(tar, deb, err);
        goto out;
    }
    TRY(find_member(tar, deb, member, 0, err));
    TRY(read_member(tar, deb, ret, err));
out:
    archive_read_free(outer);
    archive_read_free(tar);
    buffer_free(&inner);
    return status;
}

cria_status fetch_package_inflate(const uint8_t *bytes, size_t n, const char *what, struct buffer *ret,
                                  struct cria_error *err) {
    char block[BLOCK_BYTES];
    cria_status status = CRIA_OK;
    int code = Z_OK;
    z_stream z = {.next_in = (Bytef *)bytes, .avail_in = n > UINT32_MAX ? UINT32_MAX : (unsigned)n};
    if (inflateInit2(&z, 15 + 32) != Z_OK) return ERROR_NOMEM(err, BLOCK_BYTES, what);
    while (code == Z_OK) {
        z.next_out = (Bytef *)block;
        z.avail_out = sizeof block;
        code = inflate(&z, Z_NO_FLUSH);
        buffer_append(ret, block, sizeof block - z.avail_out);
        TRY(buffer_status(ret, what, err));
    }
    if (code != Z_STREAM_END)
        status = ERROR_SET(err, CRIA_FORMAT, "%s: its compression is broken: %s", what, z.msg ? z.msg : "it is cut");
out:
    inflateEnd(&z);
    return status;
}
