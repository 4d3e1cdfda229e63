/* llama_train_private.h: the inside of a trainer, for the files llama_trainer*.c and llama_block_backward.c. */
#ifndef LLAMA_TRAIN_PRIVATE_H
#define LLAMA_TRAIN_PRIVATE_H

#include "llama/llama_private.h"
#include "llama/llama_train.h"

/* The matrices that input gradients of one layer are products with. */
struct llama_backward_layer {
    struct device_gradient_matrix qkv, o, gate_up, down;
};

/* Activations of a layer for backward: a place for each layer where they are saved, one place where they are computed
 * again. */
struct llama_kept_rows {
    float *data;         /* borrowed from the trainer's pages; of layer 0 */
    size_t layer_floats; /* from layer to layer; 0: computed again */
};

/* A leaf's gradients, or those of a finished subtree: the layout's floats, then those of a tied head. */
struct llama_gradient {
    float *data; /* borrowed from the trainer's pages */
    bool is_used;
};

#define LLAMA_MAX_LEAVES 4096
#define LLAMA_MAX_LEVELS 13 /* of the tree of leaves: 2^12 leaves */

/* What one call's rows are made of beside activations. */
struct llama_slots {
    int32_t *ids;       /* of the forward pass: 0 where there is no token */
    int32_t *gradients; /* the row of the embedding that a slot's gradient goes to, -1 where there is no token */
    int32_t *targets;
    float *losses;
};

struct llama_trainer {
    llama_model model;     /* over the master weights; its layers are owned, its vectors borrowed from w */
    llama_session session; /* the rows of a call; one layer's keys and values */
    struct llama_trainer_options options;
    const llama_layout *layout;            /* borrowed */
    float *w;                              /* borrowed: the master weights */
    struct llama_backward_layer *backward; /* owned: L */
    struct device_gradient_matrix head;
    struct llama_trainer_bytes bytes;
    int max_slots, chunk; /* chunk: rows of logits at once */
    int32_t n_pages;
    struct pages packed, gradients, kept;      /* owned */
    plan *books;                               /* owned */
    struct llama_kept_rows rows[ARCH_A_COUNT]; /* those that arch/ has kept */
    /* Scratch of backward, borrowed from the plan. */
    float *d_x, *d_hidden, *normed, *d_normed, *d_attn, *d_qkv, *logits, *norm_scratch;
    uint8_t *packed_rows, *outer_scratch, *attention_scratch;
    size_t outer_bytes, packed_rows_bytes;
    int64_t scratch_columns; /* that the device's scratch was made for */
    int32_t *page_table;
    struct llama_slots slots;
    /* The tree of leaves: level i waits for a neighbour of 2^i leaves. */
    struct llama_gradient buffers[LLAMA_MAX_LEVELS + 1];
    int n_buffers;
    int64_t buffer_floats;
    struct llama_gradient *level[LLAMA_MAX_LEVELS + 1]; /* NULL: nothing waits */
    struct llama_gradient *leaf;                        /* the running leaf's; NULL between leaves */
    int n_leaves;                                       /* of this step that are finished */
    struct exact_sum loss;                              /* of the finite ones */
    int64_t n_predicted, n_not_finite;
};

/* llama_trainer_pack.c: describes the matrices of both passes for the device; sets bytes.packed_weights. */
void llama_trainer_describe(llama_trainer *t);
/* Packs every matrix from the master weights into t->packed. */
void llama_trainer_pack(llama_trainer *t);

/* llama_trainer_plan.c: sizes and bookings; after llama_trainer_describe(). */
CRIA_MUST_CHECK cria_status llama_trainer_check(const struct arch_config *c,
                                                const struct llama_trainer_options *options, struct cria_error *err);
CRIA_MUST_CHECK cria_status llama_trainer_book(llama_trainer *t, struct cria_error *err);
/* Allocates and binds what was booked. */
CRIA_MUST_CHECK cria_status llama_trainer_bind(llama_trainer *t, struct cria_error *err);

/* llama_trainer_slots.c: checks the rows of a call and lays them into slots, runs and pages; RANGE, SHAPE, LIMIT. */
CRIA_MUST_CHECK cria_status llama_trainer_lay(llama_trainer *t, const struct llama_data_row *rows, int n_rows,
                                              struct llama_batch *ret, struct cria_error *err);
/* How many of a row's tokens are laid: those behind the last one that predicts are not. */
int llama_trainer_kept(const struct llama_data_row *row);

/* Makes sure that a leaf runs. */
void llama_trainer_open_leaf(llama_trainer *t);
/* The gradient of a weight in the running leaf. */
float *llama_trainer_gradient(const llama_trainer *t, enum arch_weight w, int layer);

/* llama_block_backward.c: d_x, the gradient of what a layer gives, becomes that of what it takes; gradients of its
 * weights are added to the running leaf's. The layer's kept rows are bound to the session. */
struct llama_block_rows {
    float *residual, *qkv, *attn_rows, *attn_stats, *ffn_residual, *gate_up;
};
CRIA_MUST_CHECK cria_status llama_block_bwd(llama_trainer *t, int layer, const struct llama_block_rows *rows,
                                            struct llama_batch batch, struct cria_error *err);

#endif
