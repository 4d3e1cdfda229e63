/* template_checks.c: jinja2's tests, the words behind `is`. */
#include <string.h>

#include "text/template_private.h"

static cria_status give(bool b, struct value *ret) {
    *ret = template_bool(b, true);
    return CRIA_OK;
}

#define CHECK_KIND(name, condition)                                                   \
    static cria_status name(struct run *r, const struct call *c, struct value *ret) { \
        const struct value *v = &c->self;                                             \
        (void)r;                                                                      \
        return give(condition, ret);                                                  \
    }

CHECK_KIND(check_defined, v->kind != VALUE_UNDEFINED)
CHECK_KIND(check_undefined, v->kind == VALUE_UNDEFINED)
CHECK_KIND(check_none, v->kind == VALUE_NONE)
CHECK_KIND(check_boolean, v->kind == VALUE_BOOL)
CHECK_KIND(check_true, v->kind == VALUE_BOOL && v->boolean)
CHECK_KIND(check_false, v->kind == VALUE_BOOL && !v->boolean)
CHECK_KIND(check_integer, v->kind == VALUE_INT || v->kind == VALUE_BIG)
CHECK_KIND(check_float, v->kind == VALUE_FLOAT)
CHECK_KIND(check_number, template_is_number(v))
CHECK_KIND(check_string, v->kind == VALUE_STRING)
CHECK_KIND(check_mapping, v->kind == VALUE_DICT)
CHECK_KIND(check_iterable, template_is_iterable(v))
CHECK_KIND(check_escaped, v->kind == VALUE_STRING && v->text->markup)
CHECK_KIND(check_callable, v->kind == VALUE_MACRO || v->kind == VALUE_FUNCTION || v->kind == VALUE_METHOD ||
                               v->kind == VALUE_LOOP || v->kind == VALUE_UNDEFINED)
CHECK_KIND(check_sequence, v->kind == VALUE_STRING || v->kind == VALUE_LIST || v->kind == VALUE_TUPLE ||
                               v->kind == VALUE_DICT || v->kind == VALUE_RANGE || v->kind == VALUE_UNDEFINED)

static cria_status remainder_is(struct run *r, const struct value *v, struct value divisor, int64_t wanted,
                                struct value *ret) {
    struct value rest;
    bool equal;
    const struct value expected = template_int(wanted, true);
    CHECK(template_arithmetic(r, '%', v, &divisor, &rest));
    CHECK(template_equal(r, &rest, &expected, &equal));
    return give(equal, ret);
}

static cria_status check_odd(struct run *r, const struct call *c, struct value *ret) {
    return remainder_is(r, &c->self, template_int(2, true), 1, ret);
}

static cria_status check_even(struct run *r, const struct call *c, struct value *ret) {
    return remainder_is(r, &c->self, template_int(2, true), 0, ret);
}

static cria_status check_divisible(struct run *r, const struct call *c, struct value *ret) {
    return remainder_is(r, &c->self, c->args[0], 0, ret);
}

/* str.islower() and str.isupper(): there is a cased character and none of the other case. */
static cria_status is_all_case(struct run *r, const struct value *v, char how, struct value *ret) {
    struct value text;
    bool any = false;
    CHECK(template_print_value(r, v, &text));
    CHECK(template_step(r, text.text->n));
    for (size_t i = 0; i < text.text->n;) {
        uint32_t code, out[3];
        i += (size_t)template_text_step(text.text, i, &code);
        if (!template_unicode_is_cased(code)) continue;
        if (template_unicode_case(code, how, out) != 1 || out[0] != code) return give(false, ret);
        any = true;
    }
    return give(any, ret);
}

static cria_status check_lower(struct run *r, const struct call *c, struct value *ret) {
    return is_all_case(r, &c->self, 'l', ret);
}
static cria_status check_upper(struct run *r, const struct call *c, struct value *ret) {
    return is_all_case(r, &c->self, 'u', ret);
}

static cria_status check_equal(struct run *r, const struct call *c, struct value *ret) {
    bool equal;
    CHECK(template_equal(r, &c->self, &c->args[0], &equal));
    return give(equal, ret);
}

static cria_status check_different(struct run *r, const struct call *c, struct value *ret) {
    CHECK(check_equal(r, c, ret));
    ret->boolean = !ret->boolean;
    return CRIA_OK;
}

