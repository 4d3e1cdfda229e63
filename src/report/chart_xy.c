/* chart_xy.c: lines, areas and points (see chart.h).
 *
 * A long line is thinned where it is drawn: of all points that fall into one pixel column the first, the lowest, the
 * highest and the last are kept, so that no spike is lost and a million steps make a short path. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/chart_frame.h"
#include "report/markup.h"

#define USUAL_HEIGHT 280
#define NARROW_HEIGHT 240
#define LABEL_ROW 14.0
#define TABLE_ROWS 12
#define MAX_BOXES 128

/* The place of a label, as its left and right end and its base line. */
struct label_box {
    double left, right, y;
};

/* A chart on its way: the scales, and which series stands on which. */
struct drawing {
    struct buffer *out;
    const struct chart_xy *c;
    struct chart_frame f;
    struct scale x, y;
    int n_series;
    bool is_narrow;
    struct label_box boxes[MAX_BOXES]; /* taken by labels of points */
    int n_boxes;
};

static bool is_area(const struct chart_series *s) { return s->mark == CHART_AREA; }
static bool has_line(const struct chart_series *s) { return s->mark != CHART_POINTS; }

/* y of point i of series k, with what it stands on. */
static double height_at(const struct chart_xy *c, int k, size_t i) {
    double sum = c->series[k].y[i];
    if (!c->is_stacked || !is_area(&c->series[k])) return sum;
    for (int j = 0; j < k; j++)
        if (is_area(&c->series[j]) && i < c->series[j].n && isfinite(c->series[j].y[i])) sum += c->series[j].y[i];
    return sum;
}

static struct scale_range range_x(const struct drawing *d) {
    struct scale_range r = scale_range_empty();
    for (int k = 0; k < d->n_series; k++) scale_range_add(&r, &d->c->x, d->c->series[k].x, d->c->series[k].n);
    return r;
}

static struct scale_range range_y(const struct drawing *d) {
    struct scale_range r = scale_range_empty();
    for (int k = 0; k < d->n_series; k++) {
        const struct chart_series *s = &d->c->series[k];
        for (size_t i = 0; i < s->n; i++) {
            const double value = height_at(d->c, k, i);
            scale_range_add(&r, &d->c->y, &value, 1);
        }
        if (s->low) scale_range_add(&r, &d->c->y, s->low, s->n);
        if (s->high) scale_range_add(&r, &d->c->y, s->high, s->n);
        const double zero = 0;
        if (is_area(s)) scale_range_add(&r, &d->c->y, &zero, 1);
    }
    return r;
}

static bool can_show(const struct drawing *d, double x, double y) {
    return scale_can_show(&d->x, x) && scale_can_show(&d->y, y);
}

static void path_point(struct drawing *d, char command, double x, double y) {
    buffer_append_char(d->out, command);
    markup_number(d->out, x);
    buffer_append_char(d->out, ' ');
    markup_number(d->out, y);
}

/* One pixel column of a line that is being thinned. */
struct column {
    double x, first, low, high, last;
    bool is_open, low_is_first;
};

static void column_flush(struct drawing *d, struct column *col, char *command) {
    if (!col->is_open) return;
    path_point(d, *command, col->x, col->first);
    *command = 'L';
    const double a = col->low_is_first ? col->low : col->high, b = col->low_is_first ? col->high : col->low;
    if (a != col->first) path_point(d, 'L', col->x, a);
    if (b != a && b != col->last) path_point(d, 'L', col->x, b);
    if (col->last != col->first || a != col->first || b != a) path_point(d, 'L', col->x, col->last);
    col->is_open = false;
}

static void column_add(struct drawing *d, struct column *col, double x, double y, char *command) {
    if (col->is_open && round(x * 2) != round(col->x * 2)) column_flush(d, col, command);
    if (!col->is_open) {
        *col = (struct column){.x = x, .first = y, .low = y, .high = y, .last = y, .is_open = true};
        return;
    }
    if (y < col->low) {
        col->low = y;
        col->low_is_first = false;
    }
    if (y > col->high) {
        col->high = y;
        col->low_is_first = true;
    }
    col->last = y;
}

