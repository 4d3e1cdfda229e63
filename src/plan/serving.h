/* serving.h: how fast an engine answers: decode and prefill by batch and context, memory, power.
 *
 * An engine is tp x pp x dp chips that hold one copy of the experts (ep) and dp copies of the rest. A decode step reads
 * the weights and the keys and values of all sequences, multiplies, exchanges, launches and schedules; the roofline
 * joins reading and multiplying, the rest adds up. The mathematics with its sources stands in docs/PLANNER.md, section
 * "Serving"; the constants are rows of plan_constants.c. Pure; any thread. Units stand in every name. */
#ifndef PLAN_SERVING_H
#define PLAN_SERVING_H

#include "plan/planner.h"

/* Engines by what they do between products. */
enum serving_stack {
    SERVING_STACK_ENGINE, /* a general engine whose scheduler handles each sequence at each step: vLLM, SGLang */
    SERVING_STACK_TUNED,  /* compiled for one model and chip: TensorRT-LLM, benchmark submissions */
    SERVING_STACK_STREAM, /* one sequence, layers in one program: llama.cpp, calm */
    SERVING_STACK_COUNT
};

/* How numbers are kept and multiplied. */
struct serving_format {
    const char *name; /* "fp8" */
    enum plan_precision compute;
    double weight_bytes; /* of a parameter, scales included; embedding and head stay in 16 bits below that */
    double kv_bytes;     /* of a number of the cache */
};
/* "bf16", "fp8", "q4_k_m", "mxfp4", ... however spelled; UNSUPPORTED lists the known. */
CRIA_MUST_CHECK cria_status serving_format_find(const char *name, struct serving_format *ret, struct cria_error *err);
/* The i-th, or NULL behind the last. */
const struct serving_format *serving_format_at(int i);

struct serving_engine {
    struct plan_model model;
    const struct plan_chip *chip; /* borrowed */
    struct serving_format format;
    enum serving_stack stack;
    int64_t tp, pp, dp;
    bool shares_experts;  /* experts lie over all chips of the engine (ep = tp x dp); else split by tp alone */
    double prompt_tokens; /* of a request, those that the prefix cache holds left out */
    double cached_tokens; /* of a request: history that the cache holds */
    double answer_tokens; /* of a request */
    double memory_part;   /* of the chip's memory that the engine may take: 0.9 */
    double chunk_tokens;  /* largest prefill step; 8192 */
};

/* Seconds of one decode step. */
struct serving_breakdown {
    double weights_s, kv_s; /* reading them */
    double arithmetic_s;    /* products and attention at the chip's best rate */
    double exchange_s;      /* tensor and expert parallel traffic */
    double launch_s;        /* layers: kernels that wait for each other */
    double host_s;          /* scheduling, sampling, detokenising */
};

struct serving_memory {
    double weights_bytes, kv_bytes, workspace_bytes, total_bytes, limit_bytes; /* of the fullest chip */
};

struct serving_point {
    double batch;                          /* sequences at once in the engine: what was asked for, or what fits */
    double max_batch;                      /* that fits */
    struct plan_range step_s;              /* one token for each sequence, without prefill */
    double prefill_s;                      /* of one request's prompt, alone */
    double first_token_s;                  /* prompt alone plus one step: without waiting */
    double between_tokens_s;               /* with the prefill of others in between */
    struct plan_range output_tokens_per_s; /* of the engine */
    double request_s;                      /* from prompt to end of the answer */
    double chip_watts;                     /* one chip, mean */
    double joules_per_output_token;        /* chips alone */
    double arithmetic_part;                /* of the time */
    const char *bound;                     /* "reading weights", "reading the cache", "arithmetic", ... */
    struct serving_breakdown breakdown;
    struct serving_memory memory;
};

/* The engine at a batch. LIMIT where the weights alone do not fit, with the numbers and the smallest engine that does;
 * RANGE for impossible fields. */
CRIA_MUST_CHECK cria_status serving_at(const struct serving_engine *e, double batch, struct serving_point *ret,
                                       struct cria_error *err);

/* Latency that must hold; 0: no limit. */
struct serving_target {
    double first_token_s, between_tokens_s;
    double max_batch; /* 0: 1024 */
};
struct serving_choice {
    struct serving_engine engine;
    struct serving_point point;
    double output_tokens_per_s_per_chip;
};
/* The engines of at most max_chips chips that hold the target, most output tokens a second and chip first; at most max
 * rows, one for each split. LIMIT where none does, with the nearest miss in numbers. */
CRIA_MUST_CHECK cria_status serving_search(const struct serving_engine *like, int64_t max_chips,
                                           const struct serving_target *target, int max,
                                           struct serving_choice *ret_rows, int *ret_n, struct cria_error *err);

/* A line of measured work, as far as a user would state it before the run; 0 or empty: not stated. */
struct serving_case {
    const char *model, *precision, *notes, *source, *id; /* borrowed; may be NULL */
    struct plan_model shape;                             /* of the row's columns or the preset */
    const struct plan_chip *chip;
    int64_t n_chips, tp, pp, ep, micro_batch;
    double seq_len;
};
struct serving_prediction {
    struct plan_range step_s, tokens_per_s_per_chip;
    double memory_bytes, chip_watts, joules_per_output_token;
    double batch;
};
/* One row of published runs of kind inference. Reads of the notes only what is a setting (batch limit, task, lengths);
 * never a measured figure. */
CRIA_MUST_CHECK cria_status plan_serving_predict_row(const struct serving_case *c, struct serving_prediction *ret,
                                                     struct cria_error *err);

#endif
