/* template_format.c: Python's two ways to format: the % operator and str.format(). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/template_string.h"

#define MAX_WIDTH 10000
#define MAX_PRECISION 400

/* A conversion: of "%-05.2f" or of "{:>8,.2f}". */
struct spec {
    uint32_t fill;
    char align; /* '<', '>', '^', '=' or 0 */
    char sign;  /* '+', ' ' or 0 */
    bool alternate, comma;
    int width, precision; /* precision -1: not given */
    char type;
};

static cria_status put_padded(struct run *r, struct text_block *b, struct value v, const struct spec *s,
                              char otherwise) {
    const char align = s->align ? s->align : otherwise;
    if (align == '=' && v.text->n) { /* the sign stays in front of the padding */
        const size_t n_sign = v.text->bytes[0] == '-' || v.text->bytes[0] == '+' || v.text->bytes[0] == ' ';
        struct value rest;
        CHECK(template_block_slice(r, b, v.text, 0, n_sign));
        CHECK(template_text_slice(r, v.text, n_sign, v.text->n - n_sign, &rest));
        CHECK(template_string_pad(r, rest.text, s->width - (int)n_sign, s->fill, '>', &v));
    } else {
        /* format() puts the odd blank of a centred text to the right. */
        const int64_t n = (int64_t)template_text_chars(v.text);
        if (align == '^' && s->width > n)
            CHECK(template_string_pad(r, v.text, n + (s->width - n) / 2, s->fill, '>', &v));
        CHECK(template_string_pad(r, v.text, s->width, s->fill, align == '>' || align == '=' ? '>' : '<', &v));
    }
    return template_block_text(r, b, v.text);
}

static cria_status put_text(struct run *r, struct text_block *b, struct value v, const struct spec *s, char otherwise) {
    if (s->precision >= 0 && template_text_chars(v.text) > (size_t)s->precision)
        CHECK(template_text_slice(r, v.text, 0, template_text_offset(v.text, (size_t)s->precision), &v));
    return put_padded(r, b, v, s, otherwise);
}

/* Commas between groups of three digits of the integer part, in place; room is large enough. */
static void group_digits(char *room) {
    size_t start = room[0] == '-' || room[0] == '+' || room[0] == ' ', end = start;
    while (room[end] >= '0' && room[end] <= '9') end++;
    for (size_t i = end; i > start + 3;) {
        i -= 3;
        memmove(room + i + 1, room + i, strlen(room + i) + 1);
        room[i] = ',';
    }
}

static cria_status put_room(struct run *r, struct text_block *b, char *room, const struct spec *s, bool trusted) {
    struct value v;
    char *copy;
    if (s->comma) group_digits(room);
    const size_t n = strlen(room);
    CHECK(template_new(r, n + 1, 1, &copy));
    memcpy(copy, room, n);
    CHECK(template_text_borrow(r, copy, n, trusted, &v));
    return put_padded(r, b, v, s, '>');
}

/* Binary digits of i, most significant first. */
static void binary_digits(uint64_t i, char *out) {
    int n = 1;
    while (n < 64 && i >> n) n++;
    for (int bit = n; bit-- > 0;) *out++ = (char)('0' + (i >> bit & 1));
    *out = '\0';
}

static cria_status put_big(struct run *r, struct text_block *b, const struct value *v, const struct spec *s) {
    char *room;
    const bool negative = v->text->bytes[0] == '-';
    if (s->type != 'd')
        return template_fail(r, CRIA_UNSUPPORTED, "%%%c of an integer beyond 64 bits is not supported", s->type);
    CHECK(template_new(r, v->text->n * 2 + 3, 1, &room));
    room[0] = s->sign;
    memcpy(room + (s->sign && !negative), v->text->bytes, v->text->n);
    return put_room(r, b, room, s, v->trusted);
}

