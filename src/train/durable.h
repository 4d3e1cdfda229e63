/* durable.h: files that outlive a loss of power: written into a folder of their own, hashed on the way, synced, and
 * given their name by one rename.
 *
 * Each call that changes the disk goes through one counter, so that a test can fail any of them (durable_fail()).
 * Errors name the path, and say when the disk is full. A file belongs to one thread; the counter is the process's. */
#ifndef TRAIN_DURABLE_H
#define TRAIN_DURABLE_H

#include <stdbool.h>

#include "base/digest.h"
#include "base/error.h"

struct durable_file {
    int fd;           /* owned; -1: none */
    const char *path; /* borrowed */
    digest *sum;      /* owned: of all that was written */
    uint64_t n_bytes;
};

/* A new file; an error where there is one of that name. *f is all zero but fd -1 before. */
CRIA_MUST_CHECK cria_status durable_create(struct durable_file *f, const char *path, struct cria_error *err);
CRIA_MUST_CHECK cria_status durable_write(struct durable_file *f, const void *data, size_t n, struct cria_error *err);
/* The SHA-256 of what was written so far. */
CRIA_MUST_CHECK cria_status durable_digest(const struct durable_file *f, uint8_t out[DIGEST_BYTES],
                                           struct cria_error *err);
/* Syncs and closes. */
CRIA_MUST_CHECK cria_status durable_finish(struct durable_file *f, struct cria_error *err);
/* Closes what is open, on the way out of a failure too. */
void durable_close(struct durable_file *f);

/* Makes one folder; its parent is there. */
CRIA_MUST_CHECK cria_status durable_make_folder(const char *path, struct cria_error *err);
CRIA_MUST_CHECK cria_status durable_sync_folder(const char *path, struct cria_error *err);
CRIA_MUST_CHECK cria_status durable_rename(const char *from, const char *to, struct cria_error *err);
/* Removes a folder and the regular files in it; no error where there is none. */
CRIA_MUST_CHECK cria_status durable_remove(const char *folder, struct cria_error *err);

enum durable_fault {
    DURABLE_NO_FAULT,
    DURABLE_FAULT_ONCE, /* that call fails */
    DURABLE_FAULT_ALL,  /* that call and every later one fail: the power is gone */
    DURABLE_FAULT_SHORT /* that write writes a part, which is no error */
};
/* Tests: the n-th call from now on (1 = the next) meets the fault with this errno. Returns how many calls were counted
 * since the last call of this function. */
uint64_t durable_fail(uint64_t n, enum durable_fault fault, int number);

#endif
