/* log_test.c: what reaches the terminal or the log file from log.h and progress.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/progress.h"

static char seen[8192];
static int kept_stderr, reading_end;

/* Sends standard error to `to`, whose other end is `from`. */
static void redirect(int from, int to) {
    kept_stderr = dup(STDERR_FILENO);
    assert_true(kept_stderr >= 0 && dup2(to, STDERR_FILENO) >= 0);
    close(to);
    reading_end = from;
}

/* Puts standard error back; `seen` is what was written meanwhile. A terminal hands it over in pieces: read to the end,
 * which is an error (EIO) there and 0 for a pipe. */
static void restore(void) {
    assert_true(dup2(kept_stderr, STDERR_FILENO) >= 0);
    close(kept_stderr);
    size_t n = 0;
    ssize_t more;
    while (n < sizeof seen - 1 && (more = read(reading_end, seen + n, sizeof seen - 1 - n)) > 0) n += (size_t)more;
    close(reading_end);
    assert_true(n > 0);
    seen[n] = '\0';
}

static void redirect_to_pipe(void) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    redirect(ends[0], ends[1]);
}

static void redirect_to_terminal(void) {
    const int master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(master >= 0);
    assert_int_equal(grantpt(master), 0);
    assert_int_equal(unlockpt(master), 0);
    const int terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
    assert_true(terminal >= 0);
    redirect(master, terminal);
}

/* Catches a record that a hostile text splits into two or colours, and levels that are not held. */
static void test_one_line_a_record(void **state) {
    (void)state;
    redirect_to_pipe();
    log_set_level(LOG_WARNING);
    log_error("%s", "a\ncria: error: forged \033[2J");
    log_warning("w");
    log_notice("not shown");
    log_set_level(LOG_DETAIL);
    log_notice("n");
    log_detail("d");
    log_set_level(LOG_NONE);
    log_error("not shown");
    log_set_level(LOG_NOTICE);
    restore();
    assert_string_equal(
        seen, "cria: error: a\\x0acria: error: forged \\x1b[2J\ncria: warning: w\ncria: n\ncria: detail: d\n");
}

/* Catches colour in a file, and a progress line that is drawn where nobody watches. */
static void test_no_terminal(void **state) {
    (void)state;
    redirect_to_pipe();
    progress *p = progress_start("copying", 100, PROGRESS_BYTES);
    progress_update(p, 50);
    progress_finish(&p);
    log_notice("end");
    restore();
    assert_null(p);
    assert_string_equal(seen, "cria: end\n");
}

/* Catches a bar that is wrong at its ends, redraws without pause, or stays behind. */
static void test_terminal(void **state) {
    (void)state;
    redirect_to_terminal();
    progress *p = progress_start("copying", 1000, PROGRESS_ITEMS);
    for (int i = 0; i < 1000; i++) progress_update(p, 0); /* one drawing */
    const struct timespec pause = {.tv_nsec = 150000000};
    nanosleep(&pause, NULL);
    progress_update(p, 2000);
    progress_finish(&p);
    log_error("e");
    restore();
    int n_drawn = 0;
    for (const char *s = seen; (s = strstr(s, "copying")); s++) n_drawn++;
    assert_int_equal(n_drawn, 2);
    assert_non_null(strstr(seen, "copying [....................]   0%  0\r"));
    assert_non_null(strstr(seen, "copying [####################] 100%  2000"));
    assert_non_null(strstr(seen, "\r\033[K\r\033[Kcria: \033[1;31merror: \033[0me"));
}

/* Catches control sequences on a terminal that shows them as letters, and colour where it was declined. */
static void test_styles(void **state) {
    (void)state;
    redirect_to_terminal();
    log_set_style(LOG_NO_COLOUR);
    log_error("e");
    restore();
    assert_string_equal(seen, "\r\033[Kcria: error: e\r\n");
    redirect_to_terminal();
    log_set_style(LOG_PLAIN);
    log_error("e");
    assert_null(progress_start("copying", 1000, PROGRESS_ITEMS));
    restore();
    assert_string_equal(seen, "cria: error: e\r\n");
    log_set_style(LOG_COLOUR);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_line_a_record), cmocka_unit_test(test_no_terminal),
                                       cmocka_unit_test(test_terminal), cmocka_unit_test(test_styles)};
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
