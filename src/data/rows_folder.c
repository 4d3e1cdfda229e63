/* rows_folder.c: opening a data folder and reading its rows (see data_rows.h).
 *
 * Files are read with pread(), not mapped: a file that is cut gives a short read instead of a signal, and memory stays
 * what the rows in use take. Before a row is handed out, size and time of each file it came from are compared with
 * those at the opening. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "data/rows_private.h"

static cria_status check_unchanged(const struct rows_file *f, struct cria_error *err) {
    struct stat st;
    if (fstat(f->fd, &st) != 0) return ERROR_SET(err, CRIA_IO, "%s: %s", f->path, strerror(errno));
    if ((uint64_t)st.st_size == f->n_bytes && st.st_mtim.tv_sec == f->changed_at.tv_sec &&
        st.st_mtim.tv_nsec == f->changed_at.tv_nsec)
        return CRIA_OK;
    return ERROR_SET(err, CRIA_IO,
                     "%s: was changed since it was opened (%llu bytes then, %llu now); build the data anew, and start "
                     "again from a checkpoint",
                     f->path, (unsigned long long)f->n_bytes, (unsigned long long)st.st_size);
}

static cria_status read_at(const struct rows_file *f, void *out, size_t n, uint64_t at, struct cria_error *err) {
    char *to = out;
    for (size_t done = 0; done < n;) {
        const ssize_t got = pread(f->fd, to + done, n - done, (off_t)(at + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return ERROR_SET(err, CRIA_IO, "%s: cannot be read: %s", f->path, strerror(errno));
        if (got == 0)
            return ERROR_SET(err, CRIA_IO, "%s: ends at byte %llu, expected %llu bytes", f->path,
                             (unsigned long long)(at + done), (unsigned long long)f->n_bytes);
        done += (size_t)got;
    }
    return CRIA_OK;
}

/* Opens folder/name and holds it to the manifest's size and, unless trusted, digest. */
static cria_status open_file(struct rows_file *f, const char *folder, const struct data_file *wanted, bool is_trusted,
                             struct cria_error *err) {
    cria_status status = CRIA_OK;
    uint8_t sum[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];
    struct stat st;
    f->fd = -1;
    f->path = file_join(folder, wanted->name);
    if (!f->path) return ERROR_NOMEM(err, strlen(folder), "a path");
    TRY(file_open_read(f->path, &f->fd, &f->n_bytes, err));
    if (f->n_bytes != wanted->n_bytes)
        return ERROR_SET(err, CRIA_FORMAT, "%s: expected %llu bytes as in %s, found %llu", f->path,
                         (unsigned long long)wanted->n_bytes, DATA_MANIFEST_NAME, (unsigned long long)f->n_bytes);
    if (fstat(f->fd, &st) != 0) return ERROR_SET(err, CRIA_IO, "%s: %s", f->path, strerror(errno));
    f->changed_at = st.st_mtim;
    if (is_trusted) return CRIA_OK;
    TRY(digest_file(f->path, sum, err));
    digest_hex(sum, hex);
    if (strcmp(hex, wanted->sha256) != 0)
        status = ERROR_SET(err, CRIA_FORMAT, "%s: is damaged: its SHA-256 is %s, expected %s as in %s", f->path, hex,
                           wanted->sha256, DATA_MANIFEST_NAME);
out:
    return status;
}

/* A file that is only checked, not kept open. */
static cria_status check_file(const char *folder, const struct data_file *wanted, bool is_trusted,
                              struct cria_error *err) {
    struct rows_file f = {.fd = -1};
    const cria_status status = open_file(&f, folder, wanted, is_trusted, err);
    if (f.fd >= 0) close(f.fd);
    alloc_free(f.path);
    return status;
}

