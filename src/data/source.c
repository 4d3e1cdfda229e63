/* source.c: see source.h. A window of the file at hand slides over its bytes; a document is what the kind of the file
 * finds in the window, made well-formed on the way out. */
#include "data/source.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/checked.h"
#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "data/source_list.h"
#include "data/source_stream.h"

enum { FIRST_WINDOW_BYTES = 1 << 20, ESCAPE_FACTOR = 6, LINE_EXTRA_BYTES = 1 << 20 };

struct source {
    struct source_list list;
    char *text_field, *separator; /* owned; separator NULL: none */
    size_t max_document_bytes, max_window_bytes;
    int64_t at_file;
    uint64_t taken;        /* bytes of the files that are done */
    source_stream *stream; /* of files[at_file], or NULL before it is opened */
    bool is_stream_at_end; /* the window holds the last bytes of the file */
    uint64_t n_given;      /* lines or parts of this file so far */
    char *window;          /* owned, [capacity]; bytes begin to end - 1 are not used yet */
    size_t capacity, begin, end;
    size_t scanned;       /* the window has no line end or separator before this offset from begin */
    struct buffer fixed;  /* the document, where bytes had to be replaced */
    struct buffer parsed; /* the text of a JSON line */
    struct buffer name;
};

cria_status source_open(source **ret, const char *const *paths, int n_paths, const struct source_options *options,
                        struct cria_error *err) {
    const struct source_options o = options ? *options : (struct source_options){0};
    cria_status status = CRIA_OK;
    source *s = ALLOC_NEW(source);
    if (!s) return ERROR_NOMEM(err, sizeof *s, "a source");
    const char *field = o.text_field ? o.text_field : "text";
    s->max_document_bytes = o.max_document_bytes ? o.max_document_bytes : SOURCE_MAX_DOCUMENT_BYTES;
    if (checked_mul_size(s->max_document_bytes, ESCAPE_FACTOR, &s->max_window_bytes) ||
        checked_add_size(s->max_window_bytes, LINE_EXTRA_BYTES, &s->max_window_bytes)) {
        status = ERROR_SET(err, CRIA_RANGE, "documents of up to %zu bytes are too long", s->max_document_bytes);
        goto out;
    }
    s->fixed = buffer_make(s->max_window_bytes * 3);
    s->parsed = buffer_make(s->max_window_bytes);
    s->name = buffer_make(1 << 16);
    s->text_field = alloc_text(field, strlen(field));
    if (o.separator && o.separator[0]) s->separator = alloc_text(o.separator, strlen(o.separator));
    if (!s->text_field || (o.separator && o.separator[0] && !s->separator)) {
        status = ERROR_NOMEM(err, strlen(field), "a source");
        goto out;
    }
    TRY(source_list_fill(&s->list, paths, n_paths, err));
    *ret = s;
    s = NULL;
out:
    source_close(&s);
    return status;
}

void source_close(source **source_at) {
    source *s = *source_at;
    if (!s) return;
    *source_at = NULL;
    source_stream_close(&s->stream);
    source_list_free(&s->list);
    buffer_free(&s->fixed);
    buffer_free(&s->parsed);
    buffer_free(&s->name);
    alloc_free(s->window);
    alloc_free(s->text_field);
    alloc_free(s->separator);
    alloc_free(s);
}

/* Makes the window empty and the next file to open the one at `file`. */
static void leave_file(source *s, int64_t file) {
    if (s->stream) s->taken += source_stream_taken(s->stream);
    source_stream_close(&s->stream);
    s->at_file = file;
    s->is_stream_at_end = false;
    s->n_given = 0;
    s->begin = s->end = s->scanned = 0;
}

void source_rewind(source *s) {
    leave_file(s, 0);
    s->taken = 0;
}

static cria_status enter_file(source *s, struct cria_error *err) {
    return source_stream_open(&s->stream, s->list.files[s->at_file].path, err);
}

