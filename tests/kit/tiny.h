/* tiny.h: models of any shape with random weights, written by the test that needs them.
 *
 * The same description gives the same numbers in every container; a matrix is stored in the type that is asked for (in
 * GGUF: any; in a Hugging Face directory: F32, BF16, F16), a norm as F32. With a tokenizer the model speaks bytes: ids
 * 0 .. 255 are bytes in the order of byte-level BPE, 256 begins a text and 257 ends it. */
#ifndef KIT_TINY_H
#define KIT_TINY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "tensor/dtype.h"

#define TINY_BOS 256
#define TINY_EOS 257
#define TINY_MIN_VOCAB 258 /* with a tokenizer */

struct tiny_model {
    int64_t d_model, n_layers, n_heads, n_kv_heads, head_size, d_ff, n_vocab, n_context;
    bool tied;
    enum dtype dtype; /* of matrices */
    uint64_t seed;
    bool has_tokenizer; /* Hugging Face directories only; with a chat template */
};

/* The folder is made where it is not there; files of an earlier model in it are replaced. */
CRIA_MUST_CHECK cria_status tiny_write_directory(const struct tiny_model *m, const char *folder,
                                                 struct cria_error *err);
CRIA_MUST_CHECK cria_status tiny_write_gguf(const struct tiny_model *m, const char *path, struct cria_error *err);

/* A fresh folder for the files of a test; NULL where none can be made. Owned by the caller (alloc_free()). */
char *tiny_folder(void);
/* Removes a folder with the files and folders in it. */
void tiny_remove(const char *folder);

#endif
