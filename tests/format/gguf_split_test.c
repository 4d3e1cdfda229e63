/* gguf_split_test.c: a model cut into several GGUF files is the model; parts that do not fit together are refused
 * (L17).
 *
 * The whole file is written by tests/kit and cut here, with keys in the first part alone, as converters do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/file.h"
#include "format/format.h"
#include "format/gguf.h"
#include "kit/tiny.h"

enum { U16 = 2, I32 = 5, ALIGNMENT = 32 };

static char *folder;
static char whole_path[256];
static struct gguf whole;
static char *whole_bytes;
static uint8_t whole_digest[32];

static int set_up(void **state) {
    (void)state;
    const struct tiny_model m = {.d_model = 64,
                                 .n_layers = 2,
                                 .n_heads = 4,
                                 .n_kv_heads = 2,
                                 .head_size = 16,
                                 .d_ff = 96,
                                 .n_vocab = 40,
                                 .n_context = 64,
                                 .dtype = DTYPE_Q8_0,
                                 .seed = 9};
    size_t n = 0;
    model_files *files = NULL;
    folder = tiny_folder();
    if (!folder) return -1;
    snprintf(whole_path, sizeof whole_path, "%s/whole.gguf", folder);
    if (tiny_write_gguf(&m, whole_path, NULL) != CRIA_OK) return -1;
    if (model_files_open(&files, whole_path, NULL, NULL) != CRIA_OK) return -1;
    const cria_status status = model_files_digest(files, whole_digest, NULL);
    model_files_close(&files);
    if (status != CRIA_OK || file_read(whole_path, 1 << 26, &whole_bytes, &n, NULL) != CRIA_OK) return -1;
    return gguf_parse(&whole, (const uint8_t *)whole_bytes, n, n, NULL) == CRIA_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    gguf_free(&whole);
    alloc_free(whole_bytes);
    tiny_remove(folder);
    alloc_free(folder);
    return 0;
}

static void put(struct buffer *b, uint64_t value, int n_bytes) {
    for (int i = 0; i < n_bytes; i++) buffer_append_char(b, (char)(value >> (8 * i)));
}

static void put_key(struct buffer *b, const char *name, int type, uint64_t value) {
    put(b, strlen(name), 8);
    buffer_append_text(b, name);
    put(b, (uint64_t)type, 4);
    put(b, value, type == U16 ? 2 : 4);
}

/* What a part is to be. Tensors from .. to - 1 of the whole, in its order. */
struct part {
    int number, count, n_tensors; /* as its keys say; number -1: it has no such key */
    size_t from, to;
    size_t again; /* one more tensor, where it is not 0 */
};

static void put_tensor(struct buffer *infos, struct buffer *data, const struct gguf_tensor *t) {
    const struct text_span name = gguf_tensor_name(&whole, t);
    while (data->n_bytes % ALIGNMENT) buffer_append_char(data, 0);
    put(infos, name.n, 8);
    buffer_append(infos, name.bytes, name.n);
    put(infos, t->n_dims, 4);
    for (int i = 0; i < t->n_dims; i++) put(infos, gguf_tensor_dim(&whole, t, i), 8);
    put(infos, t->type, 4);
    put(infos, data->n_bytes, 8);
    buffer_append(data, whole.bytes + whole.data_start + t->offset, gguf_tensor_bytes(&whole, t));
}

static void path_of(int name_number, int name_count, char out[256]) {
    snprintf(out, 256, "%s/m-%05d-of-%05d.gguf", folder, name_number + 1, name_count);
}

