/* tokenizer_parallel.c: see tokenizer_parallel.h.
 *
 * A text may be cut in front of a space that stands between two ASCII letters. For every hand-written splitter that is
 * the end of a piece whatever stands before (letters end a piece where a space follows) and the beginning of one (a
 * space takes the letters behind it); and no splitter looks back beyond the beginning of a piece, nor past a run of
 * letters that a space ends. Pieces are merged alone. So the ids of the parts, one after another, are those of the
 * text. Patterns, normalisers and added tokens may see further: such texts are one part. */
#include "text/tokenizer_parallel.h"

#include <pthread.h>

#include "base/alloc.h"
#include "text/tokenizer_parts.h"

struct part {
    const tokenizer *t; /* borrowed */
    const char *text;
    size_t n;
    struct tokenizer_options options;
    struct token_list own;
    struct token_list *list; /* own, or the caller's */
    size_t n_dropped;
    pthread_t thread;
    bool has_thread;
    cria_status status;
    struct cria_error error;
};

int tokenizer_parallel_parts(const tokenizer *t, size_t n, const struct tokenizer_options *options) {
    if (!options || options->threads < 2) return 1;
    const bool looks_for_tokens = t->any_always || options->special || options->trusted;
    if (looks_for_tokens && (t->raw.n_nodes || t->normalised.n_nodes)) return 1;
    if (t->normaliser.n_steps || t->marks.n_steps) return 1;
    if (t->splits.n_steps != 1 || t->splits.steps[0].kind != SPLIT_FUNCTION) return 1;
    size_t parts = n / TOKENIZER_PARALLEL_BYTES;
    if (parts > TOKENIZER_PARALLEL_THREADS) parts = TOKENIZER_PARALLEL_THREADS;
    if (parts > (size_t)options->threads) parts = (size_t)options->threads;
    return parts > 1 ? (int)parts : 1;
}

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/* The first place from `at` > 0 on where the text may be cut; n where there is none. */
static size_t next_cut(const char *text, size_t n, size_t at) {
    for (; at + 1 < n; at++) {
        if (text[at] == ' ' && is_letter(text[at - 1]) && is_letter(text[at + 1])) return at;
    }
    return n;
}

static void *encode_part(void *arg) {
    struct part *p = arg;
    p->status = tokenizer_encode(p->t, p->text, p->n, &p->options, p->list, &p->n_dropped, &p->error);
    return NULL;
}

/* Cuts the text; returns how many parts there are. The first writes to the caller's list and puts bos in front. */
static int cut_parts(struct part *parts, int n_parts, const tokenizer *t, struct text_span text,
                     const struct tokenizer_options *options) {
    int made = 0;
    for (size_t start = 0; start < text.n; made++) {
        size_t end = made + 1 == n_parts ? text.n : text.n / (size_t)n_parts * (size_t)(made + 1);
        if (end <= start) end = start + 1;
        end = next_cut(text.bytes, text.n, end);
        parts[made] = (struct part){.t = t, .text = text.bytes + start, .n = end - start};
        parts[made].options.with_bos = options->with_bos && made == 0;
        start = end;
    }
    return made;
}

static cria_status join_parts(struct part *parts, int n_parts, struct token_list *list, size_t *ret_dropped,
                              struct cria_error *err) {
    cria_status status = CRIA_OK;
    size_t n = 0, n_dropped = 0;
    for (int i = 0; i < n_parts; i++) {
        if (parts[i].status != CRIA_OK && err) *err = parts[i].error;
        TRY(parts[i].status);
        n += parts[i].own.n; /* all of them are in memory */
        n_dropped += parts[i].n_dropped;
    }
    TRY(token_list_reserve(list, n, err));
    for (int i = 0; i < n_parts; i++) {
        if (parts[i].own.n) memcpy(list->ids + list->n, parts[i].own.ids, parts[i].own.n * sizeof *list->ids);
        list->n += parts[i].own.n;
    }
    if (ret_dropped) *ret_dropped = n_dropped;
out:
    return status;
}

cria_status tokenizer_parallel_encode(const tokenizer *t, const char *text, size_t n,
                                      const struct tokenizer_options *options, int n_parts, struct token_list *list,
                                      size_t *ret_dropped, struct cria_error *err) {
    const size_t before = list->n;
    struct part *parts = alloc_zeroed((size_t)n_parts, sizeof *parts);
    if (!parts) return ERROR_NOMEM(err, (size_t)n_parts * sizeof *parts, "the parts of a text");
    n_parts = cut_parts(parts, n_parts, t, (struct text_span){text, n}, options);
    for (int i = 0; i < n_parts; i++) parts[i].list = i ? &parts[i].own : list;
    for (int i = 1; i < n_parts; i++) {
        parts[i].has_thread = pthread_create(&parts[i].thread, NULL, encode_part, &parts[i]) == 0;
    }
    for (int i = 0; i < n_parts; i++) {
        if (parts[i].has_thread) (void)pthread_join(parts[i].thread, NULL);
        else (void)encode_part(&parts[i]); /* the first, and where the system gives no more threads */
    }
    cria_status status = join_parts(parts, n_parts, list, ret_dropped, err);
    if (status != CRIA_OK) list->n = before;
    for (int i = 0; i < n_parts; i++) token_list_free(&parts[i].own);
    alloc_free(parts);
    return status;
}
