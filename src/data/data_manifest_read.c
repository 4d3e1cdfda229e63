/* data_manifest_read.c: reading manifest.json as untrusted text: limits on every count, and every part held to the
 * others, so that whoever uses it may believe its numbers. */
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "data/data_manifest.h"

#define MAX_TOKENS ((uint64_t)1 << 48)
enum { SEAL_BYTES = 78 }; /* ,"sha256":"(64)"} and a line end */

/* One list being read: its elements grow up to a limit. */
static cria_status grow(void **items, int n, size_t size, int limit, const char *what, struct cria_error *err) {
    if (n >= limit) return ERROR_SET(err, CRIA_LIMIT, "more than %d %s", limit, what);
    if (n & (n - 1)) return CRIA_OK; /* room is doubled at powers of two */
    void *grown = alloc_resize(*items, n ? 2 * (size_t)n : 1, size);
    if (!grown) return ERROR_NOMEM(err, 2 * (size_t)n * size, what);
    memset((char *)grown + (size_t)n * size, 0, (n ? (size_t)n : 1) * size);
    *items = grown;
    return CRIA_OK;
}

static cria_status read_text(json_reader *r, char **ret, struct cria_error *err) {
    struct json_text t;
    const cria_status status = json_read_string(r, &t, err);
    if (status != CRIA_OK) return status;
    char *copy = alloc_text(t.bytes, t.n);
    if (!copy) return ERROR_NOMEM(err, t.n, DATA_MANIFEST_NAME);
    alloc_free(*ret);
    *ret = copy;
    return CRIA_OK;
}

static cria_status read_hex(json_reader *r, char out[DIGEST_HEX_BYTES], struct cria_error *err) {
    struct json_text t;
    const cria_status status = json_read_string(r, &t, err);
    if (status != CRIA_OK) return status;
    if (t.n != DIGEST_HEX_BYTES - 1 || strspn(t.bytes, "0123456789abcdef") < t.n)
        return json_fail(r, err, "expected a SHA-256 in hexadecimal");
    memcpy(out, t.bytes, t.n);
    out[t.n] = '\0';
    return CRIA_OK;
}

static cria_status read_int(json_reader *r, int64_t min, int64_t max, int *ret, struct cria_error *err) {
    int64_t value;
    const cria_status status = json_read_i64(r, min, max, &value, err);
    if (status == CRIA_OK) *ret = (int)value;
    return status;
}

static cria_status read_tokenizer(json_reader *r, struct data_manifest *m, struct cria_error *err) {
    cria_status status = CRIA_OK;
    struct json_text key;
    bool more;
    TRY(json_begin_object(r, err));
    for (;;) {
        TRY(json_next_key(r, &key, &more, err));
        if (!more) break;
        if (json_text_is(key, "file")) TRY(read_text(r, &m->tokenizer_file, err));
        else if (json_text_is(key, "kind")) TRY(read_text(r, &m->tokenizer_kind, err));
        else if (json_text_is(key, "n_vocab")) TRY(read_int(r, 1, INT32_MAX, &m->n_vocab, err));
        else if (json_text_is(key, "bos")) TRY(json_read_i64(r, -1, INT32_MAX, &m->bos, err));
        else if (json_text_is(key, "eos")) TRY(json_read_i64(r, -1, INT32_MAX, &m->eos, err));
        else TRY(json_skip(r, err));
    }
out:
    return status;
}

static cria_status read_source(json_reader *r, void *item, struct cria_error *err) {
    struct data_source *s = item;
    cria_status status = CRIA_OK;
    struct json_text key;
    bool more;
    TRY(json_begin_object(r, err));
    for (;;) {
        TRY(json_next_key(r, &key, &more, err));
        if (!more) break;
        if (json_text_is(key, "name")) TRY(read_text(r, &s->name, err));
        else if (json_text_is(key, "weight")) TRY(json_read_f64(r, &s->weight, err));
        else if (json_text_is(key, "documents")) TRY(json_read_u64(r, MAX_TOKENS, &s->n_documents, err));
        else if (json_text_is(key, "held_out_documents")) TRY(json_read_u64(r, MAX_TOKENS, &s->n_held_out, err));
        else if (json_text_is(key, "bytes")) TRY(json_read_u64(r, UINT64_MAX, &s->n_bytes, err));
        else if (json_text_is(key, "tokens")) TRY(json_read_u64(r, MAX_TOKENS, &s->n_tokens, err));
        else TRY(json_skip(r, err));
    }
    if (!s->name || s->weight < 0)
        status = json_fail(r, err, "expected a source with a name and a weight of 0 or more");
out:
    return status;
}

