/* run_page.c: see run_page.h. */
#include "report/run_page.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

#define JOULES_PER_KWH 3.6e6
#define MAX_FIGURES 12
#define MAX_SAMPLES 6
#define MAX_EVENTS 100
#define MAX_REACH 25 /* steps to both sides that the smoothed curve takes together */
#define NOTE_BYTES 96

/* A key figure: its texts. */
struct figure {
    char value[UNITS_TEXT_BYTES], note[NOTE_BYTES];
    const char *label;
};

struct figures {
    struct figure items[MAX_FIGURES];
    size_t n;
};

/* Nothing where the value is unknown. */
static void add_figure(struct figures *f, const char *label, double value, enum units_kind kind, const char *unit,
                       const char *note) {
    if (!isfinite(value) || f->n == MAX_FIGURES) return;
    struct figure *item = &f->items[f->n++];
    item->label = label;
    units_text(item->value, value, kind, unit);
    snprintf(item->note, sizeof item->note, "%s", note);
}

static double column_at(const struct run_log *log, enum run_log_column column, size_t i) {
    return i < log->n ? log->columns[column][i] : NAN;
}

/* The mean of a column's last steps, which a single noisy one would misstate. */
static double recent_mean(const struct run_log *log, enum run_log_column column) {
    const size_t window = log->n < 10 ? log->n : log->n / 10 < 20 ? 10 : 20;
    double sum = 0;
    size_t n = 0;
    for (size_t i = log->n - window; i < log->n; i++)
        if (isfinite(log->columns[column][i])) {
            sum += log->columns[column][i];
            n++;
        }
    return n > 0 ? sum / (double)n : NAN;
}

static const char *energy_source(const struct run_log *log) { return run_log_fact(log, "energy_source"); }

static bool is_estimated(const struct run_log *log) {
    const char *source = energy_source(log);
    return log->is_estimated || (source && strstr(source, "estimated"));
}

static double joules_of(const struct run_log *log) {
    const double joules = run_log_last(log, RUN_LOG_JOULES);
    return joules > 0 ? joules : NAN; /* a sum of nothing: the log has no joules */
}

static void learning_figures(struct figures *f, const struct run_log *log, const struct run_page_options *o) {
    double best = NAN, last = NAN;
    char note[NOTE_BYTES] = "";
    for (size_t i = 0; i < log->n_evals; i++)
        if (isfinite(log->evals[RUN_LOG_EVAL_BITS][i])) {
            last = log->evals[RUN_LOG_EVAL_BITS][i];
            best = fmin(isnan(best) ? last : best, last);
        }
    if (o->n_baselines > 0)
        snprintf(note, sizeof note, "%.60s: %.3f", o->baselines[0].name, o->baselines[0].bits_per_byte);
    else if (last > best) snprintf(note, sizeof note, "lowest %.3f", best);
    add_figure(f, "bits per byte, held out", last, UNITS_PLAIN, NULL, note);
    snprintf(note, sizeof note, "nats per token; step 1: %.3g", column_at(log, RUN_LOG_LOSS, 0));
    add_figure(f, "loss, last steps", recent_mean(log, RUN_LOG_LOSS), UNITS_PLAIN, NULL, note);
}

static void speed_figures(struct figures *f, const struct run_log *log) {
    char note[NOTE_BYTES], share[UNITS_TEXT_BYTES];
    snprintf(note, sizeof note, "in %.0f steps", run_log_last(log, RUN_LOG_STEP));
    add_figure(f, "tokens", run_log_last(log, RUN_LOG_TOKENS), UNITS_PLAIN, NULL, note);
    const double seconds = run_log_last(log, RUN_LOG_SECONDS);
    if (!(seconds > 0)) return;
    const double peak = recent_mean(log, RUN_LOG_PEAK_FRACTION);
    units_text(share, peak, UNITS_FRACTION, NULL);
    snprintf(note, sizeof note, "%s of the peak", share);
    add_figure(f, "time in steps", seconds, UNITS_SECONDS, NULL, "");
    add_figure(f, "tokens per second", run_log_last(log, RUN_LOG_TOKENS) / seconds, UNITS_PLAIN, NULL,
               isfinite(peak) ? note : "");
}

