/* gguf.c: walks a GGUF header once, checking every count, length and type before it is used (see gguf.h).
 *
 * Lists grow while they are read, so what a count claims costs nothing until the bytes behind it exist. */
#include "format/gguf.h"

#include <stdlib.h>
#include <string.h>

#include "arch/limits.h"
#include "base/alloc.h"
#include "base/checked.h"
#include "base/utf8.h"

#define HEADER_BYTES 24 /* magic, version, two counts */

static const struct {
    const char *name;
    size_t n_bytes; /* of one element; 0: variable */
} types[GGUF_TYPE_COUNT] = {
    [GGUF_U8] = {"u8", 1},       [GGUF_I8] = {"i8", 1},   [GGUF_U16] = {"u16", 2}, [GGUF_I16] = {"i16", 2},
    [GGUF_U32] = {"u32", 4},     [GGUF_I32] = {"i32", 4}, [GGUF_F32] = {"f32", 4}, [GGUF_BOOL] = {"bool", 1},
    [GGUF_U64] = {"u64", 8},     [GGUF_I64] = {"i64", 8}, [GGUF_F64] = {"f64", 8}, [GGUF_STRING] = {"string", 0},
    [GGUF_ARRAY] = {"array", 0},
};

/* Where the walk stands; everything up to n can be read. */
struct cursor {
    const uint8_t *bytes;
    size_t at, n;
};

static uint64_t load(const uint8_t *p, size_t n_bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < n_bytes; i++) value |= (uint64_t)p[i] << (8 * i);
    return value;
}

static cria_status read_uint(struct cursor *c, size_t n_bytes, uint64_t *ret, const char *what,
                             struct cria_error *err) {
    if (c->n - c->at < n_bytes) {
        return ERROR_SET(err, CRIA_FORMAT, "the file ends at byte %zu, inside %s", c->n, what);
    }
    *ret = load(c->bytes + c->at, n_bytes);
    c->at += n_bytes;
    return CRIA_OK;
}

/* A length and that many bytes; c moves behind them. */
static cria_status read_span(struct cursor *c, uint64_t max, size_t *ret_at, size_t *ret_bytes, const char *what,
                             struct cria_error *err) {
    uint64_t length = 0;
    const size_t start = c->at;
    const cria_status status = read_uint(c, 8, &length, what, err);
    if (status != CRIA_OK) return status;
    if (length > max) {
        return ERROR_SET(err, CRIA_LIMIT, "%s at byte %zu claims %llu bytes; at most %llu are read", what, start,
                         (unsigned long long)length, (unsigned long long)max);
    }
    if (length > c->n - c->at) {
        return ERROR_SET(err, CRIA_FORMAT, "%s at byte %zu claims %llu bytes, but only %zu follow", what, start,
                         (unsigned long long)length, c->n - c->at);
    }
    *ret_at = c->at;
    *ret_bytes = (size_t)length;
    c->at += (size_t)length;
    return CRIA_OK;
}

/* Names are shown and compared: no control characters, well-formed UTF-8, not empty. */
static cria_status check_name(const uint8_t *bytes, size_t n, const char *what, struct cria_error *err) {
    if (n == 0) return ERROR_SET(err, CRIA_FORMAT, "%s is empty", what);
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] < 0x20 || bytes[i] == 0x7f) {
            return ERROR_SET(err, CRIA_FORMAT, "%s \"%.*s\" has the control byte 0x%02x", what, (int)(i < 64 ? i : 64),
                             (const char *)bytes, bytes[i]);
        }
    }
    if (!utf8_is_valid((const char *)bytes, n)) {
        return ERROR_SET(err, CRIA_FORMAT, "%s \"%.*s\" is not UTF-8", what, (int)(n < 64 ? n : 64),
                         (const char *)bytes);
    }
    return CRIA_OK;
}

static cria_status check_bools(const struct cursor *c, size_t count, struct cria_error *err) {
    for (size_t i = 0; i < count; i++) {
        if (c->bytes[c->at + i] > 1) {
            return ERROR_SET(err, CRIA_FORMAT, "a bool is %u; expected 0 or 1", (unsigned)c->bytes[c->at + i]);
        }
    }
    return CRIA_OK;
}

