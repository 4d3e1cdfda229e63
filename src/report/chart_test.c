/* chart_test.c: numbers as text, axes, and what charts draw for ordinary and for odd data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/chart.h"
#include "report/markup.h"
#include "report/scale.h"

#define MAX_SVG ((size_t)8 << 20)

static void expect_text(double value, enum units_kind kind, const char *unit, const char *expected) {
    char text[UNITS_TEXT_BYTES];
    units_text(text, value, kind, unit);
    assert_string_equal(text, expected);
}

/* Catches a prefix a thousand off, four digits after rounding ("1000 kJ"), and minutes that lose their seconds. */
static void test_units(void **state) {
    (void)state;
    expect_text(0, UNITS_PLAIN, NULL, "0");
    expect_text(2.3149, UNITS_PLAIN, NULL, "2.31");
    expect_text(9999, UNITS_PLAIN, NULL, "9999");
    expect_text(14213, UNITS_PLAIN, NULL, "14.2k");
    expect_text(8.03e9, UNITS_PLAIN, NULL, "8.03B");
    expect_text(15.6e12, UNITS_PLAIN, "tokens", "15.6T tokens");
    expect_text(-0.5, UNITS_PLAIN, NULL, "-0.500");
    expect_text(3e-4, UNITS_PLAIN, NULL, "3.00e-4");
    expect_text(9.999e-5, UNITS_PLAIN, NULL, "1.00e-4");
    expect_text(999960, UNITS_SI, "J", "1.00 MJ");
    expect_text(31234, UNITS_SI, "J", "31.2 kJ");
    expect_text(0.0021, UNITS_SI, "J", "2.10 mJ");
    expect_text(0, UNITS_SI, "W", "0 W");
    expect_text(150e6, UNITS_SI, "W", "150 MW");
    expect_text(1536, UNITS_BYTES, NULL, "1.50 KiB");
    expect_text(80.0 * 0x1p30, UNITS_BYTES, NULL, "80 GiB");
    expect_text(0.371, UNITS_FRACTION, NULL, "37.1 %");
    expect_text(0.25, UNITS_SECONDS, NULL, "250 ms");
    expect_text(592, UNITS_SECONDS, NULL, "9 min 52 s");
    expect_text(11520, UNITS_SECONDS, NULL, "3 h 12 min");
    expect_text(54 * 86400.0, UNITS_SECONDS, NULL, "54 days");
    expect_text(1.234, UNITS_MONEY, NULL, "$1.23");
    expect_text(0.000735, UNITS_MONEY, "€", "€0.00073");
    expect_text(-45100, UNITS_MONEY, NULL, "-$45.1k");
    expect_text(NAN, UNITS_PLAIN, NULL, "–");
    expect_text(-INFINITY, UNITS_SI, "J", "–");
}

static void expect_ticks(struct scale_axis axis, double min, double max, int n_wanted, const char *expected) {
    const struct scale s = scale_make(&axis, (struct scale_range){min, max}, 0, 100, n_wanted, true);
    char all[512] = "", text[UNITS_TEXT_BYTES];
    for (int i = 0; i < s.n_ticks; i++) {
        scale_tick_text(&s, &axis, i, text);
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? " " : "", text);
    }
    assert_string_equal(all, expected);
    assert_true(s.min < s.max);
    for (int i = 0; i < s.n_ticks; i++) {
        const double at = scale_at(&s, s.ticks[i]);
        assert_true(at >= -1e-6 && at <= 100 + 1e-6);
    }
}

