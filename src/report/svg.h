/* svg.h: the few shapes that charts are drawn with; private to src/report.
 *
 * Colours are classes, c1 to c8, that the page's style sheet fills for light and dark; a shape says what it is (line,
 * fill, label), never how it looks. Coordinates are pixels of the viewBox, y downwards. */
#ifndef REPORT_SVG_H
#define REPORT_SVG_H

#include "base/buffer.h"

#define SVG_COLOURS 8

enum svg_anchor { SVG_START, SVG_MIDDLE, SVG_END };

/* description may be NULL. Both are read out by a screen reader. */
void svg_begin(struct buffer *out, double width, double height, const char *title, const char *description);
void svg_end(struct buffer *out);
/* class_name is a constant of this module: "grid", "axis", "c3 line". */
void svg_line(struct buffer *out, const char *class_name, double x1, double y1, double x2, double y2);
/* tooltip NULL: none. Negative widths and heights are turned round. */
void svg_rect(struct buffer *out, const char *class_name, double x, double y, double width, double height,
              const char *tooltip);
void svg_circle(struct buffer *out, const char *class_name, double x, double y, double radius, const char *tooltip);
void svg_text(struct buffer *out, const char *class_name, double x, double y, enum svg_anchor anchor, const char *text);
/* The text, cut with an ellipsis where it is wider than width. */
void svg_text_cut(struct buffer *out, const char *class_name, double x, double y, enum svg_anchor anchor,
                  const char *text, double width);
/* "cN WHAT" for colour 1, 2 and so on, which goes round; in out. */
void svg_class(char out[32], int colour, const char *what);

#endif
