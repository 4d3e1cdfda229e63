/* template_number.c: Python's arithmetic: integers of any size, floats, and what + and * mean for strings and lists.
 *
 * Integers are 64 bits wide where they fit (bool counts as 0 or 1); template_big.c takes the rest. */
#include <math.h>
#include <string.h>

#include "text/template_private.h"

#define POWER OP2('*', '*')
#define FLOOR OP2('/', '/')

bool template_is_number(const struct value *v) {
    return v->kind == VALUE_INT || v->kind == VALUE_FLOAT || v->kind == VALUE_BOOL || v->kind == VALUE_BIG;
}

static bool is_integer(const struct value *v) { return template_is_number(v) && v->kind != VALUE_FLOAT; }

static int64_t small(const struct value *v) { return v->kind == VALUE_BOOL ? v->boolean : v->integer; }

double template_number(const struct value *v) {
    if (v->kind == VALUE_FLOAT) return v->number;
    return v->kind == VALUE_BIG ? template_big_number(v) : (double)small(v);
}

/* An int against a float, without rounding the int. */
static int compare_int_float(int64_t i, double f) {
    if (f >= 9223372036854775808.0) return -1;
    if (f < -9223372036854775808.0) return 1;
    const int64_t whole = (int64_t)f;
    if (i != whole) return i < whole ? -1 : 1;
    const double rest = f - (double)whole;
    return rest > 0 ? -1 : rest < 0;
}

int template_number_compare(const struct value *a, const struct value *b, bool *ret_unordered) {
    *ret_unordered = (a->kind == VALUE_FLOAT && isnan(a->number)) || (b->kind == VALUE_FLOAT && isnan(b->number));
    if (*ret_unordered) return 0;
    if (a->kind == VALUE_BIG || b->kind == VALUE_BIG) {
        if (a->kind != VALUE_FLOAT && b->kind != VALUE_FLOAT) return template_big_compare(a, b);
    } else if (a->kind == VALUE_FLOAT && b->kind != VALUE_FLOAT) {
        return -compare_int_float(small(b), a->number);
    } else if (b->kind == VALUE_FLOAT && a->kind != VALUE_FLOAT) {
        return compare_int_float(small(a), b->number);
    } else if (a->kind != VALUE_FLOAT) {
        return small(a) < small(b) ? -1 : small(a) > small(b);
    }
    const double x = template_number(a), y = template_number(b);
    return x < y ? -1 : x > y;
}

cria_status template_index(struct run *r, const struct value *v, const char *what, int64_t *ret) {
    if (v->kind == VALUE_UNDEFINED) return template_fail_undefined(r, v);
    if (v->kind != VALUE_INT && v->kind != VALUE_BOOL)
        return template_fail(r, CRIA_FORMAT, "%s must be an integer, not %s", what, template_kind_name(v));
    *ret = small(v);
    return CRIA_OK;
}

static const char *op_text(uint16_t op) {
    switch (op) {
        case '+':
            return "+";
        case '-':
            return "-";
        case '*':
            return "*";
        case '/':
            return "/";
        case '%':
            return "%";
        case FLOOR:
            return "//";
        default:
            return "** or pow()";
    }
}

static cria_status unsupported(struct run *r, uint16_t op, const struct value *a, const struct value *b) {
    if (a->kind == VALUE_UNDEFINED) return template_fail_undefined(r, a);
    if (b->kind == VALUE_UNDEFINED) return template_fail_undefined(r, b);
    return template_fail(r, CRIA_FORMAT, "unsupported operand types for %s: '%s' and '%s'", op_text(op),
                         template_kind_name(a), template_kind_name(b));
}

static cria_status by_zero(struct run *r) { return template_fail(r, CRIA_FORMAT, "division by zero"); }

/* ---- floats ---- */

static double float_modulo(double x, double y) {
    double rest = fmod(x, y);
    if (rest != 0 && (rest < 0) != (y < 0)) rest += y;
    return rest == 0 ? copysign(0, y) : rest;
}

