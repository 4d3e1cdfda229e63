/* trainer_words.c: see trainer_words.h. Slots are probed in line; the table is at most 5/8 full. */
#include "text/trainer_words.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "text/token_table.h"

enum { SHORT_BYTES = 15, FIRST_SLOTS = 1 << 12, HISTOGRAM = 4096 };

#define LONG_MARK ((uint64_t)0xFF << 56)

void trainer_words_deinit(struct trainer_words *w) {
    alloc_free(w->slots);
    alloc_free(w->pool);
    *w = (struct trainer_words){0};
}

void trainer_words_clear(struct trainer_words *w) {
    if (w->slots) memset(w->slots, 0, w->n_slots * sizeof *w->slots);
    w->n_words = 0;
    w->pool_bytes = 0;
}

static inline uint64_t keep_bytes(uint64_t value, size_t n) {
    return n >= 8 ? value : value & (((uint64_t)1 << 8 * n) - 1);
}

/* The key of a word; a long one's `low` is its place in the pool and set by who enters it. */
static inline struct trainer_word key_of(const char *bytes, size_t n) {
    if (n > SHORT_BYTES) return (struct trainer_word){.high = LONG_MARK | token_table_hash(bytes, n) >> 8};
    uint64_t low = keep_bytes(token_table_load64(bytes), n);
    uint64_t high = n > 8 ? keep_bytes(token_table_load64(bytes + 8), n - 8) : 0;
    return (struct trainer_word){.low = low, .high = high | (uint64_t)n << 56};
}

static inline int is_long(struct trainer_word word) { return word.high >= LONG_MARK; }

static inline uint64_t hash_of(struct trainer_word word) {
    return token_table_mix(is_long(word) ? 0 : word.low, word.high);
}

static inline struct text_span pool_word(const struct trainer_words *w, uint64_t at) {
    return (struct text_span){w->pool + at + 4, token_table_load32(w->pool + at)};
}

static inline int is_same(const struct trainer_words *w, struct trainer_word slot, struct trainer_word key,
                          const char *bytes, size_t n) {
    if (slot.high != key.high) return 0;
    if (!is_long(key)) return slot.low == key.low;
    struct text_span other = pool_word(w, slot.low);
    return other.n == n && memcmp(other.bytes, bytes, n) == 0;
}

/* Puts all words of src into free slots; their pool stays. */
static void refill(struct trainer_word *slots, size_t n_slots, const struct trainer_word *src, size_t n_src) {
    for (size_t k = 0; k < n_src; k++) {
        if (!src[k].count) continue;
        size_t i = hash_of(src[k]) & (n_slots - 1);
        while (slots[i].count) i = (i + 1) & (n_slots - 1);
        slots[i] = src[k];
    }
}

static cria_status grow(struct trainer_words *w, struct cria_error *err) {
    size_t n_slots = w->n_slots ? 2 * w->n_slots : FIRST_SLOTS;
    struct trainer_word *slots = alloc_zeroed(n_slots, sizeof *slots);
    if (!slots) return ERROR_NOMEM(err, n_slots * sizeof *slots, "the table of words");
    refill(slots, n_slots, w->slots, w->n_slots);
    alloc_free(w->slots);
    w->slots = slots;
    w->n_slots = n_slots;
    return CRIA_OK;
}

static cria_status pool_add(struct trainer_words *w, const char *bytes, size_t n, uint64_t *ret_at,
                            struct cria_error *err) {
    size_t need;
    if (checked_add_size(w->pool_bytes, n + 4, &need)) return ERROR_NOMEM(err, SIZE_MAX, "long words");
    if (need > w->pool_capacity) {
        size_t capacity = need + need / 2;
        char *pool = alloc_resize(w->pool, capacity, 1);
        if (!pool) return ERROR_NOMEM(err, capacity, "long words");
        w->pool = pool;
        w->pool_capacity = capacity;
    }
    uint32_t length = (uint32_t)n;
    memcpy(w->pool + w->pool_bytes, &length, 4);
    memcpy(w->pool + w->pool_bytes + 4, bytes, n);
    *ret_at = w->pool_bytes;
    w->pool_bytes = need;
    return CRIA_OK;
}

