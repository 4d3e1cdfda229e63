/* tokenizer_spm.c: pieces with scores: of all adjacent pairs that join to a piece the one with the highest score joins
 * first.
 *
 * Scores become ranks: equal scores are one rank, so that the leftmost of them joins first. Where no piece has U+2581
 * behind another character no join crosses the front of a word, and words are merged one by one, which changes nothing
 * but the time. */
#include "text/tokenizer_spm.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define MARK "\xE2\x96\x81"

/* GGUF's and SentencePiece's numbers for kinds of tokens are the same. */
static enum token_kind kind_of_type(int32_t type) {
    static const enum token_kind kinds[] = {TOKEN_UNUSED, TOKEN_NORMAL, TOKEN_LITERAL, TOKEN_SPECIAL,
                                            TOKEN_ADDED,  TOKEN_UNUSED, TOKEN_BYTE};
    return kinds[type];
}

static cria_status set_tokens(tokenizer *t, const struct tokenizer_vocab *v, bool user_normalised,
                              struct cria_error *err) {
    cria_status status = CRIA_OK;
    for (uint32_t id = 0; id < v->n_tokens; id++) {
        if (v->types[id] < 1 || v->types[id] > 6) {
            return ERROR_SET(err, CRIA_FORMAT, "token %u has the type %d, expected 1 to 6", id, v->types[id]);
        }
        enum token_kind kind = kind_of_type(v->types[id]);
        if (kind == TOKEN_UNUSED) continue;
        TRY(tokenizer_set_token(t, id, v->tokens[id].bytes, v->tokens[id].n, kind, err));
        if (kind == TOKEN_LITERAL && t->bpe.unknown_id < 0) t->bpe.unknown_id = id;
        if (kind != TOKEN_SPECIAL && kind != TOKEN_ADDED) continue;
        struct added_token added = {.id = id, .special = kind == TOKEN_SPECIAL};
        added.normalised = added.in_normal_form = user_normalised && kind == TOKEN_ADDED;
        TRY(tokenizer_add_added(t, added, err));
    }
out:
    return status;
}

struct scored {
    float score;
    uint32_t id;
};

static int by_score(const void *a, const void *b) {
    float x = ((const struct scored *)a)->score, y = ((const struct scored *)b)->score;
    return (x < y) - (x > y);
}

static cria_status rank_tokens(tokenizer *t, const float *scores, struct cria_error *err) {
    uint32_t n = t->bpe.table.n_tokens;
    struct scored *order = alloc_array(n, sizeof *order);
    t->bpe.ranks = alloc_zeroed(n, sizeof *t->bpe.ranks);
    cria_status status = CRIA_OK;
    if (!order || !t->bpe.ranks) {
        status = ERROR_NOMEM(err, n * sizeof *order, "the scores");
        goto out;
    }
    for (uint32_t id = 0; id < n; id++) {
        if (isnan(scores[id])) {
            status = ERROR_SET(err, CRIA_FORMAT, "the score of token %u is not a number", id);
            goto out;
        }
        order[id] = (struct scored){scores[id], id};
    }
    qsort(order, n, sizeof *order, by_score);
    uint32_t rank = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0 && order[i].score != order[i - 1].score) rank++;
        t->bpe.ranks[order[i].id] = rank;
    }
    t->bpe.n_ranks = rank + 1;
out:
    alloc_free(order);
    return status;
}

/* Whether some piece has U+2581 behind another character. */
static bool crosses_words(const tokenizer *t) {
    for (uint32_t id = 0; id < t->bpe.table.n_tokens; id++) {
        struct text_span s = token_table_bytes(&t->bpe.table, id);
        if (t->kinds[id] != TOKEN_NORMAL) continue;
        while (s.n >= 3 && memcmp(s.bytes, MARK, 3) == 0) {
            s.bytes += 3;
            s.n -= 3;
        }
        if (memmem(s.bytes, s.n, MARK, 3)) return true;
    }
    return false;
}

static cria_status set_ids(tokenizer *t, const struct tokenizer_vocab *v, struct cria_error *err) {
    cria_status status;
    TRY(tokenizer_check_id(t, "the beginning-of-text id", v->bos_id, err));
    TRY(tokenizer_check_id(t, "the end-of-text id", v->eos_id, err));
    TRY(tokenizer_check_id(t, "the end-of-turn id", v->eot_id, err));
    TRY(tokenizer_check_id(t, "the end-of-message id", v->eom_id, err));
    TRY(tokenizer_check_id(t, "the unknown id", v->unknown_id, err));
    TRY(tokenizer_check_id(t, "the padding id", v->pad_id, err));
    t->bos_id = v->bos_id;
    t->eos_id = v->eos_id;
    if (v->unknown_id >= 0) t->bpe.unknown_id = (int32_t)v->unknown_id;
    t->adds_bos = v->add_bos != 0;
    tokenizer_add_stop(t, v->eos_id);
    tokenizer_add_stop(t, v->eot_id);
    tokenizer_add_stop(t, v->eom_id);
    tokenizer_add_named_stops(t);
out:
    return status;
}

cria_status tokenizer_spm_build(tokenizer **ret, const struct tokenizer_vocab *v, bool user_normalised,
                                const char *kind, struct cria_error *err) {
    if (!v->scores) return ERROR_SET(err, CRIA_FORMAT, "a SentencePiece vocabulary without scores");
    if (!v->types) return ERROR_SET(err, CRIA_FORMAT, "a SentencePiece vocabulary without token types");
    tokenizer *t = NULL;
    cria_status status;
    TRY(tokenizer_create(&t, v->n_tokens, err));
    t->metaspace = t->bpe.characters = t->bpe.fuse_unknown = true;
    t->strips_space = v->add_space_prefix != 0;
    TRY(set_tokens(t, v, user_normalised, err));
    TRY(set_ids(t, v, err));
    TRY(tokenizer_find_byte_tokens(t, err));
    TRY(rank_tokens(t, v->scores, err));
    if (t->strips_space) TRY(normalise_add_prepend(&t->normaliser, NORMALISE_ALWAYS, MARK, 3, err));
    TRY(normalise_add_replace(&t->normaliser, " ", 1, MARK, 3, err));
    if (!crosses_words(t)) TRY(split_chain_add(&t->splits, (struct split_step){.kind = SPLIT_WORDS}, err));
    snprintf(t->kind, sizeof t->kind, "%s", kind);
    TRY(tokenizer_finish(t, err));
    *ret = t;
    return CRIA_OK;
out:
    tokenizer_destroy(&t);
    return status;
}
