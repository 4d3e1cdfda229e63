/* checkpoint_fault_test.c: checkpoints on a disk that fails: every i-th call, a loss of power, damaged files, and what
 * stays after failed saves.
 *
 * Catches a protocol that publishes a part, removes the old state before the new one is whole, or lets a damaged byte
 * through; a save that takes in what a later step wrote; and retention that counts what it never verified. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/random.h"
#include "kit/tiny.h"
#include "train/durable.h"
#include "train/saver.h"

static const struct arch_config config = {.d_model = 16,
                                          .n_layers = 1,
                                          .n_heads = 2,
                                          .n_kv_heads = 1,
                                          .head_size = 8,
                                          .d_ff = 32,
                                          .n_vocab = 40,
                                          .n_context = 64,
                                          .norm_eps = 1e-5,
                                          .tied = true,
                                          .rope = {.kind = ARCH_ROPE_PLAIN, .theta = 10000},
                                          .bos_id = -1};
static const uint8_t run_id[DIGEST_BYTES] = {1, 2, 3};
static const char state_text[] = "{\"step\":1}\n";

struct world {
    char *root, *folder;
    device *dev;
    llama_layout *layout;
    float *w;
    optim *opt;
    struct checkpoint_content content;
};

/* In memory where the system has such a folder: thousands of syncs on a disk take half a minute. */
static char *make_folder(void) {
    char name[] = "/dev/shm/cria-test-XXXXXX";
    return mkdtemp(name) ? alloc_text(name, strlen(name)) : tiny_folder();
}

static int make_world(void **state) {
    struct world *x = ALLOC_NEW(struct world);
    const struct optim_options options = {.beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8};
    assert_non_null(x);
    *state = x;
    x->root = make_folder();
    assert_non_null(x->root);
    x->folder = file_join(x->root, "checkpoints");
    assert_int_equal(device_create_cpu(&x->dev, &(struct device_options){.n_threads = 1}, NULL), CRIA_OK);
    assert_int_equal(llama_layout_create(&x->layout, &config, NULL), CRIA_OK);
    x->w = alloc_zeroed((size_t)llama_layout_floats(x->layout), sizeof *x->w);
    assert_int_equal(optim_create(&x->opt, x->layout, x->dev, &options, NULL), CRIA_OK);
    assert_int_equal(checkpoint_content_init(&x->content, &config, x->layout, x->w, x->opt, NULL), CRIA_OK);
    return 0;
}

static int drop_world(void **state) {
    struct world *x = *state;
    durable_fail(0, DURABLE_NO_FAULT, 0);
    checkpoint_content_free(&x->content);
    optim_destroy(&x->opt);
    alloc_free(x->w);
    llama_layout_destroy(&x->layout);
    device_destroy(&x->dev);
    tiny_remove(x->root);
    alloc_free(x->root);
    alloc_free(x->folder);
    alloc_free(x);
    return 0;
}

/* Every tensor of the state gets numbers of a step. */
static void fill(struct world *x, int64_t step) {
    for (int part = 0; part < 2; part++) {
        const struct checkpoint_tensor *list = part ? x->content.optimizer : x->content.model;
        const int n = part ? x->content.n_optimizer : x->content.n_model;
        for (int i = 0; i < n; i++)
            for (int64_t k = 0; k < list[i].header.n_rows * list[i].header.n_columns; k++)
                list[i].values[k] = (float)(1000 * step + 100 * part + i) + (float)k / 1024;
    }
}

static bool holds(const struct world *x, int64_t step) {
    for (int part = 0; part < 2; part++) {
        const struct checkpoint_tensor *list = part ? x->content.optimizer : x->content.model;
        const int n = part ? x->content.n_optimizer : x->content.n_model;
        for (int i = 0; i < n; i++)
            for (int64_t k = 0; k < list[i].header.n_rows * list[i].header.n_columns; k++)
                if (list[i].values[k] != (float)(1000 * step + 100 * part + i) + (float)k / 1024) return false;
    }
    return true;
}

static struct checkpoint_stamp stamp_of(int64_t step) {
    struct checkpoint_stamp s = {.step = step, .state = state_text, .n_state = sizeof state_text - 1};
    memcpy(s.run_id, run_id, sizeof run_id);
    return s;
}

static cria_status save(struct world *x, int64_t step, struct cria_error *err) {
    const struct checkpoint_stamp stamp = stamp_of(step);
    fill(x, step);
    return checkpoint_write(x->folder, &x->content, &stamp, err);
}