/* count elements of one type: checks that they are there and moves behind them. */
static cria_status skip_elements(struct cursor *c, uint32_t type, size_t count, struct cria_error *err) {
    if (type == GGUF_STRING) {
        if (count > (c->n - c->at) / 8) return ERROR_SET(err, CRIA_FORMAT, "%zu strings do not fit in the file", count);
        for (size_t i = 0; i < count; i++) {
            size_t at, n;
            const cria_status status = read_span(c, LIMIT_GGUF_STRING_BYTES, &at, &n, "a string", err);
            if (status != CRIA_OK) return status;
        }
        return CRIA_OK;
    }
    const size_t size = types[type].n_bytes;
    if (count > (c->n - c->at) / size) {
        return ERROR_SET(err, CRIA_FORMAT, "%zu elements of type %s do not fit in the file", count, types[type].name);
    }
    if (type == GGUF_BOOL) {
        const cria_status status = check_bools(c, count, err);
        if (status != CRIA_OK) return status;
    }
    c->at += count * size;
    return CRIA_OK;
}

static cria_status check_type(uint64_t type, bool is_element, struct cria_error *err) {
    if (type >= GGUF_TYPE_COUNT) {
        return ERROR_SET(err, CRIA_FORMAT, "value type %llu is unknown; expected 0 to %d", (unsigned long long)type,
                         GGUF_TYPE_COUNT - 1);
    }
    if (is_element && type == GGUF_ARRAY) return ERROR_SET(err, CRIA_FORMAT, "an array of arrays is not allowed");
    return CRIA_OK;
}

static cria_status read_value(struct cursor *c, struct gguf_key *k, struct cria_error *err) {
    cria_status status;
    uint64_t type = 0, count = 1;
    TRY(read_uint(c, 4, &type, "a value's type", err));
    TRY(check_type(type, false, err));
    if (type == GGUF_ARRAY) {
        k->is_array = true;
        TRY(read_uint(c, 4, &type, "an array's type", err));
        TRY(check_type(type, true, err));
        TRY(read_uint(c, 8, &count, "an array's length", err));
        if (count > LIMIT_GGUF_ARRAY) {
            status = ERROR_SET(err, CRIA_LIMIT, "an array claims %llu elements; at most %d are read",
                               (unsigned long long)count, LIMIT_GGUF_ARRAY);
            goto out;
        }
    }
    k->type = (uint32_t)type;
    k->count = (size_t)count;
    k->at = c->at;
    TRY(skip_elements(c, k->type, k->count, err));
out:
    return status;
}

static cria_status read_key(struct cursor *c, struct gguf_key *k, struct cria_error *err) {
    cria_status status;
    size_t n = 0;
    TRY(read_span(c, LIMIT_GGUF_KEY_BYTES, &k->name_at, &n, "a key", err));
    TRY(check_name(c->bytes + k->name_at, n, "a key", err));
    k->name_bytes = (uint32_t)n;
    status = read_value(c, k, err);
    if (status != CRIA_OK)
        error_prefix(err, "key \"%.*s\"", (int)(n < 128 ? n : 128), (const char *)c->bytes + k->name_at);
out:
    return status;
}

