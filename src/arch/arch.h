/* arch.h: the model as data: its configuration, its weights as rows, what it needs in bytes and operations.
 *
 * Callers may believe: a configuration that passed arch_config_check() is consistent, and every size in it can be
 * multiplied with the others in 64 bits. This module never reads a file and never sees a number of a weight.
 *
 * Letters: D model width, L layers, H query heads, G key/value heads, S head size, F feed-forward width,
 * V vocabulary, T tokens. */
#ifndef ARCH_ARCH_H
#define ARCH_ARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "tensor/dtype.h"

enum arch_rope_kind { ARCH_ROPE_NONE, ARCH_ROPE_PLAIN, ARCH_ROPE_LINEAR, ARCH_ROPE_LLAMA3, ARCH_ROPE_DIVISORS };

#define ARCH_MAX_HEAD_SIZE 512
#define ARCH_MAX_STOP_IDS 16

struct arch_rope {
    enum arch_rope_kind kind;
    double theta;
    double factor;                          /* LINEAR, LLAMA3 */
    double low_factor, high_factor;         /* LLAMA3 */
    int64_t original_context;               /* LLAMA3 */
    float divisors[ARCH_MAX_HEAD_SIZE / 2]; /* DIVISORS: GGUF's rope_freqs, S/2 values */
};

struct arch_config {
    char name[64];      /* for people */
    int64_t d_model;    /* D */
    int64_t n_layers;   /* L */
    int64_t n_heads;    /* H */
    int64_t n_kv_heads; /* G, divides H */
    int64_t head_size;  /* S, even */
    int64_t d_ff;       /* F */
    int64_t n_vocab;    /* V */
    int64_t n_context;  /* the longest sequence that the model was made for */
    double norm_eps;
    bool tied; /* the head is the embedding */
    struct arch_rope rope;
    int64_t bos_id; /* -1: none */
    int64_t stop_ids[ARCH_MAX_STOP_IDS];
    int n_stop_ids;
};

/* RANGE or SHAPE, naming the relation that does not hold and both numbers. Limits: limits.h in this folder. */
CRIA_MUST_CHECK cria_status arch_config_check(const struct arch_config *c, struct cria_error *err);

/* The shard count S of the model (arithmetic rules, "Shards"): the largest power of two up to 8 that divides the KV
 * heads and leaves at least 1,024 of H*S and of F in a shard. */
int arch_shards(const struct arch_config *c);

/* Weights: one row each. A per-layer row stands for L tensors. */
enum arch_weight {
    ARCH_W_NONE,
    ARCH_W_EMBEDDING,
    ARCH_W_ATTN_NORM,
    ARCH_W_Q,
    ARCH_W_K,
    ARCH_W_V,
    ARCH_W_O,
    ARCH_W_FFN_NORM,
    ARCH_W_GATE,
    ARCH_W_UP,
    ARCH_W_DOWN,
    ARCH_W_FINAL_NORM,
    ARCH_W_HEAD,
    ARCH_W_COUNT
};

enum arch_axis { ARCH_AXIS_NONE, ARCH_AXIS_ROWS, ARCH_AXIS_COLUMNS }; /* which axis tensor parallelism splits */
/* What a weight is before the first step: ones; normal numbers; normal numbers made smaller by the number of products
 * that add to the residual stream, so that it does not grow with depth (Radford et al. 2019). */
enum arch_init { ARCH_INIT_ONES, ARCH_INIT_NORMAL, ARCH_INIT_NORMAL_DEPTH };

struct arch_weight_row {
    const char *name;    /* "q" */
    const char *hf_name; /* "model.layers.%d.self_attn.q_proj.weight"; %d is the layer where per_layer */
    const char *gguf_name;
    bool per_layer;
    bool is_matrix;     /* else a vector of n_columns */
    bool has_rope_rows; /* rows are query or key heads: GGUF stores them with interleaved pairs */
    bool decay;         /* weight decay acts on it */
    enum arch_axis shard_axis;
    enum arch_init init;
};

const struct arch_weight_row *arch_weight_row(enum arch_weight w);
/* Rows (1 for a vector) and columns of a weight in this model. */
void arch_weight_shape(const struct arch_config *c, enum arch_weight w, int64_t *ret_rows, int64_t *ret_columns);
/* Whether the model has a tensor of its own for w (a tied head has none). */
bool arch_weight_exists(const struct arch_config *c, enum arch_weight w);
/* Which naming a file follows. */
enum arch_naming { ARCH_NAMING_HF, ARCH_NAMING_GGUF };
/* Finds the weight that a file calls name (n bytes); false for an unknown name. *ret_layer is -1 for a weight that is
 * not per layer; it can be any number that was written without leading zeros, up to 999,999. */
bool arch_weight_find(enum arch_naming naming, const char *name, size_t n, enum arch_weight *ret_w, int *ret_layer);
/* The name of a weight in a file; at most 63 bytes and a NUL. */
#define ARCH_NAME_BYTES 64
void arch_weight_name(enum arch_naming naming, enum arch_weight w, int layer, char out[ARCH_NAME_BYTES]);

