/* plan_page_train.c: pictures of a training run: where a step's time goes, memory by stage, the pipeline's time line,
 * scaling, goodput (plan_page.h). */
#include <math.h>
#include <stdio.h>

#include "base/alloc.h"
#include "plan/plan_page_parts.h"

enum { MAX_STAGES = 16, MAX_SPANS = 1 << 14, MICRO_BATCHES_SHOWN = 12, LANES_SHOWN = 8, PARTS_SHOWN = 2 };

static void draw_step(struct page *p, const struct scenario_answer *a) {
    const struct plan_breakdown *b = &a->best[0].result.breakdown;
    const struct chart_step all[] = {{"products", b->product_s, false},
                                     {"attention", b->attention_s, false},
                                     {"between products", b->elementwise_s, false},
                                     {"recomputing", b->recompute_s, false},
                                     {"tensor parallel", b->tensor_s, false},
                                     {"context parallel", b->context_s, false},
                                     {"expert parallel", b->expert_s, false},
                                     {"between stages", b->pipeline_s, false},
                                     {"data parallel", b->data_s, false},
                                     {"bubble", b->bubble_s, false},
                                     {"optimizer", b->optimizer_s, false},
                                     {"host", b->host_s, false},
                                     {"stragglers", b->straggler_s, false}};
    struct chart_step steps[sizeof all / sizeof *all + 1];
    size_t n = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].value > 0.001 * a->best[0].result.step_s.mid) steps[n++] = all[i];
    steps[n++] = (struct chart_step){"a step", 0, true};
    const struct chart_waterfall chart = {.title = "Where the time of a step goes",
                                          .description = "Traffic is what computing does not hide.",
                                          .steps = steps,
                                          .n_steps = n,
                                          .axis = {.kind = UNITS_SECONDS}};
    page_waterfall(p, &chart);
}

static void draw_memory(struct page *p, const struct scenario_answer *a) {
    static const char *const parts[] = {"weights", "gradients", "optimizer", "activations", "logits", "buffers"};
    double values[6][MAX_STAGES];
    char names[MAX_STAGES][32];
    const char *categories[MAX_STAGES];
    struct chart_bar_series series[6];
    const int64_t pp = a->train.layout.pp, n = pp < MAX_STAGES ? pp : MAX_STAGES;
    for (int64_t i = 0; i < n; i++) {
        struct plan_memory m;
        /* More stages than bars: the first, the last and some between. */
        const int64_t stage = n > 1 ? i * (pp - 1) / (n - 1) : 0;
        plan_train_memory(&a->train, stage, &m);
        const double bytes[] = {m.weights_bytes,     m.gradients_bytes, m.optimizer_bytes,
                                m.activations_bytes, m.logits_bytes,    m.buffers_bytes};
        for (int k = 0; k < 6; k++) values[k][i] = bytes[k];
        snprintf(names[i], sizeof names[i], "stage %lld", (long long)stage + 1);
        categories[i] = names[i];
    }
    for (int k = 0; k < 6; k++) series[k] = (struct chart_bar_series){.name = parts[k], .values = values[k]};
    const struct chart_bars chart = {.title = "Memory of a chip, by pipeline stage",
                                     .description = "The line is what the chip has.",
                                     .categories = categories,
                                     .n_categories = (size_t)n,
                                     .series = series,
                                     .n_series = 6,
                                     .is_stacked = true,
                                     .is_horizontal = true,
                                     .axis = {.kind = UNITS_BYTES},
                                     .limit = a->chip.memory_bytes,
                                     .limit_label = "the chip's memory"};
    page_bars(p, &chart);
}

static int colour_of(char kind) { return kind == 'F' ? 1 : kind == 'B' ? 2 : 3; }