static cria_status put_integer(struct run *r, struct text_block *b, const struct value *v, const struct spec *s) {
    char digits[80], room[120];
    if (v->kind == VALUE_BIG) return put_big(r, b, v, s);
    const int64_t i = v->kind == VALUE_BOOL ? v->boolean : v->integer;
    const uint64_t size = i < 0 ? -(uint64_t)i : (uint64_t)i;
    const char *prefix = "";
    switch (s->type) {
        case 'x':
            snprintf(digits, sizeof digits, "%llx", (unsigned long long)size);
            prefix = "0x";
            break;
        case 'X':
            snprintf(digits, sizeof digits, "%llX", (unsigned long long)size);
            prefix = "0X";
            break;
        case 'o':
            snprintf(digits, sizeof digits, "%llo", (unsigned long long)size);
            prefix = "0o";
            break;
        case 'b':
            binary_digits(size, digits);
            prefix = "0b";
            break;
        default:
            snprintf(digits, sizeof digits, "%llu", (unsigned long long)size);
            break;
    }
    const char sign[] = {i < 0 ? '-' : s->sign, '\0'};
    snprintf(room, sizeof room, "%s%s%s", sign, s->alternate ? prefix : "", digits);
    return put_room(r, b, room, s, v->trusted);
}

/* A float as repr() writes it. */
static cria_status put_shortest(struct run *r, struct text_block *b, const struct value *v, const struct spec *s) {
    char room[80];
    const bool signs = s->sign && !signbit(v->number) && !isnan(v->number);
    room[0] = s->sign;
    room[signs + template_print_float(v->number, room + signs)] = '\0';
    return put_room(r, b, room, s, v->trusted);
}

static cria_status put_float(struct run *r, struct text_block *b, const struct value *v, const struct spec *s) {
    char room[800], format[16];
    if (v->kind == VALUE_UNDEFINED) return template_fail_undefined(r, v);
    if (!template_is_number(v))
        return template_fail(r, CRIA_FORMAT, "a number is required, found %s", template_kind_name(v));
    double f = template_number(v);
    const bool percent = s->type == '%';
    if (percent) f *= 100;
    snprintf(format, sizeof format, "%%%s%s.*%c",
             s->sign == '+'   ? "+"
             : s->sign == ' ' ? " "
                              : "",
             s->alternate ? "#" : "", percent ? 'f' : s->type);
    snprintf(room, sizeof room - 300, format, s->precision < 0 ? 6 : s->precision, f);
    for (char *c = room; *c; c++)
        if (*c == ',') *c = '.'; /* a locale's decimal comma */
    const size_t n = strlen(room);
    if (percent) memcpy(room + n, "%", 2);
    return put_room(r, b, room, s, v->trusted);
}

static bool is_int(const struct value *v) {
    return v->kind == VALUE_INT || v->kind == VALUE_BOOL || v->kind == VALUE_BIG;
}

static cria_status repr_value(struct run *r, const struct value *v, struct value *ret) {
    struct text_block *b;
    CHECK(template_block_new(r, 0, &b));
    CHECK(template_print_repr(r, b, v));
    return template_block_value(r, b, ret);
}

/* ---- the % operator ---- */

struct percent {
    struct run *r;
    const struct text *format;
    size_t at;
    const struct value *args;
    size_t next; /* of a tuple */
    struct text_block *out;
};

static cria_status next_argument(struct percent *p, struct value *ret) {
    const bool tuple = p->args->kind == VALUE_TUPLE;
    const size_t n = tuple ? p->args->list->n : 1;
    if (p->next >= n) return template_fail(p->r, CRIA_FORMAT, "not enough arguments for format string");
    *ret = tuple ? p->args->list->items[p->next] : *p->args;
    p->next++;
    return CRIA_OK;
}

static char peek(const struct percent *p) { return p->at < p->format->n ? p->format->bytes[p->at] : '\0'; }

static cria_status read_count(struct percent *p, int most, int *ret) {
    if (peek(p) == '*') {
        struct value v;
        int64_t i;
        p->at++;
        CHECK(next_argument(p, &v));
        CHECK(template_index(p->r, &v, "a width", &i));
        if (i < 0 || i > most) return template_fail(p->r, CRIA_LIMIT, "a width of a format is over %d", most);
        *ret = (int)i;
        return CRIA_OK;
    }
    int total = 0;
    for (; peek(p) >= '0' && peek(p) <= '9'; p->at++) {
        total = total * 10 + (peek(p) - '0');
        if (total > most) return template_fail(p->r, CRIA_LIMIT, "a width of a format is over %d", most);
    }
    *ret = total;
    return CRIA_OK;
}

