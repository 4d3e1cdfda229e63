/* life.c: see life.h. */
#include "kit/life.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/file.h"
#include "infer/infer.h"

static char untouched; /* where a ret_ pointer points before a call */

#define REQUIRE(e) ((e) ? (void)0 : broken(#e, __LINE__))

_Noreturn static void broken(const char *what, int line) {
    fprintf(stderr, "life.c:%d: broken promise: %s\n", line, what);
    abort();
}

/* Makes *p by call; on failure *p must be as it was, and is NULL afterwards. */
#define MAKE(p, call)                           \
    do {                                        \
        (p) = (void *)&untouched;               \
        status = (call);                        \
        if (status != CRIA_OK) {                \
            REQUIRE((void *)(p) == &untouched); \
            (p) = NULL;                         \
            goto out;                           \
        }                                       \
    } while (0)

static const char text[] = "One small step: \xe2\x82\xac 12, caf\xc3\xa9.";

/* Encodes the text, decodes it, and appends the ids to *list. */
static cria_status speak(const tokenizer *tok, struct token_list *list, struct cria_error *err) {
    struct buffer out = buffer_make(1 << 16);
    size_t n_dropped = 77;
    cria_status status = tokenizer_encode(tok, text, sizeof text - 1, &(struct tokenizer_options){.with_bos = true},
                                          list, &n_dropped, err);
    if (status != CRIA_OK) {
        REQUIRE(n_dropped == 77);
        goto out;
    }
    TRY(tokenizer_decode(tok, list->ids, list->n, false, &out, err));
    TRY(buffer_status(&out, "the decoded text", err));
    REQUIRE(strstr(buffer_text(&out), "small step") != NULL);
out:
    buffer_free(&out);
    return status;
}

static cria_status answer(engine *e, const tokenizer *tok, const struct token_list *list, uint8_t ret_digest[32],
                          struct cria_error *err) {
    static const char *const stops[] = {"a stop string that never comes"};
    struct engine_request request = {.prompt = list->ids,
                                     .n_prompt = (int64_t)list->n,
                                     .max_tokens = LIFE_TOKENS,
                                     .sampling = sampling_greedy(),
                                     .ignore_stop_ids = true,
                                     .n_top = 2,
                                     .digest = true,
                                     .tok = tok};
    struct engine_result result, before;
    request.sampling.temperature = 0.8f;
    request.sampling.repetition_penalty = 1.1f;
    if (tok) {
        request.stop_strings = stops;
        request.n_stop_strings = 1;
    }
    memset(&result, 0x5a, sizeof result);
    before = result;
    const cria_status status = engine_run(e, &request, &result, err);
    if (status != CRIA_OK) {
        REQUIRE(memcmp(&result, &before, sizeof result) == 0);
        return status;
    }
    REQUIRE(result.n_tokens == LIFE_TOKENS);
    memcpy(ret_digest, result.digest, sizeof result.digest);
    engine_result_free(&result);
    return CRIA_OK;
}

cria_status life_run(const struct life *life, uint8_t ret_digest[32], struct cria_error *err) {
    cria_status status = CRIA_OK;
    model_files *files = NULL;
    tokenizer *tok = NULL;
    device *dev = NULL;
    llama_model *model = NULL;
    engine *e = NULL;
    struct token_list list = {0};
    uint8_t digest[32] = {0};
    const struct model_open_options open = {.check_tensors = true};
    const struct engine_options engine_options = {
        .max_batch = 2, .prefill_chunk = 8, .max_context = 64, .prefix_cache = true};
    MAKE(files, model_files_open(&files, life->path, &open, err));
    if (life->has_tokenizer) {
        MAKE(tok, model_files_tokenizer(files, &tok, err));
        TRY(speak(tok, &list, err));
    } else {
        for (int32_t id = 1; id < 20; id++) TRY(token_list_add(&list, id, err));
    }
    if (!life->only_tokenizer) {
        MAKE(dev, device_create_cpu(&dev, &(struct device_options){.n_threads = 2}, err));
        MAKE(model, llama_model_load(&model, files, dev, &(struct llama_model_options){0}, err));
        model_files_close(&files);
        MAKE(e, engine_create(&e, model, &engine_options, err));
        TRY(answer(e, tok, &list, digest, err));
    }
    memcpy(ret_digest, digest, sizeof digest);
out:
    engine_destroy(&e);
    llama_model_destroy(&model);
    device_destroy(&dev);
    tokenizer_destroy(&tok);
    token_list_free(&list);
    model_files_close(&files);
    REQUIRE(!e && !model && !dev && !tok && !files);
    return status;
}

cria_status life_split_by_regex(const char *folder, struct cria_error *err) {
    static const char split[] =
        "\"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", \"pattern\": "
        "{\"Regex\": "
        "\"\\\\p{L}+|\\\\s+(?!\\\\S)|[^\\\\s\\\\p{L}]+|\\\\s+\"}, \"behavior\": \"Isolated\", \"invert\": false}, "
        "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": false}]}, ";
    struct buffer changed = buffer_make(1 << 20);
    char *json = NULL, *path = file_join(folder, "tokenizer.json");
    size_t n;
    cria_status status = CRIA_OK;
    REQUIRE(path != NULL);
    TRY(file_read(path, 1 << 20, &json, &n, err));
    const char *begin = strstr(json, "\"pre_tokenizer\""), *end = strstr(json, "\"post_processor\"");
    REQUIRE(begin && end && begin < end);
    buffer_append(&changed, json, (size_t)(begin - json));
    buffer_append_text(&changed, split);
    buffer_append_text(&changed, end);
    TRY(buffer_status(&changed, "tokenizer.json", err));
    TRY(file_write_atomic(path, changed.data, changed.n_bytes, err));
out:
    buffer_free(&changed);
    alloc_free(json);
    alloc_free(path);
    return status;
}
