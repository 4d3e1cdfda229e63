/* cmd_threads.h: how many threads a command without a device takes. */
#ifndef CMD_CMD_THREADS_H
#define CMD_CMD_THREADS_H

#include <stdint.h>

/* asked, or where it is 0 one for each processor that the program may use; at most max. */
int cmd_threads(int64_t asked, int max);

#endif
