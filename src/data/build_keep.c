/* build_keep.c: what the first pass leaves for the second: ids and records of all documents that no filter dropped, and
 * for the search for duplicates their digests and signatures. */
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/json.h"
#include "data/build_private.h"

#define SORT_BYTES ((size_t)192 << 20)
enum { DIGEST_RECORD_BYTES = DIGEST_BYTES + 8, BAND_RECORD_BYTES = 16 };

cria_status build_keep_begin(struct build *b, struct cria_error *err) {
    cria_status status = CRIA_OK;
    TRY(writer_create(&b->ids, b->folder, "pass1-ids", err));
    TRY(writer_create(&b->documents, b->folder, "pass1-documents", err));
    TRY(sorter_create(&b->digests, b->folder, DIGEST_RECORD_BYTES, SORT_BYTES, err));
    if (b->o->near_threshold > 0) {
        TRY(writer_create(&b->signatures, b->folder, "pass1-signatures", err));
        TRY(sorter_create(&b->bands, b->folder, BAND_RECORD_BYTES, SORT_BYTES, err));
    }
    if (b->tests) TRY(writer_create(&b->contaminated, b->folder, "decontamination.jsonl", err));
out:
    return status;
}

/* A line of decontamination.jsonl for each passage: which document, whether it stays without it, which test, which
 * words. */
static cria_status report_cuts(struct build *b, const struct build_batch *batch, const struct build_document *d,
                               struct cria_error *err) {
    cria_status status = CRIA_OK;
    struct buffer line = buffer_make(1 << 20);
    for (int i = 0; i < d->n_cuts; i++) {
        json_writer w = json_writer_make(&line);
        json_write_begin_object(&w);
        json_write_key(&w, "document");
        json_write_text(&w, batch->text + d->name_at);
        json_write_key(&w, "action");
        json_write_text(&w, d->is_contaminated ? "dropped" : "cut");
        json_write_key(&w, "test");
        json_write_text(&w, d->cuts[i].test);
        json_write_key(&w, "words");
        json_write_text(&w, d->cuts[i].words);
        json_write_end_object(&w);
        buffer_append_char(&line, '\n');
    }
    TRY(buffer_status(&line, "a line of a report", err));
    TRY(writer_add(b->contaminated, line.data, line.n_bytes, err));
    b->result.n_contaminated += d->is_contaminated;
    b->result.n_cut += d->is_contaminated ? 0 : (uint64_t)d->n_cuts;
out:
    buffer_free(&line);
    return status;
}

static cria_status keep_ids(struct build *b, const int32_t *ids, size_t n, struct cria_error *err) {
    uint16_t block[4096];
    cria_status status = CRIA_OK;
    if (b->manifest.id_bytes == 4) return writer_add(b->ids, ids, n * sizeof *ids, err);
    for (size_t at = 0; at < n;) {
        size_t filled = 0;
        for (; filled < sizeof block / sizeof *block && at < n; at++) block[filled++] = (uint16_t)ids[at];
        TRY(writer_add(b->ids, block, filled * sizeof *block, err));
    }
out:
    return status;
}

static cria_status keep_signs(struct build *b, const struct build_document *d, struct cria_error *err) {
    static const struct near_signature none;
    uint8_t record[DIGEST_RECORD_BYTES];
    cria_status status = CRIA_OK;
    memcpy(record, d->sha256, DIGEST_BYTES);
    sorter_put(record + DIGEST_BYTES, b->n_numbers);
    TRY(sorter_add(b->digests, record, err));
    if (!b->bands) return CRIA_OK;
    TRY(writer_add(b->signatures, d->has_signature ? &d->signature : &none, sizeof none, err));
    for (int i = 0; i < NEAR_BANDS && d->has_signature; i++) {
        sorter_put(record, near_band(&d->signature, i));
        sorter_put(record + 8, b->n_numbers);
        TRY(sorter_add(b->bands, record, err));
    }
out:
    return status;
}

static cria_status keep_document(struct build *b, const struct build_batch *batch, const struct build_document *d,
                                 struct cria_error *err) {
    cria_status status = CRIA_OK;
    if (b->n_numbers == BUILD_MAX_DOCUMENTS)
        return ERROR_SET(err, CRIA_LIMIT, "more than %llu documents; build them in parts",
                         (unsigned long long)BUILD_MAX_DOCUMENTS);
    const struct data_document record = {.n_tokens = (uint32_t)d->n_ids,
                                         .source = (uint16_t)batch->source,
                                         .is_held_out = d->is_held_out,
                                         .n_bytes = d->n_bytes};
    TRY(keep_ids(b, batch->ids.ids + d->ids_at, d->n_ids, err));
    TRY(writer_add(b->documents, &record, sizeof record, err));
    TRY(keep_signs(b, d, err));
    b->result.n_unsaid += d->n_unsaid;
    b->n_numbers++;
out:
    return status;
}

cria_status build_keep(struct build *b, const struct build_batch *batch, struct cria_error *err) {
    cria_status status = CRIA_OK;
    for (int i = 0; i < batch->n_documents; i++) {
        const struct build_document *d = &batch->documents[i];
        for (int rule = 0; rule < CLEAN_COUNT; rule++) b->result.n_cleaned[rule] += d->cleaned_by >> rule & 1;
        if (d->n_cuts > 0) TRY(report_cuts(b, batch, d, err));
        if (d->filtered_by >= 0) b->result.n_filtered[d->filtered_by]++;
        else if (!d->is_contaminated) TRY(keep_document(b, batch, d, err));
    }
out:
    return status;
}