static cria_status check_same(struct run *r, const struct call *c, struct value *ret) {
    const struct value *a = &c->self, *b = &c->args[0];
    if (a->kind != b->kind) return give(false, ret);
    if (a->kind == VALUE_LIST || a->kind == VALUE_TUPLE || a->kind == VALUE_DICT || a->kind == VALUE_NAMESPACE)
        return give(a->list == b->list, ret);
    return check_equal(r, c, ret);
}

static cria_status order_of(struct run *r, const struct call *c, const char *op, int *ret) {
    return template_compare(r, &c->self, &c->args[0], op, ret);
}

static cria_status check_less(struct run *r, const struct call *c, struct value *ret) {
    int order;
    CHECK(order_of(r, c, "<", &order));
    return give(order < 0, ret);
}

static cria_status check_at_most(struct run *r, const struct call *c, struct value *ret) {
    int order;
    CHECK(order_of(r, c, "<=", &order));
    return give(order <= 0, ret);
}

static cria_status check_more(struct run *r, const struct call *c, struct value *ret) {
    int order;
    CHECK(order_of(r, c, ">", &order));
    return give(order > 0 && order != TEMPLATE_UNORDERED, ret);
}

static cria_status check_at_least(struct run *r, const struct call *c, struct value *ret) {
    int order;
    CHECK(order_of(r, c, ">=", &order));
    return give(order >= 0 && order != TEMPLATE_UNORDERED, ret);
}

static cria_status check_in(struct run *r, const struct call *c, struct value *ret) {
    bool found;
    CHECK(template_contains(r, &c->args[0], &c->self, &found));
    return give(found, ret);
}

static cria_status is_name_of(struct run *r, const struct call *c,
                              const struct template_function *(*find)(const char *, size_t), struct value *ret) {
    (void)r;
    return give(c->self.kind == VALUE_STRING && find(c->self.text->bytes, c->self.text->n), ret);
}

static cria_status check_filter(struct run *r, const struct call *c, struct value *ret) {
    return is_name_of(r, c, template_filter_find, ret);
}
static cria_status check_test(struct run *r, const struct call *c, struct value *ret) {
    return is_name_of(r, c, template_check_find, ret);
}

#define WITH_ONE(word, function)                                                 \
    {                                                                            \
        .name = word, .fn = function, .n_required = 1, .parameters = { "other" } \
    }

static const struct template_function checks[] = {
    {.name = "defined", .fn = check_defined},
    {.name = "undefined", .fn = check_undefined},
    {.name = "none", .fn = check_none},
    {.name = "string", .fn = check_string},
    {.name = "mapping", .fn = check_mapping},
    {.name = "iterable", .fn = check_iterable},
    {.name = "sequence", .fn = check_sequence},
    {.name = "boolean", .fn = check_boolean},
    {.name = "true", .fn = check_true},
    {.name = "false", .fn = check_false},
    {.name = "integer", .fn = check_integer},
    {.name = "float", .fn = check_float},
    {.name = "number", .fn = check_number},
    {.name = "callable", .fn = check_callable},
    {.name = "escaped", .fn = check_escaped},
    {.name = "odd", .fn = check_odd},
    {.name = "even", .fn = check_even},
    {.name = "lower", .fn = check_lower},
    {.name = "upper", .fn = check_upper},
    {.name = "filter", .fn = check_filter},
    {.name = "test", .fn = check_test},
    {.name = "divisibleby", .fn = check_divisible, .n_required = 1, .parameters = {"num"}},
    {.name = "in", .fn = check_in, .n_required = 1, .parameters = {"seq"}},
    WITH_ONE("sameas", check_same),
    WITH_ONE("eq", check_equal),
    WITH_ONE("equalto", check_equal),
    WITH_ONE("==", check_equal),
    WITH_ONE("ne", check_different),
    WITH_ONE("!=", check_different),
    WITH_ONE("lt", check_less),
    WITH_ONE("lessthan", check_less),
    WITH_ONE("<", check_less),
    WITH_ONE("le", check_at_most),
    WITH_ONE("<=", check_at_most),
    WITH_ONE("gt", check_more),
    WITH_ONE("greaterthan", check_more),
    WITH_ONE(">", check_more),
    WITH_ONE("ge", check_at_least),
    WITH_ONE(">=", check_at_least),
};

const struct template_function *template_check_find(const char *name, size_t n) {
    return template_find(checks, sizeof checks / sizeof *checks, name, n);
}
