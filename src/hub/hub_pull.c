/* hub_pull.c: one model into the store: lock, fetch beside, check, publish by one rename.
 *
 * models/.NAME.part/ holds `new` (what will be the model) and `scratch` (the fetcher's own). Whatever fails or is
 * killed before the rename leaves the store as it was. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "hub/hub_private.h"

/* One pull under its lock. */
struct pull {
    const struct hub_source *source;       /* borrowed */
    const char *name, *sha256;             /* borrowed; sha256 may be NULL */
    const char *models;                    /* borrowed */
    char *folder, *part, *fresh, *scratch; /* owned */
};

static void free_pull(struct pull *p) {
    alloc_free(p->folder);
    alloc_free(p->part);
    alloc_free(p->fresh);
    alloc_free(p->scratch);
}

static cria_status name_paths(struct pull *p, struct cria_error *err) {
    p->folder = file_join(p->models, p->name);
    p->part = hub_store_part(p->models, p->name);
    p->fresh = p->part ? file_join(p->part, "new") : NULL;
    p->scratch = p->part ? file_join(p->part, "scratch") : NULL;
    return p->folder && p->fresh && p->scratch ? CRIA_OK : ERROR_NOMEM(err, 4 * strlen(p->models), "paths");
}

static cria_status check_digest_text(const char *sha256, struct cria_error *err) {
    size_t n = 0;
    while (sha256 && isxdigit((unsigned char)sha256[n])) n++;
    if (!sha256 || (n == 64 && sha256[n] == '\0')) return CRIA_OK;
    return ERROR_SET(err, CRIA_USAGE, "'%s' is no SHA-256: expected 64 hexadecimal digits", sha256);
}

static cria_status check_one(const struct hub_manifest *m, const char *expected, struct cria_error *err) {
    if (!expected || strcasecmp(expected, m->sha256) == 0) return CRIA_OK;
    return ERROR_SET(err, CRIA_FORMAT, "%s from %s: expected SHA-256 %s, found %s", m->name, m->source, expected,
                     m->sha256);
}

static cria_status check_expected(const struct pull *p, const struct hub_manifest *m, struct cria_error *err) {
    const cria_status status = check_one(m, p->sha256, err);
    return status == CRIA_OK ? check_one(m, p->source->sha256, err) : status;
}

/* Whether the files in the store are what their manifest says, to the byte. */
static bool is_whole(const struct hub_manifest *m, const char *folder) {
    struct hub_manifest now = {0};
    const bool same = hub_manifest_measure(&now, folder, NULL) == CRIA_OK && hub_manifest_same_files(&now, m);
    hub_manifest_free(&now);
    return same;
}

/* Reads the manifest of the model in the store; *ret_is_there is false where there is none or it is broken, which
 * counts as none: the pull then puts a whole model in its place. */
static cria_status look(const struct pull *p, struct hub_manifest *ret, bool *ret_is_there, struct cria_error *err) {
    const cria_status status = hub_manifest_read(ret, p->folder, NULL);
    if (status == CRIA_NOMEM) return ERROR_NOMEM(err, HUB_MAX_MANIFEST, HUB_MANIFEST_NAME);
    *ret_is_there = status == CRIA_OK;
    if (status != CRIA_OK || strcmp(ret->source, p->source->text) == 0) return CRIA_OK;
    return ERROR_SET(err, CRIA_BUSY, "%s is there already, from %s: remove it first (cria rm %s) or give another name",
                     p->name, ret->source, p->name);
}

static cria_status describe(const struct pull *p, char *open, struct hub_manifest *m, struct cria_error *err) {
    char date[32] = "";
    struct tm t;
    const time_t now = time(NULL);
    cria_status status = CRIA_OK;
    m->open = open;
    if (gmtime_r(&now, &t)) strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &t);
    TRY(hub_copy_text(&m->date, date, strlen(date), err));
    TRY(hub_copy_text(&m->name, p->name, strlen(p->name), err));
    TRY(hub_copy_text(&m->source, p->source->text, strlen(p->source->text), err));
    TRY(hub_manifest_measure(m, p->fresh, err));
out:
    return status;
}

/* Brings the files into p->fresh and describes them. */
static cria_status fetch(const struct pull *p, struct hub_manifest *ret, struct cria_error *err) {
    cria_status status = CRIA_OK;
    char *open = NULL;
    TRY(hub_store_erase(p->part, err));
    TRY(file_make_folder(p->fresh, err));
    TRY(file_make_folder(p->scratch, err));
    TRY(p->source->scheme->fetch(p->source, p->fresh, p->scratch, &open, err));
    TRY(describe(p, open, ret, err));
    TRY(check_expected(p, ret, err));
    TRY(hub_manifest_write(ret, p->fresh, err));
out:
    return status;
}

/* Puts p->fresh in the place of the model; what was there lies in p->part afterwards. */
static cria_status publish(const struct pull *p, struct cria_error *err) {
    int failed = rename(p->fresh, p->folder); /* over nothing, or an empty folder */
    if (failed && (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR))
        failed = renameat2(AT_FDCWD, p->fresh, AT_FDCWD, p->folder, RENAME_EXCHANGE);
    if (failed) return ERROR_SET(err, CRIA_IO, "%s: the model cannot be put in place: %s", p->folder, strerror(errno));
    return file_sync_folder(p->models, err);
}

static cria_status pull_locked(const struct pull *p, struct hub_model *ret, int *ret_was_there,
                               struct cria_error *err) {
    struct hub_manifest there = {0}, fresh = {0};
    const bool is_local = p->source->scheme->is_local;
    bool is_there = false;
    cria_status status = CRIA_OK;
    TRY(look(p, &there, &is_there, err));
    is_there = is_there && is_whole(&there, p->folder);
    if (is_there && !is_local) {
        TRY(check_expected(p, &there, err));
        TRY(hub_manifest_model(&there, p->folder, ret, err));
        *ret_was_there = 1;
        goto out;
    }
    TRY(fetch(p, &fresh, err));
    is_there = is_there && hub_manifest_same_files(&there, &fresh);
    if (!is_there) TRY(publish(p, err));
    TRY(hub_manifest_model(&fresh, p->folder, ret, err));
    *ret_was_there = is_there;
out:
    hub_manifest_free(&there);
    hub_manifest_free(&fresh);
    return status;
}

cria_status hub_pull(const char *source, const char *name, const char *sha256, struct hub_model *ret,
                     int *ret_was_there, struct cria_error *err) {
    struct hub_source s = {0};
    struct pull p = {0};
    char *models = NULL;
    int lock = -1;
    cria_status status = CRIA_OK;
    TRY(check_digest_text(sha256, err));
    TRY(hub_source_parse(&s, source, err));
    status = hub_store_check_name(name ? name : s.name, err);
    if (status != CRIA_OK) {
        if (!name) error_prefix(err, "give the model a name (--name)");
        goto out;
    }
    TRY(hub_store_models(&models, err));
    TRY(file_make_folder(models, err));
    p = (struct pull){.source = &s, .name = name ? name : s.name, .sha256 = sha256, .models = models};
    TRY(name_paths(&p, err));
    hub_store_sweep(models);
    TRY(hub_store_lock(models, p.name, true, &lock, err));
    status = pull_locked(&p, ret, ret_was_there, err);
    const cria_status cleared = hub_store_erase(p.part, NULL);
    (void)cleared; /* what is left is hidden, and the next pull clears it */
out:
    if (lock >= 0) close(lock);
    free_pull(&p);
    alloc_free(models);
    hub_source_free(&s);
    return status;
}
