/* hardware_embed.h: the built-in hardware files as text; for hardware.c only. */
#ifndef PLAN_HARDWARE_EMBED_H
#define PLAN_HARDWARE_EMBED_H

#include <stddef.h>

struct hardware_embedded {
    const char *name;        /* as messages call it */
    const char *begin, *end; /* the text; a NUL stands at end */
};

/* The i-th file, or NULL behind the last. */
const struct hardware_embedded *hardware_embed_file(size_t i);

#endif
