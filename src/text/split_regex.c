/* split_regex.c: Oniguruma behind a small door.
 *
 * Its classes of letters, numbers and so on are replaced by ours (as user properties, which it looks up first), once
 * for the process. Every search has a limit on retries and on its stack of choices; both are memory of the heap, not of
 * the thread. */
#include "text/split_regex.h"

#include <oniguruma.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "text/unicode_classes.h"

#define PATTERN_MAX_BYTES 4096
#define RETRY_LIMIT 1000000 /* steps back in one search */
#define STACK_LIMIT 2000000 /* choices left open in one search */
#define PARSE_DEPTH_LIMIT 64
#define MAX_RANGES 1200

struct split_regex {
    regex_t *regex; /* owned */
};

static const struct {
    const char *name;
    const char *letters; /* categories, by the letters of the table */
} properties[] = {
    {"L", "FGHIJ"},
    {"Letter", "FGHIJ"},
    {"Lu", "F"},
    {"Lt", "G"},
    {"Ll", "H"},
    {"Lm", "I"},
    {"Lo", "J"},
    {"M", "KLM"},
    {"Mark", "KLM"},
    {"Mn", "K"},
    {"Mc", "L"},
    {"N", "NOP"},
    {"Number", "NOP"},
    {"Nd", "N"},
    {"No", "P"},
    {"P", "QRSTUVW"},
    {"Punctuation", "QRSTUVW"},
    {"S", "XYZa"},
    {"Symbol", "XYZa"},
    {"So", "a"},
};
#define PROPERTY_COUNT (sizeof properties / sizeof properties[0])

static pthread_once_t once = PTHREAD_ONCE_INIT;
static OnigCodePoint property_ranges[PROPERTY_COUNT][1 + 2 * MAX_RANGES];
static bool ready;

static bool fill_ranges(const char *letters, OnigCodePoint *out) {
    size_t count = 0;
    bool inside = false;
    for (uint32_t code = 0; code <= 0x110000; code++) {
        bool in = code < 0x110000 && strchr(letters, (int)unicode_category(code));
        if (in && !inside) {
            if (count == MAX_RANGES) return false;
            out[1 + 2 * count] = code;
        }
        if (!in && inside) out[2 + 2 * count++] = code - 1;
        inside = in;
    }
    out[0] = (OnigCodePoint)count;
    return true;
}

static void initialise(void) {
    OnigEncoding encodings[] = {ONIG_ENCODING_UTF8};
    if (onig_initialize(encodings, 1) != ONIG_NORMAL) return;
    for (size_t i = 0; i < PROPERTY_COUNT; i++) {
        if (!fill_ranges(properties[i].letters, property_ranges[i])) return;
        if (onig_unicode_define_user_property(properties[i].name, property_ranges[i]) != ONIG_NORMAL) return;
    }
    onig_set_parse_depth_limit(PARSE_DEPTH_LIMIT);
    onig_set_capture_num_limit(64);
    ready = true;
}

