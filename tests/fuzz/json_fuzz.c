/* json_fuzz.c: the JSON reader and writer on any bytes.
 *
 * Text that json_skip() accepts has to be readable value by value; what the writer makes of the values has to be
 * accepted as well, and its own copy has to be the same bytes. Numbers have to survive as doubles. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

static void require(int holds) {
    if (!holds) abort();
}

/* Writes the scalar that comes next, or opens the same kind of level on both sides. */
static cria_status copy_one(json_reader *r, json_writer *w) {
    struct json_text t;
    cria_status status = CRIA_FORMAT;
    double number;
    bool flag;
    switch (json_peek(r)) {
        case JSON_NULL:
            status = json_read_null(r, NULL);
            if (status == CRIA_OK) json_write_null(w);
            break;
        case JSON_BOOL:
            status = json_read_bool(r, &flag, NULL);
            if (status == CRIA_OK) json_write_bool(w, flag);
            break;
        case JSON_NUMBER:
            status = json_read_f64(r, &number, NULL);
            if (status == CRIA_OK) json_write_f64(w, number);
            break;
        case JSON_STRING:
            status = json_read_string(r, &t, NULL);
            if (status == CRIA_OK) json_write_string(w, t.bytes, t.n);
            break;
        case JSON_ARRAY:
            status = json_begin_array(r, NULL);
            if (status == CRIA_OK) json_write_begin_array(w);
            break;
        case JSON_OBJECT:
            status = json_begin_object(r, NULL);
            if (status == CRIA_OK) json_write_begin_object(w);
            break;
        case JSON_NONE:
            break;
    }
    return status;
}

static void write_key(json_writer *w, struct json_text key) {
    char *text = calloc(key.n + 1, 1);
    require(text != NULL);
    memcpy(text, key.bytes, key.n);
    json_write_key(w, text); /* a key with a NUL is cut there, which may make it equal to another */
    free(text);
}

static cria_status copy(const char *text, size_t n, struct buffer *out, bool *ret_has_nul_key) {
    json_reader r;
    json_writer w = json_writer_make(out);
    json_reader_init(&r, text, n);
    cria_status status = copy_one(&r, &w);
    while (status == CRIA_OK && r.depth > 0) {
        const bool is_object = r.levels[r.depth - 1].is_object;
        struct json_text key;
        bool more = false;
        status = is_object ? json_next_key(&r, &key, &more, NULL) : json_next_element(&r, &more, NULL);
        if (status != CRIA_OK) break;
        if (more && is_object) {
            write_key(&w, key);
            if (memchr(key.bytes, '\0', key.n)) *ret_has_nul_key = true;
        }
        if (more) status = copy_one(&r, &w);
        else if (is_object) json_write_end_object(&w);
        else json_write_end_array(&w);
    }
    if (status == CRIA_OK) status = json_end(&r, NULL);
    json_reader_deinit(&r);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    const char *text = (const char *)data;
    struct cria_error err;
    struct buffer first = buffer_make(1 << 26), second = buffer_make(1 << 26);
    bool has_nul_key = false;
    json_reader r;
    json_reader_init(&r, text, n_bytes);
    cria_status skipped = json_skip(&r, &err);
    if (skipped == CRIA_OK) skipped = json_end(&r, &err);
    json_reader_deinit(&r);
    const cria_status copied = copy(text, n_bytes, &first, &has_nul_key);
    /* Only a number too large for a double parts the two. */
    require(copied == skipped || (skipped == CRIA_OK && copied == CRIA_RANGE) || (copied == CRIA_RANGE && skipped));
    require(first.status == CRIA_OK);
    if (copied == CRIA_OK && !has_nul_key) {
        require(copy(first.data, first.n_bytes, &second, &has_nul_key) == CRIA_OK);
        require(first.n_bytes == second.n_bytes && memcmp(first.data, second.data, first.n_bytes) == 0);
    }
    buffer_free(&first);
    buffer_free(&second);
    return 0;
}
