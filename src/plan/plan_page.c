/* plan_page.c: see plan_page.h. */
#include "plan/plan_page.h"

#include <math.h>
#include <stdio.h>

#include "plan/plan_page_parts.h"

enum { MAX_TILES = 10, MAX_SHOWN = 8, LEVERS_SHOWN = 10, MAX_PICTURES = 6 };

static void add_table(struct page *p, const char *heading, struct table *t) {
    if (t->n_cells > 0) page_table(p, heading, t);
    table_free(t);
}

static void add_tiles(struct page *p, const struct scenario_answer *a) {
    struct page_tile tiles[MAX_TILES];
    char values[MAX_TILES][96], notes[MAX_TILES][96];
    size_t n = 0;
    for (int i = 0; i < a->n_figures && n < MAX_TILES; i++) {
        const struct scenario_figure *f = &a->figures[i];
        struct scenario_figure end = *f;
        char low[96], high[96];
        if (!f->is_headline) continue;
        end.low = end.high = 0;
        scenario_text_figure(&end, values[n]);
        tiles[n] = (struct page_tile){.value = values[n], .label = f->label};
        if (f->low != f->high) {
            end.value = f->low;
            scenario_text_figure(&end, low);
            end.value = f->high;
            scenario_text_figure(&end, high);
            snprintf(notes[n], sizeof notes[n], "%.40s to %.40s", low, high);
            tiles[n].note = notes[n];
        }
        n++;
    }
    page_tiles(p, tiles, n);
}

static void draw_costs(struct page *p, const struct scenario_answer *a) {
    struct chart_step steps[SCENARIO_MAX_COSTS + 1];
    char title[64];
    for (int i = 0; i < a->n_costs; i++) steps[i] = (struct chart_step){a->costs[i].label, a->costs[i].usd, false};
    steps[a->n_costs] = (struct chart_step){"in all", 0, true};
    snprintf(title, sizeof title, "What %s costs", a->costs_of ? a->costs_of : "it");
    const struct chart_waterfall chart = {.title = title,
                                          .description = "Chips and building by their lives, in US dollars.",
                                          .steps = steps,
                                          .n_steps = (size_t)a->n_costs + 1,
                                          .axis = {.kind = UNITS_MONEY}};
    if (a->n_costs > 0) page_waterfall(p, &chart);
}

/* Each input's two ends as bars from where the answer is: left is less, right is more. */
static void draw_levers(struct page *p, const struct scenario_told *t) {
    static const char *const colours[] = {"10 % less of the input", "10 % more of it"};
    const char *names[LEVERS_SHOWN];
    struct chart_span spans[2 * LEVERS_SHOWN];
    size_t n_spans = 0;
    int n = 0;
    for (int i = 0; i < t->n_levers && n < LEVERS_SHOWN; i++, n++) {
        const double ends[] = {t->levers[i].at_less, t->levers[i].at_more};
        names[n] = scenario_param_row(t->levers[i].param)->key;
        for (int k = 0; k < 2; k++)
            if (isfinite(ends[k]))
                spans[n_spans++] =
                    (struct chart_span){.lane = n, .start = fmin(0, ends[k]), .end = fmax(0, ends[k]), .colour = k + 1};
    }
    const struct scenario_figure *f = scenario_figure(t->answer, scenario_main_figure(t->answer->question.kind));
    char title[128];
    snprintf(title, sizeof title, "What moves: %s", f ? f->label : "the answer");
    const struct chart_timeline chart = {.title = title,
                                         .description = "Each input alone by ten percent, the others as they are.",
                                         .lanes = names,
                                         .n_lanes = n,
                                         .spans = spans,
                                         .n_spans = n_spans,
                                         .colour_names = colours,
                                         .n_colour_names = 2,
                                         .axis = {.label = "change of the answer", .kind = UNITS_FRACTION}};
    if (n > 0) page_timeline(p, &chart);
}

