/* template_string.c: see template_string.h. */
#include "text/template_string.h"

#include <string.h>

cria_status template_string_argument(struct run *r, const struct value *v, const char *function,
                                     const struct text **ret) {
    if (v->kind == VALUE_UNDEFINED) return template_fail_undefined(r, v);
    if (v->kind != VALUE_STRING)
        return template_fail(r, CRIA_FORMAT, "%s(): expected a string, found %s", function, template_kind_name(v));
    *ret = v->text;
    return CRIA_OK;
}

static cria_status slice_markup(struct run *r, const struct text *t, size_t from, size_t to, struct value *ret) {
    return template_text_slice(r, t, from, to - from, ret);
}

static cria_status finish(struct run *r, struct text_block *b, const struct text *like, struct value *ret) {
    CHECK(template_block_value(r, b, ret));
    ret->text->markup = like->markup;
    return CRIA_OK;
}

/* ---- case ---- */

#define SIGMA 0x3A3
#define FINAL_SIGMA 0x3C2

/* Whether the capital sigma at i ends a word, where its small form is another letter. */
static bool is_final_sigma(const struct text *t, size_t i) {
    uint32_t code = 0;
    size_t before = i;
    while (before > 0 && ((unsigned char)t->bytes[--before] & 0xC0) == 0x80) continue;
    if (i == 0) return false;
    template_text_step(t, before, &code);
    if (!template_unicode_is_cased(code)) return false;
    if (i + 2 >= t->n) return true;
    template_text_step(t, i + 2, &code);
    return !template_unicode_is_cased(code);
}

/* How the next character is to be written, given what the previous one was. */
static char case_of_next(char how, bool first, bool in_word, uint32_t code) {
    uint32_t upper[3];
    switch (how) {
        case 't':
            return in_word ? 'l' : 't';
        case 'w':
            return in_word ? 'l' : 'u';
        case 'c':
            return first ? 't' : 'l';
        case 's':
            return template_unicode_case(code, 'u', upper) == 1 && upper[0] == code ? 'l' : 'u';
        default:
            return how;
    }
}

/* The title filter's words begin behind white space, hyphens and opening brackets. */
static bool is_in_word(char how, uint32_t code) {
    if (how == 't') return template_unicode_is_cased(code);
    return !(template_unicode_is_space(code) || code == '-' || code == '(' || code == '{' || code == '[' ||
             code == '<');
}

cria_status template_string_case(struct run *r, const struct text *t, char how, struct value *ret) {
    struct text_block *b;
    bool in_word = false;
    CHECK(template_step(r, 1 + t->n / 4));
    CHECK(template_block_new(r, t->n, &b));
    for (size_t i = 0; i < t->n;) {
        uint32_t code, out[3];
        const int n = template_text_step(t, i, &code);
        const char wanted = case_of_next(how, i == 0, in_word, code);
        int n_out = template_unicode_case(code, wanted, out);
        if (code == SIGMA && wanted == 'l' && is_final_sigma(t, i)) out[0] = FINAL_SIGMA;
        if (n_out == 1 && out[0] == code) CHECK(template_block_slice(r, b, t, i, (size_t)n));
        else
            for (int j = 0; j < n_out; j++) CHECK(template_block_code(r, b, out[j], template_text_trusts(t, i)));
        in_word = is_in_word(how, code);
        i += (size_t)n;
    }
    return finish(r, b, t, ret);
}

/* ---- strip, replace, pad ---- */

static bool is_stripped(const struct text *chars, uint32_t code) {
    if (!chars) return template_unicode_is_space(code);
    for (size_t i = 0; i < chars->n;) {
        uint32_t c;
        i += (size_t)template_text_step(chars, i, &c);
        if (c == code) return true;
    }
    return false;
}

cria_status template_string_strip(struct run *r, const struct text *t, const struct text *chars, char sides,
                                  struct value *ret) {
    size_t from = 0, to = t->n;
    uint32_t code;
    while (sides != 'r' && from < to) {
        const int n = template_text_step(t, from, &code);
        CHECK(template_step(r, chars ? chars->n / 4 : 0));
        if (!is_stripped(chars, code)) break;
        from += (size_t)n;
    }
    while (sides != 'l' && to > from) {
        size_t at = to - 1;
        while (at > from && ((unsigned char)t->bytes[at] & 0xC0) == 0x80) at--;
        template_text_step(t, at, &code);
        CHECK(template_step(r, chars ? chars->n / 4 : 0));
        if (!is_stripped(chars, code)) break;
        to = at;
    }
    CHECK(template_step_bytes(r, t->n - (to - from)));
    return slice_markup(r, t, from, to, ret);
}

