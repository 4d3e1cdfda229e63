/* safetensors.c: reads the JSON header of a safetensors file (see safetensors.h). */
#include "format/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "arch/limits.h"
#include "base/alloc.h"
#include "base/json.h"

#define MAX_DEPTH 4 /* of a header: entries hold arrays; deeper things are nobody's */

static const struct {
    const char *name;
    unsigned n_bytes;
} formats[] = {
    {"F32", 4},     {"BF16", 2},    {"F16", 2},     {"F64", 8},  {"I64", 8}, {"I32", 4},
    {"I16", 2},     {"I8", 1},      {"U64", 8},     {"U32", 4},  {"U16", 2}, {"U8", 1},
    {"F8_E4M3", 1}, {"F8_E5M2", 1}, {"F8_E8M0", 1}, {"BOOL", 1}, {"C64", 8},
};

const char *safetensors_format_name(const struct safetensors_tensor *t) { return formats[t->format].name; }

enum dtype safetensors_dtype(const struct safetensors_tensor *t) {
    for (int d = DTYPE_NONE + 1; d < DTYPE_COUNT; d++) {
        const char *name = dtype_info((enum dtype)d)->safetensors_name;
        if (name && strcmp(name, formats[t->format].name) == 0) return (enum dtype)d;
    }
    return DTYPE_NONE;
}

/* Takes a value that nobody asked for, but none that is nested too deep. */
static cria_status skip_shallow(json_reader *r, struct cria_error *err) {
    cria_status status = CRIA_OK;
    const int outside = r->depth;
    bool more = true;
    struct json_text key;
    do {
        const enum json_kind kind = json_peek(r);
        if ((kind == JSON_OBJECT || kind == JSON_ARRAY) && r->depth >= MAX_DEPTH) {
            return json_fail(r, err, "the header is nested deeper than %d", MAX_DEPTH);
        }
        if (kind == JSON_OBJECT) {
            TRY(json_begin_object(r, err));
        } else if (kind == JSON_ARRAY) {
            TRY(json_begin_array(r, err));
        } else {
            TRY(json_skip(r, err));
        }
        while (r->depth > outside) { /* up to the next value, closing what ends before it */
            if (r->levels[r->depth - 1].is_object) {
                TRY(json_next_key(r, &key, &more, err));
            } else {
                TRY(json_next_element(r, &more, err));
            }
            if (more) break;
        }
    } while (r->depth > outside);
out:
    return status;
}

static cria_status read_format(json_reader *r, struct safetensors_tensor *t, struct cria_error *err) {
    struct json_text name;
    const cria_status status = json_read_string(r, &name, err);
    if (status != CRIA_OK) return status;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (!json_text_is(name, formats[i].name)) continue;
        t->format = (uint8_t)i;
        return CRIA_OK;
    }
    return json_fail(r, err, "number format \"%.*s\" is unknown", (int)(name.n < 32 ? name.n : 32), name.bytes);
}

/* The number of elements goes to *ret_elements. */
static cria_status read_shape(json_reader *r, struct safetensors_tensor *t, uint64_t *ret_elements,
                              struct cria_error *err) {
    cria_status status;
    uint64_t elements = 1;
    bool more = false, is_zero = false;
    TRY(json_begin_array(r, err));
    for (;;) {
        uint64_t dim = 0;
        TRY(json_next_element(r, &more, err));
        if (!more) break;
        if (t->rank == LIMIT_SAFETENSORS_DIMENSIONS) {
            return json_fail(r, err, "a shape has more than %d dimensions", LIMIT_SAFETENSORS_DIMENSIONS);
        }
        TRY(json_read_u64(r, INT64_MAX, &dim, err));
        if (t->rank < 2) t->dims[t->rank] = dim;
        t->rank++;
        is_zero = is_zero || dim == 0;
        if (!is_zero && (__builtin_mul_overflow(elements, dim, &elements) || elements > INT64_MAX)) {
            return json_fail(r, err, "a shape has more elements than can be counted");
        }
    }
    *ret_elements = is_zero ? 0 : elements;
out:
    return status;
}

static cria_status read_offsets(json_reader *r, struct safetensors_tensor *t, uint64_t data_bytes,
                                struct cria_error *err) {
    cria_status status;
    bool more = false;
    uint64_t *const ends[] = {&t->begin, &t->end};
    TRY(json_begin_array(r, err));
    for (int i = 0; i < 3; i++) {
        TRY(json_next_element(r, &more, err));
        if (more != (i < 2)) return json_fail(r, err, "data_offsets is no array of two numbers");
        if (more) TRY(json_read_u64(r, INT64_MAX, ends[i], err));
    }
    if (t->begin > t->end || t->end > data_bytes) {
        return json_fail(r, err, "data_offsets [%llu, %llu] do not lie in order inside the %llu bytes of data",
                         (unsigned long long)t->begin, (unsigned long long)t->end, (unsigned long long)data_bytes);
    }
out:
    return status;
}

