/* null_test.c: the null device counts, over a whole forward pass, the operations that the formulas of arch/ foretell.
 * Catches: a product that the pass leaves out or does twice, and a formula that no longer describes the pass. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/file.h"
#include "kit/tiny.h"
#include "llama/llama.h"

enum { N_TOKENS = 40 };

static void test_counts(void **state) {
    (void)state;
    const struct tiny_model shape = {.d_model = 64,
                                     .n_layers = 2,
                                     .n_heads = 4,
                                     .n_kv_heads = 2,
                                     .head_size = 16,
                                     .d_ff = 96,
                                     .n_vocab = 333,
                                     .n_context = 64,
                                     .seed = 3,
                                     .dtype = DTYPE_Q8_0};
    const struct model_open_options open_options = {0};
    const struct llama_model_options model_options = {0};
    const struct llama_session_options session_options = {
        .max_rows = N_TOKENS, .max_logits = 1, .kv_tokens = 64, .max_sequences = 1, .max_context = 64};
    char *folder = tiny_folder();
    char *path = file_join(folder, "null.gguf");
    model_files *files = NULL;
    device *d = NULL;
    llama_model *m = NULL;
    llama_session *s = NULL;
    llama_sequence *q = NULL;
    int32_t tokens[N_TOKENS] = {0};
    float logits[333];
    assert_int_equal(tiny_write_gguf(&shape, path, NULL), CRIA_OK);
    assert_int_equal(model_files_open(&files, path, &open_options, NULL), CRIA_OK);
    assert_int_equal(device_create_null(&d, NULL), CRIA_OK);
    assert_int_equal(llama_model_load(&m, files, d, &model_options, NULL), CRIA_OK);
    assert_int_equal(llama_session_create(&s, m, &session_options, NULL), CRIA_OK);
    assert_int_equal(llama_sequence_create(&q, s, NULL), CRIA_OK);
    const struct llama_run run = {q, tokens, N_TOKENS, 1};
    assert_int_equal(llama_forward(s, &run, 1, logits, NULL), CRIA_OK);
    double foretold = 0;
    for (int i = 0; i < N_TOKENS; i++) foretold += arch_forward_flops(llama_model_config(m), i, i == N_TOKENS - 1);
    const double counted = device_null_counts(d).flops;
    if (counted != foretold) fail_msg("counted %.0f operations, foretold %.0f", counted, foretold);
    llama_sequence_destroy(&q);
    llama_session_destroy(&s);
    llama_model_destroy(&m);
    device_destroy(&d);
    model_files_close(&files);
    tiny_remove(folder);
    alloc_free(path);
    alloc_free(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_counts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
