/* fetch_private.h: what the files of fetch share; nobody else includes it. */
#ifndef DATA_FETCH_PRIVATE_H
#define DATA_FETCH_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "data/fetch.h"

#define FETCH_MAX_TEXT ((size_t)1 << 30) /* of one unpacked text, and of one member of a package */

/* fetch_package.c: downloads the package into `scratch`; *ret_path (alloc_free()) is the .deb. */
CRIA_MUST_CHECK cria_status fetch_package_download(const char *package, const char *scratch, char **ret_path,
                                                   struct cria_error *err);
/* fetch_package.c: the bytes of the package's file `member` ("usr/share/..."). NOTFOUND. */
CRIA_MUST_CHECK cria_status fetch_package_member(const char *deb, const char *member, struct buffer *ret,
                                                 struct cria_error *err);
/* fetch_package.c: appends what the zlib or gzip bytes hold; FORMAT where they are broken or `what` grows too long. */
CRIA_MUST_CHECK cria_status fetch_package_inflate(const uint8_t *bytes, size_t n, const char *what, struct buffer *ret,
                                                  struct cria_error *err);
/* fetch.c: writes folder/name from the buffer. */
CRIA_MUST_CHECK cria_status fetch_write(const char *folder, const char *name, const struct buffer *b,
                                        struct cria_error *err);

/* fetch_lazy.c: the character vectors of an R package's lazy-load database, a text file for each. */
CRIA_MUST_CHECK cria_status fetch_lazy_unpack(const struct buffer *index, const struct buffer *data, const char *folder,
                                              struct cria_error *err);
/* fetch_sword.c: one testament of a SWORD module as plain text, appended: blocks, verse records of verse_bytes each,
 * and compressed text. */
CRIA_MUST_CHECK cria_status fetch_sword_unpack(const struct buffer *blocks, const struct buffer *verses,
                                               const struct buffer *text, size_t verse_bytes, struct buffer *ret,
                                               struct cria_error *err);
/* fetch_address.c: GETs the address into the file folder/NAME, NAME being the last part of its path. */
CRIA_MUST_CHECK cria_status fetch_address_get(const char *address, const char *folder, struct cria_error *err);

#endif
