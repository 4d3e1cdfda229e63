/* plan.c: see plan.h.
 *
 * Layout: bookings from the largest to the smallest (equal ones in the order they came); each goes to the lowest offset
 * where it meets no placed booking that lives at the same time. Quadratic in the number of bookings, which are a few
 * dozen. */
#include "tensor/plan.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "tensor/pages.h"

#if defined(__SANITIZE_ADDRESS__)
#define PLAN_APART 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PLAN_APART 1
#endif
#endif
#ifndef PLAN_APART
#define PLAN_APART 0
#endif
#if PLAN_APART
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

#define MAX_ALIGNMENT 4096
#define MAX_BOOKINGS 65536

struct booking {
    char name[64];
    size_t n_bytes, alignment, offset, end; /* end: offset + n_bytes */
    int first_use, last_use;
    uint8_t *own, *own_base; /* own_base owned: with PLAN_APART, the allocation around own */
};

struct plan {
    struct booking *bookings; /* owned */
    int n, capacity;
    bool is_sealed, is_allocated;
    size_t n_bytes, booked_bytes;
    struct pages pages; /* owned */
};

cria_status plan_create(plan **ret, struct cria_error *err) {
    plan *p = ALLOC_NEW(plan);
    if (!p) return ERROR_NOMEM(err, sizeof *p, "a memory plan");
    *ret = p;
    return CRIA_OK;
}

void plan_destroy(plan **p) {
    plan *old = *p;
    *p = NULL;
    if (!old) return;
    for (int i = 0; i < old->n; i++) {
        const struct booking *b = &old->bookings[i];
        if (b->own_base) ASAN_UNPOISON_MEMORY_REGION(b->own_base, b->n_bytes + 2 * b->alignment);
        alloc_free(b->own_base);
    }
    pages_release(&old->pages);
    alloc_free(old->bookings);
    alloc_free(old);
}

static cria_status grow(plan *p, struct cria_error *err) {
    if (p->n < p->capacity) return CRIA_OK;
    if (p->n >= MAX_BOOKINGS)
        return ERROR_SET(err, CRIA_LIMIT, "a memory plan holds at most %d bookings", MAX_BOOKINGS);
    const int capacity = p->capacity ? 2 * p->capacity : 32;
    struct booking *bookings = alloc_resize(p->bookings, (size_t)capacity, sizeof *bookings);
    if (!bookings) return ERROR_NOMEM(err, (size_t)capacity * sizeof *bookings, "a memory plan");
    p->bookings = bookings;
    p->capacity = capacity;
    return CRIA_OK;
}

cria_status plan_book(plan *p, const char *name, size_t n_bytes, size_t alignment, int first_use, int last_use,
                      int *ret_booking, struct cria_error *err) {
    CRIA_ASSERT(!p->is_sealed && first_use <= last_use);
    CRIA_ASSERT(alignment && alignment <= MAX_ALIGNMENT && (alignment & (alignment - 1)) == 0);
    size_t booked;
    if (n_bytes > SIZE_MAX / 2 || checked_add_size(p->booked_bytes, n_bytes, &booked)) {
        return ERROR_SET(err, CRIA_LIMIT, "the memory plan overflows at %s (%zu bytes)", name, n_bytes);
    }
    const cria_status status = grow(p, err);
    if (status != CRIA_OK) return status;
    struct booking *b = &p->bookings[p->n];
    *b = (struct booking){.n_bytes = n_bytes, .alignment = alignment, .first_use = first_use, .last_use = last_use};
    const size_t n = strlen(name);
    memcpy(b->name, name, n < sizeof b->name ? n : sizeof b->name - 1);
    p->booked_bytes = booked;
    if (ret_booking) *ret_booking = p->n;
    p->n++;
    return CRIA_OK;
}

static bool live_together(const struct booking *a, const struct booking *b) {
    return a->first_use <= b->last_use && b->first_use <= a->last_use;
}

