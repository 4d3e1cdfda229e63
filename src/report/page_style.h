/* page_style.h: the style sheet of pages; private to src/report. */
#ifndef REPORT_PAGE_STYLE_H
#define REPORT_PAGE_STYLE_H

/* What stands between <style> and </style>. */
extern const char page_style[];

#endif
