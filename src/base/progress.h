/* progress.h: one line that shows how far a long job is; nothing where standard error is no terminal, or one
 * without control sequences (log_style()). */
#ifndef BASE_PROGRESS_H
#define BASE_PROGRESS_H

#include <stdint.h>

enum progress_unit { PROGRESS_BYTES, PROGRESS_ITEMS, PROGRESS_TOKENS };

typedef struct progress progress; /* opaque; NULL is valid everywhere and does nothing */

/* total 0: unknown. title is borrowed. Returns NULL where nothing is to be shown. */
progress *progress_start(const char *title, uint64_t total, enum progress_unit unit);
/* Redraws at most ten times a second. */
void progress_update(progress *p, uint64_t done);
/* Clears the line and frees; takes NULL and clears the caller's pointer. */
void progress_finish(progress **p);

#endif
