/* digest.h: SHA-256 (FIPS 180-4) by libcrypto, streaming and at once. */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define DIGEST_BYTES 32
#define DIGEST_HEX_BYTES (2 * DIGEST_BYTES + 1)

typedef struct digest digest;

CRIA_MUST_CHECK cria_status digest_create(digest **ret, struct cria_error *err);
void digest_destroy(digest **d);
void digest_add(digest *d, const void *bytes, size_t n);
/* The digest of what was added so far; more may be added afterwards. NOMEM leaves out alone. */
CRIA_MUST_CHECK cria_status digest_result(const digest *d, uint8_t out[DIGEST_BYTES], struct cria_error *err);
/* Lower-case hexadecimal with a NUL. */
void digest_hex(const uint8_t bytes[DIGEST_BYTES], char out[DIGEST_HEX_BYTES]);
CRIA_MUST_CHECK cria_status digest_file(const char *path, uint8_t out[DIGEST_BYTES], struct cria_error *err);

#endif