static cria_status read_tensor(struct cursor *c, struct gguf_tensor *t, struct cria_error *err) {
    cria_status status;
    size_t n = 0;
    uint64_t n_dims = 0, type = 0;
    TRY(read_span(c, LIMIT_GGUF_NAME_BYTES, &t->name_at, &n, "a tensor's name", err));
    TRY(check_name(c->bytes + t->name_at, n, "a tensor's name", err));
    const char *name = (const char *)c->bytes + t->name_at;
    TRY(read_uint(c, 4, &n_dims, "a tensor's number of dimensions", err));
    if (n_dims < 1 || n_dims > LIMIT_GGUF_DIMENSIONS) {
        status = ERROR_SET(err, CRIA_FORMAT, "tensor \"%.*s\" has %llu dimensions; expected 1 to %d", (int)n, name,
                           (unsigned long long)n_dims, LIMIT_GGUF_DIMENSIONS);
        goto out;
    }
    for (uint64_t i = 0; i < n_dims; i++) {
        uint64_t dim = 0;
        TRY(read_uint(c, 8, &dim, "a tensor's dimensions", err));
        if (dim >= 1 && dim <= INT64_MAX) continue;
        status = ERROR_SET(err, CRIA_FORMAT, "tensor \"%.*s\": dimension %llu is %lld; expected 1 or more", (int)n,
                           name, (unsigned long long)i, (long long)dim);
        goto out;
    }
    TRY(read_uint(c, 4, &type, "a tensor's type", err));
    TRY(read_uint(c, 8, &t->offset, "a tensor's offset", err));
    t->name_bytes = (uint8_t)n;
    t->n_dims = (uint8_t)n_dims;
    t->type = (uint32_t)type;
out:
    return status;
}

static cria_status read_version(struct cursor *c, struct gguf *g, struct cria_error *err) {
    uint64_t version = 0;
    const cria_status status = read_uint(c, 4, &version, "the version", err);
    if (status != CRIA_OK) return status;
    if ((version & 0xffff) == 0 && version) {
        return ERROR_SET(err, CRIA_UNSUPPORTED,
                         "GGUF version %llu has its bytes swapped: a big-endian file; only little-endian ones are read",
                         (unsigned long long)version);
    }
    if (version != 2 && version != 3) {
        return ERROR_SET(err, CRIA_UNSUPPORTED, "GGUF version %llu is not supported; versions 2 and 3 are read",
                         (unsigned long long)version);
    }
    g->version = (uint32_t)version;
    return CRIA_OK;
}

/* Reads a count and holds it to its limit and to what the rest of the file could carry at all. */
static cria_status read_count(struct cursor *c, const char *what, uint64_t limit, size_t smallest, size_t *ret,
                              struct cria_error *err) {
    uint64_t count = 0;
    const cria_status status = read_uint(c, 8, &count, "the header", err);
    if (status != CRIA_OK) return status;
    if (count > limit) {
        return ERROR_SET(err, CRIA_LIMIT, "the file claims %llu %s; at most %llu are read", (unsigned long long)count,
                         what, (unsigned long long)limit);
    }
    if (count > c->n / smallest) {
        return ERROR_SET(err, CRIA_FORMAT, "the file claims %llu %s, which do not fit into its %zu bytes",
                         (unsigned long long)count, what, c->n);
    }
    *ret = (size_t)count;
    return CRIA_OK;
}

/* Makes room in a list for one more item of `size` bytes; NULL without memory, and then the list is as before. */
static void *grow(void *items, size_t n, size_t *capacity, size_t size) {
    if (n < *capacity) return items;
    const size_t more = *capacity ? 2 * *capacity : 256;
    void *grown = alloc_resize(items, more, size);
    if (grown) *capacity = more;
    return grown;
}

static cria_status read_keys(struct cursor *c, struct gguf *g, size_t n, struct cria_error *err) {
    size_t capacity = 0;
    for (g->n_keys = 0; g->n_keys < n; g->n_keys++) {
        struct gguf_key *keys = grow(g->keys, g->n_keys, &capacity, sizeof *keys);
        if (!keys) return ERROR_NOMEM(err, n * sizeof *keys, "the keys of a GGUF file");
        g->keys = keys;
        keys[g->n_keys] = (struct gguf_key){0};
        const cria_status status = read_key(c, &keys[g->n_keys], err);
        if (status != CRIA_OK) return status;
    }
    return CRIA_OK;
}

static cria_status read_tensors(struct cursor *c, struct gguf *g, size_t n, struct cria_error *err) {
    size_t capacity = 0;
    for (g->n_tensors = 0; g->n_tensors < n; g->n_tensors++) {
        struct gguf_tensor *tensors = grow(g->tensors, g->n_tensors, &capacity, sizeof *tensors);
        if (!tensors) return ERROR_NOMEM(err, n * sizeof *tensors, "the tensor list of a GGUF file");
        g->tensors = tensors;
        tensors[g->n_tensors] = (struct gguf_tensor){0};
        const cria_status status = read_tensor(c, &tensors[g->n_tensors], err);
        if (status != CRIA_OK) return status;
    }
    return CRIA_OK;
}