static double float_floor(double x, double y) {
    const double rest = float_modulo(x, y), quotient = (x - rest) / y;
    if (quotient == 0) return copysign(0, x / y);
    const double whole = floor(quotient);
    return quotient - whole > 0.5 ? whole + 1 : whole;
}

static cria_status float_arithmetic(struct run *r, uint16_t op, const struct value *a, const struct value *b,
                                    struct value *ret) {
    const double x = template_number(a), y = template_number(b);
    double f;
    if ((op == '/' || op == '%' || op == FLOOR) && y == 0) return by_zero(r);
    switch (op) {
        case '+':
            f = x + y;
            break;
        case '-':
            f = x - y;
            break;
        case '*':
            f = x * y;
            break;
        case '/':
            f = x / y;
            break;
        case '%':
            f = float_modulo(x, y);
            break;
        case FLOOR:
            f = float_floor(x, y);
            break;
        default:
            if (x == 0 && y < 0) return by_zero(r);
            if (x < 0 && floor(y) != y)
                return template_fail(r, CRIA_UNSUPPORTED, "a root of a negative number is not supported");
            f = pow(x, y);
            if (isinf(f) && isfinite(x) && isfinite(y))
                return template_fail(r, CRIA_RANGE, "the result of ** is too large");
            break;
    }
    *ret = template_float(f, a->trusted && b->trusted);
    return CRIA_OK;
}

/* ---- integers ---- */

static cria_status integer_power(struct run *r, const struct value *a, const struct value *b, struct value *ret) {
    if (b->kind == VALUE_BIG) return template_fail(r, CRIA_LIMIT, "an exponent is too large");
    int64_t exponent = small(b);
    if (exponent < 0) return float_arithmetic(r, POWER, a, b, ret);
    struct value base = *a, result = template_int(1, a->trusted && b->trusted);
    for (; exponent; exponent >>= 1) {
        CHECK(template_step(r, 1));
        if (exponent & 1) CHECK(template_arithmetic(r, '*', &result, &base, &result));
        if (exponent > 1) CHECK(template_arithmetic(r, '*', &base, &base, &base));
    }
    *ret = result;
    return CRIA_OK;
}

static cria_status integer_arithmetic(struct run *r, uint16_t op, const struct value *a, const struct value *b,
                                      struct value *ret) {
    if (op == POWER) return integer_power(r, a, b, ret);
    if (op == '/') return float_arithmetic(r, op, a, b, ret);
    if (a->kind == VALUE_BIG || b->kind == VALUE_BIG) return template_big_arithmetic(r, op, a, b, ret);
    const int64_t x = small(a), y = small(b);
    int64_t i;
    bool overflows = false;
    if (op == '+') overflows = __builtin_add_overflow(x, y, &i);
    else if (op == '-') overflows = __builtin_sub_overflow(x, y, &i);
    else if (op == '*') overflows = __builtin_mul_overflow(x, y, &i);
    else if (y == 0) return by_zero(r);
    else if (y == -1) overflows = op == '%' ? (i = 0, false) : __builtin_sub_overflow((int64_t)0, x, &i);
    else {
        const int64_t rest = x % y != 0 && (x % y < 0) != (y < 0) ? x % y + y : x % y;
        i = op == '%' ? rest : (x - rest) / y;
        if (op == FLOOR && __builtin_sub_overflow(x, rest, &i)) overflows = true;
        else if (op == FLOOR) i /= y;
    }
    if (overflows) return template_big_arithmetic(r, op, a, b, ret);
    *ret = template_int(i, a->trusted && b->trusted);
    return CRIA_OK;
}

/* ---- strings and lists ---- */

