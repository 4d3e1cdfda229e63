/* scale.c: see scale.h. */
#include "report/scale.h"

#include <math.h>

struct scale_range scale_range_empty(void) {
    return (struct scale_range){INFINITY, -INFINITY};
}

void scale_range_add(struct scale_range *r, const struct scale_axis *axis, const double *values, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i]) || (axis->is_log && values[i] <= 0)) continue;
        r->min = fmin(r->min, values[i]);
        r->max = fmax(r->max, values[i]);
    }
}

static double nice_step(double span, int n_wanted, const struct scale_axis *axis, double factor) {
    const double rough = span / (n_wanted > 0 ? n_wanted : 1);
    /* a day and an hour have divisors of their own */
    static const double hours[] = {1, 2, 3, 6, 12, 24}, minutes[] = {1, 2, 5, 10, 15, 30, 60};
    for (size_t i = 0; axis->kind == UNITS_SECONDS && factor == 3600 && rough >= 0.5 && i < 6; i++)
        if (rough <= hours[i] * 1.0001) return hours[i];
    for (size_t i = 0; axis->kind == UNITS_SECONDS && (factor == 60 || factor == 1) && rough >= 0.5 && i < 7; i++)
        if (rough <= minutes[i] * 1.0001) return minutes[i];
    const double power = pow(10, floor(log10(rough)));
    const double part = rough / power;
    return power * (part <= 1.0001 ? 1 : part <= 2.0001 ? 2 : part <= 5.0001 ? 5 : 10);
}

static void add_tick(struct scale *s, double value) {
    if (s->n_ticks < SCALE_MAX_TICKS) s->ticks[s->n_ticks++] = value;
}

/* Steps are nice in the unit that the marks are written in: hours, GiB. */
static void linear_ticks(struct scale *s, const struct scale_axis *axis, int n_wanted, bool is_rounded) {
    const double factor = units_factor(fmax(fabs(s->min), fabs(s->max)), axis->kind);
    s->step = nice_step((s->max - s->min) / factor, n_wanted, axis, factor) * factor;
    if (is_rounded) {
        s->min = floor(s->min / s->step + 1e-6) * s->step;
        s->max = ceil(s->max / s->step - 1e-6) * s->step;
    }
    const double first = ceil(s->min / s->step - 1e-6), last = floor(s->max / s->step + 1e-6);
    for (double k = first; k <= last && s->n_ticks < SCALE_MAX_TICKS; k++) add_tick(s, k * s->step);
}

/* The largest 1, 2 or 5 times a power of ten that is at most value, or the smallest that is at least value. */
static double nice_near(double value, bool is_up) {
    static const double steps[] = {1, 2, 5, 10};
    const double power = pow(10, floor(log10(value) + 1e-9));
    const double part = value / power;
    for (int i = 0; i < 4; i++) {
        if (is_up && steps[i] >= part * (1 - 1e-9)) return steps[i] * power;
        if (!is_up && (i == 3 || steps[i + 1] > part * (1 + 1e-9))) return steps[i] * power;
    }
    return value;
}

static void log_ticks(struct scale *s, int n_wanted, bool is_rounded) {
    if (is_rounded) {
        s->min = nice_near(s->min, false);
        s->max = nice_near(s->max, true);
    }
    const double decades = log10(s->max / s->min);
    const int first = (int)floor(log10(s->min) + 1e-9), last = (int)ceil(log10(s->max) - 1e-9);
    const int every = decades <= n_wanted ? 1 : (int)ceil(decades / n_wanted);
    const bool has_between = decades * 3 <= n_wanted + 1.5;
    for (int e = first; e <= last; e++) {
        static const double between[] = {1, 2, 5};
        for (int i = 0; i < (has_between ? 3 : 1); i++) {
            const double value = between[i] * pow(10, e);
            if (e % every != 0 || value < s->min * (1 - 1e-9) || value > s->max * (1 + 1e-9)) continue;
            add_tick(s, value);
        }
    }
}

static void widen(struct scale *s, const struct scale_axis *axis) {
    if (!(s->min <= s->max)) {
        s->min = axis->is_log ? 1 : 0;
        s->max = axis->is_log ? 10 : 1;
    }
    if (axis->has_zero && !axis->is_log) {
        s->min = fmin(s->min, 0);
        s->max = fmax(s->max, 0);
    }
    if (s->max - s->min > fabs(s->max) * 1e-9) return;
    if (s->is_log) {
        s->min /= 2;
        s->max *= 2;
    } else {
        const double half = s->max != 0 ? fabs(s->max) * 0.1 : 1;
        s->min -= half;
        s->max += half;
    }
}

struct scale scale_make(const struct scale_axis *axis, struct scale_range r, double from, double to, int n_wanted,
                        bool is_rounded) {
    struct scale s = {.min = r.min, .max = r.max, .from = from, .to = to, .is_log = axis->is_log};
    const bool is_given = axis->max > axis->min && (!axis->is_log || axis->min > 0);
    if (is_given) {
        s.min = axis->min;
        s.max = axis->max;
    } else {
        widen(&s, axis);
    }
    /* less than half a decade has too few marks of its own on a logarithmic axis */
    if (s.is_log && s.max / s.min > 3) log_ticks(&s, n_wanted, is_rounded && !is_given);
    else linear_ticks(&s, axis, n_wanted, is_rounded && !is_given && !s.is_log);
    return s;
}

bool scale_can_show(const struct scale *s, double value) { return isfinite(value) && (!s->is_log || value > 0); }

double scale_at(const struct scale *s, double value) {
    const double part = s->is_log ? log(value / s->min) / log(s->max / s->min) : (value - s->min) / (s->max - s->min);
    return s->from + fmax(-0.02, fmin(1.02, part)) * (s->to - s->from);
}

void scale_tick_text(const struct scale *s, const struct scale_axis *axis, int i, char out[UNITS_TEXT_BYTES]) {
    if (s->step == 0) units_log_tick(out, s->ticks[i], axis->kind, axis->unit);
    else units_tick(out, s->ticks[i], s->step, fmax(fabs(s->min), fabs(s->max)), axis->kind, axis->unit);
}
