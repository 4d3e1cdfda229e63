/* cria.h: the public C API of libcria: load a model, tokenize, generate, chat, score.
 *
 * Callers may believe: the same call on the same weights gives the same bits on every machine, with any number of
 * threads and whatever was asked before. They must never know more of the handles than is written here.
 *
 *   cria_model *model = NULL;
 *   struct cria_error err;
 *   if (cria_model_open(&model, "path/to/model", NULL, &err) != CRIA_OK) { puts(err.text); return 1; }
 *   struct cria_generate_options options = cria_generate_defaults();
 *   cria_answer *answer = NULL;
 *   if (cria_generate(model, "Once upon a time", &options, &answer, &err) == CRIA_OK) puts(cria_answer_text(answer,
 * NULL)); cria_answer_destroy(&answer); cria_model_close(&model);
 *
 * Status: every function that can fail returns cria_status, leaves its ret_ parameters alone on failure and explains
 * itself in *err (which may be NULL). Nothing here prints, exits or aborts because of a file, a text or a lack of
 * memory. Structs that may grow begin with their size; the _defaults functions fill it. A field that a caller's older
 * header does not have keeps its default; a setting that an older library does not know is UNSUPPORTED. Threads: a
 * tokenizer may be used by any number of threads at once; a model by one at a time (its tokenizer: any). Floating
 * point: calls save the caller's floating point state (rounding, FTZ, DAZ, masks) and restore it, also around
 * callbacks.
 * Strings are UTF-8. Destroy functions take NULL, and clear the caller's pointer. */
#ifndef CRIA_CRIA_H
#define CRIA_CRIA_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "cria/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* "0.1.0" */
const char *cria_version(void);
/* The version of the arithmetic: results of equal numbers have equal bits. */
int cria_arithmetic(void);
/* Frees what a function of this header says is to be freed so. Takes NULL. */
void cria_free(void *p);

/* ---- models ---- */

typedef struct cria_model cria_model;
typedef struct cria_tokenizer cria_tokenizer;

enum cria_compute {
    CRIA_COMPUTE_DEFAULT, /* f32 for a model stored as f32, else bf16 */
    CRIA_COMPUTE_BF16,
    CRIA_COMPUTE_F32 /* the exact stored weights, no activation rounded */
};

struct cria_model_options {
    size_t size;
    int n_threads;   /* 0: one for each processor that this process may use */
    const char *cpu; /* the best instruction set to use: "ref", "avx2", "avx512", "avx512bf16", "amx"; NULL: any */
    enum cria_compute compute;
    int64_t max_context; /* longest prompt + answer; 0: the model's, or what kv_bytes can hold where that is less */
    uint64_t kv_bytes;   /* most memory for keys and values; 0: a quarter of this machine's memory */
    int prefill_chunk;   /* tokens of a prompt computed at once; 0: a good default */
};

static inline struct cria_model_options cria_model_defaults(void) {
    struct cria_model_options o;
    memset(&o, 0, sizeof o);
    o.size = sizeof o;
    return o;
}

/* path: a GGUF file or a Hugging Face model directory. options: NULL for the defaults. */
CRIA_MUST_CHECK cria_status cria_model_open(cria_model **ret, const char *path,
                                            const struct cria_model_options *options, struct cria_error *err);
void cria_model_close(cria_model **model);
/* The longest prompt + answer, in tokens. */
int64_t cria_model_context(const cria_model *model);
/* Number of token ids: 0 .. vocabulary - 1. */
int32_t cria_model_vocabulary(const cria_model *model);
/* The model's tokenizer, which lives as long as the model; NULL where its files have none. */
const cria_tokenizer *cria_model_tokenizer(const cria_model *model);

/* ---- tokenizers ---- */

/* path: tokenizer.json, a tiktoken file or a SentencePiece model. */
CRIA_MUST_CHECK cria_status cria_tokenizer_open(cria_tokenizer **ret, const char *path, struct cria_error *err);
void cria_tokenizer_close(cria_tokenizer **tokenizer);
int32_t cria_tokenizer_size(const cria_tokenizer *tokenizer);

enum {
    CRIA_WITH_BOS = 1,    /* tokenize: the beginning-of-text id in front, where the tokenizer has one */
    CRIA_WITH_SPECIAL = 2 /* tokenize: the text may spell special tokens; detokenize: special tokens give their names */
};

