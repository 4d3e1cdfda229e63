/* trainer_count.h: counting the words of a stream of items, on several threads.
 *
 * Items are copied into blocks; whoever is free counts a block into a table of its own, and at the end of a round of
 * round_bytes all tables are added up and pruned. Where blocks and rounds end depends on the items alone, so
 * the words and counts are the same for any number of threads. Only trainer.c includes this. */
#ifndef TEXT_TRAINER_COUNT_H
#define TEXT_TRAINER_COUNT_H

#include "text/trainer.h"
#include "text/trainer_words.h"

typedef struct trainer_count trainer_count;

/* Takes splitter, threads (1: the caller's own), max_words and round_bytes from options, which are right. UNSUPPORTED
 * where the system gives no thread. */
CRIA_MUST_CHECK cria_status trainer_count_create(trainer_count **ret, const struct trainer_options *options,
                                                 struct cria_error *err);
void trainer_count_destroy(trainer_count **c);
/* NOMEM, LIMIT (an item above TRAINER_MAX_ITEM_BYTES), also from a block that was added before. */
CRIA_MUST_CHECK cria_status trainer_count_add(trainer_count *c, const char *item, size_t n, struct cria_error *err);
/* Waits for all blocks and moves the words to *ret, which is empty; fills the fields of *report that are about text. */
CRIA_MUST_CHECK cria_status trainer_count_finish(trainer_count *c, struct trainer_words *ret,
                                                 struct trainer_report *report, struct cria_error *err);

#endif
