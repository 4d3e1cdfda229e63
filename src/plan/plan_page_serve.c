/* plan_page_serve.c: pictures of a service: latency and throughput by batch, roofline, memory, power over the day
 * (plan_page.h). */
#include <math.h>
#include <stdio.h>

#include "plan/plan_page_parts.h"

enum { MAX_POINTS = SCENARIO_MAX_CURVE };

static void draw_latency(struct page *p, const struct scenario_answer *a) {
    const struct scenario_curve *c = &a->latency;
    const double target = a->question.values[SCENARIO_BETWEEN_TOKENS];
    const double line_x[] = {c->x[0], c->x[c->n > 0 ? c->n - 1 : 0]}, line_y[] = {target, target};
    const struct chart_series series[] = {
        {.name = "between tokens", .x = c->x, .y = c->y, .n = (size_t)c->n, .mark = CHART_LINE_POINTS},
        {.name = "target", .x = line_x, .y = line_y, .n = target > 0 ? 2 : 0, .mark = CHART_DASHED}};
    const struct chart_xy chart = {.title = "Latency by batch",
                                   .description = "Time between two tokens of one answer, prompts of others included.",
                                   .x = {.label = "sequences at once in an engine", .is_log = true},
                                   .y = {.label = "time", .kind = UNITS_SECONDS, .is_log = true},
                                   .series = series,
                                   .n_series = 2};
    page_xy(p, &chart);
}

static void draw_throughput(struct page *p, const struct scenario_answer *a) {
    const struct scenario_curve *c = &a->latency;
    const struct chart_series series = {
        .name = "tokens/s", .x = c->x, .y = c->z, .n = (size_t)c->n, .mark = CHART_LINE_POINTS};
    const struct chart_xy chart = {.title = "Throughput by batch",
                                   .description = "Output tokens a second of one engine.",
                                   .x = {.label = "sequences at once in an engine", .is_log = true},
                                   .y = {.label = "output tokens/s", .is_log = true},
                                   .series = &series,
                                   .n_series = 1};
    page_xy(p, &chart);
}

/* Operations for each byte read, and the rate of a decode step at doubling batches, under the chip's two roofs. */
static void draw_roofline(struct page *p, const struct scenario_answer *a) {
    const struct serving_choice *best = &a->choices[0];
    const struct plan_chip *chip = &a->chip;
    const double peak = chip->peak_flop_per_s[best->engine.format.compute] > 0
                            ? chip->peak_flop_per_s[best->engine.format.compute]
                            : chip->peak_flop_per_s[PLAN_BF16];
    const double ridge = peak / chip->memory_bytes_per_s;
    const double roof_x[] = {0.5, ridge, 32 * ridge}, roof_y[] = {0.5 * chip->memory_bytes_per_s, peak, peak};
    double x[MAX_POINTS], y[MAX_POINTS];
    char texts[MAX_POINTS][16];
    const char *labels[MAX_POINTS];
    size_t n = 0;
    for (int i = 0; i < a->latency.n; i++) {
        struct serving_point at;
        if (serving_at(&best->engine, a->latency.x[i], &at, NULL) != CRIA_OK) continue;
        const double read_s = at.breakdown.weights_s + at.breakdown.kv_s;
        /* The step's own times give its bytes and operations back. */
        const double flop = at.breakdown.arithmetic_s * chip->matmul_flop_per_s[best->engine.format.compute];
        if (flop <= 0 || read_s <= 0) continue;
        x[n] = flop / (read_s * chip->memory_bytes_per_s);
        y[n] = flop / at.step_s.mid;
        snprintf(texts[n], sizeof texts[n], "%.0f", a->latency.x[i]);
        labels[n] = texts[n];
        n++;
    }
    const struct chart_series series[] = {
        {.name = "data sheet", .x = roof_x, .y = roof_y, .n = 3, .mark = CHART_LINE},
        {.name = "decode, by batch", .x = x, .y = y, .labels = labels, .n = n, .mark = CHART_POINTS}};
    const struct chart_xy chart = {.title = "Roofline of a decode step",
                                   .description = "How far a chip stays below its bandwidth and its rate.",
                                   .x = {.label = "operations for each byte read", .is_log = true},
                                   .y = {.label = "rate", .kind = UNITS_SI, .unit = "FLOP/s", .is_log = true},
                                   .series = series,
                                   .n_series = 2};
    if (n > 0) page_xy(p, &chart);
}