static bool loads(struct world *x, int64_t step, struct cria_error *err) {
    char *text = NULL;
    size_t n = 0;
    fill(x, 99);
    if (checkpoint_load(x->folder, step, run_id, &x->content, &text, &n, err) != CRIA_OK) return false;
    const bool is_right = holds(x, step) && n == sizeof state_text - 1 && memcmp(text, state_text, n) == 0;
    alloc_free(text);
    return is_right;
}

/* The newest state that verifies. */
static int64_t newest(struct world *x) {
    int64_t *steps = NULL, found = -1;
    int n = 0;
    assert_int_equal(checkpoint_list(x->folder, &steps, &n, NULL), CRIA_OK);
    for (int i = 0; i < n && found < 0; i++)
        if (loads(x, steps[i], NULL)) found = steps[i];
    alloc_free(steps);
    return found;
}

static uint64_t calls_of_a_save(struct world *x) {
    durable_fail(0, DURABLE_NO_FAULT, 0);
    assert_int_equal(save(x, 1, NULL), CRIA_OK);
    durable_fail(0, DURABLE_NO_FAULT, 0);
    assert_int_equal(save(x, 2, NULL), CRIA_OK);
    const uint64_t n = durable_fail(0, DURABLE_NO_FAULT, 0);
    assert_int_equal(checkpoint_remove(x->folder, 2, NULL), CRIA_OK);
    return n;
}

/* The i-th call fails, for every i, with every reason: the older state is whole, and a save that says success is. */
static void test_every_call(void **state) {
    static const int reasons[] = {ENOSPC, EIO, EINTR, EROFS};
    struct world *x = *state;
    const uint64_t n = calls_of_a_save(x);
    assert_true(n > 20);
    for (size_t r = 0; r < sizeof reasons / sizeof reasons[0]; r++) {
        for (uint64_t i = 1; i <= n + 1; i++) {
            struct cria_error error = {0};
            durable_fail(i, DURABLE_FAULT_ONCE, reasons[r]);
            const cria_status status = save(x, 2, &error);
            durable_fail(0, DURABLE_NO_FAULT, 0);
            if (status == CRIA_OK) {
                assert_true(loads(x, 2, NULL));
            } else {
                assert_int_equal(status, CRIA_IO);
                assert_non_null(strstr(error.text, strerror(reasons[r])));
            }
            assert_true(loads(x, 1, NULL));
            assert_int_equal(checkpoint_clean(x->folder, NULL), CRIA_OK);
            char *path = checkpoint_path(x->folder, 2);
            assert_int_equal(durable_remove(path, NULL), CRIA_OK);
            alloc_free(path);
        }
    }
}

/* Makes what was never synced as a loss of power may leave it: files of the unfinished folder are cut, emptied or
 * overwritten. */
static void tear(struct world *x, uint64_t seed) {
    char *work = file_join(x->folder, ".work-new");
    DIR *d = opendir(work);
    uint64_t at = 0;
    for (const struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        char *path = file_join(work, e->d_name);
        const uint64_t chance = random_u64(seed, RANDOM_TEST, at++);
        if (chance % 3 == 0) assert_int_equal(truncate(path, (off_t)(chance >> 32) % 100), 0);
        if (chance % 3 == 1) assert_int_equal(unlink(path), 0);
        alloc_free(path);
    }
    if (d) closedir(d);
    alloc_free(work);
}

/* The power goes at the i-th call, for every i: nothing later happens, and what was not synced is torn. */
static void test_power_loss(void **state) {
    struct world *x = *state;
    const uint64_t n = calls_of_a_save(x);
    for (uint64_t i = 1; i <= n; i++) {
        durable_fail(i, DURABLE_FAULT_ALL, EIO);
        (void)!save(x, 2, NULL);
        durable_fail(0, DURABLE_NO_FAULT, 0);
        tear(x, i);
        const int64_t found = newest(x);
        assert_true(found == 1 || found == 2);
        assert_int_equal(checkpoint_clean(x->folder, NULL), CRIA_OK);
        assert_int_equal(save(x, 2, NULL), CRIA_OK);
        assert_int_equal(newest(x), 2);
        assert_int_equal(checkpoint_remove(x->folder, 2, NULL), CRIA_OK);
    }
}

