/* spark.c: see spark.h.
 *
 * U+2800 and eight bits is the braille letter of eight dots: bits 0, 1, 2, 6 the left column from the top, bits 3, 4,
 * 5, 7 the right one. */
#include "report/spark.h"

#include <math.h>

#include "base/utf8.h"

#define BLANK 0x2800u

static const unsigned char dot_bits[2][4] = {{1, 2, 4, 64}, {8, 16, 32, 128}};

/* The mean of the values that dot column `x` stands for; NaN where there are none. */
static double mean_at(const float *values, size_t n, size_t n_dots, size_t x) {
    const size_t from = n <= n_dots ? x : x * n / n_dots, to = n <= n_dots ? x + 1 : (x + 1) * n / n_dots;
    double sum = 0;
    size_t found = 0;
    for (size_t i = from; i < to && i < n; i++)
        if (isfinite(values[i])) {
            sum += (double)values[i];
            found++;
        }
    return found > 0 ? sum / (double)found : NAN;
}

/* The dot row of a value, 0 at the top. */
static int dot_row(double value, double low, double high, int n_dots) {
    const double part = high > low ? (value - low) / (high - low) : 0.5;
    const double row = (1 - fmin(1, fmax(0, part))) * (n_dots - 1);
    return (int)floor(row + 0.5);
}

void spark_draw(char *const *lines, int rows, int columns, const float *values, size_t n, double low, double high) {
    char *at[64];
    if (rows > 64) rows = 64;
    for (int r = 0; r < rows; r++) at[r] = lines[r];
    int last[2] = {-1, -1}; /* the dots before, so that a steep curve stays one line */
    for (int c = 0; c < columns; c++) {
        unsigned letters[64] = {0};
        for (int side = 0; side < 2; side++) {
            const double value = mean_at(values, n, 2 * (size_t)columns, 2 * (size_t)c + (size_t)side);
            last[0] = last[1];
            last[1] = isfinite(value) ? dot_row(value, low, high, rows * 4) : -1;
            if (last[1] < 0) continue;
            int from = last[1], to = last[1];
            if (last[0] >= 0 && last[0] < last[1]) from = last[0] + 1;
            if (last[0] >= 0 && last[0] > last[1]) to = last[0] - 1;
            for (int y = from; y <= to; y++) letters[y / 4] |= dot_bits[side][y % 4];
        }
        for (int r = 0; r < rows; r++) at[r] += utf8_encode(BLANK + letters[r], at[r]);
    }
    for (int r = 0; r < rows; r++) *at[r] = 0;
}
