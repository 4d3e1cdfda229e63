/* gguf_vocab.c: the tokenizer's tables of a GGUF file, as the text module wants them. */
#include <string.h>

#include "arch/limits.h"
#include "base/alloc.h"
#include "format/model_files.h"

/* What tokenizer_from_vocab() borrows. */
struct tables {
    char *model, *pre;
    struct text_span *tokens, *merges;
    float *scores;
    int32_t *types;
};

static void free_tables(struct tables *t) {
    alloc_free(t->model);
    alloc_free(t->pre);
    alloc_free(t->tokens);
    alloc_free(t->merges);
    alloc_free(t->scores);
    alloc_free(t->types);
}

/* A string as a C string: no NUL inside. A missing key leaves *ret NULL. */
static cria_status read_word(const struct gguf *g, const char *name, char **ret, struct cria_error *err) {
    struct text_span text;
    const struct gguf_key *k = gguf_find_key(g, name);
    if (!k) return CRIA_OK;
    const cria_status status = gguf_read_string(g, k, &text, err);
    if (status != CRIA_OK) return status;
    if (text.n > 256 || memchr(text.bytes, 0, text.n))
        return ERROR_SET(err, CRIA_FORMAT, "key \"%s\" is no name", name);
    *ret = alloc_text(text.bytes, text.n);
    return *ret ? CRIA_OK : ERROR_NOMEM(err, text.n, name);
}

static cria_status read_texts(const struct gguf *g, const char *name, size_t limit, struct text_span **ret,
                              size_t *ret_n, struct cria_error *err) {
    const struct gguf_key *k = gguf_find_key(g, name);
    if (!k) return CRIA_OK;
    if (k->count > limit)
        return ERROR_SET(err, CRIA_LIMIT, "key \"%s\" has %zu elements; at most %zu are read", name, k->count, limit);
    *ret = alloc_array(k->count, sizeof **ret);
    if (!*ret) return ERROR_NOMEM(err, k->count * sizeof **ret, name);
    *ret_n = k->count;
    return gguf_read_strings(g, k, *ret, err);
}

/* The array of n elements that goes along with the tokens; NULL where it is missing. */
static cria_status find_parallel(const struct gguf *g, const char *name, size_t n, const struct gguf_key **ret,
                                 struct cria_error *err) {
    const struct gguf_key *k = gguf_find_key(g, name);
    if (k && (!k->is_array || k->count != n)) {
        return ERROR_SET(err, CRIA_FORMAT, "key \"%s\" is no array of %zu elements, one for each token", name, n);
    }
    *ret = k;
    return CRIA_OK;
}

static cria_status read_scores_and_types(const struct gguf *g, size_t n, struct tables *t, struct cria_error *err) {
    cria_status status;
    const struct gguf_key *scores = NULL, *types = NULL;
    TRY(find_parallel(g, "tokenizer.ggml.scores", n, &scores, err));
    TRY(find_parallel(g, "tokenizer.ggml.token_type", n, &types, err));
    if (scores) {
        t->scores = alloc_array(n, sizeof *t->scores);
        if (!t->scores) return ERROR_NOMEM(err, n * sizeof *t->scores, "the scores of the tokens");
        TRY(gguf_read_floats(g, scores, t->scores, err));
    }
    if (types) {
        t->types = alloc_array(n, sizeof *t->types);
        if (!t->types) return ERROR_NOMEM(err, n * sizeof *t->types, "the types of the tokens");
        TRY(gguf_read_ints(g, types, t->types, err));
    }
out:
    return status;
}

static cria_status read_id(const struct gguf *g, const char *name, int64_t *ret, struct cria_error *err) {
    const struct gguf_key *k = gguf_find_key(g, name);
    uint64_t value = UINT32_MAX;
    *ret = -1;
    const cria_status status = k ? gguf_read_u64(g, k, UINT32_MAX, &value, err) : CRIA_OK;
    if (status == CRIA_OK && value != UINT32_MAX)
        *ret = (int64_t)value; /* held to the vocabulary when the file was opened */
    return status;
}

static cria_status read_flag(const struct gguf *g, const char *name, int *ret, struct cria_error *err) {
    const struct gguf_key *k = gguf_find_key(g, name);
    bool value = false;
    *ret = -1;
    const cria_status status = k ? gguf_read_bool(g, k, &value, err) : CRIA_OK;
    if (k && status == CRIA_OK) *ret = value;
    return status;
}

static cria_status read_settings(const struct gguf *g, struct tokenizer_vocab *v, struct cria_error *err) {
    cria_status status;
    TRY(read_id(g, "tokenizer.ggml.bos_token_id", &v->bos_id, err));
    TRY(read_id(g, "tokenizer.ggml.eos_token_id", &v->eos_id, err));
    TRY(read_id(g, "tokenizer.ggml.eot_token_id", &v->eot_id, err));
    TRY(read_id(g, "tokenizer.ggml.eom_token_id", &v->eom_id, err));
    TRY(read_id(g, "tokenizer.ggml.unknown_token_id", &v->unknown_id, err));
    TRY(read_id(g, "tokenizer.ggml.padding_token_id", &v->pad_id, err));
    TRY(read_flag(g, "tokenizer.ggml.add_bos_token", &v->add_bos, err));
    TRY(read_flag(g, "tokenizer.ggml.add_space_prefix", &v->add_space_prefix, err));
out:
    return status;
}

cria_status gguf_model_tokenizer(const struct model_files *m, tokenizer **ret, struct cria_error *err) {
    cria_status status;
    struct tables t = {0};
    struct tokenizer_vocab v = {0};
    const struct gguf *g = &m->gguf;
    TRY(read_word(g, "tokenizer.ggml.model", &t.model, err));
    if (!t.model || !gguf_find_key(g, "tokenizer.ggml.tokens")) {
        status = ERROR_SET(err, CRIA_NOTFOUND, "the file has no tokenizer");
        goto out;
    }
    TRY(read_word(g, "tokenizer.ggml.pre", &t.pre, err));
    TRY(read_texts(g, "tokenizer.ggml.tokens", LIMIT_VOCAB, &t.tokens, &v.n_tokens, err));
    TRY(read_texts(g, "tokenizer.ggml.merges", LIMIT_MERGES, &t.merges, &v.n_merges, err));
    TRY(read_scores_and_types(g, v.n_tokens, &t, err));
    TRY(read_settings(g, &v, err));
    v.model = t.model;
    v.pre = t.pre;
    v.tokens = t.tokens;
    v.merges = t.merges;
    v.scores = t.scores;
    v.types = t.types;
    TRY(tokenizer_from_vocab(ret, &v, err));
out:
    free_tables(&t);
    return status;
}
