/* cmd_resume.c: see cmd_resume.h. */
#include "cmd/cmd_resume.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/cmd_io.h"

static const char failed_prefix[] = "{\"error\"";

static cria_status failed(const struct cmd_resume *r, struct cria_error *err) {
    return ERROR_SET(err, CRIA_IO, "%s: %s", r->path, strerror(errno));
}

/* Counts the whole lines; *ret_end is where the last of them ends. */
static void count_lines(struct cmd_resume *r, off_t *ret_end) {
    off_t at = 0, end = 0;
    size_t n_matched = 0, column = 0;
    for (int c = getc(r->file); c != EOF; c = getc(r->file)) {
        at++;
        if (c == '\n') {
            r->n_failed += n_matched == sizeof failed_prefix - 1;
            r->n_lines++;
            end = at;
            n_matched = column = 0;
            continue;
        }
        if (column == n_matched && n_matched < sizeof failed_prefix - 1 && c == failed_prefix[n_matched]) n_matched++;
        column++;
    }
    *ret_end = end;
}

cria_status cmd_resume_open(struct cmd_resume *r, const char *path, struct cria_error *err) {
    *r = (struct cmd_resume){.path = path, .is_open = true};
    if (!path) return CRIA_OK;
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
    struct stat info;
    off_t end = 0;
    if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        cria_status status =
            fd < 0 ? failed(r, err)
                   : ERROR_SET(err, CRIA_IO, "%s: expected a regular file, which a run can go on with", path);
        if (fd >= 0) close(fd);
        r->is_open = false;
        return status;
    }
    r->file = fdopen(fd, "r+");
    if (!r->file) {
        const cria_status status = failed(r, err);
        close(fd);
        r->is_open = false;
        return status;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) return ERROR_SET(err, CRIA_BUSY, "%s: another run is writing it", path);
    count_lines(r, &end);
    if (ferror(r->file) || ftruncate(fd, end) != 0 || fseeko(r->file, end, SEEK_SET) != 0) return failed(r, err);
    return CRIA_OK;
}

cria_status cmd_resume_write(struct cmd_resume *r, const char *bytes, size_t n, struct cria_error *err) {
    if (!r->file) return cmd_write(bytes, n, err);
    return fwrite(bytes, 1, n, r->file) == n ? CRIA_OK : failed(r, err);
}

cria_status cmd_resume_flush(struct cmd_resume *r, struct cria_error *err) {
    if (!r->file) return cmd_flush(err);
    return fflush(r->file) == 0 ? CRIA_OK : failed(r, err);
}

cria_status cmd_resume_close(struct cmd_resume *r, struct cria_error *err) {
    FILE *file = r->file;
    r->file = NULL;
    r->is_open = false;
    if (!file) return CRIA_OK;
    return fclose(file) == 0 ? CRIA_OK : failed(r, err);
}