static cria_status repeat_text(struct run *r, const struct text *t, int64_t count, struct value *ret) {
    struct text_block *b;
    if (count < 0 || t->n == 0) count = 0;
    if (count && (uint64_t)count > r->arena.max_bytes / t->n)
        return template_fail(r, CRIA_LIMIT, "a repeated string is larger than %zu bytes", r->arena.max_bytes);
    CHECK(template_block_new(r, t->n * (size_t)count, &b));
    for (int64_t i = 0; i < count; i++) {
        CHECK(template_step(r, 1));
        CHECK(template_block_text(r, b, t));
    }
    CHECK(template_block_value(r, b, ret));
    ret->text->markup = t->markup;
    return CRIA_OK;
}

static cria_status repeat_list(struct run *r, const struct list *l, int64_t count, struct list **ret) {
    if (count < 0 || l->n == 0) count = 0;
    if (count && (uint64_t)count > r->arena.max_bytes / l->n / sizeof *l->items)
        return template_fail(r, CRIA_LIMIT, "a repeated list is larger than %zu bytes", r->arena.max_bytes);
    CHECK(template_step(r, l->n * (size_t)count));
    CHECK(template_list_new(r, l->n * (size_t)count, ret));
    for (int64_t i = 0; i < count; i++)
        for (size_t j = 0; j < l->n; j++) CHECK(template_list_add(r, *ret, l->items[j]));
    return CRIA_OK;
}

static cria_status repeat(struct run *r, const struct value *a, int64_t count, struct value *ret) {
    if (a->kind == VALUE_STRING) return repeat_text(r, a->text, count, ret);
    struct list *l;
    CHECK(repeat_list(r, a->list, count, &l));
    *ret = *a;
    ret->list = l;
    return CRIA_OK;
}

static cria_status join_lists(struct run *r, const struct value *a, const struct value *b, struct value *ret) {
    struct list *l;
    CHECK(template_step(r, a->list->n + b->list->n));
    CHECK(template_list_new(r, a->list->n + b->list->n, &l));
    for (size_t i = 0; i < a->list->n; i++) CHECK(template_list_add(r, l, a->list->items[i]));
    for (size_t i = 0; i < b->list->n; i++) CHECK(template_list_add(r, l, b->list->items[i]));
    *ret = *a;
    ret->list = l;
    ret->trusted = a->trusted && b->trusted;
    return CRIA_OK;
}

static bool is_sequence(const struct value *v) {
    return v->kind == VALUE_STRING || v->kind == VALUE_LIST || v->kind == VALUE_TUPLE;
}

cria_status template_arithmetic(struct run *r, uint16_t op, const struct value *a, const struct value *b,
                                struct value *ret) {
    if (a->kind == VALUE_STRING && op == '%') return template_format_percent(r, a->text, b, ret);
    if (op == '+' && a->kind == VALUE_STRING && b->kind == VALUE_STRING)
        return template_text_concat(r, a->text, b->text, ret);
    if (op == '+' && a->kind == b->kind && (a->kind == VALUE_LIST || a->kind == VALUE_TUPLE))
        return join_lists(r, a, b, ret);
    if (op == '*' && is_sequence(a) && (b->kind == VALUE_INT || b->kind == VALUE_BOOL))
        return repeat(r, a, small(b), ret);
    if (op == '*' && is_sequence(b) && (a->kind == VALUE_INT || a->kind == VALUE_BOOL))
        return repeat(r, b, small(a), ret);
    if (!template_is_number(a) || !template_is_number(b)) return unsupported(r, op, a, b);
    return is_integer(a) && is_integer(b) ? integer_arithmetic(r, op, a, b, ret) : float_arithmetic(r, op, a, b, ret);
}

cria_status template_negate(struct run *r, const struct value *v, struct value *ret) {
    if (v->kind == VALUE_UNDEFINED) return template_fail_undefined(r, v);
    if (!template_is_number(v))
        return template_fail(r, CRIA_FORMAT, "bad operand type for unary -: '%s'", template_kind_name(v));
    if (v->kind == VALUE_FLOAT) {
        *ret = template_float(-v->number, v->trusted);
        return CRIA_OK;
    }
    const struct value zero = template_int(0, true);
    return integer_arithmetic(r, '-', &zero, v, ret);
}