/* *ret_ids: n ids, to be freed with cria_free(). flags: a sum of the above. */
CRIA_MUST_CHECK cria_status cria_tokenize(const cria_tokenizer *tokenizer, const char *text, size_t n_bytes,
                                          unsigned flags, int32_t **ret_ids, size_t *ret_n, struct cria_error *err);
/* *ret_text: n bytes and a NUL, to be freed with cria_free(); the exact bytes of the ids. */
CRIA_MUST_CHECK cria_status cria_detokenize(const cria_tokenizer *tokenizer, const int32_t *ids, size_t n,
                                            unsigned flags, char **ret_text, size_t *ret_n_bytes,
                                            struct cria_error *err);

/* ---- answers ---- */

/* What generate, chat and score give. What the functions return belongs to the answer. */
typedef struct cria_answer cria_answer;

void cria_answer_destroy(cria_answer **answer);
/* NUL-terminated; "" where there is no text. ret_n_bytes may be NULL. */
const char *cria_answer_text(const cria_answer *answer, size_t *ret_n_bytes);
/* The ids of the answer; a stop id that ended it is the last one. */
const int32_t *cria_answer_tokens(const cria_answer *answer, size_t *ret_n);
/* Natural logarithms of the probabilities, of the raw logits, of each token of the answer (score: of each token from
 * the second on). */
const float *cria_answer_logprobs(const cria_answer *answer, size_t *ret_n);
/* "stop", "length", "context" or "cancelled". */
const char *cria_answer_finish(const cria_answer *answer);
/* 64 hexadecimal digits: SHA-256 of the little-endian f32 logits of each position that a token was chosen from (score:
 * of every position). Equal digests: equal results, to the last bit. */
const char *cria_answer_digest(const cria_answer *answer);
size_t cria_answer_prompt_tokens(const cria_answer *answer);

/* ---- generation ---- */

/* New text of an answer: whole characters, never a part of a stop string. Not 0: no more is wanted. */
typedef int cria_text_callback(void *arg, const char *text, size_t n_bytes);

struct cria_generate_options {
    size_t size;
    int64_t max_tokens;       /* -1: until the context is full */
    float temperature;        /* 0: the most likely token always */
    int top_k;                /* 0: off */
    float top_p;              /* 1: off */
    float min_p;              /* 0: off */
    float typical_p;          /* 1: off */
    float repetition_penalty; /* 1: off */
    float presence_penalty;   /* 0: off */
    float frequency_penalty;  /* 0: off */
    int penalty_window;       /* last tokens that penalties look at; 0: all */
    uint64_t seed;
    const char *const *stop_strings;
    int n_stop_strings;
    int with_special;            /* generate: the prompt may spell special tokens */
    cria_text_callback *on_text; /* may be NULL */
    void *arg;                   /* of on_text */
};

static inline struct cria_generate_options cria_generate_defaults(void) {
    struct cria_generate_options o;
    memset(&o, 0, sizeof o);
    o.size = sizeof o;
    o.max_tokens = -1;
    o.top_p = 1;
    o.typical_p = 1;
    o.repetition_penalty = 1;
    return o;
}

/* Continues a text. options: NULL for the defaults. */
CRIA_MUST_CHECK cria_status cria_generate(cria_model *model, const char *prompt,
                                          const struct cria_generate_options *options, cria_answer **ret,
                                          struct cria_error *err);
/* Continues tokens; works without a tokenizer. */
CRIA_MUST_CHECK cria_status cria_generate_tokens(cria_model *model, const int32_t *ids, size_t n,
                                                 const struct cria_generate_options *options, cria_answer **ret,
                                                 struct cria_error *err);
/* Answers a dialogue by the model's own chat template. dialogue: JSON, an array of messages ({"role": .., "content":
 * ..}) or an object with `messages`, `tools` and what else the template knows. Contents never make special tokens. */
CRIA_MUST_CHECK cria_status cria_chat(cria_model *model, const char *dialogue,
                                      const struct cria_generate_options *options, cria_answer **ret,
                                      struct cria_error *err);
/* The log-probabilities of the tokens from the second on. */
CRIA_MUST_CHECK cria_status cria_score(cria_model *model, const int32_t *ids, size_t n, cria_answer **ret,
                                       struct cria_error *err);

#ifdef __cplusplus
}
#endif
#endif