/* Moves b up until it meets none of the n placed bookings; nonzero on overflow. */
static int place(struct booking *b, struct booking *const *placed, int n) {
    size_t offset = 0, end;
    for (bool moved = true; moved;) {
        moved = false;
        if (checked_add_size(offset, b->n_bytes, &end)) return 1;
        for (int i = 0; i < n; i++) {
            const struct booking *other = placed[i];
            if (!live_together(b, other) || other->end <= offset || other->offset >= end) continue;
            if (checked_round_up(other->end, b->alignment, &offset)) return 1;
            moved = true;
            break;
        }
    }
    b->offset = offset;
    b->end = end;
    return 0;
}

static int by_size(const void *a, const void *b) {
    const struct booking *x = *(struct booking *const *)a, *y = *(struct booking *const *)b;
    if (x->n_bytes != y->n_bytes) return x->n_bytes > y->n_bytes ? -1 : 1;
    return (x > y) - (x < y); /* both lie in the array of bookings */
}

cria_status plan_seal(plan *p, struct cria_error *err) {
    CRIA_ASSERT(!p->is_sealed);
    struct booking **order = alloc_array((size_t)p->n, sizeof(struct booking *));
    if (!order) return ERROR_NOMEM(err, (size_t)p->n * sizeof *order, "a memory plan");
    for (int i = 0; i < p->n; i++) order[i] = &p->bookings[i];
    qsort(order, (size_t)p->n, sizeof *order, by_size);
    cria_status status = CRIA_OK;
    size_t total = 0;
    for (int i = 0; i < p->n && status == CRIA_OK; i++) {
        if (place(order[i], order, i)) {
            status = ERROR_SET(err, CRIA_LIMIT, "the memory plan overflows at %s (%zu bytes)", order[i]->name,
                               order[i]->n_bytes);
        } else if (order[i]->end > total) {
            total = order[i]->end;
        }
    }
    alloc_free(order);
    if (status != CRIA_OK) return status;
    p->n_bytes = total;
    p->is_sealed = true;
    return CRIA_OK;
}

/* Each booking by itself, with poisoned bytes before and behind it. */
static cria_status allocate_apart(plan *p, const char *what, struct cria_error *err) {
    for (int i = 0; i < p->n; i++) {
        struct booking *b = &p->bookings[i];
        const size_t n = b->n_bytes + 2 * b->alignment;
        b->own_base = alloc_array(n, 1);
        if (!b->own_base) return ERROR_NOMEM(err, n, what);
        const size_t skip = (size_t)(-(uintptr_t)b->own_base & (b->alignment - 1));
        b->own = b->own_base + skip;
        memset(b->own, 0xff, b->n_bytes);
        ASAN_POISON_MEMORY_REGION(b->own_base, skip);
        ASAN_POISON_MEMORY_REGION(b->own + b->n_bytes, n - skip - b->n_bytes);
    }
    return CRIA_OK;
}

cria_status plan_allocate(plan *p, const char *what, struct cria_error *err) {
    CRIA_ASSERT(p->is_sealed && !p->is_allocated);
    cria_status status;
    if (PLAN_APART) {
        status = allocate_apart(p, what, err);
    } else {
        size_t n_bytes;
        status = checked_add_size(p->n_bytes, MAX_ALIGNMENT, &n_bytes) ? ERROR_NOMEM(err, p->n_bytes, what)
                                                                       : pages_get(&p->pages, n_bytes, what, err);
    }
    if (status == CRIA_OK) p->is_allocated = true;
    return status;
}

void *plan_bind(const plan *p, int booking) {
    CRIA_ASSERT(p->is_allocated && booking >= 0 && booking < p->n);
    const struct booking *b = &p->bookings[booking];
    if (PLAN_APART) return b->own;
    uint8_t *base = p->pages.data;
    return base + (size_t)(-(uintptr_t)base & (MAX_ALIGNMENT - 1)) + b->offset;
}

size_t plan_bytes(const plan *p) {
    CRIA_ASSERT(p->is_sealed);
    return p->n_bytes;
}

size_t plan_booked_bytes(const plan *p) { return p->booked_bytes; }

int plan_count(const plan *p) { return p->n; }

struct plan_booking plan_booking_at(const plan *p, int booking) {
    CRIA_ASSERT(booking >= 0 && booking < p->n);
    const struct booking *b = &p->bookings[booking];
    return (struct plan_booking){b->name, b->n_bytes, b->alignment, b->offset, b->first_use, b->last_use};
}
