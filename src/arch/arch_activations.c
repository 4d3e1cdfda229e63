/* arch_activations.c: the table of activations: shapes, number formats (where each is rounded) and lifetimes. */
#include "arch/arch.h"

/* Short names for a table that fits its lines. */
#define STAGES(first, last) ARCH_STAGE_##first, ARCH_STAGE_##last
#define SHAPE(rows, columns) ARCH_LETTER_##rows, ARCH_LETTER_##columns
#define BOOKED ARCH_PLACE_BOOKED
#define F32 ARCH_NUMBER_F32
#define COMPUTE ARCH_NUMBER_COMPUTE
#define KV ARCH_NUMBER_KV
#define KEEP(when) ARCH_KEEP_##when

static const struct arch_activation_row rows[ARCH_A_COUNT] = {
    [ARCH_A_RESIDUAL] = {"residual", SHAPE(T, D), F32, STAGES(EMBED, FINAL_NORM), BOOKED, ARCH_W_NONE, KEEP(ALWAYS)},
    [ARCH_A_ATTN_NORMED] = {"attn_normed", SHAPE(T, D), COMPUTE, STAGES(ATTN_NORM, QKV), BOOKED, ARCH_W_Q, KEEP(NEVER)},
    /* The products side by side, before the rotation; q and k are rounded after it. */
    [ARCH_A_QKV] = {"qkv", SHAPE(T, QKV), F32, STAGES(QKV, ATTENTION), BOOKED, ARCH_W_NONE, KEEP(LAYER)},
    [ARCH_A_Q] = {"q", SHAPE(T, HS), KV, STAGES(ATTENTION, ATTENTION), BOOKED, ARCH_W_NONE, KEEP(NEVER)},
    [ARCH_A_K] = {"k", SHAPE(T, GS), KV, STAGES(ATTENTION, ATTENTION), ARCH_PLACE_CACHE, ARCH_W_NONE, KEEP(NEVER)},
    [ARCH_A_V] = {"v", SHAPE(T, GS), KV, STAGES(ATTENTION, ATTENTION), ARCH_PLACE_CACHE, ARCH_W_NONE, KEEP(NEVER)},
    /* A row's heads come from different threads and are rounded and packed when all are there. */
    [ARCH_A_ATTN_ROWS] = {"attn_rows", SHAPE(T, HS), F32, STAGES(ATTENTION, ATTENTION), BOOKED, ARCH_W_NONE,
                          KEEP(LAYER)},
    /* The maximum and 1 / l of each softmax. */
    [ARCH_A_ATTN_STATS] = {"attn_stats", SHAPE(T, 2H), F32, STAGES(ATTENTION, ATTENTION), ARCH_PLACE_LEARNING,
                           ARCH_W_NONE, KEEP(LAYER)},
    [ARCH_A_ATTN_OUT] = {"attn_out", SHAPE(T, HS), COMPUTE, STAGES(ATTENTION, ATTN_PRODUCT), BOOKED, ARCH_W_O,
                         KEEP(NEVER)},
    /* The residual between the halves of a layer, for the backward pass of its second norm. */
    [ARCH_A_FFN_RESIDUAL] = {"ffn_residual", SHAPE(T, D), F32, STAGES(FFN_NORM, FFN_NORM), ARCH_PLACE_LEARNING,
                             ARCH_W_NONE, KEEP(LAYER)},
    [ARCH_A_FFN_NORMED] = {"ffn_normed", SHAPE(T, D), COMPUTE, STAGES(FFN_NORM, GATE_UP), BOOKED, ARCH_W_GATE,
                           KEEP(NEVER)},
    /* Side by side: F of the gate, F of up. */
    [ARCH_A_GATE_UP] = {"gate_up", SHAPE(T, 2F), F32, STAGES(GATE_UP, GATE_UP), ARCH_PLACE_INSIDE, ARCH_W_NONE,
                        KEEP(FFN)},
    [ARCH_A_HIDDEN] = {"hidden", SHAPE(T, F), COMPUTE, STAGES(GATE_UP, DOWN), BOOKED, ARCH_W_DOWN, KEEP(NEVER)},
    /* The residual's rows whose logits are wanted, side by side. */
    [ARCH_A_FINAL_ROWS] = {"final_rows", SHAPE(N, D), F32, STAGES(FINAL_NORM, FINAL_NORM), BOOKED, ARCH_W_NONE,
                           KEEP(NEVER)},
    [ARCH_A_FINAL_NORMED] = {"final_normed", SHAPE(N, D), COMPUTE, STAGES(FINAL_NORM, HEAD), BOOKED, ARCH_W_HEAD,
                             KEEP(NEVER)},
    [ARCH_A_LOGITS] = {"logits", SHAPE(N, V), F32, STAGES(HEAD, HEAD), ARCH_PLACE_CALLER, ARCH_W_NONE, KEEP(NEVER)},
};

const struct arch_activation_row *arch_activation_row(enum arch_activation a) {
    CRIA_ASSERT((unsigned)a < ARCH_A_COUNT);
    return &rows[a];
}

const char *arch_letter_text(enum arch_letter letter) {
    switch (letter) {
        case ARCH_LETTER_T:
            return "T";
        case ARCH_LETTER_N:
            return "N";
        case ARCH_LETTER_D:
            return "D";
        case ARCH_LETTER_2H:
            return "2H";
        case ARCH_LETTER_HS:
            return "H*S";
        case ARCH_LETTER_GS:
            return "G*S";
        case ARCH_LETTER_QKV:
            return "(H+2G)*S";
        case ARCH_LETTER_F:
            return "F";
        case ARCH_LETTER_2F:
            return "2F";
        case ARCH_LETTER_V:
            return "V";
    }
    return "?";
}

int64_t arch_letter_value(const struct arch_config *c, enum arch_letter letter, int64_t n_tokens, int64_t n_logits) {
    switch (letter) {
        case ARCH_LETTER_T:
            return n_tokens;
        case ARCH_LETTER_N:
            return n_logits;
        case ARCH_LETTER_D:
            return c->d_model;
        case ARCH_LETTER_2H:
            return 2 * c->n_heads;
        case ARCH_LETTER_HS:
            return c->n_heads * c->head_size;
        case ARCH_LETTER_GS:
            return c->n_kv_heads * c->head_size;
        case ARCH_LETTER_QKV:
            return (c->n_heads + 2 * c->n_kv_heads) * c->head_size;
        case ARCH_LETTER_F:
            return c->d_ff;
        case ARCH_LETTER_2F:
            return 2 * c->d_ff;
        case ARCH_LETTER_V:
            return c->n_vocab;
    }
    return 0;
}
