/* prompt.c: the rendered prompt that a template gives and a tokenizer takes. */
#include "base/alloc.h"
#include "text/template.h"

void prompt_text_free(struct prompt_text *p) {
    alloc_free(p->text);
    alloc_free(p->trusted);
    *p = (struct prompt_text){0};
}
