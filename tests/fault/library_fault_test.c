/* library_fault_test.c: the n-th request for memory or for a thread fails, for every n, in the life of a model: those
 * of Cria's code and those of the libraries and the C library beneath it, as this program answers malloc(), mmap() and
 * pthread_create() itself.
 *
 * Catches what alloc_fault_test.c catches, where the failure is deeper: a library's refusal that is not understood, and
 * blocks of a library that nobody gives back (they are counted). Sanitizers answer malloc() themselves, so with them
 * only the lives are run, without failures.
 *
 * Left out are Oniguruma's own requests: version 6.9.8 loses blocks when one fails inside of a character class, and
 * frees one twice when one fails late in onig_compile(). Nothing above it can help that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "kit/life.h"
#include "kit/tiny.h"

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

static _Atomic uint64_t n_requests, failing_request; /* 0: none */
static _Atomic int64_t n_live;                       /* blocks and mappings given out and not given back */
static _Atomic int has_failed_thread;                /* the failing request was for a thread */

#if !HAS_SANITIZER

/* What the C library's own functions are called beneath their public names. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t alignment, size_t n);
void __libc_free(void *p);

typedef int create_function(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
static create_function *real_pthread_create;

static int is_in_oniguruma(const void *address) {
    Dl_info info;
    return dladdr(address, &info) && info.dli_fname && strstr(info.dli_fname, "libonig");
}

static int is_failing(const void *caller) {
    if (is_in_oniguruma(caller)) return 0;
    const uint64_t n = atomic_fetch_add(&n_requests, 1) + 1;
    return n == atomic_load(&failing_request);
}

#define IS_FAILING() is_failing(__builtin_return_address(0))

/* Counts what was given out. */
static void *give(void *p) {
    if (p) atomic_fetch_add(&n_live, 1);
    if (!p) errno = ENOMEM;
    return p;
}

void *malloc(size_t n) { return give(IS_FAILING() ? NULL : __libc_malloc(n)); }

void *calloc(size_t n, size_t size) { return give(IS_FAILING() ? NULL : __libc_calloc(n, size)); }

void *realloc(void *p, size_t n) {
    if (!p) return give(IS_FAILING() ? NULL : __libc_malloc(n));
    if (IS_FAILING()) {
        errno = ENOMEM;
        return NULL;
    }
    void *moved = __libc_realloc(p, n);
    if (!moved && n == 0) atomic_fetch_sub(&n_live, 1);
    return moved;
}

void *memalign(size_t alignment, size_t n) { return give(IS_FAILING() ? NULL : __libc_memalign(alignment, n)); }

void *aligned_alloc(size_t alignment, size_t n) { return give(IS_FAILING() ? NULL : __libc_memalign(alignment, n)); }

int posix_memalign(void **ret, size_t alignment, size_t n) {
    void *p = give(IS_FAILING() ? NULL : __libc_memalign(alignment, n));
    if (!p) return ENOMEM;
    *ret = p;
    return 0;
}

void free(void *p) {
    if (p) atomic_fetch_sub(&n_live, 1);
    __libc_free(p);
}

void *mmap(void *address, size_t n, int protection, int flags, int fd, off_t offset) {
    if (IS_FAILING()) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    void *p = (void *)syscall(SYS_mmap, address, n, protection, flags, fd, offset);
    if (p != MAP_FAILED) atomic_fetch_add(&n_live, 1);
    return p;
}

int munmap(void *address, size_t n) {
    atomic_fetch_sub(&n_live, 1);
    return (int)syscall(SYS_munmap, address, n);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *arg) {
    if (IS_FAILING()) {
        has_failed_thread = 1;
        return EAGAIN;
    }
    return real_pthread_create(thread, attributes, run, arg);
}

/* Before any thread exists, as finding a symbol takes memory too. */
static void find_real(void) {
    void *symbol = dlsym(RTLD_NEXT, "pthread_create");
    memcpy(&real_pthread_create, &symbol, sizeof symbol);
}

#else

static void find_real(void) {}

#endif

static char *folder;

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

/* One life in which request n fails; 0: none. */
static cria_status live(const struct life *life, uint64_t n, uint8_t ret_digest[32], struct cria_error *err) {
    n_requests = 0;
    has_failed_thread = 0;
    failing_request = n;
    const cria_status status = life_run(life, ret_digest, err);
    failing_request = 0;
    return status;
}

/* Lives with request n failing. */
static void fail_one(const struct life *life, uint64_t n) {
    uint8_t digest[32];
    struct cria_error err = {0};
    const int64_t before = n_live;
    cria_status status = live(life, n, digest, &err);
    /* A library may make something for ever at its first failure, such as a list of errors; then the second loses
     * nothing. */
    if (n_live > before) {
        const int64_t again = n_live;
        status = live(life, n, digest, &err);
        if (n_live > again)
            fail_msg("request %llu: %lld blocks are lost (%s)", (unsigned long long)n, (long long)(n_live - again),
                     err.text);
    }
    if (status == CRIA_OK) return; /* who asked can do without */
    if (status != CRIA_NOMEM && !has_failed_thread)
        fail_msg("request %llu: %s: %s", (unsigned long long)n, cria_status_name(status), err.text);
    assert_int_equal(err.status, status);
    assert_true(err.text[0] != '\0');
}

static void fail_everywhere(const struct life *life) {
    uint8_t first[32], last[32];
    struct cria_error err = {0};
    for (int round = 0; round < 3; round++) /* the libraries make what they keep for ever */
        if (live(life, 0, first, &err) != CRIA_OK) fail_msg("%s", err.text);
    const uint64_t n_all = n_requests;
    for (uint64_t n = 1; n <= n_all; n++) fail_one(life, n);
    print_message("%llu requests failed\n", (unsigned long long)n_all);
    assert_true(HAS_SANITIZER || n_all > 20);
    if (live(life, 0, last, &err) != CRIA_OK) fail_msg("%s", err.text);
    assert_memory_equal(last, first, sizeof first);
}

static struct tiny_model shape(void) {
    return (struct tiny_model){.d_model = 64,
                               .n_layers = 2,
                               .n_heads = 4,
                               .n_kv_heads = 2,
                               .head_size = 16,
                               .d_ff = 96,
                               .n_vocab = 288,
                               .n_context = 128,
                               .dtype = DTYPE_BF16,
                               .seed = 3};
}

static void test_directory(void **state) {
    (void)state;
    struct tiny_model m = shape();
    m.has_tokenizer = true;
    char *path = file_join(folder, "hf");
    assert_int_equal(tiny_write_directory(&m, path, NULL), CRIA_OK);
    fail_everywhere(&(struct life){.path = path, .has_tokenizer = true});
    assert_int_equal(life_split_by_regex(path, NULL), CRIA_OK);
    fail_everywhere(&(struct life){.path = path, .has_tokenizer = true});
    alloc_free(path);
}

static void test_gguf(void **state) {
    (void)state;
    struct tiny_model m = shape();
    m.dtype = DTYPE_Q8_0;
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
    find_real();
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_directory), cmocka_unit_test(test_gguf),
                                       cmocka_unit_test(test_sharded_directory)};
    return cmocka_run_group_tests_name("library_fault", tests, make_folder, drop_folder);
}
