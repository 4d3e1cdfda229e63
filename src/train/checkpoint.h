/* checkpoint.h: the state of a run on disk, whole or not at all.
 *
 * A checkpoint is a folder step-NNNNNNNN: a Hugging Face model directory with f32 master weights,
 * optimizer.safetensors, state.json, manifest.json and manifest.sha256. It is written under another name, every file
 * hashed on the way and synced, then renamed. Callers may believe: a folder that checkpoint_verify() accepts is byte
 * for byte what was written, and belongs to the run and the step that were asked for; a name step-... never stands for
 * a part.
 *
 * The manifest lists each file with its size and SHA-256, and inside a safetensors file, for the end of each tensor,
 * the SHA-256 of the file up to there: so a damaged byte is reported with its tensor and nothing is hashed twice. */
#ifndef TRAIN_CHECKPOINT_H
#define TRAIN_CHECKPOINT_H

#include "base/digest.h"
#include "format/hf_save.h"
#include "optim/optim.h"

/* One tensor of f32 in memory, and what a file calls it. */
struct checkpoint_tensor {
    struct hf_save_tensor header;
    float *values; /* borrowed: header.n_rows * header.n_columns */
};

/* A small file that goes into every checkpoint as it is. */
struct checkpoint_companion {
    char name[64];
    char *data; /* owned */
    size_t n;
};
#define CHECKPOINT_MAX_COMPANIONS 6

/* What a checkpoint is made of and restored into. */
struct checkpoint_content {
    struct checkpoint_tensor *model, *optimizer; /* owned arrays; optimizer may be empty */
    int n_model, n_optimizer;
    struct buffer config, generation; /* owned: the texts of the two files */
    struct checkpoint_companion companions[CHECKPOINT_MAX_COMPANIONS];
    int n_companions;
    uint8_t model_id[DIGEST_BYTES];     /* of config.json */
    uint8_t tokenizer_id[DIGEST_BYTES]; /* of the companions; zeros where there are none */
};

/* The tensors of w and of the optimizer (NULL: of w alone), both borrowed. *ret is all zero before. */
CRIA_MUST_CHECK cria_status checkpoint_content_init(struct checkpoint_content *ret, const struct arch_config *c,
                                                    const llama_layout *l, float *w, const optim *o,
                                                    struct cria_error *err);
/* Reads the tokenizer files that a folder has (tokenizer.json and its like); a folder without any gives none. */
CRIA_MUST_CHECK cria_status checkpoint_content_companions(struct checkpoint_content *c, const char *folder,
                                                          struct cria_error *err);
void checkpoint_content_free(struct checkpoint_content *c);
/* Floats of all tensors. */
int64_t checkpoint_content_floats(const struct checkpoint_content *c);

/* llama_weights_digest() of the model's tensors. */
CRIA_MUST_CHECK cria_status checkpoint_content_digest(const struct checkpoint_content *c, uint8_t out[DIGEST_BYTES],
                                                      struct cria_error *err);

/* Which state a checkpoint holds. */
struct checkpoint_stamp {
    int64_t step;
    uint8_t run_id[DIGEST_BYTES];
    const char *state; /* text of state.json; borrowed */
    size_t n_state;
};

/* The folder of a step; alloc_free() it; NULL without memory. */
char *checkpoint_path(const char *folder, int64_t step);
/* Writes, publishes, reads back and verifies folder/step-NNNNNNNN. What stood there is replaced, unless it verifies:
 * then it stays. After a failure nothing stands under that name, or a whole checkpoint; others are as they were. */
CRIA_MUST_CHECK cria_status checkpoint_write(const char *folder, const struct checkpoint_content *c,
                                             const struct checkpoint_stamp *stamp, struct cria_error *err);
/* Replaces the model directory `path` with the model alone. */
CRIA_MUST_CHECK cria_status checkpoint_write_model(const char *path, const struct checkpoint_content *c,
                                                   struct cria_error *err);

/* FORMAT, IO or NOTFOUND naming the file, and the tensor, that is not what the manifest says; FORMAT too for another
 * run (run_id NULL: any), step, model or tokenizer than asked for (c NULL: any). */
CRIA_MUST_CHECK cria_status checkpoint_verify(const char *folder, int64_t step, const uint8_t *run_id,
                                              const struct checkpoint_content *c, struct cria_error *err);
/* Verifies, then restores the tensors; the text of state.json is alloc_free()d by the caller. */
CRIA_MUST_CHECK cria_status checkpoint_load(const char *folder, int64_t step, const uint8_t *run_id,
                                            const struct checkpoint_content *c, char **ret_state, size_t *ret_n,
                                            struct cria_error *err);

/* Steps that have a folder, newest first; alloc_free() it. A missing folder has none. */
CRIA_MUST_CHECK cria_status checkpoint_list(const char *folder, int64_t **ret, int *ret_n, struct cria_error *err);
/* Removes a checkpoint; one that is half removed does not verify. */
CRIA_MUST_CHECK cria_status checkpoint_remove(const char *folder, int64_t step, struct cria_error *err);
/* Removes what writers that died left behind. */
CRIA_MUST_CHECK cria_status checkpoint_clean(const char *folder, struct cria_error *err);

#endif
