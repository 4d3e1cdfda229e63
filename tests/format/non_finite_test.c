/* non_finite_test.c: models whose weights hold NaN or infinities and that nobody asked to check (L19, the other half).
 *
 * They load, the load says so, and what they compute ends in an error or in tokens, never in a crash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/file.h"
#include "infer/infer.h"
#include "kit/tiny.h"

static char *folder;
static char path[256];

static int set_up(void **state) {
    (void)state;
    folder = tiny_folder();
    if (folder) snprintf(path, sizeof path, "%s/model.gguf", folder);
    return folder ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    tiny_remove(folder);
    alloc_free(folder);
    return 0;
}

/* Where the first block of a type keeps what decides, and a value that is no number. */
static const struct {
    enum dtype dtype;
    size_t at;
    uint8_t nan[2];
} types[] = {
    {DTYPE_F32, 2, {0x80, 0x7f}},  {DTYPE_BF16, 0, {0xc0, 0xff}},   {DTYPE_F16, 0, {0x00, 0x7c}},
    {DTYPE_Q8_0, 0, {0x00, 0xfe}}, {DTYPE_Q4_0, 0, {0x00, 0x7e}},   {DTYPE_Q4_1, 2, {0x00, 0xfc}},
    {DTYPE_Q4_K, 2, {0x00, 0x7e}}, {DTYPE_Q6_K, 208, {0x00, 0x7c}},
};

/* Changes two bytes of the last block of a weight's first or last row. */
static void spoil(enum arch_weight w, int layer, bool is_last) {
    model_files *m = NULL;
    char *bytes = NULL;
    size_t n = 0;
    assert_int_equal(model_files_open(&m, path, NULL, NULL), CRIA_OK);
    assert_int_equal(file_read(path, 1 << 26, &bytes, &n, NULL), CRIA_OK);
    const struct model_tensor t = model_files_tensor(m, w, layer);
    const char *found = memmem(bytes, n, t.data, t.n_bytes);
    assert_non_null(found);
    size_t i = 0;
    while (types[i].dtype != t.dtype) i++;
    const size_t block = dtype_info(t.dtype)->block_bytes;
    const size_t at = (size_t)(found - bytes) + (is_last ? t.n_bytes - block : 0) + types[i].at;
    memcpy(bytes + at, types[i].nan, 2);
    model_files_close(&m);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    alloc_free(bytes);
}

/* An answer, with everything on that looks at logits; whatever the weights are. */
static void answer(const llama_model *model, bool is_greedy) {
    static const int32_t prompt[] = {0, 1, 2, 0, 3};
    struct cria_error err = {0};
    engine *e = NULL;
    struct engine_result result = {0};
    struct engine_request request = {.prompt = prompt,
                                     .n_prompt = 5,
                                     .max_tokens = 4,
                                     .sampling = sampling_greedy(),
                                     .ignore_stop_ids = true,
                                     .score_prompt = true,
                                     .n_top = 3,
                                     .digest = true};
    if (!is_greedy) {
        request.sampling = (struct sampling){.temperature = 0.9f,
                                             .top_k = 20,
                                             .top_p = 0.9f,
                                             .min_p = 0.01f,
                                             .typical_p = 0.95f,
                                             .repetition_penalty = 1.1f,
                                             .presence_penalty = 0.1f,
                                             .frequency_penalty = 0.1f,
                                             .seed = 7};
    }
    const struct engine_options options = {.max_batch = 1, .max_context = 32, .all_logits = true};
    assert_int_equal(engine_create(&e, model, &options, &err), CRIA_OK);
    const cria_status status = engine_run(e, &request, &result, &err);
    if (status != CRIA_OK && status != CRIA_NUMERIC) fail_msg("%s: %s", cria_status_name(status), err.text);
    for (int64_t i = 0; status == CRIA_OK && i < result.n_tokens; i++)
        assert_in_range(result.tokens[i], 0, llama_model_config(model)->n_vocab - 1);
    engine_result_free(&result);
    engine_destroy(&e);
}