static cria_status read_entry(json_reader *r, struct safetensors_tensor *t, uint64_t data_bytes,
                              struct cria_error *err) {
    cria_status status;
    bool more = false, has_format = false, has_shape = false, has_offsets = false;
    uint64_t elements = 0, bytes = 0;
    struct json_text key;
    t->dims[0] = t->dims[1] = 1;
    TRY(json_begin_object(r, err));
    for (;;) {
        TRY(json_next_key(r, &key, &more, err));
        if (!more) break;
        if (json_text_is(key, "dtype")) {
            has_format = true;
            TRY(read_format(r, t, err));
        } else if (json_text_is(key, "shape")) {
            has_shape = true;
            TRY(read_shape(r, t, &elements, err));
        } else if (json_text_is(key, "data_offsets")) {
            has_offsets = true;
            TRY(read_offsets(r, t, data_bytes, err));
        } else {
            TRY(skip_shallow(r, err));
        }
    }
    if (!has_format || !has_shape || !has_offsets) {
        return json_fail(r, err, "%s is missing", !has_format ? "dtype" : !has_shape ? "shape" : "data_offsets");
    }
    if (__builtin_mul_overflow(elements, (uint64_t)formats[t->format].n_bytes, &bytes) || bytes != t->end - t->begin) {
        return json_fail(r, err, "%llu elements of %s are not the %llu bytes that data_offsets span",
                         (unsigned long long)elements, formats[t->format].name,
                         (unsigned long long)(t->end - t->begin));
    }
out:
    return status;
}

static cria_status read_metadata(json_reader *r, struct cria_error *err) {
    cria_status status;
    bool more = false;
    struct json_text text;
    TRY(json_begin_object(r, err));
    for (;;) {
        TRY(json_next_key(r, &text, &more, err));
        if (!more) break;
        TRY(json_read_string(r, &text, err));
    }
out:
    return status;
}

static cria_status grow(struct safetensors *s, size_t *capacity, struct cria_error *err) {
    if (s->n_tensors < *capacity) return CRIA_OK;
    if (s->n_tensors >= LIMIT_SAFETENSORS_TENSORS) {
        return ERROR_SET(err, CRIA_LIMIT, "the file has more than %d tensors", LIMIT_SAFETENSORS_TENSORS);
    }
    const size_t more = *capacity ? 2 * *capacity : 256;
    struct safetensors_tensor *tensors = alloc_resize(s->tensors, more, sizeof *tensors);
    if (!tensors) return ERROR_NOMEM(err, more * sizeof *tensors, "the tensor list of a safetensors file");
    s->tensors = tensors;
    *capacity = more;
    return CRIA_OK;
}

/* The name's bytes live in the header's text, except where it was written with escapes. */
static cria_status keep_name(struct safetensors_tensor *t, struct json_text name, const char *text, size_t n,
                             struct cria_error *err) {
    if (name.n > LIMIT_SAFETENSORS_NAME_BYTES) {
        return ERROR_SET(err, CRIA_LIMIT, "a tensor's name has %zu bytes; at most %d are read", name.n,
                         LIMIT_SAFETENSORS_NAME_BYTES);
    }
    t->name = name.bytes;
    t->name_bytes = (uint32_t)name.n;
    if ((uintptr_t)name.bytes >= (uintptr_t)text && (uintptr_t)name.bytes < (uintptr_t)text + n) return CRIA_OK;
    t->name = alloc_text(name.bytes, name.n);
    if (!t->name) return ERROR_NOMEM(err, name.n, "a tensor's name");
    t->name_is_owned = true;
    return CRIA_OK;
}

