/* format.h: model files on disk as one thing: configuration, weights, tokenizer, template.
 *
 * MODEL is a GGUF file, or a Hugging Face directory (or its config.json). Callers may believe: after model_files_open()
 * every weight of the configuration is there with the right shape and lies wholly inside its mapping; what contradicts
 * itself was refused. They must never know which container it was, except where model_files_kind() is asked for
 * display. Thread rules: a model_files is read-only after opening; any thread. */
#ifndef FORMAT_FORMAT_H
#define FORMAT_FORMAT_H

#include "arch/arch.h"
#include "base/error.h"
#include "text/tokenizer.h"

typedef struct model_files model_files;

/* One weight as it is stored. */
struct model_tensor {
    const char *name; /* as in the file; borrowed from the model_files */
    enum dtype dtype;
    int64_t n_rows, n_columns; /* a vector has 1 row */
    const void *data;          /* borrowed from the mapping; not aligned; rows are contiguous */
    size_t n_bytes;
    bool rope_interleaved; /* q and k rows of each head come as pairs (2i, 2i+1) instead of (i, i + S/2) */
};

struct model_open_options {
    bool check_tensors; /* read every weight and refuse NaN and infinities */
    bool only_text;     /* a file without weights (a vocabulary) is right: nothing about tensors is checked */
};

CRIA_MUST_CHECK cria_status model_files_open(model_files **ret, const char *path,
                                             const struct model_open_options *options, struct cria_error *err);
/* Takes NULL; clears the caller's pointer. Nothing borrowed from it may be used afterwards. */
void model_files_close(model_files **m);

const struct arch_config *model_files_config(const model_files *m);
/* layer is ignored for weights that are not per layer. w exists in this model. */
struct model_tensor model_files_tensor(const model_files *m, enum arch_weight w, int layer);
/* A fresh tokenizer (tokenizer_destroy() it); NOTFOUND where the files have none, which is right for runs by ids. Any
 * other error means a broken tokenizer: the model is refused whole, so whoever runs one asks for its tokenizer even
 * where only ids come. */
CRIA_MUST_CHECK cria_status model_files_tokenizer(const model_files *m, tokenizer **ret, struct cria_error *err);
/* The chat template's source, or NULL; borrowed. */
const char *model_files_template(const model_files *m);
/* "GGUF v3", "Hugging Face directory". */
const char *model_files_kind(const model_files *m);
/* Bytes of all files of the model. */
uint64_t model_files_bytes(const model_files *m);
/* SHA-256 over the stored bytes of all weights in table order: names which weights a result belongs to. */
CRIA_MUST_CHECK cria_status model_files_digest(const model_files *m, uint8_t out[32], struct cria_error *err);
/* Notes for `inspect` about what was ignored (truncation sections, inv_freq tensors); the i-th, or NULL. */
const char *model_files_note(const model_files *m, int i);
/* Runs fn(arg) with reads of the tensor's bytes guarded (file_guard() in base/file.h has the rules for fn): where the
 * file was cut after it was opened the call ends with IO instead of SIGBUS. A guard holds for the calling thread. */
CRIA_MUST_CHECK cria_status model_files_guard(const model_files *m, const struct model_tensor *t,
                                              cria_status (*fn)(void *arg, struct cria_error *err), void *arg,
                                              struct cria_error *err);
/* The same for work of many threads: between the two calls what a file has lost reads as zeros, and the second call
 * says IO if anything was lost; what was read then counts for nothing. One such pair at a time for a model_files. */
void model_files_watch(const model_files *m);
CRIA_MUST_CHECK cria_status model_files_unwatch(const model_files *m, struct cria_error *err);
/* Copies n bytes from byte `at` of the tensor, guarded. */
CRIA_MUST_CHECK cria_status model_files_read(const model_files *m, const struct model_tensor *t, size_t at, size_t n,
                                             void *out, struct cria_error *err);
/* Tells the system that the mapped bytes of a tensor are no longer needed soon. */
void model_files_release(const model_files *m, const struct model_tensor *t);

/* safetensors writing (logits, later checkpoints): tensors are f32, row-major. */
struct safetensors_writer;
CRIA_MUST_CHECK cria_status safetensors_writer_create(struct safetensors_writer **ret, const char *path,
                                                      const char *name, int64_t n_rows, int64_t n_columns,
                                                      struct cria_error *err);
CRIA_MUST_CHECK cria_status safetensors_writer_rows(struct safetensors_writer *w, const float *rows, int64_t n_rows,
                                                    struct cria_error *err);
/* Publishes the file under its name (all rows must have come), or with commit false removes it. Clears the pointer. */
CRIA_MUST_CHECK cria_status safetensors_writer_finish(struct safetensors_writer **w, bool commit,
                                                      struct cria_error *err);

#endif
