/* live.h: a training run as it goes: a small view that redraws itself in a terminal, plain lines anywhere else.
 *
 * In a terminal that knows control sequences (log_style()) it is a curve of the loss and two lines of figures, drawn in
 * place; elsewhere a line at the first step, then one in every few seconds, and one at the end. It writes to one
 * descriptor (standard error as a rule) and nowhere else; a write that fails is nobody's business. Nothing is allocated
 * after live_start(), so a training step may call live_step(). One thread. */
#ifndef REPORT_LIVE_H
#define REPORT_LIVE_H

#include <stdbool.h>
#include <stdint.h>

enum live_style {
    LIVE_AUTO,  /* VIEW in a terminal, LINES elsewhere */
    LIVE_VIEW,  /* the curve and the figures */
    LIVE_LINE,  /* one line that is drawn again */
    LIVE_LINES, /* plain lines, one behind the other */
    LIVE_OFF
};

struct live_options {
    const char *title; /* "speedrun" */
    uint64_t total_steps;
    enum live_style style;
    int fd;                 /* 0: standard error */
    double seconds_between; /* of plain lines; 0: 10 */
};

/* What is known after a step. NaN: unknown, and not shown. */
struct live_point {
    uint64_t step; /* from 1 */
    uint64_t tokens;
    double loss;
    double learning_rate;
    double tokens_per_s;
    double peak_fraction; /* of the machine's measured peak, 0 to 1 */
    double joules_per_token;
    bool is_estimated; /* the joules are */
    double seconds_left;
    double eval_bits_per_byte; /* the latest */
};

typedef struct live live; /* opaque; NULL is valid everywhere and does nothing */

/* NULL where nothing is to be shown, or without memory. */
live *live_start(const struct live_options *options);
/* After each step; redraws at most ten times a second. */
void live_step(live *l, const struct live_point *point);
/* Takes the view away before something else writes to the terminal; the next step draws it again. */
void live_clear(live *l);
/* Shows the last point and leaves it on the screen; frees. Takes NULL and clears the caller's pointer. */
void live_finish(live **l);

#endif