static void energy_figures(struct figures *f, const struct run_log *log, const struct run_page_options *o) {
    const double joules = joules_of(log), kwh = joules / JOULES_PER_KWH;
    const char *estimated = is_estimated(log) ? "estimated; " : "";
    char note[NOTE_BYTES];
    add_figure(f, "energy", joules, UNITS_SI, "J", is_estimated(log) ? "estimated" : "");
    add_figure(f, "energy per token", joules / run_log_last(log, RUN_LOG_TOKENS), UNITS_SI, "J",
               is_estimated(log) ? "estimated" : "");
    snprintf(note, sizeof note, "%s%.4g g per kWh", estimated, o->grams_per_kwh);
    add_figure(f, "carbon dioxide", kwh * o->grams_per_kwh, UNITS_SI, "g", note);
    snprintf(note, sizeof note, "%s%s%.4g per kWh", estimated, o->currency, o->price_per_kwh);
    add_figure(f, "electricity", kwh * o->price_per_kwh, UNITS_MONEY, o->currency, note);
}

static struct figures key_figures(const struct run_log *log, const struct run_page_options *o) {
    struct figures f = {.n = 0};
    learning_figures(&f, log, o);
    speed_figures(&f, log);
    energy_figures(&f, log, o);
    return f;
}

void run_page_summary(struct buffer *out, const struct run_log *log, const struct run_page_options *options) {
    const struct figures f = key_figures(log, options);
    struct table t = table_make();
    table_column(&t, "", TABLE_LEFT);
    table_column(&t, "", TABLE_RIGHT);
    table_column(&t, "", TABLE_LEFT);
    for (size_t i = 0; i < f.n; i++) {
        table_cell(&t, "%s", f.items[i].label);
        table_cell(&t, "%s", f.items[i].value);
        table_cell(&t, "%s", f.items[i].note);
    }
    buffer_append_format(out, "%s\n", options->title);
    table_write_text(out, &t, 2);
    if (out->status == CRIA_OK && t.text.status != CRIA_OK) out->status = t.text.status;
    table_free(&t);
}

static void write_tiles(struct page *p, const struct figures *f) {
    struct page_tile tiles[MAX_FIGURES];
    for (size_t i = 0; i < f->n; i++)
        tiles[i] =
            (struct page_tile){f->items[i].value, f->items[i].label, f->items[i].note[0] ? f->items[i].note : NULL};
    page_tiles(p, tiles, f->n);
}

static void write_energy_notice(struct page *p, const struct run_log *log) {
    const char *source = energy_source(log);
    if (isnan(joules_of(log))) page_notice(p, "The log has no joules: what the run took is not known.");
    else if (is_estimated(log) && !source)
        page_notice(p, "Energy is estimated by a model of the machine's power, not measured.");
    else if (!source) page_paragraph(p, "run.json does not say where the joules come from.");
    else if (is_estimated(log))
        page_notice(p, "Energy is not measured here but %s. Carbon dioxide and money follow from it.", source);
    else page_paragraph(p, "Energy is measured by the processor's own counters (%s).", source);
}

/* Means over `reach` steps to both sides, fewer at the ends: a curve without a lag. */
static void smooth(double *out, const double *values, size_t n, size_t reach) {
    for (size_t i = 0; i < n; i++) {
        const size_t to_end = n - 1 - i, near = i < to_end ? i : to_end, side = near < reach ? near : reach;
        double sum = 0;
        size_t found = 0;
        for (size_t k = i - side; k <= i + side; k++)
            if (isfinite(values[k])) {
                sum += values[k];
                found++;
            }
        out[i] = found > 0 ? sum / (double)found : NAN;
    }
}

static const struct scale_axis tokens_axis = {.label = "tokens seen", .has_zero = true};

static bool has_values(const double *values, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (isfinite(values[i])) return true;
    return false;
}

