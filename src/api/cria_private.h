/* cria_private.h: what the files of the public API share: the handles, and the guard around every call. */
#ifndef API_CRIA_PRIVATE_H
#define API_CRIA_PRIVATE_H

#include "cria/cria.h"
#include "infer/infer.h"
#include "text/template.h"

struct cria_tokenizer {
    tokenizer *t; /* owned */
};

struct cria_model {
    device *dev;        /* owned */
    llama_model *llama; /* owned */
    engine *eng;        /* owned */
    cria_tokenizer tok; /* tok.t: NULL where the files have none */
    template *tmpl;     /* owned; NULL where the files have none */
};

/* The caller's floating point state. Between enter and leave this thread rounds to nearest, flushes subnormals and
 * traps nothing, whatever the caller does. */
unsigned cria_state_enter(void);
void cria_state_leave(unsigned callers);

/* Copies options of the caller's size over defaults of ours; UNSUPPORTED where the caller sets what is unknown here.
 * The size is the first member of both. */
CRIA_MUST_CHECK cria_status cria_options_take(void *own, size_t own_bytes, const void *given, struct cria_error *err);

#endif
