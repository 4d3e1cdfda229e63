/* cria_state.c: what guards every public call: the floating point state, and structs of other sizes. */
#include <immintrin.h>
#include <string.h>

#include "api/cria_private.h"
#include "base/alloc.h"

#define STATE_FLUSH 0x8040u    /* results and inputs: FTZ and DAZ */
#define STATE_NO_TRAPS 0x1f80u /* all exceptions masked; rounding bits zero: to nearest */

unsigned cria_state_enter(void) {
    const unsigned callers = _mm_getcsr();
    _mm_setcsr(STATE_FLUSH | STATE_NO_TRAPS);
    return callers;
}

void cria_state_leave(unsigned callers) { _mm_setcsr(callers); }

cria_status cria_options_take(void *own, size_t own_bytes, const void *given, struct cria_error *err) {
    if (!given) return CRIA_OK;
    size_t n;
    memcpy(&n, given, sizeof n);
    if (n < sizeof n)
        return ERROR_SET(err, CRIA_USAGE, "the options' size is %zu; begin with the defaults function of their struct",
                         n);
    const unsigned char *bytes = given;
    for (size_t i = own_bytes; i < n; i++)
        if (bytes[i])
            return ERROR_SET(err, CRIA_UNSUPPORTED, "an option at byte %zu is newer than this libcria (%s)", i,
                             cria_version());
    memcpy(own, given, n < own_bytes ? n : own_bytes);
    return CRIA_OK;
}

const char *cria_version(void) { return CRIA_VERSION; }

int cria_arithmetic(void) { return ORDER_ARITHMETIC_VERSION; }

void cria_free(void *p) { alloc_free(p); }