static void draw_line(struct drawing *d, int k, const char *what) {
    const struct chart_series *s = &d->c->series[k];
    char class_name[32], command = 'M';
    struct column col = {0};
    double last_y = 0;
    svg_class(class_name, chart_frame_colour(s->colour, k), what);
    buffer_append_format(d->out, "<path class=\"%s\" d=\"", class_name);
    for (size_t i = 0; i < s->n; i++) {
        const double value = height_at(d->c, k, i);
        if (!can_show(d, s->x[i], value)) {
            column_flush(d, &col, &command);
            command = 'M';
            continue;
        }
        const double x = scale_at(&d->x, s->x[i]), y = scale_at(&d->y, value);
        if (s->mark == CHART_STEPS && (command == 'L' || col.is_open)) column_add(d, &col, x, last_y, &command);
        column_add(d, &col, x, y, &command);
        last_y = y;
    }
    column_flush(d, &col, &command);
    buffer_append_text(d->out, "\"/>\n");
}

/* A filled shape between two lines over the same x: upper there, lower back. base NULL: the floor. */
static void draw_fill(struct drawing *d, int k, const double *low, const double *high, const char *what) {
    const struct chart_series *s = &d->c->series[k];
    char class_name[32], command = 'M';
    const size_t every = s->n > 2000 ? s->n / 1000 : 1;
    svg_class(class_name, chart_frame_colour(s->colour, k), what);
    buffer_append_format(d->out, "<path class=\"%s\" d=\"", class_name);
    for (size_t i = 0; i < s->n; i += every) {
        const double top = high ? high[i] : height_at(d->c, k, i);
        if (!can_show(d, s->x[i], top)) continue;
        path_point(d, command, scale_at(&d->x, s->x[i]), scale_at(&d->y, top));
        command = 'L';
    }
    const size_t last = s->n > 0 ? (s->n - 1) / every * every : 0;
    for (size_t i = last + every; command == 'L' && i >= every; i -= every) {
        const double top = high ? high[i - every] : height_at(d->c, k, i - every);
        const double base = low ? low[i - every] : d->c->is_stacked ? top - s->y[i - every] : 0;
        if (!can_show(d, s->x[i - every], top)) continue;
        path_point(d, 'L', scale_at(&d->x, s->x[i - every]),
                   d->y.is_log && base <= 0 ? d->f.bottom : scale_at(&d->y, base));
    }
    buffer_append_text(d->out, command == 'L' ? "Z\"/>\n" : "\"/>\n");
}

static bool is_free(const struct drawing *d, struct label_box b) {
    if (b.right > d->f.width || b.left < d->f.left || b.y > d->f.bottom || b.y < d->f.top) return false;
    for (int i = 0; i < d->n_boxes; i++) {
        const struct label_box *o = &d->boxes[i];
        if (b.left < o->right + 2 && o->left < b.right + 2 && fabs(b.y - o->y) < LABEL_ROW) return false;
    }
    return true;
}

/* A label at the first free place round its point: right, left, above, below; where none is free, right. */
static void draw_point_label(struct drawing *d, const char *class_name, double x, double y, const char *label) {
    const double wide = markup_width(label, CHART_FRAME_TEXT);
    const struct label_box places[] = {{x + 7, x + 7 + wide, y + 4},        {x - 7 - wide, x - 7, y + 4},
                                       {x - wide / 2, x + wide / 2, y - 8}, {x - wide / 2, x + wide / 2, y + 17},
                                       {x + 7, x + 7 + wide, y - 10},       {x - 7 - wide, x - 7, y + 18}};
    const int n = (int)(sizeof places / sizeof *places);
    int i = 0;
    while (i < n && !is_free(d, places[i])) i++;
    const struct label_box chosen = places[i < n ? i : 0];
    if (d->n_boxes < MAX_BOXES) d->boxes[d->n_boxes++] = chosen;
    svg_text(d->out, class_name, (chosen.left + chosen.right) / 2, chosen.y, SVG_MIDDLE, label);
}

