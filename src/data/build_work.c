/* build_work.c: one document from raw text to digest, signature and ids; pure, so that threads change nothing. */
#include <string.h>

#include "base/alloc.h"

#include "data/build_private.h"

static size_t clean(const struct build_options *o, char *text, struct build_document *d) {
    size_t n = d->n_bytes;
    for (int i = 0; i < CLEAN_COUNT; i++) {
        bool is_changed;
        if (!o->clean[i]) continue;
        n = clean_rules[i].run(text, n, &is_changed);
        d->cleaned_by |= (uint32_t)is_changed << i;
    }
    return n;
}

static cria_status hash(const char *text, size_t n, uint8_t out[DIGEST_BYTES], struct cria_error *err) {
    digest *d = NULL;
    cria_status status = CRIA_OK;
    TRY(digest_create(&d, err));
    digest_add(d, text, n);
    TRY(digest_result(d, out, err));
out:
    digest_destroy(&d);
    return status;
}

/* A document counts as held out by the first 53 bits of its digest, so that its copies would be, too. */
static bool is_held_out(const struct build *b, int source, const uint8_t sha256[DIGEST_BYTES]) {
    const double place = (double)(sorter_get(sha256) >> 11) * 0x1p-53;
    return b->o->sources[source].is_held_out || place < b->o->held_out;
}

static cria_status note_cuts(struct build_document *d, const char *text, const struct decontaminate_passage *p, int n,
                             struct cria_error *err) {
    d->cuts = alloc_zeroed((size_t)n, sizeof *d->cuts);
    if (!d->cuts) return ERROR_NOMEM(err, (size_t)n * sizeof *d->cuts, "passages");
    d->n_cuts = n;
    for (int i = 0; i < n; i++) {
        size_t n_words = p[i].words_end - p[i].words_begin;
        if (n_words >= sizeof d->cuts[i].words) n_words = sizeof d->cuts[i].words - 1;
        d->cuts[i].test = p[i].test;
        memcpy(d->cuts[i].words, text + p[i].words_begin, n_words);
    }
    return CRIA_OK;
}

/* Cuts what the text shares with test sets, or marks the document as one to drop. */
static cria_status decontaminate_text(const struct build *b, char *text, struct build_document *d,
                                      struct cria_error *err) {
    struct decontaminate_passage passages[DECONTAMINATE_MAX_CUTS];
    cria_status status = CRIA_OK;
    const int found = decontaminate_find(b->tests, text, d->n_bytes, passages);
    if (found == 0) return CRIA_OK;
    const int n = found > DECONTAMINATE_MAX_CUTS ? DECONTAMINATE_MAX_CUTS : found;
    TRY(note_cuts(d, text, passages, n, err));
    if (n == found) d->n_bytes = decontaminate_cut(text, d->n_bytes, passages, n);
    d->is_contaminated = n < found || d->n_bytes < DECONTAMINATE_MIN_LEFT;
    TRY(hash(text, d->n_bytes, d->sha256, err));
out:
    return status;
}

static cria_status encode(const struct build *b, const char *text, struct build_document *d, struct token_list *ids,
                          struct cria_error *err) {
    static const struct tokenizer_options plain;
    cria_status status = CRIA_OK;
    d->ids_at = ids->n;
    if (b->bos >= 0) TRY(token_list_add(ids, (int32_t)b->bos, err));
    TRY(tokenizer_encode(b->tokenizer, text, d->n_bytes, &plain, ids, &d->n_unsaid, err));
    if (b->eos >= 0) TRY(token_list_add(ids, (int32_t)b->eos, err));
    d->n_ids = ids->n - d->ids_at;
out:
    return status;
}

static cria_status work_on(const struct build *b, struct build_batch *batch, struct build_document *d,
                           struct cria_error *err) {
    cria_status status = CRIA_OK;
    char *text = batch->text + d->text_at;
    d->n_bytes = clean(b->o, text, d);
    const struct filter_text view = {text, d->n_bytes, d->n_replaced};
    TRY(filter_run(b->o->thresholds, &view, &d->filtered_by, err));
    if (d->filtered_by >= 0) goto out;
    TRY(hash(text, d->n_bytes, d->sha256, err));
    d->is_held_out = is_held_out(b, batch->source, d->sha256);
    /* What is held out is a test itself, often one of those named, and nothing is trained on it. */
    if (b->tests && !d->is_held_out) TRY(decontaminate_text(b, text, d, err));
    if (d->is_contaminated) goto out;
    d->has_signature = b->bands && near_sign(text, d->n_bytes, &d->signature);
    TRY(encode(b, text, d, &batch->ids, err));
out:
    if (status != CRIA_OK) error_prefix(err, "%s", batch->text + d->name_at);
    return status;
}

cria_status build_work(const struct build *b, struct build_batch *batch, struct cria_error *err) {
    cria_status status = CRIA_OK;
    batch->ids.n = 0;
    for (int i = 0; i < batch->n_documents; i++) TRY(work_on(b, batch, &batch->documents[i], err));
out:
    return status;
}

void build_work_free(struct build_batch *batch) {
    for (int i = 0; i < batch->n_documents; i++) alloc_free(batch->documents[i].cuts);
    batch->n_documents = 0;
}
