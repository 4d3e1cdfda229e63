/* proof.h: whether a data folder is whole, and whether a document is in it.
 *
 * The answer about a document comes with hashes that lead to the folder's Merkle root (merkle.h), so whoever knows the
 * root can check it without the data: one path where the document is in; where it is not, the paths of the two
 * neighbours between which its digest would stand. */
#ifndef DATA_PROOF_H
#define DATA_PROOF_H

#include <stdbool.h>

#include "base/error.h"
#include "data/data_manifest.h"
#include "data/merkle.h"

struct proof_leaf {
    uint8_t digest[DIGEST_BYTES];
    struct merkle_path path;
};

struct proof {
    uint8_t digest[DIGEST_BYTES]; /* of the cleaned text */
    char root[DIGEST_HEX_BYTES];
    bool is_in;
    struct proof_leaf leaf;          /* the document, where it is in */
    bool has_before, has_after;      /* where it is not: false at the ends of the list */
    struct proof_leaf before, after; /* its neighbours */
};

/* Looks the text up. It is cleaned by the rules that the folder was built with first. Every path is verified against
 * the root before it is given. FORMAT where leaves and root do not fit. */
CRIA_MUST_CHECK cria_status proof_find(const char *folder, const char *text, size_t n, struct proof *ret,
                                       struct cria_error *err);

struct proof_check {
    uint64_t n_files, n_bytes, n_documents;
    char root[DIGEST_HEX_BYTES];
};
/* Reads all of a folder: every file's SHA-256, the order of the leaves and their root, that the documents cover the
 * shards without gap, that every row fits. FORMAT or IO names what does not hold. Shows progress. */
CRIA_MUST_CHECK cria_status proof_check_folder(const char *folder, struct proof_check *ret, struct cria_error *err);

#endif
