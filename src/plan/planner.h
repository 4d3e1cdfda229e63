/* planner.h: the face of the planner: models, runs, layouts, and what a run takes in time and memory.
 *
 * Callers may believe: a prediction depends on its arguments and on the tables (hardware/, plan_constants.c) alone;
 * every result carries a range; units stand in every name. This module never opens a device and never prints.
 *
 * Letters as in arch/arch.h: D model width, L layers, H query heads, G key/value heads, S head size, F feed-forward
 * width, V vocabulary, E experts. */
#ifndef PLAN_PLANNER_H
#define PLAN_PLANNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/arch.h"
#include "base/error.h"
#include "plan/hardware.h"

/* ---- models ---- */

/* A decoder: more kinds than arch/ can run, because the planner answers for models that others train. */
struct plan_model {
    char name[64];
    int64_t d_model, n_layers, n_heads, n_kv_heads, head_size, d_ff, n_vocab, n_context;
    bool is_gated; /* three feed-forward matrices (SwiGLU) instead of two */
    bool is_tied;  /* the head is the embedding */
    /* Experts; n_experts 0: dense. d_ff is then the width of the layers without experts. */
    int64_t n_experts, n_active_experts, d_expert;
    int64_t d_shared;        /* width of all shared experts of a layer together */
    int64_t n_dense_layers;  /* how many of the L layers have no experts */
    int64_t n_routed_groups; /* a token goes to at most so many groups of experts (nodes); 0: to any */
    /* Latent attention (MLA); kv_rank 0: ordinary attention. */
    int64_t q_rank, kv_rank, rope_size, value_size; /* head_size is then the part of a head without rotation */
    /* Sliding windows; window 0: none. */
    int64_t window, n_window_layers;
    bool has_sinks;       /* a learned term in the softmax (GPT-OSS) */
    int64_t n_mtp_layers; /* multi-token prediction: further layers with a head */
};

/* What the tables of arch/ say about a model that Cria runs. */
void plan_model_from_arch(const struct arch_config *c, struct plan_model *ret);
/* A known model by name, however spelled ("llama3-405b", "Llama 3.1 405B"); NOTFOUND names the nearest known. */
CRIA_MUST_CHECK cria_status plan_model_preset(const char *name, struct plan_model *ret, struct cria_error *err);
/* Any Hugging Face config.json (n bytes). */
CRIA_MUST_CHECK cria_status plan_model_from_json(const char *text, size_t n, struct plan_model *ret,
                                                 struct cria_error *err);
/* A preset's name, or a path to a config.json or to the folder that holds one. */
CRIA_MUST_CHECK cria_status plan_model_open(const char *name_or_path, struct plan_model *ret, struct cria_error *err);
/* A dense model of the Llama shape with about so many parameters, where nothing else is known. */
void plan_model_from_params(double n_params, struct plan_model *ret);
/* RANGE or SHAPE with the relation that does not hold. */
CRIA_MUST_CHECK cria_status plan_model_check(const struct plan_model *m, struct cria_error *err);
/* The name of the i-th preset, or NULL behind the last. */
const char *plan_model_preset_name(size_t i);

struct plan_params {
    double total, active; /* active: used for one token */
    double embedding;     /* V x D once; the head is as large and is counted in total unless tied */
    double attention_per_layer, dense_ffn_per_layer;
    double expert;           /* one expert */
    double shared_per_layer; /* shared experts and router of a layer with experts */
};
void plan_model_params(const struct plan_model *m, struct plan_params *ret);
/* How attention is counted in model FLOPs: the whole square, its causal half, or not at all. */
enum plan_attention_count { PLAN_COUNT_FULL, PLAN_COUNT_CAUSAL, PLAN_COUNT_NONE };
/* Training FLOPs of one token (forward and backward, nothing recomputed) in sequences of seq_len tokens; one third of
 * it is the forward pass. Source: 6 N + attention, docs/PLANNER.md. */
double plan_model_train_flop_per_token(const struct plan_model *m, double seq_len, enum plan_attention_count count);
/* Bytes of the key/value cache of one token over all layers, windows not counted. */
double plan_model_kv_bytes_per_token(const struct plan_model *m, double bytes_per_number);

/* ---- training ---- */

enum plan_recompute { PLAN_RECOMPUTE_NONE, PLAN_RECOMPUTE_SELECTIVE, PLAN_RECOMPUTE_FULL };
enum plan_schedule { PLAN_SCHEDULE_AUTO, PLAN_SCHEDULE_1F1B, PLAN_SCHEDULE_INTERLEAVED, PLAN_SCHEDULE_ZERO_BUBBLE };
/* Software: a row of plan_stack.c, by what it does, not by how fast it is. */
enum plan_stack_id {
    PLAN_STACK_DEFAULT,
    PLAN_STACK_MEGATRON, /* Megatron-LM, NeMo, Megatron-Bridge, Transformer Engine; MegaScale */
    PLAN_STACK_TORCH,    /* PyTorch FSDP, torchtitan, llm-foundry: compiled */
    PLAN_STACK_EAGER,    /* PyTorch without a compiler */
    PLAN_STACK_JAX,      /* MaxText, PaxML */
    PLAN_STACK_NANOTRON,
    PLAN_STACK_DEEPSEEK,   /* DualPipe, FP8 block scaling, DeepEP */
    PLAN_STACK_PRODUCTION, /* a long run in production: Llama 3 and its like */
    PLAN_STACK_CPU,        /* plain C on processors */
    PLAN_STACK_COUNT
};

