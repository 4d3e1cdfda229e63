/* scenario_text.c: see scenario_text.h. */
#include "plan/scenario_text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/table.h"

enum { LEVERS_SHOWN = 8 };

/* Days are told apart from seconds by their unit; money and bytes by their kind. */
static void number_text(double value, enum units_kind kind, const char *unit, char out[UNITS_TEXT_BYTES]) {
    const bool is_day = strcmp(unit, "day") == 0;
    if (kind == UNITS_SECONDS) {
        units_text(out, is_day ? value * 86400 : value, UNITS_SECONDS, NULL);
        return;
    }
    const bool has_unit =
        kind == UNITS_SI || (kind == UNITS_PLAIN && (is_day || strcmp(unit, "t") == 0 || strcmp(unit, "FLOP") == 0));
    if (kind == UNITS_PLAIN && fabs(value) >= 1e15) {
        snprintf(out, UNITS_TEXT_BYTES, "%.3g %s", value, has_unit ? unit : "");
        return;
    }
    units_text(out, value, kind, kind == UNITS_SI ? unit : NULL);
    if (kind == UNITS_PLAIN && has_unit) {
        const size_t used = strlen(out);
        snprintf(out + used, UNITS_TEXT_BYTES - used, " %s", unit);
    }
}

void scenario_text_figure(const struct scenario_figure *f, char out[96]) {
    char mid[UNITS_TEXT_BYTES], low[UNITS_TEXT_BYTES], high[UNITS_TEXT_BYTES];
    number_text(f->value, f->kind, f->unit, mid);
    if (f->low == f->high) {
        snprintf(out, 96, "%s", mid);
        return;
    }
    number_text(f->low, f->kind, f->unit, low);
    number_text(f->high, f->kind, f->unit, high);
    snprintf(out, 96, "%.30s (%.28s to %.28s)", mid, low, high);
}

void scenario_text_value(enum scenario_param p, double value, char out[64]) {
    const char *unit = scenario_param_row(p)->unit;
    char number[UNITS_TEXT_BYTES];
    if (value >= 1e5) units_text(number, value, UNITS_PLAIN, NULL);
    else snprintf(number, sizeof number, "%.6g", value);
    snprintf(out, 64, "%s%s%s", number, strcmp(unit, "1") == 0 ? "" : " ", strcmp(unit, "1") == 0 ? "" : unit);
}

void scenario_text_figures(struct table *t, const struct scenario_answer *a) {
    table_column(t, "", TABLE_LEFT);
    table_column(t, "", TABLE_LEFT);
    for (int i = 0; i < a->n_figures; i++) {
        char text[96];
        scenario_text_figure(&a->figures[i], text);
        table_cell(t, "%s", a->figures[i].label);
        table_cell(t, "%s", text);
    }
}

/* What a layout loses most to the first: the part of the step that grew most. Of the first: what it loses most to. */
static void why_text(const struct plan_breakdown *of, const struct plan_breakdown *first, char out[64]) {
    const struct plan_breakdown zero = {.product_s = of->product_s, .attention_s = of->attention_s};
    const struct plan_breakdown *base = of == first ? &zero : first;
    const struct {
        const char *name;
        double s;
    } rows[] = {{"products", of->product_s - base->product_s},
                {"attention", of->attention_s - base->attention_s},
                {"work between products", of->elementwise_s - base->elementwise_s},
                {"recomputing", of->recompute_s - base->recompute_s},
                {"tensor-parallel traffic", of->tensor_s - base->tensor_s},
                {"context-parallel traffic", of->context_s - base->context_s},
                {"expert traffic", of->expert_s - base->expert_s},
                {"traffic between stages", of->pipeline_s - base->pipeline_s},
                {"data-parallel traffic", of->data_s - base->data_s},
                {"the bubble", of->bubble_s - base->bubble_s},
                {"the optimizer", of->optimizer_s - base->optimizer_s},
                {"the host", of->host_s - base->host_s},
                {"stragglers", of->straggler_s - base->straggler_s}};
    size_t most = 0;
    char text[UNITS_TEXT_BYTES];
    for (size_t i = 1; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].s > rows[most].s) most = i;
    units_text(text, rows[most].s, UNITS_SECONDS, NULL);
    if (rows[most].s <= 0) snprintf(out, 64, "as fast");
    else snprintf(out, 64, "%s: %.20s%s", rows[most].name, text, of == first ? "" : " more");
}

