/* arch_activations.c: the table of activations: shapes, number formats (where each is rounded) and lifetimes. */
#include "arch/arch.h"

static const struct arch_activation_row rows[ARCH_A_COUNT] = {
    [ARCH_A_RESIDUAL] = {"residual", ARCH_LETTER_T, ARCH_LETTER_D, ARCH_NUMBER_F32, ARCH_STAGE_EMBED,
                         ARCH_STAGE_FINAL_NORM},
    [ARCH_A_ATTN_NORMED] = {"attn_normed", ARCH_LETTER_T, ARCH_LETTER_D, ARCH_NUMBER_COMPUTE, ARCH_STAGE_ATTN_NORM,
                            ARCH_STAGE_QKV},
    /* q and k are rounded after the rotation. */
    [ARCH_A_Q] = {"q", ARCH_LETTER_T, ARCH_LETTER_HS, ARCH_NUMBER_KV, ARCH_STAGE_QKV, ARCH_STAGE_ATTENTION},
    [ARCH_A_K] = {"k", ARCH_LETTER_T, ARCH_LETTER_GS, ARCH_NUMBER_KV, ARCH_STAGE_QKV, ARCH_STAGE_ATTENTION},
    [ARCH_A_V] = {"v", ARCH_LETTER_T, ARCH_LETTER_GS, ARCH_NUMBER_KV, ARCH_STAGE_QKV, ARCH_STAGE_ATTENTION},
    [ARCH_A_ATTN_OUT] = {"attn_out", ARCH_LETTER_T, ARCH_LETTER_HS, ARCH_NUMBER_COMPUTE, ARCH_STAGE_ATTENTION,
                         ARCH_STAGE_ATTN_PRODUCT},
    [ARCH_A_FFN_NORMED] = {"ffn_normed", ARCH_LETTER_T, ARCH_LETTER_D, ARCH_NUMBER_COMPUTE, ARCH_STAGE_FFN_NORM,
                           ARCH_STAGE_GATE_UP},
    [ARCH_A_GATE] = {"gate", ARCH_LETTER_T, ARCH_LETTER_F, ARCH_NUMBER_F32, ARCH_STAGE_GATE_UP, ARCH_STAGE_GATE_UP},
    [ARCH_A_UP] = {"up", ARCH_LETTER_T, ARCH_LETTER_F, ARCH_NUMBER_F32, ARCH_STAGE_GATE_UP, ARCH_STAGE_GATE_UP},
    [ARCH_A_HIDDEN] = {"hidden", ARCH_LETTER_T, ARCH_LETTER_F, ARCH_NUMBER_COMPUTE, ARCH_STAGE_GATE_UP,
                       ARCH_STAGE_DOWN},
    [ARCH_A_FINAL_NORMED] = {"final_normed", ARCH_LETTER_N, ARCH_LETTER_D, ARCH_NUMBER_COMPUTE, ARCH_STAGE_FINAL_NORM,
                             ARCH_STAGE_HEAD},
    [ARCH_A_LOGITS] = {"logits", ARCH_LETTER_N, ARCH_LETTER_V, ARCH_NUMBER_F32, ARCH_STAGE_HEAD, ARCH_STAGE_HEAD},
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
        case ARCH_LETTER_HS:
            return "H*S";
        case ARCH_LETTER_GS:
            return "G*S";
        case ARCH_LETTER_F:
            return "F";
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
        case ARCH_LETTER_HS:
            return c->n_heads * c->head_size;
        case ARCH_LETTER_GS:
            return c->n_kv_heads * c->head_size;
        case ARCH_LETTER_F:
            return c->d_ff;
        case ARCH_LETTER_V:
            return c->n_vocab;
    }
    return 0;
}
