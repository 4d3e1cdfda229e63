/* scenario_parts.h: what the files that evaluate scenarios share; private to them. */
#ifndef PLAN_SCENARIO_PARTS_H
#define PLAN_SCENARIO_PARTS_H

#include "plan/scenario.h"

/* The rows that a scenario names. */
struct scenario_place {
    const struct plan_hardware *hw;
    const struct plan_chip *chip;       /* as in the table */
    const struct plan_node *node;       /* NULL: none known */
    const struct plan_network *network; /* NULL: none known */
    const struct plan_site *site;
};

CRIA_MUST_CHECK cria_status scenario_place_find(const struct scenario *s, const plan_hardware *hw,
                                                struct scenario_place *ret, struct cria_error *err);
/* Chip, prices and site's figures where the scenario does not set its own; into a->chip and a->question. */
void scenario_place_fill(struct scenario_answer *a, const struct scenario_place *at);

/* Watts of the IT side for one chip with its share of host, network and the rest, all at full load. */
double scenario_peak_watts(const struct scenario_answer *a, const struct scenario_place *at);

/* Adds a figure. */
void scenario_add(struct scenario_answer *a, const char *key, const char *label, const char *unit, enum units_kind kind,
                  double value);
/* The same with a range, and as one of those that stand on top. */
void scenario_add_range(struct scenario_answer *a, const char *key, const char *label, const char *unit,
                        enum units_kind kind, struct plan_range value);
/* Makes the figure that was added last stand on top. */
void scenario_mark(struct scenario_answer *a);
/* A line of assumptions. */
void scenario_note(struct scenario_answer *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A year of n_chips at mean_watts (IT side, each): power, energy, carbon, costs; *ret_year too. */
CRIA_MUST_CHECK cria_status scenario_money(struct scenario_answer *a, const struct scenario_place *at, double n_chips,
                                           double mean_watts, double utilisation, struct economics_year *ret_year,
                                           struct cria_error *err);
/* The costs of `part` of that year as the answer's waterfall. */
void scenario_costs(struct scenario_answer *a, const struct economics_year *y, double part, const char *costs_of);

CRIA_MUST_CHECK cria_status scenario_train(struct scenario_answer *a, const struct scenario_place *at, bool is_quick,
                                           struct cria_error *err);
CRIA_MUST_CHECK cria_status scenario_serve(struct scenario_answer *a, const struct scenario_place *at, bool is_quick,
                                           struct cria_error *err);
CRIA_MUST_CHECK cria_status scenario_site(struct scenario_answer *a, const struct scenario_place *at,
                                          struct cria_error *err);

#endif
