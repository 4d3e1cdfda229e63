/* train_fault_test.c: the n-th allocation fails, for every n, in a whole run of two steps, its save and its replay.
 *
 * Catches memory or a status that is lost on a path that nobody walks, and a run that a lack of memory leaves so that
 * it cannot be gone on with. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "cmd/cmd.h"
#include "kit/tiny.h"

static char *folder;

/* In memory where the system has such a folder: thousands of syncs on a disk take long. */
static char *make_folder(void) {
    char name[] = "/dev/shm/cria-test-XXXXXX";
    return mkdtemp(name) ? alloc_text(name, strlen(name)) : tiny_folder();
}

static int make_model(void **state) {
    (void)state;
    static const char rows[] =
        "{\"ids\": [1, 2, 3, 4]}\n{\"ids\": [5, 6, 7]}\n{\"ids\": [8, 9]}\n{\"ids\": [1, 2, 3]}\n";
    static const char settings[] = "init: model\nrows: rows\nsteps: 2\nglobal-batch: 2\neval-rows: rows\nout: run\n";
    const struct tiny_model m = {.d_model = 16,
                                 .n_layers = 1,
                                 .n_heads = 2,
                                 .n_kv_heads = 1,
                                 .head_size = 8,
                                 .d_ff = 32,
                                 .n_vocab = 260,
                                 .n_context = 64,
                                 .tied = true,
                                 .dtype = DTYPE_F32,
                                 .seed = 4,
                                 .has_tokenizer = true};
    folder = make_folder();
    if (!folder || chdir(folder) != 0) return -1;
    log_set_level(LOG_NONE);
    setenv("XDG_DATA_HOME", folder, 1);
    return tiny_write_directory(&m, "model", NULL) == CRIA_OK &&
                   file_write_atomic("rows", rows, sizeof rows - 1, NULL) == CRIA_OK &&
                   file_write_atomic("run.yaml", settings, sizeof settings - 1, NULL) == CRIA_OK
               ? 0
               : -1;
}

static int drop_model(void **state) {
    (void)state;
    tiny_remove(folder);
    alloc_free(folder);
    return 0;
}

static cria_status run(cmd_fn *command, enum conf_command id, const char *word, struct cria_error *err) {
    const char *const words[] = {word, "--threads", "2", "-q"};
    struct conf conf = {0};
    cria_status status = conf_parse(&conf, id, 4, words, err);
    if (status != CRIA_OK) return status;
    status = command(&conf, err);
    conf_deinit(&conf);
    return status;
}

/* Standard output is of no interest here. */
static int hide_output(void) {
    fflush(stdout);
    const int kept = dup(STDOUT_FILENO), nowhere = open("/dev/null", O_WRONLY);
    assert_true(kept >= 0 && nowhere >= 0 && dup2(nowhere, STDOUT_FILENO) >= 0);
    close(nowhere);
    return kept;
}

static void show_output(int kept) {
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
}

static void fail_everywhere(cmd_fn *command, enum conf_command id, const char *word, bool is_new) {
    struct cria_error err = {0};
    uint64_t n = 0, n_all = 1;
    cria_status status = CRIA_OK;
    const int kept = hide_output();
    for (; status == CRIA_OK && n <= n_all; n++) {
        if (is_new) tiny_remove("run");
        memset(&err, 0, sizeof err);
        alloc_fail_at(n);
        status = run(command, id, word, &err);
        const uint64_t seen = alloc_fail_at(0);
        if (n == 0) n_all = seen;
        if (status == CRIA_NOMEM && err.status == CRIA_NOMEM && err.text[0]) status = CRIA_OK;
    }
    show_output(kept);
    if (status != CRIA_OK) fail_msg("allocation %d: %s: %s", (int)n - 1, cria_status_name(status), err.text);
    assert_true(n > 100);
}

static void test_train(void **state) {
    (void)state;
    fail_everywhere(cmd_train, CONF_TRAIN, "run.yaml", true);
}

/* The run that the last failure left goes on, and is proved. */
static void test_verify(void **state) {
    (void)state;
    struct cria_error err = {0};
    const int kept = hide_output();
    const cria_status status = run(cmd_train, CONF_TRAIN, "run.yaml", &err);
    show_output(kept);
    if (status != CRIA_OK) fail_msg("%s", err.text);
    fail_everywhere(cmd_verify, CONF_VERIFY, "run", false);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_train), cmocka_unit_test(test_verify)};
    return cmocka_run_group_tests(tests, make_model, drop_model);
}
