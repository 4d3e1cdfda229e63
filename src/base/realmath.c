/* realmath.c: see realmath.h.
 *
 * Each function reduces its argument to a small interval without losing bits and sums a Taylor series there; the series
 * stop where the next term is below 2^-56 of the result. The compiler may not fuse or reorder anything
 * (-ffp-contract=off, no fast-math). */
#include "base/realmath.h"

#include <stdint.h>
#include <string.h>

static const double LN2_HIGH = 0x1.62e42feep-1; /* upper 32 bits of ln 2: products with integers < 2^21 are exact */
static const double LN2_LOW = 0x1.a39ef35793c76p-33;    /* ln 2 - LN2_HIGH */
static const double INVERSE_LN2 = 0x1.71547652b82fep+0; /* 1 / ln 2 */
static const double TWO_OVER_PI = 0x1.45f306dc9c883p-1;
/* pi/2 in pieces of 30 bits (products with integers below 2^23 are exact) and a rest. */
static const double HALF_PI_1 = 0x1.921fb54p+0;
static const double HALF_PI_2 = 0x1.10b46118p-30;
static const double HALF_PI_3 = 0x1.313198ap-61;
static const double HALF_PI_4 = 0x1.701b839a25205p-92;
static const double ROUNDER = 0x1.8p52; /* adding and subtracting it rounds to an integer, half to even */

static double from_bits(uint64_t u) {
    double d;
    memcpy(&d, &u, sizeof d);
    return d;
}

static uint64_t to_bits(double d) {
    uint64_t u;
    memcpy(&u, &d, sizeof u);
    return u;
}

static double nan_value(void) { return from_bits(0x7ff8000000000000u); }

static double infinity_value(void) { return from_bits(0x7ff0000000000000u); }

static double round_to_integer(double x) { return (x + ROUNDER) - ROUNDER; }

double realmath_exp(double x) {
    static const double factorial_inverse[] = {
        0x1.6124613a86d09p-33, /* 1/13! */
        0x1.1eed8eff8d898p-29,
        0x1.ae64567f544e4p-26,
        0x1.27e4fb7789f5cp-22,
        0x1.71de3a556c734p-19,
        0x1.a01a01a01a01ap-16,
        0x1.a01a01a01a01ap-13,
        0x1.6c16c16c16c17p-10,
        0x1.1111111111111p-7,
        0x1.5555555555555p-5,
        0x1.5555555555555p-3,
        0.5,
    };
    if (x != x) return x;
    if (x > 709.782712893384) return infinity_value();
    if (x < -708.3964185322641) return 0.0;
    const double k = round_to_integer(x * INVERSE_LN2);
    const double r = (x - k * LN2_HIGH) - k * LN2_LOW; /* |r| <= ln(2)/2 */
    double sum = 0.0;
    for (unsigned i = 0; i < sizeof factorial_inverse / sizeof factorial_inverse[0]; i++) {
        sum = sum * r + factorial_inverse[i];
    }
    const double value = 1.0 + (r + r * r * sum);
    /* k lies in -1022 .. 1024; 2^1024 is no double, so the power is applied in two halves. */
    const int64_t exponent = (int64_t)k, half = exponent / 2;
    return value * from_bits((uint64_t)(1023 + half) << 52) * from_bits((uint64_t)(1023 + exponent - half) << 52);
}

double realmath_log(double x) {
    const uint64_t bits = to_bits(x);
    const int is_small = (bits & 0x7ff0000000000000u) == 0; /* zero, or below the normal numbers */
    if (x != x) return x;
    if (is_small) return -infinity_value();
    if (bits >> 63) return nan_value();
    if (bits == 0x7ff0000000000000u) return x;
    int64_t exponent = (int64_t)(bits >> 52) - 1023;
    double m = from_bits((bits & 0x000fffffffffffffu) | 0x3ff0000000000000u);
    if (m > 0x1.6a09e667f3bcdp+0) { /* keep m within sqrt(1/2) .. sqrt(2) */
        m *= 0.5;
        exponent++;
    }
    /* log m = 2 atanh(s) = 2 s (1 + s^2/3 + s^4/5 + ...), |s| < 0.1716 */
    const double f = m - 1.0, s = f / (m + 1.0), z = s * s;
    double sum = 0.0;
    for (int n = 25; n >= 3; n -= 2) sum = (sum + 1.0 / n) * z;
    /* 2 s = f - s f keeps the leading term exact: f has no rounding. */
    const double k = (double)exponent;
    return k * LN2_HIGH + (f - (s * f - (2.0 * s * sum + k * LN2_LOW)));
}

double realmath_pow(double base, double exponent) { return realmath_exp(exponent * realmath_log(base)); }

/* a + b = *high + *low exactly. */
static void two_sum(double a, double b, double *high, double *low) {
    const double sum = a + b, bb = sum - a;
    *high = sum;
    *low = (a - (sum - bb)) + (b - bb);
}

/* x - n pi/2 as *high + *low, |*high| <= pi/4; returns n mod 4. */
static unsigned reduce(double x, double *high, double *low) {
    const double n = round_to_integer(x * TWO_OVER_PI);
    double a, b, c, d;
    two_sum(x - n * HALF_PI_1, -n * HALF_PI_2, &a, &b); /* the first difference is exact */
    two_sum(a, -n * HALF_PI_3, &c, &d);
    two_sum(c, (b + d) - n * HALF_PI_4, high, low);
    return (unsigned)(int64_t)n & 3u;
}

/* sin(r + low) for |r| <= pi/4 and a low far below r. */
static double sine_series(double r, double low) {
    static const double terms[] = {
        -0x1.2f49b46814157p-57, /* -1/19! */
        0x1.952c77030ad4ap-49,  -0x1.ae7f3e733b81fp-41, 0x1.6124613a86d09p-33, -0x1.ae64567f544e4p-26,
        0x1.71de3a556c734p-19,  -0x1.a01a01a01a01ap-13, 0x1.1111111111111p-7,  -0x1.5555555555555p-3,
    };
    const double z = r * r;
    double sum = 0.0;
    for (unsigned i = 0; i < sizeof terms / sizeof terms[0]; i++) sum = sum * z + terms[i];
    return r + (r * z * sum + low * (1.0 - 0.5 * z));
}

static double cosine_series(double r, double low) {
    static const double terms[] = {
        0x1.e542ba4020225p-62, /* 1/20! */
        -0x1.6827863b97d97p-53, 0x1.ae7f3e733b81fp-45, -0x1.93974a8c07c9dp-37, 0x1.1eed8eff8d898p-29,
        -0x1.27e4fb7789f5cp-22, 0x1.a01a01a01a01ap-16, -0x1.6c16c16c16c17p-10, 0x1.5555555555555p-5,
    };
    const double z = r * r, half = 0.5 * z, w = 1.0 - half;
    double sum = 0.0;
    for (unsigned i = 0; i < sizeof terms / sizeof terms[0]; i++) sum = sum * z + terms[i];
    return w + (((1.0 - w) - half) + (z * z * sum - r * low));
}

/* quarter 0: sine, 1: cosine, 2: -sine, 3: -cosine of x plus as many quarter turns as the reduction took off. */
static double circular(double x, unsigned quarter) {
    if (!(x > -1.3e7 && x < 1.3e7)) return nan_value();
    double r, low;
    quarter = (quarter + reduce(x, &r, &low)) & 3u;
    const double value = quarter & 1u ? cosine_series(r, low) : sine_series(r, low);
    return quarter & 2u ? -value : value;
}

double realmath_sin(double x) { return circular(x, 0); }

double realmath_cos(double x) { return circular(x, 1); }
