/* tokenizer_special.c: begin and end of a text as the files beside a tokenizer's own name them.
 *
 * tokenizer.json names no end of text, and a beginning only where it puts one in front; what it leaves open was guessed
 * by the names that the family uses. What is said here rules over the guess. */
#include <string.h>

#include "text/tokenizer_parts.h"

static int64_t find_added(const tokenizer *t, struct text_span text) {
    for (size_t i = 0; i < t->n_added; i++) {
        const struct text_span s = token_table_bytes(&t->bpe.table, t->added[i].id);
        if (s.n == text.n && memcmp(s.bytes, text.bytes, s.n) == 0) return (int64_t)i;
    }
    return -1;
}

/* A begin or end of text is special however the tokenizer lists it: content may not spell it. */
static void make_special(tokenizer *t, struct added_token *added) {
    added->special = true;
    t->kinds[added->id] = TOKEN_SPECIAL;
    t->any_always = false;
    for (size_t i = 0; i < t->n_added; i++) t->any_always = t->any_always || !t->added[i].special;
}

static cria_status find(tokenizer *t, const char *key, struct text_span text, int64_t *ret, struct cria_error *err) {
    const int32_t id = tokenizer_special_id(t, text.bytes, text.n);
    if (id >= 0) {
        *ret = id;
        return CRIA_OK;
    }
    const int64_t i = find_added(t, text);
    if (i < 0) {
        return ERROR_SET(err, CRIA_FORMAT, "%s is '%.*s', which is no special or added token of the tokenizer", key,
                         (int)(text.n < 80 ? text.n : 80), text.bytes);
    }
    make_special(t, &t->added[i]);
    *ret = t->added[i].id;
    return CRIA_OK;
}

static cria_status set_bos(tokenizer *t, const struct tokenizer_special *special, struct cria_error *err) {
    const bool is_fixed = t->adds_bos && special->add_bos != 0;
    int64_t id = -1;
    if (!special->bos.n) { /* where the tokenizer puts one in front all the same, that one stays */
        if (!is_fixed) t->bos_id = -1;
        return CRIA_OK;
    }
    const cria_status status = find(t, "bos_token", special->bos, &id, err);
    if (status != CRIA_OK) return status;
    if (is_fixed && t->bos_id != id) {
        const struct text_span s = tokenizer_token(t, (int32_t)t->bos_id);
        return ERROR_SET(err, CRIA_FORMAT, "bos_token is '%.*s', but the tokenizer puts '%.*s' in front of a text",
                         (int)special->bos.n, special->bos.bytes, (int)(s.n < 80 ? s.n : 80), s.bytes);
    }
    t->bos_id = id;
    return CRIA_OK;
}

cria_status tokenizer_set_special(tokenizer *t, const struct tokenizer_special *special, struct cria_error *err) {
    cria_status status = CRIA_OK;
    if (special->bos.bytes) TRY(set_bos(t, special, err));
    if (special->eos.bytes) {
        int64_t id = -1;
        if (special->eos.n) TRY(find(t, "eos_token", special->eos, &id, err));
        t->eos_id = id;
        tokenizer_add_stop(t, id);
    }
    if (special->add_bos >= 0 && t->adds_bos != special->add_bos) {
        TRY(tokenizer_add_note(t, err,
                               "add_bos_token is %s, other than the tokenizer's own file has it; it is followed",
                               special->add_bos ? "true" : "false"));
        t->adds_bos = special->add_bos;
    }
out:
    return status;
}
