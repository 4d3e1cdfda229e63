/* tokenizer_merges.c: entering the merges of a byte-level vocabulary, as tokenizer.json and GGUF both write them. */
#include "base/utf8.h"
#include "text/byte_alphabet.h"
#include "text/tokenizer_parts.h"

/* The id of part of a merge, which is written in the byte alphabet; FORMAT where there is none. */
static cria_status merge_part(const tokenizer *t, size_t rank, const char *bytes, size_t n, uint32_t *ret,
                              struct cria_error *err) {
    int32_t id = token_table_find(&t->bpe.table, bytes, n);
    if (id < 0) {
        return ERROR_SET(err, CRIA_FORMAT, "merge %zu names '%.*s', which is no token", rank, (int)(n < 100 ? n : 100),
                         bytes);
    }
    *ret = (uint32_t)id;
    return CRIA_OK;
}

/* The bytes that a token as it is written stands for; -1 where it is not of the alphabet. */
static ptrdiff_t read_part(const tokenizer *t, struct text_span s, char *out) {
    if (!t->metaspace) return byte_alphabet_read(s.bytes, s.n, out);
    memcpy(out, s.bytes, s.n);
    return (ptrdiff_t)s.n;
}

cria_status tokenizer_add_merge(tokenizer *t, uint32_t rank, struct text_span left, struct text_span right,
                                struct cria_error *err) {
    char joined[4 * TOKEN_MAX_BYTES];
    ptrdiff_t n_left = -1, n_right = -1;
    if (left.n && right.n && left.n + right.n <= sizeof joined) {
        n_left = read_part(t, left, joined);
        if (n_left > 0) n_right = read_part(t, right, joined + n_left);
    }
    if (n_left < 0 || n_right < 0) {
        return ERROR_SET(err, CRIA_FORMAT,
                         "merge %u: expected two tokens in the byte alphabet, found '%.*s' and '%.*s'", rank,
                         (int)(left.n < 50 ? left.n : 50), left.bytes, (int)(right.n < 50 ? right.n : 50), right.bytes);
    }
    cria_status status;
    struct bpe_pair pair = {.rank = rank};
    TRY(merge_part(t, rank, joined, (size_t)n_left, &pair.left, err));
    TRY(merge_part(t, rank, joined + n_left, (size_t)n_right, &pair.right, err));
    TRY(merge_part(t, rank, joined, (size_t)(n_left + n_right), &pair.id, err));
    bpe_pairs_add(&t->bpe, pair);
out:
    return status;
}

cria_status tokenizer_check_no_merges(const tokenizer *t, struct cria_error *err) {
    for (uint32_t id = 0; id < t->bpe.table.n_tokens; id++) {
        struct text_span s = token_table_bytes(&t->bpe.table, id);
        size_t first = t->bpe.characters ? (size_t)utf8_sequence_bytes(s.bytes, s.n) : 1;
        if (t->kinds[id] == TOKEN_NORMAL && s.n > first && first > 0) {
            return ERROR_SET(err, CRIA_FORMAT, "the vocabulary has no merges, but token %u has more than one character",
                             id);
        }
    }
    return CRIA_OK;
}
