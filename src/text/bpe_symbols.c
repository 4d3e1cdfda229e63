/* bpe_symbols.c: where merging begins and ends: characters and bytes, and what the vocabulary cannot say. */
#include "text/bpe_symbols.h"

#include "base/utf8.h"

/* Whether a character that is no token, of n bytes, can be said by byte tokens. */
static bool bytes_known(const struct bpe *b, const char *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (b->byte_ids[(uint8_t)bytes[i]] < 0) return false;
    }
    return true;
}

/* The ids of a symbol that is no token: its bytes, or unknown_id, or nothing. Returns how many. */
static size_t unknown_symbol(const struct bpe *b, const char *bytes, size_t n, size_t *dropped, uint32_t *out) {
    if (bytes_known(b, bytes, n)) {
        for (size_t i = 0; i < n; i++) out[i] = (uint32_t)b->byte_ids[(uint8_t)bytes[i]];
        return n;
    }
    if (b->unknown_id < 0) {
        *dropped += n;
        return 0;
    }
    *out = (uint32_t)b->unknown_id;
    return 1;
}

/* Whether id, behind the ids that end with `last`, adds nothing. */
static inline bool fuses(const struct bpe *b, int64_t last, uint32_t id) {
    return b->fuse_unknown && last == b->unknown_id && (int64_t)id == last;
}

static size_t character_bytes(const char *text, size_t n) {
    int bytes = utf8_sequence_bytes(text, n);
    return bytes > 0 ? (size_t)bytes : 1;
}

size_t bpe_first_ids(const struct bpe *b, struct bpe_scratch *s, const char *piece, size_t n, uint32_t *out) {
    size_t count = 0;
    for (size_t at = 0, bytes; at < n; at += bytes) {
        bytes = b->characters ? character_bytes(piece + at, n - at) : 1;
        int32_t id = b->characters ? token_table_find(&b->table, piece + at, bytes) : b->byte_ids[(uint8_t)piece[at]];
        uint32_t ids[4] = {(uint32_t)id};
        size_t n_ids = id >= 0 ? 1 : unknown_symbol(b, piece + at, bytes, &s->n_dropped, ids);
        for (size_t i = 0; i < n_ids; i++) {
            if (!count || !fuses(b, out[count - 1], ids[i])) out[count++] = ids[i];
        }
    }
    return count;
}

size_t bpe_first_starts(const struct bpe *b, const char *piece, size_t n, uint32_t *out) {
    size_t count = 0;
    for (size_t at = 0; at < n; at += b->characters ? character_bytes(piece + at, n - at) : 1)
        out[count++] = (uint32_t)at;
    return count;
}

void bpe_add_symbol(const struct bpe *b, struct bpe_scratch *s, const char *bytes, size_t n, int64_t *last,
                    struct token_list *list) {
    int32_t id = token_table_find(&b->table, bytes, n);
    uint32_t ids[4] = {(uint32_t)id};
    size_t count = id >= 0 ? 1 : unknown_symbol(b, bytes, n, &s->n_dropped, ids);
    for (size_t i = 0; i < count; i++) {
        if (!fuses(b, *last, ids[i])) list->ids[list->n++] = (int32_t)ids[i];
        *last = ids[i];
    }
}
