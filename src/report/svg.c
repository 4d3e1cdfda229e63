/* svg.c: see svg.h. */
#include "report/svg.h"

#include <stdio.h>
#include <string.h>

#include "report/markup.h"

#define LABEL_SIZE 12.0

void svg_begin(struct buffer *out, double width, double height, const char *title, const char *description) {
    buffer_append_text(out, "<svg role=\"img\" viewBox=\"0 0 ");
    markup_number(out, width);
    buffer_append_char(out, ' ');
    markup_number(out, height);
    buffer_append_text(out, "\"><title>");
    markup_text(out, title ? title : "chart");
    buffer_append_text(out, "</title>");
    if (description) {
        buffer_append_text(out, "<desc>");
        markup_text(out, description);
        buffer_append_text(out, "</desc>");
    }
    buffer_append_char(out, '\n');
}

void svg_end(struct buffer *out) { buffer_append_text(out, "</svg>\n"); }

static void attribute(struct buffer *out, const char *name, double value) {
    buffer_append_format(out, " %s=\"", name);
    markup_number(out, value);
    buffer_append_char(out, '"');
}

static void close_shape(struct buffer *out, const char *element, const char *tooltip) {
    if (tooltip) {
        buffer_append_text(out, "><title>");
        markup_text(out, tooltip);
        buffer_append_format(out, "</title></%s>\n", element);
    } else {
        buffer_append_text(out, "/>\n");
    }
}

void svg_line(struct buffer *out, const char *class_name, double x1, double y1, double x2, double y2) {
    buffer_append_format(out, "<line class=\"%s\"", class_name);
    attribute(out, "x1", x1);
    attribute(out, "y1", y1);
    attribute(out, "x2", x2);
    attribute(out, "y2", y2);
    close_shape(out, "line", NULL);
}

void svg_rect(struct buffer *out, const char *class_name, double x, double y, double width, double height,
              const char *tooltip) {
    if (width < 0) {
        x += width;
        width = -width;
    }
    if (height < 0) {
        y += height;
        height = -height;
    }
    buffer_append_format(out, "<rect class=\"%s\"", class_name);
    attribute(out, "x", x);
    attribute(out, "y", y);
    attribute(out, "width", width);
    attribute(out, "height", height);
    close_shape(out, "rect", tooltip);
}

void svg_circle(struct buffer *out, const char *class_name, double x, double y, double radius, const char *tooltip) {
    buffer_append_format(out, "<circle class=\"%s\"", class_name);
    attribute(out, "cx", x);
    attribute(out, "cy", y);
    attribute(out, "r", radius);
    close_shape(out, "circle", tooltip);
}

void svg_text(struct buffer *out, const char *class_name, double x, double y, enum svg_anchor anchor,
              const char *text) {
    static const char *const anchors[] = {[SVG_START] = "", [SVG_MIDDLE] = " mid", [SVG_END] = " end"};
    buffer_append_format(out, "<text class=\"%s%s\"", class_name, anchors[anchor]);
    attribute(out, "x", x);
    attribute(out, "y", y);
    buffer_append_char(out, '>');
    markup_text(out, text);
    buffer_append_text(out, "</text>\n");
}

void svg_text_cut(struct buffer *out, const char *class_name, double x, double y, enum svg_anchor anchor,
                  const char *text, double width) {
    char cut[256];
    size_t n = strlen(text);
    if (n < sizeof cut && markup_width(text, LABEL_SIZE) <= width) {
        svg_text(out, class_name, x, y, anchor, text);
        return;
    }
    if (n > sizeof cut - 4) n = sizeof cut - 4;
    do {
        while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80) n--; /* not inside a letter */
        snprintf(cut, sizeof cut, "%.*s…", (int)n, text);
    } while (markup_width(cut, LABEL_SIZE) > width && n-- > 0);
    if (n > 0 && n < strlen(text)) svg_text(out, class_name, x, y, anchor, cut);
}

void svg_class(char out[32], int colour, const char *what) {
    snprintf(out, 32, "c%d %s", (colour > 0 ? colour - 1 : 0) % SVG_COLOURS + 1, what);
}
