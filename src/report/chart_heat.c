/* chart_heat.c: a matrix of numbers, darker for more (see chart.h). */
#include <math.h>
#include <stdio.h>

#include "report/chart_frame.h"
#include "report/markup.h"

#define ROW 26.0
#define SHADES 8

/* The shade of a value, 0 to SHADES - 1. */
static int shade_of(double value, struct scale_range r) {
    const double part = r.max > r.min ? (value - r.min) / (r.max - r.min) : 0.5;
    return (int)fmin(SHADES - 1, floor(part * SHADES));
}

static void draw_cell(struct buffer *out, const struct chart_heat *c, double value, struct scale_range r,
                      const double place[4], const char *tooltip) {
    char class_name[32], text[UNITS_TEXT_BYTES];
    if (!isfinite(value)) return;
    const int shade = shade_of(value, r);
    snprintf(class_name, sizeof class_name, "heat h%d", shade);
    svg_rect(out, class_name, place[0], place[1], place[2], place[3], tooltip);
    units_text(text, value, c->kind, c->unit);
    if (markup_width(text, CHART_FRAME_TEXT) <= place[2] + 4)
        svg_text(out, shade >= SHADES / 2 ? "on-dark" : "on-light", place[0] + place[2] / 2,
                 place[1] + place[3] / 2 + 4, SVG_MIDDLE, text);
}

void chart_heat_draw(struct buffer *out, const struct chart_heat *c, double width) {
    double labels = 0;
    struct scale_range r = scale_range_empty();
    const struct scale_axis axis = {.kind = c->kind};
    scale_range_add(&r, &axis, c->values, c->n_rows * c->n_columns);
    for (size_t i = 0; i < c->n_rows; i++) labels = fmax(labels, markup_width(c->rows[i], CHART_FRAME_TEXT));
    struct chart_frame f = {.width = width, .left = fmin(labels + 8, width * 0.35), .right = width, .top = 22};
    if (c->row_name || c->column_name) f.top += 18;
    f.bottom = f.top + ROW * (double)c->n_rows;
    const double cell = c->n_columns > 0 ? fmin((f.right - f.left) / (double)c->n_columns, 110) : 0;
    svg_begin(out, width, f.bottom + 4, c->title, c->description);
    if (c->row_name) svg_text(out, "name", 0, 12, SVG_START, c->row_name);
    if (c->column_name) svg_text(out, "name", f.left + cell * (double)c->n_columns, 12, SVG_END, c->column_name);
    for (size_t j = 0; j < c->n_columns; j++)
        svg_text_cut(out, "label", f.left + cell * ((double)j + 0.5), f.top - 7, SVG_MIDDLE, c->columns[j], cell + 4);
    for (size_t i = 0; i < c->n_rows; i++) {
        const double y = f.top + ROW * (double)i;
        svg_text_cut(out, "label", f.left - 8, y + ROW / 2 + 4, SVG_END, c->rows[i], f.left - 8);
        for (size_t j = 0; j < c->n_columns; j++) {
            char tooltip[160];
            const double place[4] = {f.left + cell * (double)j + 1, y + 1, cell - 2, ROW - 2};
            snprintf(tooltip, sizeof tooltip, "%.70s, %.70s", c->rows[i], c->columns[j]);
            draw_cell(out, c, c->values[i * c->n_columns + j], r, place, tooltip);
        }
    }
    svg_end(out);
}

void chart_heat_table(struct table *t, const struct chart_heat *c) {
    table_column(t, c->row_name ? c->row_name : "", TABLE_LEFT);
    const size_t n = c->n_columns < TABLE_MAX_COLUMNS ? c->n_columns : TABLE_MAX_COLUMNS - 1;
    for (size_t j = 0; j < n; j++) table_column(t, c->columns[j], TABLE_RIGHT);
    for (size_t i = 0; i < c->n_rows; i++) {
        table_cell(t, "%s", c->rows[i]);
        for (size_t j = 0; j < n; j++) table_cell_number(t, c->values[i * c->n_columns + j], c->kind, c->unit);
    }
}
