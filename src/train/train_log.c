/* train_log.c: see train_log.h. */
#include "train/train_log.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "train/checkpoint_manifest.h"

enum { MAX_LINE_BYTES = 1 << 16 };

struct train_log {
    int fd;             /* owned */
    char *path;         /* owned */
    struct buffer line; /* owned */
    json_writer writer;
};

struct train_log_reader {
    struct file_map *map; /* owned */
    size_t at;
    int64_t number; /* of the line that was read last */
};

static cria_status read_member(json_reader *r, struct json_text key, struct train_log_line *line,
                               struct cria_error *err) {
    struct json_text text;
    cria_status status;
    const bool is_null = json_peek(r) == JSON_NULL;
    if (json_text_is(key, "step")) return json_read_i64(r, 0, INT64_MAX, &line->step, err);
    if (json_text_is(key, "loss") || json_text_is(key, "grad_norm")) {
        double *to = json_text_is(key, "loss") ? &line->loss : &line->grad_norm;
        return is_null ? json_read_null(r, err) : json_read_f64(r, to, err);
    }
    if (json_text_is(key, "weights_digest")) {
        TRY(json_read_string(r, &text, err));
        line->has_digest = checkpoint_manifest_hex(text, line->digest);
        return line->has_digest ? CRIA_OK : json_fail(r, err, "expected 64 hexadecimal digits");
    }
    if (json_text_is(key, "rewound_from")) {
        line->is_rewound = true;
        return json_skip(r, err);
    }
    if (json_text_is(key, "phase")) {
        int64_t phase = 0;
        TRY(json_read_i64(r, 0, ROWS_MAX_PHASES, &phase, err));
        line->cursor.phase = (int)phase;
        return CRIA_OK;
    }
    if (json_text_is(key, "row")) return json_read_u64(r, INT64_MAX, &line->cursor.number, err);
    return json_skip(r, err);
out:
    return status;
}

static cria_status parse(const char *text, size_t n, struct train_log_line *ret, struct cria_error *err) {
    cria_status status;
    json_reader r;
    bool more = false;
    struct json_text key;
    struct train_log_line line = {.step = -1, .loss = (double)NAN, .grad_norm = (double)NAN};
    json_reader_init(&r, text, n);
    TRY(json_begin_object(&r, err));
    for (;;) {
        TRY(json_next_key(&r, &key, &more, err));
        if (!more) break;
        TRY(read_member(&r, key, &line, err));
    }
    TRY(json_end(&r, err));
    if (line.step < 0) TRY(ERROR_SET(err, CRIA_FORMAT, "no \"step\""));
    *ret = line;
out:
    json_reader_deinit(&r);
    return status;
}

cria_status train_log_read_open(train_log_reader **ret, const char *path, struct cria_error *err) {
    train_log_reader *r = ALLOC_NEW(train_log_reader);
    if (!r) return ERROR_NOMEM(err, sizeof *r, "the log of a run");
    const cria_status status = file_map_open(&r->map, path, err);
    if (status != CRIA_OK) {
        alloc_free(r);
        return status;
    }
    *ret = r;
    return CRIA_OK;
}

cria_status train_log_read(train_log_reader *r, struct train_log_line *ret, bool *ret_more, struct cria_error *err) {
    const char *text = (const char *)r->map->data + r->at;
    const size_t left = r->map->n_bytes - r->at;
    const char *end = left ? memchr(text, '\n', left) : NULL;
    *ret_more = end != NULL;
    if (!end) return CRIA_OK;
    r->number++;
    r->at += (size_t)(end - text) + 1;
    const cria_status status = parse(text, (size_t)(end - text), ret, err);
    if (status != CRIA_OK) error_prefix(err, "%s, line %lld", r->map->path, (long long)r->number);
    return status;
}

void train_log_read_close(train_log_reader **r) {
    train_log_reader *old = *r;
    *r = NULL;
    if (!old) return;
    file_map_close(&old->map);
    alloc_free(old);
}

/* Bytes of the lines up to the last one of last_step. */
static cria_status bytes_to_keep(const char *path, int64_t last_step, size_t *ret, struct cria_error *err) {
    train_log_reader *r = NULL;
    cria_status status;
    bool more = false;
    size_t kept = 0;
    struct train_log_line line;
    if (!file_exists(path)) {
        *ret = 0;
        return CRIA_OK;
    }
    TRY(train_log_read_open(&r, path, err));
    for (;;) {
        TRY(train_log_read(r, &line, &more, err));
        if (!more || line.step > last_step) break;
        kept = r->at;
    }
    *ret = kept;
out:
    train_log_read_close(&r);
    return status;
}

cria_status train_log_open(train_log **ret, const char *path, int64_t last_step, struct cria_error *err) {
    size_t kept = 0;
    cria_status status = bytes_to_keep(path, last_step, &kept, err);
    if (status != CRIA_OK) return status;
    train_log *l = ALLOC_NEW(train_log);
    if (!l) return ERROR_NOMEM(err, sizeof *l, "the log of a run");
    l->line = buffer_make(MAX_LINE_BYTES);
    l->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    l->path = alloc_text(path, strlen(path));
    if (!l->path) TRY(ERROR_NOMEM(err, strlen(path), "a path"));
    if (l->fd < 0 || ftruncate(l->fd, (off_t)kept) != 0)
        TRY(ERROR_SET(err, CRIA_IO, "%s: cannot be written: %s", path, strerror(errno)));
    *ret = l;
    l = NULL;
out:
    train_log_close(&l);
    return status;
}

void train_log_close(train_log **l) {
    train_log *old = *l;
    *l = NULL;
    if (!old) return;
    if (old->fd >= 0) close(old->fd);
    buffer_free(&old->line);
    alloc_free(old->path);
    alloc_free(old);
}

json_writer *train_log_begin(train_log *l, int64_t step) {
    buffer_cut(&l->line, 0);
    l->writer = json_writer_make(&l->line);
    json_write_begin_object(&l->writer);
    train_log_integer(&l->writer, "step", step);
    return &l->writer;
}

cria_status train_log_end(train_log *l, struct cria_error *err) {
    json_write_end_object(&l->writer);
    buffer_append_char(&l->line, '\n');
    const cria_status status = buffer_status(&l->line, "a line of the log", err);
    if (status != CRIA_OK) return status;
    const ssize_t put = write(l->fd, l->line.data, l->line.n_bytes);
    if (put == (ssize_t)l->line.n_bytes) return CRIA_OK;
    return ERROR_SET(err, CRIA_IO, "%s: cannot be written: %s", l->path,
                     put < 0 ? strerror(errno) : "a part of the line alone went in");
}

cria_status train_log_sync(train_log *l, struct cria_error *err) {
    if (fsync(l->fd) == 0) return CRIA_OK;
    return ERROR_SET(err, CRIA_IO, "%s: cannot be synced: %s", l->path, strerror(errno));
}

void train_log_real(json_writer *w, const char *key, double value) {
    json_write_key(w, key);
    json_write_f64(w, value);
}

void train_log_text(json_writer *w, const char *key, const char *value) {
    json_write_key(w, key);
    json_write_text(w, value);
}

void train_log_integer(json_writer *w, const char *key, int64_t value) {
    json_write_key(w, key);
    json_write_i64(w, value);
}
