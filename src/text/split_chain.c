/* split_chain.c: runs the steps depth first, so that nothing is stored but one pending range a step. */
#include "text/split_chain.h"

#include <string.h>

#include "base/clock.h"
#include "text/split_chars.h"

/* A pattern that is slow but within its limits may take this long for one stretch of text. */
#define PATTERN_SECONDS 10.0
#define PATTERN_SECONDS_PER_BYTE 1e-5
#define CLOCK_EVERY 256

/* Where the pieces of a step go: to the next step, or out. */
struct outlet {
    const struct split_chain *chain;
    int step;
    split_piece_fn *fn;
    void *arg;
};

static cria_status run_step(struct outlet out, const char *text, size_t n, struct cria_error *err);

static cria_status emit(struct outlet out, const char *text, size_t n, struct cria_error *err) {
    if (n == 0) return CRIA_OK;
    out.step++;
    if (out.step >= out.chain->n_steps) return out.fn(out.arg, text, n, err);
    return run_step(out, text, n, err);
}

void split_chain_deinit(struct split_chain *c) {
    for (int i = 0; i < c->n_steps; i++) split_regex_destroy(&c->steps[i].regex);
    *c = (struct split_chain){0};
}

cria_status split_chain_add(struct split_chain *c, struct split_step step, struct cria_error *err) {
    if (c->n_steps == SPLIT_MAX_STEPS) {
        split_regex_destroy(&step.regex);
        return ERROR_SET(err, CRIA_UNSUPPORTED, "pre_tokenizer: more than %d steps", SPLIT_MAX_STEPS);
    }
    c->steps[c->n_steps++] = step;
    return CRIA_OK;
}

/* The end of the run of numbers, or of what is no number, at `at`. */
static size_t number_run(const char *text, size_t n, size_t at) {
    size_t bytes;
    bool number = split_class(text, n, at, &bytes) & CHAR_NUMBER;
    return split_run(text, n, at + bytes, number ? CHAR_NUMBER : (unsigned)~CHAR_NUMBER);
}

static size_t number_alone(const char *text, size_t n, size_t at) {
    size_t bytes;
    if (split_class(text, n, at, &bytes) & CHAR_NUMBER) return at + bytes;
    return split_run(text, n, at + bytes, (unsigned)~CHAR_NUMBER);
}

static bool is_mark_at(const char *text, size_t n, size_t at) {
    return n - at >= 3 && memcmp(text + at, "\xE2\x96\x81", 3) == 0;
}

/* The end of the piece at `at` where a piece begins at each U+2581. */
static size_t mark_piece(const char *text, size_t n, size_t at) {
    size_t end = at + (is_mark_at(text, n, at) ? 3 : 1);
    while (end < n && !is_mark_at(text, n, end)) end++;
    return end;
}

/* The same where it begins at each run of them. */
static size_t word_piece(const char *text, size_t n, size_t at) {
    while (is_mark_at(text, n, at)) at += 3;
    while (at < n && !is_mark_at(text, n, at)) {
        const char *next = memchr(text + at + 1, 0xE2, n - at - 1);
        at = next ? (size_t)(next - text) : n;
    }
    return at;
}

static cria_status run_function(struct outlet out, split_fn *fn, const char *text, size_t n, struct cria_error *err) {
    for (size_t at = 0, end; at < n; at = end) {
        end = fn(text, n, at);
        cria_status status = emit(out, text + at, end - at, err);
        if (status != CRIA_OK) return status;
    }
    return CRIA_OK;
}

/* The ranges of one pattern step on their way out; a range waits while a later one may join it. */
struct joiner {
    struct outlet out;
    enum split_behaviour behaviour;
    const char *text;
    size_t start, end; /* the waiting range; empty: none */
    bool matched;
};

static cria_status flush(struct joiner *j, struct cria_error *err) {
    size_t start = j->start;
    j->start = j->end;
    return emit(j->out, j->text + start, j->end - start, err);
}

static cria_status add_range(struct joiner *j, size_t start, size_t end, bool matched, struct cria_error *err) {
    if (start == end || (matched && j->behaviour == SPLIT_REMOVED)) return CRIA_OK;
    bool waits = j->start < j->end, joins = false;
    if (j->behaviour == SPLIT_CONTIGUOUS) joins = matched == j->matched;
    if (j->behaviour == SPLIT_MERGED_WITH_PREVIOUS) joins = matched && !j->matched;
    if (j->behaviour == SPLIT_MERGED_WITH_NEXT) joins = !matched && j->matched;
    if (waits && joins) {
        j->end = end;
        j->matched = matched;
        return CRIA_OK;
    }
    cria_status status = flush(j, err);
    j->start = start;
    j->end = end;
    j->matched = matched;
    return status;
}

static cria_status check_time(double begin, size_t n, struct cria_error *err) {
    if (clock_seconds() - begin < PATTERN_SECONDS + (double)n * PATTERN_SECONDS_PER_BYTE) return CRIA_OK;
    return ERROR_SET(err, CRIA_LIMIT,
                     "the tokenizer's pattern is too slow on a stretch of %zu bytes; the text is refused", n);
}

static cria_status run_pattern(struct outlet out, const struct split_step *step, const char *text, size_t n,
                               struct cria_error *err) {
    struct joiner j = {.out = out, .behaviour = step->behaviour, .text = text};
    double begin = clock_seconds();
    size_t done = 0, from = 0, start, end;
    cria_status status = CRIA_OK;
    for (unsigned count = 1; from <= n; count++) {
        if (count % CLOCK_EVERY == 0) TRY(check_time(begin, n, err));
        status = split_regex_find(step->regex, text, n, from, &start, &end, err);
        if (status == CRIA_NOTFOUND) break;
        if (status != CRIA_OK) goto out;
        TRY(add_range(&j, done, start, step->invert, err));
        TRY(add_range(&j, start, end, !step->invert, err));
        done = end;
        from = end;
        if (start == end && from < n) { /* past an empty match by one character */
            size_t bytes;
            split_class(text, n, from, &bytes);
            from += bytes;
        } else if (start == end) {
            break;
        }
    }
    TRY(add_range(&j, done, n, step->invert, err));
    TRY(flush(&j, err));
out:
    return status;
}

static cria_status run_step(struct outlet out, const char *text, size_t n, struct cria_error *err) {
    const struct split_step *step = &out.chain->steps[out.step];
    switch (step->kind) {
        case SPLIT_FUNCTION:
            return run_function(out, step->function, text, n, err);
        case SPLIT_PATTERN:
            return run_pattern(out, step, text, n, err);
        case SPLIT_NUMBERS:
            return run_function(out, number_alone, text, n, err);
        case SPLIT_NUMBER_RUNS:
            return run_function(out, number_run, text, n, err);
        case SPLIT_MARKS:
            return run_function(out, mark_piece, text, n, err);
        case SPLIT_WORDS:
            return run_function(out, word_piece, text, n, err);
    }
    return ERROR_SET(err, CRIA_INTERNAL, "a split step of unknown kind");
}

cria_status split_chain_run(const struct split_chain *c, const char *text, size_t n, split_piece_fn *fn, void *arg,
                            struct cria_error *err) {
    return emit((struct outlet){c, -1, fn, arg}, text, n, err);
}