/* Replacing nothing puts the new text between all characters. */
static cria_status replace_empty(struct run *r, const struct text *t, const struct text *new_text, int64_t count,
                                 struct text_block *b) {
    size_t i = 0;
    for (; count != 0; count--) {
        CHECK(template_step(r, 1));
        CHECK(template_block_text(r, b, new_text));
        if (i >= t->n) return CRIA_OK;
        uint32_t code;
        const size_t n = (size_t)template_text_step(t, i, &code);
        CHECK(template_block_slice(r, b, t, i, n));
        i += n;
    }
    return template_block_slice(r, b, t, i, t->n - i);
}

cria_status template_string_replace(struct run *r, const struct text *t, const struct text *old,
                                    const struct text *new_text, int64_t count, struct value *ret) {
    struct text_block *b;
    CHECK(template_step_search(r, t->n));
    size_t found = old->n ? template_text_find(t, old, 0) : 0;
    if (found == SIZE_MAX || count == 0) return template_text_slice(r, t, 0, t->n, ret);
    CHECK(template_block_new(r, t->n + new_text->n, &b));
    if (old->n == 0) {
        CHECK(replace_empty(r, t, new_text, count, b));
        return finish(r, b, t, ret);
    }
    size_t from = 0;
    for (; found != SIZE_MAX && count != 0; count--) {
        CHECK(template_step(r, 1));
        CHECK(template_block_slice(r, b, t, from, found - from));
        CHECK(template_block_text(r, b, new_text));
        from = found + old->n;
        found = template_text_find(t, old, from);
    }
    CHECK(template_block_slice(r, b, t, from, t->n - from));
    return finish(r, b, t, ret);
}

cria_status template_string_pad(struct run *r, const struct text *t, int64_t width, uint32_t fill, char align,
                                struct value *ret) {
    const size_t n = template_text_chars(t);
    if (width < 0 || (size_t)width <= n) return template_text_slice(r, t, 0, t->n, ret);
    if ((size_t)width > r->arena.max_bytes) return template_fail(r, CRIA_LIMIT, "a padded string is too long");
    const size_t total = (size_t)width - n;
    /* Python's center(): the odd blank goes left where the width is odd. */
    const size_t left = align == '>' ? total : align == '<' ? 0 : total / 2 + (total & (size_t)width & 1);
    struct text_block *b;
    CHECK(template_step(r, total));
    CHECK(template_block_new(r, t->n + total, &b));
    for (size_t i = 0; i < left; i++) CHECK(template_block_code(r, b, fill, true));
    CHECK(template_block_text(r, b, t));
    for (size_t i = left; i < total; i++) CHECK(template_block_code(r, b, fill, true));
    return finish(r, b, t, ret);
}

/* ---- split and join ---- */

static cria_status add_slice(struct run *r, struct list *l, const struct text *t, size_t from, size_t to) {
    struct value v;
    CHECK(slice_markup(r, t, from, to, &v));
    return template_list_add(r, l, v);
}

/* Moves *i over white space (or, if not `space`, over other characters). */
static void skip(const struct text *t, size_t *i, bool space) {
    while (*i < t->n) {
        uint32_t code;
        const int n = template_text_step(t, *i, &code);
        if (template_unicode_is_space(code) != space) break;
        *i += (size_t)n;
    }
}

static cria_status split_space(struct run *r, const struct text *t, int64_t most, struct list *l) {
    size_t i = 0;
    skip(t, &i, true);
    for (; i < t->n; most--) {
        const size_t from = i;
        if (most == 0) return add_slice(r, l, t, from, t->n);
        skip(t, &i, false);
        CHECK(add_slice(r, l, t, from, i));
        skip(t, &i, true);
    }
    return CRIA_OK;
}

static cria_status split_text(struct run *r, const struct text *t, const struct text *sep, int64_t most,
                              struct list *l) {
    size_t from = 0, found;
    for (; most != 0 && (found = template_text_find(t, sep, from)) != SIZE_MAX; most--) {
        CHECK(add_slice(r, l, t, from, found));
        from = found + sep->n;
    }
    return add_slice(r, l, t, from, t->n);
}

