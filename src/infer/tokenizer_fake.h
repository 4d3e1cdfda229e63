/* tokenizer_fake.h: a tokenizer for the engine's tests: a table of pieces of bytes, of which some are parts of
 * characters. */
#ifndef INFER_TOKENIZER_FAKE_H
#define INFER_TOKENIZER_FAKE_H

#include "text/tokenizer.h"

/* pieces: borrowed, n of them; the piece "" is a special token. stop_id: -1 for none. */
tokenizer *tokenizer_fake_create(const char *const *pieces, int32_t n, int32_t stop_id);

#endif
