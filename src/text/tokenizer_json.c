/* tokenizer_json.c: tokenizer.json, the format of the tokenizers library.
 *
 * One pass finds the sections and keeps the vocabulary; the rest is read by going back, since sections may come in any
 * order. `truncation` and `padding` change what training sees, not what a text is: they are ignored, and a note says
 * so. */
#include "text/tokenizer_json.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "text/byte_alphabet.h"

static cria_status outline(struct tokenizer_json *j, struct cria_error *err) {
    json_reader *r = &j->reader;
    struct json_text key = {0};
    bool more;
    cria_status status;
    TRY(json_begin_object(r, err));
    for (;;) {
        TRY(json_next_key(r, &key, &more, err));
        if (!more) break;
        size_t at = json_peek(r) == JSON_NULL ? TOKENIZER_JSON_ABSENT : r->at;
        if (json_text_is(key, "model")) {
            TRY(tokenizer_json_model(j, err));
            continue;
        }
        if (json_text_is(key, "added_tokens")) j->added = at;
        if (json_text_is(key, "normalizer")) j->normalizer = at;
        if (json_text_is(key, "pre_tokenizer")) j->pre_tokenizer = at;
        if (json_text_is(key, "post_processor")) j->post_processor = at;
        if (json_text_is(key, "decoder")) j->decoder = at;
        if (json_text_is(key, "truncation")) j->truncation = at != TOKENIZER_JSON_ABSENT;
        if (json_text_is(key, "padding")) j->padding = at != TOKENIZER_JSON_ABSENT;
        TRY(json_skip(r, err));
    }
    TRY(json_end(r, err));
    if (!j->saw_model || !j->n_entries) status = ERROR_SET(err, CRIA_FORMAT, "model.vocab is missing or empty");
out:
    return status;
}

/* An added token as the file has it. */
struct file_token {
    struct added_token added;
    int64_t id;
    char *content; /* owned */
    size_t n;
};

static cria_status read_added(json_reader *r, struct file_token *ret, struct cria_error *err) {
    struct json_text key = {0}, s = {0};
    bool more;
    cria_status status;
    *ret = (struct file_token){.id = -1};
    TRY(json_begin_object(r, err));
    for (;;) {
        TRY(json_next_key(r, &key, &more, err));
        if (!more) break;
        if (json_text_is(key, "id")) TRY(json_read_i64(r, 0, TOKEN_MAX_COUNT - 1, &ret->id, err));
        else if (json_text_is(key, "special")) TRY(json_read_bool(r, &ret->added.special, err));
        else if (json_text_is(key, "lstrip")) TRY(json_read_bool(r, &ret->added.left_strip, err));
        else if (json_text_is(key, "rstrip")) TRY(json_read_bool(r, &ret->added.right_strip, err));
        else if (json_text_is(key, "single_word")) TRY(json_read_bool(r, &ret->added.single_word, err));
        else if (json_text_is(key, "normalized")) TRY(json_read_bool(r, &ret->added.normalised, err));
        else if (!json_text_is(key, "content")) TRY(json_skip(r, err));
        else {
            TRY(json_read_string(r, &s, err));
            ret->content = alloc_text(s.bytes, s.n);
            ret->n = s.n;
            if (!ret->content) return ERROR_NOMEM(err, s.n, "an added token");
        }
    }
    if (ret->id < 0 || !ret->n) return json_fail(r, err, "an added token without `id` or `content`");
    ret->added.id = (uint32_t)ret->id;
out:
    return status;
}

/* Runs fn over the added tokens. */
static cria_status each_added(struct tokenizer_json *j, tokenizer *t,
                              cria_status (*fn)(struct tokenizer_json *, tokenizer *, const struct file_token *,
                                                struct cria_error *),
                              struct cria_error *err) {
    json_reader *r = &j->reader;
    struct file_token f = {0};
    bool more;
    cria_status status;
    if (j->added == TOKENIZER_JSON_ABSENT) return CRIA_OK;
    r->at = j->added;
    TRY(json_begin_array(r, err));
    for (;;) {
        TRY(json_next_element(r, &more, err));
        if (!more) break;
        TRY(read_added(r, &f, err));
        TRY(fn(j, t, &f, err));
        alloc_free(f.content);
        f.content = NULL;
    }
out:
    alloc_free(f.content);
    return status;
}

