/* tokenizer_vocab.c: tokenizers from what a GGUF file says.
 *
 * The pre-tokenizer is the one that the file names. Files from before that key carry no name or "default": a vocabulary
 * of 128,256 tokens is then Llama 3's; any other is refused, since a wrong guess gives wrong ids without a sign. */
#include <stdio.h>
#include <string.h>

#include "text/byte_alphabet.h"
#include "text/tokenizer_parts.h"
#include "text/tokenizer_spm.h"

#define LLAMA3_TOKENS 128256

struct pre_tokenizer {
    const char *name, *shown;
    split_fn *split;
    bool whole_first, adds_bos;
};

static const struct pre_tokenizer known[] = {
    {"llama-bpe", "llama3", split_llama3, true, true}, {"llama3", "llama3", split_llama3, true, true},
    {"llama-v3", "llama3", split_llama3, true, true},  {"llama4", "llama4", split_llama4, false, true},
    {"smollm", "smollm", split_smollm, false, false},  {"gpt-2", "gpt-2", split_gpt2, false, false},
};

static cria_status find_pre_tokenizer(const struct tokenizer_vocab *v, const struct pre_tokenizer **ret,
                                      struct cria_error *err) {
    const char *name = v->pre;
    bool unsaid = !name || strcmp(name, "default") == 0 || strcmp(name, "smaug-bpe") == 0;
    if (unsaid && v->n_tokens == LLAMA3_TOKENS) name = "llama3";
    for (size_t i = 0; name && i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(name, known[i].name) == 0) {
            *ret = &known[i];
            return CRIA_OK;
        }
    }
    return ERROR_SET(err, CRIA_UNSUPPORTED,
                     "tokenizer.ggml.pre is '%s'; Cria knows llama-bpe, llama3, llama-v3, llama4, smollm and gpt-2",
                     v->pre ? v->pre : "(missing)");
}

/* Sets a token that is written in the byte alphabet, or as it stands where it is not. */
static cria_status set_normal(tokenizer *t, uint32_t id, struct text_span s, struct cria_error *err) {
    char bytes[2 * TOKEN_MAX_BYTES];
    if (s.n > sizeof bytes) {
        return ERROR_SET(err, CRIA_LIMIT, "token %u has %zu bytes; Cria takes at most %d", id, s.n, TOKEN_MAX_BYTES);
    }
    ptrdiff_t n = byte_alphabet_read(s.bytes, s.n, bytes);
    if (n < 0) return tokenizer_set_token(t, id, s.bytes, s.n, TOKEN_LITERAL, err);
    return tokenizer_set_token(t, id, bytes, (size_t)n, TOKEN_NORMAL, err);
}

static cria_status set_token(tokenizer *t, uint32_t id, struct text_span s, int32_t type, struct cria_error *err) {
    cria_status status;
    switch (type) {
        case 1:
        case 6:
            return set_normal(t, id, s, err);
        case 2:
            return tokenizer_set_token(t, id, s.bytes, s.n, TOKEN_LITERAL, err);
        case 3:
        case 4:
            TRY(tokenizer_set_token(t, id, s.bytes, s.n, type == 3 ? TOKEN_SPECIAL : TOKEN_ADDED, err));
            TRY(tokenizer_add_added(t, (struct added_token){.id = id, .special = type == 3}, err));
            return CRIA_OK;
        case 5:
            return CRIA_OK;
        default:
            return ERROR_SET(err, CRIA_FORMAT, "token %u has the type %d, expected 1 to 6", id, type);
    }
out:
    return status;
}

static cria_status add_merges(tokenizer *t, const struct tokenizer_vocab *v, struct cria_error *err) {
    cria_status status;
    if (v->n_merges == 0) TRY(tokenizer_check_no_merges(t, err));
    TRY(bpe_pairs_init(&t->bpe, v->n_merges, err));
    for (size_t i = 0; i < v->n_merges; i++) {
        struct text_span s = v->merges[i];
        const char *space = memchr(s.bytes, ' ', s.n);
        size_t n_left = space ? (size_t)(space - s.bytes) : s.n;
        struct text_span right = {space ? space + 1 : "", space ? s.n - n_left - 1 : 0};
        TRY(tokenizer_add_merge(t, (uint32_t)i, (struct text_span){s.bytes, n_left}, right, err));
    }
out:
    return status;
}

static cria_status set_ids(tokenizer *t, const struct tokenizer_vocab *v, struct cria_error *err) {
    cria_status status;
    TRY(tokenizer_check_id(t, "tokenizer.ggml.bos_token_id", v->bos_id, err));
    TRY(tokenizer_check_id(t, "tokenizer.ggml.eos_token_id", v->eos_id, err));
    TRY(tokenizer_check_id(t, "tokenizer.ggml.eot_token_id", v->eot_id, err));
    TRY(tokenizer_check_id(t, "tokenizer.ggml.eom_token_id", v->eom_id, err));
    TRY(tokenizer_check_id(t, "tokenizer.ggml.unknown_token_id", v->unknown_id, err));
    TRY(tokenizer_check_id(t, "tokenizer.ggml.padding_token_id", v->pad_id, err));
    t->bos_id = v->bos_id;
    t->eos_id = v->eos_id;
    tokenizer_add_stop(t, v->eos_id);
    tokenizer_add_stop(t, v->eot_id);
    tokenizer_add_stop(t, v->eom_id);
    tokenizer_add_named_stops(t);
out:
    return status;
}

static cria_status from_byte_level(tokenizer **ret, const struct tokenizer_vocab *v, struct cria_error *err) {
    const struct pre_tokenizer *pre = NULL;
    tokenizer *t = NULL;
    cria_status status;
    TRY(find_pre_tokenizer(v, &pre, err));
    TRY(tokenizer_create(&t, v->n_tokens, err));
    for (uint32_t id = 0; id < v->n_tokens; id++)
        TRY(set_token(t, id, v->tokens[id], v->types ? v->types[id] : 1, err));
    tokenizer_find_bytes(t);
    TRY(add_merges(t, v, err));
    TRY(set_ids(t, v, err));
    t->adds_bos = v->add_bos < 0 ? pre->adds_bos : v->add_bos != 0;
    t->bpe.whole_first = pre->whole_first;
    TRY(split_chain_add(&t->splits, (struct split_step){.kind = SPLIT_FUNCTION, .function = pre->split}, err));
    snprintf(t->kind, sizeof t->kind, "byte-level BPE, pre-tokenizer %s", pre->shown);
    TRY(tokenizer_finish(t, err));
    *ret = t;
    return CRIA_OK;
out:
    tokenizer_destroy(&t);
    return status;
}

cria_status tokenizer_from_vocab(tokenizer **ret, const struct tokenizer_vocab *v, struct cria_error *err) {
    if (!v->model) return ERROR_SET(err, CRIA_FORMAT, "tokenizer.ggml.model is missing");
    if (strcmp(v->model, "gpt2") == 0) return from_byte_level(ret, v, err);
    if (strcmp(v->model, "llama") == 0) return tokenizer_spm_build(ret, v, false, "SentencePiece BPE", err);
    return ERROR_SET(err, CRIA_UNSUPPORTED,
                     "tokenizer.ggml.model is '%s'; Cria knows gpt2 (byte-level BPE) and llama (SentencePiece)",
                     v->model);
}
