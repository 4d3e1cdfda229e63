/* infer.h: the engine: requests in, tokens out; batches, shared prefixes, sampling.
 *
 * Callers may believe: the answer to a request (ids, text, log-probabilities, digest) is the same alone and beside any
 * neighbours, with chunked or whole prefill, with or without the prefix cache. They must never know when a request's
 * rows were run. The order of the sampler's operations is in sampling.h.
 * Thread rules: an engine belongs to one thread at a time. Callbacks run inside engine_step() and may call nothing of
 * the engine but engine_cancel(). */
#ifndef INFER_INFER_H
#define INFER_INFER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "llama/llama.h"
#include "text/tokenizer.h"

typedef struct engine engine;

/* Limits of one request and of an engine; a value outside is RANGE. */
#define ENGINE_MAX_BATCH 1024
#define ENGINE_MAX_TOP 1024
#define ENGINE_MAX_STOP_STRINGS 64
#define ENGINE_MAX_STOP_BYTES 4096 /* of one stop string */
#define ENGINE_MAX_STOP_IDS 1024
#define SAMPLING_MAX_BIASES 1024

struct engine_options {
    int max_batch;       /* requests computed at once; 1 .. ENGINE_MAX_BATCH */
    int prefill_chunk;   /* most tokens of a prompt in one forward call (INT_MAX: all); 0: a good default */
    int64_t max_context; /* longest prompt + answer; 0: the model's, or what kv_bytes can hold where that is less */
    uint64_t kv_bytes;   /* most memory for keys and values; 0: a quarter of this machine's memory */
    enum dtype kv_dtype; /* NONE: the compute mode's default */
    bool prefix_cache;   /* share the keys and values of equal prefixes */
    bool all_logits;     /* requests may ask for the logits of every prompt position */
};

struct sampling_bias {
    int32_t id;
    float bias;
};

struct sampling {
    float temperature;                         /* 0: greedy */
    int top_k;                                 /* 0: off */
    float top_p;                               /* 1: off */
    float min_p;                               /* 0: off */
    float typical_p;                           /* 1: off */
    float repetition_penalty;                  /* 1: off */
    float presence_penalty, frequency_penalty; /* 0: off */
    int penalty_window;                        /* last tokens that penalties look at; 0: all of prompt and answer */
    uint64_t seed;
    const struct sampling_bias *biases; /* borrowed */
    int n_biases;
};
/* Everything off, temperature 0, seed 0. */
struct sampling sampling_greedy(void);
/* RANGE naming the field and its bounds. */
CRIA_MUST_CHECK cria_status sampling_check(const struct sampling *s, int32_t n_vocab, struct cria_error *err);

enum finish_reason { FINISH_NONE, FINISH_STOP, FINISH_LENGTH, FINISH_CONTEXT, FINISH_CANCELLED };
const char *finish_reason_name(enum finish_reason r); /* "stop", "length", "context", "cancelled" */

/* Called for each event of a request; text is whole characters that cannot become part of a stop string. Nonzero:
 * cancel. */
struct engine_event {
    int request;      /* the request's number */
    int32_t token;    /* -1 where the event only brings text or the end */
    const char *text; /* new text, maybe empty */
    size_t n_text;
    float logprob;
    bool is_end;
};
typedef int engine_callback(void *arg, const struct engine_event *event);
/* Called with each row of logits that --logits would write, in position order. */
typedef cria_status engine_logits_callback(void *arg, int request, const float *row, int32_t n_vocab,
                                           struct cria_error *err);

struct engine_request {
    const int32_t *prompt; /* borrowed until the request ends */
    int64_t n_prompt;      /* at least 1 */
    int64_t max_tokens;    /* of the answer; 0: only run (and score) the prompt; -1: until the context is full */
    struct sampling sampling;
    const char *const *stop_strings; /* borrowed; UTF-8, not empty */
    int n_stop_strings;
    const int32_t *stop_ids; /* borrowed; beside the model's own */
    int n_stop_ids;
    bool ignore_stop_ids;              /* go on past the model's stop ids */
    bool score_prompt;                 /* log-probabilities of each prompt token from the second on; needs all_logits */
    int n_top;                         /* alternatives reported at each scored position */
    bool digest;                       /* compute the SHA-256 of the rows */
    const tokenizer *tok;              /* NULL: no text, no stop strings */
    engine_callback *on_event;         /* may be NULL */
    engine_logits_callback *on_logits; /* may be NULL */
    void *arg;
};

struct engine_top {
    int32_t id;
    float logprob;
};

struct engine_result {
    int32_t *tokens; /* owned: the answer's ids; a stop id that ended it is the last one */
    float *logprobs; /* owned: with score_prompt of each prompt token from the second on; then of each answer token */
    int64_t n_tokens, n_logprobs;
    struct engine_top *top; /* owned: n_logprobs x n_top */
    char *text;             /* owned, NUL-terminated; without the stop string; NULL without a tokenizer */
    size_t n_text;
    enum finish_reason finish;
    uint8_t digest[32]; /* SHA-256 of the little-endian f32 rows: of each prompt position with score_prompt, and of each
                         * position that a token was chosen from */
    int64_t n_prompt, n_cached; /* prompt tokens, and how many of them came from the prefix cache */
    double prefill_s, decode_s;
};
void engine_result_free(struct engine_result *r);

CRIA_MUST_CHECK cria_status engine_create(engine **ret, const llama_model *m, const struct engine_options *options,
                                          struct cria_error *err);
void engine_destroy(engine **e);
/* Queues a request; *ret_number (from 1) names it. RANGE: the prompt and max_tokens do not fit the context (both
 * numbers named), a token outside the vocabulary, or a field outside its bounds; nothing was queued then. */
CRIA_MUST_CHECK cria_status engine_submit(engine *e, const struct engine_request *r, int *ret_number,
                                          struct cria_error *err);
/* One forward call over what is due; *ret_busy false when nothing is left. A failure here concerns the whole engine;
 * the requests are as before and may be cancelled. */
CRIA_MUST_CHECK cria_status engine_step(engine *e, bool *ret_busy, struct cria_error *err);
/* Takes an ended request's result; BUSY where it has not ended, NOTFOUND for a number that was never given or is taken
 * already. A request that failed by itself (NUMERIC: its logits are not finite; NOMEM; what on_logits returned) fails
 * here and is gone; its neighbours never notice. */
CRIA_MUST_CHECK cria_status engine_take(engine *e, int request, struct engine_result *ret, struct cria_error *err);
/* Ends a request that has not ended, with what it has so far; its result is still to be taken. */
void engine_cancel(engine *e, int request);
/* submit, step until the end, take. */
CRIA_MUST_CHECK cria_status engine_run(engine *e, const struct engine_request *r, struct engine_result *ret,
                                       struct cria_error *err);
/* The longest prompt + answer. */
int64_t engine_context(const engine *e);

#endif
