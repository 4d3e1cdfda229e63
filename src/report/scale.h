/* scale.h: from values to pixels, and where an axis has its marks.
 *
 * Marks are multiples of 1, 2 or 5 times a power of ten (Tufte's and everybody's choice); a logarithmic axis has
 * decades, and 2 and 5 between them where there is room. Pure. */
#ifndef REPORT_SCALE_H
#define REPORT_SCALE_H

#include <stdbool.h>
#include <stddef.h>

#include "report/units.h"

#define SCALE_MAX_TICKS 24

/* An axis as a chart asks for it. All zero: linear, from the data, without a name. */
struct scale_axis {
    const char *label;    /* "tokens seen"; NULL: none */
    enum units_kind kind; /* how its marks are written */
    const char *unit;     /* NULL: none */
    double min, max;      /* both 0: from the data */
    bool is_log;          /* values that are not above 0 are left out */
    bool has_zero;        /* a range from the data takes 0 in */
};

/* The smallest and largest of what was seen; nothing yet where min > max. */
struct scale_range {
    double min, max;
};

struct scale {
    double min, max; /* the ends of the axis, min < max */
    double from, to; /* their pixels */
    bool is_log;
    double step; /* between marks; 0 on a logarithmic axis */
    double ticks[SCALE_MAX_TICKS];
    int n_ticks;
};

struct scale_range scale_range_empty(void);
/* Takes n values in; what is not finite, and on a logarithmic axis what is not above 0, is passed over. */
void scale_range_add(struct scale_range *r, const struct scale_axis *axis, const double *values, size_t n);
/* The axis from pixel `from` to pixel `to`, with about n_wanted marks; is_rounded: its ends are marks. An empty or
 * single-valued range is widened. */
struct scale scale_make(const struct scale_axis *axis, struct scale_range r, double from, double to, int n_wanted,
                        bool is_rounded);
/* Whether the axis can show value. */
bool scale_can_show(const struct scale *s, double value);
/* The pixel of value, held inside a little more than the axis. */
double scale_at(const struct scale *s, double value);
/* The text of mark i. */
void scale_tick_text(const struct scale *s, const struct scale_axis *axis, int i, char out[UNITS_TEXT_BYTES]);

#endif
