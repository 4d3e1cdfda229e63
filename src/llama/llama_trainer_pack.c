/* llama_trainer_pack.c: the matrices of both passes, packed from the master weights.
 *
 * The forward matrices are the model's own, as llama_load.c would hold them; the backward ones have the same numbers
 * the other way round. In compute mode bf16 both round each weight once, to the same bf16 number. The norms' gains are
 * the master weights themselves. */
#include "llama/llama_train_private.h"

static size_t aligned(size_t n) { return (n + PAGES_ALIGNMENT - 1) / PAGES_ALIGNMENT * PAGES_ALIGNMENT; }

/* ---- descriptions ---- */

static void cut_even(int64_t n, int n_shards, int64_t first[DEVICE_MAX_SHARDS + 1]) {
    for (int s = 0; s <= n_shards; s++) first[s] = n / n_shards * s;
}

/* Whole steps; the last shard has what is left. */
static void cut_steps(int64_t n, int n_shards, int64_t first[DEVICE_MAX_SHARDS + 1]) {
    const int64_t n_steps = (n + ORDER_STEP - 1) / ORDER_STEP;
    for (int s = 0; s < n_shards; s++) first[s] = n_steps * s / n_shards * ORDER_STEP;
    first[n_shards] = n;
}

static void add_part(const llama_trainer *t, struct device_gradient_source *source, enum arch_weight w, int layer) {
    const int part = source->n_parts++;
    const struct llama_tensor *tensor = t->layout ? llama_layout_find(t->layout, w, layer) : NULL;
    arch_weight_shape(&t->model.config, w, &source->n_rows[part], &source->n_columns);
    if (tensor) source->w[part] = t->w + tensor->offset;
}

static struct device_gradient_source source_start(const llama_trainer *t, int n_shards) {
    return (struct device_gradient_source){.n_shards = n_shards, .f32 = t->model.compute == LLAMA_COMPUTE_F32};
}

/* One chain: what tensor parallelism splits here is the output. */
static struct device_gradient_source source_of_one(const llama_trainer *t, enum arch_weight w, int layer) {
    struct device_gradient_source source = source_start(t, 1);
    add_part(t, &source, w, layer);
    source.shard_row[0][1] = source.n_rows[0];
    return source;
}

static struct device_gradient_source source_of_qkv(const llama_trainer *t, int layer) {
    struct device_gradient_source source = source_start(t, arch_shards(&t->model.config));
    add_part(t, &source, ARCH_W_Q, layer);
    add_part(t, &source, ARCH_W_K, layer);
    add_part(t, &source, ARCH_W_V, layer);
    for (int i = 0; i < source.n_parts; i++) cut_even(source.n_rows[i], source.n_shards, source.shard_row[i]);
    return source;
}

static struct device_gradient_source source_of_gate_up(const llama_trainer *t, int layer) {
    struct device_gradient_source source = source_start(t, arch_shards(&t->model.config));
    add_part(t, &source, ARCH_W_GATE, layer);
    add_part(t, &source, ARCH_W_UP, layer);
    for (int i = 0; i < source.n_parts; i++) cut_steps(source.n_rows[i], source.n_shards, source.shard_row[i]);
    return source;
}

static struct device_gradient_source source_of_head(const llama_trainer *t) {
    struct device_gradient_source source = source_start(t, arch_shards(&t->model.config));
    add_part(t, &source, t->model.config.tied ? ARCH_W_EMBEDDING : ARCH_W_HEAD, 0);
    cut_steps(source.n_rows[0], source.n_shards, source.shard_row[0]);
    return source;
}

/* ---- walking all of them ---- */

/* Calls visit for each backward matrix in a fixed order. */
static void each_gradient(llama_trainer *t, void *arg,
                          void (*visit)(llama_trainer *t, const struct device_gradient_source *source,
                                        struct device_gradient_matrix *g, void *arg)) {
    for (int layer = 0; layer < (int)t->model.config.n_layers; layer++) {
        struct llama_backward_layer *b = &t->backward[layer];
        const struct device_gradient_source qkv = source_of_qkv(t, layer), gate_up = source_of_gate_up(t, layer),
                                            o = source_of_one(t, ARCH_W_O, layer),
                                            down = source_of_one(t, ARCH_W_DOWN, layer);
        visit(t, &qkv, &b->qkv, arg);
        visit(t, &o, &b->o, arg);
        visit(t, &gate_up, &b->gate_up, arg);
        visit(t, &down, &b->down, arg);
    }
    const struct device_gradient_source head = source_of_head(t);
    visit(t, &head, &t->head, arg);
}

static void plan_gradient(llama_trainer *t, const struct device_gradient_source *source,
                          struct device_gradient_matrix *g, void *arg) {
    size_t *n_bytes = arg;
    device_gradient_plan(t->model.dev, source, g);
    *n_bytes += aligned(g->m.n_bytes);
}

static void pack_gradient(llama_trainer *t, const struct device_gradient_source *source,
                          struct device_gradient_matrix *g, void *arg) {
    uint8_t **at = arg;
    device_gradient_pack(t->model.dev, source, g, *at);
    *at += aligned(g->m.n_bytes);
}

/* Packs one forward matrix at *at, or with NULL only counts; vectors are borrowed. */
static size_t place_weight(llama_trainer *t, enum arch_weight w, int layer, uint8_t *at) {
    struct device_matrix *m = llama_load_matrix(&t->model, w, layer);
    if (!m) {
        if (at) *llama_load_vector(&t->model, w, layer) = t->w + llama_layout_find(t->layout, w, layer)->offset;
        return 0;
    }
    if (at) {
        const struct llama_tensor *tensor = llama_layout_find(t->layout, w, layer);
        const struct device_matrix_source source = {.stored = DTYPE_F32,
                                                    .data = (const uint8_t *)(t->w + tensor->offset),
                                                    .n_rows = tensor->n_rows,
                                                    .n_columns = tensor->n_columns};
        device_matrix_pack(t->model.dev, &source, m, at, 0, tensor->n_rows);
    }
    return aligned(m->n_bytes);
}

static size_t place_weights(llama_trainer *t, uint8_t *memory) {
    size_t n_bytes = 0;
    for (int w = ARCH_W_NONE + 1; w < ARCH_W_COUNT; w++) {
        if (!arch_weight_exists(&t->model.config, (enum arch_weight)w)) continue;
        const bool per_layer = arch_weight_row((enum arch_weight)w)->per_layer;
        for (int layer = 0; layer < (per_layer ? (int)t->model.config.n_layers : 1); layer++)
            n_bytes += place_weight(t, (enum arch_weight)w, per_layer ? layer : -1, memory ? memory + n_bytes : NULL);
    }
    return n_bytes;
}

void llama_trainer_describe(llama_trainer *t) {
    size_t n_bytes = 0;
    llama_load_describe(&t->model, NULL);
    each_gradient(t, &n_bytes, plan_gradient);
    t->bytes.packed_weights = n_bytes + place_weights(t, NULL);
}

void llama_trainer_pack(llama_trainer *t) {
    uint8_t *at = t->packed.data;
    at += place_weights(t, at);
    if (t->model.config.tied) t->model.head = t->model.embedding;
    each_gradient(t, &at, pack_gradient);
}
