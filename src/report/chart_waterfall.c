/* chart_waterfall.c: from a first number to a last one, step by step; lying, so that long names have room (see
 * chart.h). */
#include <math.h>

#include "report/chart_frame.h"
#include "report/markup.h"

#define ROW 30.0
#define NARROW_ROW 44.0
#define BAR 20.0
#define VALUE_ROOM 70.0

static struct scale_range range_of(const struct chart_waterfall *c) {
    struct scale_range r = {0, 0};
    double sum = 0;
    for (size_t i = 0; i < c->n_steps; i++) {
        if (!c->steps[i].is_total && isfinite(c->steps[i].value)) sum += c->steps[i].value;
        scale_range_add(&r, &c->axis, &sum, 1);
    }
    return r;
}

static void draw_step(struct buffer *out, const struct chart_waterfall *c, const struct chart_frame *f,
                      const struct scale *s, size_t i, double *sum) {
    const struct chart_step *step = &c->steps[i];
    const bool is_narrow = f->left == 0;
    const double row = is_narrow ? NARROW_ROW : ROW, value = isfinite(step->value) ? step->value : 0;
    const double from = step->is_total ? 0 : *sum, to = step->is_total ? *sum : *sum + value;
    const double y = f->top + row * (double)i, top = y + (is_narrow ? 19 : (ROW - BAR) / 2);
    char text[UNITS_TEXT_BYTES];
    units_text(text, step->is_total ? *sum : value, c->axis.kind, c->axis.unit);
    if (is_narrow) svg_text_cut(out, "label", 0, y + 13, SVG_START, step->label, f->width);
    else svg_text_cut(out, "label", f->left - 8, top + BAR / 2 + 4, SVG_END, step->label, f->left - 8);
    svg_rect(out,
             step->is_total ? "c1 fill"
             : value < 0    ? "c3 fill"
                            : "c2 fill",
             scale_at(s, from), top, scale_at(s, to) - scale_at(s, from), BAR, step->label);
    const double end = fmax(scale_at(s, from), scale_at(s, to));
    svg_text(out, "value", end + 6, top + BAR / 2 + 4, SVG_START, text);
    *sum = to;
    if (i + 1 < c->n_steps) svg_line(out, "join", scale_at(s, to), top + BAR, scale_at(s, to), top + row);
}

void chart_waterfall_draw(struct buffer *out, const struct chart_waterfall *c, double width) {
    const bool is_narrow = width < CHART_FRAME_NARROW;
    double labels = 0, sum = 0;
    for (size_t i = 0; i < c->n_steps; i++)
        labels = fmax(labels, markup_width(c->steps[i].label, CHART_FRAME_TEXT) + 8);
    struct chart_frame f = {.width = width, .right = width - VALUE_ROOM, .top = 2};
    f.left = is_narrow ? 0 : fmin(labels, width * 0.4);
    f.bottom = f.top + (is_narrow ? NARROW_ROW : ROW) * (double)c->n_steps;
    f.height = f.bottom + 6;
    const struct scale s = scale_make(&c->axis, range_of(c), f.left, f.right, 5, false);
    svg_begin(out, width, f.height, c->title, c->description);
    svg_line(out, "axis", scale_at(&s, 0), f.top, scale_at(&s, 0), f.bottom);
    for (size_t i = 0; i < c->n_steps; i++) draw_step(out, c, &f, &s, i, &sum);
    svg_end(out);
}

void chart_waterfall_table(struct table *t, const struct chart_waterfall *c) {
    double sum = 0;
    table_column(t, "step", TABLE_LEFT);
    table_column(t, "change", TABLE_RIGHT);
    table_column(t, "so far", TABLE_RIGHT);
    for (size_t i = 0; i < c->n_steps; i++) {
        const struct chart_step *step = &c->steps[i];
        if (!step->is_total && isfinite(step->value)) sum += step->value;
        table_cell(t, "%s", step->label);
        if (step->is_total) table_cell(t, "%s", "");
        else table_cell_number(t, step->value, c->axis.kind, c->axis.unit);
        table_cell_number(t, sum, c->axis.kind, c->axis.unit);
    }
}