static void add_one(struct page *p, const struct scenario_told *t) {
    const struct scenario_answer *a = t->answer;
    struct table figures = table_make(), choices = table_make(), inputs = table_make(), levers = table_make(),
                 formats = table_make();
    add_tiles(p, a);
    if (a->has_train) plan_page_train(p, a);
    if (a->has_serving) plan_page_serve(p, a);
    page_section(p, "Money, and what moves the answer");
    page_grid_begin(p);
    draw_costs(p, a);
    draw_levers(p, t);
    page_grid_end(p);
    page_section(p, "Figures");
    scenario_text_figures(&figures, a);
    add_table(p, NULL, &figures);
    scenario_text_choices(&choices, a);
    add_table(p, a->has_train ? "Layouts, fastest first" : "Engines, most tokens a chip first", &choices);
    scenario_text_formats(&formats, a);
    add_table(p, "Other formats of weights and cache, fewest chips first (what they do to answers is not judged)",
              &formats);
    scenario_text_levers(&levers, t);
    add_table(p, "What moves the answer", &levers);
    page_section(p, "Assumptions");
    scenario_text_inputs(&inputs, a);
    add_table(p, NULL, &inputs);
    for (int i = 0; i < a->n_notes; i++) page_paragraph(p, "%s", a->notes[i]);
}

/* One figure of all scenarios as bars. */
static void draw_figure(struct page *p, const struct scenario_told *rows, int n, const struct scenario_figure *f) {
    const char *names[MAX_SHOWN];
    double values[MAX_SHOWN];
    size_t n_values = 0;
    for (int i = 0; i < n && n_values < MAX_SHOWN; i++) {
        const struct scenario_figure *of = scenario_figure(rows[i].answer, f->key);
        if (!of) continue;
        names[n_values] = rows[i].answer->question.name;
        values[n_values++] = of->unit[0] == 'd' && of->kind == UNITS_SECONDS ? of->value * 86400 : of->value;
    }
    const struct chart_bar_series series = {.name = f->label, .values = values};
    const struct chart_bars chart = {.title = f->label,
                                     .categories = names,
                                     .n_categories = n_values,
                                     .series = &series,
                                     .n_series = 1,
                                     .is_horizontal = true,
                                     .axis = {.kind = f->kind, .unit = f->kind == UNITS_SI ? f->unit : NULL}};
    if (n_values > 0) page_bars(p, &chart);
}

static void add_all(struct page *p, const struct scenario_told *rows, int n) {
    struct table t = table_make();
    int n_drawn = 0;
    page_section(p, "Side by side");
    page_grid_begin(p);
    for (int i = 0; i < rows[0].answer->n_figures && n_drawn < MAX_PICTURES; i++) {
        const struct scenario_figure *f = &rows[0].answer->figures[i];
        if (!f->is_headline) continue;
        draw_figure(p, rows, n, f);
        n_drawn++;
    }
    page_grid_end(p);
    page_section(p, "Figures");
    scenario_text_columns(&t, rows, n);
    add_table(p, NULL, &t);
    page_section(p, "Money, and what moves each answer");
    for (int i = 0; i < n; i++) {
        page_paragraph(p, "%s", rows[i].answer->question.name);
        page_grid_begin(p);
        draw_costs(p, rows[i].answer);
        draw_levers(p, &rows[i]);
        page_grid_end(p);
    }
    page_section(p, "Assumptions");
    for (int i = 0; i < n; i++) {
        struct table inputs = table_make();
        scenario_text_inputs(&inputs, rows[i].answer);
        page_folded_table(p, rows[i].answer->question.name, &inputs);
        table_free(&inputs);
    }
    for (int i = 0; i < rows[0].answer->n_notes; i++) page_paragraph(p, "%s", rows[0].answer->notes[i]);
}

void plan_page_write(struct page *p, const char *title, const struct scenario_told *rows, int n) {
    const struct scenario *first = &rows[0].answer->question;
    char own[160];
    const char *what = first->kind == SCENARIO_TRAIN   ? "Training"
                       : first->kind == SCENARIO_SERVE ? "Serving"
                                                       : "A site of";
    if (first->kind == SCENARIO_SITE) snprintf(own, sizeof own, "%s %.40s", what, first->gpu);
    else snprintf(own, sizeof own, "%s %.80s on %.40s", what, first->model, first->gpu);
    page_begin(p,
               title   ? title
               : n > 1 ? "Plans side by side"
                       : own,
               "A prediction by formulas over published hardware figures. Its assumptions stand at the end.");
    if (n == 1) add_one(p, &rows[0]);
    else add_all(p, rows, n);
    page_end(p);
}