static void write_part(const char *path, const struct part *p) {
    struct buffer head = buffer_make(1 << 20), infos = buffer_make(1 << 20), data = buffer_make(1 << 22);
    const size_t keys_end = whole.tensors[0].name_at - 8; /* they begin behind the 24 bytes of the header */
    const bool is_first = p->number == 0;
    buffer_append_text(&head, "GGUF");
    put(&head, 3, 4);
    put(&head, p->to - p->from + (p->again > 0), 8);
    put(&head, (is_first ? whole.n_keys : 0) + (p->number < 0 ? 2 : 3), 8);
    if (is_first) buffer_append(&head, whole.bytes + 24, keys_end - 24);
    if (p->number >= 0) put_key(&head, "split.no", U16, (uint64_t)p->number);
    put_key(&head, "split.count", U16, (uint64_t)p->count);
    put_key(&head, "split.tensors.count", I32, (uint64_t)p->n_tensors);
    for (size_t i = p->from; i < p->to; i++) put_tensor(&infos, &data, &whole.tensors[i]);
    if (p->again) put_tensor(&infos, &data, &whole.tensors[p->again]);
    buffer_append(&head, infos.data, infos.n_bytes);
    while (head.n_bytes % ALIGNMENT) buffer_append_char(&head, 0);
    buffer_append(&head, data.data, data.n_bytes);
    assert_true(head.status == CRIA_OK && infos.status == CRIA_OK && data.status == CRIA_OK);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(head.data, 1, head.n_bytes, f), head.n_bytes);
    assert_int_equal(fclose(f), 0);
    buffer_free(&head);
    buffer_free(&infos);
    buffer_free(&data);
}

/* Three parts: first says how many tensors the first one has. */
static void write_three(size_t first) {
    const size_t n = whole.n_tensors, cuts[] = {0, first, first + (n - first) / 2, n};
    for (int i = 0; i < 3; i++) {
        char path[256];
        path_of(i, 3, path);
        write_part(path, &(struct part){i, 3, (int)n, cuts[i], cuts[i + 1], 0});
    }
}

static void expect_whole(const char *path) {
    model_files *m = NULL;
    struct cria_error err = {0};
    uint8_t digest[32];
    if (model_files_open(&m, path, NULL, &err) != CRIA_OK) fail_msg("%s: %s", path, err.text);
    assert_int_equal(model_files_digest(m, digest, &err), CRIA_OK);
    assert_memory_equal(digest, whole_digest, sizeof digest);
    assert_int_equal(model_files_config(m)->n_vocab, 40);
    assert_string_equal(model_files_kind(m), "GGUF v3");
    model_files_close(&m);
}

/* Part `opened` of the three has to be refused with this word and the path of the culprit. */
static void expect_refused(const char *what, int opened, cria_status wanted, const char *word, int culprit) {
    model_files *m = NULL;
    struct cria_error err = {0};
    char path[256], culprit_path[256];
    path_of(opened, 3, path);
    path_of(culprit, 3, culprit_path);
    const cria_status status = model_files_open(&m, path, NULL, &err);
    model_files_close(&m);
    if (status != wanted || !strstr(err.text, word) || !strstr(err.text, culprit_path))
        fail_msg("%s: expected %s about \"%s\" of %s, got %s: %s", what, cria_status_name(wanted), word, culprit_path,
                 cria_status_name(status), err.text);
}

/* Catches a part that opens only itself, or tensors that are read from another part's bytes. */
static void test_any_part_opens_all(void **state) {
    (void)state;
    const size_t firsts[] = {0, 1, whole.n_tensors / 2, whole.n_tensors};
    for (size_t k = 0; k < sizeof firsts / sizeof firsts[0]; k++) {
        write_three(firsts[k]); /* with 0: the keys alone, as some converters write them */
        for (int i = 0; i < 3; i++) {
            char path[256];
            path_of(i, 3, path);
            expect_whole(path);
        }
    }
}

/* Catches a name that counts for more than the keys, in either direction. */
static void test_names(void **state) {
    (void)state;
    char path[256], other[256];
    model_files *m = NULL;
    struct cria_error err = {0};
    path_of(0, 2, path);
    assert_int_equal(link(whole_path, path), 0);
    expect_whole(path);
    assert_int_equal(unlink(path), 0);
    write_three(3);
    path_of(1, 3, path);
    snprintf(other, sizeof other, "%s/renamed.gguf", folder);
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(model_files_open(&m, other, NULL, &err), CRIA_FORMAT);
    assert_non_null(strstr(err.text, "its name has to end in -00002-of-00003.gguf"));
    assert_int_equal(unlink(other), 0);
}

