/* page.h: one HTML page that needs nothing else: its style inside, no script, light and dark, desk and phone.
 *
 *   struct page p = page_make();
 *   page_begin(&p, "Training run", "12 x 768, 2 cores");
 *   page_tiles(&p, tiles, n);
 *   page_section(&p, "Learning");
 *   page_xy(&p, &chart);
 *   page_end(&p);
 *   TRY(page_status(&p, err));
 *   TRY(file_write_atomic(path, p.out.data, p.out.n_bytes, err));
 * out:
 *   page_free(&p);
 *
 * Every text is escaped. There is no time of making in it: equal input gives equal bytes. The builder remembers its
 * first failure. */
#ifndef REPORT_PAGE_H
#define REPORT_PAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buffer.h"
#include "report/chart.h"
#include "report/table.h"

/* A key figure: "2.31", "nats per token", "held-out loss". */
struct page_tile {
    const char *value;
    const char *label;
    const char *note; /* small, below; or NULL */
};

struct page {
    struct buffer out; /* owned: the page */
    bool is_in_section;
    bool is_in_grid; /* figures that stand side by side at a desk */
};

/* An empty page; owns nothing yet. */
struct page page_make(void);
void page_free(struct page *p);
/* subtitle may be NULL. */
void page_begin(struct page *p, const char *title, const char *subtitle);
/* Closes everything; the page is whole then. */
void page_end(struct page *p);
/* The first failure of building it. */
CRIA_MUST_CHECK cria_status page_status(const struct page *p, struct cria_error *err);

void page_section(struct page *p, const char *heading);
void page_paragraph(struct page *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A line that the reader must not miss: what is estimated, what is missing. */
void page_notice(struct page *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
void page_tiles(struct page *p, const struct page_tile *tiles, size_t n);
/* heading NULL: none. */
void page_table(struct page *p, const char *heading, const struct table *t);
/* The table behind a line that opens it. */
void page_folded_table(struct page *p, const char *summary, const struct table *t);
/* Text as it is, with its line breaks: a sample, a settings file. */
void page_preformatted(struct page *p, const char *heading, const char *text);

/* Between these, charts stand side by side where there is room. */
void page_grid_begin(struct page *p);
void page_grid_end(struct page *p);

/* A figure: the chart's title as its heading, its description below, the numbers behind it in a table that opens. */
void page_xy(struct page *p, const struct chart_xy *c);
void page_bars(struct page *p, const struct chart_bars *c);
void page_timeline(struct page *p, const struct chart_timeline *c);
void page_waterfall(struct page *p, const struct chart_waterfall *c);
void page_heat(struct page *p, const struct chart_heat *c);

#endif
