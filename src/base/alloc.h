/* alloc.h: the one door to the heap.
 *
 * Every allocation of Cria's own code goes through here, so that tests can fail the n-th one, sizes are multiplied
 * with overflow checks, and a loop that must not allocate can say so. Any thread may call any function. */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

/* n x size bytes, uninitialised; n = 0 gives a valid pointer. NULL without memory or where the product overflows. */
void *alloc_array(size_t n, size_t size) __attribute__((malloc, alloc_size(1, 2)));
/* The same, zeroed. */
void *alloc_zeroed(size_t n, size_t size) __attribute__((malloc, alloc_size(1, 2)));
/* Resizes p (NULL: allocates) to n x size bytes; on failure NULL, and p is still valid. */
void *alloc_resize(void *p, size_t n, size_t size);
/* Takes NULL. */
void alloc_free(void *p);
/* A copy of n bytes with a NUL behind them; NULL without memory. */
char *alloc_text(const char *bytes, size_t n);

#define ALLOC_NEW(type) ((type *)alloc_zeroed(1, sizeof(type)))

/* Tests: the n-th allocation from now on (1 = the next) fails, once; 0 switches it off. Returns how many allocations
 * were made since the last call. */
uint64_t alloc_fail_at(uint64_t n);

/* Between forbid and allow an allocation on this thread is a programmer error and aborts; the calls nest. */
void alloc_forbid(void);
void alloc_allow(void);

#endif
