/* tokenizer_file.c: opening a tokenizer file of any kind, by what it contains and not by its name. */
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "text/tokenizer.h"

#define MAX_FILE_BYTES ((size_t)128 << 20)

/* JSON begins with a brace behind white space; a SentencePiece model with field 1 as a run of bytes (0x0A, a newline to
 * JSON) and a length; a tiktoken file with base64. */
cria_status tokenizer_from_bytes(tokenizer **ret, const char *bytes, size_t n, struct cria_error *err) {
    size_t at = 0;
    while (at < n && strchr(" \t\r\n", bytes[at]) && bytes[at]) at++;
    if (at < n && bytes[at] == '{') return tokenizer_from_json(ret, bytes, n, err);
    if (n > 0 && bytes[0] == '\n') return tokenizer_from_sentencepiece(ret, bytes, n, err);
    const char *newline = memchr(bytes, '\n', n < 8192 ? n : 8192);
    if (newline && memchr(bytes, ' ', (size_t)(newline - bytes))) return tokenizer_from_tiktoken(ret, bytes, n, err);
    return ERROR_SET(err, CRIA_FORMAT,
                     "not a tokenizer file: expected tokenizer.json, a tiktoken file or a SentencePiece model");
}

cria_status tokenizer_open(tokenizer **ret, const char *path, struct cria_error *err) {
    char *bytes = NULL;
    size_t n;
    cria_status status = file_read(path, MAX_FILE_BYTES, &bytes, &n, err);
    if (status != CRIA_OK) return status;
    status = tokenizer_from_bytes(ret, bytes, n, err);
    if (status != CRIA_OK) error_prefix(err, "%s", path);
    alloc_free(bytes);
    return status;
}
