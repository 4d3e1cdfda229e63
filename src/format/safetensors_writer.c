/* safetensors_writer.c: writes one f32 matrix row by row; the file appears under its name when it is complete (see
 * format.h). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/checked.h"
#include "base/file.h"
#include "base/json.h"
#include "format/format.h"

#define HEADER_LIMIT 4096

struct safetensors_writer {
    char *path, *work_path; /* owned */
    int fd;                 /* owned; -1: none */
    int64_t n_rows, n_columns, n_written;
};

static cria_status write_all(struct safetensors_writer *w, const void *data, size_t n, struct cria_error *err) {
    const char *p = data;
    while (n) {
        const ssize_t written = write(w->fd, p, n);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return ERROR_SET(err, CRIA_IO, "%s: cannot be written: %s", w->path, strerror(errno));
        p += written;
        n -= (size_t)written;
    }
    return CRIA_OK;
}

/* The header is padded with blanks so that the data begins at a multiple of 8. */
static cria_status write_header(struct safetensors_writer *w, const char *name, size_t data_bytes,
                                struct cria_error *err) {
    cria_status status;
    struct buffer text = buffer_make(HEADER_LIMIT);
    json_writer j = json_writer_make(&text);
    json_write_begin_object(&j);
    json_write_key(&j, name);
    json_write_begin_object(&j);
    json_write_key(&j, "dtype");
    json_write_text(&j, "F32");
    json_write_key(&j, "shape");
    json_write_begin_array(&j);
    json_write_i64(&j, w->n_rows);
    json_write_i64(&j, w->n_columns);
    json_write_end_array(&j);
    json_write_key(&j, "data_offsets");
    json_write_begin_array(&j);
    json_write_u64(&j, 0);
    json_write_u64(&j, data_bytes);
    json_write_end_array(&j);
    json_write_end_object(&j);
    json_write_end_object(&j);
    while (text.status == CRIA_OK && text.n_bytes % 8) buffer_append_char(&text, ' ');
    TRY(buffer_status(&text, "the header of a safetensors file", err));
    uint8_t length[8];
    for (int i = 0; i < 8; i++) length[i] = (uint8_t)((uint64_t)text.n_bytes >> (8 * i));
    TRY(write_all(w, length, sizeof length, err));
    TRY(write_all(w, text.data, text.n_bytes, err));
out:
    buffer_free(&text);
    return status;
}

static cria_status open_work_file(struct safetensors_writer *w, struct cria_error *err) {
    static const char ending[] = ".XXXXXX";
    const size_t n = strlen(w->path);
    w->work_path = alloc_array(n + sizeof ending, 1);
    if (!w->work_path) return ERROR_NOMEM(err, n, "a path");
    memcpy(w->work_path, w->path, n);
    memcpy(w->work_path + n, ending, sizeof ending);
    w->fd = mkostemp(w->work_path, O_CLOEXEC);
    if (w->fd >= 0) return CRIA_OK;
    const int reason = errno;
    alloc_free(w->work_path); /* there is nothing to remove */
    w->work_path = NULL;
    return ERROR_SET(err, CRIA_IO, "%s: cannot be made: %s", w->path, strerror(reason));
}

static void discard(struct safetensors_writer **w) {
    struct safetensors_writer *old = *w;
    *w = NULL;
    if (!old) return;
    if (old->fd >= 0) close(old->fd);
    if (old->work_path) unlink(old->work_path);
    alloc_free(old->work_path);
    alloc_free(old->path);
    alloc_free(old);
}

cria_status safetensors_writer_create(struct safetensors_writer **ret, const char *path, const char *name,
                                      int64_t n_rows, int64_t n_columns, struct cria_error *err) {
    cria_status status;
    size_t bytes = 0;
    CRIA_ASSERT(n_rows >= 0 && n_columns >= 0);
    if (checked_mul_size((size_t)n_rows, (size_t)n_columns, &bytes) || checked_mul_size(bytes, sizeof(float), &bytes) ||
        bytes > INT64_MAX) {
        return ERROR_SET(err, CRIA_LIMIT, "%s: %lld rows of %lld numbers are more than a file holds", path,
                         (long long)n_rows, (long long)n_columns);
    }
    struct safetensors_writer *w = ALLOC_NEW(struct safetensors_writer);
    if (!w) return ERROR_NOMEM(err, sizeof *w, "a safetensors file");
    w->fd = -1;
    w->n_rows = n_rows;
    w->n_columns = n_columns;
    w->path = alloc_text(path, strlen(path));
    if (!w->path) {
        status = ERROR_NOMEM(err, strlen(path), "a path");
        goto out;
    }
    TRY(open_work_file(w, err));
    TRY(write_header(w, name, bytes, err));
    *ret = w;
    w = NULL;
out:
    discard(&w);
    return status;
}

cria_status safetensors_writer_rows(struct safetensors_writer *w, const float *rows, int64_t n_rows,
                                    struct cria_error *err) {
    CRIA_ASSERT(n_rows >= 0 && n_rows <= w->n_rows - w->n_written);
    const cria_status status = write_all(w, rows, (size_t)n_rows * (size_t)w->n_columns * sizeof *rows, err);
    if (status == CRIA_OK) w->n_written += n_rows;
    return status;
}

/* mkostemp makes files that only their owner may read; a result is as readable as any other new file. */
static void give_usual_mode(int fd) {
    const mode_t mask = umask(0);
    umask(mask);
    (void)fchmod(fd, 0666 & ~mask);
}

cria_status safetensors_writer_finish(struct safetensors_writer **w, bool commit, struct cria_error *err) {
    cria_status status = CRIA_OK;
    struct safetensors_writer *writer = *w;
    if (!writer) return CRIA_OK;
    if (!commit) goto out;
    CRIA_ASSERT(writer->n_written == writer->n_rows);
    give_usual_mode(writer->fd);
    if (fsync(writer->fd) != 0 || rename(writer->work_path, writer->path) != 0) {
        status = ERROR_SET(err, CRIA_IO, "%s: cannot be written: %s", writer->path, strerror(errno));
        goto out;
    }
    alloc_free(writer->work_path); /* it has its name now: nothing to remove */
    writer->work_path = NULL;
out:
    discard(w);
    return status;
}
