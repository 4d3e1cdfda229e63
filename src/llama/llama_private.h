/* llama_private.h: what the files of llama/ share. */
#ifndef LLAMA_PRIVATE_H
#define LLAMA_PRIVATE_H

#include "llama/llama.h"
#include "nn/nn.h"
#include "tensor/pages.h"
#include "tensor/plan.h"

struct llama_layer {
    struct device_matrix q, k, v, o, gate, up, down;
    float *attn_norm, *ffn_norm; /* borrowed from the model's pages */
};

struct llama_model {
    struct arch_config config;
    enum llama_compute compute;
    device *dev;                          /* borrowed */
    struct pages memory;                  /* owned: all weights */
    struct device_matrix embedding, head; /* tied: head is the embedding */
    float *final_norm;                    /* borrowed from memory */
    struct llama_layer *layers;           /* owned */
    uint64_t n_bytes;
    int n_non_finite;                 /* weights that hold NaN or infinities */
    char non_finite[ARCH_NAME_BYTES]; /* the first one's name */
};

/* What a session needs, booked in one plan; the numbers are bookings. */
struct llama_books {
    int activations[ARCH_A_COUNT]; /* those of ARCH_PLACE_BOOKED; the others are not set */
    int scratch, attention_scratch, cosines, sines, runs, page_tables, free_pages, page_users, sequences;
};

/* What learning wants of the layer that runs, beside qkv and attn_rows; all NULL in inference. Rows as arch/ says. */
struct llama_keep {
    float *attn_stats, *ffn_residual, *gate_up;
};

struct llama_sequence {
    llama_session *session;
    int32_t *pages; /* borrowed from the session's page tables */
    int64_t n_tokens;
    bool is_used;
};

struct llama_session {
    const llama_model *model; /* borrowed */
    struct llama_session_options options;
    struct device_kv kv;
    size_t page_bytes;  /* of all layers */
    size_t layer_bytes; /* from layer to layer inside a page; 0: they use the same place one after the other */
    int32_t n_pages, n_free;
    int64_t pages_per_sequence;
    plan *books;         /* owned */
    struct pages cache;  /* owned: n_pages x page_bytes */
    int32_t *free_pages; /* stack of page numbers; this and the following borrowed from the plan */
    int32_t *page_users; /* sequences that hold each page */
    struct llama_sequence *sequences;
    struct device_run *runs;
    float *residual, *qkv, *attn_rows, *cosines, *sines, *final_rows;
    struct nn_packed attn_normed, attn_out, ffn_normed, hidden, final_normed;
    struct device_rows q;
    struct llama_keep keep;
    uint8_t *scratch, *attention_scratch;
    int64_t n_rotations; /* positions whose cosines and sines are there */
    float frequencies[ARCH_MAX_HEAD_SIZE / 2];
};

/* llama_plan.c: the sizes and bookings of a session of a model of this shape (matrices as described in the model). */
CRIA_MUST_CHECK cria_status llama_plan_options(const struct arch_config *c, enum llama_compute compute,
                                               struct llama_session_options *options, struct cria_error *err);
CRIA_MUST_CHECK cria_status llama_plan_book(const llama_model *m, const struct llama_session_options *options,
                                            plan **ret, struct llama_books *ret_books, struct cria_error *err);
int64_t llama_plan_pages_per_sequence(const struct llama_session_options *options);
int64_t llama_plan_pages(const struct llama_session_options *options);
/* Bytes of one row of a booked activation on the model's device, packed as its next product or the cache wants it. */
size_t llama_plan_row_bytes(const llama_model *m, const struct device_kv *kv, enum arch_activation a);
/* The widest K of any product. */
int64_t llama_plan_widest(const struct arch_config *c);

/* llama_load.c: describes every matrix of the model for its device, as stored in `files` or, with NULL, as bf16. */
void llama_load_describe(llama_model *m, const model_files *files);
/* The place of a weight in the model: its matrix, NULL for a vector; its vector. */
struct device_matrix *llama_load_matrix(llama_model *m, enum arch_weight w, int layer);
float **llama_load_vector(llama_model *m, enum arch_weight w, int layer);
/* Where the columns of the attention output and down projections are cut into shards; returns their number. */
int llama_load_shard_columns(const struct arch_config *c, enum arch_weight w, int64_t shard_k[DEVICE_MAX_SHARDS + 1]);

/* llama_forward.c: cos and sin of position * f_i for the positions below `end` that are not there yet. */
void llama_forward_rotations(llama_session *s, int64_t end);

/* llama_kv.c: makes room for n_tokens more of a sequence; LIMIT leaves everything as it was. */
CRIA_MUST_CHECK cria_status llama_kv_reserve(llama_sequence *q, int64_t n_tokens, struct cria_error *err);
/* Gives back the pages behind the first n_tokens. */
void llama_kv_shrink(llama_sequence *q, int64_t n_tokens);

/* llama_block.c: one decoder layer over the session's rows; its two halves alone, of which the second ends before the
 * down projection, are what learning computes again. */
struct llama_batch {
    int n_rows, n_runs;
};
CRIA_MUST_CHECK cria_status llama_block_attend(llama_session *s, int layer, struct llama_batch batch,
                                               struct cria_error *err);
CRIA_MUST_CHECK cria_status llama_block_gate(llama_session *s, int layer, struct llama_batch batch,
                                             struct cria_error *err);
CRIA_MUST_CHECK cria_status llama_block_fwd(llama_session *s, int layer, struct llama_batch batch,
                                            struct cria_error *err);

#endif
