/* fetch.h: corpora onto this machine: texts that Debian packages carry, files, and addresses.
 *
 * A package comes through this machine's own apt (`apt-get download`, which needs no root and installs nothing) and is
 * unpacked here; its text is made plain: a file for each book. An address comes over http or https. What a caller may
 * believe: the folder appears by one rename, with all files in it synced; a fetch that was killed leaves OUT.fetching,
 * which the next one clears away. A package's copyright file comes along as `copyright`. */
#ifndef DATA_FETCH_H
#define DATA_FETCH_H

#include <stdint.h>

#include "base/digest.h"
#include "base/error.h"

struct fetch_corpus {
    const char *name, *package, *help;
};
/* The i-th known corpus, or NULL behind the last. */
const struct fetch_corpus *fetch_known(int i);

struct fetch_file {
    char *name; /* owned */
    uint64_t n_bytes;
    char sha256[DIGEST_HEX_BYTES];
};
struct fetch_result {
    struct fetch_file *files; /* owned, sorted by name */
    int n_files;
};
void fetch_result_free(struct fetch_result *r);

/* source: the name of a known corpus, package:FILE.deb (a corpus's package that is here already, named PACKAGE_*.deb),
 * file:PATH, http://... or https://... . sha256 (NULL: none expected) is that of the file or package. BUSY where `out`
 * is there, NOTFOUND for an unknown name, FORMAT for another digest or a broken package, IO for the network. */
CRIA_MUST_CHECK cria_status fetch_run(const char *source, const char *out, const char *sha256, struct fetch_result *ret,
                                      struct cria_error *err);

#endif
