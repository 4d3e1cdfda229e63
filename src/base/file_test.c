/* file_test.c: files that are whole, missing, of the wrong kind, or cut under our feet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"

static char folder[64];

static int make_folder(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/cria-file-test-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir && (e = readdir(dir));) unlinkat(dirfd(dir), e->d_name, 0);
    if (dir) closedir(dir);
    return rmdir(folder);
}

/* folder/name; the caller frees it. */
static char *at(const char *name) {
    char *path = file_join(folder, name);
    assert_non_null(path);
    return path;
}

static int entries(void) {
    int n = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

/* Catches lost or added bytes, and temporary files left behind. */
static void test_write_and_read(void **state) {
    (void)state;
    char *path = at("whole"), *data, *big = alloc_zeroed(300000, 1);
    size_t n;
    const int before = entries();
    assert_int_equal(file_write_atomic(path, "a\0b", 3, NULL), CRIA_OK);
    assert_int_equal(file_read(path, 3, &data, &n, NULL), CRIA_OK);
    assert_int_equal(n, 3);
    assert_memory_equal(data, "a\0b", 4);
    alloc_free(data);
    assert_int_equal(file_write_atomic(path, big, 300000, NULL), CRIA_OK);
    assert_int_equal(file_read(path, SIZE_MAX, &data, &n, NULL), CRIA_OK);
    assert_int_equal(n, 300000);
    assert_memory_equal(data, big, n);
    alloc_free(data);
    assert_int_equal(file_read(path, 299999, &data, &n, NULL), CRIA_LIMIT);
    assert_int_equal(file_write_atomic(path, NULL, 0, NULL), CRIA_OK);
    assert_int_equal(file_read(path, 10, &data, &n, NULL), CRIA_OK);
    assert_int_equal(n, 0);
    assert_string_equal(data, "");
    alloc_free(data);
    assert_int_equal(entries(), before + 1);
    alloc_free(big);
    alloc_free(path);
}

/* Catches a failed write that harms the old file or leaves its temporary one: no room is what a size limit gives. */
static void test_failed_write(void **state) {
    (void)state;
    char *path = at("kept"), *data;
    size_t n;
    assert_int_equal(file_write_atomic(path, "old", 3, NULL), CRIA_OK);
    const int before = entries();
    assert_int_equal(chmod(folder, 0555), 0);
    const cria_status status = file_write_atomic(path, "new!", 4, NULL);
    assert_int_equal(chmod(folder, 0755), 0);
    if (geteuid() != 0) assert_int_equal(status, CRIA_IO); /* nothing stops root */
    for (uint64_t i = 1; i <= 2; i++) {
        alloc_fail_at(i);
        assert_int_equal(file_write_atomic(path, "new", 3, NULL), CRIA_NOMEM);
    }
    alloc_fail_at(0);
    assert_int_equal(entries(), before);
    assert_int_equal(file_read(path, 10, &data, &n, NULL), CRIA_OK);
    assert_int_equal(n, geteuid() != 0 ? 3 : 4);
    alloc_free(data);
    alloc_free(path);
}

/* Catches an open that hangs on a pipe, reads a folder, or has no name in its message. */
static void test_wrong_kinds(void **state) {
    (void)state;
    struct cria_error err;
    char *data, *pipe_path = at("pipe"), *missing = at("missing"), *link_path = at("link");
    size_t n;
    struct file_map *map = NULL;
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    assert_int_equal(symlink("pipe", link_path), 0);
    assert_int_equal(file_read(pipe_path, 10, &data, &n, &err), CRIA_IO);
    assert_non_null(strstr(err.text, "named pipe"));
    assert_int_equal(file_map_open(&map, link_path, &err), CRIA_IO);
    assert_int_equal(file_map_open(&map, folder, &err), CRIA_IO);
    assert_non_null(strstr(err.text, folder));
    assert_int_equal(file_map_open(&map, "/dev/null", &err), CRIA_IO);
    assert_int_equal(file_map_open(&map, missing, &err), CRIA_NOTFOUND);
    assert_null(map);
    assert_false(file_exists(folder));
    assert_true(file_is_folder(folder));
    assert_false(file_exists(missing));
    alloc_free(pipe_path);
    alloc_free(missing);
    alloc_free(link_path);
}

struct sum_job {
    const struct file_map *map;
    uint64_t sum;
};

static cria_status add_all(void *arg, struct cria_error *err) {
    (void)err;
    struct sum_job *job = arg;
    for (size_t i = 0; i < job->map->n_bytes; i++) job->sum += ((const volatile uint8_t *)job->map->data)[i];
    return CRIA_OK;
}

static cria_status touch_elsewhere(void *arg, struct cria_error *err) {
    (void)err;
    const struct sum_job *job = arg;
    return ((const volatile uint8_t *)job->map->data)[job->map->n_bytes - 1] ? CRIA_OK : CRIA_IO;
}

/* Catches a process that dies when a mapped file is cut, and a guard that works only once. */
static void test_guard(void **state) {
    (void)state;
    struct cria_error err;
    char *path = at("cut"), *bytes = alloc_array(100000, 1);
    memset(bytes, 1, 100000);
    assert_int_equal(file_write_atomic(path, bytes, 100000, NULL), CRIA_OK);
    struct file_map *map;
    assert_int_equal(file_map_open(&map, path, NULL), CRIA_OK);
    struct sum_job job = {.map = map};
    assert_int_equal(file_guard(map, add_all, &job, NULL), CRIA_OK);
    assert_int_equal(job.sum, 100000);
    assert_int_equal(truncate(path, 10), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(file_guard(map, add_all, &job, &err), CRIA_IO);
        assert_non_null(strstr(err.text, "it had 100000 bytes, now 10"));
        assert_non_null(strstr(err.text, path));
    }
    file_map_close(&map);
    file_map_close(&map);
    alloc_free(bytes);
    alloc_free(path);
}

/* Catches a guard that hides SIGBUS of other mappings: that one still has to end the process. */
static void test_guard_is_narrow(void **state) {
    (void)state;
    char *path = at("guarded"), *other_path = at("other"), *bytes = alloc_zeroed(100000, 1);
    struct file_map *map, *other;
    assert_int_equal(file_write_atomic(path, bytes, 100000, NULL), CRIA_OK);
    assert_int_equal(file_write_atomic(other_path, bytes, 100000, NULL), CRIA_OK);
    assert_int_equal(file_map_open(&map, path, NULL), CRIA_OK);
    assert_int_equal(file_map_open(&other, other_path, NULL), CRIA_OK);
    assert_int_equal(truncate(other_path, 0), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGBUS, SIG_DFL);
        struct sum_job job = {.map = other};
        const cria_status status = file_guard(map, touch_elsewhere, &job, NULL);
        _exit(10 + (int)status);
    }
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFSIGNALED(result));
    assert_int_equal(WTERMSIG(result), SIGBUS);
    file_map_close(&map);
    file_map_close(&other);
    alloc_free(bytes);
    alloc_free(path);
    alloc_free(other_path);
}

