/* table.c: see table.h. */
#include "report/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "report/markup.h"

#define MAX_CELL_BYTES 4096
#define MAX_TABLE_BYTES ((size_t)64 << 20)
#define COLUMN_GAP 2

struct table table_make(void) {
    return (struct table){.text = buffer_make(MAX_TABLE_BYTES)};
}

void table_free(struct table *t) { buffer_free(&t->text); }

static void append_cell(struct table *t, const char *text) { buffer_append(&t->text, text, strlen(text) + 1); }

void table_column(struct table *t, const char *heading, enum table_align align) {
    CRIA_ASSERT(t->n_columns < TABLE_MAX_COLUMNS && t->n_cells == 0);
    t->align[t->n_columns++] = align;
    append_cell(t, heading ? heading : "");
}

void table_cell(struct table *t, const char *format, ...) {
    char text[MAX_CELL_BYTES];
    va_list list;
    va_start(list, format);
    const int n = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    append_cell(t, n < 0 ? "" : text);
    t->n_cells++;
}

void table_cell_number(struct table *t, double value, enum units_kind kind, const char *unit) {
    char text[UNITS_TEXT_BYTES];
    units_text(text, value, kind, unit);
    table_cell(t, "%s", text);
}

cria_status table_status(const struct table *t, struct cria_error *err) {
    return buffer_status(&t->text, "a table", err);
}

/* The cell behind `cell`; the texts lie one behind the other. */
static const char *next_cell(const char *cell) { return cell + strlen(cell) + 1; }

static size_t letters(const char *text) {
    size_t n = 0;
    for (; *text; text++) n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void pad(struct buffer *out, size_t n) {
    while (n-- > 0) buffer_append_char(out, ' ');
}

static void plain_text(struct buffer *out, const char *text) {
    const size_t n = strlen(text);
    for (size_t i = 0; i < n;) {
        const int bytes = utf8_sequence_bytes(text + i, n - i);
        const unsigned char c = (unsigned char)text[i];
        if (bytes == 0 || c < 0x20 || c == 0x7f) {
            buffer_append_char(out, '?');
            i++;
        } else {
            buffer_append(out, text + i, (size_t)bytes);
            i += (size_t)bytes;
        }
    }
}

static void text_row(struct buffer *out, const struct table *t, const char **cell, const size_t *widths, int indent) {
    pad(out, (size_t)indent);
    size_t owed = 0; /* spaces that only come where something follows: no line ends in them */
    for (int c = 0; c < t->n_columns; c++, *cell = next_cell(*cell)) {
        const size_t n = letters(*cell), rest = widths[c] > n ? widths[c] - n : 0;
        if (c > 0) owed += COLUMN_GAP;
        if (t->align[c] == TABLE_RIGHT) owed += rest;
        if (n > 0) {
            pad(out, owed);
            owed = 0;
            plain_text(out, *cell);
        } else {
            owed += n;
        }
        if (t->align[c] == TABLE_LEFT) owed += rest;
    }
    buffer_append_char(out, '\n');
}

void table_write_text(struct buffer *out, const struct table *t, int indent) {
    size_t widths[TABLE_MAX_COLUMNS] = {0}, heading_letters = 0;
    if (t->text.status != CRIA_OK || t->n_columns == 0) return;
    const size_t n_rows = t->n_cells / (size_t)t->n_columns;
    const char *cell = buffer_text(&t->text);
    for (size_t r = 0; r <= n_rows; r++)
        for (int c = 0; c < t->n_columns; c++, cell = next_cell(cell)) {
            const size_t n = letters(cell);
            if (n > widths[c]) widths[c] = n;
            if (r == 0) heading_letters += n;
        }
    cell = buffer_text(&t->text);
    if (heading_letters > 0) text_row(out, t, &cell, widths, indent);
    else
        for (int c = 0; c < t->n_columns; c++) cell = next_cell(cell);
    for (size_t r = 0; r < n_rows; r++) text_row(out, t, &cell, widths, indent);
}

static void html_row(struct buffer *out, const struct table *t, const char **cell, const char *element) {
    buffer_append_text(out, "<tr>");
    for (int c = 0; c < t->n_columns; c++, *cell = next_cell(*cell)) {
        buffer_append_format(out, "<%s%s>", element, t->align[c] == TABLE_RIGHT ? " class=\"num\"" : "");
        markup_text(out, *cell);
        buffer_append_format(out, "</%s>", element);
    }
    buffer_append_text(out, "</tr>\n");
}

void table_write_html(struct buffer *out, const struct table *t, const char *caption) {
    if (t->text.status != CRIA_OK || t->n_columns == 0) return;
    const size_t n_rows = t->n_cells / (size_t)t->n_columns;
    const char *cell = buffer_text(&t->text);
    size_t heading_letters = 0;
    const char *at = cell;
    for (int c = 0; c < t->n_columns; c++, at = next_cell(at)) heading_letters += strlen(at);
    buffer_append_text(out, "<div class=\"scroll\"><table>");
    if (caption) {
        buffer_append_text(out, "<caption>");
        markup_text(out, caption);
        buffer_append_text(out, "</caption>");
    }
    buffer_append_char(out, '\n');
    if (heading_letters > 0) {
        buffer_append_text(out, "<thead>");
        html_row(out, t, &cell, "th");
        buffer_append_text(out, "</thead>\n");
    } else {
        cell = at;
    }
    buffer_append_text(out, "<tbody>");
    for (size_t r = 0; r < n_rows; r++) html_row(out, t, &cell, "td");
    buffer_append_text(out, "</tbody></table></div>\n");
}