struct plan_layout {
    int64_t dp, tp, pp, cp, ep; /* chips = dp x tp x pp x cp; ep divides dp x tp x cp */
    int64_t virtual_stages;     /* parts of a stage, 1: not interleaved; 0: not stated */
    int64_t micro_batch;        /* sequences */
    enum plan_recompute recompute;
    double recompute_part; /* of the layers, FULL only; 0 is all of them */
    int zero;              /* 0 to 3: what data parallel ranks share out: nothing, optimizer, + gradients, + weights */
    enum plan_schedule schedule;
};

struct plan_train {
    struct plan_model model;
    const struct plan_chip *chip;       /* borrowed */
    const struct plan_network *network; /* borrowed; NULL: that of the chip's usual node */
    const struct plan_node *node;       /* borrowed; NULL: none known: the scale-up domain is the node */
    int64_t n_chips;
    enum plan_precision precision;
    double seq_len;
    double batch_tokens; /* of one optimizer step */
    enum plan_stack_id stack;
    double year;        /* of the software, with the fraction of the year */
    bool is_balanced;   /* experts: tokens are forced to spread evenly */
    bool overlaps_tp;   /* tensor-parallel traffic is hidden behind products ("async TP") where the stack may */
    bool is_production; /* not tuned for this layout and machine by those who make the software */
    bool is_lora;       /* only adapters have gradients */
    struct plan_layout layout;
};

struct plan_range {
    double mid, low, high;
};

/* Where the time of a step goes: seconds on the rank that ends last. Idle time in the pipeline is bubble_s. */
struct plan_breakdown {
    double product_s, attention_s, elementwise_s, recompute_s;
    double tensor_s, context_s, expert_s, pipeline_s, data_s; /* exposed traffic */
    double bubble_s, optimizer_s, host_s, straggler_s;
};

/* Bytes on the fullest rank. */
struct plan_memory {
    double weights_bytes, gradients_bytes, optimizer_bytes, activations_bytes, logits_bytes, buffers_bytes;
    double total_bytes;
    int64_t stage; /* whose rank that is */
};

struct plan_train_result {
    struct plan_range step_s;
    struct plan_range memory_bytes;
    struct plan_range tokens_per_s_per_chip;
    double model_flop; /* of a step, attention as the caller's convention counts it */
    double mfu;        /* against the dense peak of the precision */
    double flop_per_s_per_chip;
    bool fits;
    struct plan_breakdown breakdown;
    struct plan_memory memory;
};

/* RANGE, SHAPE or UNSUPPORTED with numbers where the run is impossible (7 stages for 5 layers, 3 x 5 ranks on 16
 * chips). A run that does not fit in memory is no error: fits is false. */
CRIA_MUST_CHECK cria_status plan_train_predict(const struct plan_train *t, enum plan_attention_count count,
                                               struct plan_train_result *ret, struct cria_error *err);
/* Memory of every pipeline stage: n_stages rows, at most t->layout.pp. */
void plan_train_memory(const struct plan_train *t, int64_t stage, struct plan_memory *ret);

/* The passes of a step with every pipeline of the job simulated, each stage's servers as fast as chance makes them
 * (normal, the constant rank_spread; seeded): the span of the slowest pipeline, and that of equal servers. */
CRIA_MUST_CHECK cria_status plan_train_simulate(const struct plan_train *t, uint64_t seed, double *ret_slowest_s,
                                                double *ret_equal_s, struct cria_error *err);

/* One interval of the pipeline's time line, for pictures. */
struct plan_interval {
    int64_t stage, micro_batch, part; /* part: which virtual stage */
    char kind;                        /* F forward, B backward, W weight gradient */
    double begin_s, end_s;
};
/* The time line of a step's pipeline; *ret is alloc_free()d by the caller. LIMIT above max_intervals. */
CRIA_MUST_CHECK cria_status plan_train_timeline(const struct plan_train *t, size_t max_intervals,
                                                struct plan_interval **ret, size_t *ret_n, struct cria_error *err);

/* ---- search ---- */

struct plan_candidate {
    struct plan_layout layout;
    struct plan_train_result result;
};
/* The best layouts of t->n_chips chips (t->layout is ignored), fastest first, at most max. *ret_n = 0 never: where
 * nothing fits it is LIMIT, with the bytes that the smallest layout needs and those that a chip has. */
CRIA_MUST_CHECK cria_status plan_search(const struct plan_train *t, size_t max, struct plan_candidate *ret_rows,
                                        size_t *ret_n, struct cria_error *err);

/* ---- this machine ---- */

struct plan_local {
    double seconds_per_step, bytes;
};
/* A training step of this project's trainer: tokens a step, the machine's measured matrix rate and memory bandwidth. */
void plan_local_train(const struct plan_model *m, double tokens, double seq_len, double flop_per_s, double bytes_per_s,
                      struct plan_local *ret);

#endif
