/* template_filter_text.c: jinja2's filters on strings and numbers. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "text/template_filters.h"
#include "text/template_string.h"

/* soft_str(): a string as it is, anything else printed. */
static cria_status soft(struct run *r, const struct value *v, const struct text **ret) {
    struct value text;
    CHECK(template_print_value(r, v, &text));
    *ret = text.text;
    return CRIA_OK;
}

static cria_status int_or(struct run *r, const struct value *v, int64_t otherwise, int64_t *ret) {
    *ret = otherwise;
    return v->kind == VALUE_ABSENT || v->kind == VALUE_NONE ? CRIA_OK : template_index(r, v, "an argument", ret);
}

static cria_status change_case(struct run *r, const struct call *c, char how, struct value *ret) {
    const struct text *t;
    CHECK(soft(r, &c->self, &t));
    CHECK(template_string_case(r, t, how, ret));
    if (how == 'w') ret->text->markup = false;
    return CRIA_OK;
}
cria_status template_filter_upper(struct run *r, const struct call *c, struct value *ret) {
    return change_case(r, c, 'u', ret);
}
cria_status template_filter_lower(struct run *r, const struct call *c, struct value *ret) {
    return change_case(r, c, 'l', ret);
}
cria_status template_filter_title(struct run *r, const struct call *c, struct value *ret) {
    return change_case(r, c, 'w', ret);
}
cria_status template_filter_capitalize(struct run *r, const struct call *c, struct value *ret) {
    return change_case(r, c, 'c', ret);
}

cria_status template_filter_trim(struct run *r, const struct call *c, struct value *ret) {
    const struct text *t, *chars = NULL;
    CHECK(soft(r, &c->self, &t));
    if (c->args[0].kind != VALUE_ABSENT && c->args[0].kind != VALUE_NONE)
        CHECK(template_string_argument(r, &c->args[0], "trim", &chars));
    return template_string_strip(r, t, chars, 'b', ret);
}

cria_status template_filter_replace(struct run *r, const struct call *c, struct value *ret) {
    const struct text *t, *old, *new_text;
    int64_t count;
    CHECK(soft(r, &c->self, &t));
    CHECK(soft(r, &c->args[0], &old));
    CHECK(soft(r, &c->args[1], &new_text));
    CHECK(int_or(r, &c->args[2], -1, &count));
    CHECK(template_string_replace(r, t, old, new_text, count, ret));
    ret->text->markup = false;
    return CRIA_OK;
}

cria_status template_filter_string(struct run *r, const struct call *c, struct value *ret) {
    return template_print_value(r, &c->self, ret);
}

/* A string of its own with another markup flag. */
static cria_status with_markup(struct run *r, const struct value *v, bool markup, struct value *ret) {
    const struct text *t;
    CHECK(soft(r, v, &t));
    CHECK(template_text_slice(r, t, 0, t->n, ret));
    ret->text->markup = markup;
    return CRIA_OK;
}
cria_status template_filter_safe(struct run *r, const struct call *c, struct value *ret) {
    return with_markup(r, &c->self, true, ret);
}

cria_status template_filter_escape(struct run *r, const struct call *c, struct value *ret) {
    const struct text *t;
    CHECK(soft(r, &c->self, &t));
    if (t->markup) return with_markup(r, &c->self, true, ret);
    return template_text_escape(r, t, ret);
}

cria_status template_filter_forceescape(struct run *r, const struct call *c, struct value *ret) {
    const struct text *t;
    CHECK(soft(r, &c->self, &t));
    return template_text_escape(r, t, ret);
}

