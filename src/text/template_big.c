/* template_big.c: integers beyond 64 bits: kept as decimal text, computed in limbs of nine digits.
 *
 * Templates hardly compute with them; they must come out of the JSON and into the prompt exactly. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "text/template_private.h"

#define LIMB 1000000000u
#define MAX_DIGITS 4300 /* Python refuses to print more */
#define MAX_LIMBS (MAX_DIGITS / 9 + 2)
#define FLOOR OP2('/', '/')

/* Little-endian limbs without leading zeros; zero has none. */
struct big {
    bool negative;
    size_t n;
    uint32_t *limbs;
};

cria_status template_integer_text(struct run *r, const char *digits, size_t n, bool trusted, struct value *ret) {
    const bool negative = n && digits[0] == '-';
    size_t at = negative;
    while (at + 1 < n && digits[at] == '0') at++;
    if (n - at > MAX_DIGITS) return template_fail(r, CRIA_LIMIT, "an integer has more than %d digits", MAX_DIGITS);
    int64_t total = 0;
    bool fits = true;
    for (size_t i = at; i < n && fits; i++) {
        const int digit = digits[i] - '0';
        fits = !__builtin_mul_overflow(total, 10, &total) && !__builtin_sub_overflow(total, digit, &total);
    }
    if (fits && (negative || total != INT64_MIN)) {
        *ret = template_int(negative ? total : -total, trusted);
        return CRIA_OK;
    }
    char *bytes;
    CHECK(template_new(r, n - at + 1, 1, &bytes));
    bytes[0] = '-';
    memcpy(bytes + negative, digits + at, n - at);
    CHECK(template_text_borrow(r, bytes, n - at + negative, trusted, ret));
    *ret = (struct value){.kind = VALUE_BIG, .trusted = trusted, .text = ret->text};
    return CRIA_OK;
}

double template_big_number(const struct value *v) {
    return json_number_value((struct json_text){.bytes = v->text->bytes, .n = v->text->n});
}

/* The decimal text of any integer; room has 24 bytes for small ones. */
static void digits_of(const struct value *v, char *room, const char **ret_digits, size_t *ret_n) {
    if (v->kind == VALUE_BIG) {
        *ret_digits = v->text->bytes;
        *ret_n = v->text->n;
        return;
    }
    *ret_n = (size_t)snprintf(room, 24, "%lld", (long long)(v->kind == VALUE_BOOL ? v->boolean : v->integer));
    *ret_digits = room;
}

static int compare_digits(const char *a, size_t n_a, const char *b, size_t n_b) {
    if (n_a != n_b) return n_a < n_b ? -1 : 1;
    const int order = memcmp(a, b, n_a);
    return order < 0 ? -1 : order > 0;
}

int template_big_compare(const struct value *a, const struct value *b) {
    char room_a[24], room_b[24];
    const char *x, *y;
    size_t n_x, n_y;
    digits_of(a, room_a, &x, &n_x);
    digits_of(b, room_b, &y, &n_y);
    if ((x[0] == '-') != (y[0] == '-')) return x[0] == '-' ? -1 : 1;
    return x[0] == '-' ? compare_digits(y, n_y, x, n_x) : compare_digits(x, n_x, y, n_y);
}

static cria_status new_limbs(struct run *r, size_t n, struct big *ret) {
    if (n > 2 * MAX_LIMBS) return template_fail(r, CRIA_LIMIT, "an integer has more than %d digits", MAX_DIGITS);
    ret->negative = false;
    ret->n = n;
    return template_new(r, n, sizeof *ret->limbs, &ret->limbs);
}

static void trim(struct big *b) {
    while (b->n && b->limbs[b->n - 1] == 0) b->n--;
    if (b->n == 0) b->negative = false;
}

static cria_status from_value(struct run *r, const struct value *v, struct big *ret) {
    char room[24];
    const char *digits;
    size_t n;
    digits_of(v, room, &digits, &n);
    const bool negative = digits[0] == '-';
    digits += negative;
    n -= negative;
    CHECK(new_limbs(r, n / 9 + 1, ret));
    ret->negative = negative;
    uint32_t unit = 1;
    for (size_t i = 0; i < n; i++) {
        const size_t at = i / 9;
        unit = i % 9 == 0 ? 1 : unit * 10;
        ret->limbs[at] += (uint32_t)(digits[n - 1 - i] - '0') * unit;
    }
    trim(ret);
    return CRIA_OK;
}

static cria_status to_value(struct run *r, const struct big *b, bool trusted, struct value *ret) {
    char *text;
    CHECK(template_new(r, b->n * 9 + 3, 1, &text));
    size_t n = (size_t)snprintf(text, 16, "%s%u", b->negative ? "-" : "", b->n ? b->limbs[b->n - 1] : 0);
    for (size_t i = b->n; i-- > 1;) n += (size_t)snprintf(text + n, 10, "%09u", b->limbs[i - 1]);
    return template_integer_text(r, text, n, trusted, ret);
}

static int compare_limbs(const struct big *a, const struct big *b) {
    if (a->n != b->n) return a->n < b->n ? -1 : 1;
    for (size_t i = a->n; i-- > 0;)
        if (a->limbs[i] != b->limbs[i]) return a->limbs[i] < b->limbs[i] ? -1 : 1;
    return 0;
}

static cria_status add_limbs(struct run *r, const struct big *a, const struct big *b, struct big *ret) {
    struct big result; /* ret may be a or b */
    const size_t n = (a->n > b->n ? a->n : b->n) + 1;
    CHECK(new_limbs(r, n, &result));
    uint32_t carry = 0;
    for (size_t i = 0; i < n; i++) {
        const uint32_t sum = carry + (i < a->n ? a->limbs[i] : 0) + (i < b->n ? b->limbs[i] : 0);
        result.limbs[i] = sum % LIMB;
        carry = sum / LIMB;
    }
    trim(&result);
    *ret = result;
    return CRIA_OK;
}

