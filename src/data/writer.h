/* writer.h: a file that is written from beginning to end through a block of memory. */
#ifndef DATA_WRITER_H
#define DATA_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

typedef struct writer writer;

/* Creates folder/name, which must not be there. */
CRIA_MUST_CHECK cria_status writer_create(writer **ret, const char *folder, const char *name, struct cria_error *err);
CRIA_MUST_CHECK cria_status writer_add(writer *w, const void *bytes, size_t n, struct cria_error *err);
/* Writes out what is held, syncs it to the disk, closes the file and clears the caller's pointer, also on failure. */
CRIA_MUST_CHECK cria_status writer_finish(writer **w, struct cria_error *err);
/* Closes without a promise about the bytes; takes NULL. */
void writer_destroy(writer **w);
/* Writes out what is held, so that it can be read; more may follow. */
CRIA_MUST_CHECK cria_status writer_flush(writer *w, struct cria_error *err);
uint64_t writer_bytes(const writer *w);
/* The open file, for reading back what was flushed. */
int writer_fd(const writer *w);
const char *writer_path(const writer *w);

#endif
