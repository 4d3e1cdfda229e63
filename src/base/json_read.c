/* json_read.c: the JSON reader's structure: objects, arrays, skipping, errors (see json.h). Strings are in
 * json_string.c, numbers in json_number.c; json_scan.h is what the three share. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/json_scan.h"

void json_reader_init(json_reader *r, const char *text, size_t n) {
    *r = (json_reader){.text = text, .n = n, .scratch = buffer_make(n)};
}

void json_reader_deinit(json_reader *r) {
    for (int i = 0; i < JSON_MAX_DEPTH; i++) json_keys_free(&r->levels[i].keys);
    buffer_free(&r->scratch);
}

void json_position(const json_reader *r, size_t at, size_t *ret_line, size_t *ret_column) {
    size_t line = 1, begin = 0;
    for (const char *p; begin < at && (p = memchr(r->text + begin, '\n', at - begin)); line++)
        begin = (size_t)(p - r->text) + 1;
    *ret_line = line;
    *ret_column = at - begin + 1;
}

static cria_status fail_with(json_reader *r, struct cria_error *err, cria_status status, size_t at, const char *format,
                             va_list args) {
    char text[512];
    size_t line, column;
    vsnprintf(text, sizeof text, format, args);
    json_position(r, at, &line, &column);
    if (r->failed == CRIA_OK) r->failed = status;
    return ERROR_SET(err, status, "line %zu, column %zu (byte %zu): %s", line, column, at, text);
}

cria_status json_scan_fail(json_reader *r, struct cria_error *err, cria_status status, size_t at, const char *format,
                           ...) {
    va_list args;
    va_start(args, format);
    fail_with(r, err, status, at, format, args);
    va_end(args);
    return status;
}

cria_status json_fail(json_reader *r, struct cria_error *err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fail_with(r, err, CRIA_FORMAT, r->value_at, format, args);
    va_end(args);
    return CRIA_FORMAT;
}

cria_status json_scan_again(const json_reader *r, struct cria_error *err) {
    return ERROR_SET(err, r->failed, "the JSON text was found broken before");
}

void json_scan_space(json_reader *r) {
    size_t at = r->at;
    while (at < r->n && (r->text[at] == ' ' || r->text[at] == '\n' || r->text[at] == '\t' || r->text[at] == '\r')) at++;
    r->at = at;
}

enum json_kind json_peek(json_reader *r) {
    json_scan_space(r);
    if (r->failed != CRIA_OK || r->at == r->n) return JSON_NONE;
    switch (r->text[r->at]) {
        case 'n':
            return JSON_NULL;
        case 't':
        case 'f':
            return JSON_BOOL;
        case '"':
            return JSON_STRING;
        case '[':
            return JSON_ARRAY;
        case '{':
            return JSON_OBJECT;
        case '-':
            return JSON_NUMBER;
        default:
            return r->text[r->at] >= '0' && r->text[r->at] <= '9' ? JSON_NUMBER : JSON_NONE;
    }
}

static bool is_word(const json_reader *r, const char *word) {
    const size_t n = strlen(word);
    return r->n - r->at >= n && memcmp(r->text + r->at, word, n) == 0;
}

/* Takes the word if it stands here. */
static bool take_word(json_reader *r, const char *word) {
    if (!is_word(r, word)) return false;
    r->at += strlen(word);
    return true;
}

/* What stands at the reader's place, for messages; the result may be `room`. */
static const char *found(json_reader *r, char room[32]) {
    static const char *const names[] = {
        [JSON_NULL] = "null",       [JSON_BOOL] = "true or false", [JSON_NUMBER] = "a number",
        [JSON_STRING] = "a string", [JSON_ARRAY] = "an array",     [JSON_OBJECT] = "an object",
    };
    const enum json_kind kind = json_peek(r);
    const bool is_word_kind = kind == JSON_NULL || kind == JSON_BOOL;
    if (is_word_kind && !is_word(r, "null") && !is_word(r, "true") && !is_word(r, "false")) return "an unknown word";
    if (kind != JSON_NONE) return names[kind];
    if (r->at == r->n) return "the end of the text";
    if (r->n - r->at >= 3 && memcmp(r->text + r->at, "\xef\xbb\xbf", 3) == 0) return "a byte order mark";
    const unsigned char c = (unsigned char)r->text[r->at];
    snprintf(room, 32, c > 0x20 && c < 0x7f ? "'%c'" : "the byte 0x%02x", c);
    return room;
}

cria_status json_scan_expected(json_reader *r, struct cria_error *err, const char *what) {
    char room[32];
    const char *name = found(r, room);
    return json_scan_fail(r, err, CRIA_FORMAT, r->at, "expected %s, found %s", what, name);
}

/* Opens the object or array that begins with `c`. */
static cria_status begin(json_reader *r, char c, const char *what, struct cria_error *err) {
    if (r->failed != CRIA_OK) return json_scan_again(r, err);
    json_scan_space(r);
    r->value_at = r->at;
    if (r->at == r->n || r->text[r->at] != c) return json_scan_expected(r, err, what);
    if (r->depth == JSON_MAX_DEPTH)
        return json_scan_fail(r, err, CRIA_LIMIT, r->at, "nested deeper than %d levels", JSON_MAX_DEPTH);
    struct json_level *level = &r->levels[r->depth++];
    level->is_object = c == '{';
    level->is_started = false;
    r->at++;
    return CRIA_OK;
}