/* a - b where a is not the smaller one. */
static cria_status sub_limbs(struct run *r, const struct big *a, const struct big *b, struct big *ret) {
    struct big result;
    CHECK(new_limbs(r, a->n, &result));
    uint32_t borrow = 0;
    for (size_t i = 0; i < a->n; i++) {
        const uint32_t take = (i < b->n ? b->limbs[i] : 0) + borrow;
        borrow = a->limbs[i] < take;
        result.limbs[i] = a->limbs[i] + (borrow ? LIMB : 0) - take;
    }
    trim(&result);
    *ret = result;
    return CRIA_OK;
}

static cria_status mul_limbs(struct run *r, const struct big *a, const struct big *b, struct big *ret) {
    CHECK(template_step(r, a->n * b->n / 8));
    struct big result;
    CHECK(new_limbs(r, a->n + b->n, &result));
    for (size_t i = 0; i < a->n; i++) {
        uint64_t carry = 0;
        for (size_t j = 0; j < b->n || carry; j++) {
            const uint64_t sum = result.limbs[i + j] + carry + (j < b->n ? (uint64_t)a->limbs[i] * b->limbs[j] : 0);
            result.limbs[i + j] = (uint32_t)(sum % LIMB);
            carry = sum / LIMB;
        }
    }
    trim(&result);
    *ret = result;
    return CRIA_OK;
}

/* Appends a lower limb: b * LIMB + limb, in place (there is room). */
static void shift_in(struct big *b, uint32_t limb) {
    memmove(b->limbs + 1, b->limbs, b->n * sizeof *b->limbs);
    b->limbs[0] = limb;
    b->n++;
    trim(b);
}

/* Long division of magnitudes, each limb of the quotient by bisection. */
static cria_status div_limbs(struct run *r, const struct big *a, const struct big *b, struct big *ret_quotient,
                             struct big *ret_rest) {
    struct big quotient, rest;
    CHECK(new_limbs(r, a->n, &quotient));
    CHECK(new_limbs(r, b->n + 2, &rest));
    rest.n = 0;
    for (size_t i = a->n; i-- > 0;) {
        shift_in(&rest, a->limbs[i]);
        uint32_t low = 0, high = LIMB - 1;
        struct big product;
        while (low < high) {
            uint32_t middle = low + (high - low + 1) / 2;
            const struct big digit = {.n = 1, .limbs = &middle};
            CHECK(mul_limbs(r, b, &digit, &product));
            CHECK(template_step(r, 1 + b->n / 8));
            if (compare_limbs(&product, &rest) <= 0) low = middle;
            else high = middle - 1;
        }
        const struct big digit = {.n = low != 0, .limbs = &low};
        CHECK(mul_limbs(r, b, &digit, &product));
        struct big less;
        CHECK(sub_limbs(r, &rest, &product, &less));
        memcpy(rest.limbs, less.limbs, less.n * sizeof *less.limbs);
        rest.n = less.n;
        quotient.limbs[i] = low;
    }
    trim(&quotient);
    *ret_quotient = quotient;
    *ret_rest = rest;
    return CRIA_OK;
}

/* Python rounds a quotient down: where the signs differ and a rest stays, the quotient is one less. */
static cria_status floor_divide(struct run *r, const struct big *a, const struct big *b, bool wants_rest,
                                struct big *ret) {
    struct big quotient, rest, one;
    uint32_t unit = 1;
    if (b->n == 0) return template_fail(r, CRIA_FORMAT, "division by zero");
    CHECK(div_limbs(r, a, b, &quotient, &rest));
    const bool rounds = a->negative != b->negative && rest.n;
    one = (struct big){.n = 1, .limbs = &unit};
    if (rounds) {
        CHECK(add_limbs(r, &quotient, &one, &quotient));
        CHECK(sub_limbs(r, b, &rest, &rest));
    }
    *ret = wants_rest ? rest : quotient;
    ret->negative = ret->n && (wants_rest ? b->negative : a->negative != b->negative);
    return CRIA_OK;
}

static cria_status add_signed(struct run *r, const struct big *a, const struct big *b, struct big *ret) {
    if (a->negative == b->negative) {
        CHECK(add_limbs(r, a, b, ret));
        ret->negative = a->negative && ret->n;
        return CRIA_OK;
    }
    const bool a_larger = compare_limbs(a, b) >= 0;
    CHECK(sub_limbs(r, a_larger ? a : b, a_larger ? b : a, ret));
    ret->negative = ret->n && (a_larger ? a->negative : b->negative);
    return CRIA_OK;
}

cria_status template_big_arithmetic(struct run *r, uint16_t op, const struct value *a, const struct value *b,
                                    struct value *ret) {
    struct big x, y, result;
    CHECK(from_value(r, a, &x));
    CHECK(from_value(r, b, &y));
    CHECK(template_step(r, 1 + x.n + y.n));
    if (op == '-') y.negative = !y.negative;
    switch (op) {
        case '+':
        case '-':
            CHECK(add_signed(r, &x, &y, &result));
            break;
        case '*':
            CHECK(mul_limbs(r, &x, &y, &result));
            result.negative = result.n && x.negative != y.negative;
            break;
        default:
            CHECK(floor_divide(r, &x, &y, op == '%', &result));
            break;
    }
    return to_value(r, &result, a->trusted && b->trusted, ret);
}
