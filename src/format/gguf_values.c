/* gguf_values.c: reads the values of keys as what a caller wants, or says which type was found (see gguf.h). */
#include <string.h>

#include "format/gguf.h"

static const char *const type_names[GGUF_TYPE_COUNT] = {
    "an unsigned 8-bit integer",
    "a signed 8-bit integer",
    "an unsigned 16-bit integer",
    "a signed 16-bit integer",
    "an unsigned 32-bit integer",
    "a signed 32-bit integer",
    "a 32-bit float",
    "a bool",
    "a string",
    "an array",
    "an unsigned 64-bit integer",
    "a signed 64-bit integer",
    "a 64-bit float",
};

static cria_status wrong_type(const struct gguf *g, const struct gguf_key *k, const char *expected,
                              struct cria_error *err) {
    const struct text_span name = gguf_key_name(g, k);
    return ERROR_SET(err, CRIA_FORMAT, "key \"%.*s\" is %s%s; expected %s", (int)(name.n < 128 ? name.n : 128),
                     name.bytes, k->is_array ? "an array of which each element is " : "", type_names[k->type],
                     expected);
}

static uint64_t load_le(const uint8_t *p, size_t n_bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < n_bytes; i++) value |= (uint64_t)p[i] << (8 * i);
    return value;
}

/* Element i of an integer key as 64 bits with a sign; false for other types. */
static bool load_integer(const struct gguf *g, const struct gguf_key *k, size_t i, bool *ret_negative, uint64_t *ret) {
    size_t size;
    bool is_signed = false;
    switch (k->type) {
        case GGUF_I8:
            is_signed = true; /* fall through */
        case GGUF_U8:
            size = 1;
            break;
        case GGUF_I16:
            is_signed = true; /* fall through */
        case GGUF_U16:
            size = 2;
            break;
        case GGUF_I32:
            is_signed = true; /* fall through */
        case GGUF_U32:
            size = 4;
            break;
        case GGUF_I64:
            is_signed = true; /* fall through */
        case GGUF_U64:
            size = 8;
            break;
        default:
            return false;
    }
    uint64_t value = load_le(g->bytes + k->at + i * size, size);
    const bool negative = is_signed && value >> (8 * size - 1);
    if (negative && size < 8) value |= ~(uint64_t)0 << (8 * size);
    *ret_negative = negative;
    *ret = value;
    return true;
}

static cria_status read_element(const struct gguf *g, const struct gguf_key *k, size_t i, uint64_t max, uint64_t *ret,
                                struct cria_error *err) {
    const struct text_span name = gguf_key_name(g, k);
    const int n = (int)(name.n < 128 ? name.n : 128);
    bool negative = false;
    uint64_t value = 0;
    if (!load_integer(g, k, i, &negative, &value)) return wrong_type(g, k, "an unsigned integer", err);
    if (negative) {
        return ERROR_SET(err, CRIA_RANGE, "key \"%.*s\" is %lld; expected 0 to %llu", n, name.bytes, (long long)value,
                         (unsigned long long)max);
    }
    if (value > max) {
        return ERROR_SET(err, CRIA_RANGE, "key \"%.*s\" is %llu; expected 0 to %llu", n, name.bytes,
                         (unsigned long long)value, (unsigned long long)max);
    }
    *ret = value;
    return CRIA_OK;
}

cria_status gguf_read_u64(const struct gguf *g, const struct gguf_key *k, uint64_t max, uint64_t *ret,
                          struct cria_error *err) {
    if (k->is_array) return wrong_type(g, k, "an unsigned integer", err);
    return read_element(g, k, 0, max, ret, err);
}

