/* tokenizer_json_model.c: the `model` of tokenizer.json: vocabulary, merges, flags. */
#include <string.h>

#include "base/alloc.h"
#include "text/tokenizer_json.h"

#define NAMES_MAX_BYTES ((size_t)256 << 20)

cria_status tokenizer_json_short(json_reader *r, char *out, size_t room, size_t *ret_n, struct cria_error *err) {
    struct json_text s = {0};
    cria_status status = json_read_string(r, &s, err);
    if (status != CRIA_OK) return status;
    if (s.n >= room) return json_fail(r, err, "a string of %zu bytes, expected at most %zu", s.n, room - 1);
    memcpy(out, s.bytes, s.n);
    out[s.n] = 0;
    *ret_n = s.n;
    return CRIA_OK;
}

static cria_status add_entry(struct tokenizer_json *j, struct json_text key, int64_t id, struct cria_error *err) {
    if (j->n_entries == j->entry_capacity) {
        size_t capacity = j->entry_capacity ? 2 * j->entry_capacity : 4096;
        struct vocab_entry *grown = alloc_resize(j->entries, capacity, sizeof *grown);
        if (!grown) return ERROR_NOMEM(err, capacity * sizeof *grown, "the vocabulary");
        j->entries = grown;
        j->entry_capacity = capacity;
    }
    if (key.n > 2 * TOKEN_MAX_BYTES) {
        return ERROR_SET(err, CRIA_LIMIT, "model.vocab: a token of %zu bytes; Cria takes at most %d", key.n,
                         TOKEN_MAX_BYTES);
    }
    j->entries[j->n_entries++] = (struct vocab_entry){j->names.n_bytes, (uint32_t)key.n, (uint32_t)id};
    buffer_append(&j->names, key.bytes, key.n);
    if ((uint32_t)id > j->max_id) j->max_id = (uint32_t)id;
    return buffer_status(&j->names, "the vocabulary", err);
}

static cria_status read_vocab(struct tokenizer_json *j, struct cria_error *err) {
    json_reader *r = &j->reader;
    struct json_text key = {0};
    bool more;
    cria_status status;
    j->names = buffer_make(NAMES_MAX_BYTES);
    TRY(json_begin_object(r, err));
    for (;;) {
        int64_t id = 0;
        TRY(json_next_key(r, &key, &more, err));
        if (!more) break;
        TRY(json_read_i64(r, 0, TOKEN_MAX_COUNT - 1, &id, err));
        TRY(add_entry(j, key, id, err));
    }
out:
    return status;
}

/* A key that must be null, absent, or as good as absent. */
static cria_status read_refused(json_reader *r, struct json_text key, struct cria_error *err) {
    enum json_kind kind = json_peek(r);
    if (kind == JSON_NULL) return json_skip(r, err);
    cria_status status;
    struct json_text s = {0};
    double value = 0;
    if (kind == JSON_STRING) TRY(json_read_string(r, &s, err));
    else TRY(json_read_f64(r, &value, err));
    if (s.n == 0 && value == 0) return CRIA_OK;
    status = json_fail(r, err, "model.%.*s is set, which Cria does not support", (int)key.n, key.bytes);
out:
    return status;
}

static cria_status read_type(json_reader *r, struct cria_error *err) {
    struct json_text s = {0};
    cria_status status = json_read_string(r, &s, err);
    if (status != CRIA_OK || json_text_is(s, "BPE")) return status;
    return json_fail(r, err, "model.type is '%.*s'; Cria runs BPE", (int)(s.n < 60 ? s.n : 60), s.bytes);
}

