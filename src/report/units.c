/* units.c: see units.h. */
#include "report/units.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct prefix {
    double factor;
    const char *text;
};

#define COUNT(list) ((int)(sizeof(list) / sizeof *(list)))

/* Largest first. */
static const struct prefix count_prefixes[] = {{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e3, "k"}, {1, ""}};
static const struct prefix si_prefixes[] = {{1e18, "E"}, {1e15, "P"}, {1e12, "T"}, {1e9, "G"},  {1e6, "M"},  {1e3, "k"},
                                            {1, ""},     {1e-3, "m"}, {1e-6, "µ"}, {1e-9, "n"}, {1e-12, "p"}};
static const struct prefix byte_prefixes[] = {{0x1p60, "Ei"}, {0x1p50, "Pi"}, {0x1p40, "Ti"}, {0x1p30, "Gi"},
                                              {0x1p20, "Mi"}, {0x1p10, "Ki"}, {1, ""}};
static const struct prefix second_units[] = {{365.25 * 86400, "years"},
                                             {86400, "days"},
                                             {3600, "h"},
                                             {60, "min"},
                                             {1, "s"},
                                             {1e-3, "ms"},
                                             {1e-6, "µs"},
                                             {1e-9, "ns"}};

/* The largest prefix that leaves at least `least` before the point; the smallest one for zero. */
static struct prefix choose(const struct prefix *list, int n, double magnitude, double least) {
    for (int i = 0; i < n; i++)
        if (magnitude >= list[i].factor * least) return list[i];
    return list[n - 1];
}

static struct prefix prefix_of(double magnitude, enum units_kind kind) {
    /* 999.7 would round to 1000: the next prefix begins a little below its factor */
    const double least = 0.9995;
    switch (kind) {
        case UNITS_SI:
            return magnitude == 0 ? (struct prefix){1, ""} : choose(si_prefixes, COUNT(si_prefixes), magnitude, least);
        case UNITS_BYTES:
            return choose(byte_prefixes, COUNT(byte_prefixes), magnitude, least);
        case UNITS_MONEY:
            return choose(count_prefixes, COUNT(count_prefixes), magnitude >= 10000 ? magnitude : 1, least);
        case UNITS_FRACTION:
            return (struct prefix){0.01, ""};
        case UNITS_SECONDS: /* "90 s" rather than "1.5 min" */
            return magnitude == 0 || (magnitude >= least && magnitude < 119.5)
                       ? (struct prefix){1, "s"}
                       : choose(second_units, COUNT(second_units), magnitude, least);
        default:
            return choose(count_prefixes, COUNT(count_prefixes), magnitude >= 10000 ? magnitude : 1, least);
    }
}

/* number is the value in units of the prefix, without its sign. */
static void put_together(char out[UNITS_TEXT_BYTES], const char *sign, const char *number, const char *prefix,
                         enum units_kind kind, const char *unit) {
    if (!unit) unit = "";
    switch (kind) {
        case UNITS_MONEY:
            snprintf(out, UNITS_TEXT_BYTES, "%s%s%s%s", sign, *unit ? unit : "$", number, prefix);
            break;
        case UNITS_FRACTION:
            snprintf(out, UNITS_TEXT_BYTES, "%s%s %%", sign, number);
            break;
        case UNITS_BYTES:
            snprintf(out, UNITS_TEXT_BYTES, "%s%s %sB%s", sign, number, prefix, unit);
            break;
        case UNITS_SECONDS:
            snprintf(out, UNITS_TEXT_BYTES, "%s%s %s", sign, number, prefix);
            break;
        case UNITS_SI:
            snprintf(out, UNITS_TEXT_BYTES, "%s%s%s%s%s", sign, number, *prefix || *unit ? " " : "", prefix, unit);
            break;
        default:
            snprintf(out, UNITS_TEXT_BYTES, "%s%s%s%s%s", sign, number, prefix, *unit ? " " : "", unit);
    }
}

/* "0.00031" below a thousandth is hard to read; "3.1e-4" is not. */
static void small_number(char out[UNITS_TEXT_BYTES], double magnitude, int decimals) {
    int exponent = (int)floor(log10(magnitude));
    double mantissa = magnitude / pow(10, exponent);
    if (round(mantissa * 100) >= 1000) {
        mantissa /= 10;
        exponent++;
    }
    snprintf(out, UNITS_TEXT_BYTES, "%.*fe%d", decimals, mantissa, exponent);
}

/* Three significant digits, no zeros behind the last that says something. */
static void short_number(char out[UNITS_TEXT_BYTES], double magnitude) {
    if (magnitude > 0 && magnitude < 0.000995) {
        small_number(out, magnitude, 2);
        return;
    }
    const int decimals = magnitude >= 99.95 || magnitude == 0 ? 0
                         : magnitude >= 9.995                 ? 1
                         : magnitude >= 0.9995                ? 2
                                                              : 3;
    snprintf(out, UNITS_TEXT_BYTES, "%.*f", decimals, magnitude);
}

