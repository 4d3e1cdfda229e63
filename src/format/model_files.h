/* model_files.h: the inside of a model_files, for the readers of this folder (gguf_model.c, hf_model.c). */
#ifndef FORMAT_MODEL_FILES_H
#define FORMAT_MODEL_FILES_H

#include "base/file.h"
#include "format/format.h"
#include "format/gguf.h"
#include "format/hf_config.h"
#include "format/safetensors.h"

#define MODEL_FILES_MAX_NOTES 8

struct model_files {
    char *path;       /* owned: as given to open */
    const char *kind; /* a constant */
    struct arch_config config;
    struct model_tensor *tensors; /* owned: [ARCH_W_COUNT][n_layers]; data is NULL where the model has no such tensor */
    char (*names)[ARCH_NAME_BYTES]; /* owned, parallel: their names */
    struct file_map **maps;         /* owned, and each of them */
    int n_maps;
    struct gguf gguf;  /* owned; empty for a directory; of a split model the first part */
    struct gguf *more; /* owned, and each of them: the other parts; part i lies in maps[i] */
    int n_more;
    struct safetensors *safetensors; /* owned: one for each map of a directory */
    int n_safetensors;
    char *chat_template;                /* owned, or NULL */
    char *tokenizer_path;               /* owned, or NULL */
    struct hf_tokens tokens;            /* beside tokenizer_path */
    uint64_t other_bytes;               /* of files that are not mapped: configuration, tokenizer */
    char *notes[MODEL_FILES_MAX_NOTES]; /* owned, NULL behind the last */
};

/* Takes over *map (also on failure) and gives its index. */
CRIA_MUST_CHECK cria_status model_files_add_map(struct model_files *m, struct file_map **map, int *ret_index,
                                                struct cria_error *err);
/* Keeps a note; beyond MODEL_FILES_MAX_NOTES, or without memory, it is dropped. */
void model_files_add_note(struct model_files *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Room for the tensors of m->config, which was checked. */
CRIA_MUST_CHECK cria_status model_files_make_table(struct model_files *m, struct cria_error *err);
/* Puts a tensor at its place after checking its shape against the configuration; layer is -1 for one that is not per
 * layer. Its name is made here from the naming. */
CRIA_MUST_CHECK cria_status model_files_place(struct model_files *m, enum arch_naming naming, enum arch_weight w,
                                              int layer, const struct model_tensor *t, struct cria_error *err);
/* Whether all weights of the configuration have come. naming is for the message. */
CRIA_MUST_CHECK cria_status model_files_check_complete(const struct model_files *m, enum arch_naming naming,
                                                       struct cria_error *err);

/* Refuses NaN and infinities in any weight. */
CRIA_MUST_CHECK cria_status model_files_check_numbers(const struct model_files *m, struct cria_error *err);
/* Whether two tensors are stored in the same format as the same bytes. */
CRIA_MUST_CHECK cria_status model_files_same_bytes(const struct model_files *m, const struct model_tensor *a,
                                                   const struct model_tensor *b, bool *ret_same,
                                                   struct cria_error *err);

/* The readers: fill in an empty *m whose path is set. */
CRIA_MUST_CHECK cria_status gguf_model_open(struct model_files *m, const struct model_open_options *options,
                                            struct cria_error *err);
CRIA_MUST_CHECK cria_status gguf_model_tokenizer(const struct model_files *m, tokenizer **ret, struct cria_error *err);
CRIA_MUST_CHECK cria_status hf_model_open(struct model_files *m, const char *folder,
                                          const struct model_open_options *options, struct cria_error *err);

/* gguf_split.c: which part of how many a file is. */
struct gguf_split {
    uint64_t number, count; /* number from 0; count 1: a whole model */
    uint64_t n_tensors;     /* of all parts together; where count is not 1 */
};
CRIA_MUST_CHECK cria_status gguf_split_read(const struct gguf *g, struct gguf_split *ret, struct cria_error *err);
/* The path of part `number`, by that of the part that split describes; alloc_free() it. FORMAT where that one's name is
 * not of a part. */
CRIA_MUST_CHECK cria_status gguf_split_path(const char *path, const struct gguf_split *split, uint64_t number,
                                            char **ret, struct cria_error *err);
/* Whether a part is the one that was asked for. */
CRIA_MUST_CHECK cria_status gguf_split_check(const struct gguf_split *part, const struct gguf_split *asked,
                                             uint64_t number, struct cria_error *err);

/* gguf_config.c: the hyper-parameters. n_rows is the number of rows of the embedding, 0 where there is none (only
 * text). */
CRIA_MUST_CHECK cria_status gguf_config_read(const struct gguf *g, int64_t n_rows, bool only_text,
                                             struct arch_config *ret, struct cria_error *err);

#endif