static cria_status read_group(json_reader *r, void *item, struct cria_error *err) {
    struct data_group *g = item;
    cria_status status = CRIA_OK;
    struct json_text key;
    bool more;
    TRY(json_begin_object(r, err));
    for (;;) {
        TRY(json_next_key(r, &key, &more, err));
        if (!more) break;
        if (json_text_is(key, "source")) TRY(read_int(r, 0, DATA_MAX_SOURCES - 1, &g->source, err));
        else if (json_text_is(key, "held_out")) TRY(json_read_bool(r, &g->is_held_out, err));
        else if (json_text_is(key, "first_row")) TRY(json_read_u64(r, MAX_TOKENS, &g->first_row, err));
        else if (json_text_is(key, "rows")) TRY(json_read_u64(r, MAX_TOKENS, &g->n_rows, err));
        else if (json_text_is(key, "tokens")) TRY(json_read_u64(r, MAX_TOKENS, &g->n_tokens, err));
        else TRY(json_skip(r, err));
    }
out:
    return status;
}

static cria_status read_file_row(json_reader *r, void *item, struct cria_error *err) {
    struct data_file *f = item;
    cria_status status = CRIA_OK;
    struct json_text key;
    bool more;
    TRY(json_begin_object(r, err));
    for (;;) {
        TRY(json_next_key(r, &key, &more, err));
        if (!more) break;
        if (json_text_is(key, "name")) TRY(read_text(r, &f->name, err));
        else if (json_text_is(key, "bytes")) TRY(json_read_u64(r, INT64_MAX, &f->n_bytes, err));
        else if (json_text_is(key, "sha256")) TRY(read_hex(r, f->sha256, err));
        else TRY(json_skip(r, err));
    }
    if (!f->name || !f->name[0] || strchr(f->name, '/') || f->name[0] == '.' || !f->sha256[0])
        status = json_fail(r, err, "expected a file's plain name and its SHA-256");
out:
    return status;
}

static cria_status read_shard_end(json_reader *r, void *item, struct cria_error *err) {
    return json_read_u64(r, MAX_TOKENS, item, err);
}

/* Reads an array of elements of `size` bytes each; *n counts what *items owns, also after a failure. */
static cria_status read_list(json_reader *r, cria_status (*read)(json_reader *r, void *item, struct cria_error *err),
                             void **items, int *n, size_t size, int limit, const char *what, struct cria_error *err) {
    cria_status status = CRIA_OK;
    bool more;
    TRY(json_begin_array(r, err));
    for (;;) {
        TRY(json_next_element(r, &more, err));
        if (!more) break;
        TRY(grow(items, *n, size, limit, what, err));
        void *item = (char *)*items + (size_t)(*n)++ * size;
        TRY(read(r, item, err));
    }
out:
    return status;
}

static cria_status read_packing(json_reader *r, void *item, struct cria_error *err) {
    struct data_packing *p = item;
    cria_status status = CRIA_OK;
    struct json_text key;
    bool more;
    TRY(json_begin_object(r, err));
    for (;;) {
        TRY(json_next_key(r, &key, &more, err));
        if (!more) break;
        if (json_text_is(key, "seq_len")) TRY(read_int(r, 1, DATA_MAX_LENGTH, &p->seq_len, err));
        else if (json_text_is(key, "rows")) TRY(json_read_u64(r, MAX_TOKENS, &p->n_rows, err));
        else if (json_text_is(key, "pieces")) TRY(json_read_u64(r, MAX_TOKENS, &p->n_pieces, err));
        else if (json_text_is(key, "groups"))
            TRY(read_list(r, read_group, (void **)&p->groups, &p->n_groups, sizeof *p->groups, 2 * DATA_MAX_SOURCES,
                          "groups of rows", err));
        else TRY(json_skip(r, err));
    }
out:
    return status;
}

static cria_status read_cleaning(json_reader *r, struct data_manifest *m, struct cria_error *err) {
    cria_status status = CRIA_OK;
    char *name = NULL;
    bool more;
    TRY(json_begin_array(r, err));
    for (;;) {
        TRY(json_next_element(r, &more, err));
        if (!more) break;
        TRY(read_text(r, &name, err));
        const int rule = clean_find(name);
        if (rule < 0) {
            status = json_fail(r, err, "this version of Cria has no cleaning rule of that name");
            goto out;
        }
        m->clean[rule] = true;
    }
out:
    alloc_free(name);
    return status;
}