/* Catches parts that are joined although they do not belong together. */
static void test_L17_parts(void **state) {
    (void)state;
    const size_t n = whole.n_tensors;
    char path[256], other[256];
    path_of(1, 3, path);
    path_of(2, 3, other);
    write_three(3);
    assert_int_equal(unlink(path), 0);
    expect_refused("a missing part", 0, CRIA_NOTFOUND, "", 1);
    expect_refused("a missing part", 2, CRIA_NOTFOUND, "", 1);
    write_part(path, &(struct part){2, 3, (int)n, 3, 6, 0});
    expect_refused("a wrong order", 0, CRIA_FORMAT, "part 3 of 3", 1);
    write_part(path, &(struct part){0, 3, (int)n, 0, 3, 0});
    expect_refused("a part twice", 2, CRIA_FORMAT, "part 1 of 3", 1);
    write_part(path, &(struct part){1, 4, (int)n, 3, 6, 0});
    expect_refused("different counts", 0, CRIA_FORMAT, "part 2 of 4", 1);
    write_part(path, &(struct part){1, 3, (int)n - 1, 3, 6, 0});
    expect_refused("different counts of tensors", 0, CRIA_FORMAT, "tensors in all", 1);
    write_part(path, &(struct part){-1, 3, (int)n, 3, 6, 0});
    expect_refused("a part without a number", 0, CRIA_FORMAT, "split.no", 1);
    write_part(path, &(struct part){7, 3, (int)n, 3, 6, 0});
    expect_refused("a number beyond the count", 0, CRIA_FORMAT, "split.no", 1);
    write_three(3);
    write_part(path, &(struct part){1, 3, (int)n, 3, 5, 0});
    expect_refused("tensors are missing", 0, CRIA_FORMAT, "split.tensors.count", 2);
    write_part(path, &(struct part){1, 3, (int)n, 3, 3 + (n - 3) / 2 - 1, 2});
    expect_refused("a tensor in two parts", 0, CRIA_FORMAT, "comes twice", 0);
    assert_int_equal(truncate(path, 50), 0);
    expect_refused("a broken part", 0, CRIA_FORMAT, "", 1);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/dev/zero", path), 0);
    expect_refused("a part that is no file", 0, CRIA_IO, "regular file", 1);
    assert_int_equal(unlink(path), 0);
}

/* Catches a vocabulary that needs all parts, though the first one has all keys. */
static void test_text_needs_the_first_part(void **state) {
    (void)state;
    char path[256];
    const struct model_open_options only_text = {.only_text = true};
    model_files *m = NULL;
    struct cria_error err = {0};
    write_three(3);
    path_of(1, 3, path);
    assert_int_equal(unlink(path), 0);
    path_of(2, 3, path);
    if (model_files_open(&m, path, &only_text, &err) != CRIA_OK) fail_msg("%s", err.text);
    assert_string_equal(model_files_kind(m), "GGUF v3");
    model_files_close(&m);
}

/* Catches a leak where memory ends at any allocation. */
static void test_no_memory(void **state) {
    (void)state;
    char path[256];
    write_three(3);
    path_of(1, 3, path);
    for (uint64_t n = 1;; n++) {
        model_files *m = NULL;
        alloc_fail_at(n);
        const cria_status status = model_files_open(&m, path, NULL, NULL);
        const uint64_t count = alloc_fail_at(0);
        model_files_close(&m);
        if (count < n) break;
        assert_int_equal(status, CRIA_NOMEM);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_part_opens_all), cmocka_unit_test(test_names),
        cmocka_unit_test(test_L17_parts),          cmocka_unit_test(test_text_needs_the_first_part),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