static cria_status read_key(struct tokenizer_json *j, struct json_text key, struct cria_error *err) {
    json_reader *r = &j->reader;
    bool null = json_peek(r) == JSON_NULL;
    if (json_text_is(key, "dropout") || json_text_is(key, "continuing_subword_prefix") ||
        json_text_is(key, "end_of_word_suffix")) {
        return read_refused(r, key, err);
    }
    if (null) return json_skip(r, err);
    if (json_text_is(key, "type")) return read_type(r, err);
    if (json_text_is(key, "vocab")) return read_vocab(j, err);
    if (json_text_is(key, "merges")) j->merges = r->at;
    if (json_text_is(key, "ignore_merges")) return json_read_bool(r, &j->ignore_merges, err);
    if (json_text_is(key, "byte_fallback")) return json_read_bool(r, &j->byte_fallback, err);
    if (json_text_is(key, "fuse_unk")) return json_read_bool(r, &j->fuse_unknown, err);
    if (json_text_is(key, "unk_token"))
        return tokenizer_json_short(r, j->unknown, sizeof j->unknown, &j->n_unknown, err);
    return json_skip(r, err);
}

cria_status tokenizer_json_model(struct tokenizer_json *j, struct cria_error *err) {
    struct json_text key = {0};
    bool more;
    cria_status status;
    j->saw_model = true;
    TRY(json_begin_object(&j->reader, err));
    for (;;) {
        TRY(json_next_key(&j->reader, &key, &more, err));
        if (!more) break;
        TRY(read_key(j, key, err));
    }
out:
    return status;
}

static cria_status count_merges(json_reader *r, size_t *ret, struct cria_error *err) {
    size_t count = 0, at = r->at;
    bool more;
    cria_status status;
    TRY(json_begin_array(r, err));
    for (;;) {
        TRY(json_next_element(r, &more, err));
        if (!more) break;
        TRY(json_skip(r, err));
        count++;
    }
    r->at = at;
    *ret = count;
out:
    return status;
}

/* "left right", or ["left", "right"]; left is copied to `room`, since reading right may overwrite it. */
static cria_status read_merge(json_reader *r, struct text_span *left, struct text_span *right,
                              char room[2 * TOKEN_MAX_BYTES], struct cria_error *err) {
    struct json_text s = {0};
    bool more;
    cria_status status;
    if (json_peek(r) == JSON_STRING) {
        TRY(json_read_string(r, &s, err));
        const char *space = memchr(s.bytes, ' ', s.n);
        if (!space) return json_fail(r, err, "a merge without a space");
        *left = (struct text_span){s.bytes, (size_t)(space - s.bytes)};
        *right = (struct text_span){space + 1, s.n - left->n - 1};
        return CRIA_OK;
    }
    TRY(json_begin_array(r, err));
    for (int i = 0; i < 2; i++) {
        TRY(json_next_element(r, &more, err));
        if (!more) return json_fail(r, err, "a merge of %d tokens, expected 2", i);
        TRY(json_read_string(r, &s, err));
        if (s.n > 2 * TOKEN_MAX_BYTES) return json_fail(r, err, "a merge with a token of %zu bytes", s.n);
        *(i ? right : left) = (struct text_span){i ? s.bytes : room, s.n};
        if (!i) memcpy(room, s.bytes, s.n);
    }
    TRY(json_next_element(r, &more, err));
    if (more) return json_fail(r, err, "a merge of more than 2 tokens");
out:
    return status;
}

cria_status tokenizer_json_merges(struct tokenizer_json *j, tokenizer *t, struct cria_error *err) {
    json_reader *r = &j->reader;
    char room[2 * TOKEN_MAX_BYTES];
    size_t count = 0;
    bool more;
    cria_status status;
    if (j->merges == TOKENIZER_JSON_ABSENT) return ERROR_SET(err, CRIA_FORMAT, "model.merges is missing");
    r->at = j->merges;
    TRY(count_merges(r, &count, err));
    if (count == 0) TRY(tokenizer_check_no_merges(t, err));
    TRY(bpe_pairs_init(&t->bpe, count, err));
    TRY(json_begin_array(r, err));
    for (uint32_t rank = 0;; rank++) {
        struct text_span left = {"", 0}, right = {"", 0};
        TRY(json_next_element(r, &more, err));
        if (!more) break;
        TRY(read_merge(r, &left, &right, room, err));
        status = tokenizer_add_merge(t, rank, left, right, err);
        if (status != CRIA_OK) error_prefix(err, "model.merges");
        if (status != CRIA_OK) goto out;
    }
out:
    return status;
}
