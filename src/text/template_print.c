/* template_print.c: values as Python's str() and repr() write them.
 *
 * The text of a scalar and the brackets of a container are trusted where the value is. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "text/template_private.h"

/* The shortest digits that read back as f (not zero, finite, positive); *ret_exponent is that of the first digit. */
static int shortest_digits(double f, char *digits, int *ret_exponent) {
    char text[40];
    int n = 1;
    for (;; n++) {
        snprintf(text, sizeof text, "%.*e", n - 1, f);
        char *mark = strchr(text, 'e');
        /* The first byte behind the first digit is the locale's decimal point. */
        if (n > 1) text[1] = '.';
        if (n == 17 || json_number_value((struct json_text){.bytes = text, .n = strlen(text)}) == f) {
            *ret_exponent = (int)strtol(mark + 1, NULL, 10);
            break;
        }
    }
    digits[0] = text[0];
    if (n > 1) memcpy(digits + 1, text + 2, (size_t)n - 1);
    while (n > 1 && digits[n - 1] == '0') n--;
    return n;
}

int template_print_float(double f, char *room) {
    char *out = room;
    if (isnan(f)) {
        memcpy(out, "nan", 3);
        return 3;
    }
    if (signbit(f)) *out++ = '-';
    if (isinf(f)) {
        memcpy(out, "inf", 3);
        return (int)(out - room) + 3;
    }
    if (f == 0) {
        memcpy(out, "0.0", 3);
        return (int)(out - room) + 3;
    }
    char digits[20];
    int exponent;
    const int n = shortest_digits(fabs(f), digits, &exponent);
    if (exponent < -4 || exponent >= 16) {
        *out++ = digits[0];
        if (n > 1) *out++ = '.';
        memcpy(out, digits + 1, (size_t)n - 1);
        out += n - 1;
        return (int)(out - room) + snprintf(out, 8, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
    }
    if (exponent < 0) {
        *out++ = '0';
        *out++ = '.';
        for (int i = -1; i > exponent; i--) *out++ = '0';
        memcpy(out, digits, (size_t)n);
        return (int)(out - room) + n;
    }
    for (int i = 0; i <= exponent || i < n; i++) {
        if (i == exponent + 1) *out++ = '.';
        *out++ = i < n ? digits[i] : '0';
    }
    if (n <= exponent + 1) {
        *out++ = '.';
        *out++ = '0';
    }
    return (int)(out - room);
}

/* ---- repr ---- */

static cria_status repr_escape(struct run *r, struct text_block *b, uint32_t code, bool trusted) {
    char room[12];
    const char *known = code == '\\'   ? "\\\\"
                        : code == '\n' ? "\\n"
                        : code == '\r' ? "\\r"
                        : code == '\t' ? "\\t"
                                       : NULL;
    if (known) return template_block_word(r, b, known, trusted);
    snprintf(room, sizeof room, code < 0x100 ? "\\x%02x" : code < 0x10000 ? "\\u%04x" : "\\U%08x", code);
    return template_block_word(r, b, room, trusted);
}

/* The quotes and escapes take over the trust of what they stand beside. */
static cria_status repr_text(struct run *r, struct text_block *b, const struct text *t) {
    CHECK(template_step_bytes(r, t->n));
    const bool single = t->n && memchr(t->bytes, '\'', t->n) && !memchr(t->bytes, '"', t->n);
    const char quote = single ? '"' : '\'';
    const bool first = t->n ? template_text_trusts(t, 0) : t->trusted,
               last = t->n ? template_text_trusts(t, t->n - 1) : t->trusted;
    if (t->markup) CHECK(template_block_word(r, b, "Markup(", first));
    CHECK(template_block_add(r, b, &quote, 1, first));
    size_t from = 0;
    for (size_t i = 0; i < t->n;) {
        uint32_t code;
        const int n = template_text_step(t, i, &code);
        const bool is_quote = code == (uint32_t)quote;
        if (is_quote || code == '\\' || !template_unicode_is_printable(code)) {
            CHECK(template_block_slice(r, b, t, from, i - from));
            if (is_quote) CHECK(template_block_word(r, b, "\\'", template_text_trusts(t, i)));
            else CHECK(repr_escape(r, b, code, template_text_trusts(t, i)));
            from = i + (size_t)n;
        }
        i += (size_t)n;
    }
    CHECK(template_block_slice(r, b, t, from, t->n - from));
    CHECK(template_block_add(r, b, &quote, 1, last));
    return t->markup ? template_block_word(r, b, ")", last) : CRIA_OK;
}

static cria_status repr_items(struct run *r, struct text_block *b, const struct list *l, bool trusted) {
    for (size_t i = 0; i < l->n; i++) {
        if (i) CHECK(template_block_word(r, b, ", ", trusted));
        CHECK(template_print_repr(r, b, &l->items[i]));
    }
    return CRIA_OK;
}

static cria_status repr_list(struct run *r, struct text_block *b, const struct value *v) {
    const bool tuple = v->kind == VALUE_TUPLE;
    CHECK(template_block_word(r, b, tuple ? "(" : "[", v->trusted));
    CHECK(repr_items(r, b, v->list, v->trusted));
    return template_block_word(r, b, !tuple ? "]" : v->list->n == 1 ? ",)" : ")", v->trusted);
}

static cria_status repr_dict(struct run *r, struct text_block *b, const struct value *v) {
    CHECK(template_block_word(r, b, v->kind == VALUE_NAMESPACE ? "<Namespace {" : "{", v->trusted));
    for (size_t i = 0; i < v->dict->n; i++) {
        if (i) CHECK(template_block_word(r, b, ", ", v->trusted));
        CHECK(template_print_repr(r, b, &v->dict->entries[i].key));
        CHECK(template_block_word(r, b, ": ", v->trusted));
        CHECK(template_print_repr(r, b, &v->dict->entries[i].value));
    }
    return template_block_word(r, b, v->kind == VALUE_NAMESPACE ? "}>" : "}", v->trusted);
}

static cria_status repr_range(struct run *r, struct text_block *b, const struct range *range) {
    char room[80];
    if (range->step == 1)
        snprintf(room, sizeof room, "range(%lld, %lld)", (long long)range->start, (long long)range->stop);
    else
        snprintf(room, sizeof room, "range(%lld, %lld, %lld)", (long long)range->start, (long long)range->stop,
                 (long long)range->step);
    return template_block_word(r, b, room, true);
}

static cria_status repr_view(struct run *r, struct text_block *b, const struct value *v) {
    CHECK(template_block_word(r, b, v->view->name, v->trusted));
    CHECK(template_block_word(r, b, "([", v->trusted));
    CHECK(repr_items(r, b, v->view->list, v->trusted));
    return template_block_word(r, b, "])", v->trusted);
}

static cria_status repr_scalar(struct run *r, struct text_block *b, const struct value *v) {
    char room[48];
    int n;
    switch (v->kind) {
        case VALUE_NONE:
            return template_block_word(r, b, "None", v->trusted);
        case VALUE_BOOL:
            return template_block_word(r, b, v->boolean ? "True" : "False", v->trusted);
        case VALUE_INT:
            n = snprintf(room, sizeof room, "%lld", (long long)v->integer);
            break;
        case VALUE_BIG:
            return template_block_add(r, b, v->text->bytes, v->text->n, v->trusted);
        case VALUE_FLOAT:
            n = template_print_float(v->number, room);
            break;
        case VALUE_UNDEFINED:
            return template_block_word(r, b, "Undefined", true);
        default: /* an object without a text of its own */
            n = snprintf(room, sizeof room, "<%s>", template_kind_name(v));
            break;
    }
    return template_block_add(r, b, room, (size_t)n, v->trusted);
}

cria_status template_print_repr(struct run *r, struct text_block *b, const struct value *v) {
    cria_status status;
    CHECK(template_step(r, 1));
    CHECK(template_enter(r));
    switch (v->kind) {
        case VALUE_STRING:
            status = repr_text(r, b, v->text);
            break;
        case VALUE_LIST:
        case VALUE_TUPLE:
            status = repr_list(r, b, v);
            break;
        case VALUE_DICT:
        case VALUE_NAMESPACE:
            status = repr_dict(r, b, v);
            break;
        case VALUE_RANGE:
            status = repr_range(r, b, v->range);
            break;
        case VALUE_VIEW:
            status = repr_view(r, b, v);
            break;
        default:
            status = repr_scalar(r, b, v);
            break;
    }
    template_leave(r);
    return status;
}

cria_status template_print(struct run *r, struct text_block *b, const struct value *v) {
    if (v->kind == VALUE_STRING) return template_block_text(r, b, v->text);
    if (v->kind == VALUE_UNDEFINED) {
        return v->undefined && v->undefined->why ? template_fail_undefined(r, v) : CRIA_OK;
    }
    return template_print_repr(r, b, v);
}

cria_status template_print_value(struct run *r, const struct value *v, struct value *ret) {
    if (v->kind == VALUE_STRING) {
        *ret = *v;
        return CRIA_OK;
    }
    struct text_block *b;
    CHECK(template_block_new(r, 0, &b));
    CHECK(template_print(r, b, v));
    return template_block_value(r, b, ret);
}