/* name NULL: nothing is to be found. */
static void expect_found(enum llama_compute compute, int n, const char *name) {
    struct cria_error err = {0};
    model_files *files = NULL;
    device *dev = NULL;
    llama_model *model = NULL;
    const char *found = "";
    const struct llama_model_options options = {.compute = compute};
    assert_int_equal(model_files_open(&files, path, NULL, &err), CRIA_OK);
    assert_int_equal(device_create_cpu(&dev, &(struct device_options){.n_threads = 2}, &err), CRIA_OK);
    if (llama_model_load(&model, files, dev, &options, &err) != CRIA_OK) fail_msg("%s", err.text);
    model_files_close(&files);
    assert_int_equal(llama_model_non_finite(model, &found), n);
    if (!name) assert_null(found);
    else assert_string_equal(found, name);
    answer(model, true);
    answer(model, false);
    llama_model_destroy(&model);
    device_destroy(&dev);
}

static void write_model(enum dtype dtype, bool tied) {
    const struct tiny_model m = {.d_model = 256,
                                 .n_layers = 2,
                                 .n_heads = 4,
                                 .n_kv_heads = 2,
                                 .head_size = 64,
                                 .d_ff = 256,
                                 .n_vocab = 40,
                                 .n_context = 64,
                                 .tied = tied,
                                 .dtype = dtype,
                                 .seed = 5};
    struct cria_error err = {0};
    if (tiny_write_gguf(&m, path, &err) != CRIA_OK) fail_msg("%s", err.text);
}

/* Catches a type whose NaN and infinities nobody sees, at the ends of a matrix, in either compute mode. */
static void test_L19_types(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        for (int is_last = 0; is_last < 2; is_last++) {
            write_model(types[i].dtype, false);
            expect_found(LLAMA_COMPUTE_DEFAULT, 0, NULL);
            spoil(ARCH_W_DOWN, 1, is_last);
            expect_found(is_last ? LLAMA_COMPUTE_F32 : LLAMA_COMPUTE_BF16, 1, "blk.1.ffn_down.weight");
        }
    }
}

/* Catches a kind of weight that is not looked at, and counts that do not add up. */
static void test_L19_kinds(void **state) {
    (void)state;
    static const struct {
        enum arch_weight w;
        const char *name;
    } kinds[] = {{ARCH_W_EMBEDDING, "token_embd.weight"},
                 {ARCH_W_ATTN_NORM, "blk.0.attn_norm.weight"},
                 {ARCH_W_Q, "blk.0.attn_q.weight"},
                 {ARCH_W_K, "blk.0.attn_k.weight"},
                 {ARCH_W_V, "blk.0.attn_v.weight"},
                 {ARCH_W_O, "blk.0.attn_output.weight"},
                 {ARCH_W_FFN_NORM, "blk.0.ffn_norm.weight"},
                 {ARCH_W_GATE, "blk.0.ffn_gate.weight"},
                 {ARCH_W_UP, "blk.0.ffn_up.weight"},
                 {ARCH_W_FINAL_NORM, "output_norm.weight"},
                 {ARCH_W_HEAD, "output.weight"}};
    const int n_kinds = (int)(sizeof kinds / sizeof kinds[0]);
    for (int i = 0; i < n_kinds; i++) {
        write_model(DTYPE_BF16, false);
        spoil(kinds[i].w, 0, true);
        expect_found(LLAMA_COMPUTE_DEFAULT, 1, kinds[i].name);
    }
    write_model(DTYPE_BF16, false);
    for (int i = 0; i < n_kinds; i++) spoil(kinds[i].w, 0, false);
    expect_found(LLAMA_COMPUTE_DEFAULT, n_kinds, "token_embd.weight");
    write_model(DTYPE_BF16, true); /* one tensor, two weights */
    spoil(ARCH_W_EMBEDDING, 0, false);
    expect_found(LLAMA_COMPUTE_DEFAULT, 1, "token_embd.weight");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_L19_types),
        cmocka_unit_test(test_L19_kinds),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
