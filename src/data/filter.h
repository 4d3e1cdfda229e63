/* filter.h: which documents stay, as a table: each row measures one number of a document and holds it to a threshold.
 *
 * Nothing here knows a language or what good text is: lengths, malformed bytes, repetition, the share of letters. A
 * threshold of NaN switches a row off. Measures are exact functions of the bytes, so that the same documents stay on
 * every machine. */
#ifndef DATA_FILTER_H
#define DATA_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct filter_text {
    const char *bytes; /* cleaned */
    size_t n;
    uint64_t n_replaced; /* characters that stand for malformed bytes of the file */
};

struct filter_rule {
    const char *name;
    int version;      /* goes up when the measure changes */
    bool is_minimum;  /* drops what lies below the threshold, else what lies above */
    double threshold; /* the default; NaN: off */
    const char *help;
    /* The measure; NOMEM. */
    cria_status (*measure)(const struct filter_text *text, double *ret, struct cria_error *err);
};

#define FILTER_COUNT 6
extern const struct filter_rule filter_rules[FILTER_COUNT];

/* The index of the rule of that name, or -1. */
int filter_find(const char *name);
/* *ret_dropped_by: the first rule that drops the text, or -1. */
CRIA_MUST_CHECK cria_status filter_run(const double thresholds[FILTER_COUNT], const struct filter_text *text,
                                       int *ret_dropped_by, struct cria_error *err);

#endif
