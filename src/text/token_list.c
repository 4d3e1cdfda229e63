/* token_list.c: growing lists of ids. */
#include "base/alloc.h"
#include "base/checked.h"
#include "text/tokenizer.h"

void token_list_free(struct token_list *list) {
    alloc_free(list->ids);
    *list = (struct token_list){0};
}

cria_status token_list_reserve(struct token_list *list, size_t n, struct cria_error *err) {
    size_t need;
    if (list->capacity - list->n >= n) return CRIA_OK;
    if (checked_add_size(list->n, n, &need) || need > SIZE_MAX / 4) return ERROR_NOMEM(err, SIZE_MAX, "token ids");
    size_t capacity = need + need / 2 + 64;
    int32_t *ids = alloc_resize(list->ids, capacity, sizeof *ids);
    if (!ids) return ERROR_NOMEM(err, capacity * sizeof *ids, "token ids");
    list->ids = ids;
    list->capacity = capacity;
    return CRIA_OK;
}

cria_status token_list_add(struct token_list *list, int32_t id, struct cria_error *err) {
    cria_status status = token_list_reserve(list, 1, err);
    if (status != CRIA_OK) return status;
    list->ids[list->n++] = id;
    return CRIA_OK;
}
