/* llama_load.c: binding a model: every weight described, booked in one allocation, packed straight from the mapped
 * file.
 *
 * There is never a second copy: a tensor is packed into its final place, some MiB at a time, and the file's pages are
 * let go. The threads of the device read the mapping; a file that is cut or written meanwhile ends the load
 * (model_files_watch()). */
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "llama/llama_private.h"

struct device_matrix *llama_load_matrix(llama_model *m, enum arch_weight w, int layer) {
    struct llama_layer *l = layer >= 0 ? &m->layers[layer] : NULL;
    switch (w) {
        case ARCH_W_EMBEDDING:
            return &m->embedding;
        case ARCH_W_HEAD:
            return &m->head;
        case ARCH_W_Q:
            return &l->q;
        case ARCH_W_K:
            return &l->k;
        case ARCH_W_V:
            return &l->v;
        case ARCH_W_O:
            return &l->o;
        case ARCH_W_GATE:
            return &l->gate;
        case ARCH_W_UP:
            return &l->up;
        case ARCH_W_DOWN:
            return &l->down;
        default:
            return NULL;
    }
}

float **llama_load_vector(llama_model *m, enum arch_weight w, int layer) {
    if (w == ARCH_W_FINAL_NORM) return &m->final_norm;
    return w == ARCH_W_ATTN_NORM ? &m->layers[layer].attn_norm : &m->layers[layer].ffn_norm;
}

/* Where the columns of the two products that tensor parallelism would split are cut. */
int llama_load_shard_columns(const struct arch_config *c, enum arch_weight w, int64_t shard_k[DEVICE_MAX_SHARDS + 1]) {
    const int n_shards = arch_shards(c);
    const int64_t n_steps = (c->d_ff + ORDER_STEP - 1) / ORDER_STEP;
    for (int s = 0; s < n_shards; s++)
        shard_k[s] = w == ARCH_W_O ? c->n_heads * c->head_size / n_shards * s : n_steps * s / n_shards * ORDER_STEP;
    shard_k[n_shards] = w == ARCH_W_O ? c->n_heads * c->head_size : c->d_ff;
    return n_shards;
}

static struct device_matrix_source source_of(const llama_model *m, const model_files *files, enum arch_weight w,
                                             int layer) {
    struct device_matrix_source source = {.stored = m->compute == LLAMA_COMPUTE_F32 ? DTYPE_F32 : DTYPE_BF16};
    arch_weight_shape(&m->config, w, &source.n_rows, &source.n_columns);
    if (files) {
        const struct model_tensor t = model_files_tensor(files, w, layer);
        source.stored = t.dtype;
        source.data = t.data;
        source.interleaved_heads = t.rope_interleaved ? m->config.head_size : 0;
    }
    return source;
}

static void describe_one(llama_model *m, const model_files *files, enum arch_weight w, int layer) {
    struct device_matrix *matrix = llama_load_matrix(m, w, layer);
    if (!matrix) return;
    const struct device_matrix_source source = source_of(m, files, w, layer);
    int64_t shard_k[DEVICE_MAX_SHARDS + 1];
    const bool is_split = w == ARCH_W_O || w == ARCH_W_DOWN;
    const int n_shards = is_split ? llama_load_shard_columns(&m->config, w, shard_k) : 1;
    device_matrix_plan(m->dev, &source, m->compute == LLAMA_COMPUTE_F32, n_shards, is_split ? shard_k : NULL, matrix);
}

void llama_load_describe(llama_model *m, const model_files *files) {
    for (int w = ARCH_W_NONE + 1; w < ARCH_W_COUNT; w++) {
        if (!arch_weight_exists(&m->config, (enum arch_weight)w)) continue;
        const int n_layers = arch_weight_row((enum arch_weight)w)->per_layer ? (int)m->config.n_layers : 0;
        if (n_layers == 0) describe_one(m, files, (enum arch_weight)w, -1);
        for (int layer = 0; layer < n_layers; layer++) describe_one(m, files, (enum arch_weight)w, layer);
    }
    if (m->config.tied) m->head = m->embedding;
}

static size_t aligned(size_t n) { return (n + PAGES_ALIGNMENT - 1) / PAGES_ALIGNMENT * PAGES_ALIGNMENT; }

/* What of a file's pages is in memory beside the packed weights: more gains no speed. */
static const size_t piece_bytes = (size_t)16 << 20;

static void pack_matrix(llama_model *m, const model_files *files, enum arch_weight w, int layer, uint8_t *memory) {
    struct device_matrix *matrix = llama_load_matrix(m, w, layer);
    const struct device_matrix_source source = source_of(m, files, w, layer);
    const struct model_tensor t = model_files_tensor(files, w, layer);
    const size_t row_bytes = dtype_bytes(t.dtype, (size_t)t.n_columns);
    const int64_t grain = device_pack_grain(&source), grains = (int64_t)(piece_bytes / row_bytes) / grain;
    const int64_t piece = grain * (grains > 0 ? grains : 1);
    for (int64_t row = 0; row < t.n_rows; row += piece) {
        const int64_t end = t.n_rows - row < piece ? t.n_rows : row + piece;
        struct model_tensor part = t;
        device_matrix_pack(m->dev, &source, matrix, memory, row, end);
        part.data = (const uint8_t *)t.data + (size_t)row * row_bytes;
        part.n_bytes = (size_t)(end - row) * row_bytes;
        model_files_release(files, &part);
    }
}

