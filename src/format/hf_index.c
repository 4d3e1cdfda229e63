/* hf_index.c: see hf_index.h. */
#include "format/hf_index.h"

#include <stdlib.h>
#include <string.h>

#include "arch/limits.h"
#include "base/alloc.h"
#include "base/json.h"

static bool is_plain_name(struct json_text name) {
    static const char ending[] = ".safetensors";
    const size_t n = sizeof ending - 1;
    if (name.n <= n || name.n > 255 || memcmp(name.bytes + name.n - n, ending, n) != 0) return false;
    for (size_t i = 0; i < name.n; i++) {
        const unsigned char c = (unsigned char)name.bytes[i];
        if (c < 0x20 || c == 0x7f || c == '/' || c == '\\') return false;
    }
    return name.bytes[0] != '.';
}

/* The number of a file; a new one is added. last is where the previous entry was, the most likely place. */
static cria_status find_shard(struct hf_index *x, struct json_text name, uint32_t last, uint32_t *ret,
                              struct cria_error *err) {
    if (last < x->n_shards && json_text_is(name, x->shards[last])) {
        *ret = last;
        return CRIA_OK;
    }
    for (size_t i = 0; i < x->n_shards; i++) {
        if (!json_text_is(name, x->shards[i])) continue;
        *ret = (uint32_t)i;
        return CRIA_OK;
    }
    if (x->n_shards == LIMIT_SHARDS)
        return ERROR_SET(err, CRIA_LIMIT, "the index names more than %d files", LIMIT_SHARDS);
    char **shards = alloc_resize(x->shards, x->n_shards + 1, sizeof *shards);
    if (!shards) return ERROR_NOMEM(err, (x->n_shards + 1) * sizeof *shards, "the files of an index");
    x->shards = shards;
    shards[x->n_shards] = alloc_text(name.bytes, name.n);
    if (!shards[x->n_shards]) return ERROR_NOMEM(err, name.n, "the files of an index");
    *ret = (uint32_t)x->n_shards++;
    return CRIA_OK;
}

static cria_status add_entry(struct hf_index *x, size_t *capacity, struct json_text name, struct cria_error *err) {
    if (x->n_entries == LIMIT_SAFETENSORS_TENSORS || name.n > LIMIT_SAFETENSORS_NAME_BYTES ||
        memchr(name.bytes, 0, name.n)) {
        return ERROR_SET(err, CRIA_LIMIT, "the index has more than %d tensors, or a name that is none",
                         LIMIT_SAFETENSORS_TENSORS);
    }
    if (x->n_entries == *capacity) {
        const size_t more = *capacity ? 2 * *capacity : 256;
        struct hf_index_entry *entries = alloc_resize(x->entries, more, sizeof *entries);
        if (!entries) return ERROR_NOMEM(err, more * sizeof *entries, "the tensors of an index");
        x->entries = entries;
        *capacity = more;
    }
    char *copy = alloc_text(name.bytes, name.n);
    if (!copy) return ERROR_NOMEM(err, name.n, "the tensors of an index");
    x->entries[x->n_entries++] = (struct hf_index_entry){.name = copy};
    return CRIA_OK;
}

static cria_status read_map(struct hf_index *x, json_reader *r, struct cria_error *err) {
    cria_status status;
    size_t capacity = 0;
    uint32_t shard = 0;
    bool more = false;
    struct json_text key, file;
    TRY(json_begin_object(r, err));
    for (;;) {
        TRY(json_next_key(r, &key, &more, err));
        if (!more) break;
        TRY(add_entry(x, &capacity, key, err));
        TRY(json_read_string(r, &file, err));
        if (!is_plain_name(file)) {
            status = json_fail(r, err, "\"%.*s\" is no name of a .safetensors file in the model's own directory",
                               (int)(file.n < 128 ? file.n : 128), file.bytes);
            goto out;
        }
        TRY(find_shard(x, file, shard, &shard, err));
        x->entries[x->n_entries - 1].shard = shard;
    }
out:
    return status;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct hf_index_entry *)a)->name, ((const struct hf_index_entry *)b)->name);
}

cria_status hf_index_parse(struct hf_index *x, const char *text, size_t n, struct cria_error *err) {
    cria_status status;
    json_reader r;
    bool more = false, has_map = false;
    struct json_text key;
    json_reader_init(&r, text, n);
    TRY(json_begin_object(&r, err));
    for (;;) {
        TRY(json_next_key(&r, &key, &more, err));
        if (!more) break;
        if (json_text_is(key, "weight_map")) {
            has_map = true;
            TRY(read_map(x, &r, err));
        } else {
            TRY(json_skip(&r, err));
        }
    }
    TRY(json_end(&r, err));
    if (!has_map) {
        status = ERROR_SET(err, CRIA_FORMAT, "the index has no \"weight_map\"");
        goto out;
    }
    if (x->n_entries) qsort(x->entries, x->n_entries, sizeof *x->entries, by_name);
out:
    json_reader_deinit(&r);
    return status;
}

void hf_index_free(struct hf_index *x) {
    for (size_t i = 0; i < x->n_shards; i++) alloc_free(x->shards[i]);
    for (size_t i = 0; i < x->n_entries; i++) alloc_free(x->entries[i].name);
    alloc_free(x->shards);
    alloc_free(x->entries);
    *x = (struct hf_index){0};
}

static struct hf_index_entry *find_entry(struct hf_index *x, const char *name, size_t n) {
    size_t low = 0, high = x->n_entries;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        struct hf_index_entry *e = &x->entries[middle];
        int order = strncmp(name, e->name, n);
        if (order == 0) order = e->name[n] ? -1 : 0;
        if (order == 0) return e;
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

cria_status hf_index_see(struct hf_index *x, const char *name, size_t n, uint32_t shard, struct cria_error *err) {
    const int shown = (int)(n < 128 ? n : 128);
    struct hf_index_entry *e = memchr(name, 0, n) ? NULL : find_entry(x, name, n);
    if (!e) return ERROR_SET(err, CRIA_FORMAT, "tensor \"%.*s\" is not in the index", shown, name);
    if (e->shard != shard || e->is_seen) {
        return ERROR_SET(err, CRIA_FORMAT, "the index has tensor \"%.*s\" in %s, but it is here too", shown, name,
                         x->shards[e->shard]);
    }
    e->is_seen = true;
    return CRIA_OK;
}

cria_status hf_index_check_seen(const struct hf_index *x, struct cria_error *err) {
    for (size_t i = 0; i < x->n_entries; i++) {
        const struct hf_index_entry *e = &x->entries[i];
        if (e->is_seen) continue;
        return ERROR_SET(err, CRIA_FORMAT, "the index has tensor \"%.128s\" in %s, which lacks it", e->name,
                         x->shards[e->shard]);
    }
    return CRIA_OK;
}
