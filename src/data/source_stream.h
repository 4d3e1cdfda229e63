/* source_stream.h: the bytes of one file, decompressed on the way; private to source*.c.
 *
 * gzip (RFC 1952, several members one after the other) and Zstandard (RFC 8878, several frames) are recognised by their
 * first bytes, which no well-formed UTF-8 text begins with. Checksums are held: a file that ends early or has a flipped
 * bit is FORMAT. */
#ifndef DATA_SOURCE_STREAM_H
#define DATA_SOURCE_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct source_stream source_stream;

CRIA_MUST_CHECK cria_status source_stream_open(source_stream **ret, const char *path, struct cria_error *err);
void source_stream_close(source_stream **s);
/* Up to n bytes (n > 0) into out; *ret_n 0 only at the end. */
CRIA_MUST_CHECK cria_status source_stream_read(source_stream *s, char *out, size_t n, size_t *ret_n,
                                               struct cria_error *err);
/* Bytes of the file as it lies on disk that were read so far. */
uint64_t source_stream_taken(const source_stream *s);

#endif
