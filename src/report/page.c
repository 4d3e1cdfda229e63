/* page.c: the frame and the text of a page (see page.h); its figures are in page_figure.c. */
#include "report/page.h"

#include <stdarg.h>
#include <stdio.h>

#include "report/markup.h"
#include "report/page_style.h"

#define MAX_PAGE_BYTES ((size_t)256 << 20)
#define MAX_PARAGRAPH_BYTES 8192

struct page page_make(void) {
    return (struct page){.out = buffer_make(MAX_PAGE_BYTES)};
}

void page_free(struct page *p) { buffer_free(&p->out); }

cria_status page_status(const struct page *p, struct cria_error *err) { return buffer_status(&p->out, "a page", err); }

/* <element>text</element> */
static void element(struct page *p, const char *name, const char *text) {
    buffer_append_format(&p->out, "<%s>", name);
    markup_text(&p->out, text);
    buffer_append_format(&p->out, "</%s>\n", name);
}

void page_begin(struct page *p, const char *title, const char *subtitle) {
    buffer_append_text(&p->out,
                       "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                       "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                       "<meta name=\"color-scheme\" content=\"light dark\">\n");
    element(p, "title", title);
    buffer_append_text(&p->out, "<style>\n");
    buffer_append_text(&p->out, page_style);
    buffer_append_text(&p->out, "</style>\n</head>\n<body>\n<main>\n<header>\n");
    element(p, "h1", title);
    if (subtitle) element(p, "p", subtitle);
    buffer_append_text(&p->out, "</header>\n");
}

static void close_section(struct page *p) {
    page_grid_end(p);
    if (p->is_in_section) buffer_append_text(&p->out, "</section>\n");
    p->is_in_section = false;
}

void page_end(struct page *p) {
    close_section(p);
    buffer_append_text(&p->out, "</main>\n</body>\n</html>\n");
}

void page_section(struct page *p, const char *heading) {
    close_section(p);
    buffer_append_text(&p->out, "<section>\n");
    element(p, "h2", heading);
    p->is_in_section = true;
}

static void paragraph(struct page *p, const char *tag, const char *format, va_list list) {
    char text[MAX_PARAGRAPH_BYTES];
    if (vsnprintf(text, sizeof text, format, list) < 0) return;
    buffer_append_text(&p->out, tag);
    markup_text(&p->out, text);
    buffer_append_text(&p->out, "</p>\n");
}

void page_paragraph(struct page *p, const char *format, ...) {
    va_list list;
    va_start(list, format);
    paragraph(p, "<p>", format, list);
    va_end(list);
}

void page_notice(struct page *p, const char *format, ...) {
    va_list list;
    va_start(list, format);
    paragraph(p, "<p class=\"notice\">", format, list);
    va_end(list);
}

void page_tiles(struct page *p, const struct page_tile *tiles, size_t n) {
    buffer_append_text(&p->out, "<dl class=\"tiles\">\n");
    for (size_t i = 0; i < n; i++) {
        buffer_append_text(&p->out, "<div><dt>");
        markup_text(&p->out, tiles[i].label);
        buffer_append_text(&p->out, "</dt><dd>");
        markup_text(&p->out, tiles[i].value);
        buffer_append_text(&p->out, "</dd>");
        if (tiles[i].note) {
            buffer_append_text(&p->out, "<dd class=\"note\">");
            markup_text(&p->out, tiles[i].note);
            buffer_append_text(&p->out, "</dd>");
        }
        buffer_append_text(&p->out, "</div>\n");
    }
    buffer_append_text(&p->out, "</dl>\n");
}

void page_table(struct page *p, const char *heading, const struct table *t) {
    if (heading) element(p, "h3", heading);
    if (p->out.status == CRIA_OK && t->text.status != CRIA_OK) p->out.status = t->text.status;
    table_write_html(&p->out, t, NULL);
}

void page_folded_table(struct page *p, const char *summary, const struct table *t) {
    buffer_append_text(&p->out, "<details><summary>");
    markup_text(&p->out, summary);
    buffer_append_text(&p->out, "</summary>\n");
    page_table(p, NULL, t);
    buffer_append_text(&p->out, "</details>\n");
}

void page_preformatted(struct page *p, const char *heading, const char *text) {
    if (heading) element(p, "h3", heading);
    element(p, "pre", text);
}

void page_grid_begin(struct page *p) {
    page_grid_end(p);
    buffer_append_text(&p->out, "<div class=\"grid\">\n");
    p->is_in_grid = true;
}

void page_grid_end(struct page *p) {
    if (p->is_in_grid) buffer_append_text(&p->out, "</div>\n");
    p->is_in_grid = false;
}
