/* template_case_table.h: the shape of the case tables that tools/unicode_case.py writes. */
#ifndef TEXT_TEMPLATE_CASE_TABLE_H
#define TEXT_TEMPLATE_CASE_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* Every stride-th code point of first .. last moves by delta. */
struct case_range {
    uint32_t first, last, stride;
    int32_t delta;
};
/* A character that becomes several; how is 'u', 'l', 't' or 'f'. */
struct case_special {
    uint32_t code;
    char how;
    uint32_t out[3]; /* ends with 0 where shorter */
};

extern const struct case_range template_case_upper[], template_case_lower[];
extern const struct case_range template_case_title[]; /* only where it is not upper case */
extern const struct case_range template_case_fold[];  /* only where it is not lower case */
extern const size_t template_case_n_upper, template_case_n_lower, template_case_n_title, template_case_n_fold;
extern const struct case_special template_case_special[];
extern const size_t template_case_n_special;

#endif
