/* llama.h: the Llama family on a device: weights bound once, one forward pass for everybody, and the KV cache.
 *
 * Callers may believe: a row of logits depends on the tokens of its own sequence up to that row, the weights, the
 * compute mode and the cache's number format, and on nothing else (kernel/order.h). They must never know how rows were
 * grouped, which instruction set ran or where keys lie.
 * Thread rules: a model is read-only after loading; a session belongs to one thread at a time. */
#ifndef LLAMA_LLAMA_H
#define LLAMA_LLAMA_H

#include <stddef.h>
#include <stdint.h>

#include "arch/arch.h"
#include "base/error.h"
#include "device/device.h"
#include "format/format.h"

typedef struct llama_model llama_model;
typedef struct llama_session llama_session;
typedef struct llama_sequence llama_sequence; /* one sequence's place in the KV cache */

enum llama_compute { LLAMA_COMPUTE_DEFAULT, LLAMA_COMPUTE_BF16, LLAMA_COMPUTE_F32 };

struct llama_model_options {
    enum llama_compute compute; /* DEFAULT: f32 where all matrices are stored as f32, else bf16 */
};

/* Repacks the weights of `files` for the device; the files may be closed afterwards. The device must outlive the model.
 */
CRIA_MUST_CHECK cria_status llama_model_load(llama_model **ret, const model_files *files, device *dev,
                                             const struct llama_model_options *options, struct cria_error *err);
/* Bytes that the packed weights would have, without packing them. */
CRIA_MUST_CHECK cria_status llama_weights_bytes(const model_files *files, enum llama_compute compute, uint64_t *ret,
                                                struct cria_error *err);
void llama_model_destroy(llama_model **m);
const struct arch_config *llama_model_config(const llama_model *m);
enum llama_compute llama_model_compute(const llama_model *m);
/* Bytes of the packed weights. */
uint64_t llama_model_bytes(const llama_model *m);
/* How many weights hold NaN or infinities (seen while packing, whatever was asked for), and the first one's name,
 * borrowed; NULL where there is none. Such a model runs, and says nonsense. */
int llama_model_non_finite(const llama_model *m, const char **ret_name);

struct llama_session_options {
    enum dtype kv_dtype; /* BF16 or F32; NONE: BF16 in compute bf16, F32 in compute f32 */
    int max_rows;        /* tokens in one forward call, over all sequences */
    int max_logits;      /* rows of logits in one forward call */
    int64_t kv_tokens;   /* places in the cache, shared by all sequences; rounded up to whole pages per sequence */
    int max_sequences;
    int64_t max_context; /* the longest sequence; at most the model's context */
};

/* Bytes that a session with these options books, without making it. */
CRIA_MUST_CHECK cria_status llama_session_bytes(const struct arch_config *c, enum llama_compute compute,
                                                const struct llama_session_options *options, uint64_t *ret_kv,
                                                uint64_t *ret_activations, struct cria_error *err);
/* Books everything that forward calls will need. The model must outlive the session. */
CRIA_MUST_CHECK cria_status llama_session_create(llama_session **ret, const llama_model *m,
                                                 const struct llama_session_options *options, struct cria_error *err);
void llama_session_destroy(llama_session **s);

/* Cache pages hold LLAMA_PAGE tokens; whole pages can be shared between sequences. */
#define LLAMA_PAGE 32
/* An empty sequence; BUSY where max_sequences exist. */
CRIA_MUST_CHECK cria_status llama_sequence_create(llama_sequence **ret, llama_session *s, struct cria_error *err);
/* A sequence that begins with the first n_tokens of `from` (whole pages shared, the rest copied). */
CRIA_MUST_CHECK cria_status llama_sequence_fork(llama_sequence **ret, const llama_sequence *from, int64_t n_tokens,
                                                struct cria_error *err);
/* Keeps the first n_tokens. */
void llama_sequence_cut(llama_sequence *q, int64_t n_tokens);
void llama_sequence_destroy(llama_sequence **q);
int64_t llama_sequence_length(const llama_sequence *q);
/* Places that are free in the whole cache: whole free pages only. */
int64_t llama_session_free_tokens(const llama_session *s);

/* A piece of work: the next n_tokens of one sequence, and for how many of its last rows logits are wanted. */
struct llama_run {
    llama_sequence *sequence;
    const int32_t *tokens; /* borrowed; each in 0 .. V-1 */
    int n_tokens;          /* at least 1 */
    int n_logits;          /* 0 .. n_tokens: of the last rows */
};

/* Runs the model over all runs (each sequence at most once) and appends their tokens to the cache. logits gets the
 * wanted rows in the order of the runs, V floats each. On failure no sequence has changed. LIMIT: the cache is full or
 * a sequence would pass max_context; RANGE: a token outside the vocabulary. Allocates nothing. */
CRIA_MUST_CHECK cria_status llama_forward(llama_session *s, const struct llama_run *runs, int n_runs, float *logits,
                                          struct cria_error *err);

/* log-probabilities: value_out = log softmax(logits)[token], the one function that trainer, server and evaluation
 * share. */
float llama_logprob(const llama_session *s, const float *logits, int32_t token);
/* The log of the sum of exponentials of a row of V logits (8 vocabulary shards, merged in a tree). */
float llama_logsumexp(const llama_session *s, const float *logits);

#endif
