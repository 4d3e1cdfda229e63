/* train_log_test.c: log.jsonl after a kill at any byte, after a resume and after a rewind.
 *
 * Catches a torn line that stays, a step that comes twice, a line of an earlier step that is lost, and numbers that do
 * not come back as the bits that were logged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "train/train_log.h"

static char path[] = "/tmp/cria-log-XXXXXX";

static int make_file(void **state) {
    (void)state;
    memcpy(path + sizeof path - 7, "XXXXXX", 6);
    const int fd = mkstemp(path);
    if (fd >= 0) close(fd);
    return fd < 0;
}

static int drop_file(void **state) {
    (void)state;
    return unlink(path);
}

static void add_step(train_log *l, int64_t step) {
    json_writer *w = train_log_begin(l, step);
    train_log_real(w, "loss", (double)step / 3);
    train_log_real(w, "grad_norm", 1 / (double)step);
    assert_int_equal(train_log_end(l, NULL), CRIA_OK);
}

/* The first step behind a rewind. */
static void add_rewound(train_log *l, int64_t step) {
    json_writer *w = train_log_begin(l, step);
    train_log_real(w, "loss", (double)step / 3);
    train_log_real(w, "grad_norm", 1 / (double)step);
    train_log_integer(w, "rewound_from", step + 3);
    train_log_integer(w, "phase", 1);
    train_log_integer(w, "row", 77);
    assert_int_equal(train_log_end(l, NULL), CRIA_OK);
}

static void write_steps(int64_t after, int64_t last) {
    train_log *l = NULL;
    assert_int_equal(train_log_open(&l, path, after, NULL), CRIA_OK);
    for (int64_t step = after + 1; step <= last; step++) add_step(l, step);
    train_log_close(&l);
}

/* Steps 1 .. last, each once, with their numbers; returns how many rewinds there are. */
static int check(int64_t last) {
    train_log_reader *r = NULL;
    struct train_log_line line;
    int n_rewinds = 0;
    int64_t step = 0;
    bool more = false;
    assert_int_equal(train_log_read_open(&r, path, NULL), CRIA_OK);
    for (;;) {
        assert_int_equal(train_log_read(r, &line, &more, NULL), CRIA_OK);
        if (!more) break;
        if (line.is_rewound) {
            assert_int_equal(line.cursor.phase, 1);
            assert_int_equal(line.cursor.number, 77);
            n_rewinds++;
        }
        assert_int_equal(line.step, ++step);
        assert_true(line.loss == (double)step / 3 && line.grad_norm == 1 / (double)step);
    }
    assert_int_equal(step, last);
    train_log_read_close(&r);
    return n_rewinds;
}

/* A kill at every byte, then a run that goes on from step 2. */
static void test_torn(void **state) {
    (void)state;
    char *text = NULL;
    size_t n = 0;
    write_steps(0, 3);
    assert_int_equal(file_read(path, 4096, &text, &n, NULL), CRIA_OK);
    for (size_t cut = 0; cut <= n; cut++) {
        assert_int_equal(file_write_atomic(path, text, cut, NULL), CRIA_OK);
        write_steps(0, 0);
        write_steps(0, 2);
        write_steps(2, 4);
        check(4);
    }
    alloc_free(text);
}

static void test_resume(void **state) {
    (void)state;
    write_steps(0, 9);
    write_steps(5, 7);
    check(7);
}

/* A rewind is said by the step behind it, and goes with it where a resume begins before it. */
static void test_rewind(void **state) {
    (void)state;
    train_log *l = NULL;
    write_steps(0, 6);
    assert_int_equal(train_log_open(&l, path, 4, NULL), CRIA_OK);
    add_rewound(l, 5);
    train_log_close(&l);
    write_steps(5, 6);
    assert_int_equal(check(6), 1);
    write_steps(4, 5);
    assert_int_equal(check(5), 0);
}

static void test_broken_line(void **state) {
    (void)state;
    train_log *l = NULL;
    struct cria_error error;
    static const char text[] = "{\"step\":1,\"loss\":2}\n{\"step\":}\n";
    assert_int_equal(file_write_atomic(path, text, sizeof text - 1, NULL), CRIA_OK);
    assert_int_equal(train_log_open(&l, path, 5, &error), CRIA_FORMAT);
    assert_non_null(strstr(error.text, "line 2"));
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_file, drop_file)
    const struct CMUnitTest tests[] = {TEST(test_torn), TEST(test_resume), TEST(test_rewind), TEST(test_broken_line)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