/* A few micro-batches show the form: fill, steady part, drain. */
static void draw_pipeline(struct page *p, const struct scenario_answer *a) {
    static const char *const colours[] = {"forward", "backward", "weight gradient"};
    struct plan_train t = a->train;
    struct plan_interval *intervals = NULL;
    struct chart_span *spans = NULL;
    char names[MAX_STAGES][32];
    const char *lanes[MAX_STAGES];
    size_t n = 0;
    const int64_t pp = t.layout.pp, shown = pp < LANES_SHOWN ? pp : LANES_SHOWN;
    const double a_micro_batch = (double)(t.layout.micro_batch * t.layout.dp) * t.seq_len;
    const double wanted = fmax((double)pp, MICRO_BATCHES_SHOWN);
    if (pp < 2) return;
    if (t.layout.virtual_stages > PARTS_SHOWN) t.layout.virtual_stages = PARTS_SHOWN;
    if (t.batch_tokens > wanted * a_micro_batch) t.batch_tokens = wanted * a_micro_batch;
    if (plan_train_timeline(&t, MAX_SPANS, &intervals, &n, NULL) != CRIA_OK) return;
    spans = alloc_array(n, sizeof *spans);
    size_t n_spans = 0;
    for (size_t i = 0; spans && i < n; i++) {
        const struct plan_interval *of = &intervals[i];
        if (of->stage >= shown) continue;
        spans[n_spans++] = (struct chart_span){
            .lane = (int)of->stage, .start = of->begin_s, .end = of->end_s, .colour = colour_of(of->kind)};
    }
    for (int64_t i = 0; i < shown; i++) {
        snprintf(names[i], sizeof names[i], "stage %lld", (long long)i + 1);
        lanes[i] = names[i];
    }
    const struct chart_timeline chart = {
        .title = "Time line of the pipeline",
        .description = "The first stages, with a few micro-batches and at most two parts a stage; white is waiting.",
        .lanes = lanes,
        .n_lanes = (int)shown,
        .spans = spans,
        .n_spans = n_spans,
        .colour_names = colours,
        .n_colour_names = 3,
        .axis = {.kind = UNITS_SECONDS}};
    if (n_spans > 0) page_timeline(p, &chart);
    alloc_free(spans);
    alloc_free(intervals);
}

static void draw_scaling(struct page *p, const struct scenario_answer *a) {
    const struct scenario_curve *c = &a->scaling;
    const struct chart_series series[] = {
        {.name = "predicted", .x = c->x, .y = c->y, .n = (size_t)c->n, .mark = CHART_LINE_POINTS},
        {.name = "no losses", .x = c->x, .y = c->z, .n = (size_t)c->n, .mark = CHART_DASHED}};
    const struct chart_xy chart = {.title = "The same batch on fewer and more chips",
                                   .description = "The layout stays, data-parallel copies change.",
                                   .x = {.label = "chips", .is_log = true},
                                   .y = {.label = "tokens/s", .is_log = true},
                                   .series = series,
                                   .n_series = 2};
    if (c->n > 1) page_xy(p, &chart);
}

static void draw_goodput(struct page *p, const struct scenario_answer *a) {
    const struct failures_distribution *d = &a->failures;
    double x[FAILURES_BINS + 1], y[FAILURES_BINS + 1];
    if (d->n_trials < 2) return;
    for (int i = 0; i <= FAILURES_BINS; i++) {
        x[i] = d->bin_from + i * d->bin_width;
        y[i] = i < FAILURES_BINS ? d->bins[i] : 0;
    }
    const struct chart_series series = {.name = "runs", .x = x, .y = y, .n = FAILURES_BINS + 1, .mark = CHART_STEPS};
    const struct chart_xy chart = {.title = "Time that moves the run forward, over many simulated runs",
                                   .description = "Each run draws its site's failure rate and its failures.",
                                   .x = {.label = "goodput", .kind = UNITS_FRACTION},
                                   .y = {.label = "runs", .has_zero = true},
                                   .series = &series,
                                   .n_series = 1};
    page_xy(p, &chart);
}

static void draw_causes(struct page *p, const struct scenario_answer *a) {
    enum { MAX_CAUSES = 16 };
    const char *names[MAX_CAUSES];
    double per_week[MAX_CAUSES];
    size_t n = 0;
    for (int i = 0; failures_cause(i) && n < MAX_CAUSES; i++) {
        const struct failures_cause *c = failures_cause(i);
        const bool is_of_node = c->part == FAILURES_PART_NODE;
        const double parts = is_of_node ? a->job.n_chips / a->job.chips_per_node : a->job.n_chips;
        names[n] = c->name;
        per_week[n++] = c->per_part_hour * parts * 168 * a->job.rate_scale;
    }
    const struct chart_bar_series series = {.name = "a week", .values = per_week};
    const struct chart_bars chart = {.title = "What interrupts it, times a week",
                                     .description = failures_source(),
                                     .categories = names,
                                     .n_categories = n,
                                     .series = &series,
                                     .n_series = 1,
                                     .is_horizontal = true};
    page_bars(p, &chart);
}

void plan_page_train(struct page *p, const struct scenario_answer *a) {
    page_section(p, "The step");
    page_grid_begin(p);
    draw_step(p, a);
    draw_scaling(p, a);
    page_grid_end(p);
    draw_memory(p, a);
    draw_pipeline(p, a);
    page_section(p, "Failures");
    page_grid_begin(p);
    draw_goodput(p, a);
    draw_causes(p, a);
    page_grid_end(p);
}