/* The last place of needle that ends at or before `to`. */
static cria_status find_last(struct run *r, const struct text *t, const struct text *needle, size_t to, size_t *ret) {
    *ret = SIZE_MAX;
    if (needle->n > to) return CRIA_OK;
    for (size_t i = to - needle->n + 1; i-- > 0;) {
        if (t->bytes[i] != needle->bytes[0]) continue;
        CHECK(template_step_bytes(r, needle->n));
        if (memcmp(t->bytes + i, needle->bytes, needle->n) != 0) continue;
        *ret = i;
        break;
    }
    return CRIA_OK;
}

/* Where the last word in front of `to` begins; *to is moved to its end. */
static size_t last_word(const struct text *t, size_t *to) {
    bool in_word = false;
    size_t at = *to;
    while (at > 0) {
        size_t i = at - 1;
        while (i > 0 && ((unsigned char)t->bytes[i] & 0xC0) == 0x80) i--;
        uint32_t code;
        template_text_step(t, i, &code);
        const bool space = template_unicode_is_space(code);
        if (in_word && space) break;
        if (!in_word && !space) *to = at;
        in_word = in_word || !space;
        at = i;
    }
    return in_word ? at : SIZE_MAX;
}

static void reverse(struct list *l) {
    for (size_t i = 0, j = l->n; i + 1 < j; i++) {
        const struct value v = l->items[i];
        l->items[i] = l->items[--j];
        l->items[j] = v;
    }
}

static cria_status split_right(struct run *r, const struct text *t, const struct text *sep, int64_t most,
                               struct list *l) {
    size_t to = t->n;
    for (; most != 0; most--) {
        size_t end = to, found;
        if (sep) CHECK(find_last(r, t, sep, to, &found));
        else found = last_word(t, &end);
        if (found == SIZE_MAX) break;
        CHECK(add_slice(r, l, t, sep ? found + sep->n : found, end));
        to = found;
    }
    if (sep) {
        CHECK(add_slice(r, l, t, 0, to));
    } else {
        size_t end = to;
        if (last_word(t, &end) != SIZE_MAX) CHECK(add_slice(r, l, t, 0, end));
    }
    reverse(l);
    return CRIA_OK;
}

cria_status template_string_split(struct run *r, const struct text *t, const struct text *sep, int64_t most,
                                  bool from_right, struct list **ret) {
    CHECK(template_step_search(r, t->n));
    CHECK(template_list_new(r, 0, ret));
    if (sep && sep->n == 0) return template_fail(r, CRIA_FORMAT, "split(): empty separator");
    if (from_right) return split_right(r, t, sep, most, *ret);
    return sep ? split_text(r, t, sep, most, *ret) : split_space(r, t, most, *ret);
}

static bool ends_line(uint32_t code) {
    return (code >= 0x0A && code <= 0x0D) || (code >= 0x1C && code <= 0x1E) || code == 0x85 || code == 0x2028 ||
           code == 0x2029;
}

cria_status template_string_lines(struct run *r, const struct text *t, bool keep_ends, struct list **ret) {
    size_t from = 0;
    CHECK(template_step_bytes(r, t->n));
    CHECK(template_list_new(r, 0, ret));
    for (size_t i = 0; i < t->n;) {
        uint32_t code;
        const size_t end = i;
        i += (size_t)template_text_step(t, i, &code);
        if (!ends_line(code)) continue;
        if (code == '\r' && i < t->n && t->bytes[i] == '\n') i++;
        CHECK(add_slice(r, *ret, t, from, keep_ends ? i : end));
        from = i;
    }
    return from < t->n ? add_slice(r, *ret, t, from, t->n) : CRIA_OK;
}

cria_status template_string_join(struct run *r, const struct text *sep, const struct list *items, bool strict,
                                 struct value *ret) {
    struct text_block *b;
    CHECK(template_block_new(r, 0, &b));
    for (size_t i = 0; i < items->n; i++) {
        const struct value *v = &items->items[i];
        CHECK(template_step(r, 1));
        if (i) CHECK(template_block_text(r, b, sep));
        if (strict && v->kind != VALUE_STRING)
            return template_fail(r, CRIA_FORMAT, "join(): item %zu: expected a string, found %s", i,
                                 template_kind_name(v));
        CHECK(template_print(r, b, v));
    }
    return finish(r, b, sep, ret);
}
