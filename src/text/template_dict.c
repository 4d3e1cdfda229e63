/* template_dict.c: Python's dict: entries in the order of insertion, found by hash once there are more than a few.
 *
 * Each probe counts a step, so keys chosen to collide run into the budget instead of taking time. */
#include <string.h>

#include "text/template_private.h"

#define SMALL_DICT 8

/* Equal values have equal hashes: 1, 1.0 and True too. */
static cria_status hash_of(struct run *r, const struct value *v, uint64_t *ret) {
    uint64_t h = 0x9E3779B97F4A7C15u;
    switch (v->kind) {
        case VALUE_UNDEFINED:
        case VALUE_NONE:
            break;
        case VALUE_BOOL:
            h ^= (uint64_t)v->boolean;
            break;
        case VALUE_INT:
            h ^= (uint64_t)v->integer;
            break;
        case VALUE_BIG:
        case VALUE_FLOAT: {
            const double f = template_number(v);
            if (f >= -9e18 && f <= 9e18 && (double)(int64_t)f == f) h ^= (uint64_t)(int64_t)f;
            else {
                uint64_t bits;
                memcpy(&bits, &f, sizeof bits);
                h ^= bits;
            }
            break;
        }
        case VALUE_STRING:
            CHECK(template_step(r, v->text->n / 8));
            for (size_t i = 0; i < v->text->n; i++) h = (h ^ (unsigned char)v->text->bytes[i]) * 0x100000001b3u;
            break;
        case VALUE_TUPLE:
            CHECK(template_enter(r));
            for (size_t i = 0; i < v->list->n; i++) {
                uint64_t item;
                CHECK(hash_of(r, &v->list->items[i], &item));
                h = (h ^ item) * 0x100000001b3u;
            }
            template_leave(r);
            break;
        default:
            return template_fail(r, CRIA_FORMAT, "a %s cannot be a key", template_kind_name(v));
    }
    h ^= h >> 31;
    *ret = h * 0xBF58476D1CE4E5B9u;
    return CRIA_OK;
}

cria_status template_dict_new(struct run *r, size_t capacity, struct dict **ret) {
    struct dict *d;
    CHECK(template_new(r, 1, sizeof *d, &d));
    if (capacity) CHECK(template_new(r, capacity, sizeof *d->entries, &d->entries));
    d->capacity = capacity;
    *ret = d;
    return CRIA_OK;
}

static size_t slot_of(const struct dict *d, uint64_t hash) { return (size_t)(hash >> 20) & (d->n_index - 1); }

static cria_status rebuild_index(struct run *r, struct dict *d, size_t n_index) {
    CHECK(template_step(r, d->n));
    CHECK(template_new(r, n_index, sizeof *d->index, &d->index));
    d->n_index = n_index;
    for (size_t i = 0; i < d->n; i++) {
        size_t slot = slot_of(d, d->entries[i].hash);
        while (d->index[slot]) slot = (slot + 1) & (n_index - 1);
        d->index[slot] = (uint32_t)i + 1;
    }
    return CRIA_OK;
}

/* The entry with an equal key, NULL where there is none; *ret_slot (of a dict with an index) is where it stands or
 * would. */
static cria_status find(struct run *r, const struct dict *d, const struct value *key, uint64_t hash, struct entry **ret,
                        size_t *ret_slot) {
    bool equal = false;
    *ret = NULL;
    if (!d->index) {
        for (size_t i = 0; i < d->n && !equal; i++) {
            if (d->entries[i].hash != hash) continue;
            CHECK(template_equal(r, &d->entries[i].key, key, &equal));
            if (equal) *ret = &d->entries[i];
        }
        return CRIA_OK;
    }
    size_t slot = slot_of(d, hash);
    for (; d->index[slot]; slot = (slot + 1) & (d->n_index - 1)) {
        CHECK(template_step(r, 1));
        struct entry *e = &d->entries[d->index[slot] - 1];
        if (e->hash != hash) continue;
        CHECK(template_equal(r, &e->key, key, &equal));
        if (!equal) continue;
        *ret = e;
        break;
    }
    *ret_slot = slot;
    return CRIA_OK;
}

cria_status template_dict_set(struct run *r, struct dict *d, struct value key, struct value v, bool *ret_was_new) {
    uint64_t hash;
    size_t slot = 0;
    struct entry *e;
    CHECK(template_step(r, 1));
    CHECK(hash_of(r, &key, &hash));
    CHECK(find(r, d, &key, hash, &e, &slot));
    if (ret_was_new) *ret_was_new = !e;
    if (e) {
        e->value = v;
        return CRIA_OK;
    }
    if (d->n == d->capacity) {
        const size_t capacity = d->capacity ? d->capacity * 2 : 4;
        struct entry *entries;
        CHECK(template_new(r, capacity, sizeof *entries, &entries));
        if (d->n) memcpy(entries, d->entries, d->n * sizeof *entries);
        d->entries = entries;
        d->capacity = capacity;
    }
    d->entries[d->n++] = (struct entry){.key = key, .value = v, .hash = hash};
    if (d->n <= SMALL_DICT) return CRIA_OK;
    if (d->n * 2 > d->n_index) return rebuild_index(r, d, d->n_index ? d->n_index * 2 : SMALL_DICT * 4);
    d->index[slot] = (uint32_t)d->n;
    return CRIA_OK;
}

cria_status template_dict_get(struct run *r, const struct dict *d, const struct value *key, const struct value **ret) {
    uint64_t hash;
    size_t slot = 0;
    struct entry *e;
    CHECK(hash_of(r, key, &hash));
    CHECK(find(r, d, key, hash, &e, &slot));
    *ret = e ? &e->value : NULL;
    return CRIA_OK;
}

const struct value *template_dict_word(const struct dict *d, const char *key) {
    for (size_t i = 0; i < d->n; i++)
        if (d->entries[i].key.kind == VALUE_STRING && template_text_is(d->entries[i].key.text, key))
            return &d->entries[i].value;
    return NULL;
}

cria_status template_dict_list(struct run *r, const struct dict *d, char what, struct list **ret) {
    struct list *l;
    CHECK(template_list_new(r, d->n, &l));
    for (size_t i = 0; i < d->n; i++) {
        struct value v = what == 'k' ? d->entries[i].key : d->entries[i].value;
        if (what == 'i') CHECK(template_pair(r, d->entries[i].key, d->entries[i].value, &v));
        CHECK(template_list_add(r, l, v));
    }
    *ret = l;
    return CRIA_OK;
}
