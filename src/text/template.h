/* template.h: chat templates: the Jinja that model repositories use, interpreted within a budget.
 *
 * Callers may believe: the result equals jinja2's sandbox as transformers sets it up (trim_blocks, lstrip_blocks, loop
 * controls), or there is an error that names the line and what is not supported. A template cannot read a file,
 * a clock other than the one given, or anything but its inputs, and it ends within its budget.
 * A compiled template is read-only: any thread may render it. At the default depth a render takes at most half a MiB of
 * stack. */
#ifndef TEXT_TEMPLATE_H
#define TEXT_TEMPLATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct template template;

struct template_budget {
    uint64_t max_steps; /* evaluated nodes */
    size_t max_bytes;   /* of all values and of the output */
    int max_depth;      /* of calls and nesting */
};
extern const struct template_budget template_default_budget;

CRIA_MUST_CHECK cria_status template_compile(template **ret, const char *source, size_t n, struct cria_error *err);
void template_destroy(template **t);

/* A rendered prompt. Bytes that came from the template itself or from bos_token and eos_token are trusted (1), and
 * so are the usual roles (system, user, assistant, tool, ipython, developer, function, model); all other bytes of the
 * dialogue are not (0): only trusted ones may spell special tokens. */
struct prompt_text {
    char *text;       /* owned, NUL-terminated */
    uint8_t *trusted; /* owned, one for each byte */
    size_t n;
};
void prompt_text_free(struct prompt_text *p);

/* variables: a JSON object (UTF-8 text) with the template's inputs: messages, tools, add_generation_prompt, bos_token,
 * eos_token, and any other name; `now` (YYYY-MM-DD, may be absent) is what strftime_now sees. */
CRIA_MUST_CHECK cria_status template_render(const template *t, const char *variables, size_t n,
                                            const struct template_budget *budget, struct prompt_text *ret,
                                            struct cria_error *err);

#endif