/* %(name)s */
static cria_status read_name(struct percent *p, struct value *ret, bool *ret_named) {
    *ret_named = peek(p) == '(';
    if (!*ret_named) return CRIA_OK;
    const size_t from = ++p->at;
    while (p->at < p->format->n && peek(p) != ')') p->at++;
    if (peek(p) != ')') return template_fail(p->r, CRIA_FORMAT, "incomplete format key");
    struct value key;
    const struct value *v;
    CHECK(template_text_slice(p->r, p->format, from, p->at - from, &key));
    p->at++;
    if (p->args->kind != VALUE_DICT) return template_fail(p->r, CRIA_FORMAT, "format requires a mapping");
    CHECK(template_dict_get(p->r, p->args->dict, &key, &v));
    if (!v) return template_fail(p->r, CRIA_FORMAT, "the format names a key that is not there");
    *ret = *v;
    return CRIA_OK;
}

static cria_status put_percent(struct percent *p, const struct value *v, struct spec *s) {
    struct value text;
    switch (s->type) {
        case 's':
            CHECK(template_print_value(p->r, v, &text));
            if (p->format->markup && !text.text->markup) CHECK(template_text_escape(p->r, text.text, &text));
            return put_text(p->r, p->out, text, s, '>');
        case 'r':
        case 'a':
            CHECK(repr_value(p->r, v, &text));
            return put_text(p->r, p->out, text, s, '>');
        case 'd':
        case 'i':
        case 'u': {
            struct value whole = *v;
            if (v->kind == VALUE_FLOAT && isfinite(v->number) && fabs(v->number) < 9e18)
                whole = template_int((int64_t)v->number, v->trusted);
            if (!is_int(&whole))
                return template_fail(p->r, CRIA_FORMAT, "%%%c format: a number is required, not %s", s->type,
                                     template_kind_name(v));
            s->type = 'd';
            return put_integer(p->r, p->out, &whole, s);
        }
        case 'x':
        case 'X':
        case 'o':
            if (!is_int(v))
                return template_fail(p->r, CRIA_FORMAT, "%%%c format: an integer is required, not %s", s->type,
                                     template_kind_name(v));
            return put_integer(p->r, p->out, v, s);
        case 'e':
        case 'E':
        case 'f':
        case 'F':
        case 'g':
        case 'G':
            return put_float(p->r, p->out, v, s);
        case 'c':
            if (v->kind == VALUE_STRING && template_text_chars(v->text) == 1)
                return put_padded(p->r, p->out, *v, s, '>');
            return template_fail(p->r, CRIA_FORMAT, "%%c requires one character");
        default:
            return template_fail(p->r, CRIA_FORMAT, "unsupported format character '%c'", s->type);
    }
}

static cria_status percent_conversion(struct percent *p) {
    struct spec s = {.fill = ' ', .precision = -1};
    struct value v = {0};
    bool named;
    CHECK(read_name(p, &v, &named));
    for (bool more = true; more;) {
        switch (peek(p)) {
            case '-':
                s.align = '<';
                break;
            case '+':
                s.sign = '+';
                break;
            case ' ':
                s.sign = s.sign ? s.sign : ' ';
                break;
            case '#':
                s.alternate = true;
                break;
            case '0':
                s.fill = '0';
                if (!s.align) s.align = '=';
                break;
            default:
                more = false;
                continue;
        }
        p->at++;
    }
    CHECK(read_count(p, MAX_WIDTH, &s.width));
    if (peek(p) == '.') {
        p->at++;
        CHECK(read_count(p, MAX_PRECISION, &s.precision));
    }
    while (peek(p) == 'l' || peek(p) == 'h' || peek(p) == 'L') p->at++;
    if (p->at >= p->format->n) return template_fail(p->r, CRIA_FORMAT, "incomplete format");
    s.type = p->format->bytes[p->at++];
    if (s.type == '%') return template_block_word(p->r, p->out, "%", true);
    if (strchr("sra", s.type) || s.align == '<') s.fill = ' ';
    if (strchr("sra", s.type) && s.align == '=') s.align = '>';
    if (!named) CHECK(next_argument(p, &v));
    return put_percent(p, &v, &s);
}

