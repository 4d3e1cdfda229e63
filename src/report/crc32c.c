/* crc32c.c: see crc32c.h. Bit by bit: a record has some hundred bytes. */
#include "report/crc32c.h"

#define POLYNOMIAL 0x82f63b78u /* 0x1edc6f41, its bits in reverse */
#define MASK_DELTA 0xa282ead8u

uint32_t crc32c(const void *bytes, size_t n) {
    const uint8_t *p = bytes;
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
    }
    return ~crc;
}

uint32_t crc32c_masked(const void *bytes, size_t n) {
    const uint32_t crc = crc32c(bytes, n);
    return (crc >> 15 | crc << 17) + MASK_DELTA;
}