static void note_non_finite(llama_model *m, const char *name) {
    if (m->n_non_finite++ == 0) memccpy(m->non_finite, name, '\0', sizeof m->non_finite - 1);
}

/* Packs one weight to the place at *offset; with memory NULL only moves the offset. */
static void place_one(llama_model *m, const model_files *files, enum arch_weight w, int layer, uint8_t *memory,
                      size_t *offset) {
    struct device_matrix *matrix = llama_load_matrix(m, w, layer);
    int64_t n_rows, n_columns;
    arch_weight_shape(&m->config, w, &n_rows, &n_columns);
    if (memory && matrix) {
        pack_matrix(m, files, w, layer, memory + *offset);
        if (matrix->has_non_finite) note_non_finite(m, model_files_tensor(files, w, layer).name);
    } else if (memory) {
        const struct model_tensor t = model_files_tensor(files, w, layer);
        *llama_load_vector(m, w, layer) = (float *)(void *)(memory + *offset);
        dtype_row_to_f32(t.dtype, t.data, (size_t)n_columns, (float *)(void *)(memory + *offset));
        if (!dtype_row_is_finite(t.dtype, t.data, (size_t)n_columns)) note_non_finite(m, t.name);
    }
    *offset += aligned(matrix ? matrix->n_bytes : (size_t)n_columns * sizeof(float));
}

static size_t place_all(llama_model *m, const model_files *files, uint8_t *memory) {
    size_t offset = 0;
    for (int w = ARCH_W_NONE + 1; w < ARCH_W_COUNT; w++) {
        if (!arch_weight_exists(&m->config, (enum arch_weight)w)) continue;
        const bool per_layer = arch_weight_row((enum arch_weight)w)->per_layer;
        for (int layer = 0; layer < (per_layer ? (int)m->config.n_layers : 1); layer++)
            place_one(m, files, (enum arch_weight)w, per_layer ? layer : -1, memory, &offset);
    }
    return offset;
}

/* f32 where every matrix is stored so; a model of other types is computed in bf16. */
static enum llama_compute default_compute(const model_files *files, const struct arch_config *c) {
    for (int w = ARCH_W_NONE + 1; w < ARCH_W_COUNT; w++) {
        const struct arch_weight_row *row = arch_weight_row((enum arch_weight)w);
        if (!row->is_matrix || !arch_weight_exists(c, (enum arch_weight)w)) continue;
        for (int layer = 0; layer < (row->per_layer ? (int)c->n_layers : 1); layer++)
            if (model_files_tensor(files, (enum arch_weight)w, layer).dtype != DTYPE_F32) return LLAMA_COMPUTE_BF16;
    }
    return LLAMA_COMPUTE_F32;
}

cria_status llama_weights_bytes(const model_files *files, enum llama_compute compute, uint64_t *ret,
                                struct cria_error *err) {
    llama_model shape = {.config = *model_files_config(files), .compute = compute};
    cria_status status = CRIA_OK;
    if (compute == LLAMA_COMPUTE_DEFAULT) shape.compute = default_compute(files, &shape.config);
    TRY(device_create_null(&shape.dev, err));
    shape.layers = alloc_zeroed((size_t)shape.config.n_layers, sizeof *shape.layers);
    if (!shape.layers) {
        status = ERROR_NOMEM(err, (size_t)shape.config.n_layers * sizeof *shape.layers, "the model's layers");
        goto out;
    }
    llama_load_describe(&shape, files);
    *ret = place_all(&shape, files, NULL);
out:
    alloc_free(shape.layers);
    device_destroy(&shape.dev);
    return status;
}

cria_status llama_model_load(llama_model **ret, const model_files *files, device *dev,
                             const struct llama_model_options *options, struct cria_error *err) {
    cria_status status = CRIA_OK;
    llama_model *m = ALLOC_NEW(llama_model);
    if (!m) return ERROR_NOMEM(err, sizeof *m, "the model");
    m->config = *model_files_config(files);
    m->dev = dev;
    m->compute =
        options && options->compute != LLAMA_COMPUTE_DEFAULT ? options->compute : default_compute(files, &m->config);
    m->layers = alloc_zeroed((size_t)m->config.n_layers, sizeof *m->layers);
    if (!m->layers) {
        status = ERROR_NOMEM(err, (size_t)m->config.n_layers * sizeof *m->layers, "the model's layers");
        goto out;
    }
    llama_load_describe(m, files);
    const size_t n_bytes = place_all(m, files, NULL);
    TRY(pages_get(&m->memory, n_bytes, "the model's weights", err));
    m->n_bytes = n_bytes;
    model_files_watch(files);
    device_begin(dev);
    place_all(m, files, m->memory.data);
    device_end(dev);
    TRY(model_files_unwatch(files, err));
    if (m->config.tied) m->head = m->embedding;
    *ret = m;
    m = NULL;
out:
    llama_model_destroy(&m);
    return status;
}

void llama_model_destroy(llama_model **m) {
    if (!*m) return;
    pages_release(&(*m)->memory);
    alloc_free((*m)->layers);
    alloc_free(*m);
    *m = NULL;
}

const struct arch_config *llama_model_config(const llama_model *m) { return &m->config; }
enum llama_compute llama_model_compute(const llama_model *m) { return m->compute; }
uint64_t llama_model_bytes(const llama_model *m) { return m->n_bytes; }
int llama_model_non_finite(const llama_model *m, const char **ret_name) {
    *ret_name = m->n_non_finite ? m->non_finite : NULL;
    return m->n_non_finite;
}
