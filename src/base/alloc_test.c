/* alloc_test.c: the heap's door: overflow, failing on purpose, and the guard of loops that must not allocate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/checked.h"

/* Catches a product that wraps and gives a small block; volatile keeps the compiler from seeing through. */
static void test_overflow(void **state) {
    (void)state;
    volatile size_t n = SIZE_MAX / 2 + 2;
    size_t result = 7;
    assert_null(alloc_array(n, 2));
    assert_null(alloc_zeroed(n, 2));
    char *p = alloc_text("abc", 3);
    assert_string_equal(p, "abc");
    assert_null(alloc_resize(p, n, 2));
    assert_string_equal(p, "abc");
    alloc_free(p);
    assert_null(alloc_text("", SIZE_MAX));
    assert_true(checked_mul_size(n, 2, &result) && checked_add_size(SIZE_MAX, 1, &result));
    assert_true(checked_round_up(SIZE_MAX - 1, 64, &result));
    assert_int_equal(result, 7);
    assert_int_equal(checked_round_up(65, 64, &result), 0);
    assert_int_equal(result, 128);
}

/* Catches zero-sized requests that look like a lack of memory, and memory that is not zeroed. */
static void test_zero(void **state) {
    (void)state;
    char *a = alloc_array(0, 8), *b = alloc_zeroed(0, 8), *c = alloc_zeroed(100, 1);
    assert_non_null(a);
    assert_non_null(b);
    for (int i = 0; i < 100; i++) assert_int_equal(c[i], 0);
    a = alloc_resize(a, 0, 8);
    assert_non_null(a);
    alloc_free(a);
    alloc_free(b);
    alloc_free(c);
    alloc_free(NULL);
}

/* Catches a failure on purpose that fails another call than the n-th, or more than one. */
static void test_fail_at(void **state) {
    (void)state;
    alloc_fail_at(2);
    void *a = alloc_array(1, 1), *b = alloc_array(1, 1), *c = alloc_array(1, 1);
    assert_non_null(a);
    assert_null(b);
    assert_non_null(c);
    assert_int_equal(alloc_fail_at(0), 3);
    alloc_free(a);
    alloc_free(c);
}

/* Runs fn in a child; whether it was aborted. */
static int is_aborted(void (*fn)(void)) {
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
        fn();
        _exit(0);
    }
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    return WIFSIGNALED(result) && WTERMSIG(result) == SIGABRT;
}

static void allocate_inside(void) {
    alloc_forbid();
    alloc_forbid();
    alloc_allow();
    alloc_free(alloc_array(1, 1));
}

static void allocate_behind(void) {
    alloc_forbid();
    alloc_allow();
    alloc_free(alloc_array(1, 1));
}

/* Catches a guard that does not guard, or does not nest. */
static void test_forbid(void **state) {
    (void)state;
    assert_true(is_aborted(allocate_inside));
    assert_false(is_aborted(allocate_behind));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_overflow), cmocka_unit_test(test_zero),
                                       cmocka_unit_test(test_fail_at), cmocka_unit_test(test_forbid)};
    return cmocka_run_group_tests_name("alloc", tests, NULL, NULL);
}
