/* tiktoken.h: the special tokens of the two Llama families that ship tiktoken files: the files do not list them. */
#ifndef TEXT_TIKTOKEN_H
#define TEXT_TIKTOKEN_H

#include <stddef.h>

#define TIKTOKEN_LLAMA3_BASE 128000
#define TIKTOKEN_LLAMA3_SPECIAL 256
#define TIKTOKEN_LLAMA4_BASE 200000
#define TIKTOKEN_LLAMA4_SPECIAL 2048
#define TIKTOKEN_MAX_NAME 64

/* Writes the name of the i-th special token with a NUL; returns its length. */
size_t tiktoken_llama3_name(int i, char out[TIKTOKEN_MAX_NAME]);
size_t tiktoken_llama4_name(int i, char out[TIKTOKEN_MAX_NAME]);

#endif
