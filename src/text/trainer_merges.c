/* trainer_merges.c: see trainer_merges.h.
 *
 * All words lie as runs of ids in one array; a merge visits the words of its pair and shortens them in place. Words
 * that hold a pair are known from the step that made the later of its two tokens, and never grow after it.
 *
 * Every merge makes a new token. For bytes that became one token in some place, no merge there crossed their ends, and
 * what happens between two ends that no merge crosses is the same in every place; so no other pair of tokens can join
 * to the same bytes. */
#include "text/trainer_merges.h"

#include "base/alloc.h"
#include "text/byte_alphabet.h"
#include "text/trainer_pairs.h"

struct run {
    uint64_t start; /* of its ids */
    uint64_t count;
    uint32_t n; /* ids */
};

struct merging {
    struct trainer_vocabulary *v; /* borrowed */
    struct run *runs;             /* owned */
    uint32_t n_runs;
    uint32_t *ids; /* owned */
    struct trainer_pairs pairs;
    struct trainer_queue queue;
};

void trainer_merges_deinit(struct trainer_vocabulary *v) {
    token_table_deinit(&v->table);
    alloc_free(v->merges);
    *v = (struct trainer_vocabulary){0};
}

static void merging_deinit(struct merging *m) {
    alloc_free(m->runs);
    alloc_free(m->ids);
    trainer_pairs_deinit(&m->pairs);
    trainer_queue_deinit(&m->queue);
}

/* The special tokens, then the bytes in the order of their characters in the alphabet. */
static cria_status first_tokens(struct trainer_vocabulary *v, const struct trainer_options *o, uint32_t byte_ids[256],
                                struct cria_error *err) {
    cria_status status;
    TRY(token_table_init(&v->table, (size_t)o->vocabulary, err));
    v->merges = alloc_array((size_t)o->vocabulary, sizeof *v->merges);
    if (!v->merges) return ERROR_NOMEM(err, (size_t)o->vocabulary * sizeof *v->merges, "merges");
    for (int i = 0; i < o->n_special; i++) {
        TRY(token_table_set(&v->table, (uint32_t)v->n_tokens++, o->special[i], strlen(o->special[i]), err));
    }
    for (int i = 0; i < 256; i++) {
        uint32_t id = (uint32_t)v->n_tokens++;
        char byte = (char)byte_alphabet_nth(i);
        TRY(token_table_set(&v->table, id, &byte, 1, err));
        (void)token_table_index(&v->table, id);
        byte_ids[(uint8_t)byte] = id;
    }
out:
    return status;
}

/* How many words of two bytes and more there are, and how many bytes they have. */
static cria_status measure(const struct trainer_words *words, size_t *ret_runs, size_t *ret_ids,
                           struct cria_error *err) {
    char room[16];
    size_t runs = 0, ids = 0;
    for (size_t i = 0; i < words->n_slots; i++) {
        if (!words->slots[i].count) continue;
        size_t n = trainer_words_bytes(words, &words->slots[i], room).n;
        if (n < 2) continue;
        runs++;
        ids += n; /* all of them lie in memory, so the sum is no overflow */
    }
    if (runs >= UINT32_MAX) return ERROR_SET(err, CRIA_LIMIT, "%zu different words; at most %u", runs, UINT32_MAX);
    *ret_runs = runs;
    *ret_ids = ids;
    return CRIA_OK;
}

static cria_status load_words(struct merging *m, const struct trainer_words *words, const uint32_t byte_ids[256],
                              struct cria_error *err) {
    size_t n_runs = 0, n_ids = 0;
    char room[16];
    cria_status status;
    TRY(measure(words, &n_runs, &n_ids, err));
    m->runs = alloc_array(n_runs, sizeof *m->runs);
    m->ids = alloc_array(n_ids, sizeof *m->ids);
    if (!m->runs || !m->ids) {
        return ERROR_NOMEM(err, n_runs * sizeof *m->runs + n_ids * sizeof *m->ids, "the words of the text");
    }
    uint64_t at = 0;
    for (size_t i = 0; i < words->n_slots; i++) {
        if (!words->slots[i].count) continue;
        struct text_span s = trainer_words_bytes(words, &words->slots[i], room);
        if (s.n < 2) continue;
        m->runs[m->n_runs++] = (struct run){at, words->slots[i].count, (uint32_t)s.n};
        for (size_t k = 0; k < s.n; k++) m->ids[at++] = byte_ids[(uint8_t)s.bytes[k]];
    }
out:
    return status;
}

static cria_status count_pairs(struct merging *m, struct cria_error *err) {
    cria_status status;
    m->pairs.is_counting = true;
    for (uint32_t i = 0; i < m->n_runs; i++) {
        const uint32_t *ids = m->ids + m->runs[i].start;
        for (uint32_t k = 0; k + 1 < m->runs[i].n; k++) {
            TRY(trainer_pairs_change(&m->pairs, ids[k], ids[k + 1], (int64_t)m->runs[i].count, i, err));
        }
    }
    TRY(trainer_pairs_reserve(&m->pairs, err));
    for (uint32_t i = 0; i < m->n_runs; i++) {
        const uint32_t *ids = m->ids + m->runs[i].start;
        for (uint32_t k = 0; k + 1 < m->runs[i].n; k++) trainer_pairs_enter(&m->pairs, ids[k], ids[k + 1], i);
    }
    TRY(trainer_pairs_flush(&m->pairs, &m->queue, err));
out:
    return status;
}

