/* normalise.c: runs the steps one after another, each from one buffer into the other. */
#include "text/normalise.h"

#include <string.h>

static cria_status add_step(struct normaliser *m, struct normalise_step step, const char *from, const char *to,
                            struct cria_error *err) {
    if (m->n_steps == NORMALISE_MAX_STEPS || step.n_from > NORMALISE_MAX_BYTES || step.n_to > NORMALISE_MAX_BYTES) {
        return ERROR_SET(err, CRIA_UNSUPPORTED, "normalizer: more than %d steps, or a text of more than %d bytes",
                         NORMALISE_MAX_STEPS, NORMALISE_MAX_BYTES);
    }
    memcpy(step.from, from, step.n_from);
    memcpy(step.to, to, step.n_to);
    m->steps[m->n_steps++] = step;
    return CRIA_OK;
}

cria_status normalise_add_prepend(struct normaliser *m, enum normalise_when when, const char *text, size_t n,
                                  struct cria_error *err) {
    return add_step(m, (struct normalise_step){.kind = NORMALISE_PREPEND, .when = when, .n_to = n}, "", text, err);
}

cria_status normalise_add_replace(struct normaliser *m, const char *from, size_t n_from, const char *to, size_t n_to,
                                  struct cria_error *err) {
    if (n_from == 0) return ERROR_SET(err, CRIA_UNSUPPORTED, "normalizer: Replace of an empty pattern");
    return add_step(m, (struct normalise_step){.kind = NORMALISE_REPLACE, .n_from = n_from, .n_to = n_to}, from, to,
                    err);
}

static bool begins_with(const char *text, size_t n, const char *prefix, size_t n_prefix) {
    return n >= n_prefix && memcmp(text, prefix, n_prefix) == 0;
}

static void prepend(const struct normalise_step *s, const char *text, size_t n, bool at_start, struct buffer *out) {
    bool wanted = n > 0;
    if (s->when != NORMALISE_ALWAYS && begins_with(text, n, s->to, s->n_to)) wanted = false;
    if (s->when == NORMALISE_FIRST_UNLESS_THERE && !at_start) wanted = false;
    if (wanted) buffer_append(out, s->to, s->n_to);
    buffer_append(out, text, n);
}

/* The first place of the step's pattern, n where there is none. */
static size_t find(const struct normalise_step *s, const char *text, size_t n) {
    for (size_t at = 0; at + s->n_from <= n; at++) {
        const char *first = memchr(text + at, s->from[0], n - s->n_from + 1 - at);
        if (!first) break;
        at = (size_t)(first - text);
        if (memcmp(first, s->from, s->n_from) == 0) return at;
    }
    return n;
}

static void replace(const struct normalise_step *s, const char *text, size_t n, struct buffer *out) {
    for (size_t at = 0; at < n;) {
        size_t before = find(s, text + at, n - at);
        buffer_append(out, text + at, before);
        at += before;
        if (at == n) break;
        buffer_append(out, s->to, s->n_to);
        at += s->n_from;
    }
}

cria_status normalise(const struct normaliser *m, const char *text, size_t n, bool at_start, struct buffer *out,
                      struct buffer *spare, struct cria_error *err) {
    for (int i = 0; i < m->n_steps; i++) {
        struct buffer last = *out;
        if (i > 0) {
            *out = *spare;
            *spare = last;
            text = spare->data;
            n = spare->n_bytes;
        }
        buffer_cut(out, 0);
        if (m->steps[i].kind == NORMALISE_PREPEND) prepend(&m->steps[i], text, n, at_start, out);
        else replace(&m->steps[i], text, n, out);
        cria_status status = buffer_status(out, "the normalised text", err);
        if (status != CRIA_OK) return status;
    }
    return CRIA_OK;
}
