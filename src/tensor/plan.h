/* plan.h: the memory plan: everything that a step will need is booked by name, laid out, and allocated once.
 *
 *   plan_create -> plan_book (each buffer, with the steps of its first and last use) -> plan_seal -> plan_allocate
 *   -> plan_bind (pointers) -> plan_destroy
 *
 * Buffers whose lifetimes do not meet share bytes. Between plan_seal and plan_allocate nothing of that size was
 * allocated, so the plan can be printed on a machine that could never hold it. In builds with the address sanitizer
 * every booking is an allocation of its own, filled with ones (NaNs in every float format), so that planning does not
 * hide an overrun or a read of something unwritten; elsewhere the bytes are zero at first and undefined once a sharer
 * wrote them. A plan belongs to one thread until it is allocated; plan_bind may then be called from any. */
#ifndef TENSOR_PLAN_H
#define TENSOR_PLAN_H

#include <stddef.h>

#include "base/error.h"

typedef struct plan plan;

/* A lifetime that spans all steps. */
#define PLAN_ALWAYS_FIRST 0
#define PLAN_ALWAYS_LAST 0x7fffffff

struct plan_booking {
    const char *name; /* borrowed from the plan; cut to 63 bytes */
    size_t n_bytes, alignment;
    size_t offset;           /* within the allocation; valid after plan_seal */
    int first_use, last_use; /* steps, both inclusive */
};

CRIA_MUST_CHECK cria_status plan_create(plan **ret, struct cria_error *err);
/* Takes NULL and half-built plans; clears the caller's pointer. Bound pointers end here. */
void plan_destroy(plan **p);

/* Books n_bytes (0 is right); alignment is a power of two up to 4096; first_use <= last_use. *ret_booking (may be NULL)
 * is the booking's number, counted from 0 in the order of the calls. Not after plan_seal. */
CRIA_MUST_CHECK cria_status plan_book(plan *p, const char *name, size_t n_bytes, size_t alignment, int first_use,
                                      int last_use, int *ret_booking, struct cria_error *err);
/* Gives every booking its place. LIMIT where the total overflows. The layout depends on the bookings alone. */
CRIA_MUST_CHECK cria_status plan_seal(plan *p, struct cria_error *err);
/* Bytes of the one allocation; after plan_seal. */
size_t plan_bytes(const plan *p);
/* Bytes of all bookings as if nothing were shared. */
size_t plan_booked_bytes(const plan *p);
/* Allocates; what names the plan in the message of NOMEM. After plan_seal, once. */
CRIA_MUST_CHECK cria_status plan_allocate(plan *p, const char *what, struct cria_error *err);
/* Where a booking lies; after plan_allocate. */
void *plan_bind(const plan *p, int booking);

int plan_count(const plan *p);
struct plan_booking plan_booking_at(const plan *p, int booking);

#endif
