/* cut_file_test.c: a model file that is cut or written while its weights are being packed.
 *
 * Exists to catch a load that dies of SIGBUS on one of the device's threads, or that ends well with weights of which a
 * part was zeros or another file's. Whatever the moment, the process lives on and the next whole file loads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/random.h"
#include "kit/tiny.h"
#include "llama/llama.h"

#define MAX_FILE_BYTES ((size_t)1 << 26)

/* Some megabytes, so that a load takes longer than a thread needs to start. */
static const struct tiny_model tiny = {
    .d_model = 256,
    .n_layers = 2,
    .n_heads = 4,
    .n_kv_heads = 2,
    .head_size = 64,
    .d_ff = 512,
    .n_vocab = 1000,
    .n_context = 64,
    .dtype = DTYPE_BF16,
    .seed = 15,
};

struct whole_file {
    char *path, *data; /* owned */
    size_t n_bytes;
};
static struct whole_file gguf, shard;
static char *folder;
static device *dev;

static void write_whole(const struct whole_file *f) {
    FILE *file = fopen(f->path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(f->data, 1, f->n_bytes, file), f->n_bytes);
    assert_int_equal(fclose(file), 0);
}

static void load_is_whole(const char *path) {
    struct cria_error err = {0};
    model_files *files = NULL;
    llama_model *m = NULL;
    assert_int_equal(model_files_open(&files, path, NULL, &err), CRIA_OK);
    assert_int_equal(llama_model_load(&m, files, dev, NULL, &err), CRIA_OK);
    llama_model_destroy(&m);
    model_files_close(&files);
}

/* Opens path, cuts `victim` to n_bytes, loads: an error that names the file, nothing given. */
static void cut_before_load(const char *path, const struct whole_file *victim, size_t n_bytes) {
    struct cria_error err = {0};
    model_files *files = NULL;
    llama_model *m = NULL;
    write_whole(victim);
    assert_int_equal(model_files_open(&files, path, NULL, &err), CRIA_OK);
    assert_int_equal(truncate(victim->path, (off_t)n_bytes), 0);
    assert_int_equal(llama_model_load(&m, files, dev, NULL, &err), CRIA_IO);
    assert_null(m);
    assert_non_null(strstr(err.text, victim->path));
    assert_non_null(strstr(err.text, "was cut"));
    model_files_close(&files);
}

static void cut_between_open_and_load(void) {
    const size_t n = gguf.n_bytes;
    /* The last two lie inside the last page: no signal comes. */
    const size_t places[] = {0, 1, 4096, n / 2, n - 5000, n - 9, n - 1};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) cut_before_load(gguf.path, &gguf, places[i]);
    cut_before_load(folder, &shard, shard.n_bytes / 2);
    cut_before_load(folder, &shard, shard.n_bytes - 1);
    write_whole(&gguf);
    write_whole(&shard);
    load_is_whole(gguf.path);
    load_is_whole(folder);
}

/* As `cp` over an old file does it: cut, then written again, of the same size. */
static void written_anew(void) {
    struct cria_error err = {0};
    model_files *files = NULL;
    llama_model *m = NULL;
    write_whole(&gguf);
    assert_int_equal(model_files_open(&files, gguf.path, NULL, &err), CRIA_OK);
    assert_int_equal(truncate(gguf.path, 0), 0);
    assert_int_equal(truncate(gguf.path, (off_t)gguf.n_bytes), 0);
    /* The clock of a file system ticks more slowly than this test runs. */
    const struct timespec later[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = 4000000000}};
    assert_int_equal(utimensat(AT_FDCWD, gguf.path, later, 0), 0);
    assert_int_equal(llama_model_load(&m, files, dev, NULL, &err), CRIA_IO);
    assert_non_null(strstr(err.text, gguf.path));
    assert_non_null(strstr(err.text, "written"));
    model_files_close(&files);
}

struct cutter {
    size_t n_bytes;
    double wait_s;
    atomic_int go;
};

static void *cut(void *arg) {
    struct cutter *c = arg;
    while (!atomic_load(&c->go)) continue;
    const double until = clock_seconds() + c->wait_s;
    while (clock_seconds() < until) continue;
    assert_int_equal(truncate(gguf.path, (off_t)c->n_bytes), 0);
    return NULL;
}

static double load_seconds(void) {
    struct cria_error err;
    model_files *files = NULL;
    llama_model *m = NULL;
    assert_int_equal(model_files_open(&files, gguf.path, NULL, &err), CRIA_OK);
    const double begin = clock_seconds();
    assert_int_equal(llama_model_load(&m, files, dev, NULL, &err), CRIA_OK);
    const double end = clock_seconds();
    llama_model_destroy(&m);
    model_files_close(&files);
    return end - begin;
}

static void cut_while_loading(void) {
    enum { ROUNDS = 60 };
    const uint64_t seed = (uint64_t)(clock_seconds() * 1e9);
    int n_failed = 0;
    print_message("seed %llu\n", (unsigned long long)seed);
    write_whole(&gguf);
    const double usual_s = load_seconds();
    for (int round = 0; round < ROUNDS; round++) {
        struct cria_error err = {0};
        model_files *files = NULL;
        llama_model *m = NULL;
        struct cutter c = {.n_bytes = random_u64(seed, RANDOM_TEST, 2 * (uint64_t)round) % gguf.n_bytes,
                           .wait_s = random_unit(seed, RANDOM_TEST, 2 * (uint64_t)round + 1) * usual_s};
        pthread_t thread;
        write_whole(&gguf);
        assert_int_equal(model_files_open(&files, gguf.path, NULL, &err), CRIA_OK);
        assert_int_equal(pthread_create(&thread, NULL, cut, &c), 0);
        atomic_store(&c.go, 1);
        const cria_status status = llama_model_load(&m, files, dev, NULL, &err);
        assert_int_equal(pthread_join(thread, NULL), 0);
        if (status != CRIA_OK) {
            assert_int_equal(status, CRIA_IO);
            assert_non_null(strstr(err.text, gguf.path));
            n_failed++;
        }
        llama_model_destroy(&m);
        model_files_close(&files);
    }
    print_message("%d of %d loads met the cut\n", n_failed, (int)ROUNDS);
    write_whole(&gguf);
    load_is_whole(gguf.path);
}

/* One test: cmocka puts its own handler of SIGBUS in place for each. */
static void every_moment(void **state) {
    (void)state;
    cut_between_open_and_load();
    written_anew();
    cut_while_loading();
}

static int set_up(void **state) {
    struct cria_error err;
    (void)state;
    folder = tiny_folder();
    gguf.path = folder ? file_join(folder, "tiny.gguf") : NULL;
    shard.path = folder ? file_join(folder, "model.safetensors") : NULL;
    if (!gguf.path || !shard.path) return -1;
    cria_status status = CRIA_OK;
    TRY(tiny_write_gguf(&tiny, gguf.path, &err));
    TRY(tiny_write_directory(&tiny, folder, &err));
    TRY(file_read(gguf.path, MAX_FILE_BYTES, &gguf.data, &gguf.n_bytes, &err));
    TRY(file_read(shard.path, MAX_FILE_BYTES, &shard.data, &shard.n_bytes, &err));
    TRY(device_create_cpu(&dev, &(struct device_options){.n_threads = 2}, &err));
out:
    return status == CRIA_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    device_destroy(&dev);
    tiny_remove(folder);
    alloc_free(gguf.path);
    alloc_free(gguf.data);
    alloc_free(shard.path);
    alloc_free(shard.data);
    alloc_free(folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_moment),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
