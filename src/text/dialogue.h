/* dialogue.h: the one dialogue object: messages in, prompt text and token ids out.
 *
 * It makes the prompt, knows the stop tokens, and keeps what a chat needs to be saved and loaded. It holds its messages
 * as it was given them; nothing is trimmed or dropped. */
#ifndef TEXT_DIALOGUE_H
#define TEXT_DIALOGUE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "text/template.h"
#include "text/tokenizer.h"

typedef struct dialogue dialogue;

CRIA_MUST_CHECK cria_status dialogue_create(dialogue **ret, struct cria_error *err);
/* A JSON object with `messages` (array) and optionally `tools`, `add_generation_prompt` (default true), `bos_token`,
 * `eos_token`, `now` and other scalars that the template may use; or a bare array of messages. Roles and contents are
 * checked. */
CRIA_MUST_CHECK cria_status dialogue_from_json(dialogue **ret, const char *text, size_t n, struct cria_error *err);
void dialogue_destroy(dialogue **d);

CRIA_MUST_CHECK cria_status dialogue_add(dialogue *d, const char *role, const char *content, size_t n,
                                         struct cria_error *err);
size_t dialogue_messages(const dialogue *d);
const char *dialogue_role(const dialogue *d, size_t i); /* borrowed */
/* The text of message i; "" where its content is not a string. Borrowed. */
const char *dialogue_content(const dialogue *d, size_t i, size_t *ret_n);
/* Keeps the first n messages. */
void dialogue_cut(dialogue *d, size_t n);
/* The object as JSON text, in the form that dialogue_from_json() reads. */
struct buffer;
CRIA_MUST_CHECK cria_status dialogue_to_json(const dialogue *d, struct buffer *out, struct cria_error *err);

/* Renders with the template; bos and eos texts come from the tokenizer unless the dialogue names its own. t may be
 * NULL. */
CRIA_MUST_CHECK cria_status dialogue_render(const dialogue *d, const template *tmpl, const tokenizer *t,
                                            struct prompt_text *ret, struct cria_error *err);
/* Renders and encodes: exactly one beginning-of-text id where the model wants one; contents never make special tokens.
 */
CRIA_MUST_CHECK cria_status dialogue_encode(const dialogue *d, const template *tmpl, const tokenizer *t,
                                            struct token_list *list, struct cria_error *err);

#endif
