/* progress.c: see progress.h. It draws on standard error, in place, with the rate and the time that is left. */
#include "base/progress.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#define REDRAW_SECONDS 0.1

struct progress {
    const char *title; /* borrowed */
    uint64_t total;    /* 0: unknown */
    enum progress_unit unit;
    double begin, drawn; /* clock_seconds() */
};

progress *progress_start(const char *title, uint64_t total, enum progress_unit unit) {
    if (log_style() == LOG_PLAIN || !isatty(STDERR_FILENO)) return NULL;
    progress *p = ALLOC_NEW(progress);
    if (!p) return NULL; /* a job does not fail for want of its progress line */
    *p = (progress){.title = title, .total = total, .unit = unit, .begin = clock_seconds()};
    return p;
}

/* A count in the unit, short: "93.8 MB", "1234 tokens". */
static void show_count(char out[32], double count, enum progress_unit unit) {
    static const char *const names[] = {[PROGRESS_BYTES] = "B", [PROGRESS_ITEMS] = "", [PROGRESS_TOKENS] = " tokens"};
    static const char *const steps[] = {"", " k", " M", " G", " T"};
    size_t step = 0;
    while (count >= 10000 && step + 1 < sizeof steps / sizeof *steps) {
        count /= 1000;
        step++;
    }
    snprintf(out, 32, step ? "%.1f%s%s" : "%.0f%s%s", count, steps[step], names[unit]);
}

static int terminal_columns(void) {
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

static void put(const char *text, size_t n) {
    const ssize_t put_bytes = write(STDERR_FILENO, text, n);
    (void)put_bytes; /* where the terminal is gone there is nobody to tell */
}

static void draw(const progress *p, uint64_t done, double seconds) {
    static const char bar_full[] = "####################", bar_empty[] = "....................";
    char line[512], count[32], rate[32];
    const double per_second = seconds > 0 ? (double)done / seconds : 0;
    show_count(count, (double)done, p->unit);
    show_count(rate, per_second, p->unit);
    if (p->total > 0) {
        const double part = done < p->total ? (double)done / (double)p->total : 1;
        const int full = (int)(part * (double)(sizeof bar_full - 1));
        const double left = per_second > 0 && done < p->total ? (double)(p->total - done) / per_second : 0;
        const int n = snprintf(line, sizeof line, "%s [%.*s%s] %3.0f%%  %s", p->title, full, bar_full, bar_empty + full,
                               100 * part, count);
        if (done > 0 && n > 0 && (size_t)n < sizeof line)
            snprintf(line + n, sizeof line - (size_t)n, "  %s/s  %.0f s left", rate, left);
    } else {
        snprintf(line, sizeof line, "%s  %s  %s/s", p->title, count, rate);
    }
    char cut[sizeof line + 8];
    const int n = snprintf(cut, sizeof cut, "\r\033[K%.*s", terminal_columns() - 1, line);
    if (n > 0) put(cut, (size_t)n);
}

void progress_update(progress *p, uint64_t done) {
    if (!p) return;
    const double now = clock_seconds();
    if (now - p->drawn < REDRAW_SECONDS) return;
    p->drawn = now;
    draw(p, done, now - p->begin);
}

void progress_finish(progress **p) {
    if (!*p) return;
    put("\r\033[K", 4);
    alloc_free(*p);
    *p = NULL;
}
