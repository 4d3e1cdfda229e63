/* economics.c: see economics.h. */
#include "plan/economics.h"

#include <math.h>

static const double hours_per_year = 8760;

struct bound {
    const char *name;
    double value, min, max;
};

static cria_status check(const struct bound *rows, int n, struct cria_error *err) {
    for (int i = 0; i < n; i++)
        if (!(rows[i].value >= rows[i].min && rows[i].value <= rows[i].max))
            return ERROR_SET(err, CRIA_RANGE, "%s must lie between %g and %g, not %g", rows[i].name, rows[i].min,
                             rows[i].max, rows[i].value);
    return CRIA_OK;
}

double economics_annuity(double capital, double years, double interest) {
    return interest > 0 ? capital * interest / -expm1(-years * log1p(interest)) : capital / years;
}

static cria_status check_site(const struct economics_site *s, struct cria_error *err) {
    const struct bound rows[] = {
        {"the number of chips", s->n_chips, 0, 1e9},
        {"mean watts a chip", s->mean_watts_per_chip, 0, 1e6},
        {"peak watts a chip", s->peak_watts_per_chip, 0, 1e6},
        {"the PUE", s->pue, 1, 10},
        {"US$ a kWh", s->usd_per_kwh, -1, 100},
        {"g of CO2 a kWh", s->carbon_g_per_kwh, 0, 5000},
        {"the price of a chip", s->chip_usd, 0, 1e8},
        {"US$ of building a watt", s->building_usd_per_watt, 0, 1e4},
        {"the chips' life in years", s->chip_years, 0.1, 100},
        {"the building's life in years", s->building_years, 0.1, 200},
        {"interest a year", s->interest, 0, 1},
        {"the lease a chip and hour", s->lease_usd_per_chip_hour, 0, 1e4},
        {"the number of staff", s->staff, 0, 1e7},
        {"US$ for one of the staff", s->staff_usd, 0, 1e8},
        {"upkeep a year", s->upkeep_part, 0, 1},
        {"utilisation", s->utilisation, 1e-6, 1},
    };
    return check(rows, (int)(sizeof rows / sizeof *rows), err);
}

cria_status economics_year(const struct economics_site *s, struct economics_year *ret, struct cria_error *err) {
    struct economics_year y = {0};
    const cria_status status = check_site(s, err);
    if (status != CRIA_OK) return status;
    y.energy_kwh = s->n_chips * s->mean_watts_per_chip * s->pue * hours_per_year / 1000;
    y.carbon_tonnes = y.energy_kwh * s->carbon_g_per_kwh * 1e-6;
    y.connected_watts = s->n_chips * s->peak_watts_per_chip * s->pue;
    y.staff_usd = s->staff * s->staff_usd;
    if (s->is_leased) {
        /* Who leases pays for all hours; the lessor pays for power and building. */
        y.lease_usd = s->n_chips * s->lease_usd_per_chip_hour * hours_per_year;
    } else {
        const double chips = s->n_chips * s->chip_usd;
        const double building = s->n_chips * s->peak_watts_per_chip * s->building_usd_per_watt;
        y.capital_usd = chips + building;
        y.chips_usd = chips / s->chip_years;
        y.building_usd = building / s->building_years;
        y.interest_usd = economics_annuity(chips, s->chip_years, s->interest) - y.chips_usd +
                         economics_annuity(building, s->building_years, s->interest) - y.building_usd;
        y.electricity_usd = y.energy_kwh * s->usd_per_kwh;
        y.upkeep_usd = chips * s->upkeep_part;
    }
    y.total_usd =
        y.chips_usd + y.building_usd + y.interest_usd + y.electricity_usd + y.upkeep_usd + y.lease_usd + y.staff_usd;
    const double paid_hours = s->n_chips * hours_per_year * s->utilisation;
    y.usd_per_chip_hour = paid_hours > 0 ? y.total_usd / paid_hours : 0;
    *ret = y;
    return CRIA_OK;
}

double economics_chips_under_cap(const struct economics_site *s, double cap_watts) {
    const double each = s->peak_watts_per_chip * s->pue;
    return each > 0 && cap_watts > 0 ? floor(cap_watts / each) : 0;
}

static double at_least_zero_ratio(double amount, double units) { return units > 0 && amount > 0 ? amount / units : 0; }

cria_status economics_market(const struct economics_market *m, double cost_usd_per_year, struct economics_result *ret,
                             struct cria_error *err) {
    const struct bound rows[] = {
        {"the number of users", m->users, 0, 1e11},
        {"output tokens a year", m->output_tokens_per_year, 0, 1e21},
        {"the sold part of the tokens", m->sold_part, 0, 1},
        {"US$ a million tokens", m->usd_per_million_tokens, 0, 1e6},
        {"the paying part of the users", m->paying_part, 0, 1},
        {"the subscription", m->subscription_usd_per_month, 0, 1e6},
        {"advertising a user and year", m->advertising_usd_per_user_year, 0, 1e6},
        {"the cost of a year", cost_usd_per_year, 0, 1e15},
    };
    struct economics_result r = {0};
    const cria_status status = check(rows, (int)(sizeof rows / sizeof *rows), err);
    if (status != CRIA_OK) return status;
    const double sold_millions = m->output_tokens_per_year * m->sold_part * 1e-6;
    const double payer_months = m->users * m->paying_part * 12, watchers = m->users * (1 - m->paying_part);
    r.token_usd = sold_millions * m->usd_per_million_tokens;
    r.subscription_usd = payer_months * m->subscription_usd_per_month;
    r.advertising_usd = watchers * m->advertising_usd_per_user_year;
    r.revenue_usd = r.token_usd + r.subscription_usd + r.advertising_usd;
    r.profit_usd = r.revenue_usd - cost_usd_per_year;
    r.margin = r.revenue_usd > 0 ? r.profit_usd / r.revenue_usd : 0;
    r.cost_usd_per_million_tokens = at_least_zero_ratio(cost_usd_per_year, m->output_tokens_per_year * 1e-6);
    r.cost_usd_per_user_year = at_least_zero_ratio(cost_usd_per_year, m->users);
    r.break_even_usd_per_million_tokens =
        at_least_zero_ratio(cost_usd_per_year - r.subscription_usd - r.advertising_usd, sold_millions);
    r.break_even_subscription_usd =
        at_least_zero_ratio(cost_usd_per_year - r.token_usd - r.advertising_usd, payer_months);
    /* A user who begins to pay brings the subscription and takes the advertising away. */
    r.break_even_paying_part =
        at_least_zero_ratio(cost_usd_per_year - r.token_usd - m->users * m->advertising_usd_per_user_year,
                            m->users * (12 * m->subscription_usd_per_month - m->advertising_usd_per_user_year));
    r.break_even_advertising_usd = at_least_zero_ratio(cost_usd_per_year - r.token_usd - r.subscription_usd, watchers);
    *ret = r;
    return CRIA_OK;
}
