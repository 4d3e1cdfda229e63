/* split.h: the hand-written splitters: the first step of byte-level BPE, cutting text into pieces that no merge may
 * cross.
 *
 * Each function takes text of n bytes and at < n, and returns the end (> at) of the piece that begins at `at`: exactly
 * what the pattern named beside it matches there, where a match began at every earlier end. A byte that is no UTF-8
 * counts as one character that is neither letter, number nor space. They look no further back than `at`, and all calls
 * over one text together take time linear in its length. tests/tokenizer/split_test.c holds them to Oniguruma. */
#ifndef TEXT_SPLIT_H
#define TEXT_SPLIT_H

#include <stddef.h>

typedef size_t split_fn(const char *text, size_t n, size_t at);

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
size_t split_gpt2(const char *text, size_t n, size_t at);
/* Every \p{N} a piece of its own first, and the pattern of GPT-2 within the stretches between them. */
size_t split_smollm(const char *text, size_t n, size_t at);
/* (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
 */
size_t split_llama3(const char *text, size_t n, size_t at);
/* With U = [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}], L = [\p{Ll}\p{Lm}\p{Lo}\p{M}], C = (?i:'s|'t|'re|'ve|'m|'ll|'d):
 * [^\r\n\p{L}\p{N}]?U*L+C?|[^\r\n\p{L}\p{N}]?U+L*C?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
size_t split_llama4(const char *text, size_t n, size_t at);

/* The patterns above as the files spell them, and NULL for SmolLM2's, which is two steps. */
const char *split_pattern(split_fn *fn);

#endif
