/* hf_index.h: model.safetensors.index.json: which file of a directory holds which tensor.
 *
 * File names are plain names inside the directory: nothing that could lead out of it. Private to this folder. */
#ifndef FORMAT_HF_INDEX_H
#define FORMAT_HF_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct hf_index_entry {
    char *name; /* owned */
    uint32_t shard;
    bool is_seen;
};

/* All zero: empty. */
struct hf_index {
    char **shards; /* owned, and each of them */
    size_t n_shards;
    struct hf_index_entry *entries; /* owned; by name */
    size_t n_entries;
};

/* A whole index file. *x is empty before; hf_index_free() it in any case. */
CRIA_MUST_CHECK cria_status hf_index_parse(struct hf_index *x, const char *text, size_t n, struct cria_error *err);
void hf_index_free(struct hf_index *x);
/* Says that shard holds the tensor: FORMAT where the index has it elsewhere or not at all, or it came before. */
CRIA_MUST_CHECK cria_status hf_index_see(struct hf_index *x, const char *name, size_t n, uint32_t shard,
                                         struct cria_error *err);
/* After all shards: FORMAT where one lacks a tensor that the index puts there. */
CRIA_MUST_CHECK cria_status hf_index_check_seen(const struct hf_index *x, struct cria_error *err);

#endif
