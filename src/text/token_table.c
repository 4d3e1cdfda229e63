/* token_table.c: building the table of tokens. The hash table is at most half full, so an open slot is always near. */
#include "text/token_table.h"

#include "base/alloc.h"

#define POOL_MAX_BYTES ((size_t)1 << 30)

cria_status token_table_init(struct token_table *t, size_t n_tokens, struct cria_error *err) {
    if (n_tokens == 0) return ERROR_SET(err, CRIA_FORMAT, "the vocabulary is empty");
    if (n_tokens > TOKEN_MAX_COUNT) {
        return ERROR_SET(err, CRIA_LIMIT, "the vocabulary has %zu ids; Cria takes at most %d", n_tokens,
                         TOKEN_MAX_COUNT);
    }
    size_t slots = 1024;
    while (slots < 2 * n_tokens) slots *= 2;
    *t = (struct token_table){
        .n_tokens = (uint32_t)n_tokens, .mask = (uint32_t)slots - 1, .pool_capacity = 8 * n_tokens + 256};
    t->places = alloc_zeroed(n_tokens, sizeof *t->places);
    t->slots = alloc_zeroed(slots, sizeof *t->slots);
    t->pool = alloc_array(t->pool_capacity, 1);
    if (!t->places || !t->slots || !t->pool) {
        token_table_deinit(t);
        return ERROR_NOMEM(err, n_tokens * sizeof *t->places + slots * sizeof *t->slots, "the vocabulary");
    }
    return CRIA_OK;
}

void token_table_deinit(struct token_table *t) {
    alloc_free(t->pool);
    alloc_free(t->places);
    alloc_free(t->slots);
    *t = (struct token_table){0};
}

static cria_status pool_reserve(struct token_table *t, size_t n, struct cria_error *err) {
    size_t need = t->pool_bytes + n; /* both are limited */
    if (need <= t->pool_capacity) return CRIA_OK;
    if (need > POOL_MAX_BYTES)
        return ERROR_SET(err, CRIA_LIMIT, "the tokens together have more than %zu bytes", POOL_MAX_BYTES);
    size_t capacity = need + need / 2;
    char *pool = alloc_resize(t->pool, capacity, 1);
    if (!pool) return ERROR_NOMEM(err, capacity, "the tokens");
    t->pool = pool;
    t->pool_capacity = capacity;
    return CRIA_OK;
}

cria_status token_table_set(struct token_table *t, uint32_t id, const char *bytes, size_t n, struct cria_error *err) {
    CRIA_ASSERT(id < t->n_tokens && t->places[id].bytes == 0);
    if (n > TOKEN_MAX_BYTES) {
        return ERROR_SET(err, CRIA_LIMIT, "token %u has %zu bytes; Cria takes at most %d", id, n, TOKEN_MAX_BYTES);
    }
    cria_status status = pool_reserve(t, n, err);
    if (status != CRIA_OK) return status;
    if (n) memcpy(t->pool + t->pool_bytes, bytes, n);
    t->places[id] = (struct token_place){(uint32_t)t->pool_bytes, (uint32_t)n};
    t->pool_bytes += n;
    return CRIA_OK;
}

bool token_table_index(struct token_table *t, uint32_t id) {
    struct token_place place = t->places[id];
    const char *bytes = t->pool + place.start;
    uint64_t hash = token_table_hash(bytes, place.bytes);
    uint32_t i = (uint32_t)hash & t->mask;
    for (; t->slots[i]; i = (i + 1) & t->mask) {
        if (t->slots[i] >> 32 != hash >> 32) continue;
        struct token_place other = t->places[(uint32_t)t->slots[i] - 1];
        if (other.bytes == place.bytes && memcmp(t->pool + other.start, bytes, place.bytes) == 0) return false;
    }
    t->slots[i] = (hash & 0xFFFFFFFF00000000u) | (id + 1);
    if (place.bytes > t->max_bytes) t->max_bytes = place.bytes;
    return true;
}
