/* scenario_text.h: answers as text for a terminal and as JSON. Pages are plan_page.h's. Pure appends. */
#ifndef PLAN_SCENARIO_TEXT_H
#define PLAN_SCENARIO_TEXT_H

#include "base/buffer.h"
#include "plan/scenario.h"
#include "report/table.h"

/* What is said about one answer; levers may be NULL. */
struct scenario_told {
    const struct scenario_answer *answer;
    const struct scenario_lever *levers;
    int n_levers;
};

/* "12.3 MW (11 to 14)" */
void scenario_text_figure(const struct scenario_figure *f, char out[96]);
/* A parameter's value with its unit. */
void scenario_text_value(enum scenario_param p, double value, char out[64]);

/* Tables: columns and cells are added to an empty one. The last has a column for each scenario and a row for each
 * figure that any of them has. */
void scenario_text_figures(struct table *t, const struct scenario_answer *a);
void scenario_text_choices(struct table *t, const struct scenario_answer *a); /* layouts or engines */
void scenario_text_formats(struct table *t, const struct scenario_answer *a); /* of weights and cache */
void scenario_text_levers(struct table *t, const struct scenario_told *told);
void scenario_text_inputs(struct table *t, const struct scenario_answer *a);
void scenario_text_columns(struct table *t, const struct scenario_told *rows, int n);

/* One answer: figures, choices, levers, assumptions. */
CRIA_MUST_CHECK cria_status scenario_text_write(struct buffer *out, const struct scenario_told *t,
                                                struct cria_error *err);
/* Several side by side. */
CRIA_MUST_CHECK cria_status scenario_text_compare(struct buffer *out, const struct scenario_told *rows, int n,
                                                  struct cria_error *err);
/* An array of objects: name, kind, inputs {key: {value, unit, set_by}}, figures {key: {value, low, high, unit}},
 * layouts or engines, levers, assumptions. Numbers as 64-bit floats. */
void scenario_text_json(struct buffer *out, const struct scenario_told *rows, int n);

#endif
