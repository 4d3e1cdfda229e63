/* live.c: see live.h.
 *
 * The curve keeps at most HISTORY means of equal numbers of steps: when they are full, neighbours are merged and each
 * stands for twice as many, so a run of any length has its whole curve in the same memory. */
#include "report/live.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "report/spark.h"
#include "report/units.h"

#define HISTORY 1024
#define ROWS 6
#define MAX_COLUMNS 160
#define MIN_COLUMNS 40
#define AXIS_COLUMNS 8 /* "  9.81 ┤" */
#define SCREEN_BYTES 8192
#define REDRAW_SECONDS 0.1
#define LINES_SECONDS 10.0
#define BAR 20
#define TITLE_BYTES 128

struct live {
    char title[TITLE_BYTES];
    uint64_t total_steps;
    enum live_style style; /* VIEW, LINE or LINES */
    int fd;
    double seconds_between, shown_at; /* clock_seconds(); 0: never */
    struct live_point point;          /* the latest */
    bool has_point, is_shown;         /* shown: the latest point is on the screen */
    int n_drawn;                      /* lines of the view on the screen */
    float history[HISTORY];           /* means of `each` losses */
    size_t n_history;
    uint64_t each, n_in_mean;
    double sum;
    char curve[ROWS][MAX_COLUMNS * SPARK_LETTER_BYTES + 1];
    char screen[SCREEN_BYTES];
    size_t n_screen;
};

static enum live_style chosen_style(const struct live_options *o, int fd) {
    if (o->style != LIVE_AUTO) return o->style;
    return isatty(fd) && log_style() != LOG_PLAIN ? LIVE_VIEW : LIVE_LINES;
}

live *live_start(const struct live_options *options) {
    const int fd = options->fd > 0 ? options->fd : STDERR_FILENO;
    const enum live_style style = chosen_style(options, fd);
    if (style == LIVE_OFF) return NULL;
    live *l = ALLOC_NEW(live);
    if (!l) return NULL; /* a run does not fail for want of its view */
    error_escape_line(l->title, sizeof l->title, options->title ? options->title : "training");
    l->total_steps = options->total_steps;
    l->style = style;
    l->fd = fd;
    l->seconds_between = options->seconds_between > 0 ? options->seconds_between : LINES_SECONDS;
    l->each = 1;
    return l;
}

static void remember(live *l, double loss) {
    l->sum += loss;
    if (++l->n_in_mean < l->each) return;
    if (l->n_history == HISTORY) {
        for (size_t i = 0; i < HISTORY / 2; i++) l->history[i] = (l->history[2 * i] + l->history[2 * i + 1]) / 2;
        l->n_history = HISTORY / 2;
        l->each *= 2;
        return; /* this mean is the first half of the next */
    }
    l->history[l->n_history++] = (float)(l->sum / (double)l->n_in_mean);
    l->sum = 0;
    l->n_in_mean = 0;
}

__attribute__((format(printf, 2, 3))) static void put(live *l, const char *format, ...) {
    va_list list;
    va_start(list, format);
    const int n = vsnprintf(l->screen + l->n_screen, SCREEN_BYTES - l->n_screen, format, list);
    va_end(list);
    if (n > 0) l->n_screen += (size_t)n < SCREEN_BYTES - l->n_screen ? (size_t)n : SCREEN_BYTES - l->n_screen - 1;
}

static void flush(live *l) {
    for (size_t done = 0; done < l->n_screen;) {
        const ssize_t n = write(l->fd, l->screen + done, l->n_screen - done);
        if (n <= 0) break; /* where the terminal is gone there is nobody to tell */
        done += (size_t)n;
    }
    l->n_screen = 0;
}