/* Two units where one would hide too much: "3 h 12 min". */
static bool long_duration(char out[UNITS_TEXT_BYTES], double seconds) {
    const bool is_negative = seconds < 0;
    const double s = fabs(seconds);
    const char *sign = is_negative ? "-" : "";
    if (s < 119.5 || s >= 365.25 * 86400 * 2) return false;
    const double minutes = round(s / 60), hours = round(s / 3600);
    if (s < 600) snprintf(out, UNITS_TEXT_BYTES, "%s%.0f min %.0f s", sign, floor(round(s) / 60), fmod(round(s), 60));
    else if (s < 7200) snprintf(out, UNITS_TEXT_BYTES, "%s%.0f min", sign, minutes);
    else if (s < 2 * 86400)
        snprintf(out, UNITS_TEXT_BYTES, "%s%.0f h %.0f min", sign, floor(minutes / 60), fmod(minutes, 60));
    else if (s < 14 * 86400)
        snprintf(out, UNITS_TEXT_BYTES, "%s%.0f days %.0f h", sign, floor(hours / 24), fmod(hours, 24));
    else snprintf(out, UNITS_TEXT_BYTES, "%s%.0f days", sign, s / 86400);
    return true;
}

void units_text(char out[UNITS_TEXT_BYTES], double value, enum units_kind kind, const char *unit) {
    char number[UNITS_TEXT_BYTES];
    if (!isfinite(value)) {
        snprintf(out, UNITS_TEXT_BYTES, "–");
        return;
    }
    if (kind == UNITS_SECONDS && long_duration(out, value)) return;
    const struct prefix prefix = prefix_of(fabs(value), kind);
    const double scaled = fabs(value) / prefix.factor;
    if (kind == UNITS_MONEY && prefix.factor == 1 && (scaled == 0 || scaled >= 0.01))
        snprintf(number, sizeof number, scaled < 1000 ? "%.2f" : "%.0f", scaled);
    else if (kind == UNITS_MONEY && prefix.factor == 1 && scaled >= 1e-6) /* two digits of a part of a cent */
        snprintf(number, sizeof number, "%.*f", 1 - (int)floor(log10(scaled)), scaled);
    else if (kind == UNITS_BYTES && prefix.factor == 1) snprintf(number, sizeof number, "%.0f", scaled);
    else if (scaled == floor(scaled) && scaled < 10000) snprintf(number, sizeof number, "%.0f", scaled);
    else short_number(number, scaled);
    put_together(out, value < 0 ? "-" : "", number, prefix.text, kind, unit);
}

/* The prefix of an axis: hours up to three days and so on, so that its marks are not all parts of one. */
static struct prefix axis_prefix(double largest, enum units_kind kind) {
    const double magnitude = fabs(largest);
    if (kind == UNITS_SECONDS && magnitude >= 1) return choose(second_units, COUNT(second_units), magnitude, 3);
    return prefix_of(magnitude, kind);
}

double units_factor(double largest, enum units_kind kind) { return axis_prefix(largest, kind).factor; }

/* Whether the first digit alone would not be the whole number: 1.5e-4, not 2e-4. */
static bool has_fraction(double magnitude) {
    const double mantissa = magnitude / pow(10, floor(log10(magnitude) + 1e-9));
    return fabs(mantissa - round(mantissa)) > 1e-6;
}

void units_tick(char out[UNITS_TEXT_BYTES], double value, double step, double largest, enum units_kind kind,
                const char *unit) {
    char number[UNITS_TEXT_BYTES];
    if (fabs(value) < step / 1e6) value = 0;
    const struct prefix prefix = axis_prefix(largest, kind);
    const double scaled = fabs(value) / prefix.factor, scaled_step = step / prefix.factor;
    if (value != 0 && fabs(largest) / prefix.factor < 0.00995)
        small_number(number, scaled, has_fraction(scaled) ? 1 : 0);
    else {
        int decimals = 0;
        for (double s = scaled_step; decimals < 6 && fabs(s - round(s)) > 1e-6 * s; s *= 10) decimals++;
        snprintf(number, sizeof number, "%.*f", value == 0 ? 0 : decimals, scaled);
    }
    if (value == 0 && kind != UNITS_MONEY && kind != UNITS_FRACTION) snprintf(out, UNITS_TEXT_BYTES, "0");
    else put_together(out, value < 0 ? "-" : "", number, prefix.text, kind, unit);
}

void units_log_tick(char out[UNITS_TEXT_BYTES], double value, enum units_kind kind, const char *unit) {
    char number[UNITS_TEXT_BYTES];
    struct prefix prefix = prefix_of(fabs(value), kind);
    if (kind == UNITS_PLAIN && fabs(value) >= 999.5)
        prefix = choose(count_prefixes, COUNT(count_prefixes), fabs(value), 0.9995);
    const double scaled = fabs(value) / prefix.factor;
    if (scaled > 0 && scaled < 0.00099) small_number(number, scaled, 0);
    else snprintf(number, sizeof number, "%.4g", scaled);
    put_together(out, value < 0 ? "-" : "", number, prefix.text, kind, unit);
}
