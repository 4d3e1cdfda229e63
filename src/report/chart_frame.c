/* chart_frame.c: see chart_frame.h. */
#include "report/chart_frame.h"

#include <math.h>

#include "report/markup.h"

#define LEGEND_ROW 18.0
#define LEGEND_SQUARE 10.0
#define LEGEND_GAP 16.0

int chart_frame_colour(int asked, int i) { return asked > 0 ? asked : i + 1; }

double chart_frame_tick_width(const struct scale *s, const struct scale_axis *axis) {
    double widest = 0;
    for (int i = 0; i < s->n_ticks; i++) {
        char text[UNITS_TEXT_BYTES];
        scale_tick_text(s, axis, i, text);
        widest = fmax(widest, markup_width(text, CHART_FRAME_TEXT));
    }
    return widest;
}

void chart_frame_y_axis(struct buffer *out, const struct chart_frame *f, const struct scale *s,
                        const struct scale_axis *axis) {
    for (int i = 0; i < s->n_ticks; i++) {
        char text[UNITS_TEXT_BYTES];
        const double y = scale_at(s, s->ticks[i]);
        scale_tick_text(s, axis, i, text);
        svg_line(out, "grid", f->left, y, f->right, y);
        svg_text(out, "tick", f->left - 6, y + 4, SVG_END, text);
    }
    if (axis->label) svg_text(out, "name", 0, f->top - 12, SVG_START, axis->label);
}

void chart_frame_x_axis(struct buffer *out, const struct chart_frame *f, const struct scale *s,
                        const struct scale_axis *axis, bool is_grid) {
    double taken = -INFINITY; /* up to where marks have been written */
    svg_line(out, "axis", f->left, f->bottom, f->right, f->bottom);
    for (int i = 0; i < s->n_ticks; i++) {
        char text[UNITS_TEXT_BYTES];
        const double x = scale_at(s, s->ticks[i]);
        scale_tick_text(s, axis, i, text);
        const double half = markup_width(text, CHART_FRAME_TEXT) / 2;
        if (is_grid) svg_line(out, "grid", x, f->top, x, f->bottom);
        else svg_line(out, "axis", x, f->bottom, x, f->bottom + 4);
        if (x - half < taken + 6) continue;
        /* the last mark ends with the chart, not behind it */
        if (x + half > f->width) svg_text(out, "tick", f->width, f->bottom + 17, SVG_END, text);
        else svg_text(out, "tick", x, f->bottom + 17, SVG_MIDDLE, text);
        taken = x + half;
    }
    if (axis->label) svg_text(out, "name", f->right, f->bottom + 34, SVG_END, axis->label);
}

static double entry_width(const char *name) {
    return LEGEND_SQUARE + 5 + markup_width(name, CHART_FRAME_TEXT) + LEGEND_GAP;
}

/* Walks the places of a legend; draws where out is not NULL. Returns the height. */
static double legend_walk(struct buffer *out, const char *const *names, const int *colours, int n, double x, double y,
                          double width) {
    double at = 0, row = 0;
    for (int i = 0; i < n; i++) {
        const double wide = entry_width(names[i]);
        if (at > 0 && at + wide - LEGEND_GAP > width) {
            at = 0;
            row++;
        }
        if (out) {
            char class_name[32];
            svg_class(class_name, colours[i], "fill");
            svg_rect(out, class_name, x + at, y + row * LEGEND_ROW, LEGEND_SQUARE, LEGEND_SQUARE, NULL);
            svg_text(out, "tick", x + at + LEGEND_SQUARE + 5, y + row * LEGEND_ROW + 9.5, SVG_START, names[i]);
        }
        at += wide;
    }
    return n > 0 ? (row + 1) * LEGEND_ROW : 0;
}

double chart_frame_legend_height(const char *const *names, int n, double width) {
    return legend_walk(NULL, names, NULL, n, 0, 0, width);
}

void chart_frame_legend(struct buffer *out, const char *const *names, const int *colours, int n, double x, double y,
                        double width) {
    legend_walk(out, names, colours, n, x, y, width);
}