static void draw_points(struct drawing *d, int k) {
    const struct chart_series *s = &d->c->series[k];
    char class_name[32], name[32];
    svg_class(class_name, chart_frame_colour(s->colour, k), "point");
    svg_class(name, chart_frame_colour(s->colour, k), "text");
    for (size_t i = 0; i < s->n; i++) {
        if (!can_show(d, s->x[i], s->y[i])) continue;
        const double x = scale_at(&d->x, s->x[i]), y = scale_at(&d->y, s->y[i]);
        const char *label = s->labels ? s->labels[i] : NULL;
        svg_circle(d->out, class_name, x, y, 3.5, label);
        if (label) draw_point_label(d, name, x, y, label);
    }
}

static void draw_series(struct drawing *d, int k) {
    const struct chart_series *s = &d->c->series[k];
    if (s->low && s->high) draw_fill(d, k, s->low, s->high, "band");
    switch (s->mark) {
        case CHART_AREA:
            draw_fill(d, k, NULL, NULL, "area");
            draw_line(d, k, "line");
            break;
        case CHART_PALE_LINE:
            draw_line(d, k, "pale");
            break;
        case CHART_DASHED:
            draw_line(d, k, "dashed");
            break;
        case CHART_POINTS:
            draw_points(d, k);
            break;
        case CHART_LINE_POINTS:
            draw_line(d, k, "line");
            draw_points(d, k);
            break;
        default:
            draw_line(d, k, "line");
    }
}

/* The last place of series k that can be shown; NaN where there is none. */
static double end_of(const struct drawing *d, int k) {
    const struct chart_series *s = &d->c->series[k];
    for (size_t i = s->n; i > 0; i--) {
        const double value = height_at(d->c, k, i - 1);
        if (can_show(d, s->x[i - 1], value)) return scale_at(&d->y, value);
    }
    return NAN;
}

static bool wants_name(const struct drawing *d, int k) { return d->n_series > 1 && d->c->series[k].name != NULL; }

/* Names at the ends of their lines, pushed apart where they would lie on each other. */
static void draw_end_names(struct drawing *d) {
    int order[CHART_MAX_SERIES], n = 0;
    double at[CHART_MAX_SERIES];
    for (int k = 0; k < d->n_series; k++) {
        const double y = end_of(d, k);
        if (!wants_name(d, k) || isnan(y)) continue;
        int i = n++;
        for (; i > 0 && at[i - 1] > y; i--) {
            at[i] = at[i - 1];
            order[i] = order[i - 1];
        }
        at[i] = y;
        order[i] = k;
    }
    for (int i = 1; i < n; i++) at[i] = fmax(at[i], at[i - 1] + LABEL_ROW);
    if (n > 0) at[n - 1] = fmin(at[n - 1], d->f.bottom);
    for (int i = n - 1; i > 0; i--) at[i - 1] = fmin(at[i - 1], at[i] - LABEL_ROW);
    for (int i = 0; i < n; i++) {
        char class_name[32];
        const struct chart_series *s = &d->c->series[order[i]];
        svg_class(class_name, chart_frame_colour(s->colour, order[i]), "text");
        svg_text_cut(d->out, class_name, d->f.right + 8, at[i] + 4, SVG_START, s->name, d->f.width - d->f.right);
    }
}

/* Fills names and colours of what a legend shows; returns how many. */
static int legend_entries(const struct drawing *d, const char **names, int *colours) {
    int n = 0;
    for (int k = 0; k < d->n_series; k++) {
        if (!wants_name(d, k) || d->c->series[k].mark == CHART_PALE_LINE) continue; /* a shade of another's colour */
        names[n] = d->c->series[k].name;
        colours[n++] = chart_frame_colour(d->c->series[k].colour, k);
    }
    return n;
}

/* Names stand at the ends of lines where there is width for them; points and phones get a legend. */
static bool has_end_names(const struct drawing *d) {
    for (int k = 0; k < d->n_series; k++)
        if (!has_line(&d->c->series[k])) return false;
    return !d->is_narrow && d->n_series > 1;
}

