/* gguf_fuzz.c: the GGUF reader on any bytes: container, parts, tensors, configuration,
 * vocabulary. */
#include "format/model_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    struct model_files m = {0};
    struct arch_config config;
    struct gguf_split split;
    struct cria_error err;
    tokenizer *t = NULL;
    if (gguf_parse(&m.gguf, data, n_bytes, n_bytes, &err) == CRIA_OK) {
        (void)!gguf_split_read(&m.gguf, &split, &err);
        if (gguf_check_tensors(&m.gguf, &err) == CRIA_OK &&
            gguf_config_read(&m.gguf, 64, false, &config, &err) == CRIA_OK) {
            (void)!arch_config_check(&config, &err);
        }
        if (gguf_config_read(&m.gguf, 0, true, &config, &err) == CRIA_OK &&
            gguf_model_tokenizer(&m, &t, &err) == CRIA_OK) {
            tokenizer_destroy(&t);
        }
    }
    gguf_free(&m.gguf);
    return 0;
}
