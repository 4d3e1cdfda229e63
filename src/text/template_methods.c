/* template_methods.c: the methods of Python's str, dict, list and tuple, and those of a loop, that templates may call.
 */
#include <string.h>

#include "text/template_string.h"

static bool given(const struct value *v) { return v->kind != VALUE_ABSENT && v->kind != VALUE_NONE; }

/* An optional string argument; NULL where it is not given or None. */
static cria_status optional_text(struct run *r, const struct value *v, const char *function, const struct text **ret) {
    *ret = NULL;
    return given(v) ? template_string_argument(r, v, function, ret) : CRIA_OK;
}

static cria_status optional_int(struct run *r, const struct value *v, int64_t otherwise, int64_t *ret) {
    *ret = otherwise;
    return v->kind == VALUE_ABSENT ? CRIA_OK : template_index(r, v, "an argument", ret);
}

static cria_status give_bool(bool b, struct value *ret) {
    *ret = template_bool(b, true);
    return CRIA_OK;
}

/* ---- case ---- */

#define CASE_METHOD(name, how)                                                        \
    static cria_status name(struct run *r, const struct call *c, struct value *ret) { \
        return template_string_case(r, c->self.text, how, ret);                       \
    }
CASE_METHOD(text_upper, 'u')
CASE_METHOD(text_lower, 'l')
CASE_METHOD(text_title, 't')
CASE_METHOD(text_capitalize, 'c')
CASE_METHOD(text_swapcase, 's')
CASE_METHOD(text_casefold, 'f')

/* ---- strip and split ---- */

static cria_status strip(struct run *r, const struct call *c, char sides, struct value *ret) {
    const struct text *chars;
    CHECK(optional_text(r, &c->args[0], "strip", &chars));
    return template_string_strip(r, c->self.text, chars, sides, ret);
}
static cria_status text_strip(struct run *r, const struct call *c, struct value *ret) { return strip(r, c, 'b', ret); }
static cria_status text_lstrip(struct run *r, const struct call *c, struct value *ret) { return strip(r, c, 'l', ret); }
static cria_status text_rstrip(struct run *r, const struct call *c, struct value *ret) { return strip(r, c, 'r', ret); }

static cria_status split(struct run *r, const struct call *c, bool from_right, struct value *ret) {
    const struct text *sep;
    int64_t most;
    struct list *l;
    CHECK(optional_text(r, &c->args[0], "split", &sep));
    CHECK(optional_int(r, &c->args[1], -1, &most));
    CHECK(template_string_split(r, c->self.text, sep, most, from_right, &l));
    *ret = template_list(l, true);
    return CRIA_OK;
}
static cria_status text_split(struct run *r, const struct call *c, struct value *ret) {
    return split(r, c, false, ret);
}
static cria_status text_rsplit(struct run *r, const struct call *c, struct value *ret) {
    return split(r, c, true, ret);
}

static cria_status text_splitlines(struct run *r, const struct call *c, struct value *ret) {
    struct list *l;
    CHECK(template_string_lines(r, c->self.text, template_truth(&c->args[0]), &l));
    *ret = template_list(l, true);
    return CRIA_OK;
}

static cria_status partition(struct run *r, const struct call *c, bool last, struct value *ret) {
    const struct text *sep, *t = c->self.text;
    struct list *parts, *l;
    struct value empty, middle;
    CHECK(template_string_argument(r, &c->args[0], "partition", &sep));
    CHECK(template_string_split(r, t, sep, 1, last, &parts));
    CHECK(template_list_new(r, 3, &l));
    CHECK(template_text_slice(r, t, 0, 0, &empty));
    if (parts->n == 2) {
        const size_t at = parts->items[0].text->n;
        CHECK(template_text_slice(r, t, at, sep->n, &middle));
        CHECK(template_list_add(r, l, parts->items[0]));
        CHECK(template_list_add(r, l, middle));
        CHECK(template_list_add(r, l, parts->items[1]));
    } else {
        for (int i = 0; i < 3; i++) CHECK(template_list_add(r, l, i == (last ? 2 : 0) ? parts->items[0] : empty));
    }
    *ret = template_tuple(l, true);
    return CRIA_OK;
}
static cria_status text_partition(struct run *r, const struct call *c, struct value *ret) {
    return partition(r, c, false, ret);
}
static cria_status text_rpartition(struct run *r, const struct call *c, struct value *ret) {
    return partition(r, c, true, ret);
}

static cria_status text_join(struct run *r, const struct call *c, struct value *ret) {
    struct list *items;
    CHECK(template_elements(r, &c->args[0], &items));
    return template_string_join(r, c->self.text, items, true, ret);
}

