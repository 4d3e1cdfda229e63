/* cmd_io.c: see cmd_io.h. */
#include "cmd/cmd_io.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "conf/conf.h"
#include "text/tokenizer.h"

static cria_status write_failed(struct cria_error *err) {
    return ERROR_SET(err, CRIA_IO, "standard output: %s", strerror(errno));
}

cria_status cmd_write(const void *bytes, size_t n, struct cria_error *err) {
    return fwrite(bytes, 1, n, stdout) == n ? CRIA_OK : write_failed(err);
}

/* Bytes of the control character at text, 0 where there is another one: C0 without newline and tab, DEL, and C1. */
static size_t control_bytes(const char *text, size_t n) {
    const unsigned char c = (unsigned char)text[0];
    if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f) return 1;
    return c == 0xc2 && n > 1 && (unsigned char)text[1] < 0xa0 ? 2 : 0;
}

cria_status cmd_write_shown(const char *text, size_t n, struct cria_error *err) {
    cria_status status = CRIA_OK;
    size_t plain = 0;
    if (!isatty(STDOUT_FILENO)) return cmd_write(text, n, err);
    for (size_t i = 0; i < n && status == CRIA_OK;) {
        const size_t n_control = control_bytes(text + i, n - i);
        if (n_control) {
            status = cmd_write(text + plain, i - plain, err);
            if (status == CRIA_OK) status = cmd_write("\xef\xbf\xbd", 3, err);
            plain = i + n_control;
        }
        i += n_control ? n_control : 1;
    }
    return status == CRIA_OK ? cmd_write(text + plain, n - plain, err) : status;
}

cria_status cmd_print(struct cria_error *err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const int n = vprintf(format, args);
    va_end(args);
    return n >= 0 ? CRIA_OK : write_failed(err);
}

cria_status cmd_flush(struct cria_error *err) { return fflush(stdout) == 0 ? CRIA_OK : write_failed(err); }

cria_status cmd_write_buffer(const struct buffer *b, struct cria_error *err) {
    const cria_status status = buffer_status(b, "the output", err);
    return status == CRIA_OK ? cmd_write(buffer_text(b), b->n_bytes, err) : status;
}

cria_status cmd_write_line(struct buffer *b, struct cria_error *err) {
    buffer_append_char(b, '\n');
    return cmd_write_buffer(b, err);
}

static cria_status read_standard_input(char **ret_text, size_t *ret_n, struct cria_error *err) {
    struct buffer b = buffer_make(CMD_MAX_TEXT);
    char piece[1 << 16];
    cria_status status = CRIA_OK;
    if (isatty(STDIN_FILENO)) log_notice("reading from the terminal; Ctrl-D on a line of its own ends the text");
    for (;;) {
        const ssize_t n = read(STDIN_FILENO, piece, sizeof piece);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) status = ERROR_SET(err, CRIA_IO, "standard input: %s", strerror(errno));
        if (n <= 0) break;
        buffer_append(&b, piece, (size_t)n);
        if (b.status != CRIA_OK) break;
    }
    if (status == CRIA_OK) status = buffer_status(&b, "standard input", err);
    const size_t n_bytes = b.n_bytes;
    char *text = status == CRIA_OK ? buffer_take(&b) : NULL;
    if (status == CRIA_OK && !text) status = ERROR_NOMEM(err, 1, "standard input");
    buffer_free(&b);
    if (status != CRIA_OK) return status;
    *ret_text = text;
    *ret_n = n_bytes;
    return CRIA_OK;
}

cria_status cmd_read(const char *path, char **ret_text, size_t *ret_n, struct cria_error *err) {
    if (strcmp(path, "-") == 0) return read_standard_input(ret_text, ret_n, err);
    return file_read(path, CMD_MAX_TEXT, ret_text, ret_n, err);
}

cria_status cmd_read_ids(const char *text, int64_t max, struct token_list *list, struct cria_error *err) {
    static const char separators[] = ", \t\r\n";
    for (const char *p = text + strspn(text, separators); *p; p += strspn(p, separators)) {
        char word[32];
        const size_t n = strcspn(p, separators);
        int64_t id;
        snprintf(word, sizeof word, "%.*s", (int)(n < sizeof word ? n : sizeof word), p);
        cria_status status = conf_read_int(word, 0, max, &id, err);
        if (status == CRIA_OK) status = token_list_add(list, (int32_t)id, err);
        if (status != CRIA_OK) return status;
        p += n;
    }
    return CRIA_OK;
}

cria_status cmd_check_target(const char *path, struct cria_error *err) {
    if (access(path, F_OK) != 0 || file_exists(path)) return CRIA_OK;
    return ERROR_SET(err, CRIA_IO,
                     "%s: expected a regular file or a new name; this is something else and is not replaced", path);
}

void cmd_bytes_text(uint64_t n_bytes, char out[32]) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)n_bytes;
    int unit = 0;
    while (value >= 1024 && unit < 4) {
        value /= 1024;
        unit++;
    }
    snprintf(out, 32, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}
