/* memory_fault_test.c: the n-th allocation fails, for every n, on the way from a file to an answer.
 *
 * Each time the whole way is taken: device, files, tokenizer, template, weights, engine, request, answer. What fails
 * must say so with NOMEM, and what was made before must go: the address sanitizer's build finds what is left. Where a
 * failure is survived (the prefix cache merely keeps nothing), the answer must be the right one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/file.h"
#include "infer/infer.h"
#include "kit/tiny.h"
#include "text/template.h"

static const struct tiny_model tiny = {
    .d_model = 32,
    .n_layers = 1,
    .n_heads = 2,
    .n_kv_heads = 1,
    .head_size = 16,
    .d_ff = 32,
    .n_vocab = 260,
    .n_context = 128,
    .dtype = DTYPE_BF16,
    .seed = 4,
    .has_tokenizer = true,
};

struct chain {
    device *dev;
    model_files *files;
    tokenizer *tok;
    template *tmpl;
    llama_model *model;
    engine *eng;
    struct token_list prompt;
    struct engine_result result;
};

static void chain_end(struct chain *c) {
    engine_result_free(&c->result);
    token_list_free(&c->prompt);
    engine_destroy(&c->eng);
    llama_model_destroy(&c->model);
    template_destroy(&c->tmpl);
    tokenizer_destroy(&c->tok);
    model_files_close(&c->files);
    device_destroy(&c->dev);
}

static cria_status answer(struct chain *c, struct cria_error *err) {
    static const char text[] = "The quick brown fox jumps over the lazy dog, twice.";
    static const char *const stops[] = {"never said"};
    const struct tokenizer_options plain = {.with_bos = true};
    cria_status status = tokenizer_encode(c->tok, text, sizeof text - 1, &plain, &c->prompt, NULL, err);
    if (status != CRIA_OK) return status;
    const struct engine_request request = {
        .prompt = c->prompt.ids,
        .n_prompt = (int64_t)c->prompt.n,
        .max_tokens = 8,
        .sampling = sampling_greedy(),
        .stop_strings = stops,
        .n_stop_strings = 1,
        .n_top = 2,
        .digest = true,
        .ignore_stop_ids = true,
        .tok = c->tok,
    };
    return engine_run(c->eng, &request, &c->result, err);
}

static cria_status whole_way(const char *path, struct chain *c, struct cria_error *err) {
    cria_status status = CRIA_OK;
    TRY(device_create_cpu(&c->dev, &(struct device_options){.n_threads = 2}, err));
    TRY(model_files_open(&c->files, path, &(struct model_open_options){.check_tensors = true}, err));
    TRY(model_files_tokenizer(c->files, &c->tok, err));
    const char *source = model_files_template(c->files);
    assert_non_null(source);
    TRY(template_compile(&c->tmpl, source, strlen(source), err));
    TRY(llama_model_load(&c->model, c->files, c->dev, &(struct llama_model_options){.compute = LLAMA_COMPUTE_BF16},
                         err));
    TRY(engine_create(&c->eng, c->model, &(struct engine_options){.max_batch = 2, .prefix_cache = true}, err));
    TRY(answer(c, err));
out:
    return status;
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    struct cria_error err;
    uint8_t wanted[DIGEST_BYTES] = {0};
    char *folder = tiny_folder(), *path = folder ? file_join(folder, "model") : NULL;
    assert_non_null(path);
    if (tiny_write_directory(&tiny, path, &err) != CRIA_OK) fail_msg("%s", err.text);
    uint64_t n_allocations = 1;
    for (uint64_t n = 0; n <= n_allocations; n++) {
        struct chain c = {.dev = NULL};
        alloc_fail_at(n); /* 0: none fails, and they are counted */
        const cria_status status = whole_way(path, &c, &err);
        const uint64_t counted = alloc_fail_at(0);
        if (n == 0) {
            if (status != CRIA_OK) fail_msg("%s", err.text);
            n_allocations = counted;
            memcpy(wanted, c.result.digest, sizeof wanted);
        } else if (status == CRIA_OK) {
            if (memcmp(c.result.digest, wanted, sizeof wanted) != 0)
                fail_msg("another answer where allocation %d fails", (int)n);
        } else if (status != CRIA_NOMEM) {
            fail_msg("allocation %d fails: %s, expected NOMEM: %s", (int)n, cria_status_name(status), err.text);
        }
        chain_end(&c);
    }
    print_message("%d allocations from file to answer, each failed once\n", (int)n_allocations);
    tiny_remove(folder);
    alloc_free(path);
    alloc_free(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
