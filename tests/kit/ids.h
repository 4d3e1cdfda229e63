/* ids.h: lists of small integers in the JSON files of expected results. */
#ifndef KIT_IDS_H
#define KIT_IDS_H

#include "base/json.h"

struct ids {
    int32_t *at; /* owned; free with ids_free() */
    int n;
};

/* An array of 1 .. max_n integers, each in [min, max]; ret is empty before. */
CRIA_MUST_CHECK cria_status ids_read(json_reader *r, int64_t min, int64_t max, int max_n, struct ids *ret,
                                     struct cria_error *err);
void ids_free(struct ids *ids);

#endif
