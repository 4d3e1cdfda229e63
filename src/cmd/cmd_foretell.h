/* cmd_foretell.h: what a run of a model will take on this machine, said before it runs: memory from the tables that
 * book it, times from the machine that `plan calibrate` measured. */
#ifndef CMD_CMD_FORETELL_H
#define CMD_CMD_FORETELL_H

#include "cmd/cmd_model.h"

struct cmd_foretell_run {
    int n_prompt, depth, n_answer, n_sequences;
    int chunk;     /* of prefill; 0: the engine's */
    enum dtype kv; /* of the cache */
    int n_threads;
    enum llama_compute compute;
};

struct cmd_foretold {
    uint64_t memory_bytes; /* weights, cache and activations that such a run touches; the program not counted */
    bool has_times;
    double prefill_s, decode_s; /* of the prompt; of one step */
    char why[256];              /* has_times false: what is missing */
};

CRIA_MUST_CHECK cria_status cmd_foretell(const model_files *files, const struct cmd_foretell_run *run,
                                         struct cmd_foretold *ret, struct cria_error *err);

/* Bytes of this process that are in memory now; 0 where the system does not say. */
uint64_t cmd_foretell_resident(void);

#endif
