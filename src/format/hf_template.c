/* hf_template.c: the chat template of a tokenizer_config.json: a text, or a list of named ones (see hf_config.h). */
#include <string.h>

#include "arch/limits.h"
#include "base/alloc.h"
#include "format/hf_config.h"

static cria_status keep(json_reader *r, struct json_text text, char **ret, struct cria_error *err) {
    if (text.n > LIMIT_TEMPLATE_BYTES) {
        return ERROR_SET(err, CRIA_LIMIT, "a chat template has %zu bytes; at most %d are read", text.n,
                         LIMIT_TEMPLATE_BYTES);
    }
    if (memchr(text.bytes, 0, text.n)) return json_fail(r, err, "a chat template holds U+0000");
    *ret = alloc_text(text.bytes, text.n);
    return *ret ? CRIA_OK : ERROR_NOMEM(err, text.n, "the chat template");
}

/* One {"name": ..., "template": ...}; *ret is the text where the name is "default". */
static cria_status read_named(json_reader *r, char **ret, int *ret_others, struct cria_error *err) {
    cria_status status;
    bool more = false, has_name = false, is_default = false;
    struct json_text key, text;
    char *found = NULL;
    TRY(json_begin_object(r, err));
    for (;;) {
        TRY(json_next_key(r, &key, &more, err));
        if (!more) break;
        if (json_text_is(key, "name")) {
            TRY(json_read_string(r, &text, err));
            has_name = true;
            is_default = json_text_is(text, "default");
        } else if (json_text_is(key, "template")) {
            TRY(json_read_string(r, &text, err));
            TRY(keep(r, text, &found, err));
        } else {
            TRY(json_skip(r, err));
        }
    }
    if (!has_name || !found) {
        status = json_fail(r, err, "a named chat template needs \"name\" and \"template\"");
    } else if (!is_default) {
        (*ret_others)++;
    } else if (*ret) {
        status = json_fail(r, err, "two chat templates are named \"default\"");
    } else {
        *ret = found;
        found = NULL;
    }
out:
    alloc_free(found);
    return status;
}

static cria_status read_value(json_reader *r, char **ret, int *ret_others, struct cria_error *err) {
    cria_status status;
    bool more = false;
    struct json_text text;
    if (json_peek(r) == JSON_NULL) return json_read_null(r, err);
    if (json_peek(r) != JSON_ARRAY) {
        TRY(json_read_string(r, &text, err));
        return keep(r, text, ret, err);
    }
    TRY(json_begin_array(r, err));
    for (;;) {
        TRY(json_next_element(r, &more, err));
        if (!more) break;
        TRY(read_named(r, ret, ret_others, err));
    }
out:
    return status;
}

cria_status hf_template_read(const char *text, size_t n, char **ret, int *ret_others, struct cria_error *err) {
    cria_status status;
    json_reader r;
    bool more = false;
    struct json_text key;
    char *found = NULL;
    int others = 0;
    json_reader_init(&r, text, n);
    TRY(json_begin_object(&r, err));
    for (;;) {
        TRY(json_next_key(&r, &key, &more, err));
        if (!more) break;
        if (json_text_is(key, "chat_template")) {
            TRY(read_value(&r, &found, &others, err));
        } else {
            TRY(json_skip(&r, err));
        }
    }
    TRY(json_end(&r, err));
    *ret = found;
    *ret_others = others;
    found = NULL;
out:
    alloc_free(found);
    json_reader_deinit(&r);
    return status;
}