cria_status template_format_percent(struct run *r, const struct text *format, const struct value *args,
                                    struct value *ret) {
    struct percent p = {.r = r, .format = format, .args = args};
    CHECK(template_step_bytes(r, format->n));
    CHECK(template_block_new(r, format->n, &p.out));
    while (p.at < format->n) {
        const char *found = memchr(format->bytes + p.at, '%', format->n - p.at);
        const size_t to = found ? (size_t)(found - format->bytes) : format->n;
        CHECK(template_block_slice(r, p.out, format, p.at, to - p.at));
        p.at = to + 1;
        if (found) CHECK(percent_conversion(&p));
    }
    const bool all = args->kind == VALUE_TUPLE ? p.next == args->list->n
                                               : args->kind == VALUE_DICT || args->kind == VALUE_LIST ||
                                                     args->kind == VALUE_UNDEFINED || p.next == 1;
    if (!all) return template_fail(r, CRIA_FORMAT, "not all arguments converted during string formatting");
    CHECK(template_block_value(r, p.out, ret));
    ret->text->markup = format->markup;
    return CRIA_OK;
}

/* ---- str.format() ---- */

static bool is_align(char c) { return c == '<' || c == '>' || c == '^' || c == '='; }

/* [[fill]align][sign][#][0][width][,][.precision][type] */
static cria_status parse_spec(struct run *r, const struct text *t, struct spec *s) {
    size_t i = 0;
    uint32_t code;
    const size_t n_first = t->n ? (size_t)template_text_step(t, 0, &code) : 0;
    *s = (struct spec){.fill = ' ', .precision = -1};
    if (n_first && n_first < t->n && is_align(t->bytes[n_first])) {
        s->fill = code;
        s->align = t->bytes[n_first];
        i = n_first + 1;
    } else if (t->n && is_align(t->bytes[0])) {
        s->align = t->bytes[i++];
    }
    if (i < t->n && strchr("+- ", t->bytes[i])) s->sign = t->bytes[i] == '-' ? '\0' : t->bytes[i], i++;
    if (i < t->n && t->bytes[i] == '#') s->alternate = true, i++;
    if (i < t->n && t->bytes[i] == '0') {
        if (!s->align) s->align = '=', s->fill = '0';
        i++;
    }
    for (int field = 0; field < 2; field++) {
        int total = 0;
        const bool is_precision = field == 1;
        if (is_precision && !(i < t->n && t->bytes[i] == '.')) break;
        i += is_precision;
        for (; i < t->n && t->bytes[i] >= '0' && t->bytes[i] <= '9'; i++) {
            total = total * 10 + (t->bytes[i] - '0');
            if (total > (is_precision ? MAX_PRECISION : MAX_WIDTH))
                return template_fail(r, CRIA_LIMIT, "a width of a format is too large");
        }
        if (is_precision) s->precision = total;
        else s->width = total;
        if (!is_precision && i < t->n && t->bytes[i] == ',') s->comma = true, i++;
    }
    if (i < t->n) s->type = t->bytes[i++];
    return i == t->n ? CRIA_OK : template_fail(r, CRIA_FORMAT, "invalid format specifier");
}

static cria_status put_braces(struct run *r, struct text_block *b, struct value v, const struct text *spec_text) {
    struct spec s;
    if (spec_text->n == 0) return template_print(r, b, &v);
    CHECK(parse_spec(r, spec_text, &s));
    if (v.kind == VALUE_STRING) {
        if (s.type && s.type != 's')
            return template_fail(r, CRIA_FORMAT, "unknown format code '%c' for a string", s.type);
        return put_text(r, b, v, &s, '<');
    }
    if (is_int(&v) && (!s.type || strchr("dxXob", s.type))) {
        if (!s.type) s.type = 'd';
        return put_integer(r, b, &v, &s);
    }
    if (template_is_number(&v) && s.type && strchr("eEfFgG%", s.type)) return put_float(r, b, &v, &s);
    if (s.type) return template_fail(r, CRIA_FORMAT, "unknown format code '%c' for %s", s.type, template_kind_name(&v));
    if (v.kind == VALUE_FLOAT && s.precision < 0) return put_shortest(r, b, &v, &s);
    if (v.kind == VALUE_FLOAT) {
        s.type = 'g';
        return put_float(r, b, &v, &s);
    }
    const char align = template_is_number(&v) ? '>' : '<';
    CHECK(template_print_value(r, &v, &v));
    return put_text(r, b, v, &s, align);
}

struct braces {
    struct run *r;
    const struct call *call;
    const struct text *format;
    size_t next; /* automatic number */
};

