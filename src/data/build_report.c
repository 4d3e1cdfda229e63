/* build_report.c: what a build did, as the member "report" of manifest.json; docs/FORMATS.md, "Data folder". */
#include <math.h>

#include "base/buffer.h"
#include "base/json.h"
#include "data/build_private.h"

static void number(json_writer *w, const char *key, uint64_t value) {
    json_write_key(w, key);
    json_write_u64(w, value);
}

static void write_rules(json_writer *w, const struct build *b) {
    json_write_key(w, "cleaned");
    json_write_begin_array(w);
    for (int i = 0; i < CLEAN_COUNT; i++) {
        if (!b->o->clean[i]) continue;
        json_write_begin_object(w);
        json_write_key(w, "name");
        json_write_text(w, clean_rules[i].name);
        number(w, "version", (uint64_t)clean_rules[i].version);
        number(w, "changed", b->result.n_cleaned[i]);
        json_write_end_object(w);
    }
    json_write_end_array(w);
    json_write_key(w, "filters");
    json_write_begin_array(w);
    for (int i = 0; i < FILTER_COUNT; i++) {
        if (isnan(b->o->thresholds[i])) continue;
        json_write_begin_object(w);
        json_write_key(w, "name");
        json_write_text(w, filter_rules[i].name);
        number(w, "version", (uint64_t)filter_rules[i].version);
        json_write_key(w, "threshold");
        json_write_f64(w, b->o->thresholds[i]);
        number(w, "dropped", b->result.n_filtered[i]);
        json_write_end_object(w);
    }
    json_write_end_array(w);
}

static void write_same(json_writer *w, const struct build *b) {
    json_write_key(w, "decontamination");
    json_write_begin_object(w);
    number(w, "words", (uint64_t)(b->o->test_words ? b->o->test_words : DECONTAMINATE_WORDS));
    number(w, "test_documents", b->result.n_test_documents);
    number(w, "test_documents_too_short", b->result.n_test_short);
    number(w, "test_runs", b->result.n_test_grams);
    number(w, "passages_cut", b->result.n_cut);
    number(w, "dropped", b->result.n_contaminated);
    json_write_end_object(w);
    json_write_key(w, "exact_duplicates");
    json_write_begin_object(w);
    number(w, "dropped", b->result.n_exact);
    json_write_end_object(w);
    json_write_key(w, "near_duplicates");
    json_write_begin_object(w);
    number(w, "version", NEAR_VERSION);
    json_write_key(w, "threshold");
    json_write_f64(w, b->o->near_threshold);
    number(w, "words", NEAR_WORDS);
    number(w, "places", NEAR_PLACES);
    number(w, "bands", NEAR_BANDS);
    number(w, "dropped", b->result.n_near);
    json_write_end_object(w);
}

cria_status build_report(const struct build *b, char **ret, struct cria_error *err) {
    struct buffer out = buffer_make(1 << 20);
    json_writer w = json_writer_make(&out);
    cria_status status = CRIA_OK;
    json_write_begin_object(&w);
    number(&w, "documents_read", b->result.n_read);
    number(&w, "bytes_read", b->result.n_bytes_read);
    number(&w, "bytes_replaced", b->result.n_replaced);
    number(&w, "bytes_not_in_vocabulary", b->result.n_unsaid);
    number(&w, "files_ignored", b->result.n_ignored_files);
    json_write_key(&w, "held_out");
    json_write_f64(&w, b->o->held_out);
    json_write_key(&w, "bos_put");
    json_write_bool(&w, b->bos >= 0);
    json_write_key(&w, "eos_put");
    json_write_bool(&w, b->eos >= 0);
    write_rules(&w, b);
    write_same(&w, b);
    json_write_end_object(&w);
    TRY(buffer_status(&out, "a report", err));
    *ret = buffer_take(&out);
    if (!*ret) status = ERROR_NOMEM(err, 1, "a report");
out:
    buffer_free(&out);
    return status;
}
