/* clock.h: time that only goes forward, and the CPU time of this process. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

double clock_seconds(void);     /* monotonic, from an arbitrary start */
double clock_cpu_seconds(void); /* of all threads of this process */

#endif
