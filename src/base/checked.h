/* checked.h: arithmetic on sizes that came from a file or a request. Each function returns nonzero on overflow and
 * then leaves *ret alone. */
#ifndef BASE_CHECKED_H
#define BASE_CHECKED_H

#include <stddef.h>
#include <stdint.h>

static inline int checked_mul_size(size_t a, size_t b, size_t *ret) {
    size_t r;
    if (__builtin_mul_overflow(a, b, &r)) return 1;
    *ret = r;
    return 0;
}

static inline int checked_add_size(size_t a, size_t b, size_t *ret) {
    size_t r;
    if (__builtin_add_overflow(a, b, &r)) return 1;
    *ret = r;
    return 0;
}

/* Rounds up to a multiple of unit, which is not zero. */
static inline int checked_round_up(size_t a, size_t unit, size_t *ret) {
    size_t r;
    if (__builtin_add_overflow(a, unit - 1, &r)) return 1;
    *ret = r / unit * unit;
    return 0;
}

#endif
