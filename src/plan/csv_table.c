/* csv_table.c: reading and writing comma-separated tables (see csv_table.h). */
#include "plan/csv_table.h"

#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"

struct csv_table {
    char *text;         /* owned: a copy of the file, cells unquoted in place and ended by NUL */
    const char **cells; /* owned; the names, then the rows */
    size_t n_columns, n_lines, n_cells, capacity;
};

static cria_status add_cell(csv_table *t, const char *cell, struct cria_error *err) {
    if (t->n_cells == t->capacity) {
        size_t capacity = t->capacity ? 2 * t->capacity : 1024;
        const char **cells = alloc_resize(t->cells, capacity, sizeof *cells);
        if (!cells) return ERROR_NOMEM(err, capacity * sizeof *cells, "the cells of a table");
        t->cells = cells;
        t->capacity = capacity;
    }
    t->cells[t->n_cells++] = cell;
    return CRIA_OK;
}

/* Ends a line: the first one gives the number of columns, the others are filled up to it. */
static cria_status end_line(csv_table *t, size_t n_in_line, size_t line, struct cria_error *err) {
    if (!t->n_columns) {
        if (n_in_line > CSV_TABLE_COLUMNS)
            return ERROR_SET(err, CRIA_LIMIT, "line 1: %zu columns; at most %d", n_in_line, CSV_TABLE_COLUMNS);
        t->n_columns = n_in_line;
    }
    if (n_in_line > t->n_columns)
        return ERROR_SET(err, CRIA_FORMAT, "line %zu: %zu cells for %zu columns", line, n_in_line, t->n_columns);
    for (; n_in_line < t->n_columns; n_in_line++) {
        cria_status status = add_cell(t, "", err);
        if (status != CRIA_OK) return status;
    }
    t->n_lines++;
    return CRIA_OK;
}

/* Takes the quotes off the cell at *at and ends it; *at is left behind it. */
static cria_status take_quoted(char **at, size_t *line, struct cria_error *err) {
    size_t first = *line;
    char *from = *at + 1, *to = *at;
    for (; *from; from++) {
        if (*from == '"') {
            if (from[1] != '"') break;
            from++;
        }
        if (*from == '\n') ++*line;
        *to++ = *from;
    }
    if (!*from) return ERROR_SET(err, CRIA_FORMAT, "line %zu: a quoted cell has no end", first);
    *at = from + 1;
    if (**at && **at != ',' && **at != '\n' && **at != '\r')
        return ERROR_SET(err, CRIA_FORMAT, "line %zu: text behind a quoted cell", *line);
    *to = 0;
    return CRIA_OK;
}

static cria_status parse_lines(csv_table *t, char *at, struct cria_error *err) {
    cria_status status = CRIA_OK;
    size_t line = 1, n_in_line = 0;
    while (*at || n_in_line) {
        char *cell = at;
        if (*at == '"') {
            status = take_quoted(&at, &line, err);
            if (status != CRIA_OK) return status;
        } else {
            at += strcspn(at, ",\r\n");
        }
        char end = *at;
        if (end == '\r' && at[1] == '\n') *at++ = 0;
        bool is_line_end = end != ',';
        if (*at) *at++ = 0;
        if (is_line_end && !n_in_line && !*cell) { /* an empty line is no row */
            line++;
            continue;
        }
        status = add_cell(t, cell, err);
        if (status != CRIA_OK) return status;
        n_in_line++;
        if (!is_line_end) continue;
        status = end_line(t, n_in_line, line, err);
        if (status != CRIA_OK) return status;
        n_in_line = 0;
        line++;
    }
    return CRIA_OK;
}

cria_status csv_table_parse(csv_table **ret, const char *text, size_t n, struct cria_error *err) {
    cria_status status = CRIA_OK;
    csv_table *t = ALLOC_NEW(csv_table);
    if (!t) return ERROR_NOMEM(err, sizeof *t, "a table");
    if (n > CSV_TABLE_BYTES) {
        status = ERROR_SET(err, CRIA_LIMIT, "a table of %zu bytes; at most %d", n, CSV_TABLE_BYTES);
        goto out;
    }
    if (memchr(text, 0, n)) {
        status = ERROR_SET(err, CRIA_FORMAT, "a table is text, but byte %zu is zero",
                           (size_t)((const char *)memchr(text, 0, n) - text));
        goto out;
    }
    if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) text += 3, n -= 3;
    t->text = alloc_text(text, n);
    if (!t->text) {
        status = ERROR_NOMEM(err, n, "a table's text");
        goto out;
    }
    TRY(parse_lines(t, t->text, err));
    if (!t->n_lines) {
        status = ERROR_SET(err, CRIA_FORMAT, "the table is empty: expected a line of column names");
        goto out;
    }
    *ret = t;
    t = NULL;
out:
    csv_table_destroy(&t);
    return status;
}

void csv_table_destroy(csv_table **t) {
    if (!*t) return;
    alloc_free((*t)->text);
    alloc_free((*t)->cells);
    alloc_free(*t);
    *t = NULL;
}

size_t csv_table_rows(const csv_table *t) { return t->n_lines - 1; }
size_t csv_table_columns(const csv_table *t) { return t->n_columns; }
const char *csv_table_name(const csv_table *t, size_t column) { return t->cells[column]; }

int csv_table_column(const csv_table *t, const char *name) {
    for (size_t i = 0; i < t->n_columns; i++)
        if (strcmp(t->cells[i], name) == 0) return (int)i;
    return -1;
}

const char *csv_table_cell(const csv_table *t, size_t row, size_t column) {
    return t->cells[(row + 1) * t->n_columns + column];
}

void csv_table_write(struct buffer *out, const char *cell) {
    if (!cell[strcspn(cell, ",\"\r\n")]) {
        buffer_append_text(out, cell);
        return;
    }
    buffer_append_char(out, '"');
    for (; *cell; cell++) {
        if (*cell == '"') buffer_append_char(out, '"');
        buffer_append_char(out, *cell);
    }
    buffer_append_char(out, '"');
}
