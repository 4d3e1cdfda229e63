/* device.c: the part of device.h that is the same for every back end: descriptions, sizes and the calls through. */
#include "device/device.h"

#include <immintrin.h>

#include "device/device_ops.h"
#include "device/product_scratch.h"

enum { FLUSH_AND_ZERO = 0x8040 };

void device_destroy(device **d) {
    if (!*d) return;
    (*d)->ops->destroy(*d);
    *d = NULL;
}

enum kernel_isa device_isa(const device *d) { return d->table.isa; }
int device_threads(const device *d) { return d->n_threads; }

void device_begin(device *d) {
    d->float_state = _mm_getcsr();
    _mm_setcsr((d->float_state & ~0x603fu) | FLUSH_AND_ZERO | 0x1f80);
}

void device_end(device *d) { _mm_setcsr(d->float_state); }

static int steps_of(int64_t n) { return (int)((n + ORDER_STEP - 1) / ORDER_STEP); }

/* Quantised blocks stay as they are where every shard begins with a whole block; else each number becomes bf16. */
static enum dtype held_as(const struct device_matrix_source *source, bool f32, int n_shards, const int64_t *shard_k) {
    const int64_t block = (int64_t)dtype_info(source->stored)->block_elements;
    if (f32) return DTYPE_F32;
    if (block == 1) return DTYPE_BF16;
    for (int s = 0; s <= n_shards; s++)
        if (shard_k[s] % block) return DTYPE_BF16;
    return source->stored;
}

void device_matrix_plan(const device *d, const struct device_matrix_source *source, bool f32, int n_shards,
                        const int64_t *shard_k, struct device_matrix *ret) {
    (void)d;
    const int64_t whole[2] = {0, source->n_columns};
    if (!shard_k) {
        shard_k = whole;
        n_shards = 1;
    }
    CRIA_ASSERT(n_shards >= 1 && n_shards <= DEVICE_MAX_SHARDS && shard_k[n_shards] == source->n_columns);
    struct device_matrix m = {.n_rows = source->n_rows, .n_columns = source->n_columns, .n_shards = n_shards};
    for (int s = 0; s < n_shards; s++) {
        m.shard_k[s] = shard_k[s];
        m.shard_step[s + 1] = m.shard_step[s] + steps_of(shard_k[s + 1] - shard_k[s]);
    }
    m.shard_k[n_shards] = source->n_columns;
    m.weights.dtype = held_as(source, f32, n_shards, shard_k);
    m.weights.n_steps = m.shard_step[n_shards];
    m.weights.panel_bytes = kernel_panel_bytes(m.weights.dtype, m.weights.n_steps);
    /* Work is handed out in pairs of panels. */
    m.n_bytes = (size_t)(source->n_rows + 2 * KERNEL_PANEL - 1) / (2 * KERNEL_PANEL) * 2 * m.weights.panel_bytes;
    *ret = m;
}

int64_t device_pack_grain(const struct device_matrix_source *source) {
    return KERNEL_PANEL * (source->interleaved_heads ? source->interleaved_heads : 1);
}

void device_matrix_pack(device *d, const struct device_matrix_source *source, struct device_matrix *m, uint8_t *memory,
                        int64_t first_row, int64_t end_row) {
    const int64_t grain = device_pack_grain(source);
    CRIA_ASSERT(first_row % grain == 0);
    m->weights.data = memory;
    d->ops->matrix_pack(d, source, m, first_row, end_row);
}

void device_embed(device *d, const struct device_matrix *m, const int32_t *ids, int n_rows, float *out,
                  size_t out_stride) {
    d->ops->embed(d, m, ids, n_rows, out, out_stride);
}

size_t device_row_bytes(const device *d, const struct device_matrix *m) {
    return (size_t)m->weights.n_steps * device_step_bytes(d, m->weights.dtype);
}

void device_norm(device *d, const struct device_norm *a) { d->ops->norm(d, a); }
void device_linear(device *d, const struct device_linear *a) { d->ops->linear(d, a); }
void device_gated(device *d, const struct device_gated *a) { d->ops->gated(d, a); }
void device_rotate(device *d, const struct device_rotate *a) { d->ops->rotate(d, a); }
void device_attention(device *d, const struct device_attention *a) { d->ops->attention(d, a); }
void device_attention_backward(device *d, const struct device_attention_backward *a) {
    d->ops->attention_backward(d, a);
}
float device_logsumexp(device *d, const float *x, int64_t n) { return d->ops->logsumexp(d, x, n); }

/* Keys: ORDER_KEY_BLOCK outputs over S columns; values: S outputs over ORDER_KEY_BLOCK columns. */
void device_kv_plan(const device *d, enum dtype dtype, int64_t n_kv_heads, int64_t head_size, struct device_kv *ret) {
    (void)d;
    const size_t tile = kernel_panel_bytes(dtype, 1);
    const size_t key_panels = ORDER_KEY_BLOCK / KERNEL_PANEL,
                 value_panels = (size_t)(head_size + KERNEL_PANEL - 1) / KERNEL_PANEL;
    const size_t key_bytes = key_panels * (size_t)steps_of(head_size) * tile;
    const size_t head_bytes = key_bytes + value_panels * tile;
    *ret = (struct device_kv){dtype, n_kv_heads, head_size, head_bytes, key_bytes, head_bytes * (size_t)n_kv_heads};
}

static void clear_head(const device *d, const struct device_kv *kv, uint8_t *head, int token) {
    const size_t tile = kernel_panel_bytes(kv->dtype, 1), key_panel = (size_t)steps_of(kv->head_size) * tile;
    for (int i = 0; i < kv->head_size; i++) {
        kernel_tile_put(&d->table, head + (size_t)(token / KERNEL_PANEL) * key_panel + (size_t)(i / ORDER_STEP) * tile,
                        kv->dtype, token % KERNEL_PANEL, i % ORDER_STEP, 0.0f);
        kernel_tile_put(&d->table, head + kv->value_offset + (size_t)(i / KERNEL_PANEL) * tile, kv->dtype,
                        i % KERNEL_PANEL, token, 0.0f);
    }
}

void device_kv_clear(const device *d, const struct device_kv *kv, uint8_t *page, int first_token) {
    for (int64_t g = 0; g < kv->n_kv_heads; g++)
        for (int token = first_token; token < ORDER_KEY_BLOCK; token++)
            clear_head(d, kv, page + (size_t)g * kv->head_bytes, token);
}

size_t device_q_bytes(const device *d, const struct device_kv *kv, int64_t n_heads) {
    return (size_t)n_heads * (size_t)steps_of(kv->head_size) * device_step_bytes(d, kv->dtype);
}

/* Every shard may end in a step that is not full. */
static size_t thread_scratch_bytes(int64_t max_columns) {
    return product_scratch_bytes(steps_of(max_columns) + DEVICE_MAX_SHARDS);
}

size_t device_scratch_bytes(const device *d, int64_t max_columns) {
    return thread_scratch_bytes(max_columns) * (size_t)d->n_threads;
}

void device_set_scratch(device *d, uint8_t *scratch, int64_t max_columns) {
    d->scratch = scratch;
    d->scratch_bytes = thread_scratch_bytes(max_columns);
}
