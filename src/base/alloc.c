/* alloc.c: see alloc.h. */
#include "base/alloc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"

static _Atomic uint64_t n_allocations;
static _Atomic uint64_t failing_allocation;
static _Thread_local int n_forbidden;

/* Counts this allocation; true where it is the one that a test wants to fail. */
static int is_failing(void) {
    CRIA_ASSERT(n_forbidden == 0);
    const uint64_t count = atomic_fetch_add_explicit(&n_allocations, 1, memory_order_relaxed) + 1;
    return count == atomic_load_explicit(&failing_allocation, memory_order_relaxed);
}

void *alloc_array(size_t n, size_t size) {
    size_t bytes;
    if (is_failing() || checked_mul_size(n, size, &bytes)) return NULL;
    return malloc(bytes ? bytes : 1);
}

void *alloc_zeroed(size_t n, size_t size) {
    size_t bytes;
    if (is_failing() || checked_mul_size(n, size, &bytes)) return NULL;
    return calloc(1, bytes ? bytes : 1);
}

void *alloc_resize(void *p, size_t n, size_t size) {
    size_t bytes;
    if (is_failing() || checked_mul_size(n, size, &bytes)) return NULL;
    return realloc(p, bytes ? bytes : 1);
}

void alloc_free(void *p) { free(p); }

char *alloc_text(const char *bytes, size_t n) {
    size_t size;
    if (checked_add_size(n, 1, &size)) return NULL;
    char *copy = alloc_array(size, 1);
    if (!copy) return NULL;
    if (n) memcpy(copy, bytes, n);
    copy[n] = '\0';
    return copy;
}

uint64_t alloc_fail_at(uint64_t n) {
    const uint64_t count = atomic_exchange(&n_allocations, 0);
    atomic_store(&failing_allocation, n);
    return count;
}

void alloc_forbid(void) { n_forbidden++; }

void alloc_allow(void) {
    CRIA_ASSERT(n_forbidden > 0);
    n_forbidden--;
}
