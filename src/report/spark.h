/* spark.h: a curve in a terminal: braille letters, each two dots wide and four high. */
#ifndef REPORT_SPARK_H
#define REPORT_SPARK_H

#include <stddef.h>

#define SPARK_LETTER_BYTES 3 /* a braille letter in UTF-8 */

/* The curve of n values over `columns` letters, as `rows` strings of lines[row] (each with room for columns *
 * SPARK_LETTER_BYTES + 1 bytes). More values than 2 * columns are averaged in pieces; fewer fill a part of the width.
 * The top is `high`, the bottom `low`; what is not finite leaves a gap. */
void spark_draw(char *const *lines, int rows, int columns, const float *values, size_t n, double low, double high);

#endif
