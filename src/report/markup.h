/* markup.h: text on its way into HTML or SVG.
 *
 * Everything that a person or a file wrote goes through markup_text(), whatever it is; pages have no other door. Pure
 * appends to a buffer, which remembers a failure (base/buffer.h). */
#ifndef REPORT_MARKUP_H
#define REPORT_MARKUP_H

#include "base/buffer.h"

/* Appends text with & < > " ' as entities; malformed UTF-8 and control characters other than tab and newline become
 * U+FFFD. NULL appends nothing. Right as an element's content and inside a quoted attribute. */
void markup_text(struct buffer *out, const char *text);
/* A coordinate: at most one decimal, no trailing ".0", no "-0". What is not finite becomes 0. */
void markup_number(struct buffer *out, double value);
/* A rough width of text in pixels where its letters are `size` pixels high: good enough to keep labels apart. */
double markup_width(const char *text, double size);

#endif
