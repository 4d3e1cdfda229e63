/* digest.c: see digest.h.
 *
 * Where libcrypto fails it notes why in a list of the thread, on the heap. Nobody here reads it, and a program around
 * libcria may have notes of its own there: each failure takes back what it noted (the marks). */
#include "base/digest.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"

struct digest {
    EVP_MD_CTX *context; /* owned */
    bool failed;         /* an update failed; digest_result() says so */
};

cria_status digest_create(digest **ret, struct cria_error *err) {
    digest *d = ALLOC_NEW(digest);
    if (!d) return ERROR_NOMEM(err, sizeof *d, "a digest");
    ERR_set_mark();
    d->context = EVP_MD_CTX_new();
    const int done = d->context && EVP_DigestInit_ex(d->context, EVP_sha256(), NULL) == 1;
    ERR_pop_to_mark();
    if (!done) {
        digest_destroy(&d);
        return ERROR_NOMEM(err, sizeof(uint64_t[32]), "a digest");
    }
    *ret = d;
    return CRIA_OK;
}

void digest_destroy(digest **d) {
    if (!*d) return;
    EVP_MD_CTX_free((*d)->context);
    alloc_free(*d);
    *d = NULL;
}

void digest_add(digest *d, const void *bytes, size_t n) {
    if (n > 0 && EVP_DigestUpdate(d->context, bytes, n) != 1) d->failed = true;
}

cria_status digest_result(const digest *d, uint8_t out[DIGEST_BYTES], struct cria_error *err) {
    uint8_t result[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    if (d->failed) return ERROR_SET(err, CRIA_INTERNAL, "libcrypto could not add bytes to a SHA-256 digest");
    ERR_set_mark();
    EVP_MD_CTX *copy = EVP_MD_CTX_new();
    const int done = copy && EVP_MD_CTX_copy_ex(copy, d->context) == 1 && EVP_DigestFinal_ex(copy, result, &n) == 1;
    EVP_MD_CTX_free(copy);
    ERR_pop_to_mark();
    if (!done || n != DIGEST_BYTES) return ERROR_NOMEM(err, sizeof result, "a digest");
    memcpy(out, result, DIGEST_BYTES);
    return CRIA_OK;
}

void digest_hex(const uint8_t bytes[DIGEST_BYTES], char out[DIGEST_HEX_BYTES]) {
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < DIGEST_BYTES; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * DIGEST_BYTES] = '\0';
}

/* Adds everything from fd to d, through a block of the caller's. */
static cria_status add_descriptor(digest *d, int fd, const char *path, char *block, size_t block_bytes,
                                  struct cria_error *err) {
    for (;;) {
        const ssize_t got = read(fd, block, block_bytes);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return ERROR_SET(err, CRIA_IO, "%s: cannot be read: %s", path, strerror(errno));
        if (got == 0) return CRIA_OK;
        digest_add(d, block, (size_t)got);
    }
}

cria_status digest_file(const char *path, uint8_t out[DIGEST_BYTES], struct cria_error *err) {
    enum { BLOCK_BYTES = 256 * 1024 };
    cria_status status = CRIA_OK;
    digest *d = NULL;
    char *block = NULL;
    int fd = -1;
    uint64_t bytes;
    TRY(file_open_read(path, &fd, &bytes, err));
    TRY(digest_create(&d, err));
    block = alloc_array(BLOCK_BYTES, 1);
    if (!block) {
        status = ERROR_NOMEM(err, BLOCK_BYTES, path);
        goto out;
    }
    TRY(add_descriptor(d, fd, path, block, BLOCK_BYTES, err));
    TRY(digest_result(d, out, err));
out:
    alloc_free(block);
    digest_destroy(&d);
    if (fd >= 0) close(fd);
    return status;
}