static cria_status text_replace(struct run *r, const struct call *c, struct value *ret) {
    const struct text *old, *new_text;
    int64_t count;
    CHECK(template_string_argument(r, &c->args[0], "replace", &old));
    CHECK(template_string_argument(r, &c->args[1], "replace", &new_text));
    CHECK(optional_int(r, &c->args[2], -1, &count));
    return template_string_replace(r, c->self.text, old, new_text, count, ret);
}

/* ---- searching ---- */

static int64_t clamp_index(int64_t i, int64_t n) { return i < 0 ? (i + n < 0 ? 0 : i + n) : i > n ? n : i; }

/* The part of the string between the optional bounds, as bytes; false where it is empty because the bounds cross. */
static cria_status find_part(struct run *r, const struct call *c, size_t *ret_from, size_t *ret_to, bool *ret_valid) {
    const struct text *t = c->self.text;
    *ret_from = 0;
    *ret_to = t->n;
    *ret_valid = true;
    if (!given(&c->args[1]) && !given(&c->args[2])) return CRIA_OK;
    CHECK(template_step_search(r, t->n));
    const int64_t n = (int64_t)template_text_chars(t);
    int64_t from = 0, to = n;
    if (given(&c->args[1])) CHECK(template_index(r, &c->args[1], "a bound", &from));
    if (given(&c->args[2])) CHECK(template_index(r, &c->args[2], "a bound", &to));
    *ret_valid = from <= n;
    from = clamp_index(from, n);
    to = clamp_index(to, n);
    *ret_valid = *ret_valid && from <= to;
    *ret_from = template_text_offset(t, (size_t)from);
    *ret_to = template_text_offset(t, (size_t)to);
    return CRIA_OK;
}

static bool matches_at(const struct text *t, size_t from, size_t to, const struct text *word, bool at_end) {
    if (word->n > to - from) return false;
    return memcmp(t->bytes + (at_end ? to - word->n : from), word->bytes, word->n) == 0;
}

static cria_status starts_or_ends(struct run *r, const struct call *c, bool at_end, struct value *ret) {
    const char *const name = at_end ? "endswith" : "startswith";
    const struct text *word;
    size_t from, to;
    bool valid, found = false;
    CHECK(find_part(r, c, &from, &to, &valid));
    CHECK(template_step_bytes(r, c->args[0].kind == VALUE_STRING ? c->args[0].text->n : 0));
    if (c->args[0].kind != VALUE_TUPLE) {
        CHECK(template_string_argument(r, &c->args[0], name, &word));
        return give_bool(valid && matches_at(c->self.text, from, to, word, at_end), ret);
    }
    const struct list *words = c->args[0].list;
    for (size_t i = 0; i < words->n && !found; i++) {
        CHECK(template_string_argument(r, &words->items[i], name, &word));
        found = valid && matches_at(c->self.text, from, to, word, at_end);
    }
    return give_bool(found, ret);
}
static cria_status text_startswith(struct run *r, const struct call *c, struct value *ret) {
    return starts_or_ends(r, c, false, ret);
}
static cria_status text_endswith(struct run *r, const struct call *c, struct value *ret) {
    return starts_or_ends(r, c, true, ret);
}

static cria_status find(struct run *r, const struct call *c, bool last, bool must, struct value *ret) {
    const struct text *word;
    size_t from, to, found = SIZE_MAX;
    bool valid;
    CHECK(template_string_argument(r, &c->args[0], "find", &word));
    CHECK(find_part(r, c, &from, &to, &valid));
    struct text part = *c->self.text;
    part.n = to;
    CHECK(template_step_search(r, part.n));
    for (size_t at = from; valid && (at = template_text_find(&part, word, at)) != SIZE_MAX; at++) {
        found = at;
        CHECK(template_step_search(r, word->n));
        if (!last || at >= to) break;
    }
    if (found == SIZE_MAX && must) return template_fail(r, CRIA_FORMAT, "substring not found");
    struct text before = part;
    before.n = found == SIZE_MAX ? 0 : found;
    before.n_chars = TEXT_UNCOUNTED;
    *ret = template_int(found == SIZE_MAX ? -1 : (int64_t)template_text_chars(&before), true);
    return CRIA_OK;
}
static cria_status text_find(struct run *r, const struct call *c, struct value *ret) {
    return find(r, c, false, false, ret);
}
static cria_status text_rfind(struct run *r, const struct call *c, struct value *ret) {
    return find(r, c, true, false, ret);
}
static cria_status text_index(struct run *r, const struct call *c, struct value *ret) {
    return find(r, c, false, true, ret);
}
static cria_status text_rindex(struct run *r, const struct call *c, struct value *ret) {
    return find(r, c, true, true, ret);
}

