/* json_keys.c: see json_keys.h. */
#include "base/json_keys.h"

#include <pthread.h>
#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/clock.h"

enum { FEW_KEYS = 12, FIRST_SLOTS = 32 };

static pthread_once_t seed_once = PTHREAD_ONCE_INIT;
static uint64_t seed[2];

static void draw_seed(void) {
    /* Without a source of random bytes the clock is what is left; only the speed on hostile text depends on it. */
    if (getrandom(seed, sizeof seed, GRND_NONBLOCK) != sizeof seed) seed[0] = (uint64_t)(1e9 * clock_seconds());
}

static uint64_t rotate(uint64_t x, int bits) { return x << bits | x >> (64 - bits); }

static void sip_round(uint64_t v[4]) {
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

/* SipHash-1-3 (Aumasson and Bernstein, 2012), folded to 32 bits. */
static uint32_t hash_of(struct json_text key) {
    pthread_once(&seed_once, draw_seed);
    uint64_t v[4] = {seed[0] ^ 0x736f6d6570736575u, seed[1] ^ 0x646f72616e646f6du, seed[0] ^ 0x6c7967656e657261u,
                     seed[1] ^ 0x7465646279746573u};
    uint64_t word;
    size_t i = 0;
    for (; i + 8 <= key.n; i += 8) {
        memcpy(&word, key.bytes + i, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = (uint64_t)key.n << 56;
    for (size_t j = i; j < key.n; j++) word |= (uint64_t)(unsigned char)key.bytes[j] << 8 * (j - i);
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    for (int round = 0; round < 3; round++) sip_round(v);
    const uint64_t hash = v[0] ^ v[1] ^ v[2] ^ v[3];
    return (uint32_t)(hash ^ hash >> 32);
}

static bool is_same(struct json_text a, struct json_text b) { return a.n == b.n && memcmp(a.bytes, b.bytes, a.n) == 0; }

/* The slot where key is or would be. */
static size_t find_slot(const struct json_keys *keys, struct json_text key, uint32_t hash) {
    size_t i = hash & (keys->n_slots - 1);
    for (; keys->slots[i]; i = (i + 1) & (keys->n_slots - 1)) {
        const struct json_key *item = &keys->items[keys->slots[i] - 1];
        if (item->hash == hash && is_same(item->text, key)) break;
    }
    return i;
}

/* Makes the table n_slots wide and puts all items into it. */
static cria_status spread(struct json_keys *keys, size_t n_slots, struct cria_error *err) {
    if (n_slots > keys->slots_capacity) {
        uint32_t *slots = alloc_resize(keys->slots, n_slots, sizeof *slots);
        if (!slots) return ERROR_NOMEM(err, n_slots * sizeof *slots, "the keys of a JSON object");
        keys->slots = slots;
        keys->slots_capacity = n_slots;
    }
    memset(keys->slots, 0, n_slots * sizeof *keys->slots);
    const bool had_hashes = keys->n_slots > 0;
    keys->n_slots = n_slots;
    for (size_t i = 0; i < keys->n; i++) {
        struct json_key *item = &keys->items[i];
        if (!had_hashes) item->hash = hash_of(item->text);
        keys->slots[find_slot(keys, item->text, item->hash)] = (uint32_t)i + 1;
    }
    return CRIA_OK;
}

/* Room for one more key, in the list and, from FEW_KEYS on, in the table, which is never more than half full. */
static cria_status reserve(struct json_keys *keys, struct cria_error *err) {
    if (keys->n >= UINT32_MAX / 4) return ERROR_SET(err, CRIA_LIMIT, "a JSON object has more than %zu keys", keys->n);
    if (keys->n == keys->capacity) {
        const size_t capacity = keys->capacity ? 2 * keys->capacity : FEW_KEYS;
        struct json_key *items = alloc_resize(keys->items, capacity, sizeof *items);
        if (!items) return ERROR_NOMEM(err, capacity * sizeof *items, "the keys of a JSON object");
        keys->items = items;
        keys->capacity = capacity;
    }
    if (keys->n < FEW_KEYS || 2 * keys->n < keys->n_slots) return CRIA_OK;
    return spread(keys, keys->n_slots ? 2 * keys->n_slots : FIRST_SLOTS, err);
}

static bool has_few(const struct json_keys *keys, struct json_text key) {
    for (size_t i = 0; i < keys->n; i++)
        if (is_same(keys->items[i].text, key)) return true;
    return false;
}

cria_status json_keys_add(struct json_keys *keys, struct json_text key, bool is_copied, struct json_text *ret_kept,
                          bool *ret_is_new, struct cria_error *err) {
    const cria_status status = reserve(keys, err);
    if (status != CRIA_OK) return status;
    struct json_key item = {.text = key, .is_owned = is_copied};
    uint32_t *slot = NULL;
    if (keys->n_slots) {
        item.hash = hash_of(key);
        slot = &keys->slots[find_slot(keys, key, item.hash)];
    }
    if (slot ? *slot != 0 : has_few(keys, key)) {
        *ret_is_new = false;
        return CRIA_OK;
    }
    if (is_copied) {
        item.text.bytes = alloc_text(key.bytes, key.n);
        if (!item.text.bytes) return ERROR_NOMEM(err, key.n, "a key of a JSON object");
    }
    keys->items[keys->n++] = item;
    if (slot) *slot = (uint32_t)keys->n;
    *ret_kept = item.text;
    *ret_is_new = true;
    return CRIA_OK;
}

void json_keys_clear(struct json_keys *keys) {
    for (size_t i = 0; i < keys->n; i++)
        if (keys->items[i].is_owned) alloc_free((void *)keys->items[i].text.bytes);
    keys->n = 0;
    keys->n_slots = 0;
}

void json_keys_free(struct json_keys *keys) {
    json_keys_clear(keys);
    alloc_free(keys->items);
    alloc_free(keys->slots);
    *keys = (struct json_keys){0};
}
