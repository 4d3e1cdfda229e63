/* gguf_tensors.c: number formats and places of the tensors of a GGUF file (see gguf.h). */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "format/gguf.h"

/* Names of ggml's types, by number; NULL for retired and unknown ones. */
static const char *type_name(uint32_t type) {
    static const char *const names[] = {
        [0] = "F32",     [1] = "F16",    [2] = "Q4_0",     [3] = "Q4_1",    [6] = "Q5_0",     [7] = "Q5_1",
        [8] = "Q8_0",    [9] = "Q8_1",   [10] = "Q2_K",    [11] = "Q3_K",   [12] = "Q4_K",    [13] = "Q5_K",
        [14] = "Q6_K",   [15] = "Q8_K",  [16] = "IQ2_XXS", [17] = "IQ2_XS", [18] = "IQ3_XXS", [19] = "IQ1_S",
        [20] = "IQ4_NL", [21] = "IQ3_S", [22] = "IQ2_S",   [23] = "IQ4_XS", [24] = "I8",      [25] = "I16",
        [26] = "I32",    [27] = "I64",   [28] = "F64",     [29] = "IQ1_M",  [30] = "BF16",    [34] = "TQ1_0",
        [35] = "TQ2_0",  [39] = "MXFP4", [40] = "NVFP4",   [41] = "Q1_0",   [42] = "Q2_0",
    };
    return type < sizeof names / sizeof names[0] ? names[type] : NULL;
}

enum dtype gguf_tensor_dtype(const struct gguf_tensor *t) {
    for (int d = DTYPE_NONE + 1; d < DTYPE_COUNT; d++) {
        if (dtype_info((enum dtype)d)->ggml_id == t->type) return (enum dtype)d;
    }
    return DTYPE_NONE;
}

static cria_status check_type(const struct gguf *g, const struct gguf_tensor *t, struct cria_error *err) {
    if (gguf_tensor_dtype(t) != DTYPE_NONE) return CRIA_OK;
    const struct text_span name = gguf_tensor_name(g, t);
    if (type_name(t->type)) {
        return ERROR_SET(err, CRIA_UNSUPPORTED,
                         "tensor \"%.*s\" is stored as %s, which is not supported yet; F32, BF16, F16, Q8_0, Q4_0, "
                         "Q4_1, Q4_K, Q5_K and Q6_K are",
                         (int)name.n, name.bytes, type_name(t->type));
    }
    return ERROR_SET(err, CRIA_FORMAT, "tensor \"%.*s\" has the unknown type %u", (int)name.n, name.bytes, t->type);
}

/* Bytes of a tensor of a known type; 0 where the row has a part of a block or a product overflows. */
static size_t stored_bytes(const struct gguf *g, const struct gguf_tensor *t) {
    const uint64_t columns = gguf_tensor_dim(g, t, 0);
    size_t bytes = dtype_bytes(gguf_tensor_dtype(t), (size_t)columns), elements = (size_t)columns;
    for (int i = 1; i < t->n_dims; i++) {
        const size_t dim = (size_t)gguf_tensor_dim(g, t, i);
        if (checked_mul_size(bytes, dim, &bytes) || checked_mul_size(elements, dim, &elements)) return 0;
    }
    return elements <= INT64_MAX ? bytes : 0;
}

size_t gguf_tensor_bytes(const struct gguf *g, const struct gguf_tensor *t) { return stored_bytes(g, t); }

static cria_status check_place(const struct gguf *g, const struct gguf_tensor *t, struct cria_error *err) {
    const struct text_span name = gguf_tensor_name(g, t);
    const int n = (int)name.n;
    const size_t block = dtype_info(gguf_tensor_dtype(t))->block_elements;
    const uint64_t columns = gguf_tensor_dim(g, t, 0);
    if (columns % block) {
        return ERROR_SET(err, CRIA_SHAPE,
                         "tensor \"%.*s\": rows of %llu elements are no multiple of the %zu of a %s block", n,
                         name.bytes, (unsigned long long)columns, block, dtype_name(gguf_tensor_dtype(t)));
    }
    const uint64_t bytes = stored_bytes(g, t);
    uint64_t begin, end;
    if (!bytes)
        return ERROR_SET(err, CRIA_SHAPE, "tensor \"%.*s\" has more elements than can be counted", n, name.bytes);
    if (t->offset % g->alignment) {
        return ERROR_SET(err, CRIA_FORMAT, "tensor \"%.*s\": offset %llu is no multiple of the alignment %llu", n,
                         name.bytes, (unsigned long long)t->offset, (unsigned long long)g->alignment);
    }
    if (__builtin_add_overflow(g->data_start, t->offset, &begin) || __builtin_add_overflow(begin, bytes, &end) ||
        end > g->file_bytes) {
        return ERROR_SET(
            err, CRIA_FORMAT,
            "tensor \"%.*s\": %llu bytes at offset %llu of the data reach beyond the end of the file (%llu bytes)", n,
            name.bytes, (unsigned long long)bytes, (unsigned long long)t->offset, (unsigned long long)g->file_bytes);
    }
    return CRIA_OK;
}

static int by_offset(const void *a, const void *b, void *arg) {
    const struct gguf *g = arg;
    const struct gguf_tensor *x = &g->tensors[*(const uint32_t *)a], *y = &g->tensors[*(const uint32_t *)b];
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static cria_status check_overlap(const struct gguf *g, struct cria_error *err) {
    uint32_t *order = alloc_array(g->n_tensors, sizeof *order);
    if (!order) return ERROR_NOMEM(err, g->n_tensors * sizeof *order, "the tensor list of a GGUF file");
    for (size_t i = 0; i < g->n_tensors; i++) order[i] = (uint32_t)i;
    qsort_r(order, g->n_tensors, sizeof *order, by_offset, (void *)g);
    cria_status status = CRIA_OK;
    for (size_t i = 1; i < g->n_tensors && status == CRIA_OK; i++) {
        const struct gguf_tensor *a = &g->tensors[order[i - 1]], *b = &g->tensors[order[i]];
        if (a->offset + stored_bytes(g, a) <= b->offset) continue;
        const struct text_span x = gguf_tensor_name(g, a), y = gguf_tensor_name(g, b);
        status =
            ERROR_SET(err, CRIA_FORMAT, "tensors \"%.*s\" and \"%.*s\" overlap", (int)x.n, x.bytes, (int)y.n, y.bytes);
    }
    alloc_free(order);
    return status;
}

cria_status gguf_check_tensors(const struct gguf *g, struct cria_error *err) {
    for (size_t i = 0; i < g->n_tensors; i++) {
        cria_status status = check_type(g, &g->tensors[i], err);
        if (status == CRIA_OK) status = check_place(g, &g->tensors[i], err);
        if (status != CRIA_OK) return status;
    }
    return check_overlap(g, err);
}
