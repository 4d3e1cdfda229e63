/* chart_bars.c: bars, side by side or stacked, upright or lying (see chart.h). */
#include <math.h>
#include <stdio.h>

#include "report/chart_frame.h"
#include "report/markup.h"

#define USUAL_HEIGHT 280
#define BAR_ROW 22.0  /* a lying bar */
#define ROW_GAP 12.0  /* between categories */
#define NAME_ROW 18.0 /* on a phone a category's name stands above its bars */

struct drawing {
    struct buffer *out;
    const struct chart_bars *c;
    struct chart_frame f;
    struct scale s;
    int n_series;
    bool is_narrow;
    double legend_height;
};

/* Bars of one category that stand beside each other. */
static int n_beside(const struct drawing *d) { return d->c->is_stacked ? 1 : d->n_series; }

/* Where the part of series k begins and ends. Stacked parts grow away from 0 on both sides. */
static void part_ends(const struct drawing *d, int k, size_t category, double *ret_from, double *ret_to) {
    const double value = d->c->series[k].values[category];
    double base = 0;
    for (int j = 0; d->c->is_stacked && j < k; j++) {
        const double below = d->c->series[j].values[category];
        if (isfinite(below) && (below < 0) == (value < 0)) base += below;
    }
    *ret_from = base;
    *ret_to = base + (isfinite(value) ? value : 0);
}

static struct scale_range range_of(const struct drawing *d) {
    struct scale_range r = {0, 0};
    for (int k = 0; k < d->n_series; k++)
        for (size_t i = 0; i < d->c->n_categories; i++) {
            double ends[2];
            part_ends(d, k, i, &ends[0], &ends[1]);
            scale_range_add(&r, &d->c->axis, ends, 2);
        }
    if (d->c->limit != 0) scale_range_add(&r, &d->c->axis, &d->c->limit, 1);
    return r;
}

/* The value that stands behind a bar: its own, or of a stack the sum of its parts. */
static double shown_value(const struct drawing *d, int k, size_t category) {
    if (!d->c->is_stacked) return d->c->series[k].values[category];
    double sum = 0;
    for (int j = 0; j < d->n_series; j++)
        if (isfinite(d->c->series[j].values[category])) sum += d->c->series[j].values[category];
    return sum;
}

static void value_text(const struct drawing *d, double value, char out[UNITS_TEXT_BYTES]) {
    units_text(out, value, d->c->axis.kind, d->c->axis.unit);
}

static void tooltip_text(const struct drawing *d, int k, size_t category, char out[160]) {
    char value[UNITS_TEXT_BYTES];
    value_text(d, d->c->series[k].values[category], value);
    snprintf(out, 160, "%.60s%s%.40s: %s", d->c->categories[category], d->n_series > 1 ? ", " : "",
             d->n_series > 1 ? d->c->series[k].name : "", value);
}

static void draw_upright(struct drawing *d, size_t category) {
    const double slot = (d->f.right - d->f.left) / (double)d->c->n_categories;
    const double each = fmin(slot * 0.72 / n_beside(d), 64), group = each * n_beside(d);
    const double middle = d->f.left + slot * ((double)category + 0.5);
    for (int k = 0; k < d->n_series; k++) {
        char class_name[32], tooltip[160], value[UNITS_TEXT_BYTES];
        double from, to;
        part_ends(d, k, category, &from, &to);
        const double x = middle - group / 2 + (d->c->is_stacked ? 0 : each * k);
        const double y = scale_at(&d->s, to);
        tooltip_text(d, k, category, tooltip);
        svg_class(class_name, chart_frame_colour(d->c->series[k].colour, k), "fill");
        if (isfinite(d->c->series[k].values[category]) && from != to)
            svg_rect(d->out, class_name, x, scale_at(&d->s, from), each - (n_beside(d) > 1 ? 2 : 0),
                     y - scale_at(&d->s, from), tooltip);
        if (d->c->is_stacked && k + 1 < d->n_series) continue;
        value_text(d, shown_value(d, k, category), value);
        if (markup_width(value, CHART_FRAME_TEXT) < (n_beside(d) > 1 ? each + 4 : slot))
            svg_text(d->out, "value", x + each / 2, (to < 0 ? y + 14 : y - 5), SVG_MIDDLE, value);
    }
    svg_text_cut(d->out, "tick", middle, d->f.bottom + 17, SVG_MIDDLE, d->c->categories[category], slot + 6);
}

static double lying_row(const struct drawing *d) {
    return BAR_ROW * n_beside(d) + ROW_GAP + (d->is_narrow ? NAME_ROW : 0);
}

static void draw_lying(struct drawing *d, size_t category) {
    const double row = lying_row(d);
    double y = d->f.top + row * (double)category + ROW_GAP / 2;
    if (d->is_narrow) {
        svg_text_cut(d->out, "label", 0, y + 12, SVG_START, d->c->categories[category], d->f.width);
        y += NAME_ROW;
    } else {
        svg_text_cut(d->out, "label", d->f.left - 8, y + BAR_ROW * n_beside(d) / 2 + 4, SVG_END,
                     d->c->categories[category], d->f.left - 8);
    }
    for (int k = 0; k < d->n_series; k++) {
        char class_name[32], tooltip[160], value[UNITS_TEXT_BYTES];
        double from, to;
        part_ends(d, k, category, &from, &to);
        const double top = y + (d->c->is_stacked ? 0 : BAR_ROW * k), x = scale_at(&d->s, to);
        tooltip_text(d, k, category, tooltip);
        svg_class(class_name, chart_frame_colour(d->c->series[k].colour, k), "fill");
        if (from != to)
            svg_rect(d->out, class_name, scale_at(&d->s, from), top + 1, x - scale_at(&d->s, from), BAR_ROW - 3,
                     tooltip);
        if (d->c->is_stacked && k + 1 < d->n_series) continue;
        value_text(d, shown_value(d, k, category), value);
        svg_text(d->out, "value", to < 0 ? x - 6 : x + 6, top + BAR_ROW / 2 + 3.5, to < 0 ? SVG_END : SVG_START, value);
    }
}