static cria_status open_token_bytes(rows *r, const char *folder, struct cria_error *err) {
    cria_status status = CRIA_OK;
    char *data = NULL;
    size_t n;
    char *path = file_join(folder, DATA_TOKEN_BYTES_NAME);
    if (!path) return ERROR_NOMEM(err, strlen(folder), "a path");
    TRY(check_file(folder, data_manifest_file(&r->manifest, DATA_TOKEN_BYTES_NAME), false, err));
    TRY(file_read(path, (size_t)r->n_vocab * sizeof *r->token_bytes, &data, &n, err));
    if (n != (size_t)r->n_vocab * sizeof *r->token_bytes) {
        status = ERROR_SET(err, CRIA_FORMAT, "%s: expected %d numbers of two bytes", path, r->n_vocab);
        goto out;
    }
    r->token_bytes = (uint16_t *)data;
    data = NULL;
out:
    alloc_free(data);
    alloc_free(path);
    return status;
}

static cria_status open_files(rows *r, const char *folder, bool is_trusted, struct cria_error *err) {
    const struct data_manifest *m = &r->manifest;
    char name[DATA_NAME_BYTES];
    cria_status status = CRIA_OK;
    r->shards = alloc_zeroed((size_t)m->n_shards + 1, sizeof *r->shards);
    r->packings = alloc_zeroed((size_t)m->n_packings + 1, sizeof *r->packings);
    r->tokenizer_path = file_join(folder, m->tokenizer_file);
    if (!r->shards || !r->packings || !r->tokenizer_path)
        return ERROR_NOMEM(err, (size_t)m->n_shards * sizeof *r->shards, folder);
    for (int i = 0; i < m->n_shards; i++) {
        data_manifest_shard_name(name, i);
        TRY(open_file(&r->shards[i], folder, data_manifest_file(m, name), is_trusted, err));
    }
    for (int i = 0; i < m->n_packings; i++) {
        data_manifest_rows_name(name, m->packings[i].seq_len);
        TRY(open_file(&r->packings[i].ends, folder, data_manifest_file(m, name), is_trusted, err));
        data_manifest_pieces_name(name, m->packings[i].seq_len);
        TRY(open_file(&r->packings[i].pieces, folder, data_manifest_file(m, name), is_trusted, err));
    }
    TRY(check_file(folder, data_manifest_file(m, m->tokenizer_file), is_trusted, err));
    TRY(open_token_bytes(r, folder, err));
out:
    return status;
}

cria_status rows_open(rows **ret, const char *folder, const struct rows_options *options, struct cria_error *err) {
    static const struct rows_options defaults;
    cria_status status = CRIA_OK;
    if (!options) options = &defaults;
    rows *r = ALLOC_NEW(rows);
    if (!r) return ERROR_NOMEM(err, sizeof *r, folder);
    TRY(data_manifest_read(&r->manifest, folder, err));
    r->n_vocab = r->manifest.n_vocab;
    memcpy(r->digest, r->manifest.digest, sizeof r->digest);
    status = rows_phases_make(r, options, err);
    if (status != CRIA_OK) {
        error_prefix(err, "%s", folder);
        goto out;
    }
    TRY(open_files(r, folder, options->trust_files, err));
    *ret = r;
    r = NULL;
out:
    rows_close(&r);
    return status;
}

/* The pieces of row `number` of the packing, into scratch; their lengths add up to at most the row's. */
static cria_status read_pieces(const rows *r, int packing, uint64_t number, struct rows_row *row, int *ret_n,
                               struct cria_error *err) {
    const struct data_packing *p = &r->manifest.packings[packing];
    const struct rows_packing *files = &r->packings[packing];
    const struct data_piece *pieces = row->scratch;
    uint64_t ends[2] = {0, 0}, n_ids = 0;
    cria_status status = CRIA_OK;
    if (number) TRY(read_at(&files->ends, ends, sizeof ends, (number - 1) * sizeof *ends, err));
    else TRY(read_at(&files->ends, ends + 1, sizeof *ends, 0, err));
    if (ends[0] >= ends[1] || ends[1] > p->n_pieces || ends[1] - ends[0] > (uint64_t)p->seq_len)
        return ERROR_SET(err, CRIA_FORMAT, "%s: row %llu has no valid list of pieces", files->ends.path,
                         (unsigned long long)number);
    const size_t n = (size_t)(ends[1] - ends[0]);
    TRY(read_at(&files->pieces, row->scratch, n * sizeof *pieces, ends[0] * sizeof *pieces, err));
    for (size_t i = 0; i < n; i++) {
        n_ids += pieces[i].n;
        if (pieces[i].n == 0 || pieces[i].first_token >= r->manifest.n_tokens || n_ids > (uint64_t)p->seq_len)
            return ERROR_SET(err, CRIA_FORMAT, "%s: piece %llu is not valid", files->pieces.path,
                             (unsigned long long)(ends[0] + i));
    }
    *ret_n = (int)n;
out:
    return status;
}

