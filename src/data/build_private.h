/* build_private.h: what the files of build share; nobody else includes it. */
#ifndef DATA_BUILD_PRIVATE_H
#define DATA_BUILD_PRIVATE_H

#include <pthread.h>

#include "data/build.h"
#include "data/decontaminate.h"
#include "data/near.h"
#include "data/sorter.h"
#include "data/writer.h"
#include "text/tokenizer.h"

/* A passage that a document shares with a test set. */
struct build_cut {
    const char *test; /* borrowed from the test sets */
    char words[400];  /* the first run in common, cut where it is longer */
};

/* One document in work. The first part is the reader's, the second a worker's. */
struct build_document {
    size_t text_at, n_bytes; /* in the batch's text; the worker cleans in place and shortens */
    size_t name_at;          /* likewise, NUL-terminated */
    uint64_t n_replaced;

    uint32_t cleaned_by; /* a bit for each rule that changed it */
    int filtered_by;     /* index of the filter, or -1 */
    bool is_held_out;
    bool is_contaminated;   /* dropped for it */
    struct build_cut *cuts; /* owned, [n_cuts]; passages shared with test sets; NULL: none */
    int n_cuts;
    uint8_t sha256[DIGEST_BYTES];
    bool has_signature;
    struct near_signature signature;
    size_t ids_at, n_ids; /* in the batch's ids */
    size_t n_unsaid;
};

enum build_batch_state { BATCH_FREE, BATCH_FILLED, BATCH_DONE };

struct build_batch {
    char *text; /* owned, [capacity] */
    size_t n_text, capacity;
    struct build_document *documents; /* owned, [documents_capacity] */
    int n_documents, documents_capacity;
    int source;
    struct token_list ids; /* owned */
    enum build_batch_state state;
    cria_status status; /* of the work */
    struct cria_error err;
};

/* A build that is running. */
struct build {
    const struct build_options *o; /* borrowed */
    struct build_result result;
    char *folder;         /* owned: OUT.building */
    tokenizer *tokenizer; /* owned */
    int64_t bos, eos;     /* -1: not put */
    decontaminate *tests; /* owned; NULL: none */
    struct data_manifest manifest;
    /* Between the passes: what was kept so far, numbered from 0. */
    writer *ids, *documents, *signatures; /* owned */
    writer *contaminated;                 /* owned: decontamination.jsonl; NULL: no test sets */
    sorter *digests;                      /* owned: digest, number */
    sorter *bands;                        /* owned: band's hash, number; NULL: off */
    uint8_t *dropped;                     /* owned: a bit for each number, [n_dropped_bytes] */
    size_t n_dropped_bytes;
    uint64_t n_numbers;
};

/* build_work.c: everything that one document needs, on any thread. */
CRIA_MUST_CHECK cria_status build_work(const struct build *b, struct build_batch *batch, struct cria_error *err);
/* build_work.c: frees what the workers hung on the batch's documents. */
void build_work_free(struct build_batch *batch);
/* build_read.c: the first pass: all sources through the workers, in order, to build_keep(). */
CRIA_MUST_CHECK cria_status build_read(struct build *b, struct cria_error *err);
/* build_keep.c: counts a batch's documents and stores those that stay. */
CRIA_MUST_CHECK cria_status build_keep(struct build *b, const struct build_batch *batch, struct cria_error *err);
/* build_keep.c: opens and drops the files between the passes. */
CRIA_MUST_CHECK cria_status build_keep_begin(struct build *b, struct cria_error *err);
/* build_same.c: marks duplicates in `dropped`, writes the leaves and the root. */
CRIA_MUST_CHECK cria_status build_same(struct build *b, struct cria_error *err);
static inline bool build_is_dropped(const struct build *b, uint64_t number) {
    return b->dropped[number / 8] >> (number % 8) & 1;
}
/* build_shards.c: the ids and records of what was not dropped. */
CRIA_MUST_CHECK cria_status build_shards(struct build *b, struct cria_error *err);
/* build_rows.c: rows of every length. */
CRIA_MUST_CHECK cria_status build_rows(struct build *b, struct cria_error *err);
/* build_report.c: the JSON object of what was done, for the manifest; owned by the caller. */
CRIA_MUST_CHECK cria_status build_report(const struct build *b, char **ret, struct cria_error *err);

#endif
