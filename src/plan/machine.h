/* machine.h: what the parts of a forward pass take on one machine, and what a whole pass takes then.
 *
 * `cria plan calibrate` measures the parts (cmd/cmd_plan_measure.h) and keeps them in a YAML file; nothing here opens a
 * device. A pass is the sum of its parts: products by stored type and number of rows, attention by keys, the rows
 * between, and what each operation costs however small it is. Pure; any thread. */
#ifndef PLAN_MACHINE_H
#define PLAN_MACHINE_H

#include "arch/arch.h"
#include "base/buffer.h"
#include "base/error.h"

#define MACHINE_ROW_COUNTS 8

struct machine {
    char name[96]; /* the processor, and which instruction set is used */
    int64_t n_threads;
    double memory_bytes;                             /* of the machine */
    double read_bytes_per_s, product_flop_per_s;     /* its limits, in bf16 */
    double param_s[DTYPE_COUNT][MACHINE_ROW_COUNTS]; /* a parameter's product with so many rows, all together */
    double key_1_s, key_n_s; /* one number of one key and query head: one row at a time; a chunk of rows */
    double number_s;         /* one number of a row that is normalised, rotated or gated */
    double operation_s;      /* an operation that does nothing */
};

/* For how many rows param_s[][i] was measured: 1, 2, 4, 8, 16, 32, 64, 256. */
int machine_rows(int i);

/* A model as time sees it: parameters of its layers by stored type, and its head. */
struct machine_model {
    struct arch_config config;
    double layer_params[DTYPE_COUNT]; /* of all layers together */
    enum dtype head;
};

/* Seconds of a prompt of n_tokens in chunks; of one decode step of n_sequences, each behind `depth` tokens.
 * UNSUPPORTED names a type that was not measured. */
CRIA_MUST_CHECK cria_status machine_prefill_s(const struct machine *m, const struct machine_model *model,
                                              int64_t n_tokens, int64_t chunk, double *ret, struct cria_error *err);
CRIA_MUST_CHECK cria_status machine_decode_s(const struct machine *m, const struct machine_model *model, int64_t depth,
                                             int64_t n_sequences, double *ret, struct cria_error *err);

/* The machine as a hardware file: its rates as a chip that plans can name (`this-machine`), its parts for the above. */
void machine_write(struct buffer *out, const struct machine *m);
/* FORMAT names the file, line and key. */
CRIA_MUST_CHECK cria_status machine_read(const char *name, const char *text, size_t n, struct machine *ret,
                                         struct cria_error *err);

#endif
