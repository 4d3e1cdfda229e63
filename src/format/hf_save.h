/* hf_save.h: what a Hugging Face directory of ours says about its model: the texts and the header, without the files.
 *
 * What these write, model_files_open() and the reference library read. The writing of files is the caller's: a
 * checkpoint has rules of its own for it. Pure functions. */
#ifndef FORMAT_HF_SAVE_H
#define FORMAT_HF_SAVE_H

#include "arch/arch.h"
#include "base/buffer.h"
#include "base/error.h"

/* config.json of a model whose weights are stored as f32. UNSUPPORTED for a rotation by divisors, which only GGUF can
 * say. */
CRIA_MUST_CHECK cria_status hf_save_config(struct buffer *out, const struct arch_config *c, struct cria_error *err);
/* generation_config.json: which ids begin and end a text. */
CRIA_MUST_CHECK cria_status hf_save_generation(struct buffer *out, const struct arch_config *c, struct cria_error *err);

/* A tensor of f32 in a safetensors file; they lie one after the other in the order of the list. */
#define HF_SAVE_NAME_BYTES (ARCH_NAME_BYTES + 8)
struct hf_save_tensor {
    char name[HF_SAVE_NAME_BYTES];
    bool is_matrix; /* else n_columns numbers in one dimension */
    int64_t n_rows, n_columns;
};
/* What a safetensors file begins with, up to the first number. LIMIT where the sizes overflow. */
CRIA_MUST_CHECK cria_status hf_save_header(struct buffer *out, const struct hf_save_tensor *tensors, int n,
                                           struct cria_error *err);

#endif
