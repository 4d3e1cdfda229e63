/* llama_layout.c: where each tensor lies in the floats of a model: master weights, gradients and optimizer state alike.
 *
 * Tensors stand in the order of the weight table, the layers of one row after the other; each begins at a multiple of
 * LAYOUT_GRAIN floats, a cache line. */
#include "base/alloc.h"
#include "llama/llama_train.h"

enum { LAYOUT_GRAIN = 16 };

struct llama_layout {
    struct llama_tensor *tensors; /* owned */
    int n;
    int first[ARCH_W_COUNT]; /* index of a weight's first tensor; -1: the model has none */
    int64_t n_floats;
};

static int tensors_of(const struct arch_config *c, enum arch_weight w) {
    if (!arch_weight_exists(c, w)) return 0;
    return arch_weight_row(w)->per_layer ? (int)c->n_layers : 1;
}

static void place_weight(llama_layout *l, const struct arch_config *c, enum arch_weight w) {
    const int n = tensors_of(c, w);
    l->first[w] = n ? l->n : -1;
    for (int i = 0; i < n; i++) {
        struct llama_tensor t = {.weight = w, .layer = arch_weight_row(w)->per_layer ? i : -1, .offset = l->n_floats};
        arch_weight_shape(c, w, &t.n_rows, &t.n_columns);
        t.n = t.n_rows * t.n_columns;
        l->n_floats += (t.n + LAYOUT_GRAIN - 1) / LAYOUT_GRAIN * LAYOUT_GRAIN;
        l->tensors[l->n++] = t;
    }
}

cria_status llama_layout_create(llama_layout **ret, const struct arch_config *c, struct cria_error *err) {
    cria_status status = arch_config_check(c, err);
    if (status != CRIA_OK) return status;
    size_t n = 0;
    for (int w = ARCH_W_NONE + 1; w < ARCH_W_COUNT; w++) n += (size_t)tensors_of(c, (enum arch_weight)w);
    llama_layout *l = ALLOC_NEW(llama_layout);
    if (!l) return ERROR_NOMEM(err, sizeof *l, "the layout of the weights");
    l->tensors = alloc_zeroed(n, sizeof *l->tensors);
    if (!l->tensors) {
        llama_layout_destroy(&l);
        return ERROR_NOMEM(err, n * sizeof *l->tensors, "the layout of the weights");
    }
    for (int w = ARCH_W_NONE + 1; w < ARCH_W_COUNT; w++) place_weight(l, c, (enum arch_weight)w);
    *ret = l;
    return CRIA_OK;
}

void llama_layout_destroy(llama_layout **l) {
    if (!*l) return;
    alloc_free((*l)->tensors);
    alloc_free(*l);
    *l = NULL;
}

int llama_layout_count(const llama_layout *l) { return l->n; }

const struct llama_tensor *llama_layout_at(const llama_layout *l, int i) {
    CRIA_ASSERT(i >= 0 && i < l->n);
    return &l->tensors[i];
}

const struct llama_tensor *llama_layout_find(const llama_layout *l, enum arch_weight w, int layer) {
    if (l->first[w] < 0) return NULL;
    return llama_layout_at(l, l->first[w] + (arch_weight_row(w)->per_layer ? layer : 0));
}

int64_t llama_layout_floats(const llama_layout *l) { return l->n_floats; }