static bool is_number_text(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (s[i] < '0' || s[i] > '9') return false;
    return n > 0 && n < 6;
}

static cria_status first_value(struct braces *f, const char *s, size_t n, struct value *ret) {
    if (n == 0 || is_number_text(s, n)) {
        size_t i = n ? 0 : f->next++;
        for (size_t j = 0; j < n; j++) i = i * 10 + (size_t)(s[j] - '0');
        if (i >= f->call->n_args) return template_fail(f->r, CRIA_FORMAT, "format(): no argument %zu", i);
        *ret = f->call->args[i];
        return CRIA_OK;
    }
    for (size_t i = 0; i < f->call->n_named; i++) {
        const struct text *name = f->call->names[i].text;
        if (name->n != n || memcmp(name->bytes, s, n) != 0) continue;
        *ret = f->call->named[i];
        return CRIA_OK;
    }
    return template_fail(f->r, CRIA_FORMAT, "format(): no argument '%.*s'", (int)n, s);
}

/* name.attribute[key] */
static cria_status field_value(struct braces *f, const char *s, size_t n, struct value *ret) {
    size_t i = 0;
    while (i < n && s[i] != '.' && s[i] != '[') i++;
    CHECK(first_value(f, s, i, ret));
    while (i < n) {
        const bool item = s[i++] == '[';
        const size_t from = i;
        while (i < n && (item ? s[i] != ']' : s[i] != '.' && s[i] != '[')) i++;
        struct value key;
        CHECK(template_text_borrow(f->r, s + from, i - from, true, &key));
        if (item && is_number_text(s + from, i - from))
            CHECK(template_integer_text(f->r, s + from, i - from, true, &key));
        if (item) CHECK(template_item(f->r, ret, &key, ret));
        else CHECK(template_attribute(f->r, ret, key.text, ret));
        if (item && i++ >= n) return template_fail(f->r, CRIA_FORMAT, "format(): missing ']'");
    }
    return CRIA_OK;
}

/* The field in format [from, to), without its braces. */
static cria_status format_field(struct braces *f, struct text_block *b, size_t from, size_t to) {
    const char *s = f->format->bytes + from;
    const size_t n = to - from;
    size_t name = 0;
    struct value v, spec;
    while (name < n && s[name] != '!' && s[name] != ':') name++;
    size_t at = name;
    CHECK(field_value(f, s, name, &v));
    if (at + 1 < n && s[at] == '!') {
        if (s[at + 1] == 's') CHECK(template_print_value(f->r, &v, &v));
        else CHECK(repr_value(f->r, &v, &v));
        at += 2;
    }
    if (at < n && s[at] == ':') at++;
    CHECK(template_text_slice(f->r, f->format, from + at, n - at, &spec));
    if (memchr(spec.text->bytes, '{', spec.text->n))
        return template_fail(f->r, CRIA_UNSUPPORTED, "fields inside a format specifier are not supported");
    if (f->format->markup && v.kind == VALUE_STRING && !v.text->markup) CHECK(template_text_escape(f->r, v.text, &v));
    return put_braces(f->r, b, v, spec.text);
}

cria_status template_format_braces(struct run *r, const struct call *c, struct value *ret) {
    const struct text *t = c->self.text;
    struct braces f = {.r = r, .call = c, .format = t};
    struct text_block *b;
    CHECK(template_step_bytes(r, t->n));
    CHECK(template_block_new(r, t->n, &b));
    for (size_t i = 0; i < t->n;) {
        const char ch = t->bytes[i];
        const bool doubled = (ch == '{' || ch == '}') && i + 1 < t->n && t->bytes[i + 1] == ch;
        if ((ch != '{' && ch != '}') || doubled) {
            CHECK(template_block_slice(r, b, t, i, 1));
            i += doubled ? 2 : 1;
            continue;
        }
        const char *end = ch == '{' ? memchr(t->bytes + i, '}', t->n - i) : NULL;
        if (!end) return template_fail(r, CRIA_FORMAT, "format(): a brace is not closed");
        CHECK(format_field(&f, b, i + 1, (size_t)(end - t->bytes)));
        i = (size_t)(end - t->bytes) + 1;
    }
    CHECK(template_block_value(r, b, ret));
    ret->text->markup = t->markup;
    return CRIA_OK;
}
