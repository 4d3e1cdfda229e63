/* source.h: documents out of files: plain text and JSON lines, bare or compressed, alone or in folders.
 *
 * What a caller may believe:
 *
 *   1. The order is the order of the paths as given; inside a folder, files come sorted by the bytes of their paths.
 *      Nothing depends on the file system's own order, on time or on threads.
 *   2. Every document is well-formed UTF-8: what is malformed in the file becomes U+FFFD, one for each byte that starts
 *      no character, and n_replaced says how many there were. Nothing is dropped here; filters do that, and count.
 *   3. Memory is bounded by max_document_bytes (about six times as much for JSON lines with many escapes), whatever the
 *      size of the files.
 *
 * Kinds, by the name without .gz or .zst: .jsonl, .ndjson and .json hold one object a line, whose text field is the
 * document; everything else is plain text, a whole file being one document unless a separator cuts it. Plain text
 * longer than max_document_bytes comes in parts, cut at an empty line, a line end or between characters, in this order
 * of preference. Compression is recognised by content (gzip, Zstandard), with checksums held. In folders only files
 * named .txt, .text, .md, .jsonl, .ndjson, .json and these with .gz or .zst are read; source_ignored() counts the rest.
 * Hidden files and folders, and links to folders, are passed by and counted too. One thread at a time for one source.
 */
#ifndef DATA_SOURCE_H
#define DATA_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define SOURCE_MAX_DOCUMENT_BYTES ((size_t)64 << 20) /* what max_document_bytes = 0 means */
#define SOURCE_MAX_FILES 4000000                     /* LIMIT beyond */
#define SOURCE_MAX_DEPTH 32                          /* folders inside folders */

struct source_options {
    const char *text_field;    /* of JSON lines; NULL: "text"; borrowed until source_close() */
    const char *separator;     /* in plain text, such as "<|endoftext|>"; NULL: a file is one document; borrowed */
    size_t max_document_bytes; /* 0: SOURCE_MAX_DOCUMENT_BYTES; a longer JSON line's text is LIMIT */
};

struct source_document {
    const char *bytes;   /* borrowed; valid until the next call on the source */
    size_t n;            /* may be 0 */
    const char *name;    /* "path" or "path:7" (line) or "path#2" (part); borrowed likewise */
    uint64_t n_replaced; /* malformed bytes that became U+FFFD */
    bool is_line;        /* a JSON line; else plain text */
};

typedef struct source source;

/* Lists the files; opens none of them yet. options NULL: all defaults. NOTFOUND where a path is not there or a folder
 * has no file of a known kind. */
CRIA_MUST_CHECK cria_status source_open(source **ret, const char *const *paths, int n_paths,
                                        const struct source_options *options, struct cria_error *err);
/* The next document; *ret_more false, and *ret untouched, at the end. FORMAT for a JSON line that is none (with file
 * and line) and for broken compression. After a failure only source_close(). */
CRIA_MUST_CHECK cria_status source_next(source *s, struct source_document *ret, bool *ret_more, struct cria_error *err);
/* Back to the first document. */
void source_rewind(source *s);
/* Takes NULL; clears the caller's pointer. */
void source_close(source **s);

int64_t source_files(const source *s);   /* how many files there are to read */
int64_t source_ignored(const source *s); /* how many files and links in folders were passed by */
/* Bytes of all files as they lie on disk, and how many of them were read so far: for progress. */
uint64_t source_bytes(const source *s);
uint64_t source_bytes_read(const source *s);
/* The i-th file's path; borrowed. */
const char *source_path(const source *s, int64_t i);

#endif
