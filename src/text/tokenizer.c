/* tokenizer.c: putting a tokenizer together, taking it down, and the questions it answers about itself. */
#include "text/tokenizer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "text/tokenizer_parts.h"

cria_status tokenizer_create(tokenizer **ret, size_t n_tokens, struct cria_error *err) {
    tokenizer *t = ALLOC_NEW(tokenizer);
    if (!t) return ERROR_NOMEM(err, sizeof *t, "a tokenizer");
    t->bos_id = t->eos_id = t->bpe.unknown_id = -1;
    for (int i = 0; i < 256; i++) t->bpe.byte_ids[i] = -1;
    cria_status status;
    TRY(token_table_init(&t->bpe.table, n_tokens, err));
    t->kinds = alloc_zeroed(n_tokens, 1);
    if (!t->kinds) {
        status = ERROR_NOMEM(err, n_tokens, "a tokenizer");
        goto out;
    }
    *ret = t;
    return CRIA_OK;
out:
    tokenizer_destroy(&t);
    return status;
}

void tokenizer_destroy(tokenizer **t) {
    if (!*t) return;
    bpe_deinit(&(*t)->bpe);
    split_chain_deinit(&(*t)->splits);
    trie_deinit(&(*t)->raw);
    trie_deinit(&(*t)->normalised);
    alloc_free((*t)->kinds);
    alloc_free((*t)->added);
    alloc_free((*t)->out_pool);
    alloc_free((*t)->out_pool_places);
    for (int i = 0; i < TOKENIZER_MAX_NOTES; i++) alloc_free((*t)->notes[i]);
    alloc_free(*t);
    *t = NULL;
}

cria_status tokenizer_set_token(tokenizer *t, uint32_t id, const char *bytes, size_t n, enum token_kind kind,
                                struct cria_error *err) {
    if (id >= t->bpe.table.n_tokens) {
        return ERROR_SET(err, CRIA_FORMAT, "token id %u in a vocabulary of %u", id, t->bpe.table.n_tokens);
    }
    if (t->kinds[id] != TOKEN_UNUSED) return ERROR_SET(err, CRIA_FORMAT, "two tokens have the id %u", id);
    cria_status status = token_table_set(&t->bpe.table, id, bytes, n, err);
    if (status != CRIA_OK) return status;
    t->kinds[id] = (uint8_t)kind;
    if (kind != TOKEN_NORMAL || n == 0 || token_table_index(&t->bpe.table, id)) return CRIA_OK;
    int32_t other = token_table_find(&t->bpe.table, bytes, n);
    return ERROR_SET(err, CRIA_FORMAT, "the token '%.*s' has two ids, %d and %u", (int)(n < 100 ? n : 100), bytes,
                     other, id);
}

cria_status tokenizer_add_added(tokenizer *t, struct added_token added, struct cria_error *err) {
    if (token_table_bytes(&t->bpe.table, added.id).n == 0) return CRIA_OK; /* nothing to find */
    if (t->n_added == t->added_capacity) {
        size_t capacity = t->added_capacity ? 2 * t->added_capacity : 64;
        struct added_token *grown = alloc_resize(t->added, capacity, sizeof *grown);
        if (!grown) return ERROR_NOMEM(err, capacity * sizeof *grown, "the added tokens");
        t->added = grown;
        t->added_capacity = capacity;
    }
    t->added[t->n_added++] = added;
    return CRIA_OK;
}

