/* decontaminate.c: see decontaminate.h. An open-addressing table from a gram's hash to the test document that had it
 * first. Two different grams of one hash would count as one: among 2^23 grams of tests and 2^37 of documents that
 * is expected 2^-3 times, and then costs one document. */
#include "data/decontaminate.h"

#include <string.h>

#include "base/alloc.h"
#include "data/gram.h"
#include "data/source.h"

enum { MAX_DOCUMENTS = 4000000, FIRST_SLOTS = 1 << 16 };

struct decontaminate {
    uint64_t *hashes;    /* owned, [n_slots]; 0: free */
    uint32_t *documents; /* owned, [n_slots] */
    size_t n_slots, n_grams;
    char **names; /* owned, [n_documents], room for names_capacity */
    size_t n_documents, names_capacity;
    uint64_t n_short;
    int n_words;
};

void decontaminate_destroy(decontaminate **at) {
    decontaminate *d = *at;
    if (!d) return;
    *at = NULL;
    for (size_t i = 0; i < d->n_documents; i++) alloc_free(d->names[i]);
    alloc_free(d->names);
    alloc_free(d->hashes);
    alloc_free(d->documents);
    alloc_free(d);
}

static size_t slot_of(const decontaminate *d, uint64_t hash) {
    size_t i = (size_t)hash & (d->n_slots - 1);
    while (d->hashes[i] && d->hashes[i] != hash) i = (i + 1) & (d->n_slots - 1);
    return i;
}

static cria_status resize(decontaminate *d, size_t n_slots, struct cria_error *err) {
    const decontaminate old = *d;
    d->hashes = alloc_zeroed(n_slots, sizeof *d->hashes);
    d->documents = alloc_array(n_slots, sizeof *d->documents);
    d->n_slots = n_slots;
    if (!d->hashes || !d->documents) {
        alloc_free(d->hashes);
        alloc_free(d->documents);
        *d = old;
        return ERROR_NOMEM(err, n_slots * 12, "the test sets' runs of words");
    }
    for (size_t i = 0; i < old.n_slots; i++) {
        if (!old.hashes[i]) continue;
        const size_t slot = slot_of(d, old.hashes[i]);
        d->hashes[slot] = old.hashes[i];
        d->documents[slot] = old.documents[i];
    }
    alloc_free(old.hashes);
    alloc_free(old.documents);
    return CRIA_OK;
}

static cria_status add_name(decontaminate *d, const char *name, struct cria_error *err) {
    if (d->n_documents == MAX_DOCUMENTS)
        return ERROR_SET(err, CRIA_LIMIT, "the test sets have more than %d documents", MAX_DOCUMENTS);
    if (d->n_documents == d->names_capacity) {
        const size_t wider = d->names_capacity ? 2 * d->names_capacity : 64;
        char **grown = alloc_resize(d->names, wider, sizeof *grown);
        if (!grown) return ERROR_NOMEM(err, wider * sizeof *grown, "the test sets");
        d->names = grown;
        d->names_capacity = wider;
    }
    char *copy = alloc_text(name, strlen(name));
    if (!copy) return ERROR_NOMEM(err, strlen(name), "the test sets");
    d->names[d->n_documents++] = copy;
    return CRIA_OK;
}

static cria_status add_document(decontaminate *d, const struct source_document *document, struct cria_error *err) {
    cria_status status = CRIA_OK;
    struct gram gram;
    struct gram_walk walk = gram_walk_make(document->bytes, document->n, d->n_words);
    TRY(add_name(d, document->name, err));
    bool any = false;
    for (; gram_next(&walk, &gram); any = true) {
        if (2 * (d->n_grams + 1) > d->n_slots) TRY(resize(d, 2 * d->n_slots, err));
        const uint64_t hash = gram.hash | 1;
        const size_t slot = slot_of(d, hash);
        if (d->hashes[slot]) continue;
        if (d->n_grams == DECONTAMINATE_MAX_GRAMS)
            return ERROR_SET(err, CRIA_LIMIT, "the test sets have more than %zu runs of %d words; give fewer",
                             DECONTAMINATE_MAX_GRAMS, d->n_words);
        d->hashes[slot] = hash;
        d->documents[slot] = (uint32_t)(d->n_documents - 1);
        d->n_grams++;
    }
    d->n_short += !any;
out:
    return status;
}

