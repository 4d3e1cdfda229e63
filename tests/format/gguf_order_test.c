/* gguf_order_test.c: odd but valid GGUF files give what the plain one gives; what contradicts itself is refused.
 *
 * Exists to catch a reader that takes the order of the list of tensors for the order of their data, or the first of
 * several values for all of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/file.h"
#include "format/format.h"
#include "format/gguf_build.h"
#include "kit/tiny.h"

enum { DATA_AT = 4 + 2 * 8 + 4 }; /* of a matrix: from behind its name to its offset */

static char *folder, *path;

static uint8_t *find(const struct buffer *file, const char *text) {
    uint8_t *found = memmem(file->data, file->n_bytes, text, strlen(text));
    assert_non_null(found);
    return found;
}

static cria_status digest_of(const struct buffer *file, uint8_t digest[32], struct cria_error *err) {
    cria_status status = CRIA_OK;
    model_files *m = NULL;
    TRY(file_write_atomic(path, file->data, file->n_bytes, err));
    TRY(model_files_open(&m, path, NULL, err));
    TRY(model_files_digest(m, digest, err));
out:
    model_files_close(&m);
    return status;
}

/* Two tensors of one shape and type change places in the data; their entries stay where they are. */
static void swap_data(struct buffer *file, const char *a, const char *b, size_t n_bytes) {
    uint8_t *at[2] = {find(file, a) + strlen(a) + DATA_AT, find(file, b) + strlen(b) + DATA_AT};
    uint8_t *data[2], *begin = find(file, "output_norm.weight") + strlen("output_norm.weight") + 4 + 8 + 4 + 8;
    begin += (32 - (size_t)(begin - (uint8_t *)file->data) % 32) % 32;
    for (int i = 0; i < 2; i++) {
        uint64_t offset;
        memcpy(&offset, at[i], sizeof offset);
        data[i] = begin + offset;
    }
    for (size_t i = 0; i < n_bytes; i++) {
        const uint8_t kept = data[0][i];
        data[0][i] = data[1][i];
        data[1][i] = kept;
    }
    for (int i = 0; i < 8; i++) {
        const uint8_t kept = at[0][i];
        at[0][i] = at[1][i];
        at[1][i] = kept;
    }
}

static void test_data_in_another_order(void **state) {
    struct cria_error err = {0};
    uint8_t plain[32], swapped[32];
    (void)state;
    struct buffer file = build_model(NULL);
    assert_int_equal(digest_of(&file, plain, &err), CRIA_OK);
    swap_data(&file, "blk.0.ffn_gate.weight", "blk.0.ffn_up.weight", BUILD_FF * 18);
    if (digest_of(&file, swapped, &err) != CRIA_OK) fail_msg("%s", err.text);
    assert_memory_equal(plain, swapped, 32);
    buffer_free(&file);
}

/* block_count becomes 2: a list of heads then has two values, and only equal ones mean a model that Cria runs. */
static void expect_heads(const char *key, const char list[16 + 4], const char *word) {
    struct cria_error err = {0};
    uint8_t digest[32];
    struct buffer file =
        build_model(&(struct change){.key = key, .key_type = T_ARRAY, .value = list, .value_bytes = 20});
    find(&file, "llama.block_count")[strlen("llama.block_count") + 4] = 2;
    assert_int_not_equal(digest_of(&file, digest, &err), CRIA_OK);
    if (!strstr(err.text, word)) fail_msg("expected \"%s\", got %s", word, err.text);
    buffer_free(&file);
}

static void test_heads_of_layers(void **state) {
    (void)state;
    expect_heads("llama.attention.head_count", "\4\0\0\0\2\0\0\0\0\0\0\0\4\0\0\0\2\0\0", "head_count");
    expect_heads("llama.attention.head_count_kv", "\4\0\0\0\2\0\0\0\0\0\0\0\2\0\0\0\1\0\0", "head_count_kv");
    expect_heads("llama.feed_forward_length", "\4\0\0\0\2\0\0\0\0\0\0\0\x40\0\0\0\x20\0\0", "feed_forward_length");
    /* Equal ones are read; what is missing then is the second layer. */
    expect_heads("llama.attention.head_count", "\4\0\0\0\2\0\0\0\0\0\0\0\4\0\0\0\4\0\0", "blk.1.");
}

static int set_up(void **state) {
    (void)state;
    folder = tiny_folder();
    path = folder ? file_join(folder, "model.gguf") : NULL;
    return path ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    tiny_remove(folder);
    alloc_free(path);
    alloc_free(folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_data_in_another_order),
                                       cmocka_unit_test(test_heads_of_layers)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