cria_status template_filter_indent(struct run *r, const struct call *c, struct value *ret) {
    const struct text *t, *width;
    struct value blanks, line_break;
    struct list *lines;
    struct text_block *b;
    CHECK(template_string_argument(r, &c->self, "indent", &t));
    CHECK(template_text_borrow(r, " ", 1, true, &blanks));
    if (c->args[0].kind == VALUE_STRING) {
        blanks = c->args[0];
    } else {
        int64_t n;
        CHECK(int_or(r, &c->args[0], 4, &n));
        const struct value count = template_int(n, true);
        CHECK(template_arithmetic(r, '*', &blanks, &count, &blanks));
    }
    width = blanks.text;
    CHECK(template_text_borrow(r, "\n", 1, true, &line_break));
    CHECK(template_text_concat(r, t, line_break.text, &line_break));
    CHECK(template_string_lines(r, line_break.text, false, &lines));
    CHECK(template_block_new(r, t->n + lines->n * width->n, &b));
    const bool first = template_truth(&c->args[1]), blank = template_truth(&c->args[2]);
    for (size_t i = 0; i < lines->n; i++) {
        if (i) CHECK(template_block_add(r, b, "\n", 1, true));
        if (i ? blank || lines->items[i].text->n : first) CHECK(template_block_text(r, b, width));
        CHECK(template_block_text(r, b, lines->items[i].text));
    }
    CHECK(template_block_value(r, b, ret));
    ret->text->markup = t->markup;
    return CRIA_OK;
}

cria_status template_filter_center(struct run *r, const struct call *c, struct value *ret) {
    const struct text *t;
    int64_t width;
    CHECK(soft(r, &c->self, &t));
    CHECK(int_or(r, &c->args[0], 80, &width));
    return template_string_pad(r, t, width, ' ', '^', ret);
}

cria_status template_filter_truncate(struct run *r, const struct call *c, struct value *ret) {
    const struct text *t, *end;
    int64_t length, leeway;
    struct value dots, head;
    CHECK(template_string_argument(r, &c->self, "truncate", &t));
    CHECK(int_or(r, &c->args[0], 255, &length));
    CHECK(int_or(r, &c->args[3], 5, &leeway));
    CHECK(template_text_borrow(r, "...", 3, true, &dots));
    end = dots.text;
    if (c->args[2].kind != VALUE_ABSENT) CHECK(template_string_argument(r, &c->args[2], "truncate", &end));
    const int64_t keep = length - (int64_t)template_text_chars(end);
    if (keep < 0 || leeway < 0)
        return template_fail(r, CRIA_FORMAT, "truncate(): expected a length of at least that of its end");
    if ((int64_t)template_text_chars(t) <= length + leeway) return template_text_slice(r, t, 0, t->n, ret);
    CHECK(template_text_slice(r, t, 0, template_text_offset(t, (size_t)keep), &head));
    if (!template_truth(&c->args[1])) {
        struct value blank;
        struct list *parts;
        CHECK(template_text_borrow(r, " ", 1, true, &blank));
        CHECK(template_string_split(r, head.text, blank.text, 1, true, &parts));
        head = parts->items[0];
    }
    return template_text_concat(r, head.text, end, ret);
}

cria_status template_filter_wordcount(struct run *r, const struct call *c, struct value *ret) {
    const struct text *t;
    int64_t count = 0;
    bool in_word = false;
    CHECK(soft(r, &c->self, &t));
    CHECK(template_step(r, 1 + t->n / 8));
    for (size_t i = 0; i < t->n;) {
        uint32_t code;
        i += (size_t)template_text_step(t, i, &code);
        const bool word = code == '_' || template_unicode_is_letter(code) || template_unicode_is_digit(code);
        count += word && !in_word;
        in_word = word;
    }
    *ret = template_int(count, true);
    return CRIA_OK;
}

cria_status template_filter_striptags(struct run *r, const struct call *c, struct value *ret) {
    const struct text *t;
    struct text_block *b;
    struct value plain, blank;
    struct list *words;
    CHECK(soft(r, &c->self, &t));
    CHECK(template_step_bytes(r, t->n));
    CHECK(template_block_new(r, t->n, &b));
    for (size_t i = 0; i < t->n;) {
        const char *end = t->bytes[i] == '<' ? memchr(t->bytes + i, '>', t->n - i) : NULL;
        if (end) {
            i = (size_t)(end - t->bytes) + 1;
            continue;
        }
        CHECK(template_block_slice(r, b, t, i, 1));
        i++;
    }
    CHECK(template_block_value(r, b, &plain));
    CHECK(template_string_split(r, plain.text, NULL, -1, false, &words));
    CHECK(template_text_borrow(r, " ", 1, true, &blank));
    return template_string_join(r, blank.text, words, true, ret);
}

