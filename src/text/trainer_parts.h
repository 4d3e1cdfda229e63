/* trainer_parts.h: what a trainer is made of; only trainer*.c include this. */
#ifndef TEXT_TRAINER_PARTS_H
#define TEXT_TRAINER_PARTS_H

#include "text/split.h"
#include "text/trainer_count.h"
#include "text/trainer_merges.h"

struct trainer_splitter_row {
    const char *name;
    split_fn *function;
};

extern const struct trainer_splitter_row trainer_splitters[TRAINER_SPLITTER_COUNT];

struct trainer {
    struct trainer_options options;
    trainer_count *count; /* owned; NULL once it has learned */
    struct trainer_vocabulary vocabulary;
    struct trainer_report report;
};

#endif