/* The neighbour of a new token: what it was beside before, and what it is beside now. A pair whose token would be too
 * long is not counted. */
static cria_status change_neighbour(struct merging *m, uint32_t word, const uint32_t old[2], const uint32_t now[2],
                                    struct cria_error *err) {
    cria_status status;
    int64_t count = (int64_t)m->runs[word].count;
    TRY(trainer_pairs_change(&m->pairs, old[0], old[1], -count, word, err));
    const struct token_place *places = m->v->table.places;
    if (places[now[0]].bytes + places[now[1]].bytes > TOKEN_MAX_BYTES) return CRIA_OK;
    TRY(trainer_pairs_change(&m->pairs, now[0], now[1], count, word, err));
out:
    return status;
}

/* Replaces left and right by id in one word, from left to right. */
static cria_status merge_word(struct merging *m, uint32_t word, struct trainer_merge pair, uint32_t id,
                              struct cria_error *err) {
    struct run *r = &m->runs[word];
    uint32_t *ids = m->ids + r->start, n = r->n, kept = 0;
    cria_status status = CRIA_OK;
    for (uint32_t i = 0; i < n; i++, kept++) {
        if (ids[i] != pair.left || i + 1 == n || ids[i + 1] != pair.right) {
            ids[kept] = ids[i];
            continue;
        }
        ids[kept] = id;
        if (kept > 0) {
            const uint32_t before = ids[kept - 1];
            TRY(change_neighbour(m, word, (uint32_t[]){before, pair.left}, (uint32_t[]){before, id}, err));
        }
        if (++i + 1 < n) {
            const uint32_t after = ids[i + 1];
            TRY(change_neighbour(m, word, (uint32_t[]){pair.right, after}, (uint32_t[]){id, after}, err));
        }
    }
    r->n = kept;
out:
    return status;
}

/* Makes the token of a merge. */
static cria_status add_token(struct trainer_vocabulary *v, struct trainer_merge merge, struct cria_error *err) {
    char bytes[2 * TOKEN_MAX_BYTES];
    struct text_span left = token_table_bytes(&v->table, merge.left), right = token_table_bytes(&v->table, merge.right);
    cria_status status;
    memcpy(bytes, left.bytes, left.n);
    memcpy(bytes + left.n, right.bytes, right.n);
    TRY(token_table_set(&v->table, (uint32_t)v->n_tokens, bytes, left.n + right.n, err));
    if (!token_table_index(&v->table, (uint32_t)v->n_tokens)) {
        return ERROR_SET(err, CRIA_INTERNAL, "two merges make the same token of %zu bytes", left.n + right.n);
    }
    v->n_tokens++;
    v->merges[v->n_merges++] = merge;
out:
    return status;
}

static cria_status merge_all(struct merging *m, const struct trainer_options *o, struct cria_error *err) {
    struct trainer_vocabulary *v = m->v;
    cria_status status = CRIA_OK;
    while (v->n_tokens < (size_t)o->vocabulary && m->queue.n) {
        const struct trainer_pair *pair = &m->pairs.pairs[m->queue.entries[0].pair];
        const uint64_t count = pair->count > 0 ? (uint64_t)pair->count : 0;
        if (m->queue.entries[0].count != count) {
            trainer_queue_correct(&m->queue, count);
            continue;
        }
        if (count < 1 || (o->min_count > 0 && count < (uint64_t)o->min_count)) break;
        const struct trainer_entry entry = trainer_queue_take(&m->queue);
        const struct trainer_merge merge = {pair->left, pair->right};
        const uint32_t id = (uint32_t)v->n_tokens;
        TRY(add_token(v, merge, err));
        v->last_count = count;
        for (size_t i = 0; i < entry.n_words; i++) TRY(merge_word(m, entry.words[i], merge, id, err));
        TRY(trainer_pairs_flush(&m->pairs, &m->queue, err));
    }
out:
    return status;
}

cria_status trainer_merges_learn(struct trainer_vocabulary *ret, struct trainer_words *words,
                                 const struct trainer_options *options, struct cria_error *err) {
    struct trainer_vocabulary v = {0};
    struct merging m = {.v = &v};
    uint32_t byte_ids[256];
    cria_status status;
    if (!words->n_words) return ERROR_SET(err, CRIA_FORMAT, "there is no text to learn from");
    TRY(first_tokens(&v, options, byte_ids, err));
    TRY(load_words(&m, words, byte_ids, err));
    trainer_words_deinit(words);
    TRY(count_pairs(&m, err));
    TRY(merge_all(&m, options, err));
    *ret = v;
    v = (struct trainer_vocabulary){0};
out:
    merging_deinit(&m);
    trainer_merges_deinit(&v);
    return status;
}
