/* cria_tokenizer.c: text and ids through the public API. */
#include "api/cria_private.h"
#include "base/alloc.h"
#include "base/buffer.h"

#define MAX_TEXT_BYTES ((size_t)1 << 30)

cria_status cria_tokenizer_open(cria_tokenizer **ret, const char *path, struct cria_error *err) {
    cria_tokenizer *t = ALLOC_NEW(cria_tokenizer);
    if (!t) return ERROR_NOMEM(err, sizeof *t, "a tokenizer");
    const unsigned callers = cria_state_enter();
    const cria_status status = tokenizer_open(&t->t, path, err);
    cria_state_leave(callers);
    if (status == CRIA_OK) *ret = t;
    else cria_tokenizer_close(&t);
    return status;
}

void cria_tokenizer_close(cria_tokenizer **tok) {
    if (!*tok) return;
    tokenizer_destroy(&(*tok)->t);
    alloc_free(*tok);
    *tok = NULL;
}

int32_t cria_tokenizer_size(const cria_tokenizer *tok) { return tokenizer_size(tok->t); }

static cria_status check_flags(unsigned flags, unsigned known, struct cria_error *err) {
    if ((flags & ~known) == 0) return CRIA_OK;
    return ERROR_SET(err, CRIA_UNSUPPORTED, "flags are %#x; known here are %#x", flags, known);
}

cria_status cria_tokenize(const cria_tokenizer *tok, const char *text, size_t n_bytes, unsigned flags,
                          int32_t **ret_ids, size_t *ret_n, struct cria_error *err) {
    cria_status status = check_flags(flags, CRIA_WITH_BOS | CRIA_WITH_SPECIAL, err);
    if (status != CRIA_OK) return status;
    const struct tokenizer_options options = {.with_bos = flags & CRIA_WITH_BOS, .special = flags & CRIA_WITH_SPECIAL};
    struct token_list list = {.ids = NULL};
    const unsigned callers = cria_state_enter();
    status = tokenizer_encode(tok->t, text, n_bytes, &options, &list, NULL, err);
    cria_state_leave(callers);
    /* An empty text gives no ids, and a pointer that can be freed all the same. */
    if (status == CRIA_OK && !list.ids && !(list.ids = alloc_array(1, sizeof *list.ids)))
        status = ERROR_NOMEM(err, sizeof *list.ids, "ids");
    if (status == CRIA_OK) {
        *ret_ids = list.ids;
        *ret_n = list.n;
    } else {
        token_list_free(&list);
    }
    return status;
}

cria_status cria_detokenize(const cria_tokenizer *tok, const int32_t *ids, size_t n, unsigned flags, char **ret_text,
                            size_t *ret_n_bytes, struct cria_error *err) {
    struct buffer text = buffer_make(MAX_TEXT_BYTES);
    cria_status status = CRIA_OK;
    TRY(check_flags(flags, CRIA_WITH_SPECIAL, err));
    TRY(tokenizer_decode(tok->t, ids, n, flags & CRIA_WITH_SPECIAL, &text, err));
    TRY(buffer_status(&text, "a text", err));
    const size_t n_bytes = text.n_bytes;
    char *taken = buffer_take(&text);
    if (!taken) {
        status = ERROR_NOMEM(err, n_bytes, "a text");
        goto out;
    }
    *ret_text = taken;
    *ret_n_bytes = n_bytes;
out:
    buffer_free(&text);
    return status;
}
