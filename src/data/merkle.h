/* merkle.h: a hash tree over sorted digests, which proves that a document is in a corpus, and that one is not.
 *
 * The tree is that of Certificate Transparency (RFC 6962, section 2.1) with SHA-256: a leaf's hash is
 * SHA-256(0x00 || digest), an inner node's SHA-256(0x01 || left || right), and the left subtree is the largest power of
 * two below n. Leaves ascend and are all different, so two neighbours with their places prove that nothing lies
 * between them. */
#ifndef DATA_MERKLE_H
#define DATA_MERKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/error.h"

#define MERKLE_MAX_PATH 64

/* The root while leaves come one by one; zero-initialise. */
struct merkle {
    uint8_t stack[MERKLE_MAX_PATH][DIGEST_BYTES]; /* roots of whole subtrees, larger ones first */
    uint64_t n_leaves;
};
CRIA_MUST_CHECK cria_status merkle_add(struct merkle *m, const uint8_t leaf[DIGEST_BYTES], struct cria_error *err);
/* Without leaves: SHA-256 of nothing. More leaves may follow. */
CRIA_MUST_CHECK cria_status merkle_root(const struct merkle *m, uint8_t ret[DIGEST_BYTES], struct cria_error *err);

/* The sibling hashes from leaf `at` to the root, lowest first. */
struct merkle_path {
    uint64_t at, n_leaves;
    int n;
    uint8_t siblings[MERKLE_MAX_PATH][DIGEST_BYTES];
};
/* at < n. Reads all leaves. */
CRIA_MUST_CHECK cria_status merkle_prove(const uint8_t (*leaves)[DIGEST_BYTES], uint64_t n, uint64_t at,
                                         struct merkle_path *ret, struct cria_error *err);
/* Whether the path leads from the leaf to the root. */
CRIA_MUST_CHECK cria_status merkle_verify(const struct merkle_path *path, const uint8_t leaf[DIGEST_BYTES],
                                          const uint8_t root[DIGEST_BYTES], bool *ret_holds, struct cria_error *err);

#endif
