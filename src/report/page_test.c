/* page_test.c: tables as text and as HTML, and pages as a whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/alloc.h"
#include "report/page.h"

static struct table small_table(void) {
    struct table t = table_make();
    table_column(&t, "what", TABLE_LEFT);
    table_column(&t, "how much", TABLE_RIGHT);
    table_column(&t, "", TABLE_LEFT);
    table_cell(&t, "%s", "größe");
    table_cell_number(&t, 17600, UNITS_SI, "J");
    table_cell(&t, "%s", "");
    table_cell(&t, "%s", "<b>\x1b[31m");
    table_cell(&t, "%d", 5);
    table_cell(&t, "%s", "note");
    return t;
}

/* Catches columns that letters of two bytes push out of line, spaces at the ends of lines, and control sequences that
 * reach the terminal. */
static void test_text_table(void **state) {
    (void)state;
    struct buffer out = buffer_make(1 << 12);
    struct table t = small_table();
    table_write_text(&out, &t, 2);
    assert_string_equal(buffer_text(&out),
                        "  what      how much\n"
                        "  größe      17.6 kJ\n"
                        "  <b>?[31m         5  note\n");
    buffer_free(&out);
    table_free(&t);
}

/* Catches cells that become markup, and numbers that are not set to the right. */
static void test_html_table(void **state) {
    (void)state;
    struct buffer out = buffer_make(1 << 12);
    struct table t = small_table();
    table_write_html(&out, &t, "a & b");
    assert_non_null(strstr(buffer_text(&out), "<caption>a &amp; b</caption>"));
    assert_non_null(strstr(buffer_text(&out), "<th class=\"num\">how much</th>"));
    assert_non_null(strstr(buffer_text(&out), "<td>&lt;b&gt;\xef\xbf\xbd[31m</td><td class=\"num\">5</td>"));
    buffer_free(&out);
    table_free(&t);
}

static void fill_page(struct page *p) {
    const double x[] = {1, 2, 3}, y[] = {3, 1, 2};
    const struct chart_series s = {.name = "s", .x = x, .y = y, .n = 3};
    const struct chart_xy c = {.title = "Loss <1>", .description = "why", .series = &s, .n_series = 1};
    const struct page_tile tiles[] = {{"1 & 2", "value", "note"}, {"3", "other", NULL}};
    struct table t = small_table();
    page_begin(p, "A \"run\"", "of </title><script>alert(1)</script>");
    page_tiles(p, tiles, 2);
    page_section(p, "One");
    page_paragraph(p, "%d <%s>", 5, "x");
    page_notice(p, "%s", "mind");
    page_grid_begin(p);
    page_xy(p, &c);
    page_section(p, "Two");
    page_table(p, "T", &t);
    page_preformatted(p, "Sample", "a\n<pre>");
    page_end(p);
    table_free(&t);
}

static int count(const char *text, const char *word) {
    int n = 0;
    for (const char *p = text; (p = strstr(p, word)); p++) n++;
    return n;
}

/* Catches elements that are opened and not closed (a grid that a section ends), text that becomes script, anything that
 * is fetched from elsewhere, and pages that differ from one making to the next. */
static void test_page(void **state) {
    (void)state;
    static const char *const elements[] = {"section", "div", "figure", "svg", "dl", "details", "table", "main", "pre"};
    struct page p = page_make(), q = page_make();
    fill_page(&p);
    fill_page(&q);
    assert_int_equal(page_status(&p, NULL), CRIA_OK);
    const char *text = buffer_text(&p.out);
    assert_string_equal(text, buffer_text(&q.out));
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++) {
        char open[16], close[16];
        const size_t n = strlen(elements[i]);
        open[0] = '<';
        memcpy(open + 1, elements[i], n + 1);
        memcpy(close, "</", 2);
        memcpy(close + 2, elements[i], n + 1);
        assert_true(count(text, open) > 0);
        /* "<section" is no other element's beginning; "<pre" and "<div" are not either */
        assert_int_equal(count(text, open), count(text, close));
    }
    assert_int_equal(count(text, "<svg"), 2); /* desk and phone */
    assert_null(strstr(text, "<script"));
    assert_null(strstr(text, "http"));
    assert_null(strstr(text, "url("));
    assert_non_null(strstr(text, "&lt;pre&gt;"));
    page_free(&p);
    page_free(&q);
}

/* Catches a page that is cut and taken for whole: every allocation that fails shows in the status. */
static void test_no_memory(void **state) {
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct page p = page_make();
        alloc_fail_at(0);
        alloc_fail_at(n);
        fill_page(&p);
        const uint64_t made = alloc_fail_at(0);
        const cria_status status = page_status(&p, NULL);
        page_free(&p);
        if (made < n) {
            assert_int_equal(status, CRIA_OK);
            assert_true(n > 4);
            break;
        }
        assert_int_equal(status, CRIA_NOMEM);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_table),
        cmocka_unit_test(test_html_table),
        cmocka_unit_test(test_page),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