cria_status template_filter_urlencode(struct run *r, const struct call *c, struct value *ret) {
    const struct text *t;
    struct text_block *b;
    if (c->self.kind != VALUE_STRING && template_is_iterable(&c->self))
        return template_fail(r, CRIA_UNSUPPORTED, "urlencode: only strings are supported");
    CHECK(soft(r, &c->self, &t));
    CHECK(template_block_new(r, t->n, &b));
    for (size_t i = 0; i < t->n; i++) {
        const unsigned char byte = (unsigned char)t->bytes[i];
        const bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                           (byte >= '0' && byte <= '9') || (byte && strchr("-._~/", byte));
        char room[4];
        const int n = plain ? 1 : snprintf(room, sizeof room, "%%%02X", byte);
        CHECK(template_block_add(r, b, plain ? t->bytes + i : room, (size_t)n, template_text_trusts(t, i)));
    }
    return template_block_value(r, b, ret);
}

cria_status template_filter_format(struct run *r, const struct call *c, struct value *ret) {
    const struct text *t;
    struct list *l;
    struct dict *d;
    struct value args;
    CHECK(soft(r, &c->self, &t));
    if (c->n_args && c->n_named)
        return template_fail(r, CRIA_FORMAT, "format: positional and keyword arguments do not mix");
    CHECK(template_dict_new(r, c->n_named, &d));
    for (size_t i = 0; i < c->n_named; i++) CHECK(template_dict_set(r, d, c->names[i], c->named[i], NULL));
    CHECK(template_list_new(r, c->n_args, &l));
    for (size_t i = 0; i < c->n_args; i++) CHECK(template_list_add(r, l, c->args[i]));
    args = c->n_named ? (struct value){.kind = VALUE_DICT, .trusted = true, .dict = d} : template_tuple(l, true);
    return template_format_percent(r, t, &args, ret);
}

/* ---- numbers ---- */

static cria_status strip_number(struct run *r, const struct text *t, struct text **ret) {
    struct value v;
    CHECK(template_string_strip(r, t, NULL, 'b', &v));
    *ret = v.text;
    return CRIA_OK;
}

/* Python's int(text, base): false where it is none. Underscores may stand between digits. */
static cria_status parse_int(struct run *r, const struct text *t, int64_t base, bool trusted, struct value *ret,
                             bool *ret_good) {
    struct text *s;
    char *digits;
    size_t n = 0;
    *ret_good = false;
    CHECK(strip_number(r, t, &s));
    CHECK(template_new(r, s->n + 2, 1, &digits));
    size_t i = s->n && (s->bytes[0] == '-' || s->bytes[0] == '+');
    const bool negative = i && s->bytes[0] == '-';
    if (base != 10 && i + 1 < s->n && s->bytes[i] == '0') {
        const char mark = (char)(s->bytes[i + 1] | 0x20);
        const int marked = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
        if (marked && (base == marked || base == 0)) base = marked, i += 2;
    }
    if (base == 0) base = 10;
    int64_t total = 0;
    bool fits = true, last_digit = false;
    if (negative) digits[n++] = '-';
    for (; i < s->n; i++) {
        const char c = s->bytes[i];
        const int digit = c >= '0' && c <= '9'                     ? c - '0'
                          : (c | 0x20) >= 'a' && (c | 0x20) <= 'z' ? (c | 0x20) - 'a' + 10
                                                                   : 99;
        if (c == '_' && last_digit && i + 1 < s->n) {
            last_digit = false;
            continue;
        }
        if (digit >= base) return CRIA_OK;
        digits[n++] = c;
        last_digit = true;
        fits = fits && !__builtin_mul_overflow(total, base, &total) && !__builtin_add_overflow(total, digit, &total);
    }
    *ret_good = last_digit;
    if (!last_digit) return CRIA_OK;
    if (base == 10) return template_integer_text(r, digits, n, trusted, ret);
    if (!fits) return template_fail(r, CRIA_UNSUPPORTED, "int: a number beyond 63 bits is only read in base 10");
    *ret = template_int(negative ? -total : total, trusted);
    return CRIA_OK;
}

