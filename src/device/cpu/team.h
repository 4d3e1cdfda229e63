/* team.h: a team of threads that shares out one loop at a time.
 *
 * team_for() hands pieces of the loop to whoever is free and returns when all are done; the caller works too. A worker
 * spins for some microseconds, then sleeps. A worker that the system has put aside takes no part and nobody waits for
 * it, unless it is inside a piece; so with a core taken away the team is as fast as the cores that are left. */
#ifndef DEVICE_TEAM_H
#define DEVICE_TEAM_H

#include <stdint.h>

#include "base/error.h"

typedef struct team team;

/* Does items begin .. end - 1; i_thread is 0 .. n_threads - 1, no two at once with the same one. */
typedef void team_fn(void *arg, int64_t begin, int64_t end, int i_thread);

/* n_threads - 1 workers are started; their floating point state flushes subnormals. */
CRIA_MUST_CHECK cria_status team_create(team **ret, int n_threads, struct cria_error *err);
void team_destroy(team **t);
/* Runs fn over 0 .. n_items - 1 in pieces of `grain`. One caller at a time. */
void team_for(team *t, int64_t n_items, int64_t grain, team_fn *fn, void *arg);

#endif