static cria_status write_loss(struct page *p, const struct run_log *log, struct cria_error *err) {
    const double *tokens = log->columns[RUN_LOG_TOKENS], *loss = log->columns[RUN_LOG_LOSS];
    double *mean = alloc_array(log->n, sizeof *mean);
    if (!mean) return ERROR_NOMEM(err, log->n * sizeof *mean, "a smoothed curve");
    smooth(mean, loss, log->n, log->n / 40 < MAX_REACH ? log->n / 40 : MAX_REACH);
    struct chart_series series[3] = {
        {.name = "each step", .x = tokens, .y = loss, .n = log->n, .mark = CHART_PALE_LINE, .colour = 1},
        {.name = "smoothed", .x = tokens, .y = mean, .n = log->n, .colour = 1},
        {.name = "held out",
         .x = log->evals[RUN_LOG_EVAL_TOKENS],
         .y = log->evals[RUN_LOG_EVAL_LOSS],
         .n = log->n_evals,
         .mark = CHART_LINE_POINTS,
         .colour = 2},
    };
    const bool has_evals = has_values(log->evals[RUN_LOG_EVAL_LOSS], log->n_evals);
    const struct chart_xy chart = {.title = "Loss",
                                   .description = "Mean over the predicted tokens of each step, before its update.",
                                   .x = tokens_axis,
                                   .y = {.label = "nats per token"},
                                   .series = series,
                                   .n_series = has_evals ? 3 : 2};
    page_xy(p, &chart);
    alloc_free(mean);
    return CRIA_OK;
}

static void write_curve(struct page *p, const struct run_log *log, enum run_log_column column, const char *title,
                        struct scale_axis axis) {
    const struct chart_series series = {
        .name = title, .x = log->columns[RUN_LOG_TOKENS], .y = log->columns[column], .n = log->n};
    const struct chart_xy chart = {.title = title, .x = tokens_axis, .y = axis, .series = &series, .n_series = 1};
    if (has_values(series.y, log->n)) page_xy(p, &chart);
}

/* The model's bits per byte, and the baselines as lines across. */
static void write_bits(struct page *p, const struct run_log *log, const struct run_page_options *o) {
    double ends[2] = {0, run_log_last(log, RUN_LOG_TOKENS)}, levels[RUN_PAGE_MAX_BASELINES][2];
    struct chart_series series[1 + RUN_PAGE_MAX_BASELINES] = {{.name = "this model",
                                                               .x = log->evals[RUN_LOG_EVAL_TOKENS],
                                                               .y = log->evals[RUN_LOG_EVAL_BITS],
                                                               .n = log->n_evals,
                                                               .mark = CHART_LINE_POINTS}};
    const size_t n = o->n_baselines < RUN_PAGE_MAX_BASELINES ? o->n_baselines : RUN_PAGE_MAX_BASELINES;
    for (size_t k = 0; k < n; k++) {
        levels[k][0] = levels[k][1] = o->baselines[k].bits_per_byte;
        series[1 + k] = (struct chart_series){
            .name = o->baselines[k].name, .x = ends, .y = levels[k], .n = 2, .mark = CHART_DASHED};
    }
    const struct chart_xy chart = {.title = "Held-out text",
                                   .description = "Bits that each byte of text the model never saw costs it.",
                                   .x = tokens_axis,
                                   .y = {.label = "bits per byte"},
                                   .series = series,
                                   .n_series = 1 + (int)n};
    if (has_values(series[0].y, series[0].n)) page_xy(p, &chart);
}

static cria_status write_charts(struct page *p, const struct run_log *log, const struct run_page_options *o,
                                struct cria_error *err) {
    page_section(p, "Learning");
    const cria_status status = write_loss(p, log, err);
    if (status != CRIA_OK) return status;
    page_grid_begin(p);
    write_bits(p, log, o);
    write_curve(p, log, RUN_LOG_GRAD_NORM, "Gradient norm, before clipping", (struct scale_axis){.is_log = true});
    write_curve(p, log, RUN_LOG_LR, "Learning rate", (struct scale_axis){.has_zero = true});
    page_section(p, "Speed and energy");
    page_grid_begin(p);
    write_curve(p, log, RUN_LOG_TOKENS_PER_S, "Tokens per second", (struct scale_axis){.has_zero = true});
    write_curve(p, log, RUN_LOG_PEAK_FRACTION, "Share of the machine's peak",
                (struct scale_axis){.has_zero = true, .kind = UNITS_FRACTION});
    if (isfinite(joules_of(log))) {
        const bool guess = is_estimated(log);
        const struct scale_axis axis = {.has_zero = true, .kind = UNITS_SI, .unit = "J"};
        write_curve(p, log, RUN_LOG_JOULES_PER_TOKEN, guess ? "Energy per token, estimated" : "Energy per token", axis);
        write_curve(p, log, RUN_LOG_JOULES, guess ? "Energy so far, estimated" : "Energy so far", axis);
    }
    page_grid_end(p);
    return CRIA_OK;
}

