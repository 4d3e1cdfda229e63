/* ids.c: see ids.h. */
#include "kit/ids.h"

#include "base/alloc.h"

cria_status ids_read(json_reader *r, int64_t min, int64_t max, int max_n, struct ids *ret, struct cria_error *err) {
    cria_status status = CRIA_OK;
    struct ids ids = {.at = alloc_array((size_t)max_n, sizeof *ids.at)};
    bool more = false;
    if (!ids.at) TRY(ERROR_NOMEM(err, (size_t)max_n * sizeof *ids.at, "a list of ids"));
    if (ret->at) TRY(json_fail(r, err, "the list is there twice"));
    TRY(json_begin_array(r, err));
    for (;;) {
        TRY(json_next_element(r, &more, err));
        if (!more) break;
        int64_t value = 0;
        TRY(json_read_i64(r, min, max, &value, err));
        if (ids.n == max_n) TRY(json_fail(r, err, "more than %d ids", max_n));
        ids.at[ids.n++] = (int32_t)value;
    }
    if (ids.n == 0) TRY(json_fail(r, err, "an empty list of ids"));
    *ret = ids;
    ids = (struct ids){0};
out:
    ids_free(&ids);
    return status;
}

void ids_free(struct ids *ids) {
    alloc_free(ids->at);
    *ids = (struct ids){0};
}
