/* filter.c: see filter.h. */
#include "data/filter.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"

static cria_status measure_bytes(const struct filter_text *t, double *ret, struct cria_error *err) {
    (void)err;
    *ret = (double)t->n;
    return CRIA_OK;
}

static cria_status measure_replaced(const struct filter_text *t, double *ret, struct cria_error *err) {
    (void)err;
    *ret = t->n ? (double)t->n_replaced / (double)t->n : 0;
    return CRIA_OK;
}

static bool is_letter(unsigned char c) { return c >= 0x80 || (unsigned char)((c | 0x20) - 'a') < 26; }

static cria_status measure_letters(const struct filter_text *t, double *ret, struct cria_error *err) {
    (void)err;
    size_t n_letters = 0, n_spaces = 0;
    for (size_t i = 0; i < t->n; i++) {
        n_letters += is_letter((unsigned char)t->bytes[i]);
        n_spaces += t->bytes[i] == ' ' || t->bytes[i] == '\n' || t->bytes[i] == '\t';
    }
    const size_t n = t->n - n_spaces;
    *ret = n ? (double)n_letters / (double)n : 0;
    return CRIA_OK;
}

static cria_status measure_longest_line(const struct filter_text *t, double *ret, struct cria_error *err) {
    (void)err;
    size_t longest = 0;
    for (size_t at = 0; at < t->n;) {
        const char *end = memchr(t->bytes + at, '\n', t->n - at);
        const size_t n = end ? (size_t)(end - (t->bytes + at)) : t->n - at;
        if (n > longest) longest = n;
        at += n + 1;
    }
    *ret = (double)longest;
    return CRIA_OK;
}

static uint64_t hash_line(const char *line, size_t n) {
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)line[i]) * 0x100000001b3u;
    return h | 1; /* 0 marks a free slot */
}

/* Share of the bytes in lines that came before in the same document; empty lines do not count. */
static cria_status measure_repeated_lines(const struct filter_text *t, double *ret, struct cria_error *err) {
    size_t n_lines = 1, n_slots = 8, n_repeated = 0, n_all = 0;
    for (const char *p = t->bytes; (p = memchr(p, '\n', t->n - (size_t)(p - t->bytes))) != NULL; p++) n_lines++;
    while (n_slots < 2 * n_lines) n_slots *= 2;
    uint64_t *slots = alloc_zeroed(n_slots, sizeof *slots);
    if (!slots) return ERROR_NOMEM(err, n_slots * sizeof *slots, "a filter");
    for (size_t at = 0; at < t->n;) {
        const char *end = memchr(t->bytes + at, '\n', t->n - at);
        const size_t n = end ? (size_t)(end - (t->bytes + at)) : t->n - at;
        if (n > 0) {
            const uint64_t h = hash_line(t->bytes + at, n);
            size_t i = (size_t)(h >> 1) & (n_slots - 1);
            while (slots[i] && slots[i] != h) i = (i + 1) & (n_slots - 1);
            if (slots[i]) n_repeated += n;
            slots[i] = h;
            n_all += n;
        }
        at += n + 1;
    }
    alloc_free(slots);
    *ret = n_all ? (double)n_repeated / (double)n_all : 0;
    return CRIA_OK;
}

const struct filter_rule filter_rules[FILTER_COUNT] = {
    {"min_bytes", 1, true, 1, "bytes of text, at least", measure_bytes},
    {"max_bytes", 1, false, NAN, "bytes of text, at most", measure_bytes},
    {"max_replaced", 1, false, 0.01, "malformed bytes per byte of text, at most", measure_replaced},
    {"min_letters", 1, true, NAN, "share of letters (ASCII's, and all bytes above) in what is no white space, at least",
     measure_letters},
    {"max_line_bytes", 1, false, NAN, "bytes of the longest line, at most", measure_longest_line},
    {"max_repeated_lines", 1, false, NAN, "share of bytes in lines that came before in the document, at most",
     measure_repeated_lines},
};

int filter_find(const char *name) {
    for (int i = 0; i < FILTER_COUNT; i++)
        if (strcmp(filter_rules[i].name, name) == 0) return i;
    return -1;
}

cria_status filter_run(const double thresholds[FILTER_COUNT], const struct filter_text *text, int *ret_dropped_by,
                       struct cria_error *err) {
    for (int i = 0; i < FILTER_COUNT; i++) {
        double value;
        if (isnan(thresholds[i])) continue;
        const cria_status status = filter_rules[i].measure(text, &value, err);
        if (status != CRIA_OK) return status;
        if (filter_rules[i].is_minimum ? value < thresholds[i] : value > thresholds[i]) {
            *ret_dropped_by = i;
            return CRIA_OK;
        }
    }
    *ret_dropped_by = -1;
    return CRIA_OK;
}
