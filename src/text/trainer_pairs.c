/* trainer_pairs.c: see trainer_pairs.h. All places together are at most three times the symbols of all words: each
 * merge takes away one symbol and makes at most two new places. So nothing is given back before the end. */
#include "text/trainer_pairs.h"

#include "base/alloc.h"
#include "text/token_table.h"

enum { CHUNK_WORDS = 1 << 18, FIRST_SLOTS = 1 << 14 };

struct trainer_chunk {
    struct trainer_chunk *next;
    size_t n, capacity;
    uint32_t words[];
};

void trainer_pairs_deinit(struct trainer_pairs *p) {
    for (struct trainer_chunk *c = p->chunks, *next; c; c = next) {
        next = c->next;
        alloc_free(c);
    }
    alloc_free(p->pairs);
    alloc_free(p->slots);
    alloc_free(p->places);
    alloc_free(p->touched);
    *p = (struct trainer_pairs){0};
}

static uint64_t key_of(uint32_t left, uint32_t right) { return (uint64_t)left << 32 | right; }

/* The array with room for more elements; NULL without memory, and then it is as it was. */
static void *grown(void *array, size_t *capacity, size_t size, struct cria_error *err) {
    size_t more = *capacity + *capacity / 2 + 4096;
    void *moved = alloc_resize(array, more, size);
    if (moved) *capacity = more;
    else (void)ERROR_NOMEM(err, more * size, "pairs of tokens");
    return moved;
}

static size_t slot_of(const struct trainer_pairs *p, uint32_t left, uint32_t right) {
    size_t i = token_table_mix(key_of(left, right), 0) & (p->n_slots - 1);
    while (p->slots[i]) {
        const struct trainer_pair *pair = &p->pairs[p->slots[i] - 1];
        if (pair->left == left && pair->right == right) break;
        i = (i + 1) & (p->n_slots - 1);
    }
    return i;
}

static cria_status grow_slots(struct trainer_pairs *p, struct cria_error *err) {
    size_t n = p->n_slots ? 2 * p->n_slots : FIRST_SLOTS;
    uint32_t *slots = alloc_zeroed(n, sizeof *slots);
    if (!slots) return ERROR_NOMEM(err, n * sizeof *slots, "the table of pairs");
    alloc_free(p->slots);
    p->slots = slots;
    p->n_slots = n;
    for (size_t i = 0; i < p->n_pairs; i++) {
        slots[slot_of(p, p->pairs[i].left, p->pairs[i].right)] = (uint32_t)i + 1;
    }
    return CRIA_OK;
}

static cria_status find_pair(struct trainer_pairs *p, uint32_t left, uint32_t right, uint32_t *ret,
                             struct cria_error *err) {
    cria_status status;
    if (2 * p->n_pairs >= p->n_slots) TRY(grow_slots(p, err));
    size_t slot = slot_of(p, left, right);
    if (!p->slots[slot]) {
        if (p->n_pairs == UINT32_MAX - 1) return ERROR_SET(err, CRIA_LIMIT, "more than %zu pairs", p->n_pairs);
        if (p->n_pairs == p->capacity) {
            struct trainer_pair *pairs = grown(p->pairs, &p->capacity, sizeof *pairs, err);
            if (!pairs) return CRIA_NOMEM;
            p->pairs = pairs;
        }
        p->pairs[p->n_pairs++] = (struct trainer_pair){.left = left, .right = right, .last_word = TRAINER_PAIRS_NONE};
        p->slots[slot] = (uint32_t)p->n_pairs;
    }
    *ret = p->slots[slot] - 1;
    return CRIA_OK;
out:
    return status;
}

static cria_status note_place(struct trainer_pairs *p, uint32_t number, uint32_t word, struct cria_error *err) {
    struct trainer_pair *pair = &p->pairs[number];
    if (pair->last_word == word) return CRIA_OK;
    if (p->n_touched == p->touched_capacity) {
        uint32_t *touched = grown(p->touched, &p->touched_capacity, sizeof *touched, err);
        if (!touched) return CRIA_NOMEM;
        p->touched = touched;
    }
    if (!p->is_counting) {
        if (p->n_places == p->places_capacity) {
            struct trainer_place *places = grown(p->places, &p->places_capacity, sizeof *places, err);
            if (!places) return CRIA_NOMEM;
            p->places = places;
        }
        p->places[p->n_places] = (struct trainer_place){number, word};
    }
    p->n_places++;
    if (pair->n_new++ == 0) p->touched[p->n_touched++] = number;
    pair->last_word = word;
    return CRIA_OK;
}

cria_status trainer_pairs_change(struct trainer_pairs *p, uint32_t left, uint32_t right, int64_t change, uint32_t word,
                                 struct cria_error *err) {
    uint32_t number = 0;
    cria_status status = find_pair(p, left, right, &number, err);
    if (status != CRIA_OK) return status;
    p->pairs[number].count += change;
    return change > 0 ? note_place(p, number, word, err) : CRIA_OK;
}

/* Memory for n words that lives as long as p. */
static uint32_t *take_words(struct trainer_pairs *p, size_t n, struct cria_error *err) {
    struct trainer_chunk *c = p->chunks;
    if (!c || c->capacity - c->n < n) {
        size_t capacity = n > CHUNK_WORDS ? n : CHUNK_WORDS;
        c = alloc_array(1, sizeof *c + capacity * sizeof(uint32_t));
        if (!c) {
            (void)ERROR_NOMEM(err, capacity * sizeof(uint32_t), "the places of pairs");
            return NULL;
        }
        *c = (struct trainer_chunk){.next = p->chunks, .capacity = capacity};
        p->chunks = c;
    }
    c->n += n;
    return c->words + c->n - n;
}

cria_status trainer_pairs_reserve(struct trainer_pairs *p, struct cria_error *err) {
    p->words = take_words(p, p->n_places, err);
    if (!p->words) return CRIA_NOMEM;
    p->is_counting = false;
    size_t next = 0;
    for (size_t i = 0; i < p->n_touched; i++) {
        struct trainer_pair *pair = &p->pairs[p->touched[i]];
        pair->fill = next;
        pair->last_word = TRAINER_PAIRS_NONE;
        next += pair->n_new;
    }
    return CRIA_OK;
}

void trainer_pairs_enter(struct trainer_pairs *p, uint32_t left, uint32_t right, uint32_t word) {
    struct trainer_pair *pair = &p->pairs[p->slots[slot_of(p, left, right)] - 1];
    if (pair->last_word == word) return;
    pair->last_word = word;
    p->words[pair->fill++] = word;
}

cria_status trainer_pairs_flush(struct trainer_pairs *p, struct trainer_queue *q, struct cria_error *err) {
    cria_status status = CRIA_OK;
    if (!p->words) {
        TRY(trainer_pairs_reserve(p, err));
        for (size_t i = 0; i < p->n_places; i++) p->words[p->pairs[p->places[i].pair].fill++] = p->places[i].word;
    }
    for (size_t i = 0; i < p->n_touched; i++) {
        struct trainer_pair *pair = &p->pairs[p->touched[i]];
        const struct trainer_entry entry = {.count = (uint64_t)pair->count,
                                            .key = key_of(pair->left, pair->right),
                                            .pair = p->touched[i],
                                            .words = p->words + pair->fill - pair->n_new,
                                            .n_words = pair->n_new};
        if (pair->count > 0) TRY(trainer_queue_add(q, entry, err));
        pair->n_new = 0;
        pair->last_word = TRAINER_PAIRS_NONE;
    }
    p->words = NULL;
    p->n_places = p->n_touched = 0;
out:
    return status;
}
