/* meter_test.c: the energy meter over made-up counters, and its model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "meter/meter.h"

#define RANGE 1000000000

static char folder[64];

static void write_text(const char *zone, const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s/%s", folder, zone, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void write_count(const char *zone, long long count) {
    char text[32];
    snprintf(text, sizeof text, "%lld\n", count);
    write_text(zone, "energy_uj", text);
}

static void make_zone(const char *zone, const char *name, long long count) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, zone);
    assert_int_equal(mkdir(path, 0700), 0);
    write_text(zone, "name", name);
    write_text(zone, "max_energy_range_uj", "1000000000\n");
    write_count(zone, count);
}

static int set_up(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/cria-meter-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    char path[384];
    const char *const zones[] = {"intel-rapl:0", "intel-rapl:0:0", "intel-rapl:0:1",
                                 "intel-rapl:1", "intel-rapl:2",   "intel-rapl-mmio:0"};
    const char *const names[] = {"name", "max_energy_range_uj", "energy_uj"};
    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++) {
        for (size_t k = 0; k < 3; k++) {
            snprintf(path, sizeof path, "%s/%s/%s", folder, zones[i], names[k]);
            unlink(path);
        }
        snprintf(path, sizeof path, "%s/%s", folder, zones[i]);
        rmdir(path);
    }
    return rmdir(folder);
}

static meter *make(void) {
    meter *m = NULL;
    assert_int_equal(meter_create(&m, &(struct meter_options){.powercap = folder}, NULL), CRIA_OK);
    return m;
}

/* Catches a package, its cores and the platform being added up as if they were different energy, and a memory that is
 * left out. */
static void test_zones(void **state) {
    (void)state;
    make_zone("intel-rapl:0", "package-0\n", 500);
    make_zone("intel-rapl:0:0", "core\n", 100);
    make_zone("intel-rapl:0:1", "dram\n", 200);
    make_zone("intel-rapl:1", "package-1\n", 900);
    make_zone("intel-rapl:2", "psys\n", 0);
    make_zone("intel-rapl-mmio:0", "package-0\n", 0);
    meter *m = make();
    struct meter_reading r;
    assert_string_equal(meter_source(m), "RAPL: 2 packages and memory");
    write_count("intel-rapl:0", 500 + 3000000);
    write_count("intel-rapl:0:0", 100 + 50000000);
    write_count("intel-rapl:0:1", 200 + 500000);
    write_count("intel-rapl:1", 900 + 2000000);
    write_count("intel-rapl:2", 90000000);
    write_count("intel-rapl-mmio:0", 90000000);
    meter_read(m, &r);
    assert_true(fabs(r.joules - 5.5) < 1e-9);
    assert_false(r.is_estimated);
    assert_true(r.seconds >= 0);
    meter_read(m, &r);
    assert_true(fabs(r.joules - 5.5) < 1e-9);
    meter_destroy(&m);
    assert_null(m);
    meter_destroy(&m);
}

/* Catches a counter that began again being taken for 18 exajoules, or for nothing. */
static void test_wrap(void **state) {
    (void)state;
    make_zone("intel-rapl:0", "package-0\n", RANGE - 1000000);
    meter *m = make();
    struct meter_reading r;
    write_count("intel-rapl:0", 2000000);
    meter_read(m, &r);
    assert_true(fabs(r.joules - 3.0) < 1e-5);
    meter_destroy(&m);
}

/* Catches a counter that can be read no more (rights taken away) ending in zero joules or in a claim to have measured.
 */
static void test_lost(void **state) {
    (void)state;
    make_zone("intel-rapl:0", "package-0\n", 0);
    meter *m = make();
    struct meter_reading r;
    write_count("intel-rapl:0", 4000000);
    meter_read(m, &r);
    assert_false(r.is_estimated);
    write_text("intel-rapl:0", "energy_uj", "gone\n");
    usleep(20000);
    meter_read(m, &r);
    assert_true(r.is_estimated);
    assert_true(r.joules > 4.0 && r.joules < 1000);
    assert_non_null(strstr(meter_source(m), "in part estimated"));
    meter_destroy(&m);
}

/* Catches the model not being the one that is stated, and files of the wrong form being believed. */
static void test_model(void **state) {
    (void)state;
    make_zone("intel-rapl:0", "package-0\n", 0);
    write_text("intel-rapl:0", "energy_uj", "-5\n");
    meter *m = NULL;
    struct meter_reading r;
    const struct meter_options o = {.powercap = folder, .idle_watts = 1000, .core_watts = 1e-9};
    assert_int_equal(meter_create(&m, &o, NULL), CRIA_OK);
    assert_string_equal(meter_source(m), "estimated: 1000 W + 1e-09 W for each busy core");
    usleep(20000);
    meter_read(m, &r);
    assert_true(r.is_estimated);
    assert_true(r.joules >= 1000 * 0.02 && fabs(r.joules - 1000 * r.seconds) < 1e-3);
    meter_destroy(&m);
    struct cria_error err = {0};
    assert_int_equal(meter_create(&m, &(struct meter_options){.idle_watts = -1}, &err), CRIA_RANGE);
    assert_non_null(strstr(err.text, "found -1"));
    assert_int_equal(meter_create(&m, &(struct meter_options){.core_watts = NAN}, NULL), CRIA_RANGE);
    assert_null(m);
    alloc_fail_at(1);
    assert_int_equal(meter_create(&m, NULL, NULL), CRIA_NOMEM);
    alloc_fail_at(0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_zones, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrap, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lost, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_model, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
