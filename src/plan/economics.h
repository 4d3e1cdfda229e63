/* economics.h: what chips cost in a year, what they must earn, and what a power connection allows.
 *
 * Plain arithmetic over stated inputs; money in US dollars, energy in kilowatt-hours, power in watts. Capital becomes a
 * yearly payment by the annuity of its life and interest. Knows nothing of models: tokens and users are numbers. Pure;
 * any thread. */
#ifndef PLAN_ECONOMICS_H
#define PLAN_ECONOMICS_H

#include <stdbool.h>

#include "base/error.h"

struct economics_site {
    double n_chips;
    double mean_watts_per_chip; /* drawn at the IT side over the year, with the chip's share of host and network */
    double peak_watts_per_chip; /* the same at full load: what is connected */
    double pue;                 /* facility over IT energy */
    double usd_per_kwh, carbon_g_per_kwh;
    double chip_usd;              /* one chip with its share of server and network */
    double building_usd_per_watt; /* of IT load */
    double chip_years, building_years, interest;
    bool is_leased;
    double lease_usd_per_chip_hour; /* with everything but the staff */
    double staff, staff_usd;        /* people, and what one costs in a year */
    double upkeep_part;             /* of the chips' price, each year: spares and contracts */
    double utilisation;             /* of all hours, those that somebody pays for */
};

/* US dollars of one year, and what they buy. */
struct economics_year {
    double chips_usd, building_usd, interest_usd, electricity_usd, upkeep_usd, lease_usd, staff_usd, total_usd;
    double capital_usd; /* before the first day */
    double energy_kwh;  /* at the meter */
    double carbon_tonnes;
    double connected_watts;   /* at the meter, at full load */
    double usd_per_chip_hour; /* of the hours that somebody pays for */
};

/* RANGE names the field. */
CRIA_MUST_CHECK cria_status economics_year(const struct economics_site *s, struct economics_year *ret,
                                           struct cria_error *err);

/* Chips that a connection of so many watts at the meter feeds at full load. */
double economics_chips_under_cap(const struct economics_site *s, double cap_watts);

/* How the service earns. All three may be there at once. */
struct economics_market {
    double users;                  /* a month */
    double output_tokens_per_year; /* answered */
    double sold_part;              /* of the tokens, those that are paid by the token */
    double usd_per_million_tokens; /* output; the prompt is in it */
    double paying_part;            /* of the users */
    double subscription_usd_per_month;
    double advertising_usd_per_user_year; /* of the users who do not pay */
};

struct economics_result {
    double token_usd, subscription_usd, advertising_usd, revenue_usd; /* a year */
    double profit_usd, margin;                                        /* margin: profit / revenue; 0 without revenue */
    double cost_usd_per_million_tokens;
    double cost_usd_per_user_year;
    /* What each alone would have to be for cost and revenue to be equal, the others as they are; 0: none needed. */
    double break_even_usd_per_million_tokens, break_even_subscription_usd, break_even_paying_part,
        break_even_advertising_usd;
};

CRIA_MUST_CHECK cria_status economics_market(const struct economics_market *m, double cost_usd_per_year,
                                             struct economics_result *ret, struct cria_error *err);

/* The yearly payment that returns `capital` with interest in `years`. */
double economics_annuity(double capital, double years, double interest);

#endif
