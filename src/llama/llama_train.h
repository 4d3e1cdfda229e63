/* llama_train.h: the Llama family learning: master weights, gradients, and one micro-batch forward and backward.
 *
 * Callers may believe: the gradient of a step depends on its data rows in their global order, their leaves, the weights
 * and the compute mode, and on nothing else: not on how many rows went into one call, on threads, on the instruction
 * set or on what was saved or computed again (kernel/order.h). The forward pass is the one of llama.h: a token's
 * log-probability here is the one that inference gives.
 * They must never know how activations lie or which of them were kept.
 *
 *   llama_weights_create / _load -> llama_trainer_create -> for each step: llama_trainer_begin, llama_trainer_rows for
 *   the data rows in order, llama_trainer_finish -> the optimizer changes weights -> llama_trainer_update
 *
 * Thread rules: a trainer and its weights belong to one thread at a time. */
#ifndef LLAMA_LLAMA_TRAIN_H
#define LLAMA_LLAMA_TRAIN_H

#include "base/exact_sum.h"
#include "llama/llama.h"

/* ---- tensors in the order of the weight table ---- */

/* One tensor of a model: master weights, gradients and optimizer state have the same layout. */
struct llama_tensor {
    enum arch_weight weight;
    int layer; /* -1: not per layer */
    int64_t n_rows, n_columns;
    int64_t offset, n; /* floats; offsets are multiples of 16 */
};
typedef struct llama_layout llama_layout; /* every tensor of a configuration */
CRIA_MUST_CHECK cria_status llama_layout_create(llama_layout **ret, const struct arch_config *c,
                                                struct cria_error *err);
void llama_layout_destroy(llama_layout **l);
int llama_layout_count(const llama_layout *l);
const struct llama_tensor *llama_layout_at(const llama_layout *l, int i);
/* The tensor of a weight, NULL where the model has none of its own (a tied head); layer is ignored for weights that are
 * not per layer. */
const struct llama_tensor *llama_layout_find(const llama_layout *l, enum arch_weight w, int layer);
int64_t llama_layout_floats(const llama_layout *l); /* with the padding between tensors, which stays zero */

/* Master weights by the model's initialisation (arch weight rows; normal numbers by Philox, purpose INIT, keyed by the
 * index of the element in the layout), or from files (exact values; q and k rows in the order of Hugging Face). w:
 * llama_layout_floats() floats, zeroed, owned by the caller. */
void llama_weights_init(const llama_layout *l, const struct arch_config *c, uint64_t seed, float *w);
CRIA_MUST_CHECK cria_status llama_weights_read(const llama_layout *l, const model_files *files, float *w,
                                               struct cria_error *err);
/* SHA-256 tree over the weights: the digest of the digests of the tensors' floats (little-endian, without padding), in
 * the order of the layout. */
#define LLAMA_DIGEST_BYTES 32
CRIA_MUST_CHECK cria_status llama_weights_digest(const llama_layout *l, const float *w, uint8_t ret[LLAMA_DIGEST_BYTES],
                                                 struct cria_error *err);

/* ---- the trainer ---- */

typedef struct llama_trainer llama_trainer;

enum llama_recompute {
    LLAMA_RECOMPUTE_NONE, /* keep all that backward needs */
    LLAMA_RECOMPUTE_FFN,  /* gate and up again */
    LLAMA_RECOMPUTE_ALL   /* keep the residual stream alone */
};

struct llama_trainer_options {
    enum llama_compute compute; /* BF16 or F32 */
    int max_row_tokens;         /* the longest data row; at most the model's context */
    int max_rows;               /* data rows in one llama_trainer_rows() call */
    int max_pieces;             /* documents in one call */
    int n_leaves;               /* of a step at most (order.h); decides how many gradient buffers the tree needs */
    enum llama_recompute recompute;
    double rope_theta; /* 0: the model's */
};

/* A data row: documents one after the other; attention does not cross them and positions begin again at each. */
struct llama_piece {
    int first, n; /* tokens of the row */
};
struct llama_data_row {
    const int32_t *ids;     /* borrowed */
    const int32_t *targets; /* borrowed; -1: nothing is predicted there */
    int n_tokens;
    const struct llama_piece *pieces; /* borrowed; they cover the row in order */
    int n_pieces;
};

/* Bytes by what they are for, without making anything: w, gradients and optimizer state are not among them. */
struct llama_trainer_bytes {
    uint64_t packed_weights, gradients, kept, scratch;
};
CRIA_MUST_CHECK cria_status llama_trainer_plan(const struct arch_config *c, device *dev,
                                               const struct llama_trainer_options *options,
                                               struct llama_trainer_bytes *ret, struct cria_error *err);
/* w is borrowed for the trainer's life and packed at once. */
CRIA_MUST_CHECK cria_status llama_trainer_create(llama_trainer **ret, const struct arch_config *c,
                                                 const llama_layout *l, float *w, device *dev,
                                                 const struct llama_trainer_options *options, struct cria_error *err);
void llama_trainer_destroy(llama_trainer **t);

/* A new step: gradients are zero. */
void llama_trainer_begin(llama_trainer *t);
/* The next data rows of the current leaf, forward and backward. losses (may be NULL): one for each token of each row,
 * rows one after the other, 0 where nothing is predicted; their sum and number are added to the step's totals. RANGE
 * for an id outside the vocabulary, SHAPE for pieces that do not cover a row. */
CRIA_MUST_CHECK cria_status llama_trainer_rows(llama_trainer *t, const struct llama_data_row *rows, int n_rows,
                                               float *losses, struct cria_error *err);
/* The leaf's last row has come; the next call begins a new leaf. */
void llama_trainer_end_leaf(llama_trainer *t);
/* Adds the leaves up in their tree, and a tied head's gradient to the embedding's. The gradients are sums over tokens,
 * in the layout's places; borrowed until the next begin. */
const float *llama_trainer_finish(llama_trainer *t);
/* Sum of the losses and number of predictions since begin. */
void llama_trainer_totals(const llama_trainer *t, struct exact_sum *ret_loss, int64_t *ret_n);
/* How many of those losses are NaN or infinite; they are not in the sum. */
int64_t llama_trainer_not_finite(const llama_trainer *t);
/* Forward alone: losses of rows without touching gradients or totals. */
CRIA_MUST_CHECK cria_status llama_trainer_score(llama_trainer *t, const struct llama_data_row *rows, int n_rows,
                                                float *losses, struct cria_error *err);
/* Packs the weights again after they changed. */
void llama_trainer_update(llama_trainer *t);
/* Floating point operations of a forward and backward pass over a row with these pieces, causal attention counted
 * exactly, what is computed again not counted. */
double llama_train_flops(const struct arch_config *c, const struct llama_piece *pieces, int n_pieces);

#endif
