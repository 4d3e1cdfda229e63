/* config_fuzz.c: the JSON files of a model directory on any bytes: configuration, generation, template,
 * special tokens, index. */
#include "base/alloc.h"
#include "format/hf_config.h"
#include "format/hf_index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    const char *text = (const char *)data;
    struct arch_config config = {0};
    struct hf_index index = {0};
    struct hf_tokens tokens;
    struct cria_error err;
    char *chat_template = NULL;
    int n_others = 0;
    if (hf_config_parse(text, n_bytes, &config, &err) == CRIA_OK && arch_config_check(&config, &err) == CRIA_OK) {
        float frequencies[ARCH_MAX_HEAD_SIZE / 2];
        arch_rope_frequencies(&config, frequencies);
        (void)!hf_config_add_generation(text, n_bytes, &config, &err);
    }
    if (hf_template_read(text, n_bytes, &chat_template, &n_others, &err) == CRIA_OK) alloc_free(chat_template);
    if (hf_tokens_read(text, n_bytes, &tokens, &err) == CRIA_OK) (void)!hf_tokens_merge(&tokens, &tokens, &err);
    if (hf_index_parse(&index, text, n_bytes, &err) == CRIA_OK) {
        (void)!hf_index_see(&index, "model.norm.weight", 17, 0, &err);
        (void)!hf_index_check_seen(&index, &err);
    }
    hf_index_free(&index);
    return 0;
}
