/* json_keys.h: the set of keys that one JSON object has shown, to refuse a key that comes twice.
 *
 * Up to a few keys are compared one by one; beyond that a hash table (SipHash with a random key of the process, so that
 * chosen keys cannot make it slow). Memory is about 40 bytes a key. Private to the JSON reader. */
#ifndef BASE_JSON_KEYS_H
#define BASE_JSON_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* A string's bytes; see json.h for how long they are valid. */
struct json_text {
    const char *bytes; /* borrowed; not NUL-terminated; may hold U+0000 */
    size_t n;
};

struct json_key {
    struct json_text text;
    uint32_t hash;
    bool is_owned; /* text.bytes is on the heap: the key was written with escapes */
};

/* All zero: empty. */
struct json_keys {
    struct json_key *items; /* owned, [capacity], n in use */
    size_t n, capacity;
    uint32_t *slots; /* owned, [slots_capacity]: 1 + index into items, 0 for free */
    size_t slots_capacity;
    size_t n_slots; /* in use, a power of two; 0 while there are few keys */
};

/* Adds key; where is_copied its bytes are copied to the heap and ret_kept points there. *ret_is_new is false where the
 * set has the key already. NOMEM, LIMIT. */
CRIA_MUST_CHECK cria_status json_keys_add(struct json_keys *keys, struct json_text key, bool is_copied,
                                          struct json_text *ret_kept, bool *ret_is_new, struct cria_error *err);
/* Empties the set and keeps its arrays. */
void json_keys_clear(struct json_keys *keys);
/* Empties the set and frees its arrays. */
void json_keys_free(struct json_keys *keys);

#endif