static double widest_category(const struct chart_bars *c) {
    double widest = 0;
    for (size_t i = 0; i < c->n_categories; i++)
        widest = fmax(widest, markup_width(c->categories[i], CHART_FRAME_TEXT));
    return widest;
}

static void draw_limit(struct drawing *d) {
    if (d->c->limit == 0) return;
    const double at = scale_at(&d->s, d->c->limit);
    const char *label = d->c->limit_label ? d->c->limit_label : "limit";
    if (d->c->is_horizontal) {
        const bool is_left = at + markup_width(label, CHART_FRAME_TEXT) / 2 > d->f.width;
        svg_line(d->out, "limit", at, d->f.top - 4, at, d->f.bottom);
        svg_text(d->out, "limit-label", is_left ? d->f.width : at, d->f.top - 9, is_left ? SVG_END : SVG_MIDDLE, label);
    } else {
        svg_line(d->out, "limit", d->f.left, at, d->f.right, at);
        svg_text(d->out, "limit-label", d->f.right, at - 5, SVG_END, label);
    }
}

/* Lying bars say their values themselves: they need no axis but the line at 0. */
static void draw_horizontal(struct drawing *d) {
    const double labels = d->is_narrow ? 0 : fmin(widest_category(d->c) + 8, d->f.width * 0.4);
    const double room = 64; /* behind the longest bar, for its value */
    d->f.top = d->legend_height + (d->c->limit != 0 ? 24 : 4);
    d->f.bottom = d->f.top + lying_row(d) * (double)d->c->n_categories;
    d->f.height = d->f.bottom + 8;
    d->f.left = labels;
    d->f.right = d->f.width - room;
    struct scale_range r = range_of(d);
    if (r.min < 0) d->f.left += room;
    d->s = scale_make(&d->c->axis, r, d->f.left, d->f.right, 5, false);
    svg_begin(d->out, d->f.width, d->f.height, d->c->title, d->c->description);
    for (size_t i = 0; i < d->c->n_categories; i++) draw_lying(d, i);
    const double zero = scale_at(&d->s, 0);
    svg_line(d->out, "axis", zero, d->f.top, zero, d->f.bottom);
}

static void draw_vertical(struct drawing *d) {
    d->f.height = (d->c->height > 0 ? d->c->height : USUAL_HEIGHT) + d->legend_height;
    d->f.top = 18 + d->legend_height + (d->c->axis.label ? 18 : 0);
    d->f.bottom = d->f.height - 26;
    d->f.right = d->f.width;
    d->s = scale_make(&d->c->axis, range_of(d), d->f.bottom, d->f.top, 4, true);
    d->f.left = chart_frame_tick_width(&d->s, &d->c->axis) + 10;
    svg_begin(d->out, d->f.width, d->f.height, d->c->title, d->c->description);
    chart_frame_y_axis(d->out, &d->f, &d->s, &d->c->axis);
    for (size_t i = 0; i < d->c->n_categories; i++) draw_upright(d, i);
    const double zero = scale_at(&d->s, 0);
    svg_line(d->out, "axis", d->f.left, zero, d->f.right, zero);
}

void chart_bars_draw(struct buffer *out, const struct chart_bars *c, double width) {
    const char *names[CHART_MAX_SERIES];
    int colours[CHART_MAX_SERIES], n = 0;
    struct drawing d = {.out = out, .c = c, .is_narrow = width < CHART_FRAME_NARROW};
    d.n_series = c->n_series < CHART_MAX_SERIES ? c->n_series : CHART_MAX_SERIES;
    d.f.width = width;
    for (int k = 0; d.n_series > 1 && k < d.n_series; k++) {
        names[n] = c->series[k].name ? c->series[k].name : "";
        colours[n++] = chart_frame_colour(c->series[k].colour, k);
    }
    d.legend_height = chart_frame_legend_height(names, n, width);
    if (c->is_horizontal) draw_horizontal(&d);
    else draw_vertical(&d);
    chart_frame_legend(out, names, colours, n, 0, 2, width);
    draw_limit(&d);
    svg_end(out);
}

void chart_bars_table(struct table *t, const struct chart_bars *c) {
    table_column(t, "", TABLE_LEFT);
    for (int k = 0; k < c->n_series && k < CHART_MAX_SERIES; k++)
        table_column(t, c->series[k].name ? c->series[k].name : c->axis.label, TABLE_RIGHT);
    for (size_t i = 0; i < c->n_categories; i++) {
        table_cell(t, "%s", c->categories[i]);
        for (int k = 0; k < c->n_series && k < CHART_MAX_SERIES; k++)
            table_cell_number(t, c->series[k].values[i], c->axis.kind, c->axis.unit);
    }
}