/* Python's float(text). */
static cria_status parse_float(struct run *r, const struct text *t, double *ret, bool *ret_good) {
    static const char *const infinite[] = {"inf", "infinity"};
    struct text *s;
    struct value lower;
    char *plain;
    size_t n = 0, n_digits = 0, i;
    *ret_good = false;
    CHECK(strip_number(r, t, &s));
    CHECK(template_string_case(r, s, 'l', &lower));
    s = lower.text;
    CHECK(template_new(r, s->n + 3, 1, &plain));
    const bool negative = s->n && s->bytes[0] == '-';
    const size_t start = s->n && (s->bytes[0] == '-' || s->bytes[0] == '+');
    const struct text rest = {.bytes = s->bytes + start, .n = s->n - start};
    for (size_t k = 0; k < 2; k++)
        if (template_text_is(&rest, infinite[k])) *ret = negative ? -INFINITY : INFINITY, *ret_good = true;
    if (template_text_is(&rest, "nan")) *ret = NAN, *ret_good = true;
    if (*ret_good) return CRIA_OK;
    plain[n++] = '0'; /* the reader wants a digit in front of a point */
    for (i = start; i < s->n && ((s->bytes[i] >= '0' && s->bytes[i] <= '9') || (s->bytes[i] == '_' && n_digits)); i++)
        if (s->bytes[i] != '_') plain[n++] = s->bytes[i], n_digits++;
    if (i < s->n && s->bytes[i] == '.') {
        plain[n++] = s->bytes[i++];
        size_t n_fraction = 0;
        for (; i < s->n && s->bytes[i] >= '0' && s->bytes[i] <= '9'; i++) plain[n++] = s->bytes[i], n_fraction++;
        if (n_fraction == 0) n--;
        n_digits += n_fraction;
    }
    if (i < s->n && s->bytes[i] == 'e' && n_digits) {
        const size_t sign = i + 1 < s->n && (s->bytes[i + 1] == '-' || s->bytes[i + 1] == '+');
        const size_t from = i + 1 + sign;
        size_t to = from;
        while (to < s->n && s->bytes[to] >= '0' && s->bytes[to] <= '9') to++;
        if (to > from) {
            memcpy(plain + n, s->bytes + i, to - i);
            n += to - i;
            i = to;
        }
    }
    *ret_good = n_digits > 0 && i == s->n;
    size_t zeros = 0;
    while (zeros + 1 < n && plain[zeros] == '0' && plain[zeros + 1] >= '0' && plain[zeros + 1] <= '9') zeros++;
    if (*ret_good)
        *ret = json_number_value((struct json_text){.bytes = plain + zeros, .n = n - zeros}) * (negative ? -1 : 1);
    return CRIA_OK;
}

static cria_status whole_part(struct run *r, double f, bool trusted, struct value *ret, bool *ret_good) {
    *ret_good = isfinite(f);
    if (!*ret_good) return CRIA_OK;
    char room[400];
    const int n = snprintf(room, sizeof room, "%.0f", trunc(f));
    return template_integer_text(r, room, (size_t)n, trusted, ret);
}