static cria_status widen(struct tokenizer_json *j, tokenizer *t, const struct file_token *f, struct cria_error *err) {
    (void)t;
    (void)err;
    if (f->added.id > j->max_id) j->max_id = f->added.id;
    return CRIA_OK;
}

static cria_status set_added(struct tokenizer_json *j, tokenizer *t, const struct file_token *f,
                             struct cria_error *err) {
    cria_status status;
    (void)j;
    TRY(tokenizer_set_token(t, f->added.id, f->content, f->n, f->added.special ? TOKEN_SPECIAL : TOKEN_ADDED, err));
    TRY(tokenizer_add_added(t, f->added, err));
out:
    return status;
}

/* Whether the vocabulary says the same of an added token; FORMAT where it does not. */
static cria_status check_added(const tokenizer *t, const struct vocab_entry *e, const char *name,
                               struct cria_error *err) {
    struct text_span s = token_table_bytes(&t->bpe.table, e->id);
    if (s.n == e->n && memcmp(s.bytes, name, e->n) == 0) return CRIA_OK;
    return ERROR_SET(err, CRIA_FORMAT, "two tokens have the id %u: '%.*s' and '%.*s'", e->id,
                     (int)(s.n < 80 ? s.n : 80), s.bytes, (int)(e->n < 80 ? e->n : 80), name);
}

static bool is_byte_token(const char *name, size_t n) {
    return n == 6 && memcmp(name, "<0x", 3) == 0 && name[5] == '>' && strchr("0123456789ABCDEF", name[3]) &&
           strchr("0123456789ABCDEF", name[4]) && name[3] && name[4];
}

static cria_status set_entry(struct tokenizer_json *j, tokenizer *t, const struct vocab_entry *e,
                             struct cria_error *err) {
    const char *name = j->names.data + e->start;
    char bytes[2 * TOKEN_MAX_BYTES];
    enum token_kind kind = t->kinds[e->id];
    bool unknown = e->n == j->n_unknown && e->n && memcmp(name, j->unknown, e->n) == 0;
    if (unknown) t->bpe.unknown_id = (int32_t)e->id;
    if (kind == TOKEN_SPECIAL || kind == TOKEN_ADDED) return check_added(t, e, name, err);
    if (unknown) return tokenizer_set_token(t, e->id, name, e->n, TOKEN_LITERAL, err);
    if (j->byte_fallback && is_byte_token(name, e->n))
        return tokenizer_set_token(t, e->id, name, e->n, TOKEN_BYTE, err);
    if (!j->byte_level) return tokenizer_set_token(t, e->id, name, e->n, TOKEN_NORMAL, err);
    ptrdiff_t n = byte_alphabet_read(name, e->n, bytes);
    if (n < 0) return tokenizer_set_token(t, e->id, name, e->n, TOKEN_LITERAL, err);
    return tokenizer_set_token(t, e->id, bytes, (size_t)n, TOKEN_NORMAL, err);
}

/* An added token whose text the vocabulary has under another id. */
static cria_status check_twice(struct tokenizer_json *j, tokenizer *t, const struct file_token *f,
                               struct cria_error *err) {
    char bytes[TOKEN_MAX_BYTES];
    ptrdiff_t n = f->n <= sizeof bytes && j->byte_level ? byte_alphabet_read(f->content, f->n, bytes) : -1;
    int32_t id = j->byte_level ? (n > 0 ? token_table_find(&t->bpe.table, bytes, (size_t)n) : -1)
                               : token_table_find(&t->bpe.table, f->content, f->n);
    if (id < 0) return CRIA_OK;
    return ERROR_SET(err, CRIA_FORMAT, "the token '%.*s' has two ids, %d and %u", (int)(f->n < 80 ? f->n : 80),
                     f->content, id, f->added.id);
}

static cria_status find_unknown(const struct tokenizer_json *j, tokenizer *t, struct cria_error *err) {
    if (!j->n_unknown || t->bpe.unknown_id >= 0) return CRIA_OK;
    t->bpe.unknown_id = tokenizer_special_id(t, j->unknown, j->n_unknown);
    if (t->bpe.unknown_id >= 0) return CRIA_OK;
    return ERROR_SET(err, CRIA_FORMAT, "model.unk_token '%s' is no token", j->unknown);
}