cria_status json_begin_object(json_reader *r, struct cria_error *err) { return begin(r, '{', "an object", err); }

cria_status json_begin_array(json_reader *r, struct cria_error *err) { return begin(r, '[', "an array", err); }

/* Goes to the next member of the open level, over its comma, or closes the level with `close`. */
static cria_status next(json_reader *r, char close, bool *ret_more, struct cria_error *err) {
    CRIA_ASSERT(r->depth > 0 && r->levels[r->depth - 1].is_object == (close == '}'));
    struct json_level *level = &r->levels[r->depth - 1];
    json_scan_space(r);
    const char c = r->at < r->n ? r->text[r->at] : '\0';
    if (c == close) {
        r->at++;
        r->depth--;
        json_keys_clear(&level->keys);
        *ret_more = false;
        return CRIA_OK;
    }
    if (level->is_started) {
        if (c != ',') return json_scan_expected(r, err, close == '}' ? "',' or '}'" : "',' or ']'");
        r->at++;
        json_scan_space(r);
    }
    level->is_started = true;
    *ret_more = true;
    return CRIA_OK;
}

cria_status json_next_element(json_reader *r, bool *ret_more, struct cria_error *err) {
    if (r->failed != CRIA_OK) return json_scan_again(r, err);
    bool more = false;
    const cria_status status = next(r, ']', &more, err);
    if (status != CRIA_OK) return status;
    if (more && json_peek(r) == JSON_NONE) return json_scan_expected(r, err, "a value");
    *ret_more = more;
    return CRIA_OK;
}

/* Reads the key at the reader's place and the colon behind it. */
static cria_status read_key(json_reader *r, struct json_text *ret_key, struct cria_error *err) {
    struct json_text key = {0};
    bool is_new = false, is_copied = false;
    cria_status status = json_scan_string(r, "a key", &key, &is_copied, err);
    if (status != CRIA_OK) return status;
    status = json_keys_add(&r->levels[r->depth - 1].keys, key, is_copied, &key, &is_new, err);
    if (status != CRIA_OK) {
        r->failed = status;
        return status;
    }
    if (!is_new) {
        const int shown = key.n < 80 ? (int)key.n : 80;
        return json_fail(r, err, "the key \"%.*s\" comes twice in one object", shown, key.bytes);
    }
    json_scan_space(r);
    if (r->at == r->n || r->text[r->at] != ':') return json_scan_expected(r, err, "':'");
    r->at++;
    *ret_key = key;
    return CRIA_OK;
}

cria_status json_next_key(json_reader *r, struct json_text *ret_key, bool *ret_more, struct cria_error *err) {
    if (r->failed != CRIA_OK) return json_scan_again(r, err);
    bool more = false;
    struct json_text key = {0};
    cria_status status = next(r, '}', &more, err);
    if (status != CRIA_OK) return status;
    if (more) {
        status = read_key(r, &key, err);
        if (status != CRIA_OK) return status;
        *ret_key = key;
    }
    *ret_more = more;
    return CRIA_OK;
}

cria_status json_read_bool(json_reader *r, bool *ret, struct cria_error *err) {
    if (r->failed != CRIA_OK) return json_scan_again(r, err);
    json_scan_space(r);
    r->value_at = r->at;
    const bool is_true = take_word(r, "true");
    if (!is_true && !take_word(r, "false")) return json_scan_expected(r, err, "true or false");
    *ret = is_true;
    return CRIA_OK;
}

cria_status json_read_null(json_reader *r, struct cria_error *err) {
    if (r->failed != CRIA_OK) return json_scan_again(r, err);
    json_scan_space(r);
    r->value_at = r->at;
    return take_word(r, "null") ? CRIA_OK : json_scan_expected(r, err, "null");
}

/* Takes one scalar, or opens one object or array. */
static cria_status skip_one(json_reader *r, struct cria_error *err) {
    struct json_text text;
    bool value;
    switch (json_peek(r)) {
        case JSON_NULL:
            return json_read_null(r, err);
        case JSON_BOOL:
            return json_read_bool(r, &value, err);
        case JSON_NUMBER:
            return json_read_number(r, &text, err);
        case JSON_STRING:
            return json_read_string(r, &text, err);
        case JSON_ARRAY:
            return json_begin_array(r, err);
        case JSON_OBJECT:
            return json_begin_object(r, err);
        case JSON_NONE:
            break;
    }
    return json_scan_expected(r, err, "a value");
}

cria_status json_skip(json_reader *r, struct cria_error *err) {
    if (r->failed != CRIA_OK) return json_scan_again(r, err);
    json_scan_space(r);
    const int depth = r->depth;
    const size_t value_at = r->at;
    struct json_text key = {0};
    cria_status status = CRIA_OK;
    TRY(skip_one(r, err));
    while (r->depth > depth) {
        bool more = false;
        if (r->levels[r->depth - 1].is_object) TRY(json_next_key(r, &key, &more, err));
        else TRY(json_next_element(r, &more, err));
        if (more) TRY(skip_one(r, err));
    }
    r->value_at = value_at;
out:
    return status;
}

cria_status json_end(json_reader *r, struct cria_error *err) {
    if (r->failed != CRIA_OK) return json_scan_again(r, err);
    json_scan_space(r);
    return r->at == r->n && r->depth == 0 ? CRIA_OK : json_scan_expected(r, err, "the end of the text");
}

int json_text_is(struct json_text t, const char *word) {
    return t.n == strlen(word) && memcmp(t.bytes, word, t.n) == 0;
}
