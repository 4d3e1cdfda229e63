/* tiny_file.h: what the writers of tiny models share: the list of weights, their bytes, and a file being written. */
#ifndef KIT_TINY_FILE_H
#define KIT_TINY_FILE_H

#include "arch/arch.h"
#include "base/buffer.h"
#include "kit/tiny.h"

struct tiny_weight {
    enum arch_weight w;
    int layer;
    char name[ARCH_NAME_BYTES];
    int64_t n_rows, n_columns;
    enum dtype dtype;
    size_t n_bytes;
};

#define TINY_MAX_WEIGHTS 256
/* All weights of the model as a file of this naming has them; returns how many. */
int tiny_weights(const struct tiny_model *m, enum arch_naming naming, struct tiny_weight *out);
/* Appends a weight's stored bytes; GGUF files have the rows of q and k in pairs. */
CRIA_MUST_CHECK cria_status tiny_append_weight(const struct tiny_model *m, const struct tiny_weight *weight,
                                               enum arch_naming naming, struct buffer *out, struct cria_error *err);
CRIA_MUST_CHECK cria_status tiny_write_tokenizer(const struct tiny_model *m, const char *folder,
                                                 struct cria_error *err);
/* Writes folder/name. */
CRIA_MUST_CHECK cria_status tiny_write_file(const char *folder, const char *name, const struct buffer *bytes,
                                            struct cria_error *err);

#endif
