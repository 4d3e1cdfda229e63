/* conf_number.c: numbers as people write them, read whole and with a range; see conf.h.
 *
 * Stricter than the C library: no white space, no hexadecimal, no infinities, nothing behind the number. */
#include "conf/conf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The factor of a binary unit, 0 for an unknown one. */
static int64_t unit_factor(const char *unit) {
    static const struct {
        const char *name;
        int64_t factor;
    } units[] = {{"", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(unit, units[i].name) == 0) return units[i].factor;
    return 0;
}

cria_status conf_read_int(const char *text, int64_t min, int64_t max, int64_t *ret, struct cria_error *err) {
    const char *p = text + (*text == '-' || *text == '+');
    const bool is_negative = *text == '-';
    const size_t n_digits = strspn(p, "0123456789");
    const int64_t factor = unit_factor(p + n_digits);
    if (!n_digits || !factor) return ERROR_SET(err, CRIA_USAGE, "expected an integer (12, 64KiB), found \"%s\"", text);
    int64_t value = 0;
    bool overflows = false;
    for (size_t i = 0; i < n_digits; i++) {
        overflows |= __builtin_mul_overflow(value, 10, &value);
        overflows |= __builtin_sub_overflow(value, p[i] - '0', &value); /* negative: its range is the larger */
    }
    overflows |= __builtin_mul_overflow(value, is_negative ? factor : -factor, &value);
    if (overflows || value < min || value > max)
        return ERROR_SET(err, CRIA_USAGE, "expected an integer from %lld to %lld, found \"%s\"", (long long)min,
                         (long long)max, text);
    *ret = value;
    return CRIA_OK;
}

cria_status conf_read_real(const char *text, double min, double max, double *ret, struct cria_error *err) {
    const char *p = text + (*text == '-' || *text == '+');
    const size_t n_whole = strspn(p, "0123456789");
    p += n_whole;
    size_t n_fraction = 0;
    if (*p == '.') {
        n_fraction = strspn(p + 1, "0123456789");
        p += 1 + n_fraction;
    }
    if (n_whole + n_fraction && (*p == 'e' || *p == 'E')) {
        const char *digits = p + 1 + (p[1] == '-' || p[1] == '+');
        const size_t n_exponent = strspn(digits, "0123456789");
        if (n_exponent) p = digits + n_exponent;
    }
    if (n_whole + n_fraction == 0 || *p)
        return ERROR_SET(err, CRIA_USAGE, "expected a number (0.7, 3e-4), found \"%s\"", text);
    const double value = strtod(text, NULL);
    if (!(value >= min && value <= max))
        return ERROR_SET(err, CRIA_USAGE, "expected a number from %g to %g, found \"%s\"", min, max, text);
    *ret = value;
    return CRIA_OK;
}
