/* json.h: a streaming JSON reader for untrusted text, and a writer.
 *
 * The reader holds RFC 8259 strictly, and more: UTF-8 without byte order mark, no lone surrogates, no duplicate keys
 * in any object, depth at most JSON_MAX_DEPTH, no trailing bytes. It recurses nowhere. On the heap it keeps the keys of
 * the objects that are open (about 40 bytes each) and strings that have escapes. Errors name the line, column and byte
 * offset. After the first failure every call fails, so a forgotten check cannot turn broken text into data.
 *
 *   json_reader_init(&r, text, n);
 *   TRY(json_begin_object(&r, err));
 *   for (;;) {
 *       TRY(json_next_key(&r, &key, &more, err));
 *       if (!more) break;
 *       if (json_text_is(key, "size")) TRY(json_read_u64(&r, 1000, &size, err));
 *       else TRY(json_skip(&r, err));
 *   }
 *   TRY(json_end(&r, err));
 * out:
 *   json_reader_deinit(&r);
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/json_keys.h"

#define JSON_MAX_DEPTH 64

enum json_kind { JSON_NONE, JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* An open object or array. */
struct json_level {
    struct json_keys keys; /* owned; of an object */
    bool is_object;
    bool is_started; /* a member was read: a comma is due */
};

typedef struct json_reader {
    const char *text; /* borrowed */
    size_t n, at;
    size_t value_at; /* where the value or key read last begins */
    int depth;
    cria_status failed;                       /* the first failure */
    struct buffer scratch;                    /* owned */
    struct json_level levels[JSON_MAX_DEPTH]; /* 0 to depth-1 are open; the others keep their memory for the next */
} json_reader;

void json_reader_init(json_reader *r, const char *text, size_t n);
void json_reader_deinit(json_reader *r);

/* The kind of the value that comes next, without taking it; JSON_NONE at a malformed one. */
enum json_kind json_peek(json_reader *r);
CRIA_MUST_CHECK cria_status json_begin_object(json_reader *r, struct cria_error *err);
/* The next key of the open object; *ret_more false (and the object closed) at its end. The key's value has to be taken
 * before the next call. The key's bytes are valid until its object is closed. */
CRIA_MUST_CHECK cria_status json_next_key(json_reader *r, struct json_text *ret_key, bool *ret_more,
                                          struct cria_error *err);
CRIA_MUST_CHECK cria_status json_begin_array(json_reader *r, struct cria_error *err);
/* Whether another element comes; at the end of the array *ret_more is false and the array is closed. */
CRIA_MUST_CHECK cria_status json_next_element(json_reader *r, bool *ret_more, struct cria_error *err);
/* The string's bytes lie inside the text where it has no escapes, else they are valid until the next string is read. */
CRIA_MUST_CHECK cria_status json_read_string(json_reader *r, struct json_text *ret, struct cria_error *err);
/* A number's text as written, such as -0, 1e5, 12345678901234567890. */
CRIA_MUST_CHECK cria_status json_read_number(json_reader *r, struct json_text *ret, struct cria_error *err);
/* A number written as an integer (no point, no exponent) inside [min, max]. */
CRIA_MUST_CHECK cria_status json_read_i64(json_reader *r, int64_t min, int64_t max, int64_t *ret,
                                          struct cria_error *err);
CRIA_MUST_CHECK cria_status json_read_u64(json_reader *r, uint64_t max, uint64_t *ret, struct cria_error *err);
/* A finite number. */
CRIA_MUST_CHECK cria_status json_read_f64(json_reader *r, double *ret, struct cria_error *err);
CRIA_MUST_CHECK cria_status json_read_bool(json_reader *r, bool *ret, struct cria_error *err);
CRIA_MUST_CHECK cria_status json_read_null(json_reader *r, struct cria_error *err);
/* Takes any one value, checking its form. */
CRIA_MUST_CHECK cria_status json_skip(json_reader *r, struct cria_error *err);
/* Nothing but white space may remain. */
CRIA_MUST_CHECK cria_status json_end(json_reader *r, struct cria_error *err);
/* Line and column (from 1) of byte offset `at`, for messages about a value. */
void json_position(const json_reader *r, size_t at, size_t *ret_line, size_t *ret_column);
/* FORMAT naming the position of the value or key read last. */
cria_status json_fail(json_reader *r, struct cria_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int json_text_is(struct json_text t, const char *word);
/* A strtod that knows no locale. text is a JSON number's text. Correctly rounded. */
double json_number_value(struct json_text number);

/* Writing: appends to a buffer; commas and colons are the writer's own. Strings must be UTF-8 (malformed bytes are
 * written as U+FFFD). An f32 gets 9 significant digits, an f64 as many as read back to the same bits, at most 17. No
 * locale plays a part. */
typedef struct json_writer {
    struct buffer *out; /* borrowed */
    int depth;          /* what is open; more ends than begins is a programmer error */
    bool needs_comma;
} json_writer;

json_writer json_writer_make(struct buffer *out);
void json_write_begin_object(json_writer *w);
void json_write_end_object(json_writer *w);
void json_write_begin_array(json_writer *w);
void json_write_end_array(json_writer *w);
void json_write_key(json_writer *w, const char *key);
void json_write_string(json_writer *w, const char *bytes, size_t n);
void json_write_text(json_writer *w, const char *text);
void json_write_i64(json_writer *w, int64_t value);
void json_write_u64(json_writer *w, uint64_t value);
void json_write_f32(json_writer *w, float value); /* NaN and infinities become null */
void json_write_f64(json_writer *w, double value);
void json_write_bool(json_writer *w, bool value);
void json_write_null(json_writer *w);

#endif
