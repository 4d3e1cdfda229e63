/* economics_test.c: money and power against hand-worked cases and published ones. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "plan/economics.h"

static struct economics_site owned_site(void) {
    return (struct economics_site){.n_chips = 1000,
                                   .mean_watts_per_chip = 1000,
                                   .peak_watts_per_chip = 1400,
                                   .pue = 1.25,
                                   .usd_per_kwh = 0.08,
                                   .carbon_g_per_kwh = 400,
                                   .chip_usd = 40000,
                                   .building_usd_per_watt = 10,
                                   .chip_years = 4,
                                   .building_years = 20,
                                   .staff = 10,
                                   .staff_usd = 200000,
                                   .upkeep_part = 0.05,
                                   .utilisation = 0.8};
}

static bool near(double a, double b) { return fabs(a - b) <= 1e-9 * fabs(b); }

/* Each term worked by hand. Fails when a unit slips (W and kW, g and t, PUE left out). */
static void test_year_by_hand(void **state) {
    (void)state;
    const struct economics_site s = owned_site();
    struct economics_year y;
    assert_int_equal(economics_year(&s, &y, NULL), CRIA_OK);
    assert_true(near(y.energy_kwh, 10.95e6)); /* 1,000 kW x 1.25 x 8,760 h */
    assert_true(near(y.electricity_usd, 876000));
    assert_true(near(y.carbon_tonnes, 4380));
    assert_true(near(y.connected_watts, 1.75e6));
    assert_true(near(y.chips_usd, 10e6) && near(y.building_usd, 700000) && near(y.upkeep_usd, 2e6));
    assert_true(near(y.staff_usd, 2e6) && y.interest_usd == 0);
    assert_true(near(y.total_usd, 15576000));
    assert_true(near(y.usd_per_chip_hour, 15576000 / (1000 * 8760 * 0.8)));
    assert_true(near(y.capital_usd, 54e6));
}

/* The published 100,000 H100: 1.59 TWh and 123.9 million dollars at 7.8 cents (150 MW of IT load, PUE 1.21). */
static void test_published_energy(void **state) {
    (void)state;
    struct economics_site s = owned_site();
    struct economics_year y;
    s.n_chips = 100000;
    s.mean_watts_per_chip = 1500;
    s.pue = 1.21;
    s.usd_per_kwh = 0.078;
    assert_int_equal(economics_year(&s, &y, NULL), CRIA_OK);
    assert_true(fabs(y.energy_kwh / 1.59e9 - 1) < 0.01);
    assert_true(fabs(y.electricity_usd / 123.9e6 - 1) < 0.01);
}

/* An annuity pays back exactly: what is owed after the last payment is nothing. Fails on simple interest. */
static void test_annuity_pays_back(void **state) {
    (void)state;
    double owed = 1000;
    const double payment = economics_annuity(1000, 7, 0.09);
    for (int year = 0; year < 7; year++) owed = owed * 1.09 - payment;
    assert_true(fabs(owed) < 1e-9);
    assert_true(near(economics_annuity(1000, 8, 0), 125));
}

/* Leasing pays for every hour and nothing for power. Fails when a leased site is charged twice. */
static void test_lease(void **state) {
    (void)state;
    struct economics_site s = owned_site();
    struct economics_year y;
    s.is_leased = true;
    s.lease_usd_per_chip_hour = 2;
    assert_int_equal(economics_year(&s, &y, NULL), CRIA_OK);
    assert_true(near(y.lease_usd, 17.52e6) && y.electricity_usd == 0 && y.chips_usd == 0 && y.capital_usd == 0);
    assert_true(near(y.total_usd, 19.52e6) && y.energy_kwh > 0);
}

/* At the break-even of each way to earn, profit is zero. Fails when a term is on the wrong side. */
static void test_break_even(void **state) {
    (void)state;
    const struct economics_market m = {.users = 1e6,
                                       .output_tokens_per_year = 4e12,
                                       .sold_part = 0.5,
                                       .usd_per_million_tokens = 2,
                                       .paying_part = 0.03,
                                       .subscription_usd_per_month = 20,
                                       .advertising_usd_per_user_year = 5};
    const double cost = 40e6;
    struct economics_result r, at;
    assert_int_equal(economics_market(&m, cost, &r, NULL), CRIA_OK);
    assert_true(near(r.token_usd, 4e6) && near(r.subscription_usd, 7.2e6) && near(r.advertising_usd, 4.85e6));
    assert_true(near(r.cost_usd_per_million_tokens, 10) && near(r.cost_usd_per_user_year, 40));
    for (int i = 0; i < 4; i++) {
        struct economics_market b = m;
        if (i == 0) b.usd_per_million_tokens = r.break_even_usd_per_million_tokens;
        if (i == 1) b.subscription_usd_per_month = r.break_even_subscription_usd;
        if (i == 2) b.paying_part = r.break_even_paying_part;
        if (i == 3) b.advertising_usd_per_user_year = r.break_even_advertising_usd;
        assert_int_equal(economics_market(&b, cost, &at, NULL), CRIA_OK);
        assert_true(fabs(at.profit_usd) < 1e-3);
    }
}

/* 30 MW with 1.75 kW a chip at the meter; and what is impossible is refused by name. */
static void test_cap_and_limits(void **state) {
    (void)state;
    struct economics_site s = owned_site();
    struct economics_year y;
    struct economics_result r;
    struct cria_error err;
    assert_true(economics_chips_under_cap(&s, 30e6) == 17142);
    s.pue = 0.9;
    assert_int_equal(economics_year(&s, &y, &err), CRIA_RANGE);
    assert_non_null(strstr(err.text, "PUE"));
    s = owned_site();
    s.n_chips = -1;
    assert_int_equal(economics_year(&s, &y, &err), CRIA_RANGE);
    s.n_chips = (double)NAN;
    assert_int_equal(economics_year(&s, &y, &err), CRIA_RANGE);
    const struct economics_market m = {.users = 1, .paying_part = 1.5};
    assert_int_equal(economics_market(&m, 1, &r, &err), CRIA_RANGE);
    assert_non_null(strstr(err.text, "paying"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_year_by_hand),      cmocka_unit_test(test_published_energy),
        cmocka_unit_test(test_annuity_pays_back), cmocka_unit_test(test_lease),
        cmocka_unit_test(test_break_even),        cmocka_unit_test(test_cap_and_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
