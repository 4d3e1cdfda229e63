/* sorter.h: sorts any number of records of one size in bounded memory (external merge sort).
 *
 * Records are compared as bytes, so numbers in them are written big-endian. What does not fit the memory goes to a
 * nameless file in the folder given, which needs room for all records. One thread at a time. */
#ifndef DATA_SORTER_H
#define DATA_SORTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define SORTER_MAX_RUNS 1024 /* LIMIT beyond: about 1000 times the memory */
#define SORTER_MAX_RECORD 64

typedef struct sorter sorter;

/* memory_bytes: about what it takes at any time, at least a megabyte. folder is copied. */
CRIA_MUST_CHECK cria_status sorter_create(sorter **ret, const char *folder, size_t record_bytes, size_t memory_bytes,
                                          struct cria_error *err);
void sorter_destroy(sorter **s);
/* Before the first sorter_rewind(). */
CRIA_MUST_CHECK cria_status sorter_add(sorter *s, const void *record, struct cria_error *err);
/* Ends adding and goes to the first record in order; any number of times. */
CRIA_MUST_CHECK cria_status sorter_rewind(sorter *s, struct cria_error *err);
/* The next record, valid until the next call; *ret_more false at the end. */
CRIA_MUST_CHECK cria_status sorter_next(sorter *s, const uint8_t **ret, bool *ret_more, struct cria_error *err);

/* A number as bytes that compare as it does. */
static inline void sorter_put(uint8_t out[8], uint64_t value) {
    for (int i = 7; i >= 0; i--, value >>= 8) out[i] = (uint8_t)value;
}
static inline uint64_t sorter_get(const uint8_t in[8]) {
    uint64_t value = 0;
    for (int i = 0; i < 8; i++) value = value << 8 | in[i];
    return value;
}

#endif