static cria_status text_count(struct run *r, const struct call *c, struct value *ret) {
    const struct text *word;
    size_t from, to;
    bool valid;
    int64_t count = 0;
    CHECK(template_string_argument(r, &c->args[0], "count", &word));
    CHECK(find_part(r, c, &from, &to, &valid));
    struct text part = *c->self.text;
    part.n = to;
    CHECK(template_step_search(r, part.n));
    if (word->n == 0) {
        struct text between = {.bytes = part.bytes + from, .n = to - from, .n_chars = TEXT_UNCOUNTED};
        count = valid ? (int64_t)template_text_chars(&between) + 1 : 0;
    } else {
        for (size_t at = from; valid && (at = template_text_find(&part, word, at)) != SIZE_MAX; at += word->n) {
            count++;
            CHECK(template_step(r, 1));
        }
    }
    *ret = template_int(count, true);
    return CRIA_OK;
}

static cria_status text_removeprefix(struct run *r, const struct call *c, struct value *ret) {
    const struct text *word, *t = c->self.text;
    CHECK(template_string_argument(r, &c->args[0], "removeprefix", &word));
    const size_t n = matches_at(t, 0, t->n, word, false) ? word->n : 0;
    return template_text_slice(r, t, n, t->n - n, ret);
}

static cria_status text_removesuffix(struct run *r, const struct call *c, struct value *ret) {
    const struct text *word, *t = c->self.text;
    CHECK(template_string_argument(r, &c->args[0], "removesuffix", &word));
    return template_text_slice(r, t, 0, t->n - (matches_at(t, 0, t->n, word, true) ? word->n : 0), ret);
}

/* ---- padding ---- */

static cria_status pad(struct run *r, const struct call *c, char align, struct value *ret) {
    int64_t width;
    uint32_t fill = ' ';
    CHECK(template_index(r, &c->args[0], "a width", &width));
    if (c->args[1].kind != VALUE_ABSENT) {
        const struct text *t;
        CHECK(template_string_argument(r, &c->args[1], "pad", &t));
        if (template_text_chars(t) != 1)
            return template_fail(r, CRIA_FORMAT, "the fill character must be exactly one character");
        template_text_step(t, 0, &fill);
    }
    return template_string_pad(r, c->self.text, width, fill, align, ret);
}
static cria_status text_center(struct run *r, const struct call *c, struct value *ret) { return pad(r, c, '^', ret); }
static cria_status text_ljust(struct run *r, const struct call *c, struct value *ret) { return pad(r, c, '<', ret); }
static cria_status text_rjust(struct run *r, const struct call *c, struct value *ret) { return pad(r, c, '>', ret); }

static cria_status text_zfill(struct run *r, const struct call *c, struct value *ret) {
    const struct text *t = c->self.text;
    int64_t width;
    struct value sign, rest;
    CHECK(template_index(r, &c->args[0], "a width", &width));
    const size_t n_sign = t->n && (t->bytes[0] == '-' || t->bytes[0] == '+');
    CHECK(template_text_slice(r, t, 0, n_sign, &sign));
    CHECK(template_text_slice(r, t, n_sign, t->n - n_sign, &rest));
    CHECK(template_string_pad(r, rest.text, width - (int64_t)n_sign, '0', '>', &rest));
    return template_text_concat(r, sign.text, rest.text, ret);
}

/* ---- classes of characters ---- */

static bool is_alnum(uint32_t code) { return template_unicode_is_letter(code) || template_unicode_is_digit(code); }
static bool is_ascii(uint32_t code) { return code < 0x80; }

static cria_status all_are(struct run *r, const struct call *c, bool (*is)(uint32_t), bool of_empty,
                           struct value *ret) {
    const struct text *t = c->self.text;
    bool all = t->n ? true : of_empty;
    CHECK(template_step(r, 1 + t->n / 8));
    for (size_t i = 0; i < t->n && all;) {
        uint32_t code;
        i += (size_t)template_text_step(t, i, &code);
        all = is(code);
    }
    return give_bool(all, ret);
}
static cria_status text_isalpha(struct run *r, const struct call *c, struct value *ret) {
    return all_are(r, c, template_unicode_is_letter, false, ret);
}
static cria_status text_isdigit(struct run *r, const struct call *c, struct value *ret) {
    return all_are(r, c, template_unicode_is_digit, false, ret);
}
static cria_status text_isalnum(struct run *r, const struct call *c, struct value *ret) {
    return all_are(r, c, is_alnum, false, ret);
}
static cria_status text_isspace(struct run *r, const struct call *c, struct value *ret) {
    return all_are(r, c, template_unicode_is_space, false, ret);
}
static cria_status text_isascii(struct run *r, const struct call *c, struct value *ret) {
    return all_are(r, c, is_ascii, true, ret);
}
static cria_status text_isprintable(struct run *r, const struct call *c, struct value *ret) {
    return all_are(r, c, template_unicode_is_printable, true, ret);
}