cria_status decontaminate_create(decontaminate **ret, const char *const *paths, int n_paths, const char *text_field,
                                 int n_words, struct cria_error *err) {
    cria_status status = CRIA_OK;
    const struct source_options options = {.text_field = text_field};
    struct source_document document;
    source *s = NULL;
    bool more;
    if (n_words < 1 || n_words > GRAM_MAX_WORDS)
        return ERROR_SET(err, CRIA_RANGE, "runs of %d words; expected 1 to %d", n_words, GRAM_MAX_WORDS);
    decontaminate *d = ALLOC_NEW(decontaminate);
    if (!d) return ERROR_NOMEM(err, sizeof *d, "the test sets");
    d->n_words = n_words;
    TRY(resize(d, FIRST_SLOTS, err));
    TRY(source_open(&s, paths, n_paths, &options, err));
    for (;;) {
        TRY(source_next(s, &document, &more, err));
        if (!more) break;
        TRY(add_document(d, &document, err));
    }
    *ret = d;
    d = NULL;
out:
    source_close(&s);
    decontaminate_destroy(&d);
    return status;
}

static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t'; }

/* `at` moved down by the margin, and on to a word's beginning. */
static size_t step_back(const char *text, size_t at) {
    at -= at < DECONTAMINATE_MARGIN ? at : DECONTAMINATE_MARGIN;
    while (at > 0 && !is_space(text[at - 1])) at--;
    return at;
}

static size_t step_on(const char *text, size_t n, size_t at) {
    at += n - at < DECONTAMINATE_MARGIN ? n - at : DECONTAMINATE_MARGIN;
    while (at < n && !is_space(text[at])) at++;
    return at;
}

int decontaminate_find(const decontaminate *d, const char *text, size_t n,
                       struct decontaminate_passage ret[DECONTAMINATE_MAX_CUTS]) {
    struct gram gram;
    struct gram_walk walk = gram_walk_make(text, n, d->n_words);
    int n_found = 0;
    while (gram_next(&walk, &gram)) {
        const size_t slot = slot_of(d, gram.hash | 1);
        if (!d->hashes[slot]) continue;
        const size_t begin = step_back(text, gram.begin), end = step_on(text, n, gram.end);
        if (n_found && begin <= ret[n_found - 1].end) {
            ret[n_found - 1].end = end;
            continue;
        }
        if (n_found == DECONTAMINATE_MAX_CUTS) return DECONTAMINATE_MAX_CUTS + 1;
        ret[n_found++] = (struct decontaminate_passage){d->names[d->documents[slot]], gram.begin, gram.end, begin, end};
    }
    return n_found;
}

size_t decontaminate_cut(char *text, size_t n, const struct decontaminate_passage *passages, int n_passages) {
    size_t to = 0, from = 0;
    for (int i = 0; i < n_passages; i++) {
        const size_t kept = passages[i].begin - from;
        memmove(text + to, text + from, kept);
        to += kept;
        from = passages[i].end;
        /* A passage of two bytes or more makes room for the empty line; at the text's ends there is none. */
        for (int k = 0; k < 2 && to > 0 && from < n && to < from; k++) text[to++] = '\n';
    }
    memmove(text + to, text + from, n - from);
    return to + (n - from);
}

uint64_t decontaminate_n_grams(const decontaminate *d) { return d->n_grams; }
uint64_t decontaminate_n_documents(const decontaminate *d) { return d->n_documents; }
uint64_t decontaminate_n_short(const decontaminate *d) { return d->n_short; }
