/* scenario_site.c: a year of a site: chips or a power cap in, power, energy, carbon and money out (scenario.h). */
#include <math.h>

#include "plan/scenario_parts.h"

cria_status scenario_site(struct scenario_answer *a, const struct scenario_place *at, struct cria_error *err) {
    struct scenario *s = &a->question;
    double *v = s->values;
    struct economics_year y;
    const double peak = scenario_peak_watts(a, at), mean = peak * v[SCENARIO_LOAD];
    if (v[SCENARIO_GPUS] == 0 && v[SCENARIO_POWER_CAP] == 0)
        return ERROR_SET(err, CRIA_USAGE, "a site needs gpus or a power-cap");
    if (v[SCENARIO_GPUS] == 0) v[SCENARIO_GPUS] = floor(v[SCENARIO_POWER_CAP] / (peak * v[SCENARIO_PUE]));
    if (v[SCENARIO_GPUS] < 1)
        return ERROR_SET(err, CRIA_RANGE, "a power cap of %g W feeds no %s: one takes %.0f W at the meter",
                         v[SCENARIO_POWER_CAP], at->chip->name, peak * v[SCENARIO_PUE]);
    const double n = v[SCENARIO_GPUS];
    scenario_add(a, "chips", "chips", "chip", UNITS_PLAIN, n);
    scenario_mark(a);
    cria_status status = scenario_money(a, at, n, mean, v[SCENARIO_UTILISATION], &y, err);
    if (status != CRIA_OK) return status;
    scenario_add(a, "watts-per-chip", "IT power a chip", "W", UNITS_SI, peak);
    scenario_add(a, "bf16-flop-per-s", "BF16 peak, dense", "FLOP/s", UNITS_SI, n * a->chip.peak_flop_per_s[PLAN_BF16]);
    scenario_add(a, "memory", "chip memory", "B", UNITS_BYTES, n * a->chip.memory_bytes);
    scenario_add(a, "energy-per-year", "energy a year, at the meter", "Wh", UNITS_SI, y.energy_kwh * 1000);
    scenario_mark(a);
    scenario_add(a, "carbon-per-year", "CO2 a year", "t", UNITS_PLAIN, y.carbon_tonnes);
    scenario_add(a, "capital", "capital", "US$", UNITS_MONEY, y.capital_usd);
    scenario_mark(a);
    scenario_add(a, "electricity-per-year", "electricity a year", "US$", UNITS_MONEY,
                 y.energy_kwh * v[SCENARIO_KWH_PRICE]);
    scenario_add(a, "cost-per-year", "cost a year", "US$", UNITS_MONEY, y.total_usd);
    scenario_mark(a);
    scenario_add(a, "cost-per-chip-hour", "cost of a used chip-hour", "US$", UNITS_MONEY, y.usd_per_chip_hour);
    /* A run that everybody knows, as a measure: 6 N D of Llama 3.1 405B at 40 percent of the BF16 peak. */
    const double flop = 6 * 405.85e9 * 15.6e12, rate = 0.4 * n * a->chip.peak_flop_per_s[PLAN_BF16];
    if (rate > 0)
        scenario_add(a, "llama3-405b-days", "Llama 3.1 405B at 40 % of peak", "day", UNITS_SECONDS,
                     flop / rate / 86400);
    scenario_costs(a, &y, 1, "a year");
    return CRIA_OK;
}
