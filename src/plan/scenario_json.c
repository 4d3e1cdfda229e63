/* scenario_json.c: answers as JSON (scenario_text.h). */
#include <math.h>

#include "base/json.h"
#include "plan/scenario_text.h"

static void write_number(json_writer *w, const char *key, double value) {
    json_write_key(w, key);
    json_write_f64(w, value);
}

static void write_text(json_writer *w, const char *key, const char *text) {
    json_write_key(w, key);
    json_write_text(w, text);
}

static void write_inputs(json_writer *w, const struct scenario_answer *a) {
    const struct scenario *s = &a->question;
    json_write_key(w, "inputs");
    json_write_begin_object(w);
    write_text(w, "model", s->model);
    write_text(w, "gpu", s->gpu);
    write_text(w, "site", s->site);
    write_text(w, "precision", s->precision);
    write_text(w, "software", s->software);
    for (int p = 0; p < SCENARIO_PARAM_COUNT; p++) {
        const struct scenario_param_row *row = scenario_param_row((enum scenario_param)p);
        if (!(row->kinds & 1u << s->kind)) continue;
        json_write_key(w, row->key);
        json_write_begin_object(w);
        write_number(w, "value", s->values[p]);
        write_text(w, "unit", row->unit);
        json_write_key(w, "given");
        json_write_bool(w, s->is_set[p]);
        if (row->source) write_text(w, "source", row->source);
        json_write_end_object(w);
    }
    json_write_end_object(w);
}

static void write_figures(json_writer *w, const struct scenario_answer *a) {
    json_write_key(w, "figures");
    json_write_begin_object(w);
    for (int i = 0; i < a->n_figures; i++) {
        const struct scenario_figure *f = &a->figures[i];
        json_write_key(w, f->key);
        json_write_begin_object(w);
        write_number(w, "value", f->value);
        if (f->low != f->high) {
            write_number(w, "low", f->low);
            write_number(w, "high", f->high);
        }
        write_text(w, "unit", f->unit);
        write_text(w, "label", f->label);
        json_write_end_object(w);
    }
    json_write_end_object(w);
    json_write_key(w, "costs");
    json_write_begin_object(w);
    for (int i = 0; i < a->n_costs; i++) write_number(w, a->costs[i].label, a->costs[i].usd);
    json_write_end_object(w);
}

static void write_layouts(json_writer *w, const struct scenario_answer *a) {
    static const char *const recompute[] = {"none", "selective", "full"};
    json_write_key(w, "layouts");
    json_write_begin_array(w);
    for (size_t i = 0; i < a->n_best; i++) {
        const struct plan_layout *l = &a->best[i].layout;
        const struct plan_train_result *r = &a->best[i].result;
        json_write_begin_object(w);
        write_number(w, "dp", (double)l->dp);
        write_number(w, "tp", (double)l->tp);
        write_number(w, "pp", (double)l->pp);
        write_number(w, "cp", (double)l->cp);
        write_number(w, "ep", (double)l->ep);
        write_number(w, "micro_batch", (double)l->micro_batch);
        write_number(w, "zero", l->zero);
        write_text(w, "recompute", recompute[l->recompute]);
        write_number(w, "step_s", r->step_s.mid);
        write_number(w, "mfu", r->mfu);
        write_number(w, "memory_bytes", r->memory_bytes.mid);
        json_write_end_object(w);
    }
    json_write_end_array(w);
}

static void write_engines(json_writer *w, const struct scenario_answer *a) {
    json_write_key(w, "engines");
    json_write_begin_array(w);
    for (int i = 0; i < a->n_choices; i++) {
        const struct serving_choice *c = &a->choices[i];
        json_write_begin_object(w);
        write_number(w, "tp", (double)c->engine.tp);
        write_number(w, "pp", (double)c->engine.pp);
        write_number(w, "copies", (double)c->engine.dp);
        write_number(w, "batch", c->point.batch);
        write_number(w, "tokens_per_s_per_chip", c->output_tokens_per_s_per_chip);
        write_number(w, "first_token_s", c->point.first_token_s);
        write_number(w, "between_tokens_s", c->point.between_tokens_s);
        write_text(w, "bound", c->point.bound);
        json_write_end_object(w);
    }
    json_write_end_array(w);
}

static void write_formats(json_writer *w, const struct scenario_answer *a) {
    json_write_key(w, "formats");
    json_write_begin_array(w);
    for (int i = 0; i < a->n_formats; i++) {
        const struct scenario_format *f = &a->formats[i];
        json_write_begin_object(w);
        write_text(w, "weights", f->format.name);
        write_number(w, "kv_bytes", f->format.kv_bytes);
        write_number(w, "engine_chips", (double)f->engine_chips);
        write_number(w, "tokens_per_s_per_chip", f->tokens_per_s_per_chip);
        write_number(w, "chips", f->chips);
        json_write_end_object(w);
    }
    json_write_end_array(w);
}

static void write_levers(json_writer *w, const struct scenario_told *t) {
    write_text(w, "levers_of", scenario_main_figure(t->answer->question.kind));
    json_write_key(w, "levers");
    json_write_begin_object(w);
    for (int i = 0; i < t->n_levers; i++) {
        const struct scenario_lever *l = &t->levers[i];
        json_write_key(w, scenario_param_row(l->param)->key);
        json_write_begin_object(w);
        write_number(w, "at_10_percent_less", l->at_less);
        write_number(w, "at_10_percent_more", l->at_more);
        json_write_end_object(w);
    }
    json_write_end_object(w);
}

void scenario_text_json(struct buffer *out, const struct scenario_told *rows, int n) {
    json_writer w = json_writer_make(out);
    json_write_begin_array(&w);
    for (int i = 0; i < n; i++) {
        const struct scenario_answer *a = rows[i].answer;
        json_write_begin_object(&w);
        write_text(&w, "name", a->question.name);
        write_text(&w, "kind", scenario_kind_name(a->question.kind));
        write_inputs(&w, a);
        write_figures(&w, a);
        if (a->has_train) write_layouts(&w, a);
        if (a->has_serving) write_engines(&w, a);
        if (a->n_formats > 0) write_formats(&w, a);
        if (rows[i].levers) write_levers(&w, &rows[i]);
        json_write_key(&w, "assumptions");
        json_write_begin_array(&w);
        for (int k = 0; k < a->n_notes; k++) json_write_text(&w, a->notes[k]);
        json_write_end_array(&w);
        json_write_end_object(&w);
    }
    json_write_end_array(&w);
}