/* What stands at p, outside of character classes, that Cria does not run; NULL where it is fine. */
static const char *refused_at(const char *p, size_t n) {
    static const struct {
        const char *begin, *name;
    } refused[] = {
        {"\\g<", "recursion (\\g<...>)"}, {"\\g'", "recursion (\\g'...')"}, {"(?R)", "recursion ((?R))"},
        {"(?&", "recursion ((?&...))"},   {"(?P>", "recursion ((?P>...))"}, {"(?(", "a conditional ((?(...))"},
        {"(?{", "a callout ((?{...}))"},  {"(*", "a callout ((*...))"},     {"(?~", "an absent function ((?~...))"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        size_t length = strlen(refused[i].begin);
        if (n >= length && memcmp(p, refused[i].begin, length) == 0) return refused[i].name;
    }
    if (n >= 3 && p[0] == '(' && p[1] == '?' && (p[2] == '+' || (p[2] >= '0' && p[2] <= '9')))
        return "recursion ((?1))";
    if (n >= 4 && memcmp(p, "(?-", 3) == 0 && p[3] >= '0' && p[3] <= '9') return "recursion ((?-1))";
    return NULL;
}

static const char *find_refused(const char *pattern, size_t n) {
    int class_depth = 0;
    for (size_t i = 0; i < n; i++) {
        const char *name = class_depth ? NULL : refused_at(pattern + i, n - i);
        if (name) return name;
        if (pattern[i] == '\\') i++;
        else if (pattern[i] == '[') {
            class_depth++;
            if (i + 1 < n && pattern[i + 1] == '^') i++;
            if (i + 1 < n && pattern[i + 1] == ']') i++; /* a literal one */
        } else if (pattern[i] == ']' && class_depth) {
            class_depth--;
        }
    }
    return NULL;
}

/* Oniguruma's own syntax without the constructs that are refused: what the scan above misses is not run either. */
static OnigSyntaxType limited_syntax(void) {
    OnigSyntaxType syntax = *ONIG_SYNTAX_ONIGURUMA;
    syntax.op2 &= ~(unsigned)(ONIG_SYN_OP2_ESC_G_SUBEXP_CALL | ONIG_SYN_OP2_QMARK_LPAREN_IF_ELSE |
                              ONIG_SYN_OP2_QMARK_BRACE_CALLOUT_CONTENTS | ONIG_SYN_OP2_ASTERISK_CALLOUT_NAME |
                              ONIG_SYN_OP2_QMARK_TILDE_ABSENT_GROUP);
    return syntax;
}

cria_status split_regex_compile(struct split_regex **ret, const char *pattern, size_t n, struct cria_error *err) {
    pthread_once(&once, initialise);
    if (!ready) return ERROR_SET(err, CRIA_INTERNAL, "Oniguruma cannot be set up with the Unicode classes");
    if (n > PATTERN_MAX_BYTES) {
        return ERROR_SET(err, CRIA_LIMIT, "pattern of %zu bytes; Cria takes at most %d", n, PATTERN_MAX_BYTES);
    }
    const char *refused = find_refused(pattern, n);
    if (refused) return ERROR_SET(err, CRIA_UNSUPPORTED, "pattern with %s, which Cria does not run", refused);
    struct split_regex *r = ALLOC_NEW(struct split_regex);
    if (!r) return ERROR_NOMEM(err, sizeof *r, "a pattern");
    OnigSyntaxType syntax = limited_syntax();
    OnigErrorInfo info;
    const OnigUChar *begin = (const OnigUChar *)pattern;
    int code = onig_new(&r->regex, begin, begin + n, ONIG_OPTION_NONE, ONIG_ENCODING_UTF8, &syntax, &info);
    if (code != ONIG_NORMAL) {
        OnigUChar text[ONIG_MAX_ERROR_MESSAGE_LEN];
        onig_error_code_to_str(text, code, &info);
        r->regex = NULL; /* onig_new() has freed it */
        split_regex_destroy(&r);
        if (code == ONIGERR_MEMORY) return ERROR_NOMEM(err, n, "a pattern");
        return ERROR_SET(err, CRIA_FORMAT, "pattern that Oniguruma cannot compile: %s", (char *)text);
    }
    *ret = r;
    return CRIA_OK;
}

void split_regex_destroy(struct split_regex **r) {
    if (!*r) return;
    if ((*r)->regex) onig_free((*r)->regex);
    alloc_free(*r);
    *r = NULL;
}

cria_status split_regex_find(const struct split_regex *r, const char *text, size_t n, size_t from, size_t *ret_start,
                             size_t *ret_end, struct cria_error *err) {
    OnigRegion *region = onig_region_new();
    OnigMatchParam *param = onig_new_match_param();
    if (!region || !param) {
        if (region) onig_region_free(region, 1);
        if (param) onig_free_match_param(param);
        return ERROR_NOMEM(err, sizeof *region, "a search");
    }
    onig_initialize_match_param(param);
    onig_set_retry_limit_in_match_of_match_param(param, RETRY_LIMIT);
    onig_set_retry_limit_in_search_of_match_param(param, RETRY_LIMIT);
    onig_set_match_stack_limit_size_of_match_param(param, STACK_LIMIT);
    const OnigUChar *begin = (const OnigUChar *)text;
    int at =
        onig_search_with_param(r->regex, begin, begin + n, begin + from, begin + n, region, ONIG_OPTION_NONE, param);
    cria_status status = CRIA_NOTFOUND;
    if (at >= 0) {
        *ret_start = (size_t)region->beg[0];
        *ret_end = (size_t)region->end[0];
        status = CRIA_OK;
    } else if (at == ONIGERR_MEMORY) {
        status = ERROR_NOMEM(err, n, "a pattern's search");
    } else if (at != ONIG_MISMATCH) {
        OnigUChar message[ONIG_MAX_ERROR_MESSAGE_LEN];
        onig_error_code_to_str(message, at);
        status = ERROR_SET(err, CRIA_LIMIT,
                           "the tokenizer's pattern gave up at byte %zu of a stretch of %zu (%s); the text is refused",
                           from, n, (char *)message);
    }
    onig_region_free(region, 1);
    onig_free_match_param(param);
    return status;
}