/* Reads more of the file behind the window's end; the window grows up to `limit` bytes, LIMIT beyond. */
static cria_status widen(source *s, size_t limit, struct cria_error *err) {
    cria_status status = CRIA_OK;
    if (s->begin > 0 && s->end - s->begin <= s->begin) { /* a move that costs no more than what was used since */
        memmove(s->window, s->window + s->begin, s->end - s->begin);
        s->end -= s->begin;
        s->begin = 0;
    }
    if (s->end == s->capacity) {
        if (s->end - s->begin > limit) /* a window that is just full has not shown that */
            return ERROR_SET(err, CRIA_LIMIT, "%s: document %llu is longer than %zu bytes",
                             s->list.files[s->at_file].path, (unsigned long long)s->n_given + 1, s->max_document_bytes);
        const size_t wider = s->capacity ? s->capacity * 2 : FIRST_WINDOW_BYTES;
        char *grown = alloc_resize(s->window, wider, 1);
        if (!grown) return ERROR_NOMEM(err, wider, "a document");
        s->window = grown;
        s->capacity = wider;
    }
    size_t got;
    TRY(source_stream_read(s->stream, s->window + s->end, s->capacity - s->end, &got, err));
    s->end += got;
    s->is_stream_at_end = got == 0;
out:
    return status;
}

/* Finds `what` (n bytes) in the window, widening it up to `limit`; *ret_at is its offset from begin, or the length of
 * the rest of the file, or of the window where it reached the limit and can_stop. */
static cria_status find(source *s, const char *what, size_t n, size_t limit, bool can_stop, size_t *ret_at,
                        struct cria_error *err) {
    cria_status status = CRIA_OK;
    for (;;) {
        const size_t here = s->end - s->begin;
        if (n > 0 && here > s->scanned) {
            const char *from = s->window + s->begin + s->scanned;
            const char *found = memmem(from, here - s->scanned, what, n);
            if (found) {
                *ret_at = (size_t)(found - (s->window + s->begin));
                break;
            }
            if (here >= n) s->scanned = here - n + 1;
        }
        if (s->is_stream_at_end || (can_stop && here > limit)) {
            *ret_at = here;
            break;
        }
        TRY(widen(s, limit, err));
    }
    s->scanned = 0;
out:
    return status;
}

/* Where to cut n bytes of text, more than max of them, at most at max: after an empty line, after a line, between
 * characters. The first half is left whole. */
static size_t cut_at(const char *text, size_t max) {
    for (size_t i = max; i > max / 2; i--)
        if (i >= 2 && text[i - 1] == '\n' && text[i - 2] == '\n') return i;
    for (size_t i = max; i > max / 2; i--)
        if (text[i - 1] == '\n') return i;
    size_t i = max;
    while (i > 1 && max - i < 3 && ((unsigned char)text[i] & 0xc0) == 0x80) i--;
    return i;
}

/* *ret_bytes: the text made well-formed, in s->fixed where it was not. */
static cria_status make_valid(source *s, const char *text, size_t n, struct source_document *d,
                              struct cria_error *err) {
    d->bytes = text;
    d->n = n;
    d->n_replaced = 0;
    if (utf8_is_valid(text, n)) return CRIA_OK;
    buffer_cut(&s->fixed, 0);
    size_t good = 0; /* where the run of well-formed bytes began */
    for (size_t i = 0; i < n;) {
        const int n_sequence = utf8_sequence_bytes(text + i, n - i);
        if (n_sequence) {
            i += (size_t)n_sequence;
            continue;
        }
        buffer_append(&s->fixed, text + good, i - good);
        buffer_append(&s->fixed, "\xef\xbf\xbd", 3);
        d->n_replaced++;
        good = ++i;
    }
    buffer_append(&s->fixed, text + good, n - good);
    d->bytes = buffer_text(&s->fixed);
    d->n = s->fixed.n_bytes;
    return buffer_status(&s->fixed, "a document", err);
}

static cria_status make_name(source *s, const char *mark, struct source_document *d, struct cria_error *err) {
    buffer_cut(&s->name, 0);
    buffer_append_text(&s->name, s->list.files[s->at_file].path);
    if (mark) buffer_append_format(&s->name, "%s%llu", mark, (unsigned long long)s->n_given);
    d->name = buffer_text(&s->name);
    return buffer_status(&s->name, "a document's name", err);
}

