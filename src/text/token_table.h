/* token_table.h: the bytes of every token, and the way back from bytes to an id.
 *
 * All bytes lie in one run of memory. Ids are filled in any order; an id that was never set has no bytes. Only tokens
 * that were entered with token_table_index() are found by their bytes: what text may become. Read-only after it is
 * built. */
#ifndef TEXT_TOKEN_TABLE_H
#define TEXT_TOKEN_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "text/tokenizer.h"

#define TOKEN_MAX_BYTES 4096      /* of one token */
#define TOKEN_MAX_COUNT (1 << 21) /* ids of one vocabulary */
#define TOKEN_MAX_MERGES (1 << 22)

struct token_place {
    uint32_t start, bytes;
};

struct token_table {
    char *pool; /* owned */
    size_t pool_bytes, pool_capacity;
    struct token_place *places; /* owned; one for each id */
    uint32_t n_tokens;
    uint64_t *slots;  /* owned; upper half of the hash << 32 | id + 1; 0: free */
    uint32_t mask;    /* slots - 1, a power of two less one */
    size_t max_bytes; /* of an indexed token */
};

/* Room for ids 0 .. n_tokens - 1; n_tokens is from 1 to TOKEN_MAX_COUNT, else LIMIT or FORMAT. */
CRIA_MUST_CHECK cria_status token_table_init(struct token_table *t, size_t n_tokens, struct cria_error *err);
void token_table_deinit(struct token_table *t);
/* Gives id its bytes; LIMIT for a token longer than TOKEN_MAX_BYTES. The id is in range and has none yet. */
CRIA_MUST_CHECK cria_status token_table_set(struct token_table *t, uint32_t id, const char *bytes, size_t n,
                                            struct cria_error *err);
/* Makes id, which has bytes, findable. False where another id has the same bytes. */
bool token_table_index(struct token_table *t, uint32_t id);

static inline struct text_span token_table_bytes(const struct token_table *t, uint32_t id) {
    return (struct text_span){t->pool + t->places[id].start, t->places[id].bytes};
}

static inline uint64_t token_table_mix(uint64_t a, uint64_t b) {
    unsigned __int128 product = (unsigned __int128)(a ^ 0x9E3779B97F4A7C15u) * (b ^ 0xD6E8FEB86659FD93u);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t token_table_load64(const char *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

static inline uint32_t token_table_load32(const char *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

static inline uint64_t token_table_hash(const char *bytes, size_t n) {
    uint64_t hash = n;
    if (n > 8) {
        size_t i = 0;
        for (; i + 8 < n; i += 8) hash = token_table_mix(hash, token_table_load64(bytes + i));
        return token_table_mix(hash, token_table_load64(bytes + n - 8));
    }
    if (n >= 4)
        return token_table_mix(hash, (uint64_t)token_table_load32(bytes) << 32 | token_table_load32(bytes + n - 4));
    if (n == 0) return hash;
    return token_table_mix(
        hash, (uint64_t)(uint8_t)bytes[0] << 16 | (uint64_t)(uint8_t)bytes[n / 2] << 8 | (uint8_t)bytes[n - 1]);
}

/* The id of the indexed token with exactly these bytes, -1 where there is none. */
static inline int32_t token_table_find(const struct token_table *t, const char *bytes, size_t n) {
    if (n > t->max_bytes) return -1;
    uint64_t hash = token_table_hash(bytes, n);
    for (uint32_t i = (uint32_t)hash & t->mask;; i = (i + 1) & t->mask) {
        uint64_t slot = t->slots[i];
        if (slot == 0) return -1;
        if (slot >> 32 != hash >> 32) continue;
        struct token_place place = t->places[(uint32_t)slot - 1];
        if (place.bytes == n && memcmp(t->pool + place.start, bytes, n) == 0) return (int32_t)((uint32_t)slot - 1);
    }
}

#endif