static int64_t first_special(const tokenizer *t, const char *const *names) {
    for (; *names; names++) {
        int32_t id = tokenizer_special_id(t, *names, strlen(*names));
        if (id >= 0) return id;
    }
    return -1;
}

/* The file names no end of text, and a beginning only in its template: the rest is by the names that the family uses.
 */
static cria_status set_ids(const struct tokenizer_json *j, tokenizer *t, struct cria_error *err) {
    static const char *const begins[] = {"<|begin_of_text|>", "<s>", NULL};
    static const char *const ends[] = {"<|end_of_text|>", "</s>", "<|im_end|>", "<|endoftext|>", NULL};
    t->bos_id = first_special(t, begins);
    t->eos_id = first_special(t, ends);
    if (j->n_bos) {
        t->bos_id = tokenizer_special_id(t, j->bos, j->n_bos);
        if (t->bos_id < 0) return ERROR_SET(err, CRIA_FORMAT, "post_processor: '%s' is no special token", j->bos);
        t->adds_bos = true;
    }
    tokenizer_add_stop(t, t->eos_id);
    tokenizer_add_named_stops(t);
    return CRIA_OK;
}

static cria_status add_notes(const struct tokenizer_json *j, tokenizer *t, struct cria_error *err) {
    cria_status status = CRIA_OK;
    if (j->truncation) TRY(tokenizer_add_note(t, err, "tokenizer.json has a `truncation` section; it is ignored"));
    if (j->padding) TRY(tokenizer_add_note(t, err, "tokenizer.json has a `padding` section; it is ignored"));
    if (j->appends) TRY(tokenizer_add_note(t, err, "tokenizer.json puts a token behind each text; it is ignored"));
out:
    return status;
}

/* Moves the parts into t and fills its table. */
static cria_status fill(struct tokenizer_json *j, tokenizer *t, struct cria_error *err) {
    cria_status status;
    t->splits = j->splits;
    j->splits = (struct split_chain){0};
    t->normaliser = j->normaliser;
    t->marks = j->marks;
    t->metaspace = !j->byte_level;
    t->strips_space = j->strips_space && !j->byte_level;
    t->bpe.characters = !j->byte_level;
    t->bpe.whole_first = j->ignore_merges;
    t->bpe.fuse_unknown = j->fuse_unknown;
    TRY(each_added(j, t, set_added, err));
    for (size_t i = 0; i < j->n_entries; i++) TRY(set_entry(j, t, &j->entries[i], err));
    TRY(each_added(j, t, check_twice, err));
    TRY(find_unknown(j, t, err));
    if (j->byte_level) tokenizer_find_bytes(t);
    else TRY(tokenizer_find_byte_tokens(t, err));
    TRY(tokenizer_json_merges(j, t, err));
    TRY(set_ids(j, t, err));
    TRY(add_notes(j, t, err));
    snprintf(t->kind, sizeof t->kind, "tokenizer.json, %s BPE", j->byte_level ? "byte-level" : "character");
    TRY(tokenizer_finish(t, err));
out:
    return status;
}

cria_status tokenizer_from_json(tokenizer **ret, const char *text, size_t n, struct cria_error *err) {
    struct tokenizer_json *j = ALLOC_NEW(struct tokenizer_json);
    if (!j) return ERROR_NOMEM(err, sizeof *j, "reading tokenizer.json");
    tokenizer *t = NULL;
    cria_status status;
    json_reader_init(&j->reader, text, n);
    j->added = j->normalizer = j->pre_tokenizer = j->post_processor = j->decoder = j->merges = TOKENIZER_JSON_ABSENT;
    TRY(outline(j, err));
    TRY(tokenizer_json_steps(j, err));
    TRY(each_added(j, NULL, widen, err));
    TRY(tokenizer_create(&t, (size_t)j->max_id + 1, err));
    TRY(fill(j, t, err));
    *ret = t;
    t = NULL;
out:
    tokenizer_destroy(&t);
    json_reader_deinit(&j->reader);
    buffer_free(&j->names);
    alloc_free(j->entries);
    split_chain_deinit(&j->splits);
    alloc_free(j);
    return status;
}
