/* alloc_fault_test.c: the n-th allocation of Cria's own code fails, for every n, in the life of a model: opening,
 * tokenizing, loading, generating, closing.
 *
 * Catches a NULL that is used, a status that is lost, an out-parameter that is half written, memory that is not given
 * back (the leak sanitizer looks after each life where it is built in), and state that a failure leaves behind: the
 * life after the last failure has to give the same bits as the first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "kit/life.h"
#include "kit/tiny.h"

static char *folder;

static const struct tiny_model shape = {.d_model = 64,
                                        .n_layers = 2,
                                        .n_heads = 4,
                                        .n_kv_heads = 2,
                                        .head_size = 16,
                                        .d_ff = 96,
                                        .n_vocab = 288,
                                        .n_context = 128,
                                        .dtype = DTYPE_BF16,
                                        .seed = 3};

static int make_folder(void **state) {
    (void)state;
    folder = tiny_folder();
    return folder ? 0 : -1;
}

static int drop_folder(void **state) {
    (void)state;
    tiny_remove(folder);
    alloc_free(folder);
    return 0;
}

/* Lives once for each n until a life succeeds. */
static void fail_everywhere(const struct life *life) {
    uint8_t first[32], digest[32];
    struct cria_error err = {0};
    if (life_run(life, first, &err) != CRIA_OK) fail_msg("%s", err.text);
    uint64_t n = 1;
    for (cria_status status = CRIA_NOMEM; status != CRIA_OK; n++) {
        memset(&err, 0, sizeof err);
        memset(digest, 0x5a, sizeof digest);
        alloc_fail_at(n);
        status = life_run(life, digest, &err);
        alloc_fail_at(0);
        if (status == CRIA_OK) break;
        if (status != CRIA_NOMEM) fail_msg("allocation %llu: %s", (unsigned long long)n, err.text);
        assert_int_equal(err.status, CRIA_NOMEM);
        assert_true(err.text[0] != '\0');
        for (size_t i = 0; i < sizeof digest; i++) assert_int_equal(digest[i], 0x5a);
    }
    print_message("%llu allocations failed\n", (unsigned long long)n - 1);
    assert_true(n > 5);
    assert_memory_equal(digest, first, sizeof first);
}

static void test_directory(void **state) {
    (void)state;
    struct tiny_model m = shape;
    m.has_tokenizer = true;
    char *path = file_join(folder, "hf");
    assert_int_equal(tiny_write_directory(&m, path, NULL), CRIA_OK);
    fail_everywhere(&(struct life){.path = path, .has_tokenizer = true});
    alloc_free(path);
}

static void test_gguf(void **state) {
    (void)state;
    struct tiny_model m = shape;
    m.dtype = DTYPE_Q4_1;
    m.tied = true;
    char *path = file_join(folder, "tiny.gguf");
    assert_int_equal(tiny_write_gguf(&m, path, NULL), CRIA_OK);
    fail_everywhere(&(struct life){.path = path});
    alloc_free(path);
}

static void test_sharded_directory(void **state) {
    (void)state;
    fail_everywhere(&(struct life){.path = CRIA_SOURCE_DIR "/tests/golden/models/gqa2-odd-sharded-bf16"});
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_directory), cmocka_unit_test(test_gguf),
                                       cmocka_unit_test(test_sharded_directory)};
    return cmocka_run_group_tests_name("alloc_fault", tests, make_folder, drop_folder);
}
