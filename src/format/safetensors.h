/* safetensors.h: the safetensors container: which tensors a file holds and where (docs/FORMATS.md, section
 * "safetensors").
 *
 * Callers may believe after safetensors_open(): no name comes twice; each tensor's byte range has the size that its
 * shape and number format ask for; the ranges cover the data wholly, without holes or overlap. This module knows
 * nothing of what the names mean. Read-only after opening: any thread. */
#ifndef FORMAT_SAFETENSORS_H
#define FORMAT_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/file.h"
#include "tensor/dtype.h"

struct safetensors_tensor {
    const char *name; /* inside the header's text, or owned; no NUL behind it */
    uint32_t name_bytes;
    bool name_is_owned;
    uint8_t format; /* index into the table of number formats, see safetensors_format_name() */
    uint8_t rank;
    uint64_t dims[2];    /* the first two; 1 beyond the rank */
    uint64_t begin, end; /* within the data */
};

/* All zero: empty. */
struct safetensors {
    char *header;                       /* owned copy of the header's text, or NULL */
    struct safetensors_tensor *tensors; /* owned; in the order of the header */
    size_t n_tensors;
    uint64_t data_start, data_bytes;
};

/* Parses the header's text, which the caller keeps; data_bytes follow it in the file. *s is empty before;
 * safetensors_free() it in any case. */
CRIA_MUST_CHECK cria_status safetensors_parse(struct safetensors *s, const char *text, size_t n, uint64_t data_bytes,
                                              struct cria_error *err);
/* Checks the eight bytes that a file begins with against its size; *ret_n is the length of the header's text. */
CRIA_MUST_CHECK cria_status safetensors_header_bytes(const uint8_t *first, uint64_t file_bytes, size_t *ret_n,
                                                     struct cria_error *err);
/* Both from a mapped file, with a copy of the header. */
CRIA_MUST_CHECK cria_status safetensors_open(struct safetensors *s, const struct file_map *map, struct cria_error *err);
void safetensors_free(struct safetensors *s);

/* "F32", "I64": as in the file. */
const char *safetensors_format_name(const struct safetensors_tensor *t);
/* DTYPE_NONE where Cria does not compute with the format. */
enum dtype safetensors_dtype(const struct safetensors_tensor *t);

#endif
