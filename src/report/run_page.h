/* run_page.h: the page about a training run: key figures, curves, samples, options, energy and its price. */
#ifndef REPORT_RUN_PAGE_H
#define REPORT_RUN_PAGE_H

#include "base/buffer.h"
#include "report/page.h"
#include "report/run_log.h"

#define RUN_PAGE_MAX_BASELINES 8

/* What held-out text costs another program after the same training text. */
struct run_page_baseline {
    const char *name; /* "PPMd, order 8" */
    double bits_per_byte;
};

/* A text that the model wrote. */
struct run_page_sample {
    const char *name, *text;
};

struct run_page_options {
    const char *title;                         /* "speedrun" */
    double grams_per_kwh;                      /* of carbon dioxide */
    double price_per_kwh;                      /* in `currency` */
    const char *currency;                      /* "$" */
    const struct run_page_baseline *baselines; /* [n_baselines] */
    size_t n_baselines;                        /* at most RUN_PAGE_MAX_BASELINES are shown */
    const struct run_page_sample *samples;     /* [n_samples]; beside those of the log */
    size_t n_samples;
};

/* Builds the whole page into an empty p; its failure is p's (page_status()), NOMEM besides. */
CRIA_MUST_CHECK cria_status run_page_build(struct page *p, const struct run_log *log,
                                           const struct run_page_options *options, struct cria_error *err);
/* The key figures as lines for a terminal. */
void run_page_summary(struct buffer *out, const struct run_log *log, const struct run_page_options *options);

#endif
