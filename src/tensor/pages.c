/* pages.c: see pages.h.
 *
 * A system that overcommits gives address space, not memory; a size above what the machine can ever hold is refused by
 * the kernel (or here, by mmap failing) and never faulted in, since the memory is touched only when it is used. */
#include "tensor/pages.h"

#include <stdint.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "base/checked.h"

#define HUGE_PAGE ((size_t)2 << 20)

static cria_status get_from_heap(struct pages *ret, size_t n_bytes, const char *what, struct cria_error *err) {
    uint8_t *base = alloc_zeroed(n_bytes + PAGES_ALIGNMENT, 1);
    if (!base) return ERROR_NOMEM(err, n_bytes, what);
    const size_t skip = (size_t)(-(uintptr_t)base & (PAGES_ALIGNMENT - 1));
    *ret = (struct pages){.data = base + skip, .n_bytes = n_bytes, .base = base};
    return CRIA_OK;
}

cria_status pages_get(struct pages *ret, size_t n_bytes, const char *what, struct cria_error *err) {
    if (n_bytes < HUGE_PAGE) return get_from_heap(ret, n_bytes ? n_bytes : 1, what, err);
    size_t whole, reserve;
    if (checked_round_up(n_bytes, HUGE_PAGE, &whole) || checked_add_size(whole, HUGE_PAGE, &reserve)) {
        return ERROR_NOMEM(err, n_bytes, what);
    }
    uint8_t *base = mmap(NULL, reserve, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) return ERROR_NOMEM(err, n_bytes, what);
    uint8_t *data = base + (size_t)(-(uintptr_t)base & (HUGE_PAGE - 1));
    (void)madvise(data, whole, MADV_HUGEPAGE); /* a wish: without it the memory is as good, only slower */
    *ret = (struct pages){.data = data, .n_bytes = n_bytes, .base = base, .base_bytes = reserve};
    return CRIA_OK;
}

void pages_release(struct pages *p) {
    if (p->base_bytes) {
        munmap(p->base, p->base_bytes);
    } else {
        alloc_free(p->base);
    }
    *p = (struct pages){0};
}
