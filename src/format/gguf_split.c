/* gguf_split.c: models in several GGUF files, NAME-00001-of-000NN.gguf (docs/FORMATS.md, "Split files").
 *
 * Keys say which part a file is; the name only says where the others are. A file without these keys is a whole model,
 * whatever its name. */
#include <stdio.h>
#include <string.h>

#include "arch/limits.h"
#include "base/alloc.h"
#include "format/model_files.h"

static cria_status read_key(const struct gguf *g, const char *name, uint64_t max, uint64_t *ret,
                            struct cria_error *err) {
    const struct gguf_key *k = gguf_find_key(g, name);
    if (!k) return ERROR_SET(err, CRIA_FORMAT, "key \"%s\" is missing in a part of a split model", name);
    return gguf_read_u64(g, k, max, ret, err);
}

cria_status gguf_split_read(const struct gguf *g, struct gguf_split *ret, struct cria_error *err) {
    const struct gguf_key *k = gguf_find_key(g, "split.count");
    struct gguf_split found = {.count = 1};
    cria_status status = CRIA_OK;
    if (k) TRY(gguf_read_u64(g, k, UINT16_MAX, &found.count, err));
    if (found.count == 1) goto out;
    if (found.count < 1 || found.count > LIMIT_SHARDS) {
        status = ERROR_SET(err, CRIA_LIMIT, "key \"split.count\" is %llu; expected 1 to %d",
                           (unsigned long long)found.count, LIMIT_SHARDS);
        goto out;
    }
    TRY(read_key(g, "split.no", UINT16_MAX, &found.number, err));
    TRY(read_key(g, "split.tensors.count", INT32_MAX, &found.n_tensors, err));
    if (found.number >= found.count) {
        status = ERROR_SET(err, CRIA_FORMAT, "key \"split.no\" is %llu; a model of %llu parts has 0 to %llu",
                           (unsigned long long)found.number, (unsigned long long)found.count,
                           (unsigned long long)found.count - 1);
    }
out:
    if (status == CRIA_OK) *ret = found;
    return status;
}

enum { ENDING_BYTES = 64 };

static void write_ending(char out[ENDING_BYTES], uint64_t number, uint64_t count) {
    snprintf(out, ENDING_BYTES, "-%05llu-of-%05llu.gguf", (unsigned long long)number + 1, (unsigned long long)count);
}

cria_status gguf_split_path(const char *path, const struct gguf_split *split, uint64_t number, char **ret,
                            struct cria_error *err) {
    char ending[ENDING_BYTES];
    const size_t n = strlen(path);
    write_ending(ending, split->number, split->count);
    const size_t n_ending = strlen(ending); /* of every part: two numbers of five digits */
    if (n < n_ending || strcmp(path + n - n_ending, ending) != 0) {
        return ERROR_SET(err, CRIA_FORMAT,
                         "this is part %llu of %llu, so its name has to end in %s: the others are found by it",
                         (unsigned long long)split->number + 1, (unsigned long long)split->count, ending);
    }
    char *other = alloc_text(path, n);
    if (!other) return ERROR_NOMEM(err, n, "a path");
    write_ending(ending, number, split->count);
    memcpy(other + n - n_ending, ending, n_ending);
    *ret = other;
    return CRIA_OK;
}

cria_status gguf_split_check(const struct gguf_split *part, const struct gguf_split *asked, uint64_t number,
                             struct cria_error *err) {
    if (part->number == number && part->count == asked->count && part->n_tensors == asked->n_tensors) return CRIA_OK;
    return ERROR_SET(err, CRIA_FORMAT,
                     "the file says that it is part %llu of %llu with %llu tensors in all; expected part %llu of %llu "
                     "with %llu",
                     (unsigned long long)part->number + 1, (unsigned long long)part->count,
                     (unsigned long long)part->n_tensors, (unsigned long long)number + 1,
                     (unsigned long long)asked->count, (unsigned long long)asked->n_tensors);
}