static void add_layouts(struct table *t, const struct scenario_answer *a) {
    static const char *const names[] = {"#",    "dp",      "tp",          "pp",           "cp",
                                        "ep",   "parts",   "micro-batch", "recompute",    "ZeRO",
                                        "step", "of peak", "memory",      "loses most to"};
    static const char *const recompute[] = {"none", "selective", "full"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) table_column(t, names[i], TABLE_RIGHT);
    for (size_t i = 0; i < a->n_best; i++) {
        const struct plan_candidate *c = &a->best[i];
        const struct plan_layout *l = &c->layout;
        const int64_t counts[] = {l->dp, l->tp, l->pp, l->cp, l->ep, l->virtual_stages, l->micro_batch};
        char why[64];
        table_cell(t, "%zu", i + 1);
        for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) table_cell(t, "%lld", (long long)counts[k]);
        table_cell(t, "%s", recompute[l->recompute]);
        table_cell(t, "%d", l->zero);
        table_cell_number(t, c->result.step_s.mid, UNITS_SECONDS, NULL);
        table_cell_number(t, c->result.mfu, UNITS_FRACTION, NULL);
        table_cell_number(t, c->result.memory_bytes.mid, UNITS_BYTES, NULL);
        why_text(&c->result.breakdown, &a->best[0].result.breakdown, why);
        table_cell(t, "%s", why);
    }
}

static void add_engines(struct table *t, const struct scenario_answer *a) {
    static const char *const names[] = {
        "#", "chips", "tp", "pp", "copies", "batch", "tokens/s a chip", "between tokens", "first token", "bound by"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) table_column(t, names[i], TABLE_RIGHT);
    for (int i = 0; i < a->n_choices; i++) {
        const struct serving_choice *c = &a->choices[i];
        const struct serving_engine *e = &c->engine;
        table_cell(t, "%d", i + 1);
        const int64_t counts[] = {e->tp * e->pp * e->dp, e->tp, e->pp, e->dp};
        for (size_t k = 0; k < sizeof counts / sizeof *counts; k++) table_cell(t, "%lld", (long long)counts[k]);
        table_cell(t, "%.0f", c->point.batch);
        table_cell(t, "%.0f", c->output_tokens_per_s_per_chip);
        table_cell_number(t, c->point.between_tokens_s, UNITS_SECONDS, NULL);
        table_cell_number(t, c->point.first_token_s, UNITS_SECONDS, NULL);
        table_cell(t, "%s", c->point.bound);
    }
}

void scenario_text_choices(struct table *t, const struct scenario_answer *a) {
    if (a->has_train) add_layouts(t, a);
    if (a->has_serving) add_engines(t, a);
}

void scenario_text_formats(struct table *t, const struct scenario_answer *a) {
    static const char *const names[] = {"weights", "cache", "chips an engine", "batch", "tokens/s a chip", "chips"};
    if (a->n_formats == 0) return;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) table_column(t, names[i], TABLE_RIGHT);
    for (int i = 0; i < a->n_formats; i++) {
        const struct scenario_format *f = &a->formats[i];
        table_cell(t, "%s", f->format.name);
        table_cell(t, "%g bits", 8 * f->format.kv_bytes);
        table_cell(t, "%lld", (long long)f->engine_chips);
        table_cell(t, "%.0f", f->batch);
        table_cell(t, "%.0f", f->tokens_per_s_per_chip);
        table_cell_number(t, f->chips, UNITS_PLAIN, NULL);
    }
}

void scenario_text_levers(struct table *t, const struct scenario_told *told) {
    table_column(t, "input", TABLE_LEFT);
    table_column(t, "is", TABLE_RIGHT);
    table_column(t, "10 % less", TABLE_RIGHT);
    table_column(t, "10 % more", TABLE_RIGHT);
    for (int i = 0; i < told->n_levers && i < LEVERS_SHOWN; i++) {
        const struct scenario_lever *l = &told->levers[i];
        char value[64];
        scenario_text_value(l->param, told->answer->question.values[l->param], value);
        table_cell(t, "%s", scenario_param_row(l->param)->key);
        table_cell(t, "%s", value);
        for (int k = 0; k < 2; k++) {
            const double change = k ? l->at_more : l->at_less;
            if (isfinite(change)) table_cell(t, "%+.1f %%", 100 * change);
            else table_cell(t, "-");
        }
    }
}

static bool is_shown(const struct scenario_answer *a, enum scenario_param p) {
    const struct scenario_param_row *row = scenario_param_row(p);
    return (row->kinds & 1u << a->question.kind) && (a->question.is_set[p] || a->question.values[p] != 0);
}

static const char *said_by(const struct scenario_answer *a, enum scenario_param p) {
    const struct scenario_param_row *row = scenario_param_row(p);
    return a->question.is_set[p] ? "given" : row->source ? row->source : "from the tables, or found";
}