static cria_status text_islower(struct run *r, const struct call *c, struct value *ret) {
    return template_check_find("lower", 5)->fn(r, c, ret);
}
static cria_status text_isupper(struct run *r, const struct call *c, struct value *ret) {
    return template_check_find("upper", 5)->fn(r, c, ret);
}

#define PART \
    { "sub", "start", "end" }

static const struct template_function text_methods[] = {
    {.name = "strip", .fn = text_strip, .parameters = {"chars"}},
    {.name = "lstrip", .fn = text_lstrip, .parameters = {"chars"}},
    {.name = "rstrip", .fn = text_rstrip, .parameters = {"chars"}},
    {.name = "split", .fn = text_split, .parameters = {"sep", "maxsplit"}},
    {.name = "rsplit", .fn = text_rsplit, .parameters = {"sep", "maxsplit"}},
    {.name = "splitlines", .fn = text_splitlines, .parameters = {"keepends"}},
    {.name = "startswith", .fn = text_startswith, .n_required = 1, .parameters = PART},
    {.name = "endswith", .fn = text_endswith, .n_required = 1, .parameters = PART},
    {.name = "replace", .fn = text_replace, .n_required = 2, .parameters = {"old", "new", "count"}},
    {.name = "upper", .fn = text_upper},
    {.name = "lower", .fn = text_lower},
    {.name = "title", .fn = text_title},
    {.name = "capitalize", .fn = text_capitalize},
    {.name = "swapcase", .fn = text_swapcase},
    {.name = "casefold", .fn = text_casefold},
    {.name = "join", .fn = text_join, .n_required = 1, .parameters = {"iterable"}},
    {.name = "find", .fn = text_find, .n_required = 1, .parameters = PART},
    {.name = "rfind", .fn = text_rfind, .n_required = 1, .parameters = PART},
    {.name = "index", .fn = text_index, .n_required = 1, .parameters = PART},
    {.name = "rindex", .fn = text_rindex, .n_required = 1, .parameters = PART},
    {.name = "count", .fn = text_count, .n_required = 1, .parameters = PART},
    {.name = "partition", .fn = text_partition, .n_required = 1, .parameters = {"sep"}},
    {.name = "rpartition", .fn = text_rpartition, .n_required = 1, .parameters = {"sep"}},
    {.name = "removeprefix", .fn = text_removeprefix, .n_required = 1, .parameters = {"prefix"}},
    {.name = "removesuffix", .fn = text_removesuffix, .n_required = 1, .parameters = {"suffix"}},
    {.name = "center", .fn = text_center, .n_required = 1, .parameters = {"width", "fillchar"}},
    {.name = "ljust", .fn = text_ljust, .n_required = 1, .parameters = {"width", "fillchar"}},
    {.name = "rjust", .fn = text_rjust, .n_required = 1, .parameters = {"width", "fillchar"}},
    {.name = "zfill", .fn = text_zfill, .n_required = 1, .parameters = {"width"}},
    {.name = "format", .fn = template_format_braces, .raw = true},
    {.name = "isalpha", .fn = text_isalpha},
    {.name = "isdigit", .fn = text_isdigit},
    {.name = "isdecimal", .fn = text_isdigit},
    {.name = "isnumeric", .fn = text_isdigit},
    {.name = "isalnum", .fn = text_isalnum},
    {.name = "isspace", .fn = text_isspace},
    {.name = "isascii", .fn = text_isascii},
    {.name = "isprintable", .fn = text_isprintable},
    {.name = "islower", .fn = text_islower},
    {.name = "isupper", .fn = text_isupper},
};

const struct template_function *template_method_string(const struct text *name) {
    return template_find(text_methods, sizeof text_methods / sizeof *text_methods, name->bytes, name->n);
}

/* ---- dict ---- */

