/* build_shards.c: the second pass: ids and records of the documents that stay, from the files of the first pass. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "data/build_private.h"

#define DEFAULT_SHARD_BYTES ((uint64_t)1 << 30)
enum { COPY_BYTES = 1 << 20, RECORDS = 4096 };

struct shards {
    struct build *b;
    writer *shard, *documents; /* owned */
    char *block;               /* owned, [COPY_BYTES] */
    uint64_t read_at;          /* bytes of the first pass's ids */
};

static cria_status read_at(const writer *from, void *out, size_t n, uint64_t at, struct cria_error *err) {
    char *to = out;
    for (size_t done = 0; done < n;) {
        const ssize_t got = pread(writer_fd(from), to + done, n - done, (off_t)(at + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0)
            return ERROR_SET(err, CRIA_IO, "%s: cannot be read: %s", writer_path(from),
                             got ? strerror(errno) : "it is too short");
        done += (size_t)got;
    }
    return CRIA_OK;
}

static cria_status end_shard(struct shards *s, struct cria_error *err) {
    struct data_manifest *m = &s->b->manifest;
    if (!s->shard) return CRIA_OK;
    m->shard_ends[m->n_shards++] = m->n_tokens;
    return writer_finish(&s->shard, err);
}

static cria_status begin_shard(struct shards *s, struct cria_error *err) {
    char name[DATA_NAME_BYTES];
    const int n = s->b->manifest.n_shards;
    if (n == DATA_MAX_SHARDS)
        return ERROR_SET(err, CRIA_LIMIT, "more than %d shards; make them larger (--shard-size)", DATA_MAX_SHARDS);
    data_manifest_shard_name(name, n);
    return writer_create(&s->shard, s->b->folder, name, err);
}

static cria_status copy_document(struct shards *s, const struct data_document *from, struct cria_error *err) {
    struct build *b = s->b;
    struct data_manifest *m = &b->manifest;
    struct data_source *source = &m->sources[from->source];
    struct data_document record = *from;
    cria_status status = CRIA_OK;
    uint64_t left = (uint64_t)from->n_tokens * (uint64_t)m->id_bytes;
    if (!s->shard) TRY(begin_shard(s, err));
    record.first_token = m->n_tokens;
    for (uint64_t at = s->read_at; left > 0;) {
        const size_t n = left < COPY_BYTES ? (size_t)left : COPY_BYTES;
        TRY(read_at(b->ids, s->block, n, at, err));
        TRY(writer_add(s->shard, s->block, n, err));
        at += n;
        left -= n;
    }
    TRY(writer_add(s->documents, &record, sizeof record, err));
    m->n_documents++;
    m->n_tokens += record.n_tokens;
    m->n_bytes += record.n_bytes;
    source->n_documents++;
    source->n_held_out += record.is_held_out;
    source->n_tokens += record.n_tokens;
    source->n_bytes += record.n_bytes;
    b->result.n_held_out += record.is_held_out;
    if (writer_bytes(s->shard) >= (b->o->shard_bytes ? b->o->shard_bytes : DEFAULT_SHARD_BYTES)) TRY(end_shard(s, err));
out:
    return status;
}

static cria_status copy_all(struct shards *s, struct data_document *records, struct cria_error *err) {
    struct build *b = s->b;
    cria_status status = CRIA_OK;
    for (uint64_t number = 0; number < b->n_numbers;) {
        const uint64_t left = b->n_numbers - number;
        const size_t n = left < RECORDS ? (size_t)left : RECORDS;
        TRY(read_at(b->documents, records, n * sizeof *records, number * sizeof *records, err));
        for (size_t i = 0; i < n; i++, number++) {
            if (!build_is_dropped(b, number)) TRY(copy_document(s, &records[i], err));
            s->read_at += (uint64_t)records[i].n_tokens * (uint64_t)b->manifest.id_bytes;
        }
    }
    TRY(end_shard(s, err));
out:
    return status;
}

cria_status build_shards(struct build *b, struct cria_error *err) {
    struct shards s = {.b = b, .block = alloc_array(COPY_BYTES, 1)};
    struct data_document *records = alloc_array(RECORDS, sizeof *records);
    cria_status status = CRIA_OK;
    b->manifest.shard_ends = alloc_zeroed(DATA_MAX_SHARDS, sizeof *b->manifest.shard_ends);
    if (!s.block || !records || !b->manifest.shard_ends) {
        status = ERROR_NOMEM(err, COPY_BYTES, "copying ids");
        goto out;
    }
    TRY(writer_flush(b->ids, err));
    TRY(writer_flush(b->documents, err));
    TRY(writer_create(&s.documents, b->folder, DATA_DOCUMENTS_NAME, err));
    TRY(copy_all(&s, records, err));
    TRY(writer_finish(&s.documents, err));
out:
    writer_destroy(&s.shard);
    writer_destroy(&s.documents);
    alloc_free(s.block);
    alloc_free(records);
    return status;
}
