/* command_fault_test.c: the n-th allocation fails, for every n, in whole commands: options, model, request, output.
 *
 * Catches a command that loses memory or a status, or says another reason than the lack of memory; alloc_fault_test.c
 * looks at the steps beneath. What a command prints goes nowhere here. */
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

enum { MAX_WORDS = 24 };

static char *folder;

static int make_model(void **state) {
    (void)state;
    const struct tiny_model m = {.d_model = 32,
                                 .n_layers = 1,
                                 .n_heads = 2,
                                 .n_kv_heads = 1,
                                 .head_size = 16,
                                 .d_ff = 32,
                                 .n_vocab = 260,
                                 .n_context = 64,
                                 .dtype = DTYPE_BF16,
                                 .seed = 4,
                                 .has_tokenizer = true};
    static const char lines[] =
        "{\"text\": \"abc\"}\n{\"ids\": [1, 2, 3]}\n"
        "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]}\n";
    static const char dialogue[] =
        "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}], \"now\": \"2024-07-26\"}";
    folder = tiny_folder();
    if (!folder || chdir(folder) != 0) return -1;
    log_set_level(LOG_NONE);
    setenv("XDG_DATA_HOME", folder, 1);
    return tiny_write_directory(&m, "model", NULL) == CRIA_OK && tiny_write_gguf(&m, "model.gguf", NULL) == CRIA_OK &&
                   file_write_atomic("lines", lines, sizeof lines - 1, NULL) == CRIA_OK &&
                   file_write_atomic("dialogue", dialogue, sizeof dialogue - 1, NULL) == CRIA_OK &&
                   file_write_atomic("text", "some text", 9, NULL) == CRIA_OK
               ? 0
               : -1;
}

static int drop_model(void **state) {
    (void)state;
    tiny_remove(folder);
    alloc_free(folder);
    return 0;
}

struct command {
    cmd_fn *run;
    enum conf_command id;
    const char *words[MAX_WORDS]; /* up to the first NULL */
    const char *output;           /* a file that it leaves, or NULL */
};

static cria_status run_command(const struct command *c, struct cria_error *err) {
    struct conf conf = {0};
    int n = 0;
    while (c->words[n]) n++;
    cria_status status = conf_parse(&conf, c->id, n, c->words, err);
    if (status != CRIA_OK) return status;
    status = c->run(&conf, err);
    conf_deinit(&conf);
    return status;
}

/* Runs the command once for each n, with standard output turned away. */
static void fail_everywhere(const struct command *c) {
    struct cria_error err = {0};
    fflush(stdout);
    const int kept = dup(STDOUT_FILENO), nowhere = open("/dev/null", O_WRONLY);
    assert_true(kept >= 0 && nowhere >= 0 && dup2(nowhere, STDOUT_FILENO) >= 0);
    close(nowhere);
    alloc_fail_at(0);
    cria_status status = run_command(c, &err);
    const uint64_t n_all = alloc_fail_at(0);
    uint64_t n = 0;
    while (status == CRIA_OK && n < n_all) {
        if (c->output) unlink(c->output);
        memset(&err, 0, sizeof err);
        alloc_fail_at(++n);
        status = run_command(c, &err);
        alloc_fail_at(0);
        /* A success with a failure inside: who asked could do without. */
        if (status == CRIA_NOMEM && err.status == CRIA_NOMEM && err.text[0]) status = CRIA_OK;
        /* In a batch the line that met the failure says so in its place, and its neighbours have their answers. */
        if (status != CRIA_OK && strstr(err.text, "1 of 3 lines failed")) status = CRIA_OK;
    }
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    if (status != CRIA_OK)
        fail_msg("%s: allocation %llu: %s: %s", conf_command_row(c->id)->name, (unsigned long long)n,
                 cria_status_name(status), err.text);
    print_message("%s: %llu allocations failed\n", conf_command_row(c->id)->name, (unsigned long long)n);
    assert_true(n > 5);
}

static void test_generate(void **state) {
    (void)state;
    fail_everywhere(&(struct command){cmd_generate,
                                      CONF_GENERATE,
                                      {"-m", "model", "-p", "abc", "-n", "4", "--json", "--top", "2", "--temperature",
                                       "0.7", "--top-k", "5", "--logit-bias", "3=1", "--stop", "zzz", "--threads", "2"},
                                      NULL});
    fail_everywhere(&(struct command){cmd_generate,
                                      CONF_GENERATE,
                                      {"-m", "model.gguf", "--ids", "1,2,3", "-n", "3", "--logits", "rows", "--json"},
                                      "rows"});
}

static void test_batch(void **state) {
    (void)state;
    fail_everywhere(
        &(struct command){cmd_generate,
                          CONF_GENERATE,
                          {"-m", "model", "--jsonl", "lines", "--batch", "2", "-n", "3", "-o", "answers", "-q"},
                          "answers"});
}

static void test_perplexity(void **state) {
    (void)state;
    fail_everywhere(&(struct command){cmd_perplexity,
                                      CONF_PERPLEXITY,
                                      {"-m", "model", "-f", "text", "--json", "--top", "2", "--logits", "rows"},
                                      "rows"});
}

static void test_text(void **state) {
    (void)state;
    fail_everywhere(&(struct command){cmd_tokenize, CONF_TOKENIZE, {"-m", "model", "-p", "some text"}, NULL});
    fail_everywhere(&(struct command){cmd_detokenize, CONF_DETOKENIZE, {"-m", "model", "--ids", "1,2,3"}, NULL});
    fail_everywhere(&(struct command){cmd_template, CONF_TEMPLATE, {"-m", "model", "dialogue"}, NULL});
}

static void test_inspect(void **state) {
    (void)state;
    fail_everywhere(&(struct command){cmd_inspect, CONF_INSPECT, {"model", "--json", "--tensors"}, NULL});
    fail_everywhere(&(struct command){cmd_inspect, CONF_INSPECT, {"model.gguf"}, NULL});
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_generate), cmocka_unit_test(test_batch),
                                       cmocka_unit_test(test_perplexity), cmocka_unit_test(test_text),
                                       cmocka_unit_test(test_inspect)};
    return cmocka_run_group_tests_name("command_fault", tests, make_model, drop_model);
}