/* The walk: fills the lists and header_bytes, and touches no heap that *g does not own. */
static cria_status scan(struct gguf *g, struct cria_error *err) {
    cria_status status;
    struct cursor c = {g->bytes, 0, g->n_bytes};
    size_t n_tensors = 0, n_keys = 0;
    if (g->n_bytes < 4 || memcmp(g->bytes, "GGUF", 4) != 0) {
        return ERROR_SET(err, CRIA_FORMAT, "not a GGUF file: it does not begin with the four letters GGUF");
    }
    if (g->n_bytes < HEADER_BYTES) {
        return ERROR_SET(err, CRIA_FORMAT, "the file has %zu bytes; a GGUF header has %d", g->n_bytes, HEADER_BYTES);
    }
    c.at = 4;
    TRY(read_version(&c, g, err));
    TRY(read_count(&c, "tensors", LIMIT_GGUF_TENSORS, 33, &n_tensors, err));
    TRY(read_count(&c, "keys", LIMIT_GGUF_KEYS, 14, &n_keys, err));
    TRY(read_keys(&c, g, n_keys, err));
    TRY(read_tensors(&c, g, n_tensors, err));
    g->header_bytes = c.at;
out:
    return status;
}

struct text_span gguf_key_name(const struct gguf *g, const struct gguf_key *k) {
    return (struct text_span){(const char *)g->bytes + k->name_at, k->name_bytes};
}

struct text_span gguf_tensor_name(const struct gguf *g, const struct gguf_tensor *t) {
    return (struct text_span){(const char *)g->bytes + t->name_at, t->name_bytes};
}

uint64_t gguf_tensor_dim(const struct gguf *g, const struct gguf_tensor *t, int i) {
    return i < t->n_dims ? load(g->bytes + t->name_at + t->name_bytes + 4 + 8 * (size_t)i, 8) : 1;
}

