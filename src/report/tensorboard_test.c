/* tensorboard_test.c: event files byte by byte, cut at every byte; tests/report/test_tensorboard.py has the real
 * reader.
 */
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
#include "report/crc32c.h"
#include "report/tensorboard.h"

static char folder[64], path[160];

static int set_up(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/cria-events-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/%s", folder, TENSORBOARD_FILE);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void write_steps(int64_t last_step, int64_t from, int64_t to) {
    tensorboard *t = NULL;
    assert_int_equal(tensorboard_open(&t, folder, last_step, 1000, NULL), CRIA_OK);
    for (int64_t step = from; step <= to; step++) {
        const struct tensorboard_value values[] = {{"loss", 5.0f / (float)step}, {"lr", 1e-3f}};
        assert_int_equal(tensorboard_write(t, step, 1000 + (double)step, values, 2, NULL), CRIA_OK);
    }
    tensorboard_close(&t);
    assert_null(t);
}

static size_t read_whole(char **ret) {
    size_t n;
    assert_int_equal(file_read(path, 1 << 20, ret, &n, NULL), CRIA_OK);
    return n;
}

/* Catches a checksum that only agrees with itself: the values are those of RFC 3720, B.4. */
static void test_crc32c(void **state) {
    (void)state;
    uint8_t bytes[32] = {0};
    assert_int_equal(crc32c(bytes, 32), 0x8a9136aau);
    memset(bytes, 0xff, 32);
    assert_int_equal(crc32c(bytes, 32), 0x62a8ab43u);
    for (int i = 0; i < 32; i++) bytes[i] = (uint8_t)i;
    assert_int_equal(crc32c(bytes, 32), 0x46dd794eu);
    assert_int_equal(crc32c("123456789", 9), 0xe3069283u);
    assert_int_equal(crc32c("", 0), 0);
}

/* Catches any change of the bytes: the first record, as the reference writer makes it. */
static void test_bytes(void **state) {
    (void)state;
    static const uint8_t expected[] = {0x18, 0,   0,   0,   0,   0,   0,    0,    0xa3, 0x7f, 0x4b, 0x22,
                                       0x09, 0,   0,   0,   0,   0,   0x40, 0x8f, 0x40, 0x1a, 0x0d, 'b',
                                       'r',  'a', 'i', 'n', '.', 'E', 'v',  'e',  'n',  't',  ':',  '2'};
    char *data;
    write_steps(-1, 1, 0);
    const size_t n = read_whole(&data);
    assert_int_equal(n, sizeof expected + 4);
    assert_memory_equal(data, expected, sizeof expected);
    alloc_free(data);
}

/* Catches a kill in the middle of a write leaving a file that no reader goes past: from every length the resumed run
 * makes the bytes of the straight one. */
static void test_cut_anywhere(void **state) {
    (void)state;
    char *straight, *resumed;
    write_steps(-1, 1, 5);
    const size_t n = read_whole(&straight);
    write_steps(-1, 1, 4);
    const size_t n_four = read_whole(&resumed);
    alloc_free(resumed);
    for (size_t cut = 0; cut <= n; cut++) {
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        assert_int_equal(fwrite(straight, 1, cut, f), cut);
        assert_int_equal(fclose(f), 0);
        tensorboard *t = NULL;
        assert_int_equal(tensorboard_open(&t, folder, 4, 1000, NULL), CRIA_OK);
        tensorboard_close(&t);
        const size_t n_kept = read_whole(&resumed);
        assert_true(n_kept > 0 && n_kept <= n_four && (cut == 0 || n_kept <= cut || n_kept == 40));
        assert_memory_equal(straight, resumed, n_kept);
        alloc_free(resumed);
    }
    write_steps(2, 3, 5);
    assert_int_equal(read_whole(&resumed), n);
    assert_memory_equal(straight, resumed, n);
    alloc_free(resumed);
    alloc_free(straight);
}

/* Catches a flipped bit being carried along: the file ends with the record before it. */
static void test_flipped(void **state) {
    (void)state;
    char *data;
    write_steps(-1, 1, 1);
    const size_t n_one = read_whole(&data);
    alloc_free(data);
    write_steps(-1, 1, 3);
    const size_t n = read_whole(&data);
    for (size_t at = n_one; at < n_one + (n - n_one) / 2; at++) {
        data[at] ^= 4;
        assert_int_equal(file_write_atomic(path, data, n, NULL), CRIA_OK);
        data[at] ^= 4;
        char *kept;
        tensorboard *t = NULL;
        assert_int_equal(tensorboard_open(&t, folder, 100, 1000, NULL), CRIA_OK);
        tensorboard_close(&t);
        assert_int_equal(read_whole(&kept), n_one);
        alloc_free(kept);
    }
    alloc_free(data);
}

/* Catches refusals that crash or write half a record. */
static void test_refused(void **state) {
    (void)state;
    struct cria_error err = {0};
    tensorboard *t = NULL;
    char tag[TENSORBOARD_MAX_TAG + 2];
    struct tensorboard_value many[TENSORBOARD_MAX_VALUES + 1];
    memset(tag, 'a', sizeof tag);
    tag[sizeof tag - 1] = 0;
    assert_int_equal(tensorboard_open(&t, "/dev/null/nowhere", -1, 0, &err), CRIA_IO);
    assert_null(t);
    assert_int_equal(tensorboard_write(NULL, 1, 0, NULL, 0, NULL), CRIA_OK);
    assert_int_equal(tensorboard_open(&t, folder, -1, 0, NULL), CRIA_OK);
    for (size_t i = 0; i <= TENSORBOARD_MAX_VALUES; i++) many[i] = (struct tensorboard_value){tag + 1, 1};
    assert_int_equal(tensorboard_write(t, 1, 0, many, TENSORBOARD_MAX_VALUES + 1, &err), CRIA_RANGE);
    assert_int_equal(tensorboard_write(t, INT64_MAX, 0, many, TENSORBOARD_MAX_VALUES, NULL), CRIA_OK);
    many[0].tag = tag;
    assert_int_equal(tensorboard_write(t, 2, 0, many, 1, &err), CRIA_RANGE);
    tensorboard_close(&t);
    for (uint64_t i = 1; i <= 4; i++) {
        alloc_fail_at(i);
        const cria_status status = tensorboard_open(&t, folder, 1, 0, NULL);
        alloc_fail_at(0);
        assert_true(status == CRIA_OK || status == CRIA_NOMEM);
        tensorboard_close(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc32c),
        cmocka_unit_test_setup_teardown(test_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cut_anywhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_flipped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
