/* finish.c: see finish.h. */
#include "infer/finish.h"

#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"

const char *finish_reason_name(enum finish_reason r) {
    static const char *const names[] = {
        [FINISH_NONE] = "none",       [FINISH_STOP] = "stop",           [FINISH_LENGTH] = "length",
        [FINISH_CONTEXT] = "context", [FINISH_CANCELLED] = "cancelled",
    };
    return (unsigned)r < sizeof names / sizeof names[0] ? names[r] : "unknown";
}

/* One more byte: the longest prefix of s that the text now ends with. */
static size_t advance(const struct finish_string *s, size_t n_matched, char byte) {
    while (n_matched > 0 && (n_matched == s->n_bytes || s->bytes[n_matched] != byte))
        n_matched = s->fallback[n_matched - 1];
    return s->bytes[n_matched] == byte ? n_matched + 1 : n_matched;
}

static cria_status string_init(struct finish_string *s, int i, const char *text, struct cria_error *err) {
    const size_t n = text ? strnlen(text, ENGINE_MAX_STOP_BYTES + 1) : 0;
    if (n == 0 || n > ENGINE_MAX_STOP_BYTES)
        return ERROR_SET(err, CRIA_RANGE, "stop string %d is %s; it must have 1 to %d bytes", i + 1,
                         n ? "too long" : "empty", ENGINE_MAX_STOP_BYTES);
    if (!utf8_is_valid(text, n)) return ERROR_SET(err, CRIA_RANGE, "stop string %d is not UTF-8", i + 1);
    s->bytes = text;
    s->n_bytes = n;
    s->fallback = alloc_zeroed(n, sizeof *s->fallback);
    if (!s->fallback) return ERROR_NOMEM(err, n * sizeof *s->fallback, "a stop string");
    for (size_t k = 1; k < n; k++) s->fallback[k] = advance(s, s->fallback[k - 1], text[k]);
    return CRIA_OK;
}

cria_status finish_search_init(struct finish_search *f, const char *const *strings, int n_strings,
                               struct cria_error *err) {
    if (n_strings < 0 || n_strings > ENGINE_MAX_STOP_STRINGS)
        return ERROR_SET(err, CRIA_RANGE, "%d stop strings; there may be 0 to %d", n_strings, ENGINE_MAX_STOP_STRINGS);
    struct finish_search made = {.strings = alloc_zeroed((size_t)n_strings, sizeof *made.strings),
                                 .n_strings = n_strings};
    if (!made.strings) return ERROR_NOMEM(err, (size_t)n_strings * sizeof *made.strings, "the stop strings");
    cria_status status = CRIA_OK;
    for (int i = 0; i < n_strings; i++) TRY(string_init(&made.strings[i], i, strings[i], err));
    *f = made;
    return CRIA_OK;
out:
    finish_search_deinit(&made);
    return status;
}

void finish_search_deinit(struct finish_search *f) {
    for (int i = 0; f->strings && i < f->n_strings; i++) alloc_free(f->strings[i].fallback);
    alloc_free(f->strings);
    memset(f, 0, sizeof *f);
}

size_t finish_search_add(struct finish_search *f, const char *bytes, size_t n, size_t *ret_end) {
    for (size_t at = 0; at < n; at++) {
        size_t found = 0;
        for (int i = 0; i < f->n_strings; i++) {
            struct finish_string *s = &f->strings[i];
            s->n_matched = advance(s, s->n_matched, bytes[at]);
            if (s->n_matched == s->n_bytes && s->n_bytes > found) found = s->n_bytes;
        }
        if (found) {
            *ret_end = at + 1;
            return found;
        }
    }
    return 0;
}

size_t finish_search_held(const struct finish_search *f) {
    size_t held = 0;
    for (int i = 0; i < f->n_strings; i++)
        if (f->strings[i].n_matched > held) held = f->strings[i].n_matched;
    return held;
}