static int compare_spans(struct text_span a, struct text_span b) {
    const int order = memcmp(a.bytes, b.bytes, a.n < b.n ? a.n : b.n);
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

static int by_key_name(const void *a, const void *b, void *arg) {
    const struct gguf *g = arg;
    return compare_spans(gguf_key_name(g, &g->keys[*(const uint32_t *)a]),
                         gguf_key_name(g, &g->keys[*(const uint32_t *)b]));
}

static int by_tensor_name(const void *a, const void *b, void *arg) {
    const struct gguf *g = arg;
    return compare_spans(gguf_tensor_name(g, &g->tensors[*(const uint32_t *)a]),
                         gguf_tensor_name(g, &g->tensors[*(const uint32_t *)b]));
}

/* The numbers 0 .. n-1 sorted by compare, and no two equal: else *ret_twice is one of a pair. */
static cria_status sort_names(struct gguf *g, size_t n, int (*compare)(const void *, const void *, void *),
                              uint32_t **ret, size_t *ret_twice, struct cria_error *err) {
    uint32_t *order = alloc_array(n, sizeof *order);
    if (!order) return ERROR_NOMEM(err, n * sizeof *order, "the names of a GGUF file");
    for (size_t i = 0; i < n; i++) order[i] = (uint32_t)i;
    qsort_r(order, n, sizeof *order, compare, g);
    *ret_twice = n;
    for (size_t i = 1; i < n; i++) {
        if (compare(&order[i - 1], &order[i], g) == 0) *ret_twice = order[i];
    }
    *ret = order;
    return CRIA_OK;
}

static cria_status sort_all(struct gguf *g, struct cria_error *err) {
    cria_status status;
    size_t twice = 0;
    TRY(sort_names(g, g->n_keys, by_key_name, &g->key_order, &twice, err));
    if (twice < g->n_keys) {
        const struct text_span name = gguf_key_name(g, &g->keys[twice]);
        status =
            ERROR_SET(err, CRIA_FORMAT, "key \"%.*s\" comes twice", (int)(name.n < 128 ? name.n : 128), name.bytes);
        goto out;
    }
    TRY(sort_names(g, g->n_tensors, by_tensor_name, &g->tensor_order, &twice, err));
    if (twice < g->n_tensors) {
        const struct text_span name = gguf_tensor_name(g, &g->tensors[twice]);
        status = ERROR_SET(err, CRIA_FORMAT, "tensor \"%.*s\" comes twice", (int)name.n, name.bytes);
    }
out:
    return status;
}

static cria_status read_alignment(struct gguf *g, struct cria_error *err) {
    uint64_t alignment = 32;
    const struct gguf_key *k = gguf_find_key(g, "general.alignment");
    if (k) {
        const cria_status status = gguf_read_u64(g, k, UINT32_MAX, &alignment, err);
        if (status != CRIA_OK) return status;
        if (k->is_array) return ERROR_SET(err, CRIA_FORMAT, "key \"general.alignment\" is an array; expected a number");
    }
    if (alignment < LIMIT_GGUF_MIN_ALIGNMENT || alignment > LIMIT_GGUF_MAX_ALIGNMENT || (alignment & (alignment - 1))) {
        return ERROR_SET(err, CRIA_RANGE, "general.alignment is %llu; expected a power of two from %d to %d",
                         (unsigned long long)alignment, LIMIT_GGUF_MIN_ALIGNMENT, LIMIT_GGUF_MAX_ALIGNMENT);
    }
    g->alignment = alignment;
    g->data_start = ((uint64_t)g->header_bytes + alignment - 1) / alignment * alignment;
    return CRIA_OK;
}

cria_status gguf_parse(struct gguf *g, const uint8_t *bytes, size_t n, uint64_t file_bytes, struct cria_error *err) {
    cria_status status;
    g->bytes = bytes;
    g->n_bytes = n;
    g->file_bytes = file_bytes;
    TRY(scan(g, err));
    TRY(sort_all(g, err));
    TRY(read_alignment(g, err));
out:
    return status;
}

static cria_status scan_guarded(void *arg, struct cria_error *err) { return scan(arg, err); }

struct copy {
    uint8_t *to;
    const uint8_t *from;
    size_t n;
};

static cria_status copy_guarded(void *arg, struct cria_error *err) {
    const struct copy *c = arg;
    (void)err;
    memcpy(c->to, c->from, c->n);
    return CRIA_OK;
}

cria_status gguf_open(struct gguf *g, const struct file_map *map, struct cria_error *err) {
    cria_status status;
    struct gguf first = {.bytes = map->data, .n_bytes = map->n_bytes};
    uint8_t *copy = NULL;
    if (!map->data) {
        status = ERROR_SET(err, CRIA_FORMAT, "the file is empty");
        goto out;
    }
    TRY(file_guard(map, scan_guarded, &first, err));
    const size_t n = first.header_bytes;
    gguf_free(&first);
    copy = alloc_array(n, 1);
    if (!copy) {
        status = ERROR_NOMEM(err, n, "the header of a GGUF file");
        goto out;
    }
    struct copy work = {copy, map->data, n};
    TRY(file_guard(map, copy_guarded, &work, err));
    g->owned_copy = copy;
    copy = NULL;
    TRY(gguf_parse(g, g->owned_copy, n, map->n_bytes, err));
out:
    alloc_free(copy);
    gguf_free(&first);
    return status;
}

void gguf_free(struct gguf *g) {
    alloc_free(g->keys);
    alloc_free(g->tensors);
    alloc_free(g->key_order);
    alloc_free(g->tensor_order);
    alloc_free(g->owned_copy);
    *g = (struct gguf){0};
}

const struct gguf_key *gguf_find_key(const struct gguf *g, const char *name) {
    const struct text_span wanted = {name, strlen(name)};
    size_t low = 0, high = g->n_keys;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const struct gguf_key *k = &g->keys[g->key_order[middle]];
        const int order = compare_spans(wanted, gguf_key_name(g, k));
        if (order == 0) return k;
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}