static cria_status view(struct run *r, const struct call *c, char what, const char *name, struct value *ret) {
    struct view *v;
    CHECK(template_step(r, c->self.dict->n));
    CHECK(template_new(r, 1, sizeof *v, &v));
    v->name = name;
    CHECK(template_dict_list(r, c->self.dict, what, &v->list));
    *ret = (struct value){.kind = VALUE_VIEW, .trusted = c->self.trusted, .view = v};
    return CRIA_OK;
}
static cria_status dict_items(struct run *r, const struct call *c, struct value *ret) {
    return view(r, c, 'i', "dict_items", ret);
}
static cria_status dict_keys(struct run *r, const struct call *c, struct value *ret) {
    return view(r, c, 'k', "dict_keys", ret);
}
static cria_status dict_values(struct run *r, const struct call *c, struct value *ret) {
    return view(r, c, 'v', "dict_values", ret);
}

static cria_status dict_get(struct run *r, const struct call *c, struct value *ret) {
    const struct value *v;
    CHECK(template_dict_get(r, c->self.dict, &c->args[0], &v));
    if (v) *ret = *v;
    else *ret = c->args[1].kind == VALUE_ABSENT ? template_none(true) : c->args[1];
    return CRIA_OK;
}

static cria_status dict_copy(struct run *r, const struct call *c, struct value *ret) {
    (void)r; /* dicts do not change, so a copy is the dict */
    *ret = c->self;
    return CRIA_OK;
}

static const struct template_function dict_methods[] = {
    {.name = "items", .fn = dict_items},
    {.name = "keys", .fn = dict_keys},
    {.name = "values", .fn = dict_values},
    {.name = "get", .fn = dict_get, .n_required = 1, .parameters = {"key", "default"}},
    {.name = "copy", .fn = dict_copy},
};

const struct template_function *template_method_dict(const struct text *name) {
    return template_find(dict_methods, sizeof dict_methods / sizeof *dict_methods, name->bytes, name->n);
}

/* ---- list and tuple ---- */

static cria_status list_count(struct run *r, const struct call *c, struct value *ret) {
    int64_t count = 0;
    for (size_t i = 0; i < c->self.list->n; i++) {
        bool equal;
        CHECK(template_equal(r, &c->self.list->items[i], &c->args[0], &equal));
        count += equal;
    }
    *ret = template_int(count, true);
    return CRIA_OK;
}

static cria_status list_index(struct run *r, const struct call *c, struct value *ret) {
    for (size_t i = 0; i < c->self.list->n; i++) {
        bool equal;
        CHECK(template_equal(r, &c->self.list->items[i], &c->args[0], &equal));
        if (!equal) continue;
        *ret = template_int((int64_t)i, true);
        return CRIA_OK;
    }
    return template_fail(r, CRIA_FORMAT, "index(): the value is not in the list");
}

static cria_status list_copy(struct run *r, const struct call *c, struct value *ret) {
    (void)r;
    *ret = c->self;
    return CRIA_OK;
}

static const struct template_function list_methods[] = {
    {.name = "count", .fn = list_count, .n_required = 1, .parameters = {"value"}},
    {.name = "index", .fn = list_index, .n_required = 1, .parameters = {"value"}},
    {.name = "copy", .fn = list_copy},
};

const struct template_function *template_method_list(const struct text *name) {
    return template_find(list_methods, sizeof list_methods / sizeof *list_methods, name->bytes, name->n);
}

/* ---- loop ---- */

static cria_status loop_cycle(struct run *r, const struct call *c, struct value *ret) {
    if (c->n_args == 0 || c->n_named)
        return template_fail(r, CRIA_FORMAT, "loop.cycle() expects items to cycle through");
    *ret = c->args[c->self.loop->at % c->n_args];
    return CRIA_OK;
}

static cria_status loop_changed(struct run *r, const struct call *c, struct value *ret) {
    struct list *l;
    bool equal = false;
    CHECK(template_list_new(r, c->n_args, &l));
    for (size_t i = 0; i < c->n_args; i++) CHECK(template_list_add(r, l, c->args[i]));
    const struct value now = template_tuple(l, true);
    if (c->self.loop->last_changed.kind != VALUE_ABSENT)
        CHECK(template_equal(r, &now, &c->self.loop->last_changed, &equal));
    c->self.loop->last_changed = now;
    return give_bool(!equal, ret);
}

static const struct template_function loop_methods[] = {
    {.name = "cycle", .fn = loop_cycle, .raw = true},
    {.name = "changed", .fn = loop_changed, .raw = true},
};

const struct template_function *template_method_loop(const struct text *name) {
    return template_find(loop_methods, sizeof loop_methods / sizeof *loop_methods, name->bytes, name->n);
}
