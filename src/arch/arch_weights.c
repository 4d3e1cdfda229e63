/* arch_weights.c: the table of weights: names, shapes, and finding one by its name in a file. */
#include "arch/arch.h"

#include <math.h>
#include <stdio.h>

static const struct arch_weight_row rows[ARCH_W_COUNT] = {
    [ARCH_W_EMBEDDING] = {"embedding", "model.embed_tokens.weight", "token_embd.weight", false, true, false, true,
                          ARCH_AXIS_ROWS, ARCH_INIT_NORMAL},
    [ARCH_W_ATTN_NORM] = {"attn_norm", "model.layers.%d.input_layernorm.weight", "blk.%d.attn_norm.weight", true, false,
                          false, false, ARCH_AXIS_NONE, ARCH_INIT_ONES},
    [ARCH_W_Q] = {"q", "model.layers.%d.self_attn.q_proj.weight", "blk.%d.attn_q.weight", true, true, true, true,
                  ARCH_AXIS_ROWS, ARCH_INIT_NORMAL},
    [ARCH_W_K] = {"k", "model.layers.%d.self_attn.k_proj.weight", "blk.%d.attn_k.weight", true, true, true, true,
                  ARCH_AXIS_ROWS, ARCH_INIT_NORMAL},
    [ARCH_W_V] = {"v", "model.layers.%d.self_attn.v_proj.weight", "blk.%d.attn_v.weight", true, true, false, true,
                  ARCH_AXIS_ROWS, ARCH_INIT_NORMAL},
    [ARCH_W_O] = {"o", "model.layers.%d.self_attn.o_proj.weight", "blk.%d.attn_output.weight", true, true, false, true,
                  ARCH_AXIS_COLUMNS, ARCH_INIT_NORMAL_DEPTH},
    [ARCH_W_FFN_NORM] = {"ffn_norm", "model.layers.%d.post_attention_layernorm.weight", "blk.%d.ffn_norm.weight", true,
                         false, false, false, ARCH_AXIS_NONE, ARCH_INIT_ONES},
    [ARCH_W_GATE] = {"gate", "model.layers.%d.mlp.gate_proj.weight", "blk.%d.ffn_gate.weight", true, true, false, true,
                     ARCH_AXIS_ROWS, ARCH_INIT_NORMAL},
    [ARCH_W_UP] = {"up", "model.layers.%d.mlp.up_proj.weight", "blk.%d.ffn_up.weight", true, true, false, true,
                   ARCH_AXIS_ROWS, ARCH_INIT_NORMAL},
    [ARCH_W_DOWN] = {"down", "model.layers.%d.mlp.down_proj.weight", "blk.%d.ffn_down.weight", true, true, false, true,
                     ARCH_AXIS_COLUMNS, ARCH_INIT_NORMAL_DEPTH},
    [ARCH_W_FINAL_NORM] = {"final_norm", "model.norm.weight", "output_norm.weight", false, false, false, false,
                           ARCH_AXIS_NONE, ARCH_INIT_ONES},
    [ARCH_W_HEAD] = {"head", "lm_head.weight", "output.weight", false, true, false, true, ARCH_AXIS_ROWS,
                     ARCH_INIT_NORMAL},
};

const struct arch_weight_row *arch_weight_row(enum arch_weight w) {
    CRIA_ASSERT(w > ARCH_W_NONE && w < ARCH_W_COUNT);
    return &rows[w];
}

void arch_weight_shape(const struct arch_config *c, enum arch_weight w, int64_t *ret_rows, int64_t *ret_columns) {
    const int64_t queries = c->n_heads * c->head_size, keys = c->n_kv_heads * c->head_size;
    int64_t n_rows = 1, n_columns = c->d_model;
    switch (w) {
        case ARCH_W_EMBEDDING:
        case ARCH_W_HEAD:
            n_rows = c->n_vocab;
            break;
        case ARCH_W_Q:
            n_rows = queries;
            break;
        case ARCH_W_K:
        case ARCH_W_V:
            n_rows = keys;
            break;
        case ARCH_W_GATE:
        case ARCH_W_UP:
            n_rows = c->d_ff;
            break;
        case ARCH_W_O:
            n_rows = c->d_model;
            n_columns = queries;
            break;
        case ARCH_W_DOWN:
            n_rows = c->d_model;
            n_columns = c->d_ff;
            break;
        case ARCH_W_ATTN_NORM:
        case ARCH_W_FFN_NORM:
        case ARCH_W_FINAL_NORM:
        case ARCH_W_NONE:
        case ARCH_W_COUNT:
            break;
    }
    *ret_rows = n_rows;
    *ret_columns = n_columns;
}

/* 0.02 for every matrix is the rule of GPT-2, and what Llama's configurations call initializer_range. */
double arch_init_deviation(const struct arch_config *c, enum arch_weight w) {
    const double normal = 0.02;
    switch (arch_weight_row(w)->init) {
        case ARCH_INIT_NORMAL:
            return normal;
        case ARCH_INIT_NORMAL_DEPTH:
            return normal / sqrt(2.0 * (double)c->n_layers);
        case ARCH_INIT_ONES:
            break;
    }
    return 0;
}

bool arch_weight_exists(const struct arch_config *c, enum arch_weight w) {
    return w > ARCH_W_NONE && w < ARCH_W_COUNT && !(w == ARCH_W_HEAD && c->tied);
}

static const char *name_pattern(enum arch_naming naming, enum arch_weight w) {
    return naming == ARCH_NAMING_HF ? rows[w].hf_name : rows[w].gguf_name;
}

/* Reads the decimal number at text (n bytes left) into *ret; returns its digits, 0 where there is none or it is not
 * written in the one usual way. */
static size_t read_layer(const char *text, size_t n, int *ret) {
    int value = 0;
    size_t digits = 0;
    while (digits < n && digits < 7 && text[digits] >= '0' && text[digits] <= '9')
        value = 10 * value + (text[digits++] - '0');
    if (digits == 0 || digits > 6 || (digits > 1 && text[0] == '0')) return 0;
    *ret = value;
    return digits;
}

static bool matches(const char *pattern, const char *name, size_t n, int *ret_layer) {
    int layer = -1;
    size_t i = 0;
    for (const char *p = pattern; *p; p++) {
        if (p[0] == '%' && p[1] == 'd') {
            const size_t digits = read_layer(name + i, n - i, &layer);
            if (!digits) return false;
            i += digits;
            p++;
        } else if (i < n && name[i] == *p) {
            i++;
        } else {
            return false;
        }
    }
    if (i != n) return false;
    *ret_layer = layer;
    return true;
}

bool arch_weight_find(enum arch_naming naming, const char *name, size_t n, enum arch_weight *ret_w, int *ret_layer) {
    for (int w = ARCH_W_NONE + 1; w < ARCH_W_COUNT; w++) {
        if (!matches(name_pattern(naming, (enum arch_weight)w), name, n, ret_layer)) continue;
        *ret_w = (enum arch_weight)w;
        return true;
    }
    return false;
}

void arch_weight_name(enum arch_naming naming, enum arch_weight w, int layer, char out[ARCH_NAME_BYTES]) {
    const char *pattern = name_pattern(naming, w);
    size_t n = 0;
    for (const char *p = pattern; *p && n + 1 < ARCH_NAME_BYTES; p++) {
        if (p[0] == '%' && p[1] == 'd') {
            n += (size_t)snprintf(out + n, ARCH_NAME_BYTES - n, "%d", layer);
            p++;
        } else {
            out[n++] = *p;
        }
    }
    out[n] = '\0';
}
