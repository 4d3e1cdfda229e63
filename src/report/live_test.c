/* live_test.c: the live view as a terminal and as a file get it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "report/live.h"
#include "report/spark.h"

#define MAX_OUTPUT (1 << 20)

static char output[MAX_OUTPUT];

static struct live_point point_at(uint64_t step) {
    return (struct live_point){.step = step,
                               .tokens = step * 8192,
                               .loss = 2 + 7 * exp(-(double)step / 50),
                               .learning_rate = 3e-4,
                               .tokens_per_s = 14200,
                               .peak_fraction = 0.381,
                               .joules_per_token = 0.0021,
                               .is_estimated = true,
                               .seconds_left = 90,
                               .eval_bits_per_byte = (double)NAN};
}

/* Runs steps through a view over a temporary file; output holds what it wrote. */
static void run(enum live_style style, double seconds_between, uint64_t steps) {
    char path[] = "/tmp/cria-live-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd > 2);
    unlink(path);
    live *l = live_start(&(struct live_options){
        .title = "run\x1b[2J", .total_steps = 4000, .style = style, .fd = fd, .seconds_between = seconds_between});
    alloc_forbid(); /* catches a step that allocates: the training loop forbids it */
    for (uint64_t step = 1; step <= steps; step++) {
        const struct live_point p = point_at(step);
        live_step(l, &p);
    }
    alloc_allow();
    live_finish(&l);
    assert_null(l);
    const ssize_t n = pread(fd, output, sizeof output - 1, 0);
    assert_true(n >= 0);
    output[n] = 0;
    close(fd);
}

static int count(const char *word) {
    int n = 0;
    for (const char *p = output; (p = strstr(p, word)); p++) n++;
    return n;
}

/* Catches control sequences in a log file, a line a step, and the last step not being told. */
static void test_lines(void **state) {
    (void)state;
    run(LIVE_AUTO, 1000, 3000); /* a file is no terminal */
    assert_null(strchr(output, '\033'));
    assert_null(strchr(output, '\r'));
    assert_int_equal(count("\n"), 2);
    assert_non_null(strstr(output, "step 1 of 4000"));
    assert_non_null(strstr(output,
                           "step 3000 of 4000  75 %  loss 2.0000  90 s left  14.2k tok/s  38.1 % of peak  "
                           "2.10 mJ/tok (est.)  lr 3.00e-4  24.6M tokens\n"));
    assert_null(strstr(output, "held out"));
    run(LIVE_OFF, 1, 5);
    assert_string_equal(output, "");
    run(LIVE_LINES, 1, 0);
    assert_string_equal(output, "");
}

/* Catches a view that goes up by other than its own height, which eats or repeats what stands above it. */
static void test_view(void **state) {
    (void)state;
    run(LIVE_VIEW, 0, 3000);
    const char *last = output, *p = output;
    while ((p = strstr(p, "A\033[J"))) last = ++p;
    int lines = 0;
    for (p = last; *p; p++) lines += *p == '\n';
    assert_int_equal(lines, 8);
    int up = 0;
    const char *back = strstr(output, "\r\033[");
    assert_non_null(back);
    assert_int_equal(sscanf(back, "\r\033[%dA", &up), 1);
    lines = 0;
    for (p = output; p < back; p++) lines += *p == '\n';
    assert_int_equal(up, lines);
    assert_non_null(strstr(last, "step 3000 of 4000"));
    assert_null(strstr(output, "\x1b[2J"));
}

/* Catches a curve that is upside down, breaks where it is steep, or writes past its lines. */
static void test_spark(void **state) {
    (void)state;
    char a[3 * 4 + 1], b[3 * 4 + 1];
    char *lines[] = {a, b};
    const float falling[] = {8, 7, 6, 5, 4, 3, 2, 1}, step[] = {8, 1};
    spark_draw(lines, 2, 4, falling, 8, 1, 8);
    assert_string_equal(a, "⠑⢄⠀⠀");
    assert_string_equal(b, "⠀⠀⠑⢄");
    spark_draw(lines, 2, 4, step, 2, 1, 8);
    assert_string_equal(a, "⢱⠀⠀⠀");
    assert_string_equal(b, "⢸⠀⠀⠀");
    const float gap[] = {1, NAN, INFINITY, 1};
    spark_draw(lines, 2, 4, gap, 4, 1, 1);
    spark_draw(lines, 2, 4, gap, 0, 1, 8);
    assert_string_equal(a, "⠀⠀⠀⠀");
}

/* Catches a view that ends a run for want of memory. */
static void test_no_memory(void **state) {
    (void)state;
    alloc_fail_at(1);
    live *l = live_start(&(struct live_options){.style = LIVE_VIEW});
    alloc_fail_at(0);
    assert_null(l);
    const struct live_point p = point_at(1);
    live_step(l, &p);
    live_clear(l);
    live_finish(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_view),
        cmocka_unit_test(test_spark),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
