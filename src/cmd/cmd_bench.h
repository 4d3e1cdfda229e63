/* cmd_bench.h: what `bench` measured and what it makes of it. */
#ifndef CMD_CMD_BENCH_H
#define CMD_CMD_BENCH_H

#include "cmd/cmd_foretell.h"
#include "cmd/cmd_model.h"

struct spread {
    double median, slowest, fastest; /* tokens a second */
};

struct bench {
    struct cmd_model m;
    const char *name; /* borrowed */
    int n_prompt, n_answer, n_repeats;
    int depth;                              /* tokens before the measured decode */
    int n_sequences;                        /* decoded at once */
    enum dtype kv;                          /* of the cache */
    size_t read_bytes;                      /* walked by the memory probe */
    int32_t *prompt;                        /* owned */
    int32_t *openings;                      /* owned; n_sequences x (depth + 1): what the sequences begin with */
    double *prefill, *decode;               /* owned; n_repeats: tokens a second */
    double *read_bytes_per_s, *flops_per_s; /* owned; n_repeats: the machine's limits, taken between the runs */
    double others;                          /* part of the machine's time that other work took */
    struct cmd_foretold foretold;           /* said before the first pass */
    uint64_t program_bytes;                 /* in memory before the weights: the program and the tokenizer */
    uint64_t resident_bytes;                /* in memory after the first pass, before the machine's limits are taken */
};

struct figures {
    struct spread prefill, decode;
    double read_bytes_per_s, flops_per_s; /* medians */
    double arithmetic_fraction, memory_fraction;
};

/* Opens the model, foretells, measures; the counts of b (n_prompt to n_sequences) say what. b is closed by the caller,
 * whatever comes back. */
CRIA_MUST_CHECK cria_status cmd_bench_take(struct bench *b, const struct conf *c, struct cria_error *err);
void cmd_bench_close(struct bench *b);
/* Sorts what was measured. */
struct figures cmd_bench_figures(struct bench *b);
CRIA_MUST_CHECK cria_status cmd_bench_json(const struct bench *b, const struct figures *f, struct cria_error *err);
CRIA_MUST_CHECK cria_status cmd_bench_page(const struct bench *b, const struct figures *f, struct cria_error *err);

#endif
