/* build_same.c: finds what comes twice. Digests and bands come sorted, so equal ones are neighbours and the document
 * that was read first leads them: it stays. Of near-duplicates a document goes where a document before it that shares a
 * band is similar enough; that one may be gone itself as the duplicate of a third. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "data/build_private.h"
#include "data/merkle.h"

static void drop(struct build *b, uint64_t number) { b->dropped[number / 8] |= (uint8_t)(1 << number % 8); }

static cria_status drop_equal(struct build *b, struct cria_error *err) {
    cria_status status = CRIA_OK;
    uint8_t last[DIGEST_BYTES];
    const uint8_t *record;
    bool more, any = false;
    TRY(sorter_rewind(b->digests, err));
    for (;;) {
        TRY(sorter_next(b->digests, &record, &more, err));
        if (!more) break;
        if (any && memcmp(last, record, DIGEST_BYTES) == 0) {
            drop(b, sorter_get(record + DIGEST_BYTES));
            b->result.n_exact++;
        }
        memcpy(last, record, DIGEST_BYTES);
        any = true;
    }
out:
    return status;
}

static cria_status read_signature(const struct build *b, uint64_t number, struct near_signature *out,
                                  struct cria_error *err) {
    ssize_t got;
    do got = pread(writer_fd(b->signatures), out, sizeof *out, (off_t)(number * sizeof *out));
    while (got < 0 && errno == EINTR);
    if (got == sizeof *out) return CRIA_OK;
    return ERROR_SET(err, CRIA_IO, "%s: cannot be read: %s", writer_path(b->signatures),
                     got < 0 ? strerror(errno) : "it is too short");
}

static cria_status drop_near(struct build *b, struct cria_error *err) {
    cria_status status = CRIA_OK;
    struct near_signature leader, other;
    uint64_t hash = 0, leader_number = 0;
    const uint8_t *record;
    bool more, any = false, is_read = false;
    TRY(writer_flush(b->signatures, err));
    TRY(sorter_rewind(b->bands, err));
    for (;;) {
        TRY(sorter_next(b->bands, &record, &more, err));
        if (!more) break;
        const uint64_t number = sorter_get(record + 8);
        if (!any || sorter_get(record) != hash) { /* another band: its first document leads */
            hash = sorter_get(record);
            leader_number = number;
            any = true;
            is_read = false;
            continue;
        }
        if (build_is_dropped(b, number)) continue;
        if (!is_read) TRY(read_signature(b, leader_number, &leader, err));
        is_read = true;
        TRY(read_signature(b, number, &other, err));
        if (near_similarity(&leader, &other) < b->o->near_threshold) continue;
        drop(b, number);
        b->result.n_near++;
    }
out:
    return status;
}

/* The digests of what stays, ascending, and the root of the tree over them. */
static cria_status write_leaves(struct build *b, struct cria_error *err) {
    cria_status status = CRIA_OK;
    struct merkle tree = {.n_leaves = 0};
    uint8_t root[DIGEST_BYTES];
    writer *leaves = NULL;
    const uint8_t *record;
    bool more;
    TRY(writer_create(&leaves, b->folder, DATA_LEAVES_NAME, err));
    TRY(sorter_rewind(b->digests, err));
    for (;;) {
        TRY(sorter_next(b->digests, &record, &more, err));
        if (!more) break;
        if (build_is_dropped(b, sorter_get(record + DIGEST_BYTES))) continue;
        TRY(merkle_add(&tree, record, err));
        TRY(writer_add(leaves, record, DIGEST_BYTES, err));
    }
    TRY(merkle_root(&tree, root, err));
    TRY(writer_finish(&leaves, err));
    digest_hex(root, b->manifest.root);
out:
    writer_destroy(&leaves);
    return status;
}

cria_status build_same(struct build *b, struct cria_error *err) {
    cria_status status = CRIA_OK;
    b->n_dropped_bytes = (size_t)(b->n_numbers / 8) + 1;
    b->dropped = alloc_zeroed(b->n_dropped_bytes, 1);
    if (!b->dropped) return ERROR_NOMEM(err, b->n_dropped_bytes, "a bit for each document");
    TRY(drop_equal(b, err));
    if (b->bands) TRY(drop_near(b, err));
    sorter_destroy(&b->bands);
    TRY(write_leaves(b, err));
    sorter_destroy(&b->digests);
out:
    return status;
}
