/* chart.h: charts as SVG, for the pages of page.h.
 *
 * A chart is a struct that the caller fills; everything in it is borrowed and only read. A drawing function appends one
 * <svg> of `width` pixels of its own coordinates to out, which remembers a failure (base/buffer.h); page.h draws each
 * chart twice, wide and narrow, and lets the style sheet choose. A _table function fills in the numbers behind it, for
 * readers who do not see pictures. Nothing is allocated but the output, there is no state, and equal input gives equal
 * bytes.
 *
 * Manners: few grid lines, labels beside what they name, marks at 1-2-5. A value that is not finite leaves a gap.
 * Colours are 1 to 8 (then they begin again); 0 takes the next one. */
#ifndef REPORT_CHART_H
#define REPORT_CHART_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "report/scale.h"
#include "report/table.h"

#define CHART_MAX_SERIES 16

enum chart_mark {
    CHART_LINE,
    CHART_PALE_LINE, /* what is behind: every step under a smoothed line */
    CHART_DASHED,    /* a bound, a plan, a reference */
    CHART_STEPS,     /* holds its value until the next point */
    CHART_AREA,      /* filled down to 0; with is_stacked on top of those before it */
    CHART_POINTS,
    CHART_LINE_POINTS
};

struct chart_series {
    const char *name;
    const double *x, *y;       /* [n]; for lines x does not fall */
    const double *low, *high;  /* [n], or NULL: a band around a line */
    const char *const *labels; /* [n], or NULL: a label beside each point */
    size_t n;
    enum chart_mark mark;
    int colour;
};

/* Lines, areas and points: learning curves, rooflines and scaling curves (both axes logarithmic), power over the day.
 */
struct chart_xy {
    const char *title, *description;
    struct scale_axis x, y;
    const struct chart_series *series;
    int n_series;    /* at most CHART_MAX_SERIES are drawn */
    bool is_stacked; /* areas; all have the same x */
    double height;   /* 0: usual */
};

struct chart_bar_series {
    const char *name;
    const double *values; /* [n_categories] */
    int colour;
};

struct chart_bars {
    const char *title, *description;
    const char *const *categories;
    size_t n_categories;
    const struct chart_bar_series *series;
    int n_series;
    bool is_stacked, is_horizontal;
    struct scale_axis axis; /* of the values; 0 is always taken in */
    double limit;           /* a line across, such as 80 GiB; 0: none */
    const char *limit_label;
    double height; /* of upright bars; 0: usual */
};

struct chart_span {
    int lane; /* from 0 */
    double start, end;
    int colour;        /* from 1 */
    const char *label; /* inside where there is room, and as a tooltip; or NULL */
};

/* Who does what when: stages of a pipeline, phases of a run. */
struct chart_timeline {
    const char *title, *description;
    const char *const *lanes;
    int n_lanes;
    const struct chart_span *spans;
    size_t n_spans;
    const char *const *colour_names; /* [n_colour_names]: what colour 1, 2, ... means */
    int n_colour_names;
    struct scale_axis axis;
};

struct chart_step {
    const char *label;
    double value;  /* added to the sum so far; of a total: ignored */
    bool is_total; /* a bar from 0 to the sum so far */
};

/* From a first number to a last one, step by step. */
struct chart_waterfall {
    const char *title, *description;
    const struct chart_step *steps;
    size_t n_steps;
    struct scale_axis axis;
};

/* A matrix of numbers, darker for more, with the numbers in it. */
struct chart_heat {
    const char *title, *description;
    const char *const *rows, *const *columns;
    size_t n_rows, n_columns;
    const double *values;               /* [n_rows][n_columns]; NaN: empty */
    const char *row_name, *column_name; /* or NULL */
    enum units_kind kind;
    const char *unit;
};

void chart_xy_draw(struct buffer *out, const struct chart_xy *c, double width);
void chart_xy_table(struct table *t, const struct chart_xy *c);
void chart_bars_draw(struct buffer *out, const struct chart_bars *c, double width);
void chart_bars_table(struct table *t, const struct chart_bars *c);
void chart_timeline_draw(struct buffer *out, const struct chart_timeline *c, double width);
void chart_timeline_table(struct table *t, const struct chart_timeline *c);
void chart_waterfall_draw(struct buffer *out, const struct chart_waterfall *c, double width);
void chart_waterfall_table(struct table *t, const struct chart_waterfall *c);
void chart_heat_draw(struct buffer *out, const struct chart_heat *c, double width);
void chart_heat_table(struct table *t, const struct chart_heat *c);

#endif