static int find_shard(const struct data_manifest *m, uint64_t token) {
    int low = 0, high = m->n_shards - 1;
    while (low < high) {
        const int middle = (low + high) / 2;
        if (m->shard_ends[middle] > token) high = middle;
        else low = middle + 1;
    }
    return low;
}

static int32_t id_at(const void *raw, int id_bytes, int i) {
    return id_bytes == 2 ? ((const uint16_t *)raw)[i] : (int32_t)((const uint32_t *)raw)[i];
}

/* Appends a piece: its ids and, one further, its targets. raw has room for the piece's ids and one more. */
static cria_status read_piece(const rows *r, const struct data_piece *piece, void *raw, struct rows_row *row,
                              struct cria_error *err) {
    const struct data_manifest *m = &r->manifest;
    const int shard = find_shard(m, piece->first_token), n = (int)piece->n;
    const uint64_t first = shard ? m->shard_ends[shard - 1] : 0;
    cria_status status = CRIA_OK;
    if (piece->first_token + (uint64_t)n + 1 > m->shard_ends[shard])
        return ERROR_SET(err, CRIA_FORMAT, "%s: a piece crosses its end", r->shards[shard].path);
    TRY(read_at(&r->shards[shard], raw, ((size_t)n + 1) * (size_t)m->id_bytes,
                (piece->first_token - first) * (uint64_t)m->id_bytes, err));
    TRY(check_unchanged(&r->shards[shard], err));
    for (int i = 0; i <= n; i++) {
        const int32_t id = id_at(raw, m->id_bytes, i);
        if (id < 0 || id >= r->n_vocab)
            return ERROR_SET(err, CRIA_FORMAT, "%s: id %lld is not below %d", r->shards[shard].path, (long long)id,
                             r->n_vocab);
        if (i < n) row->ids[row->n_tokens + i] = id;
        if (i > 0) row->targets[row->n_tokens + i - 1] = id;
    }
    row->pieces[row->n_pieces++] = (struct rows_piece){row->n_tokens, n};
    row->n_tokens += n;
out:
    return status;
}

cria_status rows_folder_get(const rows *r, int plan, uint64_t number, struct rows_row *row, struct cria_error *err) {
    cria_status status = CRIA_OK;
    const int packing = r->plans[plan].packing;
    int n_pieces;
    const uint64_t place = rows_phases_row(r, &r->plans[plan], number, &row->source);
    row->n_tokens = row->n_pieces = 0;
    TRY(read_pieces(r, packing, place, row, &n_pieces, err));
    const struct data_piece *pieces = row->scratch;
    /* Raw ids go behind the pieces. Scratch has room for capacity + 1 pieces of 16 bytes; n pieces leave the largest of
     * them at most capacity - n + 1 ids, which with the one behind it take 4 bytes each. */
    char *raw = (char *)row->scratch + (size_t)n_pieces * sizeof *pieces;
    for (int i = 0; i < n_pieces; i++) TRY(read_piece(r, &pieces[i], raw, row, err));
    TRY(check_unchanged(&r->packings[packing].ends, err));
    TRY(check_unchanged(&r->packings[packing].pieces, err));
out:
    return status;
}
