/* csv_table.h: comma-separated tables (RFC 4180): a first line of names, then rows. Quoted cells may hold commas, line
 * ends and doubled quotes. Cells are text; what they mean is the caller's business. */
#ifndef PLAN_CSV_TABLE_H
#define PLAN_CSV_TABLE_H

#include <stddef.h>

#include "base/buffer.h"
#include "base/error.h"

#define CSV_TABLE_BYTES (64 << 20)
#define CSV_TABLE_COLUMNS 1024

typedef struct csv_table csv_table;

/* Reads n bytes. FORMAT names the line of a row with more cells than names, of a quote without its end, and so on;
 * missing cells at the end of a row are empty. A byte order mark is passed over. */
CRIA_MUST_CHECK cria_status csv_table_parse(csv_table **ret, const char *text, size_t n, struct cria_error *err);
/* Takes NULL; clears the caller's pointer. */
void csv_table_destroy(csv_table **t);
size_t csv_table_rows(const csv_table *t);
size_t csv_table_columns(const csv_table *t);
/* The name of column i. */
const char *csv_table_name(const csv_table *t, size_t column);
/* The column of a name, or -1. */
int csv_table_column(const csv_table *t, const char *name);
/* Row from 0 (the names are not a row). */
const char *csv_table_cell(const csv_table *t, size_t row, size_t column);
/* Appends one cell's text, quoted where it has to be. */
void csv_table_write(struct buffer *out, const char *cell);

#endif
