/* table.h: a table that is written as aligned text for a terminal or as HTML.
 *
 * Columns first, then cells, row by row; the cells of a row are counted by the columns. The builder remembers its first
 * failure, so a caller fills in everything and checks once. */
#ifndef REPORT_TABLE_H
#define REPORT_TABLE_H

#include <stddef.h>

#include "base/buffer.h"
#include "report/units.h"

#define TABLE_MAX_COLUMNS 32

enum table_align { TABLE_LEFT, TABLE_RIGHT };

struct table {
    struct buffer text; /* owned: every cell's text, each with a NUL; headings first */
    enum table_align align[TABLE_MAX_COLUMNS];
    int n_columns;
    size_t n_cells; /* without headings */
};

/* An empty table; owns nothing yet. */
struct table table_make(void);
void table_free(struct table *t);
/* Before the first cell; more than TABLE_MAX_COLUMNS is a programmer error. */
void table_column(struct table *t, const char *heading, enum table_align align);
void table_cell(struct table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A number in the form of units_text(). */
void table_cell_number(struct table *t, double value, enum units_kind kind, const char *unit);
/* The first failure of filling it in. */
CRIA_MUST_CHECK cria_status table_status(const struct table *t, struct cria_error *err);
/* Lines of aligned columns, headings first where one has a text; `indent` spaces before each. Control characters become
 * question marks. */
void table_write_text(struct buffer *out, const struct table *t, int indent);
/* A <table> inside a <div class="scroll">; caption NULL: none. */
void table_write_html(struct buffer *out, const struct table *t, const char *caption);

#endif
