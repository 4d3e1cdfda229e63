/* template_string.h: string operations that methods and filters share. All keep the trust of each byte, and markup. */
#ifndef TEXT_TEMPLATE_STRING_H
#define TEXT_TEMPLATE_STRING_H

#include "text/template_private.h"

/* how: 'u' upper, 'l' lower, 'f' fold, 't' str.title(), 'c' capitalize, 's' swapcase, 'w' the title filter. */
cria_status template_string_case(struct run *r, const struct text *t, char how, struct value *ret);
/* sides: 'l', 'r' or 'b'; chars NULL: white space. */
cria_status template_string_strip(struct run *r, const struct text *t, const struct text *chars, char sides,
                                  struct value *ret);
/* count < 0: all. */
cria_status template_string_replace(struct run *r, const struct text *t, const struct text *old,
                                    const struct text *new_text, int64_t count, struct value *ret);
/* sep NULL: runs of white space; most < 0: all; from_right for rsplit. */
cria_status template_string_split(struct run *r, const struct text *t, const struct text *sep, int64_t most,
                                  bool from_right, struct list **ret);
cria_status template_string_lines(struct run *r, const struct text *t, bool keep_ends, struct list **ret);
/* Strings of items, joined; elements that are no strings: an error where strict, else printed. */
cria_status template_string_join(struct run *r, const struct text *sep, const struct list *items, bool strict,
                                 struct value *ret);
/* Fills to width characters; align: '<', '>', '^'. */
cria_status template_string_pad(struct run *r, const struct text *t, int64_t width, uint32_t fill, char align,
                                struct value *ret);
/* A string argument, or an error that names the function. */
cria_status template_string_argument(struct run *r, const struct value *v, const char *function,
                                     const struct text **ret);

#endif
