/* learning_memory_test.c: the memory that learning takes is what llama_trainer_plan() says beforehand, to 3 %, under
 * every policy. Catches: a buffer that nobody counted, one that was counted and is never used, and weights that are in
 * memory once more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/file.h"
#include "llama/llama_train.h"
#include "tensor/pages.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif
#ifndef HAS_SANITIZER
#define HAS_SANITIZER 0
#endif

#define HUGE_ENDS (4.0 * (2 << 20)) /* each of four mappings ends in a huge page of which it may need a byte */

enum { ROW_TOKENS = 512, N_ROWS = 2, N_LEAVES = 2 };

/* A line of /proc/self/status, in bytes. */
static double status_bytes(const char *name) {
    char *text = NULL;
    size_t n = 0;
    unsigned long long kib = 0;
    assert_int_equal(file_read("/proc/self/status", 1 << 16, &text, &n, NULL), CRIA_OK);
    const char *at = strstr(text, name);
    assert_non_null(at);
    assert_int_equal(sscanf(at + strlen(name), "%*[: \t]%llu", &kib), 1);
    alloc_free(text);
    return (double)kib * 1024;
}

/* The peak starts again at what is in memory now. */
static void reset_peak(void) {
    FILE *f = fopen("/proc/self/clear_refs", "w");
    assert_non_null(f);
    assert_true(fputs("5", f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void learn(llama_trainer *t, const struct llama_data_row *rows) {
    for (int leaf = 0; leaf < N_LEAVES; leaf++) {
        assert_int_equal(llama_trainer_rows(t, rows, N_ROWS, NULL, NULL), CRIA_OK);
        llama_trainer_end_leaf(t);
    }
    (void)llama_trainer_finish(t);
    llama_trainer_update(t);
}

static void test_memory(void **state) {
    const enum llama_recompute recompute = (enum llama_recompute)(uintptr_t)(*state);
    const struct llama_trainer_options options = {.compute = LLAMA_COMPUTE_BF16,
                                                  .max_row_tokens = ROW_TOKENS,
                                                  .max_rows = N_ROWS,
                                                  .max_pieces = N_ROWS,
                                                  .n_leaves = N_LEAVES,
                                                  .recompute = recompute};
    static int32_t ids[ROW_TOKENS];
    const struct llama_piece piece = {0, ROW_TOKENS};
    const struct llama_data_row row = {ids, ids, ROW_TOKENS, &piece, 1}, rows[N_ROWS] = {row, row};
    struct arch_config c;
    struct llama_trainer_bytes plan;
    struct pages w = {0};
    device *dev = NULL;
    llama_layout *l = NULL;
    llama_trainer *t = NULL;
    assert_true(arch_preset("5m", &c));
    c.n_layers = 8;
    assert_int_equal(device_create_cpu(&dev, &(struct device_options){.n_threads = 2}, NULL), CRIA_OK);
    assert_int_equal(llama_layout_create(&l, &c, NULL), CRIA_OK);
    assert_int_equal(pages_get(&w, (size_t)llama_layout_floats(l) * sizeof(float), "weights", NULL), CRIA_OK);
    llama_weights_init(l, &c, 1, w.data);
    assert_int_equal(llama_trainer_plan(&c, dev, &options, &plan, NULL), CRIA_OK);
    const double before = status_bytes("VmRSS");
    reset_peak();
    assert_int_equal(llama_trainer_create(&t, &c, l, w.data, dev, &options, NULL), CRIA_OK);
    learn(t, rows);
    const double used = status_bytes("VmHWM") - before;
    const double said = (double)(plan.packed_weights + plan.gradients + plan.kept + plan.scratch);
    print_message("weights %.1f, gradients %.1f, kept %.1f, scratch %.1f MiB; said %.1f, used %.1f MiB\n",
                  (double)plan.packed_weights / 1048576, (double)plan.gradients / 1048576, (double)plan.kept / 1048576,
                  (double)plan.scratch / 1048576, said / 1048576, used / 1048576);
    if (!HAS_SANITIZER) assert_true(used < 1.03 * said + HUGE_ENDS && used > 0.97 * said);
    llama_trainer_destroy(&t);
    llama_layout_destroy(&l);
    pages_release(&w);
    device_destroy(&dev);
}

int main(void) {
#define MEMORY(name, policy) \
    { name, test_memory, NULL, NULL, (void *)(uintptr_t)(policy) }
    const struct CMUnitTest tests[] = {MEMORY("keep all", LLAMA_RECOMPUTE_NONE),
                                       MEMORY("the feed-forward half again", LLAMA_RECOMPUTE_FFN),
                                       MEMORY("all again", LLAMA_RECOMPUTE_ALL)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