/* The standard deviation that a weight begins with; 0: it begins as ones. */
double arch_init_deviation(const struct arch_config *c, enum arch_weight w);

/* Number of parameters. */
int64_t arch_parameters(const struct arch_config *c);

/* Activations: one row for each value of a forward pass. The dtype is where it is rounded, once. The session books its
 * memory by these rows (llama/llama_plan.c). */
enum arch_activation {
    ARCH_A_RESIDUAL, /* for learning: as it enters a layer */
    ARCH_A_ATTN_NORMED,
    ARCH_A_QKV,
    ARCH_A_Q,
    ARCH_A_K,
    ARCH_A_V,
    ARCH_A_ATTN_ROWS,
    ARCH_A_ATTN_STATS,
    ARCH_A_ATTN_OUT,
    ARCH_A_FFN_RESIDUAL,
    ARCH_A_FFN_NORMED,
    ARCH_A_GATE_UP,
    ARCH_A_HIDDEN,
    ARCH_A_FINAL_ROWS,
    ARCH_A_FINAL_NORMED,
    ARCH_A_LOGITS,
    ARCH_A_COUNT
};

/* In which number format a value stands: f32 always; that of products (bf16, or f32 in compute mode f32); the cache's.
 */
enum arch_number { ARCH_NUMBER_F32, ARCH_NUMBER_COMPUTE, ARCH_NUMBER_KV };
/* Where a value lies. */
enum arch_place {
    ARCH_PLACE_BOOKED,  /* in memory of the session, for the stages of its life */
    ARCH_PLACE_CACHE,   /* in the KV cache, as long as its sequence */
    ARCH_PLACE_INSIDE,  /* inside a piece of one stage's work: never in memory */
    ARCH_PLACE_CALLER,  /* in memory of whoever asked for it */
    ARCH_PLACE_LEARNING /* where a trainer keeps it; inference has no use for it */
};
/* Whether learning saves a value of each layer for backward or computes it again from what it saved. */
enum arch_keep {
    ARCH_KEEP_NEVER, /* backward does not read it */
    ARCH_KEEP_ALWAYS,
    ARCH_KEEP_LAYER, /* computed again where only the residual stream is kept */
    ARCH_KEEP_FFN    /* and where the feed-forward half is computed again */
};
/* Rows or columns of an activation: tokens, rows of logits, D, 2 H, H x S, G x S, (H + 2 G) x S, F, 2 F, V. */
enum arch_letter {
    ARCH_LETTER_T,
    ARCH_LETTER_N,
    ARCH_LETTER_D,
    ARCH_LETTER_2H,
    ARCH_LETTER_HS,
    ARCH_LETTER_GS,
    ARCH_LETTER_QKV,
    ARCH_LETTER_F,
    ARCH_LETTER_2F,
    ARCH_LETTER_V
};
/* The stages of a forward pass, in order; those from ATTN_NORM to DOWN repeat for each layer. */
enum arch_stage {
    ARCH_STAGE_EMBED,
    ARCH_STAGE_ATTN_NORM,
    ARCH_STAGE_QKV,
    ARCH_STAGE_ATTENTION,
    ARCH_STAGE_ATTN_PRODUCT,
    ARCH_STAGE_FFN_NORM,
    ARCH_STAGE_GATE_UP,
    ARCH_STAGE_DOWN,
    ARCH_STAGE_FINAL_NORM,
    ARCH_STAGE_HEAD
};

struct arch_activation_row {
    const char *name; /* "residual" */
    enum arch_letter rows, columns;
    enum arch_number number;
    enum arch_stage first_use, last_use; /* both inclusive */
    enum arch_place place;
    enum arch_weight next; /* of a COMPUTE row: the product that it is packed for, else NONE */
    enum arch_keep keep;   /* what learning does with it */
};

const struct arch_activation_row *arch_activation_row(enum arch_activation a);
/* "T", "H*S" */
const char *arch_letter_text(enum arch_letter letter);
/* What a letter stands for in this model, with n_tokens rows of which n_logits give logits. */
int64_t arch_letter_value(const struct arch_config *c, enum arch_letter letter, int64_t n_tokens, int64_t n_logits);

/* Frequencies of the rotation: S/2 values, f_i (scaled), as f32; see docs/MODEL.md. */
void arch_rope_frequencies(const struct arch_config *c, float *out);

/* Floating point operations of one token's forward pass at position `position` (attention counted), with or without
 * the vocabulary product: 2 for a multiply-add. */
double arch_forward_flops(const struct arch_config *c, int64_t position, bool with_head);

/* Named shapes: the published ones of Llama 3 and small ones for learning (arch_presets.c). False for an unknown name;
 * *ret is then untouched. Token ids are not set (bos_id -1, no stop ids). */
bool arch_preset(const char *name, struct arch_config *ret);
/* The name of the i-th preset, smallest model first; NULL behind the last. */
const char *arch_preset_name(int i);

#endif
