/* trainer.c: see trainer.h. Counting is trainer_count.c's, merging trainer_merges.c's, writing trainer_json.c's. */
#include "text/trainer.h"

#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "text/trainer_parts.h"

const struct trainer_splitter_row trainer_splitters[TRAINER_SPLITTER_COUNT] = {
    [TRAINER_LLAMA3] = {"llama3", split_llama3},
    [TRAINER_GPT2] = {"gpt2", split_gpt2},
    [TRAINER_LLAMA4] = {"llama4", split_llama4},
    [TRAINER_SMOLLM] = {"smollm", split_smollm},
};

static cria_status check_special(const struct trainer_options *o, int i, struct cria_error *err) {
    const char *text = o->special[i];
    size_t n = strlen(text);
    if (n == 0 || n > TOKEN_MAX_BYTES || !utf8_is_valid(text, n)) {
        return ERROR_SET(err, CRIA_USAGE, "special token %d: expected 1 to %d bytes of UTF-8, found '%s'", i,
                         TOKEN_MAX_BYTES, text);
    }
    if (trainer_splitters[o->splitter].function(text, n, 0) == n) {
        return ERROR_SET(err, CRIA_USAGE,
                         "special token '%s' is a word that text may hold, and training could make a token of it; "
                         "expected something like <|%s|>",
                         text, text);
    }
    for (int k = 0; k < i; k++) {
        if (strcmp(text, o->special[k]) == 0) {
            return ERROR_SET(err, CRIA_USAGE, "special token '%s' is given twice", text);
        }
    }
    return CRIA_OK;
}

static cria_status check_is_special(const struct trainer_options *o, const char *what, const char *text,
                                    struct cria_error *err) {
    if (!text) return CRIA_OK;
    for (int i = 0; i < o->n_special; i++) {
        if (strcmp(text, o->special[i]) == 0) return CRIA_OK;
    }
    return ERROR_SET(err, CRIA_USAGE, "the %s token '%s' is not among the special tokens", what, text);
}

static cria_status check_options(const struct trainer_options *o, struct cria_error *err) {
    cria_status status;
    if (o->splitter < 0 || o->splitter >= TRAINER_SPLITTER_COUNT) {
        return ERROR_SET(err, CRIA_USAGE, "splitter %d is unknown", (int)o->splitter);
    }
    if (o->threads < 1 || o->threads > TRAINER_MAX_THREADS) {
        return ERROR_SET(err, CRIA_USAGE, "threads: expected 1 to %d, found %d", TRAINER_MAX_THREADS, o->threads);
    }
    if (o->n_special < 0 || o->n_special > TRAINER_MAX_SPECIAL) {
        return ERROR_SET(err, CRIA_USAGE, "%d special tokens; at most %d", o->n_special, TRAINER_MAX_SPECIAL);
    }
    if (o->vocabulary < 256 + o->n_special || o->vocabulary > TRAINER_MAX_VOCABULARY) {
        return ERROR_SET(err, CRIA_USAGE,
                         "a vocabulary of %lld ids: expected at least %d (256 bytes and %d special tokens) and at most "
                         "%d",
                         (long long)o->vocabulary, 256 + o->n_special, o->n_special, TRAINER_MAX_VOCABULARY);
    }
    for (int i = 0; i < o->n_special; i++) TRY(check_special(o, i, err));
    TRY(check_is_special(o, "beginning", o->bos, err));
    TRY(check_is_special(o, "end", o->eos, err));
out:
    return status;
}

cria_status trainer_create(trainer **ret, const struct trainer_options *options, struct cria_error *err) {
    trainer *t = NULL;
    cria_status status;
    TRY(check_options(options, err));
    t = ALLOC_NEW(trainer);
    if (!t) return ERROR_NOMEM(err, sizeof *t, "a trainer");
    t->options = *options;
    TRY(trainer_count_create(&t->count, options, err));
    *ret = t;
    return CRIA_OK;
out:
    trainer_destroy(&t);
    return status;
}

void trainer_destroy(trainer **t) {
    if (!*t) return;
    trainer_count_destroy(&(*t)->count);
    trainer_merges_deinit(&(*t)->vocabulary);
    alloc_free(*t);
    *t = NULL;
}

cria_status trainer_add(trainer *t, const char *item, size_t n, struct cria_error *err) {
    CRIA_ASSERT(t->count);
    return trainer_count_add(t->count, item, n, err);
}

cria_status trainer_learn(trainer *t, struct cria_error *err) {
    CRIA_ASSERT(t->count);
    struct trainer_words words = {0};
    cria_status status;
    TRY(trainer_count_finish(t->count, &words, &t->report, err));
    trainer_count_destroy(&t->count);
    TRY(trainer_merges_learn(&t->vocabulary, &words, &t->options, err));
    t->report.tokens = (int64_t)t->vocabulary.n_tokens;
    t->report.merges = (int64_t)t->vocabulary.n_merges;
    t->report.last_count = t->vocabulary.last_count;
out:
    trainer_words_deinit(&words);
    return status;
}

struct trainer_report trainer_report(const trainer *t) {
    return t->report;
}