cria_status trainer_words_add(struct trainer_words *w, const char *bytes, size_t n, uint64_t count,
                              struct cria_error *err) {
    cria_status status;
    if (w->n_words >= w->n_slots / 8 * 5) TRY(grow(w, err));
    struct trainer_word key = key_of(bytes, n);
    size_t i = hash_of(key) & (w->n_slots - 1);
    for (; w->slots[i].count; i = (i + 1) & (w->n_slots - 1)) {
        if (!is_same(w, w->slots[i], key, bytes, n)) continue;
        w->slots[i].count += count;
        return CRIA_OK;
    }
    if (is_long(key)) TRY(pool_add(w, bytes, n, &key.low, err));
    key.count = count;
    w->slots[i] = key;
    w->n_words++;
    return CRIA_OK;
out:
    return status;
}

struct text_span trainer_words_bytes(const struct trainer_words *w, const struct trainer_word *word, char room[16]) {
    if (is_long(*word)) return pool_word(w, word->low);
    memcpy(room, &word->low, 8);
    memcpy(room + 8, &word->high, 8);
    return (struct text_span){room, word->high >> 56};
}

cria_status trainer_words_merge(struct trainer_words *w, const struct trainer_words *src, struct cria_error *err) {
    char room[SHORT_BYTES + 1];
    cria_status status = CRIA_OK;
    for (size_t i = 0; i < src->n_slots; i++) {
        const struct trainer_word *word = &src->slots[i];
        if (!word->count) continue;
        struct text_span s = trainer_words_bytes(src, word, room);
        TRY(trainer_words_add(w, s.bytes, s.n, word->count, err));
    }
out:
    return status;
}

/* The least c, a multiple of `width` less one, that leaves at most `keep` words; 0 where the histogram ends before. */
static uint64_t least_count(const struct trainer_words *w, size_t keep, uint64_t width, uint64_t *histogram) {
    memset(histogram, 0, HISTOGRAM * sizeof *histogram);
    for (size_t i = 0; i < w->n_slots; i++) {
        uint64_t place = w->slots[i].count / width;
        if (w->slots[i].count && place < HISTOGRAM) histogram[place]++;
    }
    uint64_t dropped = 0;
    for (uint64_t i = 0; i < HISTOGRAM; i++) {
        dropped += histogram[i];
        if (w->n_words - dropped <= keep) return (i + 1) * width - 1;
    }
    return 0;
}

/* Moves the words above count into a fresh table. */
static cria_status keep_above(struct trainer_words *w, uint64_t count, struct trainer_pruned *pruned,
                              struct cria_error *err) {
    struct trainer_words kept = {0};
    struct trainer_pruned lost = {.count = count};
    char room[SHORT_BYTES + 1];
    cria_status status = CRIA_OK;
    for (size_t i = 0; i < w->n_slots; i++) {
        const struct trainer_word *word = &w->slots[i];
        if (word->count > count) {
            struct text_span s = trainer_words_bytes(w, word, room);
            TRY(trainer_words_add(&kept, s.bytes, s.n, word->count, err));
        } else if (word->count) {
            lost.words++;
            lost.occurrences += word->count;
        }
    }
    pruned->words += lost.words;
    pruned->occurrences += lost.occurrences;
    if (count > pruned->count) pruned->count = count;
    trainer_words_deinit(w);
    *w = kept;
    return CRIA_OK;
out:
    trainer_words_deinit(&kept);
    return status;
}

cria_status trainer_words_prune(struct trainer_words *w, size_t max_words, struct trainer_pruned *pruned,
                                struct cria_error *err) {
    uint64_t *histogram = NULL;
    cria_status status = CRIA_OK;
    if (w->n_words <= max_words) return CRIA_OK;
    histogram = alloc_array(HISTOGRAM, sizeof *histogram);
    if (!histogram) return ERROR_NOMEM(err, HISTOGRAM * sizeof *histogram, "a histogram of words");
    uint64_t count = 0;
    for (uint64_t width = 1; !count; width *= HISTOGRAM / 2) count = least_count(w, max_words / 2, width, histogram);
    TRY(keep_above(w, count, pruned, err));
out:
    alloc_free(histogram);
    return status;
}