static cria_status read_lists(json_reader *r, struct json_text key, struct data_manifest *m, struct cria_error *err) {
    if (json_text_is(key, "sources"))
        return read_list(r, read_source, (void **)&m->sources, &m->n_sources, sizeof *m->sources, DATA_MAX_SOURCES,
                         "sources", err);
    if (json_text_is(key, "packings"))
        return read_list(r, read_packing, (void **)&m->packings, &m->n_packings, sizeof *m->packings, DATA_MAX_PACKINGS,
                         "row lengths", err);
    if (json_text_is(key, "shard_ends"))
        return read_list(r, read_shard_end, (void **)&m->shard_ends, &m->n_shards, sizeof *m->shard_ends,
                         DATA_MAX_SHARDS, "shards", err);
    if (json_text_is(key, "files"))
        return read_list(r, read_file_row, (void **)&m->files, &m->n_files, sizeof *m->files, DATA_MAX_FILES, "files",
                         err);
    return json_skip(r, err);
}

static cria_status read_object(json_reader *r, struct data_manifest *m, struct cria_error *err) {
    cria_status status = CRIA_OK;
    struct json_text key;
    bool more;
    int version = 0;
    TRY(json_begin_object(r, err));
    for (;;) {
        TRY(json_next_key(r, &key, &more, err));
        if (!more) break;
        if (json_text_is(key, "version")) TRY(read_int(r, 0, INT32_MAX, &version, err));
        else if (json_text_is(key, "tokenizer")) TRY(read_tokenizer(r, m, err));
        else if (json_text_is(key, "cleaning")) TRY(read_cleaning(r, m, err));
        else if (json_text_is(key, "id_bytes")) TRY(read_int(r, 2, 4, &m->id_bytes, err));
        else if (json_text_is(key, "documents")) TRY(json_read_u64(r, MAX_TOKENS, &m->n_documents, err));
        else if (json_text_is(key, "bytes")) TRY(json_read_u64(r, UINT64_MAX, &m->n_bytes, err));
        else if (json_text_is(key, "tokens")) TRY(json_read_u64(r, MAX_TOKENS, &m->n_tokens, err));
        else if (json_text_is(key, "merkle_root")) TRY(read_hex(r, m->root, err));
        else TRY(read_lists(r, key, m, err));
    }
    TRY(json_end(r, err));
    if (version != DATA_FORMAT_VERSION)
        status = ERROR_SET(err, CRIA_UNSUPPORTED, "expected version %d of the data folder's format, found %d",
                           DATA_FORMAT_VERSION, version);
out:
    return status;
}

/* The file of that name has n items of size bytes. */
static cria_status check_size(const struct data_manifest *m, const char *name, uint64_t n, uint64_t size,
                              struct cria_error *err) {
    const struct data_file *f = data_manifest_file(m, name);
    if (!f) return ERROR_SET(err, CRIA_FORMAT, "lists no file '%s'", name);
    if (f->n_bytes != n * size) /* n is at most 2^48 and size at most 32 */
        return ERROR_SET(err, CRIA_FORMAT, "%s should have %llu bytes by what else is said, found %llu", name,
                         (unsigned long long)(n * size), (unsigned long long)f->n_bytes);
    return CRIA_OK;
}

static cria_status check_packing(const struct data_manifest *m, const struct data_packing *p, struct cria_error *err) {
    char name[DATA_NAME_BYTES];
    cria_status status = CRIA_OK;
    uint64_t row = 0;
    if (p->seq_len < 1) return ERROR_SET(err, CRIA_FORMAT, "a packing has no seq_len");
    for (int i = 0; i < p->n_groups; i++) {
        if (p->groups[i].source >= m->n_sources || p->groups[i].first_row != row || p->groups[i].n_rows == 0)
            return ERROR_SET(err, CRIA_FORMAT, "group %d of the rows of %d ids does not fit the others", i, p->seq_len);
        row += p->groups[i].n_rows;
    }
    if (row != p->n_rows)
        return ERROR_SET(err, CRIA_FORMAT, "the groups of the rows of %d ids do not add up", p->seq_len);
    data_manifest_rows_name(name, p->seq_len);
    TRY(check_size(m, name, p->n_rows, sizeof(uint64_t), err));
    data_manifest_pieces_name(name, p->seq_len);
    TRY(check_size(m, name, p->n_pieces, sizeof(struct data_piece), err));
out:
    return status;
}

