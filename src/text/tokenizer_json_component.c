/* tokenizer_json_component.c: the objects with a `type` that tokenizer.json is put together from, read into one struct.
 *
 * Keys come in any order, so all that Cria knows are read first and looked at by type afterwards; others are skipped.
 */
#include <string.h>

#include "base/alloc.h"
#include "text/tokenizer_json.h"

void tokenizer_component_free(struct tokenizer_component *c) {
    alloc_free(c->pattern);
    c->pattern = NULL;
}

static cria_status keep_pattern(json_reader *r, struct tokenizer_component *c, struct cria_error *err) {
    struct json_text s = {0};
    cria_status status = json_read_string(r, &s, err);
    if (status != CRIA_OK) return status;
    alloc_free(c->pattern);
    c->pattern = alloc_text(s.bytes, s.n);
    c->n_pattern = s.n;
    return c->pattern ? CRIA_OK : ERROR_NOMEM(err, s.n, "a pattern");
}

/* {"Regex": ...} or {"String": ...}; in some decoders and normalisers a bare string. */
static cria_status read_pattern(json_reader *r, struct tokenizer_component *c, struct cria_error *err) {
    struct json_text key = {0};
    bool more;
    cria_status status;
    if (json_peek(r) == JSON_STRING) return keep_pattern(r, c, err);
    TRY(json_begin_object(r, err));
    TRY(json_next_key(r, &key, &more, err));
    if (!more || (!json_text_is(key, "Regex") && !json_text_is(key, "String"))) {
        return json_fail(r, err, "a pattern, expected {\"Regex\": ...} or {\"String\": ...}");
    }
    c->pattern_is_regex = json_text_is(key, "Regex");
    TRY(keep_pattern(r, c, err));
    TRY(json_next_key(r, &key, &more, err));
    if (more) return json_fail(r, err, "a pattern with more than one key");
out:
    return status;
}

static bool is_any(struct json_text key, const char *const *words) {
    for (; *words; words++) {
        if (json_text_is(key, *words)) return true;
    }
    return false;
}

static bool *flag_of(struct tokenizer_component *c, struct json_text key) {
    if (json_text_is(key, "invert")) return &c->invert;
    if (json_text_is(key, "individual_digits")) return &c->individual_digits;
    if (json_text_is(key, "add_prefix_space")) return &c->add_prefix_space;
    if (json_text_is(key, "use_regex")) return &c->use_regex;
    return json_text_is(key, "split") ? &c->split : NULL;
}

static cria_status read_key(json_reader *r, struct tokenizer_component *c, struct json_text key,
                            struct cria_error *err) {
    static const char *const lists[] = {"normalizers", "pretokenizers", "decoders", "processors", NULL};
    static const char *const texts[] = {"content", "prepend", "replacement", NULL};
    static const char *const words[] = {"behavior", "prepend_scheme", NULL};
    enum json_kind kind = json_peek(r);
    size_t n;
    bool *flag = flag_of(c, key);
    if (json_text_is(key, "type")) return tokenizer_json_short(r, c->type, sizeof c->type, &n, err);
    if (flag && kind == JSON_BOOL) return json_read_bool(r, flag, err);
    if (json_text_is(key, "pattern")) return read_pattern(r, c, err);
    if (is_any(key, texts) && kind == JSON_STRING)
        return tokenizer_json_short(r, c->text, sizeof c->text, &c->n_text, err);
    if (is_any(key, words) && kind == JSON_STRING) return tokenizer_json_short(r, c->word, sizeof c->word, &n, err);
    if (json_text_is(key, "start")) return json_read_i64(r, 0, INT32_MAX, &c->start, err);
    if (json_text_is(key, "stop")) return json_read_i64(r, 0, INT32_MAX, &c->stop, err);
    if (is_any(key, lists)) c->list = r->at;
    if (json_text_is(key, "single")) c->single = r->at;
    return json_skip(r, err);
}

cria_status tokenizer_component_read(struct tokenizer_json *j, struct tokenizer_component *ret,
                                     struct cria_error *err) {
    json_reader *r = &j->reader;
    struct json_text key = {0};
    bool more;
    cria_status status;
    *ret = (struct tokenizer_component){.list = TOKENIZER_JSON_ABSENT,
                                        .single = TOKENIZER_JSON_ABSENT,
                                        .add_prefix_space = true,
                                        .use_regex = true,
                                        .split = true};
    TRY(json_begin_object(r, err));
    for (;;) {
        TRY(json_next_key(r, &key, &more, err));
        if (!more) break;
        TRY(read_key(r, ret, key, err));
    }
    if (!ret->type[0]) status = json_fail(r, err, "an object without a `type`");
out:
    return status;
}
