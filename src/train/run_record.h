/* run_record.h: run.json: what a run is: the facts that its results depend on, its options, program and machine.
 *
 * The identity of a run is the SHA-256 over its facts; it stands in every checkpoint, so that no checkpoint of another
 * run is ever taken for one of this. Private to this folder. */
#ifndef TRAIN_RUN_RECORD_H
#define TRAIN_RUN_RECORD_H

#include "base/digest.h"
#include "train/train.h"

struct run_record {
    const struct train_fact *facts; /* identity; borrowed */
    int n_facts;
    const struct train_fact *settings; /* all options; borrowed */
    int n_settings;
    const struct train_fact *circumstances; /* program and machine; borrowed */
    int n_circumstances;
};

CRIA_MUST_CHECK cria_status run_record_id(const struct run_record *r, uint8_t out[DIGEST_BYTES],
                                          struct cria_error *err);
CRIA_MUST_CHECK cria_status run_record_write(const char *path, const struct run_record *r, struct cria_error *err);
/* USAGE naming the first fact that differs from the one in the file; NOTFOUND where there is no file. */
CRIA_MUST_CHECK cria_status run_record_compare(const char *path, const struct run_record *r, struct cria_error *err);

/* What this program and machine are: "program", "program_sha256", "arithmetic", "kernels", "threads", "processor",
 * "system". */
#define RUN_RECORD_CIRCUMSTANCES 8
struct run_record_circumstances {
    struct train_fact facts[RUN_RECORD_CIRCUMSTANCES];
    char values[RUN_RECORD_CIRCUMSTANCES][160];
    int n;
};
void run_record_look(struct run_record_circumstances *ret, const device *dev);

#endif
