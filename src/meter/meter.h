/* meter.h: how much energy a run takes.
 *
 * Joules come from the processor's own counters (RAPL, through Linux's powercap) where they can be read: those of every
 * package and its memory, which is all that the machine's processors do in that time, whoever asked for it. Elsewhere
 * they are estimated by a stated model, idle watts for each second and core watts for each second that a thread of this
 * process runs, and everything says "estimated". A reading is a few system calls. One meter is for one thread. */
#ifndef METER_METER_H
#define METER_METER_H

#include <stdbool.h>

#include "base/error.h"

#define METER_SOURCE_BYTES 160

/* The model where nothing is said: a small server with its power supply, and one busy core of it. */
#define METER_IDLE_WATTS 20.0
#define METER_CORE_WATTS 10.0

struct meter_options {
    const char *powercap;          /* the folder of the counters; NULL: the system's; "": none, always estimate */
    double idle_watts, core_watts; /* of the model; 0: the figures above */
};

struct meter_reading {
    double seconds; /* since the meter was made */
    double joules;  /* since then */
    bool is_estimated;
};

typedef struct meter meter; /* opaque */

/* Starts to count. options NULL: all as usual. RANGE for watts that are negative or not finite; NOMEM. That no counter
 * can be read is no failure. */
CRIA_MUST_CHECK cria_status meter_create(meter **ret, const struct meter_options *options, struct cria_error *err);
/* Read it at least once in a few minutes: counters wrap around (after 15 minutes or more at full load). Where counters
 * can be read no more the model takes over, and the sum is estimated from then on. */
void meter_read(meter *m, struct meter_reading *ret);
/* "RAPL: 2 packages and their memory" or "estimated: 20 W + 10 W for each busy core"; valid until the next reading. */
const char *meter_source(const meter *m);
/* Takes NULL; clears the caller's pointer. */
void meter_destroy(meter **m);

#endif
