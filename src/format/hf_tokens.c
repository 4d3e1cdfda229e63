/* hf_tokens.c: the special tokens that a tokenizer_config.json or special_tokens_map.json names (see hf_config.h).
 *
 * A token is its text, or an object whose `content` is the text (older files). The tokenizer says which id it is. */
#include <string.h>

#include "format/hf_config.h"

static cria_status keep(json_reader *r, struct hf_token *ret, struct cria_error *err) {
    struct json_text text;
    const cria_status status = json_read_string(r, &text, err);
    if (status != CRIA_OK) return status;
    if (text.n > HF_TOKEN_BYTES || memchr(text.bytes, 0, text.n))
        return json_fail(r, err, "a token of more than %d bytes, or with U+0000", HF_TOKEN_BYTES);
    ret->is_said = true;
    ret->n = text.n;
    memcpy(ret->text, text.bytes, text.n);
    return CRIA_OK;
}

static cria_status read_token(json_reader *r, struct hf_token *ret, struct cria_error *err) {
    cria_status status;
    bool more = false;
    struct json_text key;
    struct hf_token token = {.is_said = true};
    if (json_peek(r) == JSON_NULL) {
        TRY(json_read_null(r, err));
    } else if (json_peek(r) != JSON_OBJECT) {
        TRY(keep(r, &token, err));
    } else {
        token.is_said = false;
        TRY(json_begin_object(r, err));
        for (;;) {
            TRY(json_next_key(r, &key, &more, err));
            if (!more) break;
            if (json_text_is(key, "content")) {
                TRY(keep(r, &token, err));
            } else {
                TRY(json_skip(r, err));
            }
        }
        if (!token.is_said) return json_fail(r, err, "a token without \"content\"");
    }
    *ret = token;
out:
    return status;
}

/* null counts as missing. */
static cria_status read_flag(json_reader *r, int *ret, struct cria_error *err) {
    bool value = false;
    if (json_peek(r) == JSON_NULL) return json_read_null(r, err);
    const cria_status status = json_read_bool(r, &value, err);
    if (status == CRIA_OK) *ret = value;
    return status;
}

static cria_status read_field(json_reader *r, struct json_text key, struct hf_tokens *t, struct cria_error *err) {
    if (json_text_is(key, "bos_token")) return read_token(r, &t->bos, err);
    if (json_text_is(key, "eos_token")) return read_token(r, &t->eos, err);
    if (json_text_is(key, "add_bos_token")) return read_flag(r, &t->add_bos, err);
    if (json_text_is(key, "add_eos_token")) return read_flag(r, &t->add_eos, err);
    return json_skip(r, err);
}

cria_status hf_tokens_read(const char *text, size_t n, struct hf_tokens *ret, struct cria_error *err) {
    cria_status status;
    json_reader r;
    bool more = false;
    struct json_text key;
    struct hf_tokens found = {.add_bos = -1, .add_eos = -1};
    json_reader_init(&r, text, n);
    TRY(json_begin_object(&r, err));
    for (;;) {
        TRY(json_next_key(&r, &key, &more, err));
        if (!more) break;
        status = read_field(&r, key, &found, err);
        if (status != CRIA_OK) {
            error_prefix(err, "\"%.*s\"", (int)(key.n < 64 ? key.n : 64), key.bytes);
            goto out;
        }
    }
    TRY(json_end(&r, err));
    *ret = found;
out:
    json_reader_deinit(&r);
    return status;
}

static cria_status merge(const char *name, struct hf_token *to, const struct hf_token *from, struct cria_error *err) {
    if (!from->n) {
        to->is_said = to->is_said || from->is_said;
        return CRIA_OK;
    }
    if (to->n && (to->n != from->n || memcmp(to->text, from->text, to->n) != 0)) {
        return ERROR_SET(err, CRIA_FORMAT,
                         "%s is '%.*s', but '%.*s' in tokenizer_config.json: make them the same, or remove one", name,
                         (int)from->n, from->text, (int)to->n, to->text);
    }
    *to = *from;
    return CRIA_OK;
}

cria_status hf_tokens_merge(struct hf_tokens *to, const struct hf_tokens *map, struct cria_error *err) {
    const cria_status status = merge("bos_token", &to->bos, &map->bos, err);
    return status == CRIA_OK ? merge("eos_token", &to->eos, &map->eos, err) : status;
}