static int columns_of(const live *l) {
    struct winsize size;
    const int n = ioctl(l->fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
    return n < MIN_COLUMNS ? MIN_COLUMNS : n;
}

/* Appends "  text" to line, where it still fits into the columns. */
static void add_part(char *line, size_t n_bytes, int columns, const char *text) {
    const size_t n = strlen(line);
    size_t letters = n > 0 ? 2 : 0;
    for (const char *p = line; *p; p++) letters += ((unsigned char)*p & 0xc0) != 0x80;
    for (const char *p = text; *p; p++) letters += ((unsigned char)*p & 0xc0) != 0x80;
    if (*text && letters < (size_t)columns) snprintf(line + n, n_bytes - n, "%s%s", n > 0 ? "  " : "", text);
}

static void add_number(char *line, size_t n_bytes, int columns, double value, enum units_kind kind,
                       const char *format) {
    char number[UNITS_TEXT_BYTES], text[96];
    if (isnan(value)) return;
    units_text(number, value, kind, kind == UNITS_SI ? "J" : NULL);
    snprintf(text, sizeof text, format, number);
    add_part(line, n_bytes, columns, text);
}

/* The figures of the latest point, most important first; what does not fit is left out. */
static void figures(const live *l, char *line, size_t n_bytes, int columns) {
    const struct live_point *p = &l->point;
    char text[96];
    if (!isnan(p->loss)) {
        snprintf(text, sizeof text, "loss %.4f", p->loss);
        add_part(line, n_bytes, columns, text);
    }
    add_number(line, n_bytes, columns, p->seconds_left, UNITS_SECONDS, "%s left");
    add_number(line, n_bytes, columns, p->tokens_per_s, UNITS_PLAIN, "%s tok/s");
    add_number(line, n_bytes, columns, p->peak_fraction, UNITS_FRACTION, "%s of peak");
    add_number(line, n_bytes, columns, p->joules_per_token, UNITS_SI, p->is_estimated ? "%s/tok (est.)" : "%s/tok");
    add_number(line, n_bytes, columns, p->eval_bits_per_byte, UNITS_PLAIN, "held out %s bits/byte");
    add_number(line, n_bytes, columns, p->learning_rate, UNITS_PLAIN, "lr %s");
    add_number(line, n_bytes, columns, (double)p->tokens, UNITS_PLAIN, "%s tokens");
}

/* "speedrun  step 120 of 4000  3 %". */
static void heading(const live *l, char *line, size_t n_bytes, int columns) {
    char text[96];
    add_part(line, n_bytes, columns, l->title);
    if (l->total_steps == 0) snprintf(text, sizeof text, "step %llu", (unsigned long long)l->point.step);
    else
        snprintf(text, sizeof text, "step %llu of %llu  %.0f %%", (unsigned long long)l->point.step,
                 (unsigned long long)l->total_steps, 100.0 * (double)l->point.step / (double)l->total_steps);
    add_part(line, n_bytes, columns, text);
}

static void bar(const live *l, char *line, size_t n_bytes, int columns) {
    static const char full[] = "####################", empty[] = "....................";
    char text[32];
    if (l->total_steps == 0) return;
    const double part = fmin(1, (double)l->point.step / (double)l->total_steps);
    const int n = (int)(part * BAR);
    snprintf(text, sizeof text, "[%.*s%s]", n, full, empty + n);
    add_part(line, n_bytes, columns, text);
}

static void erase(live *l) {
    if (l->style == LIVE_LINE && l->n_drawn > 0) put(l, "\r\033[K");
    else if (l->n_drawn > 0) put(l, "\r\033[%dA\033[J", l->n_drawn);
    l->n_drawn = 0;
}

static void draw_curve(live *l, int columns) {
    char *lines[ROWS];
    double low = INFINITY, high = -INFINITY;
    int wide = columns - AXIS_COLUMNS - 1;
    if (wide > MAX_COLUMNS) wide = MAX_COLUMNS;
    for (size_t i = 0; i < l->n_history; i++)
        if (isfinite(l->history[i])) {
            low = fmin(low, (double)l->history[i]);
            high = fmax(high, (double)l->history[i]);
        }
    if (low > high) return;
    for (int r = 0; r < ROWS; r++) lines[r] = l->curve[r];
    spark_draw(lines, ROWS, wide, l->history, l->n_history, low, high);
    for (int r = 0; r < ROWS; r++) {
        if (r == 0) put(l, "%6.3g ┤%s\n", high, lines[r]);
        else if (r == ROWS - 1) put(l, "%6.3g ┤%s\n", low, lines[r]);
        else put(l, "       │%s\n", lines[r]);
    }
    l->n_drawn += ROWS;
}

static void draw_view(live *l) {
    const int columns = columns_of(l);
    char first[512] = "", second[512] = "";
    erase(l);
    draw_curve(l, columns);
    heading(l, first, sizeof first, columns);
    bar(l, first, sizeof first, columns);
    figures(l, second, sizeof second, columns);
    put(l, "%s\n%s\n", first, second);
    l->n_drawn += 2;
    flush(l);
}

static void draw_line(live *l) {
    const int columns = l->style == LIVE_LINES ? 160 : columns_of(l);
    char line[512] = "";
    erase(l);
    heading(l, line, sizeof line, columns);
    figures(l, line, sizeof line, columns);
    put(l, "%s%s", line, l->style == LIVE_LINES ? "\n" : "");
    l->n_drawn = l->style == LIVE_LINES ? 0 : 1;
    flush(l);
}

static void show(live *l, double now) {
    if (l->style == LIVE_VIEW) draw_view(l);
    else draw_line(l);
    l->shown_at = now;
    l->is_shown = true;
}

void live_step(live *l, const struct live_point *point) {
    if (!l) return;
    remember(l, point->loss);
    l->point = *point;
    l->is_shown = false;
    const double now = clock_seconds();
    const double between = l->style == LIVE_LINES ? l->seconds_between : REDRAW_SECONDS;
    if (!l->has_point || now - l->shown_at >= between) show(l, now);
    l->has_point = true;
}

void live_clear(live *l) {
    if (!l || l->style == LIVE_LINES) return;
    erase(l);
    flush(l);
    l->is_shown = false;
}

void live_finish(live **l) {
    if (!*l) return;
    if ((*l)->has_point && !(*l)->is_shown) show(*l, clock_seconds());
    if ((*l)->style == LIVE_LINE && (*l)->n_drawn > 0) {
        put(*l, "\n");
        flush(*l);
    }
    alloc_free(*l);
    *l = NULL;
}
