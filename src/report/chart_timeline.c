/* chart_timeline.c: who does what when, a lane each (see chart.h). */
#include <math.h>

#include "report/chart_frame.h"
#include "report/markup.h"

#define MAX_TABLE_ROWS 200
#define MAX_LANE 26.0
#define MIN_LANE 3.0
#define MAX_LANES_HEIGHT 640.0 /* many lanes get thinner */

static double lane_height(const struct chart_timeline *c) {
    return fmax(MIN_LANE, fmin(MAX_LANE, MAX_LANES_HEIGHT / (c->n_lanes > 0 ? c->n_lanes : 1)));
}

static struct scale_range range_of(const struct chart_timeline *c) {
    struct scale_range r = scale_range_empty();
    for (size_t i = 0; i < c->n_spans; i++) {
        scale_range_add(&r, &c->axis, &c->spans[i].start, 1);
        scale_range_add(&r, &c->axis, &c->spans[i].end, 1);
    }
    return r;
}

static void draw_span(struct buffer *out, const struct chart_frame *f, const struct scale *s,
                      const struct chart_span *span, double lane) {
    char class_name[32];
    const double x1 = scale_at(s, span->start), x2 = scale_at(s, span->end);
    const double y = f->top + lane * span->lane, gap = lane > 8 ? 1.5 : 0.5;
    svg_class(class_name, span->colour, "fill span");
    svg_rect(out, class_name, x1, y + gap, fmax(x2 - x1, 0.4), lane - 2 * gap, span->label);
    if (span->label && lane >= 14 && markup_width(span->label, 11) + 6 < x2 - x1)
        svg_text(out, "inside", (x1 + x2) / 2, y + lane / 2 + 4, SVG_MIDDLE, span->label);
}

void chart_timeline_draw(struct buffer *out, const struct chart_timeline *c, double width) {
    int colours[CHART_MAX_SERIES];
    const int n_names = c->n_colour_names < CHART_MAX_SERIES ? c->n_colour_names : CHART_MAX_SERIES;
    double labels = 0;
    const double lane = lane_height(c);
    for (int i = 0; i < n_names; i++) colours[i] = i + 1;
    for (int i = 0; i < c->n_lanes; i++) labels = fmax(labels, markup_width(c->lanes[i], CHART_FRAME_TEXT));
    labels = fmin(labels + 8, width * 0.3);
    const double legend_height = chart_frame_legend_height(c->colour_names, n_names, width);
    struct chart_frame f = {.width = width, .left = labels, .right = width - 10, .top = legend_height + 6};
    f.bottom = f.top + lane * c->n_lanes;
    f.height = f.bottom + (c->axis.label ? 42 : 26);
    const int n_wanted = (int)fmax(2, (f.right - f.left) / 90);
    const struct scale s = scale_make(&c->axis, range_of(c), f.left, f.right, n_wanted, false);
    svg_begin(out, width, f.height, c->title, c->description);
    chart_frame_legend(out, c->colour_names, colours, n_names, 0, 2, width);
    double taken = -INFINITY; /* thin lanes: only as many names as there is room for */
    for (int i = 0; i < c->n_lanes; i++) {
        const double y = f.top + lane * (i + 0.5);
        if (y - taken < CHART_FRAME_TEXT + 1) continue;
        svg_text_cut(out, "label", f.left - 8, y + 4, SVG_END, c->lanes[i], f.left - 8);
        taken = y;
    }
    chart_frame_x_axis(out, &f, &s, &c->axis, true);
    for (size_t i = 0; i < c->n_spans; i++) {
        const struct chart_span *span = &c->spans[i];
        if (span->lane >= 0 && span->lane < c->n_lanes && isfinite(span->start) && isfinite(span->end))
            draw_span(out, &f, &s, span, lane);
    }
    svg_end(out);
}

void chart_timeline_table(struct table *t, const struct chart_timeline *c) {
    table_column(t, "lane", TABLE_LEFT);
    table_column(t, "what", TABLE_LEFT);
    table_column(t, "from", TABLE_RIGHT);
    table_column(t, "to", TABLE_RIGHT);
    for (size_t i = 0; i < c->n_spans && i < MAX_TABLE_ROWS; i++) {
        const struct chart_span *span = &c->spans[i];
        const bool has_name = span->colour > 0 && span->colour <= c->n_colour_names;
        table_cell(t, "%s", span->lane >= 0 && span->lane < c->n_lanes ? c->lanes[span->lane] : "");
        table_cell(t, "%s", span->label ? span->label : has_name ? c->colour_names[span->colour - 1] : "");
        table_cell_number(t, span->start, c->axis.kind, c->axis.unit);
        table_cell_number(t, span->end, c->axis.kind, c->axis.unit);
    }
}
