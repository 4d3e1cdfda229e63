/* page_figure.c: the charts of a page: each drawn for a desk and for a phone, and told as a table (see page.h). */
#include "report/markup.h"
#include "report/page.h"

/* Pixels of the charts' own coordinates. A chart in a grid has half the page. */
#define WIDE 1072.0
#define HALF 516.0
#define PHONE 350.0

typedef void draw_fn(struct buffer *out, const void *chart, double width);
typedef void table_fn(struct table *t, const void *chart);

struct figure {
    const char *title, *description;
    const void *chart;
    draw_fn *draw;
    table_fn *table;
};

static void append_element(struct page *p, const char *begin, const char *text, const char *end) {
    if (!text) return;
    buffer_append_text(&p->out, begin);
    markup_text(&p->out, text);
    buffer_append_text(&p->out, end);
}

static void append_figure(struct page *p, const struct figure *f) {
    struct table t = table_make();
    append_element(p, "<figure>\n<figcaption>", f->title, "</figcaption>\n");
    buffer_append_text(&p->out, "<div class=\"desk\">");
    f->draw(&p->out, f->chart, p->is_in_grid ? HALF : WIDE);
    buffer_append_text(&p->out, "</div><div class=\"phone\">");
    f->draw(&p->out, f->chart, PHONE);
    buffer_append_text(&p->out, "</div>\n");
    append_element(p, "<p class=\"about\">", f->description, "</p>\n");
    f->table(&t, f->chart);
    page_folded_table(p, "Numbers", &t);
    buffer_append_text(&p->out, "</figure>\n");
    table_free(&t);
}

static void xy_draw(struct buffer *out, const void *chart, double width) { chart_xy_draw(out, chart, width); }
static void xy_table(struct table *t, const void *chart) { chart_xy_table(t, chart); }
static void bars_draw(struct buffer *out, const void *chart, double width) { chart_bars_draw(out, chart, width); }
static void bars_table(struct table *t, const void *chart) { chart_bars_table(t, chart); }
static void timeline_draw(struct buffer *out, const void *chart, double width) {
    chart_timeline_draw(out, chart, width);
}
static void timeline_table(struct table *t, const void *chart) { chart_timeline_table(t, chart); }
static void waterfall_draw(struct buffer *out, const void *chart, double width) {
    chart_waterfall_draw(out, chart, width);
}
static void waterfall_table(struct table *t, const void *chart) { chart_waterfall_table(t, chart); }
static void heat_draw(struct buffer *out, const void *chart, double width) { chart_heat_draw(out, chart, width); }
static void heat_table(struct table *t, const void *chart) { chart_heat_table(t, chart); }

void page_xy(struct page *p, const struct chart_xy *c) {
    append_figure(p, &(struct figure){c->title, c->description, c, xy_draw, xy_table});
}

void page_bars(struct page *p, const struct chart_bars *c) {
    append_figure(p, &(struct figure){c->title, c->description, c, bars_draw, bars_table});
}

void page_timeline(struct page *p, const struct chart_timeline *c) {
    append_figure(p, &(struct figure){c->title, c->description, c, timeline_draw, timeline_table});
}

void page_waterfall(struct page *p, const struct chart_waterfall *c) {
    append_figure(p, &(struct figure){c->title, c->description, c, waterfall_draw, waterfall_table});
}

void page_heat(struct page *p, const struct chart_heat *c) {
    append_figure(p, &(struct figure){c->title, c->description, c, heat_draw, heat_table});
}