/* Catches marks at odd places, marks of one axis in several forms, and an axis that leaves its data out. */
static void test_ticks(void **state) {
    (void)state;
    expect_ticks((struct scale_axis){0}, 2.2, 9.6, 5, "2 4 6 8 10");
    expect_ticks((struct scale_axis){0}, 0.21, 0.48, 3, "0.2 0.3 0.4 0.5");
    expect_ticks((struct scale_axis){0}, 0, 3e-4, 3, "0 1e-4 2e-4 3e-4");
    expect_ticks((struct scale_axis){0}, 0, 1e-3, 2, "0 5e-4 1e-3");
    expect_ticks((struct scale_axis){0}, 0, 2.5e-4, 5, "0 5e-5 1e-4 1.5e-4 2e-4 2.5e-4");
    expect_ticks((struct scale_axis){0}, 0, 8.4e6, 4, "0 5M 10M");
    expect_ticks((struct scale_axis){.kind = UNITS_SI, .unit = "J"}, 0, 17600, 4, "0 5 kJ 10 kJ 15 kJ 20 kJ");
    expect_ticks((struct scale_axis){.kind = UNITS_BYTES}, 0, 60e9, 3, "0 20 GiB 40 GiB 60 GiB");
    expect_ticks((struct scale_axis){.kind = UNITS_SECONDS}, 0, 86400, 4, "0 6 h 12 h 18 h 24 h");
    expect_ticks((struct scale_axis){.is_log = true}, 0.3, 2.5, 5, "0.2 0.5 1 2 5");
    expect_ticks((struct scale_axis){.is_log = true, .kind = UNITS_SI, .unit = "FLOP/s"}, 1e12, 1e15, 5,
                 "1 TFLOP/s 10 TFLOP/s 100 TFLOP/s 1 PFLOP/s");
    expect_ticks((struct scale_axis){0}, 5, 5, 3, "4.5 5.0 5.5");
    expect_ticks((struct scale_axis){0}, INFINITY, -INFINITY, 2, "0 0.5 1.0");
    expect_ticks((struct scale_axis){.min = 0, .max = 1, .kind = UNITS_FRACTION}, 0.3, 0.4, 2, "0 % 50 % 100 %");
}

/* Catches text of a file becoming markup, and bytes that no parser takes. */
static void test_markup(void **state) {
    (void)state;
    struct buffer b = buffer_make(1 << 10);
    markup_text(&b, "a<b>&\"c'\n\x01\xff ü");
    assert_string_equal(buffer_text(&b), "a&lt;b&gt;&amp;&quot;c&#39;\n\xef\xbf\xbd\xef\xbf\xbd ü");
    buffer_cut(&b, 0);
    const double values[] = {0, -0.01, 1.25, -3, 100000.04, NAN, INFINITY};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        markup_number(&b, values[i]);
        buffer_append_char(&b, ' ');
    }
    assert_string_equal(buffer_text(&b), "0 0 1.3 -3 100000 0 0 ");
    buffer_free(&b);
}

static char *draw_xy(const struct chart_xy *c, double width) {
    struct buffer b = buffer_make(MAX_SVG);
    chart_xy_draw(&b, c, width);
    assert_int_equal(b.status, CRIA_OK);
    char *text = buffer_take(&b);
    assert_non_null(text);
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "inf"));
    assert_non_null(strstr(text, "</svg>"));
    return text;
}

static int count(const char *text, const char *word) {
    int n = 0;
    for (const char *p = text; (p = strstr(p, word)); p++) n++;
    return n;
}

/* Catches a spike of one step that thinning loses, and a path that grows with the number of steps. */
static void test_thinning(void **state) {
    (void)state;
    enum { N = 1000000 };
    double *x = malloc(N * sizeof *x), *y = malloc(N * sizeof *y);
    for (int i = 0; i < N; i++) {
        x[i] = i;
        y[i] = sin(i * 0.7);
    }
    y[777777] = 40;
    const struct chart_series s = {.x = x, .y = y, .n = N};
    const struct chart_xy c = {.title = "t", .series = &s, .n_series = 1};
    char *text = draw_xy(&c, 500);
    assert_true(strlen(text) < 100000);
    /* the top of the axis is 40, and the spike reaches it: the smallest y of the path */
    const char *path = strstr(text, "<path");
    double smallest = 1e9, px, py;
    for (const char *p = path; p && *p && *p != '>'; p++)
        if ((*p == 'L' || *p == 'M') && sscanf(p + 1, "%lf %lf", &px, &py) == 2 && py < smallest) smallest = py;
    assert_true(smallest < 20);
    free(text);
    free(x);
    free(y);
}