static void write_samples(struct page *p, const struct run_log *log, const struct run_page_options *o) {
    if (log->n_samples + o->n_samples == 0) return;
    page_section(p, "Samples");
    for (size_t i = 0; i < o->n_samples; i++) page_preformatted(p, o->samples[i].name, o->samples[i].text);
    const size_t n = log->n_samples < MAX_SAMPLES ? log->n_samples : MAX_SAMPLES;
    for (size_t k = 0; k < n; k++) { /* evenly spaced, the first and the last among them */
        const size_t i = n > 1 ? k * (log->n_samples - 1) / (n - 1) : 0;
        char heading[64];
        snprintf(heading, sizeof heading, "After step %.0f", log->samples[i].step);
        page_preformatted(p, heading, log->samples[i].text);
    }
}

/* Events that have a reason; that a checkpoint was saved, say, needs none. */
static void write_events(struct page *p, const struct run_log *log) {
    struct table t = table_make();
    size_t n = 0;
    table_column(&t, "step", TABLE_RIGHT);
    table_column(&t, "event", TABLE_LEFT);
    table_column(&t, "reason", TABLE_LEFT);
    for (size_t i = 0; i < log->n_events; i++) {
        const struct run_log_event *event = &log->events[i];
        if (!event->reason || !*event->reason || n++ >= MAX_EVENTS) continue;
        table_cell(&t, "%.0f", event->step);
        table_cell(&t, "%s", event->kind);
        table_cell(&t, "%s", event->reason);
    }
    if (n > 0) {
        page_section(p, "What did not go as planned");
        page_table(p, NULL, &t);
    }
    if (n > MAX_EVENTS) page_paragraph(p, "And %zu more.", n - MAX_EVENTS);
    table_free(&t);
}

/* Letters of path before its first dot; 0 where it has none. */
static size_t group_of(const char *path) {
    const char *dot = strchr(path, '.');
    return dot ? (size_t)(dot - path) : 0;
}

/* The facts from *at on that belong together, as one table. */
static void write_group(struct page *p, const struct run_log *log, size_t *at) {
    const char *first = log->facts[*at].path;
    const size_t group = group_of(first);
    char heading[64];
    struct table t = table_make();
    table_column(&t, "", TABLE_LEFT);
    table_column(&t, "", TABLE_LEFT);
    for (; *at < log->n_facts; ++*at) {
        const struct run_log_fact *fact = &log->facts[*at];
        if (group_of(fact->path) != group || strncmp(fact->path, first, group) != 0) break;
        table_cell(&t, "%s", fact->path + group + (group > 0));
        table_cell(&t, "%s", fact->value);
    }
    snprintf(heading, sizeof heading, "%.*s", group > 0 ? (int)group : 7, group > 0 ? first : "General");
    page_folded_table(p, heading, &t);
    table_free(&t);
}

static void write_facts(struct page *p, const struct run_log *log) {
    page_section(p, "What was run");
    if (log->n_facts == 0) page_paragraph(p, "There is no run.json beside the log.");
    for (size_t at = 0; at < log->n_facts;) write_group(p, log, &at);
    if (log->digest[0]) page_paragraph(p, "SHA-256 of the weights, as last logged: %s", log->digest);
}

cria_status run_page_build(struct page *p, const struct run_log *log, const struct run_page_options *options,
                           struct cria_error *err) {
    char subtitle[NOTE_BYTES * 2];
    const char *model = run_log_fact(log, "preset"), *machine = run_log_fact(log, "processor");
    snprintf(subtitle, sizeof subtitle, "A training run of Cria%s%.60s%s%.90s", model ? ": preset " : "",
             model ? model : "", machine ? " on " : "", machine ? machine : "");
    page_begin(p, options->title, subtitle);
    if (log->n == 0) {
        page_notice(p, "The log has no step yet.");
    } else {
        const struct figures f = key_figures(log, options);
        write_tiles(p, &f);
        write_energy_notice(p, log);
        const cria_status status = write_charts(p, log, options, err);
        if (status != CRIA_OK) return status;
    }
    write_events(p, log);
    write_samples(p, log, options);
    write_facts(p, log);
    page_end(p);
    return page_status(p, err);
}
