/* arch_cost.c: what a model costs: parameters and operations, walked off the table of weights. */
#include "arch/arch.h"

/* Parameters of the weights for which pick() holds. */
static int64_t sum_weights(const struct arch_config *c, bool (*pick)(enum arch_weight w)) {
    int64_t sum = 0;
    for (int i = ARCH_W_NONE + 1; i < ARCH_W_COUNT; i++) {
        const enum arch_weight w = (enum arch_weight)i;
        if (!arch_weight_exists(c, w) || !pick(w)) continue;
        int64_t n_rows, n_columns;
        arch_weight_shape(c, w, &n_rows, &n_columns);
        sum += n_rows * n_columns * (arch_weight_row(w)->per_layer ? c->n_layers : 1);
    }
    return sum;
}

static bool is_any(enum arch_weight w) {
    (void)w;
    return true;
}

static bool is_layer_matrix(enum arch_weight w) {
    const struct arch_weight_row *row = arch_weight_row(w);
    return row->per_layer && row->is_matrix;
}

int64_t arch_parameters(const struct arch_config *c) { return sum_weights(c, is_any); }

double arch_forward_flops(const struct arch_config *c, int64_t position, bool with_head) {
    const double products = 2.0 * (double)sum_weights(c, is_layer_matrix);
    /* Each layer: a score and a weighted value for each visible key and each element of each query head. */
    const double attention = 4.0 * (double)c->n_layers * (double)(c->n_heads * c->head_size) * (double)(position + 1);
    const double head = with_head ? 2.0 * (double)c->n_vocab * (double)c->d_model : 0.0;
    return products + attention + head;
}