void tokenizer_find_bytes(tokenizer *t) {
    for (int i = 0; i < 256; i++) {
        char byte = (char)i;
        t->bpe.byte_ids[i] = token_table_find(&t->bpe.table, &byte, 1);
    }
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

cria_status tokenizer_find_byte_tokens(tokenizer *t, struct cria_error *err) {
    for (uint32_t id = 0; id < t->bpe.table.n_tokens; id++) {
        if (t->kinds[id] != TOKEN_BYTE) continue;
        struct text_span s = token_table_bytes(&t->bpe.table, id);
        bool form = s.n == 6 && memcmp(s.bytes, "<0x", 3) == 0 && s.bytes[5] == '>';
        int high = form ? hex_digit(s.bytes[3]) : -1, low = form ? hex_digit(s.bytes[4]) : -1;
        if (high < 0 || low < 0) {
            return ERROR_SET(err, CRIA_FORMAT, "the byte token %u is '%.*s', expected '<0x' two hexadecimal digits '>'",
                             id, (int)(s.n < 40 ? s.n : 40), s.bytes);
        }
        int byte = high * 16 + low;
        if (t->bpe.byte_ids[byte] >= 0)
            return ERROR_SET(err, CRIA_FORMAT, "two byte tokens for the byte %02X", (unsigned)byte);
        t->bpe.byte_ids[byte] = (int32_t)id;
    }
    return CRIA_OK;
}

void tokenizer_add_stop(tokenizer *t, int64_t id) {
    if (id < 0 || t->n_stops == TOKENIZER_MAX_STOPS) return;
    for (int i = 0; i < t->n_stops; i++) {
        if (t->stops[i] == id) return;
    }
    t->stops[t->n_stops++] = (int32_t)id;
}

void tokenizer_add_named_stops(tokenizer *t) {
    static const char *const names[] = {"<|end_of_text|>", "<|eom_id|>", "<|eot_id|>",   "<|eom|>",
                                        "<|eot|>",         "<|im_end|>", "<|endoftext|>"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        tokenizer_add_stop(t, tokenizer_special_id(t, names[i], strlen(names[i])));
    }
}

cria_status tokenizer_check_id(const tokenizer *t, const char *key, int64_t id, struct cria_error *err) {
    if (id >= -1 && id < (int64_t)t->bpe.table.n_tokens) return CRIA_OK;
    return ERROR_SET(err, CRIA_FORMAT, "%s is %lld, expected an id of the vocabulary (0 to %u)", key, (long long)id,
                     t->bpe.table.n_tokens - 1);
}

cria_status tokenizer_add_note(tokenizer *t, struct cria_error *err, const char *format, ...) {
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (int i = 0; i < TOKENIZER_MAX_NOTES; i++) {
        if (t->notes[i]) continue;
        t->notes[i] = alloc_text(text, strlen(text));
        return t->notes[i] ? CRIA_OK : ERROR_NOMEM(err, strlen(text), "a note");
    }
    return CRIA_OK; /* those that are there say enough */
}

/* FORMAT where two added tokens have the same text. */
static cria_status check_added_once(const tokenizer *t, struct cria_error *err) {
    struct trie seen = {0};
    bool is_new = true;
    cria_status status = CRIA_OK;
    for (size_t i = 0; i < t->n_added; i++) {
        struct text_span s = token_table_bytes(&t->bpe.table, t->added[i].id);
        TRY(trie_add(&seen, s.bytes, s.n, (uint32_t)i, &is_new, err));
        if (is_new) continue;
        status = ERROR_SET(err, CRIA_FORMAT, "the added token %u, '%.*s', comes twice", t->added[i].id,
                           (int)(s.n < 80 ? s.n : 80), s.bytes);
        goto out;
    }
out:
    trie_deinit(&seen);
    return status;
}

static cria_status build_tries(tokenizer *t, struct cria_error *err) {
    struct buffer out = buffer_make(1 << 20), spare = buffer_make(1 << 20);
    bool is_new;
    cria_status status;
    TRY(check_added_once(t, err));
    for (size_t i = 0; i < t->n_added; i++) {
        struct added_token *added = &t->added[i];
        struct text_span s = token_table_bytes(&t->bpe.table, added->id);
        if (!added->special) t->any_always = true;
        if (added->normalised && !added->in_normal_form && t->normaliser.n_steps) {
            TRY(normalise(&t->normaliser, s.bytes, s.n, true, &out, &spare, err));
            s = (struct text_span){buffer_text(&out), out.n_bytes};
        }
        if (s.n) TRY(trie_add(added->normalised ? &t->normalised : &t->raw, s.bytes, s.n, (uint32_t)i, &is_new, err));
    }
out:
    buffer_free(&out);
    buffer_free(&spare);
    return status;
}

/* The texts that SentencePiece's pieces stand for: U+2581 is a space, <0xNN> a byte. */
static cria_status build_out(tokenizer *t, struct cria_error *err) {
    const struct token_table *table = &t->bpe.table;
    t->out_bytes = table->pool;
    t->out_places = table->places;
    if (!t->metaspace) return CRIA_OK;
    t->out_pool = alloc_array(table->pool_bytes + 1, 1);
    t->out_pool_places = alloc_array(table->n_tokens, sizeof *t->out_pool_places);
    if (!t->out_pool || !t->out_pool_places) return ERROR_NOMEM(err, table->pool_bytes, "the vocabulary");
    uint32_t at = 0;
    for (uint32_t id = 0; id < table->n_tokens; id++) {
        struct text_span s = token_table_bytes(table, id);
        uint32_t start = at;
        bool literal = t->kinds[id] == TOKEN_SPECIAL;
        for (size_t i = 0; i < s.n; i++) {
            bool mark = !literal && s.n - i >= 3 && memcmp(s.bytes + i, "\xE2\x96\x81", 3) == 0;
            t->out_pool[at++] = mark ? ' ' : s.bytes[i];
            if (mark) i += 2;
        }
        t->out_pool_places[id] = (struct token_place){start, at - start};
    }
    for (int byte = 0; byte < 256; byte++) {
        int32_t id = t->bpe.byte_ids[byte];
        if (id < 0 || t->kinds[id] != TOKEN_BYTE) continue;
        t->out_pool[t->out_pool_places[id].start] = (char)byte;
        t->out_pool_places[id].bytes = 1;
    }
    t->out_bytes = t->out_pool;
    t->out_places = t->out_pool_places;
    return CRIA_OK;
}

cria_status tokenizer_finish(tokenizer *t, struct cria_error *err) {
    cria_status status;
    TRY(build_tries(t, err));
    TRY(build_out(t, err));
    TRY(bpe_learn_joins(&t->bpe, err));
    if (!t->bpe.pairs && !t->bpe.n_ranks) t->bpe.n_ranks = t->bpe.table.n_tokens;
    if (!t->bpe.whole_first) {
        t->bpe.whole = alloc_zeroed(t->bpe.table.n_tokens, sizeof *t->bpe.whole);
        if (!t->bpe.whole) status = ERROR_NOMEM(err, t->bpe.table.n_tokens, "the vocabulary");
    }
out:
    return status;
}

int32_t tokenizer_size(const tokenizer *t) { return (int32_t)t->bpe.table.n_tokens; }

int64_t tokenizer_bos(const tokenizer *t) { return t->bos_id; }

int64_t tokenizer_eos(const tokenizer *t) { return t->eos_id; }

bool tokenizer_adds_bos(const tokenizer *t) { return t->adds_bos && t->bos_id >= 0; }

bool tokenizer_is_special(const tokenizer *t, int32_t id) {
    return id >= 0 && id < tokenizer_size(t) && t->kinds[id] == TOKEN_SPECIAL;
}

int tokenizer_stop_ids(const tokenizer *t, int32_t *out, int max) {
    int n = t->n_stops < max ? t->n_stops : max;
    for (int i = 0; i < n; i++) out[i] = t->stops[i];
    return n;
}

int32_t tokenizer_special_id(const tokenizer *t, const char *text, size_t n) {
    for (size_t i = 0; i < t->n_added; i++) {
        struct text_span s = token_table_bytes(&t->bpe.table, t->added[i].id);
        if (t->added[i].special && s.n == n && memcmp(s.bytes, text, n) == 0) return (int32_t)t->added[i].id;
    }
    return -1;
}

struct text_span tokenizer_token(const tokenizer *t, int32_t id) {
    if (id < 0 || id >= tokenizer_size(t)) return (struct text_span){"", 0};
    return (struct text_span){t->out_bytes + t->out_places[id].start, t->out_places[id].bytes};
}

const char *tokenizer_kind(const tokenizer *t) { return t->kind; }

const char *tokenizer_note(const tokenizer *t, int i) { return i >= 0 && i < TOKENIZER_MAX_NOTES ? t->notes[i] : NULL; }
