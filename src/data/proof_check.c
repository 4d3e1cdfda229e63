/* proof_check.c: reads a whole data folder and holds its parts to each other; see proof.h. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/progress.h"
#include "data/proof.h"

/* The maps that the checks share. */
struct check {
    const char *folder;
    struct data_manifest manifest;
    struct file_map *leaves, *documents;
    uint64_t n_bytes;
};

static cria_status open_map(struct file_map **ret, const char *folder, const char *name, struct cria_error *err) {
    char *path = file_join(folder, name);
    if (!path) return ERROR_NOMEM(err, strlen(folder), "a path");
    const cria_status status = file_map_open(ret, path, err);
    alloc_free(path);
    if (status == CRIA_OK) file_watch_begin(*ret);
    return status;
}

/* Ends a watch and the map; the watch's failure explains any other. */
static cria_status close_map(struct file_map **map, cria_status before, struct cria_error *err) {
    struct cria_error cut;
    if (!*map) return before;
    const cria_status status = file_watch_end(*map, &cut);
    file_map_close(map);
    if (status == CRIA_OK) return before;
    if (err) *err = cut;
    return status;
}

static cria_status check_file(struct check *c, const struct data_file *f, struct cria_error *err) {
    cria_status status = CRIA_OK;
    uint8_t sum[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];
    struct stat st;
    char *path = file_join(c->folder, f->name);
    if (!path) return ERROR_NOMEM(err, strlen(f->name), "a path");
    TRY(digest_file(path, sum, err));
    digest_hex(sum, hex);
    if (stat(path, &st) == 0 && (uint64_t)st.st_size != f->n_bytes)
        status = ERROR_SET(err, CRIA_FORMAT, "%s: expected %llu bytes as in %s, found %llu", path,
                           (unsigned long long)f->n_bytes, DATA_MANIFEST_NAME, (unsigned long long)st.st_size);
    else if (strcmp(hex, f->sha256) != 0)
        status = ERROR_SET(err, CRIA_FORMAT, "%s: is damaged: its SHA-256 is %s, expected %s as in %s", path, hex,
                           f->sha256, DATA_MANIFEST_NAME);
    c->n_bytes += f->n_bytes;
out:
    alloc_free(path);
    return status;
}

static cria_status check_files(struct check *c, struct cria_error *err) {
    cria_status status = CRIA_OK;
    uint64_t total = 0;
    for (int i = 0; i < c->manifest.n_files; i++) total += c->manifest.files[i].n_bytes;
    progress *bar = progress_start("checking", total, PROGRESS_BYTES);
    for (int i = 0; i < c->manifest.n_files; i++) {
        TRY(check_file(c, &c->manifest.files[i], err));
        progress_update(bar, c->n_bytes);
    }
out:
    progress_finish(&bar);
    return status;
}

static cria_status check_leaves(const struct check *c, struct cria_error *err) {
    const uint8_t(*leaves)[DIGEST_BYTES] = (const uint8_t(*)[DIGEST_BYTES])c->leaves->data;
    struct merkle tree = {.n_leaves = 0};
    uint8_t root[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];
    cria_status status = CRIA_OK;
    for (uint64_t i = 0; i < c->manifest.n_documents; i++) {
        if (i > 0 && memcmp(leaves[i - 1], leaves[i], DIGEST_BYTES) >= 0)
            return ERROR_SET(err, CRIA_FORMAT, "%s: leaf %llu does not stand in order", c->leaves->path,
                             (unsigned long long)i);
        TRY(merkle_add(&tree, leaves[i], err));
    }
    TRY(merkle_root(&tree, root, err));
    digest_hex(root, hex);
    if (strcmp(hex, c->manifest.root) != 0)
        status = ERROR_SET(err, CRIA_FORMAT, "%s: its Merkle root is %s, expected %s as in %s", c->leaves->path, hex,
                           c->manifest.root, DATA_MANIFEST_NAME);
out:
    return status;
}

static const struct data_document *documents_of(const struct check *c) {
    return (const struct data_document *)c->documents->data;
}

