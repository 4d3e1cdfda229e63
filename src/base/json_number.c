/* json_number.c: numbers of the JSON reader. Integers are read exactly; others are rounded correctly whatever the
 * number of digits and the locale. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_scan.h"

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* The end of the digits from `at` on. */
static size_t digits_end(const json_reader *r, size_t at) {
    while (at < r->n && is_digit(r->text[at])) at++;
    return at;
}

/* The end of the number at the reader's place by RFC 8259's grammar, or 0 where it is malformed. */
static size_t number_end(const json_reader *r) {
    size_t at = r->at, begin;
    if (at < r->n && r->text[at] == '-') at++;
    begin = at;
    at = digits_end(r, at);
    if (at == begin || (r->text[begin] == '0' && at > begin + 1)) return 0;
    if (at < r->n && r->text[at] == '.') {
        begin = ++at;
        at = digits_end(r, at);
        if (at == begin) return 0;
    }
    if (at < r->n && (r->text[at] == 'e' || r->text[at] == 'E')) {
        at++;
        if (at < r->n && (r->text[at] == '+' || r->text[at] == '-')) at++;
        begin = at;
        at = digits_end(r, at);
        if (at == begin) return 0;
    }
    return at;
}

cria_status json_read_number(json_reader *r, struct json_text *ret, struct cria_error *err) {
    if (r->failed != CRIA_OK) return json_scan_again(r, err);
    const enum json_kind kind = json_peek(r);
    r->value_at = r->at;
    if (kind != JSON_NUMBER) return json_scan_expected(r, err, "a number");
    const size_t end = number_end(r);
    if (end == 0) return json_scan_fail(r, err, CRIA_FORMAT, r->at, "malformed number");
    *ret = (struct json_text){r->text + r->at, end - r->at};
    r->at = end;
    return CRIA_OK;
}

/* How much of a number to show in a message. */
static int shown(struct json_text t) { return t.n < 40 ? (int)t.n : 40; }

/* Reads an integer as sign and magnitude; a magnitude of 2^64 or more is out of everybody's range. */
static cria_status read_integer(json_reader *r, bool *ret_negative, uint64_t *ret_magnitude, struct json_text *ret_text,
                                struct cria_error *err) {
    struct json_text t;
    const cria_status status = json_read_number(r, &t, err);
    if (status != CRIA_OK) return status;
    const bool negative = t.bytes[0] == '-';
    uint64_t magnitude = 0;
    for (size_t i = negative; i < t.n; i++) {
        if (!is_digit(t.bytes[i])) return json_fail(r, err, "expected an integer, found %.*s", shown(t), t.bytes);
        const uint64_t digit = (uint64_t)(t.bytes[i] - '0');
        if (__builtin_mul_overflow(magnitude, 10, &magnitude) || __builtin_add_overflow(magnitude, digit, &magnitude))
            return json_scan_fail(r, err, CRIA_RANGE, r->value_at, "%.*s is too large", shown(t), t.bytes);
    }
    *ret_negative = negative && magnitude > 0;
    *ret_magnitude = magnitude;
    *ret_text = t;
    return CRIA_OK;
}

cria_status json_read_i64(json_reader *r, int64_t min, int64_t max, int64_t *ret, struct cria_error *err) {
    bool negative;
    uint64_t magnitude;
    struct json_text t;
    const cria_status status = read_integer(r, &negative, &magnitude, &t, err);
    if (status != CRIA_OK) return status;
    const bool fits = magnitude <= (uint64_t)INT64_MAX + negative;
    const int64_t value = (int64_t)(negative ? 0 - magnitude : magnitude);
    if (!fits || value < min || value > max)
        return json_scan_fail(r, err, CRIA_RANGE, r->value_at, "expected an integer from %lld to %lld, found %.*s",
                              (long long)min, (long long)max, shown(t), t.bytes);
    *ret = value;
    return CRIA_OK;
}

