/* crc32c.h: the checksum of TFRecord files: CRC-32C (Castagnoli; RFC 3720, B.4). */
#ifndef REPORT_CRC32C_H
#define REPORT_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The CRC-32C of n bytes. */
uint32_t crc32c(const void *bytes, size_t n);
/* TFRecord stores checksums rotated and shifted by a constant, because a checksum over data that holds checksums is
 * weak (tensorflow/core/lib/hash/crc32c.h gives the reason). */
uint32_t crc32c_masked(const void *bytes, size_t n);

#endif