static int by_begin(const void *a, const void *b, void *arg) {
    const struct safetensors *s = arg;
    const struct safetensors_tensor *x = &s->tensors[*(const uint32_t *)a], *y = &s->tensors[*(const uint32_t *)b];
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* In order of their place the ranges have to follow each other without a gap, from the first byte to the last. */
static cria_status check_cover(const struct safetensors *s, struct cria_error *err) {
    uint32_t *order = alloc_array(s->n_tensors, sizeof *order);
    if (!order) return ERROR_NOMEM(err, s->n_tensors * sizeof *order, "the tensor list of a safetensors file");
    for (size_t i = 0; i < s->n_tensors; i++) order[i] = (uint32_t)i;
    qsort_r(order, s->n_tensors, sizeof *order, by_begin, (void *)s);
    uint64_t at = 0;
    cria_status status = CRIA_OK;
    for (size_t i = 0; i < s->n_tensors && status == CRIA_OK; i++) {
        const struct safetensors_tensor *t = &s->tensors[order[i]];
        if (t->begin != at) {
            status = ERROR_SET(err, CRIA_FORMAT, "tensor \"%.*s\" begins at byte %llu of the data, %s byte %llu",
                               (int)(t->name_bytes < 128 ? t->name_bytes : 128), t->name, (unsigned long long)t->begin,
                               t->begin > at ? "leaving a hole from" : "overlapping what comes before",
                               (unsigned long long)at);
        }
        at = t->end;
    }
    alloc_free(order);
    if (status == CRIA_OK && at != s->data_bytes) {
        status = ERROR_SET(err, CRIA_FORMAT, "the tensors end at byte %llu of the data, but %llu bytes are there",
                           (unsigned long long)at, (unsigned long long)s->data_bytes);
    }
    return status;
}

static cria_status read_entries(struct safetensors *s, json_reader *r, struct cria_error *err) {
    cria_status status;
    size_t capacity = 0;
    bool more = false;
    struct json_text key;
    TRY(json_begin_object(r, err));
    for (;;) {
        TRY(json_next_key(r, &key, &more, err));
        if (!more) break;
        if (json_text_is(key, "__metadata__")) {
            TRY(read_metadata(r, err));
            continue;
        }
        TRY(grow(s, &capacity, err));
        struct safetensors_tensor *t = &s->tensors[s->n_tensors];
        *t = (struct safetensors_tensor){0};
        TRY(keep_name(t, key, r->text, r->n, err));
        s->n_tensors++;
        status = read_entry(r, t, s->data_bytes, err);
        if (status != CRIA_OK) {
            error_prefix(err, "tensor \"%.*s\"", (int)(t->name_bytes < 128 ? t->name_bytes : 128), t->name);
            goto out;
        }
    }
out:
    return status;
}

cria_status safetensors_parse(struct safetensors *s, const char *text, size_t n, uint64_t data_bytes,
                              struct cria_error *err) {
    cria_status status;
    json_reader reader;
    size_t end = n;
    s->data_bytes = data_bytes;
    json_reader_init(&reader, text, n);
    if (n == 0 || text[0] != '{') {
        status = ERROR_SET(err, CRIA_FORMAT, "the header does not begin with {");
        goto out;
    }
    TRY(read_entries(s, &reader, err));
    while (end > 0 && text[end - 1] == ' ') end--;
    if (end != reader.at) {
        status = ERROR_SET(err, CRIA_FORMAT, "the header goes on at byte %zu behind its last }; only blanks may follow",
                           reader.at);
        goto out;
    }
    TRY(check_cover(s, err));
out:
    json_reader_deinit(&reader);
    return status;
}

cria_status safetensors_header_bytes(const uint8_t *first, uint64_t file_bytes, size_t *ret_n, struct cria_error *err) {
    uint64_t n = 0;
    for (int i = 0; i < 8; i++) n |= (uint64_t)first[i] << (8 * i);
    if (n == 0) return ERROR_SET(err, CRIA_FORMAT, "the header has length 0");
    if (n > LIMIT_SAFETENSORS_HEADER_BYTES) {
        return ERROR_SET(err, CRIA_LIMIT, "the header claims %llu bytes; at most %d are read", (unsigned long long)n,
                         LIMIT_SAFETENSORS_HEADER_BYTES);
    }
    if (n > file_bytes - 8) {
        return ERROR_SET(err, CRIA_FORMAT, "the header claims %llu bytes, but only %llu follow", (unsigned long long)n,
                         (unsigned long long)(file_bytes - 8));
    }
    *ret_n = (size_t)n;
    return CRIA_OK;
}

struct copy {
    void *to;
    const uint8_t *from;
    size_t n;
};

static cria_status copy_guarded(void *arg, struct cria_error *err) {
    const struct copy *c = arg;
    (void)err;
    memcpy(c->to, c->from, c->n);
    return CRIA_OK;
}

cria_status safetensors_open(struct safetensors *s, const struct file_map *map, struct cria_error *err) {
    cria_status status;
    uint8_t first[8];
    size_t n = 0;
    if (map->n_bytes < 8) {
        return ERROR_SET(err, CRIA_FORMAT, "the file has %zu bytes: no safetensors file", map->n_bytes);
    }
    struct copy work = {first, map->data, sizeof first};
    TRY(file_guard(map, copy_guarded, &work, err));
    TRY(safetensors_header_bytes(first, map->n_bytes, &n, err));
    s->header = alloc_array(n, 1);
    if (!s->header) {
        status = ERROR_NOMEM(err, n, "the header of a safetensors file");
        goto out;
    }
    work = (struct copy){s->header, map->data + 8, n};
    TRY(file_guard(map, copy_guarded, &work, err));
    TRY(safetensors_parse(s, s->header, n, map->n_bytes - 8 - n, err));
    s->data_start = 8 + n;
out:
    return status;
}

void safetensors_free(struct safetensors *s) {
    for (size_t i = 0; i < s->n_tensors; i++) {
        if (s->tensors[i].name_is_owned) alloc_free((char *)s->tensors[i].name);
    }
    alloc_free(s->tensors);
    alloc_free(s->header);
    *s = (struct safetensors){0};
}