void scenario_text_inputs(struct table *t, const struct scenario_answer *a) {
    table_column(t, "input", TABLE_LEFT);
    table_column(t, "value", TABLE_RIGHT);
    table_column(t, "why", TABLE_LEFT);
    for (int p = 0; p < SCENARIO_PARAM_COUNT; p++) {
        char value[64];
        if (!is_shown(a, (enum scenario_param)p)) continue;
        scenario_text_value((enum scenario_param)p, a->question.values[p], value);
        table_cell(t, "%s", scenario_param_row((enum scenario_param)p)->key);
        table_cell(t, "%s", value);
        table_cell(t, "%s", said_by(a, (enum scenario_param)p));
    }
}

/* A heading, and what `fill` puts into a table. */
static cria_status write_table(struct buffer *out, const char *heading, struct table *t, struct cria_error *err) {
    const cria_status status = table_status(t, err);
    if (status == CRIA_OK && t->n_cells > 0) {
        if (heading) buffer_append_format(out, "\n%s\n", heading);
        table_write_text(out, t, 2);
    }
    table_free(t);
    return status;
}

static void write_title(struct buffer *out, const struct scenario *s) {
    buffer_append_format(out, "%s: %s%s", s->name, s->kind == SCENARIO_SITE ? "a site" : s->model,
                         s->kind == SCENARIO_SITE    ? ""
                         : s->kind == SCENARIO_TRAIN ? ", trained"
                                                     : ", served");
    buffer_append_format(out, " on %s%s%s, %s\n", s->gpu, s->kind == SCENARIO_SITE ? "" : " in ",
                         s->kind == SCENARIO_SITE ? "" : s->precision, s->site);
}

cria_status scenario_text_write(struct buffer *out, const struct scenario_told *told, struct cria_error *err) {
    const struct scenario_answer *a = told->answer;
    struct table figures = table_make(), choices = table_make(), levers = table_make(), inputs = table_make(),
                 formats = table_make();
    char heading[160];
    cria_status status;
    write_title(out, &a->question);
    scenario_text_figures(&figures, a);
    scenario_text_choices(&choices, a);
    scenario_text_formats(&formats, a);
    if (told->levers) scenario_text_levers(&levers, told);
    scenario_text_inputs(&inputs, a);
    const struct scenario_figure *main = scenario_figure(a, scenario_main_figure(a->question.kind));
    snprintf(heading, sizeof heading, "What moves \"%s\" most", main ? main->label : "");
    TRY(write_table(out, NULL, &figures, err));
    TRY(write_table(out, a->has_train ? "Layouts, fastest first" : "Engines, most tokens a chip first", &choices, err));
    TRY(write_table(out,
                    "Other formats of weights and cache, fewest chips first (what they do to answers is not judged)",
                    &formats, err));
    TRY(write_table(out, heading, &levers, err));
    TRY(write_table(out, "Assumptions", &inputs, err));
    for (int i = 0; i < a->n_notes; i++) buffer_append_format(out, "  %s\n", a->notes[i]);
    status = buffer_status(out, "the plan", err);
out:
    table_free(&figures);
    table_free(&choices);
    table_free(&formats);
    table_free(&levers);
    table_free(&inputs);
    return status;
}

static void compare_row(struct table *t, const struct scenario_told *rows, int n, const struct scenario_figure *f) {
    table_cell(t, "%s", f->label);
    for (int i = 0; i < n; i++) {
        char text[96] = "-";
        const struct scenario_figure *of = scenario_figure(rows[i].answer, f->key);
        struct scenario_figure shown = of ? *of : *f;
        shown.low = shown.high = 0;
        if (of) scenario_text_figure(&shown, text);
        table_cell(t, "%s", text);
    }
}

void scenario_text_columns(struct table *t, const struct scenario_told *rows, int n) {
    table_column(t, "", TABLE_LEFT);
    for (int i = 0; i < n; i++) table_column(t, rows[i].answer->question.name, TABLE_RIGHT);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < rows[i].answer->n_figures; k++) {
            const struct scenario_figure *f = &rows[i].answer->figures[k];
            bool is_new = true;
            for (int before = 0; before < i && is_new; before++) is_new = !scenario_figure(rows[before].answer, f->key);
            if (is_new) compare_row(t, rows, n, f);
        }
}

cria_status scenario_text_compare(struct buffer *out, const struct scenario_told *rows, int n, struct cria_error *err) {
    struct table t = table_make();
    scenario_text_columns(&t, rows, n);
    const cria_status status = write_table(out, NULL, &t, err);
    return status == CRIA_OK ? buffer_status(out, "the comparison", err) : status;
}
