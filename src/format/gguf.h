/* gguf.h: the GGUF container, versions 2 and 3: keys with values, and where tensors lie (docs/FORMATS.md, section
 * "GGUF").
 *
 * Callers may believe after gguf_open(): counts, lengths and types were checked against the file and limits.h, no key
 * and no tensor name comes twice, names are printable UTF-8. gguf_check_tensors() adds: every tensor has a type that
 * Cria reads, whole blocks, and bytes of its own inside the file. This module knows nothing of what keys or tensors
 * mean. Everything is read from a private copy of the header, so a file that is cut or changed later does no harm here.
 * Read-only after opening: any thread. */
#ifndef FORMAT_GGUF_H
#define FORMAT_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/file.h"
#include "tensor/dtype.h"
#include "text/tokenizer.h"

enum gguf_type {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
    GGUF_TYPE_COUNT
};

struct gguf_key {
    size_t name_at; /* positions are bytes from the file's start */
    uint32_t name_bytes;
    uint32_t type; /* of the elements where is_array */
    bool is_array;
    size_t count; /* elements; 1 for a scalar */
    size_t at;    /* the first element */
};

struct gguf_tensor {
    size_t name_at;
    uint64_t offset;            /* from data_start, as written */
    uint32_t type;              /* ggml's number, not checked before gguf_check_tensors() */
    uint8_t name_bytes, n_dims; /* the dims follow the name and their count */
};

/* All zero: empty. */
struct gguf {
    const uint8_t *bytes; /* the header: owned_copy or the caller's */
    size_t n_bytes;       /* of the header and, in gguf_parse(), whatever follows */
    uint8_t *owned_copy;  /* owned, or NULL */
    uint64_t file_bytes;
    uint32_t version;
    struct gguf_key *keys; /* owned */
    size_t n_keys;
    struct gguf_tensor *tensors; /* owned */
    size_t n_tensors;
    uint32_t *key_order, *tensor_order; /* owned; by name */
    uint64_t alignment;
    size_t header_bytes; /* up to the end of the tensor list */
    uint64_t data_start;
};

/* Parses n bytes that the caller keeps; file_bytes is the size of the whole file. *g is empty before; gguf_free() it in
 * any case. */
CRIA_MUST_CHECK cria_status gguf_parse(struct gguf *g, const uint8_t *bytes, size_t n, uint64_t file_bytes,
                                       struct cria_error *err);
/* The same from a mapped file, with a copy of the header; the map may be closed afterwards. */
CRIA_MUST_CHECK cria_status gguf_open(struct gguf *g, const struct file_map *map, struct cria_error *err);
void gguf_free(struct gguf *g);

/* NULL where there is no such key. */
const struct gguf_key *gguf_find_key(const struct gguf *g, const char *name);
struct text_span gguf_key_name(const struct gguf *g, const struct gguf_key *k);
/* A scalar unsigned integer of any integer type whose value fits. */
CRIA_MUST_CHECK cria_status gguf_read_u64(const struct gguf *g, const struct gguf_key *k, uint64_t max, uint64_t *ret,
                                          struct cria_error *err);
/* The same, or an array of n_layers such integers that are all equal. */
CRIA_MUST_CHECK cria_status gguf_read_layers_u64(const struct gguf *g, const struct gguf_key *k, uint64_t n_layers,
                                                 uint64_t max, uint64_t *ret, struct cria_error *err);
/* A scalar f32 or f64. */
CRIA_MUST_CHECK cria_status gguf_read_f64(const struct gguf *g, const struct gguf_key *k, double *ret,
                                          struct cria_error *err);
CRIA_MUST_CHECK cria_status gguf_read_bool(const struct gguf *g, const struct gguf_key *k, bool *ret,
                                           struct cria_error *err);
/* A scalar string, borrowed from *g. */
CRIA_MUST_CHECK cria_status gguf_read_string(const struct gguf *g, const struct gguf_key *k, struct text_span *ret,
                                             struct cria_error *err);
/* k is an array of strings; out has room for k->count. Borrowed from *g. */
CRIA_MUST_CHECK cria_status gguf_read_strings(const struct gguf *g, const struct gguf_key *k, struct text_span *out,
                                              struct cria_error *err);
/* k is an array of f32 / of i32 (or u32 that fits); out has room for k->count. */
CRIA_MUST_CHECK cria_status gguf_read_floats(const struct gguf *g, const struct gguf_key *k, float *out,
                                             struct cria_error *err);
CRIA_MUST_CHECK cria_status gguf_read_ints(const struct gguf *g, const struct gguf_key *k, int32_t *out,
                                           struct cria_error *err);

struct text_span gguf_tensor_name(const struct gguf *g, const struct gguf_tensor *t);
/* Dimension i, from the contiguous one; 1 beyond n_dims. */
uint64_t gguf_tensor_dim(const struct gguf *g, const struct gguf_tensor *t, int i);
/* Types, block multiples, places, overlap: of all tensors. */
CRIA_MUST_CHECK cria_status gguf_check_tensors(const struct gguf *g, struct cria_error *err);
/* After gguf_check_tensors(): the number format and the stored bytes. */
enum dtype gguf_tensor_dtype(const struct gguf_tensor *t);
size_t gguf_tensor_bytes(const struct gguf *g, const struct gguf_tensor *t);

#endif
