/* chart_frame.h: what charts share: their room, axes, grid and legend; private to src/report. */
#ifndef REPORT_CHART_FRAME_H
#define REPORT_CHART_FRAME_H

#include <stdbool.h>

#include "base/buffer.h"
#include "report/chart.h"
#include "report/svg.h"

#define CHART_FRAME_TEXT 12.0  /* pixels a label is high, as in the style sheet */
#define CHART_FRAME_NARROW 480 /* below this width a chart is for a phone */

/* The room of the marks inside an SVG. */
struct chart_frame {
    double width, height;
    double left, right, top, bottom; /* pixels: left < right, top < bottom */
};

/* The colour of series i where it asked for `asked` (0: the next). */
int chart_frame_colour(int asked, int i);
/* The width of the widest mark of the axis. */
double chart_frame_tick_width(const struct scale *s, const struct scale_axis *axis);
/* Grid lines and marks of the value axis at the left; its name above it. */
void chart_frame_y_axis(struct buffer *out, const struct chart_frame *f, const struct scale *s,
                        const struct scale_axis *axis);
/* The base line, marks below it, and the axis's name below them at the right; is_grid: lines upwards too. */
void chart_frame_x_axis(struct buffer *out, const struct chart_frame *f, const struct scale *s,
                        const struct scale_axis *axis, bool is_grid);
/* The heights of the rows that a legend of these names needs in `width`; 0 for none. */
double chart_frame_legend_height(const char *const *names, int n, double width);
/* The legend from (x, y) on: a square of its colour and the name, in rows. */
void chart_frame_legend(struct buffer *out, const char *const *names, const int *colours, int n, double x, double y,
                        double width);

#endif
