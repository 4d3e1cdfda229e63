/* run_page.h: the page about a training run: key figures, curves, samples, options, energy and its price. */
#ifndef REPORT_RUN_PAGE_H
#define REPORT_RUN_PAGE_H

#include "base/buffer.h"
#include "report/page.h"
#include "report/run_log.h"

struct run_page_options {
    const char *title;    /* "speedrun" */
    double grams_per_kwh; /* of carbon dioxide */
    double price_per_kwh; /* in `currency` */
    const char *currency; /* "$" */
};

/* Builds the whole page into an empty p; its failure is p's (page_status()), NOMEM besides. */
CRIA_MUST_CHECK cria_status run_page_build(struct page *p, const struct run_log *log,
                                           const struct run_page_options *options, struct cria_error *err);
/* The key figures as lines for a terminal. */
void run_page_summary(struct buffer *out, const struct run_log *log, const struct run_page_options *options);

#endif