/* The next part of plain text; *ret_found false at the end of the file. */
static cria_status next_text(source *s, struct source_document *d, bool *ret_found, struct cria_error *err) {
    cria_status status = CRIA_OK;
    const size_t max = s->max_document_bytes, n_separator = s->separator ? strlen(s->separator) : 0;
    size_t n, used;
    TRY(find(s, s->separator ? s->separator : "", n_separator, max, true, &n, err));
    const bool is_end = s->is_stream_at_end && s->begin + n == s->end;
    /* An empty file is a document; nothing behind the last separator is none. */
    if (is_end && n == 0 && s->n_given > 0) {
        *ret_found = false;
        return CRIA_OK;
    }
    const bool is_whole = is_end && s->n_given == 0 && n <= max;
    if (n > max) used = n = cut_at(s->window + s->begin, max);
    else used = is_end ? n : n + n_separator;
    s->n_given++;
    TRY(make_valid(s, s->window + s->begin, n, d, err));
    TRY(make_name(s, is_whole ? NULL : "#", d, err));
    d->is_line = false;
    s->begin += used;
    *ret_found = true;
out:
    return status;
}

/* Reads the text field of one line. */
static cria_status read_line(source *s, const char *line, size_t n, struct cria_error *err) {
    cria_status status = CRIA_OK;
    json_reader r;
    struct json_text key, text;
    bool more, has_text = false;
    json_reader_init(&r, line, n);
    buffer_cut(&s->parsed, 0);
    TRY(json_begin_object(&r, err));
    for (;;) {
        TRY(json_next_key(&r, &key, &more, err));
        if (!more) break;
        if (!json_text_is(key, s->text_field)) {
            TRY(json_skip(&r, err));
            continue;
        }
        TRY(json_read_string(&r, &text, err));
        buffer_append(&s->parsed, text.bytes, text.n);
        has_text = true;
    }
    TRY(json_end(&r, err));
    TRY(buffer_status(&s->parsed, "a document", err));
    if (!has_text)
        status = ERROR_SET(err, CRIA_FORMAT, "expected a field '%s' with the text, found none", s->text_field);
    else if (s->parsed.n_bytes > s->max_document_bytes)
        status =
            ERROR_SET(err, CRIA_LIMIT, "the text has %zu bytes; at most %zu", s->parsed.n_bytes, s->max_document_bytes);
out:
    json_reader_deinit(&r);
    return status;
}

static bool is_blank(const char *line, size_t n) {
    while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t' || line[n - 1] == '\r')) n--;
    return n == 0;
}

/* The next JSON line that is not blank. */
static cria_status next_line(source *s, struct source_document *d, bool *ret_found, struct cria_error *err) {
    cria_status status = CRIA_OK;
    size_t n;
    struct source_document line;
    for (;;) {
        TRY(find(s, "\n", 1, s->max_window_bytes, false, &n, err));
        const bool is_end = s->begin + n == s->end;
        if (is_end && n == 0) {
            *ret_found = false;
            return CRIA_OK;
        }
        const char *bytes = s->window + s->begin;
        s->begin += is_end ? n : n + 1;
        s->n_given++;
        if (is_blank(bytes, n)) continue;
        TRY(make_valid(s, bytes, n, &line, err));
        break;
    }
    status = read_line(s, line.bytes, line.n, err);
    if (status != CRIA_OK) {
        error_prefix(err, "%s line %llu", s->list.files[s->at_file].path, (unsigned long long)s->n_given);
        goto out;
    }
    d->bytes = buffer_text(&s->parsed);
    d->n = s->parsed.n_bytes;
    d->n_replaced = line.n_replaced;
    d->is_line = true;
    TRY(make_name(s, ":", d, err));
    *ret_found = true;
out:
    return status;
}

cria_status source_next(source *s, struct source_document *ret, bool *ret_more, struct cria_error *err) {
    cria_status status = CRIA_OK;
    bool found = false;
    struct source_document d;
    while (!found && s->at_file < s->list.n) {
        if (!s->stream) TRY(enter_file(s, err));
        if (s->list.files[s->at_file].is_lines) TRY(next_line(s, &d, &found, err));
        else TRY(next_text(s, &d, &found, err));
        if (!found) leave_file(s, s->at_file + 1);
    }
    if (found) *ret = d;
    *ret_more = found;
out:
    return status;
}

int64_t source_files(const source *s) { return s->list.n; }
int64_t source_ignored(const source *s) { return s->list.n_ignored; }
uint64_t source_bytes(const source *s) { return s->list.n_bytes; }
uint64_t source_bytes_read(const source *s) { return s->taken + (s->stream ? source_stream_taken(s->stream) : 0); }
const char *source_path(const source *s, int64_t i) { return s->list.files[i].path; }
