/* data_manifest.h: manifest.json, which says what a data folder consists of (docs/FORMATS.md, "Data folder").
 *
 * Its last member is the SHA-256 of all bytes before it, so that a changed manifest is refused like a changed shard. It
 * holds no date and no machine: the same sources, options and tokenizer give the same bytes. */
#ifndef DATA_DATA_MANIFEST_H
#define DATA_DATA_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/error.h"
#include "data/clean.h"

#define DATA_MANIFEST_NAME "manifest.json"
#define DATA_MANIFEST_MAX_BYTES ((size_t)16 << 20)
#define DATA_FORMAT_VERSION 1
#define DATA_MAX_SHARDS 900 /* each is an open file while training */
#define DATA_MAX_FILES 1200
#define DATA_MAX_PACKINGS 16
#define DATA_MAX_SOURCES 256
#define DATA_MAX_LENGTH (1 << 22) /* ids in a row */
#define DATA_DOCUMENTS_NAME "documents.bin"
#define DATA_LEAVES_NAME "leaves.bin"
#define DATA_TOKEN_BYTES_NAME "token-bytes.bin"

/* A document's record in documents.bin, little-endian, in the order of the shards. */
struct data_document {
    uint64_t first_token; /* counted through all shards */
    uint32_t n_tokens;
    uint16_t source;
    uint16_t is_held_out; /* 0 or 1 */
    uint64_t n_bytes;     /* of cleaned text */
};
_Static_assert(sizeof(struct data_document) == 24, "as docs/FORMATS.md has it");

/* A piece's record in pieces-N.bin: ids first_token to first_token + n - 1, each with the id behind it as its target.
 */
struct data_piece {
    uint64_t first_token;
    uint32_t n;
    uint32_t zero;
};
_Static_assert(sizeof(struct data_piece) == 16, "as docs/FORMATS.md has it");

struct data_file {
    char *name; /* owned; no slash */
    uint64_t n_bytes;
    char sha256[DIGEST_HEX_BYTES];
};

struct data_source {
    char *name;    /* owned */
    double weight; /* > 0; 0: none given */
    uint64_t n_documents, n_held_out, n_bytes, n_tokens;
};

/* The rows of one source, those to train on or those held out. */
struct data_group {
    int source;
    bool is_held_out;
    uint64_t first_row, n_rows, n_tokens;
};

/* rows-SEQ_LEN.bin and pieces-SEQ_LEN.bin. */
struct data_packing {
    int seq_len;
    uint64_t n_rows, n_pieces;
    struct data_group *groups; /* owned, [n_groups]: by source, to train on before held out; no empty ones */
    int n_groups;
};

struct data_manifest {
    char *tokenizer_file; /* owned: its name in the folder */
    char *tokenizer_kind; /* owned */
    int n_vocab;
    int id_bytes; /* of an id in the shards: 2 or 4 */
    int64_t bos, eos;
    bool clean[CLEAN_COUNT]; /* the rules of clean.h that ran */
    uint64_t n_documents, n_bytes, n_tokens;
    char root[DIGEST_HEX_BYTES]; /* Merkle root over the documents */
    struct data_source *sources; /* owned, [n_sources] */
    int n_sources;
    struct data_packing *packings; /* owned, [n_packings] */
    int n_packings;
    uint64_t *shard_ends; /* owned, [n_shards]: the first token behind each shard */
    int n_shards;
    struct data_file *files; /* owned, [n_files]: every file but the manifest */
    int n_files;
    char *report; /* owned: a JSON object, what cleaning, filters and de-duplication did; NULL after reading */
    char digest[DIGEST_HEX_BYTES]; /* of the manifest file, after reading or writing */
};

/* Frees what it owns and zeroes it. */
void data_manifest_free(struct data_manifest *m);
/* Writes folder/manifest.json in one rename, and m->digest. */
CRIA_MUST_CHECK cria_status data_manifest_write(struct data_manifest *m, const char *folder, struct cria_error *err);
/* Reads folder/manifest.json into a zeroed *ret: its own digest, and that all parts fit each other and the sizes that
 * it gives for the files. Files are not looked at. NOTFOUND where there is none. */
CRIA_MUST_CHECK cria_status data_manifest_read(struct data_manifest *ret, const char *folder, struct cria_error *err);
/* The file of that name, or NULL. */
const struct data_file *data_manifest_file(const struct data_manifest *m, const char *name);
/* Measures folder/name and appends it to the files, whose array has room for DATA_MAX_FILES. */
CRIA_MUST_CHECK cria_status data_manifest_add_file(struct data_manifest *m, const char *folder, const char *name,
                                                   struct cria_error *err);
/* "shard-00007.bin", "rows-1024.bin", "pieces-1024.bin" into out, which holds DATA_NAME_BYTES. */
#define DATA_NAME_BYTES 32
void data_manifest_shard_name(char out[DATA_NAME_BYTES], int shard);
void data_manifest_rows_name(char out[DATA_NAME_BYTES], int seq_len);
void data_manifest_pieces_name(char out[DATA_NAME_BYTES], int seq_len);

#endif