/* Catches crashes and numbers that are none, for data of every odd kind, at desk and phone width. */
static void test_odd_data(void **state) {
    (void)state;
    static const double x[] = {1, 2, 3, 4}, all_nan[] = {NAN, NAN, NAN, NAN}, mixed[] = {1, NAN, INFINITY, 2},
                        negative[] = {-1, -2, 0, -4}, huge[] = {1e300, -1e300, 1, 0};
    const double *const ys[] = {x, all_nan, mixed, negative, huge};
    const char *const labels[] = {"one", "two", NULL, "four <&>"};
    for (size_t k = 0; k < sizeof ys / sizeof *ys; k++)
        for (int mark = CHART_LINE; mark <= CHART_LINE_POINTS; mark++)
            for (int is_log = 0; is_log < 2; is_log++)
                for (size_t n = 0; n <= 4; n += n ? 3 : 1) {
                    const struct chart_series s[2] = {{.name = "a", .x = x, .y = ys[k], .n = n, .mark = mark},
                                                      {.name = "b",
                                                       .x = x,
                                                       .y = x,
                                                       .low = x,
                                                       .high = ys[k],
                                                       .labels = labels,
                                                       .n = n,
                                                       .mark = CHART_POINTS}};
                    const struct chart_xy c = {.title = "t",
                                               .x = {.label = "x", .is_log = is_log},
                                               .y = {.label = "y", .is_log = is_log},
                                               .series = s,
                                               .n_series = 2,
                                               .is_stacked = mark == CHART_AREA};
                    free(draw_xy(&c, k % 2 ? 350 : 900));
                    struct table t = table_make();
                    chart_xy_table(&t, &c);
                    assert_int_equal(table_status(&t, NULL), CRIA_OK);
                    table_free(&t);
                }
}

/* Catches stacked parts that do not begin where the part below ends. */
static void test_stacked_bars(void **state) {
    (void)state;
    const char *const names[] = {"rank 0"};
    const double a = 10, b = 30;
    const struct chart_bar_series s[] = {{.name = "a", .values = &a}, {.name = "b", .values = &b}};
    struct chart_bars c = {.title = "t",
                           .categories = names,
                           .n_categories = 1,
                           .series = s,
                           .n_series = 2,
                           .is_stacked = true,
                           .is_horizontal = true};
    struct buffer out = buffer_make(MAX_SVG);
    chart_bars_draw(&out, &c, 800);
    double x[2], width[2];
    const char *bars = strstr(buffer_text(&out), "<title>rank 0, a: 10</title>");
    assert_non_null(bars);
    const char *first = strstr(buffer_text(&out), "c1 fill\" x=");
    const char *second = strstr(buffer_text(&out), "c2 fill\" x=");
    assert_int_equal(sscanf(first, "c1 fill\" x=\"%lf\" y=\"%*f\" width=\"%lf\"", &x[0], &width[0]), 2);
    assert_int_equal(sscanf(second, "c2 fill\" x=\"%lf\" y=\"%*f\" width=\"%lf\"", &x[1], &width[1]), 2);
    assert_true(fabs(x[0] + width[0] - x[1]) < 0.2);
    assert_true(fabs(width[1] / width[0] - 3) < 0.01);
    assert_non_null(strstr(buffer_text(&out), ">40</text>"));
    buffer_free(&out);
}

/* Catches charts that fail on nothing at all, and a waterfall that ends elsewhere than its sum. */
static void test_other_charts(void **state) {
    (void)state;
    struct buffer out = buffer_make(MAX_SVG);
    chart_bars_draw(&out, &(struct chart_bars){.title = "t"}, 800);
    chart_timeline_draw(&out, &(struct chart_timeline){.title = "t"}, 800);
    chart_waterfall_draw(&out, &(struct chart_waterfall){.title = "t"}, 800);
    chart_heat_draw(&out, &(struct chart_heat){.title = "t"}, 800);
    assert_int_equal(count(buffer_text(&out), "<svg"), 4);
    buffer_cut(&out, 0);
    const struct chart_step steps[] = {{"price", 2, false}, {"cost", -1.25, false}, {"margin", 0, true}};
    const struct chart_waterfall w = {.title = "t", .steps = steps, .n_steps = 3, .axis = {.kind = UNITS_MONEY}};
    chart_waterfall_draw(&out, &w, 350);
    assert_non_null(strstr(buffer_text(&out), ">$0.75</text>"));
    const char *const lanes[] = {"rank 0"};
    const struct chart_span spans[] = {
        {0, 0, 1, 1, "F0"}, {5, 0, 1, 1, "lost"}, {-1, 0, 1, 1, NULL}, {0, NAN, 1, 2, NULL}};
    const struct chart_timeline line = {.title = "t", .lanes = lanes, .n_lanes = 1, .spans = spans, .n_spans = 4};
    buffer_cut(&out, 0);
    chart_timeline_draw(&out, &line, 800);
    assert_int_equal(count(buffer_text(&out), "fill span"), 1);
    assert_int_equal(out.status, CRIA_OK);
    buffer_free(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_units),        cmocka_unit_test(test_ticks),    cmocka_unit_test(test_markup),
        cmocka_unit_test(test_thinning),     cmocka_unit_test(test_odd_data), cmocka_unit_test(test_stacked_bars),
        cmocka_unit_test(test_other_charts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
