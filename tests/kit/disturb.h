/* disturb.h: takes the threads of this process off their processors at random times, for tests.
 *
 * While it runs, some thread is put to sleep for up to two milliseconds wherever it happens to be (a signal's handler
 * sleeps), or may run on one processor only, or on all again: what other work on a machine does to a team of threads.
 * One at a time. Calls that were interrupted by a signal are restarted where the system restarts them. */
#ifndef KIT_DISTURB_H
#define KIT_DISTURB_H

#include <stdbool.h>
#include <stdint.h>

/* False where the system refuses a thread or a signal handler. */
bool disturb_start(uint64_t seed);
/* All threads may run everywhere again. Returns how many times one was put to sleep. */
int64_t disturb_stop(void);

#endif
