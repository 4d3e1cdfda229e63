/* life.h: the life of a model from its files to a few tokens and back to nothing, for tests that break it on the way.
 *
 * Opens the files, makes the tokenizer, a device, the model and an engine, answers a request and closes everything.
 * Whichever step fails, the result has to be that step's alone: what it would have given is untouched, everything made
 * before it closes, and the error record says what it was. A promise that does not hold ends the process. One thread.
 */
#ifndef KIT_LIFE_H
#define KIT_LIFE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

enum { LIFE_TOKENS = 6 };

struct life {
    const char *path;    /* borrowed: a model's files */
    bool has_tokenizer;  /* make it, give it text, and let the engine decode */
    bool only_tokenizer; /* stop when the tokenizer did its work */
};

/* *ret_digest gets the digest of the answer's rows; zeros with only_tokenizer. */
CRIA_MUST_CHECK cria_status life_run(const struct life *life, uint8_t ret_digest[32], struct cria_error *err);

/* Rewrites the tokenizer.json that tiny_write_directory() left in the folder: text is then split by a regular
 * expression for which Cria has no splitter of its own, so that Oniguruma runs it. */
CRIA_MUST_CHECK cria_status life_split_by_regex(const char *folder, struct cria_error *err);

#endif
