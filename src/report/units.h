/* units.h: numbers as people read them: SI prefixes, durations, bytes, money.
 *
 * A text is cut where its room ends and always NUL-terminated. What is not finite is written as a dash. No locale plays
 * a part as long as the program sets none for numbers. Pure; any thread. */
#ifndef REPORT_UNITS_H
#define REPORT_UNITS_H

#define UNITS_TEXT_BYTES 48

/* What a number counts; it decides the prefixes and the form. */
enum units_kind {
    UNITS_PLAIN,    /* 1234.5 -> "1235"; k, M, B, T above 10,000, for counts such as tokens */
    UNITS_SI,       /* with a unit: "1.23 MJ", "45 mW" */
    UNITS_BYTES,    /* "1.5 GiB" */
    UNITS_SECONDS,  /* a duration: "850 ms", "12.5 s", "3 h 12 min", "54 days" */
    UNITS_FRACTION, /* 0.371 -> "37.1 %" */
    UNITS_MONEY     /* "$1.23", "$45.1k"; the unit replaces the dollar sign */
};

/* value with about three significant digits; unit "" or NULL: none. */
void units_text(char out[UNITS_TEXT_BYTES], double value, enum units_kind kind, const char *unit);
/* A mark on an axis whose neighbours are step apart and whose largest is `largest`: one prefix and as many decimals as
 * the step needs, so that the marks of an axis look alike. */
void units_tick(char out[UNITS_TEXT_BYTES], double value, double step, double largest, enum units_kind kind,
                const char *unit);
/* What one unit of the prefix is that units_tick() would take: 3600 for hours, 2^30 for GiB, 0.01 for percent. */
double units_factor(double largest, enum units_kind kind);
/* A mark on a logarithmic axis: the value in the fewest digits. */
void units_log_tick(char out[UNITS_TEXT_BYTES], double value, enum units_kind kind, const char *unit);

#endif