cria_status template_filter_int(struct run *r, const struct call *c, struct value *ret) {
    const struct value *v = &c->self;
    bool good = false;
    int64_t base;
    double f;
    CHECK(int_or(r, &c->args[1], 10, &base));
    if (v->kind == VALUE_UNDEFINED) return template_fail_undefined(r, v);
    if (v->kind == VALUE_BOOL) *ret = template_int(v->boolean, v->trusted), good = true;
    else if (v->kind == VALUE_INT || v->kind == VALUE_BIG) *ret = *v, good = true;
    else if (v->kind == VALUE_FLOAT) CHECK(whole_part(r, v->number, v->trusted, ret, &good));
    else if (v->kind == VALUE_STRING) {
        const bool trusted = !v->text->mask && v->text->trusted;
        CHECK(parse_int(r, v->text, base, trusted, ret, &good));
        if (!good) {
            CHECK(parse_float(r, v->text, &f, &good));
            if (good) CHECK(whole_part(r, f, trusted, ret, &good));
        }
    }
    if (!good) *ret = c->args[0].kind == VALUE_ABSENT ? template_int(0, true) : c->args[0];
    return CRIA_OK;
}

cria_status template_filter_float(struct run *r, const struct call *c, struct value *ret) {
    const struct value *v = &c->self;
    bool good = true;
    double f = 0;
    if (v->kind == VALUE_UNDEFINED) return template_fail_undefined(r, v);
    if (template_is_number(v)) f = template_number(v);
    else if (v->kind == VALUE_STRING) CHECK(parse_float(r, v->text, &f, &good));
    else good = false;
    if (good) *ret = template_float(f, v->kind == VALUE_STRING ? !v->text->mask && v->text->trusted : v->trusted);
    else *ret = c->args[0].kind == VALUE_ABSENT ? template_float(0, true) : c->args[0];
    return CRIA_OK;
}

cria_status template_filter_abs(struct run *r, const struct call *c, struct value *ret) {
    const struct value zero = template_int(0, true);
    int order;
    CHECK(template_compare(r, &c->self, &zero, "<", &order));
    *ret = c->self.kind == VALUE_BOOL ? template_int(c->self.boolean, c->self.trusted) : c->self;
    return order < 0 || (c->self.kind == VALUE_FLOAT && signbit(c->self.number)) ? template_negate(r, &c->self, ret)
                                                                                 : CRIA_OK;
}

/* Python's round() to a number of decimals: the decimal text of the float decides, ties go to even. */
static double round_decimals(double f, int64_t decimals) {
    char room[400];
    if (decimals >= 0) {
        snprintf(room, sizeof room, "%.*f", decimals > 300 ? 300 : (int)decimals, f);
        for (char *p = room; *p; p++)
            if (*p == ',') *p = '.';
        return json_number_value((struct json_text){.bytes = room, .n = strlen(room)});
    }
    const double unit = pow(10, (double)-decimals);
    return rint(f / unit) * unit;
}

cria_status template_filter_round(struct run *r, const struct call *c, struct value *ret) {
    const struct value *v = &c->self;
    int64_t decimals;
    CHECK(int_or(r, &c->args[0], 0, &decimals));
    if (v->kind == VALUE_UNDEFINED) return template_fail_undefined(r, v);
    if (!template_is_number(v))
        return template_fail(r, CRIA_FORMAT, "round: expected a number, found %s", template_kind_name(v));
    const struct text *method = c->args[1].kind == VALUE_STRING ? c->args[1].text : NULL;
    const bool ceil_it = method && template_text_is(method, "ceil"),
               floor_it = method && template_text_is(method, "floor");
    if (method && !ceil_it && !floor_it && !template_text_is(method, "common"))
        return template_fail(r, CRIA_FORMAT, "round: method must be common, ceil or floor");
    if (!ceil_it && !floor_it && v->kind != VALUE_FLOAT && decimals >= 0) {
        *ret = v->kind == VALUE_BOOL ? template_int(v->boolean, v->trusted) : *v;
        return CRIA_OK;
    }
    double f = template_number(v);
    if (ceil_it || floor_it) {
        const double unit = pow(10, (double)decimals);
        f = (ceil_it ? ceil(f * unit) : floor(f * unit)) / unit;
    } else if (isfinite(f)) {
        f = round_decimals(f, decimals);
    }
    *ret = template_float(f, v->trusted);
    return CRIA_OK;
}
