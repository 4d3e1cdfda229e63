/* cmd_threads.c: see cmd_threads.h. */
#include "cmd/cmd_threads.h"

#include <sched.h>

int cmd_threads(int64_t asked, int max) {
    cpu_set_t usable;
    int64_t n = asked;
    if (n == 0) n = sched_getaffinity(0, sizeof usable, &usable) == 0 ? CPU_COUNT(&usable) : 1;
    return n > max ? max : (int)n;
}