static double end_names_width(const struct drawing *d) {
    double widest = 0;
    for (int k = 0; k < d->n_series; k++)
        if (wants_name(d, k)) widest = fmax(widest, markup_width(d->c->series[k].name, CHART_FRAME_TEXT));
    return widest > 0 ? fmin(widest + 12, d->f.width * 0.3) : 0;
}

static void lay_out(struct drawing *d, double legend_height) {
    struct chart_frame *f = &d->f;
    f->top = 14 + legend_height + (d->c->y.label ? 20 : 0);
    f->bottom = f->height - (d->c->x.label ? 42 : 26);
    f->right = f->width - (has_end_names(d) ? end_names_width(d) : 10);
    const int n_wanted = (int)fmax(2, (f->bottom - f->top) / 48);
    d->y = scale_make(&d->c->y, range_y(d), f->bottom, f->top, n_wanted, true);
    f->left = fmax(28, chart_frame_tick_width(&d->y, &d->c->y) + 10);
    d->x = scale_make(&d->c->x, range_x(d), f->left, f->right, (int)fmax(2, (f->right - f->left) / 70), false);
}

void chart_xy_draw(struct buffer *out, const struct chart_xy *c, double width) {
    const char *names[CHART_MAX_SERIES];
    int colours[CHART_MAX_SERIES];
    struct drawing d = {.out = out, .c = c, .is_narrow = width < CHART_FRAME_NARROW};
    d.n_series = c->n_series < CHART_MAX_SERIES ? c->n_series : CHART_MAX_SERIES;
    d.f.width = width;
    const int n_entries = has_end_names(&d) ? 0 : legend_entries(&d, names, colours);
    const double legend_height = chart_frame_legend_height(names, n_entries, width);
    d.f.height = (c->height > 0 ? c->height : d.is_narrow ? NARROW_HEIGHT : USUAL_HEIGHT) + legend_height;
    lay_out(&d, legend_height);
    svg_begin(out, width, d.f.height, c->title, c->description);
    chart_frame_legend(out, names, colours, n_entries, 0, 2, width);
    chart_frame_y_axis(out, &d.f, &d.y, &c->y);
    chart_frame_x_axis(out, &d.f, &d.x, &c->x, c->x.is_log && c->y.is_log);
    for (int k = d.n_series; c->is_stacked && k > 0; k--) draw_series(&d, k - 1);
    for (int k = 0; !c->is_stacked && k < d.n_series; k++) draw_series(&d, k);
    if (has_end_names(&d)) draw_end_names(&d);
    svg_end(out);
}

/* A series of points is told whole; of a long line evenly spaced points, the first and the last among them. */
void chart_xy_table(struct table *t, const struct chart_xy *c) {
    const bool has_labels = c->n_series > 0 && c->series[0].labels;
    if (c->n_series > 1) table_column(t, "series", TABLE_LEFT);
    if (has_labels) table_column(t, "point", TABLE_LEFT);
    table_column(t, c->x.label ? c->x.label : "x", TABLE_RIGHT);
    table_column(t, c->y.label ? c->y.label : "y", TABLE_RIGHT);
    for (int k = 0; k < c->n_series && k < CHART_MAX_SERIES; k++) {
        const struct chart_series *s = &c->series[k];
        const size_t rows = s->n <= TABLE_ROWS || !has_line(s) ? s->n : TABLE_ROWS;
        for (size_t r = 0; r < rows; r++) {
            const size_t i = rows == s->n ? r : (size_t)((double)r / (double)(rows - 1) * (double)(s->n - 1));
            if (c->n_series > 1) table_cell(t, "%s", s->name ? s->name : "");
            if (has_labels) table_cell(t, "%s", s->labels && s->labels[i] ? s->labels[i] : "");
            table_cell_number(t, s->x[i], c->x.kind, c->x.unit);
            table_cell_number(t, s->y[i], c->y.kind, c->y.unit);
        }
    }
}
