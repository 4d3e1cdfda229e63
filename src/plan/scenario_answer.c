/* scenario_answer.c: evaluating a scenario of any kind: finding its rows, adding figures and notes, pricing a year
 * (scenario.h). */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "plan/scenario_parts.h"

void scenario_add_range(struct scenario_answer *a, const char *key, const char *label, const char *unit,
                        enum units_kind kind, struct plan_range value) {
    CRIA_ASSERT(a->n_figures < SCENARIO_MAX_FIGURES);
    a->figures[a->n_figures++] = (struct scenario_figure){.key = key,
                                                          .label = label,
                                                          .unit = unit,
                                                          .kind = kind,
                                                          .value = value.mid,
                                                          .low = value.low,
                                                          .high = value.high};
}

void scenario_add(struct scenario_answer *a, const char *key, const char *label, const char *unit, enum units_kind kind,
                  double value) {
    scenario_add_range(a, key, label, unit, kind, (struct plan_range){.mid = value});
}

void scenario_mark(struct scenario_answer *a) { a->figures[a->n_figures - 1].is_headline = true; }

void scenario_note(struct scenario_answer *a, const char *format, ...) {
    va_list args;
    CRIA_ASSERT(a->n_notes < SCENARIO_MAX_NOTES);
    va_start(args, format);
    vsnprintf(a->notes[a->n_notes++], SCENARIO_NOTE_BYTES, format, args);
    va_end(args);
}

const struct scenario_figure *scenario_figure(const struct scenario_answer *a, const char *key) {
    for (int i = 0; i < a->n_figures; i++)
        if (strcmp(a->figures[i].key, key) == 0) return &a->figures[i];
    return NULL;
}

cria_status scenario_place_find(const struct scenario *s, const plan_hardware *hw, struct scenario_place *ret,
                                struct cria_error *err) {
    struct scenario_place at = {.hw = hw};
    cria_status status;
    TRY(hardware_chip(hw, s->gpu, &at.chip, err));
    TRY(hardware_site(hw, s->site, &at.site, err));
    if (at.chip->node[0] && hardware_node(hw, at.chip->node, &at.node, NULL) != CRIA_OK) at.node = NULL;
    if (at.node && at.node->network[0] && hardware_network(hw, at.node->network, &at.network, NULL) != CRIA_OK)
        at.network = NULL;
    *ret = at;
out:
    return status;
}

static void fill_if_zero(struct scenario *s, enum scenario_param p, double value) {
    if (!s->is_set[p] && s->values[p] == 0) s->values[p] = value;
}

/* A chip's part of a node, network and all. */
static double chip_price(const struct scenario_place *at) {
    const double in_node = at->node && at->node->price_usd > 0 ? at->node->price_usd / (double)at->node->n_chips
                                                               : 1.2 * at->chip->price_usd;
    return in_node + (at->network ? at->network->price_usd_per_chip : 0);
}

void scenario_place_fill(struct scenario_answer *a, const struct scenario_place *at) {
    struct scenario *s = &a->question;
    a->chip = *at->chip;
    for (int p = 0; p < PLAN_PRECISION_COUNT; p++) {
        a->chip.peak_flop_per_s[p] *= s->values[SCENARIO_CHIP_RATE];
        a->chip.matmul_flop_per_s[p] *= s->values[SCENARIO_CHIP_RATE];
    }
    a->chip.attention_flop_per_s *= s->values[SCENARIO_CHIP_RATE];
    a->chip.attention_first_flop_per_s *= s->values[SCENARIO_CHIP_RATE];
    a->chip.memory_bytes_per_s *= s->values[SCENARIO_CHIP_BANDWIDTH];
    a->chip.tdp_watts *= s->values[SCENARIO_CHIP_POWER];
    fill_if_zero(s, SCENARIO_PUE, at->site->pue);
    fill_if_zero(s, SCENARIO_KWH_PRICE, at->site->usd_per_kwh);
    fill_if_zero(s, SCENARIO_CARBON, at->site->carbon_g_per_kwh);
    fill_if_zero(s, SCENARIO_BUILDING_PRICE, at->site->capital_usd_per_watt);
    fill_if_zero(s, SCENARIO_CHIP_PRICE, chip_price(at));
    scenario_note(a, "%s: %.0f W, %.0f GB at %.2f TB/s; %s", at->chip->name, a->chip.tdp_watts,
                  a->chip.memory_bytes * 1e-9, a->chip.memory_bytes_per_s * 1e-12, at->chip->source);
    if (at->node)
        scenario_note(a, "%s: %.0f W of host for %lld chips; %s", at->node->name, at->node->host_watts,
                      (long long)at->node->n_chips, at->node->source);
    if (at->network)
        scenario_note(a, "%s: %.0f W and US$ %.0f a chip; %s", at->network->name, at->network->watts_per_chip,
                      at->network->price_usd_per_chip, at->network->source);
    scenario_note(a, "%s: PUE %.2f, US$ %.4f a kWh, %.0f g of CO2 a kWh; %s", at->site->name, s->values[SCENARIO_PUE],
                  s->values[SCENARIO_KWH_PRICE], s->values[SCENARIO_CARBON], at->site->source);
}