/* A write that takes a part is no error. */
static void test_short_writes(void **state) {
    struct world *x = *state;
    const uint64_t n = calls_of_a_save(x);
    for (uint64_t i = 1; i <= n; i++) {
        durable_fail(i, DURABLE_FAULT_SHORT, 0);
        assert_int_equal(save(x, 2, NULL), CRIA_OK);
        durable_fail(0, DURABLE_NO_FAULT, 0);
        assert_true(loads(x, 2, NULL));
        assert_int_equal(checkpoint_remove(x->folder, 2, NULL), CRIA_OK);
    }
}

static void flip(const char *path, off_t at, uint8_t mask) {
    uint8_t byte = 0;
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= mask;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

/* A flipped byte at the ends and at random places of every file: refused, with the file's name, and a tensor's where it
 * lies in one. */
static void test_flipped_bytes(void **state) {
    static const char *const names[] = {
        "config.json", "generation_config.json", "model.safetensors", "optimizer.safetensors",
        "state.json",  "manifest.json",          "manifest.sha256"};
    struct world *x = *state;
    assert_int_equal(save(x, 1, NULL), CRIA_OK);
    char *folder = checkpoint_path(x->folder, 1);
    for (size_t f = 0; f < sizeof names / sizeof names[0]; f++) {
        struct stat st;
        char *path = file_join(folder, names[f]);
        assert_int_equal(stat(path, &st), 0);
        for (uint64_t i = 0; i < 60; i++) {
            const uint64_t chance = random_u64(f, RANDOM_TEST, i);
            const off_t at = i == 0 ? 0 : i == 1 ? st.st_size - 1 : (off_t)(chance % (uint64_t)st.st_size);
            struct cria_error error = {0};
            flip(path, at, (uint8_t)(1U << (chance >> 60 & 7)));
            assert_false(loads(x, 1, &error));
            if (!strstr(error.text, names[f]) && strcmp(names[f], "manifest.sha256") != 0)
                fail_msg("%s, byte %lld: \"%s\"", names[f], (long long)at, error.text);
            if (strstr(names[f], "model.safetensors") && at > 4096) assert_non_null(strstr(error.text, "\"model."));
            flip(path, at, (uint8_t)(1U << (chance >> 60 & 7)));
        }
        alloc_free(path);
    }
    assert_true(loads(x, 1, NULL));
    alloc_free(folder);
}

/* Missing, cut, empty, longer, and swapped with another step's. */
static void test_damaged_files(void **state) {
    struct world *x = *state;
    static const char *const names[] = {"model.safetensors", "optimizer.safetensors", "state.json", "manifest.json",
                                        "manifest.sha256"};
    for (size_t f = 0; f < sizeof names / sizeof names[0]; f++) {
        for (int how = 0; how < 4; how++) {
            struct cria_error error = {0};
            assert_int_equal(save(x, 1, NULL), CRIA_OK);
            assert_int_equal(save(x, 2, NULL), CRIA_OK);
            char *folder = checkpoint_path(x->folder, 2), *other = checkpoint_path(x->folder, 1);
            char *path = file_join(folder, names[f]), *other_path = file_join(other, names[f]);
            struct stat st;
            assert_int_equal(stat(path, &st), 0);
            if (how == 0) assert_int_equal(unlink(path), 0);
            if (how == 1) assert_int_equal(truncate(path, st.st_size - 1), 0);
            if (how == 2) assert_int_equal(truncate(path, 0), 0);
            if (how == 3) assert_int_equal(rename(other_path, path), 0);
            const bool is_same = how == 3 && strcmp(names[f], "state.json") == 0; /* it is the same in both */
            if (!is_same) {
                assert_false(loads(x, 2, &error));
                if (how < 3 && !strstr(error.text, names[f])) fail_msg("%s: \"%s\"", names[f], error.text);
                if (how < 3) assert_int_equal(newest(x), 1);
            }
            assert_int_equal(durable_remove(folder, NULL), CRIA_OK);
            assert_int_equal(durable_remove(other, NULL), CRIA_OK);
            alloc_free(folder);
            alloc_free(other);
            alloc_free(path);
            alloc_free(other_path);
        }
    }
}

/* A whole checkpoint under another step's name, of another run, of another model. */
static void test_identity(void **state) {
    struct world *x = *state;
    struct cria_error error = {0};
    static const uint8_t other_run[DIGEST_BYTES] = {7};
    assert_int_equal(save(x, 1, NULL), CRIA_OK);
    char *one = checkpoint_path(x->folder, 1), *three = checkpoint_path(x->folder, 3);
    assert_int_equal(rename(one, three), 0);
    assert_int_equal(checkpoint_verify(x->folder, 3, run_id, &x->content, &error), CRIA_FORMAT);
    assert_non_null(strstr(error.text, "is of step 1, not 3"));
    assert_int_equal(rename(three, one), 0);
    assert_int_equal(checkpoint_verify(x->folder, 1, other_run, &x->content, &error), CRIA_FORMAT);
    assert_non_null(strstr(error.text, "another run"));
    x->content.model_id[0] ^= 1;
    assert_int_equal(checkpoint_verify(x->folder, 1, run_id, &x->content, &error), CRIA_FORMAT);
    assert_non_null(strstr(error.text, "another model"));
    x->content.model_id[0] ^= 1;
    x->content.tokenizer_id[0] ^= 1;
    assert_int_equal(checkpoint_verify(x->folder, 1, run_id, &x->content, &error), CRIA_FORMAT);
    assert_non_null(strstr(error.text, "another tokenizer"));
    x->content.tokenizer_id[0] ^= 1;
    alloc_free(one);
    alloc_free(three);
}

static cria_status save_behind(struct world *x, saver *s, int64_t step) {
    const struct checkpoint_stamp stamp = stamp_of(step);
    int64_t told = 0;
    cria_status status = CRIA_OK;
    double seconds = 0;
    fill(x, step);
    assert_int_equal(saver_start(s, &stamp, NULL), CRIA_OK);
    fill(x, 77); /* the next step */
    saver_wait(s);
    assert_true(saver_poll(s, &told, &status, &seconds, NULL));
    assert_int_equal(told, step);
    assert_false(saver_poll(s, &told, &status, &seconds, NULL));
    return status;
}

/* The copy is of the step that was saved; two stay, and after ten failed saves the same two. */
static void test_retention(void **state) {
    struct world *x = *state;
    saver *s = NULL;
    const struct saver_options options = {.folder = x->folder, .content = &x->content, .keep = 2, .is_behind = true};
    assert_int_equal(saver_create(&s, &options, NULL), CRIA_OK);
    for (int64_t step = 1; step <= 5; step++) assert_int_equal(save_behind(x, s, step), CRIA_OK);
    for (int64_t step = 6; step < 16; step++) {
        durable_fail((uint64_t)(3 * step - 10), DURABLE_FAULT_ALL, ENOSPC);
        assert_int_equal(save_behind(x, s, step), CRIA_IO);
        durable_fail(0, DURABLE_NO_FAULT, 0);
    }
    assert_true(loads(x, 4, NULL));
    assert_true(loads(x, 5, NULL));
    assert_false(loads(x, 3, NULL));
    assert_int_equal(save_behind(x, s, 20), CRIA_OK);
    assert_int_equal(newest(x), 20);
    assert_true(loads(x, 5, NULL));
    assert_false(loads(x, 4, NULL));
    saver_destroy(&s);
}

/* The n-th allocation fails, for every n: NOMEM, the older state stays, and nothing is lost or freed twice. */
static void test_no_memory(void **state) {
    struct world *x = *state;
    assert_int_equal(save(x, 1, NULL), CRIA_OK);
    fill(x, 2);
    for (uint64_t n = 1;; n++) {
        const struct checkpoint_stamp stamp = stamp_of(2);
        struct cria_error error = {0};
        alloc_fail_at(n);
        const cria_status status = checkpoint_write(x->folder, &x->content, &stamp, &error);
        alloc_fail_at(0);
        assert_true(loads(x, 1, NULL));
        fill(x, 2);
        if (status == CRIA_OK) break;
        assert_int_equal(status, CRIA_NOMEM);
    }
    for (uint64_t n = 1;; n++) {
        char *text = NULL;
        size_t n_text = 0;
        alloc_fail_at(n);
        const cria_status status = checkpoint_load(x->folder, 2, run_id, &x->content, &text, &n_text, NULL);
        alloc_fail_at(0);
        alloc_free(text);
        if (status == CRIA_OK) break;
        assert_int_equal(status, CRIA_NOMEM);
    }
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_world, drop_world)
    const struct CMUnitTest tests[] = {TEST(test_every_call),    TEST(test_power_loss),    TEST(test_short_writes),
                                       TEST(test_flipped_bytes), TEST(test_damaged_files), TEST(test_identity),
                                       TEST(test_retention),     TEST(test_no_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
