/* tokenizer_spm.h: SentencePiece vocabularies of type BPE, whatever file they come from. */
#ifndef TEXT_TOKENIZER_SPM_H
#define TEXT_TOKENIZER_SPM_H

#include "text/tokenizer_parts.h"

/* v->tokens, scores and types must be there. user_normalised: user-defined tokens are matched in normalised text, as
 * the library of the model file does; else in the text as it stands, as is the custom of GGUF. */
CRIA_MUST_CHECK cria_status tokenizer_spm_build(tokenizer **ret, const struct tokenizer_vocab *v, bool user_normalised,
                                                const char *kind, struct cria_error *err);

#endif