double scenario_peak_watts(const struct scenario_answer *a, const struct scenario_place *at) {
    /* Where no node is known the host takes as much as the table's nodes do, for each watt of chip. */
    const double host = at->node ? at->node->host_watts / (double)at->node->n_chips : 0.8 * a->chip.tdp_watts;
    const double network = at->network ? at->network->watts_per_chip : 0;
    return (a->chip.tdp_watts + host + network) * (1 + a->question.values[SCENARIO_EXTRA_POWER]);
}

static double staff_of(const struct scenario *s, double n_chips) {
    return s->values[SCENARIO_STAFF] > 0 || s->is_set[SCENARIO_STAFF] ? s->values[SCENARIO_STAFF] : 3 + n_chips / 2000;
}

cria_status scenario_money(struct scenario_answer *a, const struct scenario_place *at, double n_chips,
                           double mean_watts, double utilisation, struct economics_year *ret_year,
                           struct cria_error *err) {
    const double *v = a->question.values;
    const struct economics_site site = {.n_chips = n_chips,
                                        .mean_watts_per_chip = mean_watts,
                                        .peak_watts_per_chip = scenario_peak_watts(a, at),
                                        .pue = v[SCENARIO_PUE],
                                        .usd_per_kwh = v[SCENARIO_KWH_PRICE],
                                        .carbon_g_per_kwh = v[SCENARIO_CARBON],
                                        .chip_usd = v[SCENARIO_CHIP_PRICE],
                                        .building_usd_per_watt = v[SCENARIO_BUILDING_PRICE],
                                        .chip_years = v[SCENARIO_CHIP_YEARS],
                                        .building_years = v[SCENARIO_BUILDING_YEARS],
                                        .interest = v[SCENARIO_INTEREST],
                                        .is_leased = v[SCENARIO_LEASE] > 0,
                                        .lease_usd_per_chip_hour = v[SCENARIO_LEASE],
                                        .staff = staff_of(&a->question, n_chips),
                                        .staff_usd = v[SCENARIO_STAFF_PRICE],
                                        .upkeep_part = v[SCENARIO_UPKEEP],
                                        .utilisation = utilisation};
    struct economics_year y;
    const cria_status status = economics_year(&site, &y, err);
    if (status != CRIA_OK) return status;
    const double cap = v[SCENARIO_POWER_CAP];
    scenario_add(a, "it-watts", "IT power at full load", "W", UNITS_SI, n_chips * site.peak_watts_per_chip);
    scenario_mark(a);
    scenario_add(a, "meter-watts", "power connection (with cooling)", "W", UNITS_SI, y.connected_watts);
    scenario_mark(a);
    if (cap > 0) {
        scenario_add(a, "cap-used", "of the power cap", "1", UNITS_FRACTION, y.connected_watts / cap);
        scenario_add(a, "cap-chips", "chips that the cap feeds", "chip", UNITS_PLAIN,
                     economics_chips_under_cap(&site, cap));
    }
    *ret_year = y;
    return CRIA_OK;
}

void scenario_costs(struct scenario_answer *a, const struct economics_year *y, double part, const char *costs_of) {
    const struct scenario_cost rows[] = {{"chips", y->chips_usd},       {"building", y->building_usd},
                                         {"interest", y->interest_usd}, {"electricity", y->electricity_usd},
                                         {"upkeep", y->upkeep_usd},     {"lease", y->lease_usd},
                                         {"staff", y->staff_usd}};
    a->costs_of = costs_of;
    a->n_costs = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].usd > 0) a->costs[a->n_costs++] = (struct scenario_cost){rows[i].label, rows[i].usd * part};
}

cria_status scenario_evaluate(const struct scenario *s, const plan_hardware *hw, bool is_quick,
                              struct scenario_answer *ret, struct cria_error *err) {
    struct scenario_place at;
    struct scenario_answer *a = ALLOC_NEW(struct scenario_answer);
    cria_status status;
    if (!a) return ERROR_NOMEM(err, sizeof *a, "the answer of a scenario");
    a->question = *s;
    TRY(scenario_place_find(s, hw, &at, err));
    scenario_place_fill(a, &at);
    switch (s->kind) {
        case SCENARIO_TRAIN:
            TRY(scenario_train(a, &at, is_quick, err));
            break;
        case SCENARIO_SERVE:
            TRY(scenario_serve(a, &at, is_quick, err));
            break;
        case SCENARIO_SITE:
            TRY(scenario_site(a, &at, err));
            break;
        default:
            TRY(ERROR_SET(err, CRIA_USAGE, "a scenario without a kind"));
            break;
    }
    *ret = *a;
    ret->train.chip = &ret->chip;
    for (int i = 0; i < ret->n_choices; i++) ret->choices[i].engine.chip = &ret->chip;
out:
    if (status != CRIA_OK) error_prefix(err, "%s", s->name);
    alloc_free(a);
    return status;
}