cria_status json_read_u64(json_reader *r, uint64_t max, uint64_t *ret, struct cria_error *err) {
    bool negative;
    uint64_t magnitude;
    struct json_text t;
    const cria_status status = read_integer(r, &negative, &magnitude, &t, err);
    if (status != CRIA_OK) return status;
    if (negative || magnitude > max)
        return json_scan_fail(r, err, CRIA_RANGE, r->value_at, "expected an integer from 0 to %llu, found %.*s",
                              (unsigned long long)max, shown(t), t.bytes);
    *ret = magnitude;
    return CRIA_OK;
}

cria_status json_read_f64(json_reader *r, double *ret, struct cria_error *err) {
    struct json_text t;
    const cria_status status = json_read_number(r, &t, err);
    if (status != CRIA_OK) return status;
    const double value = json_number_value(t);
    if (!isfinite(value))
        return json_scan_fail(r, err, CRIA_RANGE, r->value_at, "%.*s is too large for a double", shown(t), t.bytes);
    *ret = value;
    return CRIA_OK;
}

/* A number as digits x 10^exponent. No double needs more than 767 digits to be told from its neighbours' midpoints;
 * digits beyond DIGITS_KEPT only matter by not being all zero, which one more digit 1 says. */
enum { DIGITS_KEPT = 800, EXPONENT_FAR = 100000 };

struct decimal {
    char digits[DIGITS_KEPT + 1];
    size_t n_digits;
    long exponent;
    bool is_cut; /* a digit that is not 0 was left out */
};

static void add_digit(struct decimal *d, char digit, bool is_fraction) {
    if (d->n_digits == 0 && digit == '0') {
        d->exponent -= is_fraction;
    } else if (d->n_digits < DIGITS_KEPT) {
        d->digits[d->n_digits++] = digit;
        d->exponent -= is_fraction;
    } else {
        d->is_cut |= digit != '0';
        d->exponent += !is_fraction;
    }
}

/* Splits a number's text, which has the right form. */
static void split(struct json_text t, struct decimal *d) {
    bool is_fraction = false, is_exponent_negative = false;
    long exponent = 0;
    size_t i = t.bytes[0] == '-';
    for (; i < t.n && t.bytes[i] != 'e' && t.bytes[i] != 'E'; i++) {
        if (t.bytes[i] == '.') is_fraction = true;
        else add_digit(d, t.bytes[i], is_fraction);
    }
    for (i++; i < t.n; i++) {
        if (t.bytes[i] == '-') is_exponent_negative = true;
        if (is_digit(t.bytes[i]) && exponent < INT32_MAX) exponent = 10 * exponent + (t.bytes[i] - '0');
    }
    d->exponent += is_exponent_negative ? -exponent : exponent;
    if (d->is_cut) {
        d->digits[d->n_digits++] = '1';
        d->exponent--;
    }
}

/* digits x 10^exponent by strtod() of an integer with an exponent: such a text has no point, hence no locale. */
static double convert(const struct decimal *d) {
    char text[DIGITS_KEPT + 16];
    long exponent = d->exponent;
    if (exponent > EXPONENT_FAR) exponent = EXPONENT_FAR;
    if (exponent < -EXPONENT_FAR) exponent = -EXPONENT_FAR;
    memcpy(text, d->digits, d->n_digits);
    char *p = text + d->n_digits;
    *p++ = 'e';
    *p++ = exponent < 0 ? '-' : '+';
    unsigned long rest = (unsigned long)labs(exponent);
    for (unsigned long unit = EXPONENT_FAR; unit > 0; unit /= 10) {
        *p++ = (char)('0' + rest / unit);
        rest %= unit;
    }
    *p = '\0';
    return strtod(text, NULL);
}

double json_number_value(struct json_text number) {
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    struct decimal d;
    d.n_digits = 0;
    d.exponent = 0;
    d.is_cut = false;
    split(number, &d);
    double value = 0;
    if (d.n_digits > 0 && d.n_digits <= 15 && d.exponent >= -22 && d.exponent <= 22) {
        /* Both factors are exact, so the one rounding is the right one. */
        for (size_t i = 0; i < d.n_digits; i++) value = 10 * value + (d.digits[i] - '0');
        value = d.exponent < 0 ? value / powers[-d.exponent] : value * powers[d.exponent];
    } else if (d.n_digits > 0) {
        value = convert(&d);
    }
    return number.bytes[0] == '-' ? -value : value;
}