/* Catches an empty file taken for an error, and folders made with too few or too many parts. */
static void test_edges(void **state) {
    (void)state;
    char *path = at("empty"), *deep = at("a/b/c");
    struct file_map *map;
    assert_int_equal(file_write_atomic(path, NULL, 0, NULL), CRIA_OK);
    assert_int_equal(file_map_open(&map, path, NULL), CRIA_OK);
    assert_null(map->data);
    assert_int_equal(map->n_bytes, 0);
    file_map_close(&map);
    assert_int_equal(file_make_folder(deep, NULL), CRIA_OK);
    assert_int_equal(file_make_folder(deep, NULL), CRIA_OK);
    assert_true(file_is_folder(deep));
    assert_int_equal(file_make_folder(path, NULL), CRIA_IO);
    assert_string_equal(file_name("/x/y"), "y");
    assert_string_equal(file_name("y"), "y");
    assert_int_equal(rmdir(deep), 0);
    deep[strlen(deep) - 2] = '\0';
    assert_int_equal(rmdir(deep), 0);
    deep[strlen(deep) - 2] = '\0';
    assert_int_equal(rmdir(deep), 0);
    alloc_free(path);
    alloc_free(deep);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_and_read),  cmocka_unit_test(test_failed_write),
        cmocka_unit_test(test_wrong_kinds),     cmocka_unit_test(test_guard),
        cmocka_unit_test(test_guard_is_narrow), cmocka_unit_test(test_edges),
    };
    return cmocka_run_group_tests_name("file", tests, make_folder, remove_folder);
}
