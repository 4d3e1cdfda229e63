/* template_filters.h: the filters that template_filter_text.c and template_filter_list.c give to the table. */
#ifndef TEXT_TEMPLATE_FILTERS_H
#define TEXT_TEMPLATE_FILTERS_H

#include "text/template_private.h"

#define TEMPLATE_FILTER(name) cria_status template_filter_##name(struct run *r, const struct call *c, struct value *ret)

TEMPLATE_FILTER(abs);
TEMPLATE_FILTER(batch);
TEMPLATE_FILTER(capitalize);
TEMPLATE_FILTER(center);
TEMPLATE_FILTER(dictsort);
TEMPLATE_FILTER(escape);
TEMPLATE_FILTER(first);
TEMPLATE_FILTER(float);
TEMPLATE_FILTER(forceescape);
TEMPLATE_FILTER(format);
TEMPLATE_FILTER(groupby);
TEMPLATE_FILTER(indent);
TEMPLATE_FILTER(int);
TEMPLATE_FILTER(items);
TEMPLATE_FILTER(join);
TEMPLATE_FILTER(last);
TEMPLATE_FILTER(length);
TEMPLATE_FILTER(list);
TEMPLATE_FILTER(lower);
TEMPLATE_FILTER(map);
TEMPLATE_FILTER(max);
TEMPLATE_FILTER(min);
TEMPLATE_FILTER(reject);
TEMPLATE_FILTER(rejectattr);
TEMPLATE_FILTER(replace);
TEMPLATE_FILTER(reverse);
TEMPLATE_FILTER(round);
TEMPLATE_FILTER(safe);
TEMPLATE_FILTER(select);
TEMPLATE_FILTER(selectattr);
TEMPLATE_FILTER(slice);
TEMPLATE_FILTER(sort);
TEMPLATE_FILTER(string);
TEMPLATE_FILTER(striptags);
TEMPLATE_FILTER(sum);
TEMPLATE_FILTER(title);
TEMPLATE_FILTER(trim);
TEMPLATE_FILTER(truncate);
TEMPLATE_FILTER(unique);
TEMPLATE_FILTER(upper);
TEMPLATE_FILTER(urlencode);
TEMPLATE_FILTER(wordcount);

#endif
