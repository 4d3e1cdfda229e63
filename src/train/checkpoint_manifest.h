/* checkpoint_manifest.h: the list of a checkpoint's files with sizes and hashes, as data and as JSON.
 *
 * Private to this folder; pure functions of the text. */
#ifndef TRAIN_CHECKPOINT_MANIFEST_H
#define TRAIN_CHECKPOINT_MANIFEST_H

#include "base/json.h"
#include "train/checkpoint.h"

/* The SHA-256 of a file up to the end of one of its tensors (or of its header). */
struct checkpoint_mark {
    char name[HF_SAVE_NAME_BYTES];
    uint64_t end;
    uint8_t sum[DIGEST_BYTES];
};

struct checkpoint_file {
    char name[64]; /* no slash in it */
    uint64_t n_bytes;
    uint8_t sum[DIGEST_BYTES];
    struct checkpoint_mark *marks; /* owned */
    int n_marks;
};

#define CHECKPOINT_MAX_FILES (CHECKPOINT_MAX_COMPANIONS + 5)

struct checkpoint_manifest {
    int64_t step, arithmetic;
    uint8_t run_id[DIGEST_BYTES], weights[DIGEST_BYTES], model_id[DIGEST_BYTES], tokenizer_id[DIGEST_BYTES];
    struct checkpoint_file files[CHECKPOINT_MAX_FILES];
    int n_files;
};

void checkpoint_manifest_free(struct checkpoint_manifest *m);
CRIA_MUST_CHECK cria_status checkpoint_manifest_text(struct buffer *out, const struct checkpoint_manifest *m,
                                                     struct cria_error *err);
/* *ret is all zero before; free it in any case. */
CRIA_MUST_CHECK cria_status checkpoint_manifest_parse(struct checkpoint_manifest *ret, const char *text, size_t n,
                                                      struct cria_error *err);
/* NULL where the manifest has no such file. */
const struct checkpoint_file *checkpoint_manifest_file(const struct checkpoint_manifest *m, const char *name);
/* Reads 64 hexadecimal digits; false for anything else. */
bool checkpoint_manifest_hex(struct json_text text, uint8_t out[DIGEST_BYTES]);

#endif