static void draw_memory(struct page *p, const struct scenario_answer *a) {
    const struct serving_memory *m = &a->choices[0].point.memory;
    const char *const category[] = {"a chip"};
    const struct chart_bar_series series[] = {{.name = "weights", .values = &m->weights_bytes},
                                              {.name = "cache", .values = &m->kv_bytes},
                                              {.name = "workspace", .values = &m->workspace_bytes}};
    const struct chart_bars chart = {.title = "Memory of a chip",
                                     .description = "Weights, the keys and values of all sequences, and workspace.",
                                     .categories = category,
                                     .n_categories = 1,
                                     .series = series,
                                     .n_series = 3,
                                     .is_stacked = true,
                                     .is_horizontal = true,
                                     .axis = {.kind = UNITS_BYTES},
                                     .limit = a->chip.memory_bytes,
                                     .limit_label = "the chip's memory"};
    page_bars(p, &chart);
}

static void draw_step(struct page *p, const struct scenario_answer *a) {
    const struct serving_breakdown *b = &a->choices[0].point.breakdown;
    static const char *const names[] = {"reading weights", "reading the cache", "arithmetic",
                                        "exchange",        "launches",          "the host"};
    const double values[] = {b->weights_s, b->kv_s, b->arithmetic_s, b->exchange_s, b->launch_s, b->host_s};
    const struct chart_bar_series series = {.name = "a step", .values = values};
    const struct chart_bars chart = {.title = "A decode step by its parts",
                                     .description = "Reading and arithmetic overlap; the others add up.",
                                     .categories = names,
                                     .n_categories = 6,
                                     .series = &series,
                                     .n_series = 1,
                                     .is_horizontal = true,
                                     .axis = {.kind = UNITS_SECONDS}};
    page_bars(p, &chart);
}

static void draw_day(struct page *p, const struct scenario_answer *a) {
    double hours[25], watts[25], load[25];
    for (int h = 0; h <= 24; h++) {
        hours[h] = h;
        watts[h] = a->watts_by_hour[h % 24];
        load[h] = a->load_by_hour[h % 24];
    }
    const struct chart_series power = {.name = "at the meter", .x = hours, .y = watts, .n = 25, .mark = CHART_AREA};
    const struct chart_xy of_power = {.title = "Power over the day",
                                      .description = "With cooling; nothing is switched off at night.",
                                      .x = {.label = "hour"},
                                      .y = {.kind = UNITS_SI, .unit = "W", .has_zero = true},
                                      .series = &power,
                                      .n_series = 1};
    const struct chart_series tokens = {.name = "answered", .x = hours, .y = load, .n = 25, .mark = CHART_AREA};
    const struct chart_xy of_load = {.title = "Load over the day",
                                     .description = "Output tokens a second of the whole service.",
                                     .x = {.label = "hour"},
                                     .y = {.label = "tokens/s", .has_zero = true},
                                     .series = &tokens,
                                     .n_series = 1};
    page_xy(p, &of_load);
    page_xy(p, &of_power);
}

void plan_page_serve(struct page *p, const struct scenario_answer *a) {
    page_section(p, "The engine");
    page_grid_begin(p);
    draw_latency(p, a);
    draw_throughput(p, a);
    draw_step(p, a);
    draw_roofline(p, a);
    page_grid_end(p);
    draw_memory(p, a);
    page_section(p, "The day");
    page_grid_begin(p);
    draw_day(p, a);
    page_grid_end(p);
}