/* Documents lie one behind the other and cover all tokens. */
static cria_status check_documents(const struct check *c, struct cria_error *err) {
    const struct data_document *d = documents_of(c);
    uint64_t next = 0;
    for (uint64_t i = 0; i < c->manifest.n_documents; i++) {
        if (d[i].first_token != next || d[i].source >= c->manifest.n_sources)
            return ERROR_SET(err, CRIA_FORMAT, "%s: document %llu does not follow the one before it",
                             c->documents->path, (unsigned long long)i);
        next += d[i].n_tokens;
    }
    if (next != c->manifest.n_tokens)
        return ERROR_SET(err, CRIA_FORMAT, "%s: the documents have %llu tokens, the shards %llu", c->documents->path,
                         (unsigned long long)next, (unsigned long long)c->manifest.n_tokens);
    return CRIA_OK;
}

/* Whether the piece and the id behind it lie in one document. */
static bool is_in_document(const struct check *c, const struct data_piece *p) {
    const struct data_document *d = documents_of(c);
    uint64_t low = 0, high = c->manifest.n_documents;
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        if (d[middle].first_token + d[middle].n_tokens <= p->first_token) low = middle + 1;
        else high = middle;
    }
    return low < c->manifest.n_documents && p->n > 0 && p->first_token + p->n < d[low].first_token + d[low].n_tokens;
}

static cria_status check_pieces(const struct check *c, const struct data_packing *p, const struct file_map *ends,
                                const struct file_map *pieces, struct cria_error *err) {
    const uint64_t *end = (const uint64_t *)ends->data;
    const struct data_piece *piece = (const struct data_piece *)pieces->data;
    uint64_t at = 0, n_all = 0, n_wanted = 0;
    for (uint64_t row = 0; row < p->n_rows; row++) {
        uint64_t n = 0;
        if (end[row] <= at || end[row] > p->n_pieces)
            return ERROR_SET(err, CRIA_FORMAT, "%s: row %llu has no pieces", ends->path, (unsigned long long)row);
        for (; at < end[row]; at++) {
            if (!is_in_document(c, &piece[at]))
                return ERROR_SET(err, CRIA_FORMAT, "%s: piece %llu lies in no document", pieces->path,
                                 (unsigned long long)at);
            n += piece[at].n;
        }
        if (n > (uint64_t)p->seq_len)
            return ERROR_SET(err, CRIA_FORMAT, "%s: row %llu has %llu ids", ends->path, (unsigned long long)row,
                             (unsigned long long)n);
        n_all += n;
    }
    for (uint64_t i = 0; i < c->manifest.n_documents; i++)
        n_wanted += documents_of(c)[i].n_tokens ? documents_of(c)[i].n_tokens - 1 : 0;
    if (n_all != n_wanted)
        return ERROR_SET(err, CRIA_FORMAT, "%s: the rows have %llu inputs, the documents %llu", pieces->path,
                         (unsigned long long)n_all, (unsigned long long)n_wanted);
    return CRIA_OK;
}

static cria_status check_packing(const struct check *c, const struct data_packing *p, struct cria_error *err) {
    char name[DATA_NAME_BYTES];
    struct file_map *ends = NULL, *pieces = NULL;
    cria_status status = CRIA_OK;
    data_manifest_rows_name(name, p->seq_len);
    TRY(open_map(&ends, c->folder, name, err));
    data_manifest_pieces_name(name, p->seq_len);
    TRY(open_map(&pieces, c->folder, name, err));
    TRY(check_pieces(c, p, ends, pieces, err));
out:
    status = close_map(&ends, status, err);
    return close_map(&pieces, status, err);
}

cria_status proof_check_folder(const char *folder, struct proof_check *ret, struct cria_error *err) {
    cria_status status = CRIA_OK;
    struct check c = {.folder = folder};
    TRY(data_manifest_read(&c.manifest, folder, err));
    TRY(check_files(&c, err));
    TRY(open_map(&c.leaves, folder, DATA_LEAVES_NAME, err));
    TRY(open_map(&c.documents, folder, DATA_DOCUMENTS_NAME, err));
    TRY(check_leaves(&c, err));
    TRY(check_documents(&c, err));
    for (int i = 0; i < c.manifest.n_packings; i++) TRY(check_packing(&c, &c.manifest.packings[i], err));
    ret->n_files = (uint64_t)c.manifest.n_files;
    ret->n_bytes = c.n_bytes;
    ret->n_documents = c.manifest.n_documents;
    memcpy(ret->root, c.manifest.root, sizeof ret->root);
out:
    status = close_map(&c.leaves, status, err);
    status = close_map(&c.documents, status, err);
    data_manifest_free(&c.manifest);
    return status;
}