cria_status gguf_read_layers_u64(const struct gguf *g, const struct gguf_key *k, uint64_t n_layers, uint64_t max,
                                 uint64_t *ret, struct cria_error *err) {
    const struct text_span name = gguf_key_name(g, k);
    const int n = (int)(name.n < 128 ? name.n : 128);
    if (!k->is_array) return gguf_read_u64(g, k, max, ret, err);
    if (k->count != n_layers) {
        return ERROR_SET(err, CRIA_FORMAT, "key \"%.*s\" is an array of %zu elements; the model has %llu layers", n,
                         name.bytes, k->count, (unsigned long long)n_layers);
    }
    uint64_t first = 0;
    for (size_t i = 0; i < k->count; i++) {
        uint64_t value = 0;
        const cria_status status = read_element(g, k, i, max, &value, err);
        if (status != CRIA_OK) return status;
        if (i == 0) first = value;
        if (value != first) {
            return ERROR_SET(err, CRIA_UNSUPPORTED,
                             "key \"%.*s\" differs between layers (%llu and %llu); all have to be equal", n, name.bytes,
                             (unsigned long long)first, (unsigned long long)value);
        }
    }
    *ret = first;
    return CRIA_OK;
}

cria_status gguf_read_f64(const struct gguf *g, const struct gguf_key *k, double *ret, struct cria_error *err) {
    if (k->is_array || (k->type != GGUF_F32 && k->type != GGUF_F64)) return wrong_type(g, k, "a float", err);
    if (k->type == GGUF_F32) {
        *ret = (double)dtype_f32_from_bits((uint32_t)load_le(g->bytes + k->at, 4));
    } else {
        const uint64_t bits = load_le(g->bytes + k->at, 8);
        memcpy(ret, &bits, sizeof *ret);
    }
    return CRIA_OK;
}

cria_status gguf_read_bool(const struct gguf *g, const struct gguf_key *k, bool *ret, struct cria_error *err) {
    if (k->is_array || k->type != GGUF_BOOL) return wrong_type(g, k, "a bool", err);
    *ret = g->bytes[k->at] == 1;
    return CRIA_OK;
}

/* The string at position at of the header, whose length was checked; *ret_next is the position behind it. */
static struct text_span string_at(const struct gguf *g, size_t at, size_t *ret_next) {
    const size_t n = (size_t)load_le(g->bytes + at, 8);
    *ret_next = at + 8 + n;
    return (struct text_span){(const char *)g->bytes + at + 8, n};
}

cria_status gguf_read_string(const struct gguf *g, const struct gguf_key *k, struct text_span *ret,
                             struct cria_error *err) {
    if (k->is_array || k->type != GGUF_STRING) return wrong_type(g, k, "a string", err);
    size_t next;
    *ret = string_at(g, k->at, &next);
    return CRIA_OK;
}

cria_status gguf_read_strings(const struct gguf *g, const struct gguf_key *k, struct text_span *out,
                              struct cria_error *err) {
    if (!k->is_array || k->type != GGUF_STRING) return wrong_type(g, k, "an array of strings", err);
    size_t at = k->at;
    for (size_t i = 0; i < k->count; i++) out[i] = string_at(g, at, &at);
    return CRIA_OK;
}

cria_status gguf_read_floats(const struct gguf *g, const struct gguf_key *k, float *out, struct cria_error *err) {
    if (!k->is_array || k->type != GGUF_F32) return wrong_type(g, k, "an array of 32-bit floats", err);
    for (size_t i = 0; i < k->count; i++) out[i] = dtype_f32_from_bits((uint32_t)load_le(g->bytes + k->at + 4 * i, 4));
    return CRIA_OK;
}

cria_status gguf_read_ints(const struct gguf *g, const struct gguf_key *k, int32_t *out, struct cria_error *err) {
    if (!k->is_array) return wrong_type(g, k, "an array of integers", err);
    for (size_t i = 0; i < k->count; i++) {
        bool negative = false;
        uint64_t value = 0;
        if (!load_integer(g, k, i, &negative, &value)) return wrong_type(g, k, "an array of integers", err);
        if (negative ? (int64_t)value < INT32_MIN : value > INT32_MAX) {
            const struct text_span name = gguf_key_name(g, k);
            return ERROR_SET(err, CRIA_RANGE, "key \"%.*s\": element %zu does not fit in 32 bits",
                             (int)(name.n < 128 ? name.n : 128), name.bytes, i);
        }
        out[i] = (int32_t)(int64_t)value;
    }
    return CRIA_OK;
}
