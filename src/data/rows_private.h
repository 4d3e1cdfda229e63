/* rows_private.h: what the files of rows share; nobody else includes it. */
#ifndef DATA_ROWS_PRIVATE_H
#define DATA_ROWS_PRIVATE_H

#include <time.h>

#include "data/data_manifest.h"
#include "data/data_rows.h"

/* An open file of a data folder, with its size and time when it was opened. */
struct rows_file {
    char *path; /* owned */
    int fd;     /* owned; -1: none */
    uint64_t n_bytes;
    struct timespec changed_at;
};

/* What a phase takes from one group of rows: rows taken to taken + n - 1 of the group's endless series of passes, as
 * numbers before to before + n - 1 of the phase (before it is permuted). */
struct rows_share {
    const struct data_group *group; /* borrowed from the manifest */
    uint64_t n, taken, before;
};

struct rows_plan {
    struct rows_phase face;
    char *name;                /* owned */
    int packing;               /* index into the manifest's packings */
    struct rows_share *shares; /* owned, [n_shares] */
    int n_shares;
};

struct rows_packing {
    struct rows_file ends, pieces;
};

struct rows {
    struct rows_plan *plans; /* owned, [n_plans] */
    int n_plans;
    int max_length;
    int n_vocab;
    uint16_t *token_bytes; /* owned, [n_vocab]; NULL: not known */
    char digest[DIGEST_HEX_BYTES];
    /* A folder: */
    struct data_manifest manifest;
    uint64_t seed;
    bool is_held_out;
    char *tokenizer_path;          /* owned */
    struct rows_file *shards;      /* owned, [manifest.n_shards] */
    struct rows_packing *packings; /* owned, [manifest.n_packings] */
    /* A file of lines: */
    bool is_lines;
    int32_t *ids;        /* owned: all lines one after the other */
    uint64_t *line_ends; /* owned: the first id behind each line */
};

/* rows_folder.c: the row at number `number` of plan, which exists. */
CRIA_MUST_CHECK cria_status rows_folder_get(const rows *r, int plan, uint64_t number, struct rows_row *row,
                                            struct cria_error *err);
/* rows_phases.c: fills plans from the options; the manifest is there. */
CRIA_MUST_CHECK cria_status rows_phases_make(rows *r, const struct rows_options *options, struct cria_error *err);
/* rows_phases.c: the row of the packing's file that stands at number `number` of the plan. */
uint64_t rows_phases_row(const rows *r, const struct rows_plan *plan, uint64_t number, int *ret_source);
/* rows.c: counts targets and their bytes of a row whose ids and targets are there. */
void rows_count(const rows *r, struct rows_row *row);

#endif
