/* cmd_rows.c: see cmd_rows.h. */
#include "cmd/cmd_rows.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "cmd/cmd_io.h"
#include "format/format.h"

/* A file without a name in the target's folder: the same file system has to hold the result anyway. */
static cria_status open_unnamed(const char *path, FILE **ret, struct cria_error *err) {
    const size_t n_folder = (size_t)(file_name(path) - path);
    char *folder = n_folder ? alloc_text(path, n_folder) : alloc_text("./", 2);
    char *name = folder ? file_join(folder, ".cria-rows-XXXXXX") : NULL;
    cria_status status = CRIA_OK;
    FILE *file = NULL;
    if (!name) {
        status = ERROR_NOMEM(err, n_folder, "a path");
    } else {
        const int fd = mkostemp(name, O_CLOEXEC);
        if (fd >= 0) {
            unlink(name);
            file = fdopen(fd, "w+b");
            if (!file) close(fd);
        }
        if (!file) status = ERROR_SET(err, CRIA_IO, "%s: cannot write into its folder: %s", path, strerror(errno));
    }
    alloc_free(name);
    alloc_free(folder);
    if (status == CRIA_OK) *ret = file;
    return status;
}

cria_status cmd_rows_open(struct cmd_rows *r, const char *path, struct cria_error *err) {
    *r = (struct cmd_rows){.path = path};
    if (!path) return CRIA_OK;
    const cria_status status = cmd_check_target(path, err);
    return status == CRIA_OK ? open_unnamed(path, &r->file, err) : status;
}

cria_status cmd_rows_add(struct cmd_rows *r, const float *row, int32_t n_vocab, struct cria_error *err) {
    if (!r->file) return CRIA_OK;
    r->n_vocab = n_vocab;
    r->n_rows++;
    if (fwrite(row, sizeof *row, (size_t)n_vocab, r->file) == (size_t)n_vocab) return CRIA_OK;
    return ERROR_SET(err, CRIA_IO, "%s: writing row %lld: %s", r->path, (long long)r->n_rows, strerror(errno));
}

cria_status cmd_rows_publish(struct cmd_rows *r, struct cria_error *err) {
    struct safetensors_writer *writer = NULL;
    float *row = NULL;
    cria_status status = CRIA_OK;
    if (!r->file) return CRIA_OK;
    row = alloc_array((size_t)r->n_vocab + 1, sizeof *row);
    if (!row) return ERROR_NOMEM(err, (size_t)r->n_vocab * sizeof *row, "a row of logits");
    if (fflush(r->file) != 0 || fseeko(r->file, 0, SEEK_SET) != 0)
        TRY(ERROR_SET(err, CRIA_IO, "%s: %s", r->path, strerror(errno)));
    TRY(safetensors_writer_create(&writer, r->path, "logits", r->n_rows, r->n_vocab, err));
    for (int64_t i = 0; i < r->n_rows; i++) {
        if (fread(row, sizeof *row, (size_t)r->n_vocab, r->file) != (size_t)r->n_vocab)
            TRY(ERROR_SET(err, CRIA_IO, "%s: reading row %lld back: %s", r->path, (long long)i, strerror(errno)));
        TRY(safetensors_writer_rows(writer, row, 1, err));
    }
    status = safetensors_writer_finish(&writer, true, err);
out:
    if (writer && safetensors_writer_finish(&writer, false, NULL) != CRIA_OK && status == CRIA_OK) status = CRIA_IO;
    alloc_free(row);
    return status;
}

void cmd_rows_close(struct cmd_rows *r) {
    if (r->file) fclose(r->file);
    *r = (struct cmd_rows){0};
}