static cria_status check_parts(const struct data_manifest *m, struct cria_error *err) {
    char name[DATA_NAME_BYTES];
    cria_status status = CRIA_OK;
    uint64_t first = 0;
    if (!m->tokenizer_file || !m->tokenizer_kind || !m->root[0] || m->n_vocab < 1 ||
        (m->id_bytes != 2 && m->id_bytes != 4))
        return ERROR_SET(err, CRIA_FORMAT, "expected a tokenizer, id_bytes of 2 or 4, and a Merkle root");
    if (!data_manifest_file(m, m->tokenizer_file))
        return ERROR_SET(err, CRIA_FORMAT, "lists no file '%s'", m->tokenizer_file);
    for (int i = 0; i < m->n_shards; i++) {
        if (m->shard_ends[i] < first) return ERROR_SET(err, CRIA_FORMAT, "shard_ends do not ascend");
        data_manifest_shard_name(name, i);
        TRY(check_size(m, name, m->shard_ends[i] - first, (uint64_t)m->id_bytes, err));
        first = m->shard_ends[i];
    }
    if (first != m->n_tokens) return ERROR_SET(err, CRIA_FORMAT, "the shards' tokens do not add up");
    TRY(check_size(m, DATA_DOCUMENTS_NAME, m->n_documents, sizeof(struct data_document), err));
    TRY(check_size(m, DATA_LEAVES_NAME, m->n_documents, DIGEST_BYTES, err));
    TRY(check_size(m, DATA_TOKEN_BYTES_NAME, (uint64_t)m->n_vocab, sizeof(uint16_t), err));
    for (int i = 0; i < m->n_packings; i++) TRY(check_packing(m, &m->packings[i], err));
out:
    return status;
}

/* The digest at the end is that of the bytes before it. */
static cria_status check_seal(const char *text, size_t n, char out[DIGEST_HEX_BYTES], struct cria_error *err) {
    cria_status status = CRIA_OK;
    uint8_t sum[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];
    digest *d = NULL;
    if (n < SEAL_BYTES || memcmp(text + n - SEAL_BYTES, ",\"sha256\":\"", 11) != 0)
        return ERROR_SET(err, CRIA_FORMAT, "expected its own SHA-256 at the end: the file is cut, or no manifest");
    TRY(digest_create(&d, err));
    digest_add(d, text, n - SEAL_BYTES);
    TRY(digest_result(d, sum, err));
    digest_hex(sum, hex);
    if (memcmp(hex, text + n - SEAL_BYTES + 11, DIGEST_HEX_BYTES - 1) != 0) {
        status = ERROR_SET(err, CRIA_FORMAT, "was changed: its SHA-256 is %s, and it says %.64s", hex,
                           text + n - SEAL_BYTES + 11);
        goto out;
    }
    digest_add(d, text + n - SEAL_BYTES, SEAL_BYTES);
    TRY(digest_result(d, sum, err));
    digest_hex(sum, out);
out:
    digest_destroy(&d);
    return status;
}

cria_status data_manifest_read(struct data_manifest *ret, const char *folder, struct cria_error *err) {
    cria_status status = CRIA_OK;
    struct data_manifest m = {.bos = -1, .eos = -1};
    json_reader r;
    char *text = NULL;
    size_t n = 0;
    json_reader_init(&r, NULL, 0);
    char *path = file_join(folder, DATA_MANIFEST_NAME);
    if (!path) return ERROR_NOMEM(err, strlen(folder), "a path");
    status = file_read(path, DATA_MANIFEST_MAX_BYTES, &text, &n, err);
    if (status == CRIA_NOTFOUND)
        status = ERROR_SET(err, CRIA_NOTFOUND, "%s: is no data folder: it has no %s; `cria data build` makes one",
                           folder, DATA_MANIFEST_NAME);
    if (status != CRIA_OK) goto out_quiet;
    json_reader_init(&r, text, n);
    TRY(check_seal(text, n, m.digest, err));
    TRY(read_object(&r, &m, err));
    TRY(check_parts(&m, err));
    *ret = m;
    m = (struct data_manifest){0};
out:
    if (status != CRIA_OK) error_prefix(err, "%s", path);
out_quiet:
    json_reader_deinit(&r);
    data_manifest_free(&m);
    alloc_free(text);
    alloc_free(path);
    return status;
}
