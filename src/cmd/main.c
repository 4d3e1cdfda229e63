/* main.c: finds the subcommand, parses its options, runs it and says how it ended. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cmd/cmd.h"
#include "cmd/cmd_io.h"

static cmd_fn *const functions[CONF_COMMAND_COUNT] = {
    [CONF_CHAT] = cmd_chat,
    [CONF_GENERATE] = cmd_generate,
    [CONF_PERPLEXITY] = cmd_perplexity,
    [CONF_TOKENIZE] = cmd_tokenize,
    [CONF_DETOKENIZE] = cmd_detokenize,
    [CONF_TOKENIZER_TRAIN] = cmd_tokenizer_train,
    [CONF_TOKENIZER_EVAL] = cmd_tokenizer_eval,
    [CONF_DATA_BUILD] = cmd_data_build,
    [CONF_DATA_HAS] = cmd_data_has,
    [CONF_DATA_CHECK] = cmd_data_check,
    [CONF_DATA_GET] = cmd_data_get,
    [CONF_TEMPLATE] = cmd_template,
    [CONF_PULL] = cmd_pull,
    [CONF_LIST] = cmd_list,
    [CONF_RM] = cmd_rm,
    [CONF_INSPECT] = cmd_inspect,
    [CONF_BENCH] = cmd_bench,
    [CONF_REPORT] = cmd_report,
    [CONF_PLAN_TRAIN] = cmd_plan_train,
    [CONF_PLAN_SERVE] = cmd_plan_serve,
    [CONF_PLAN_SITE] = cmd_plan_site,
    [CONF_PLAN_COMPARE] = cmd_plan_compare,
    [CONF_PLAN_CALIBRATE] = cmd_plan_calibrate,
    [CONF_PLAN_PREDICT] = cmd_plan_predict,
    [CONF_DOCTOR] = cmd_doctor,
    [CONF_COMPLETION] = cmd_completion,
    [CONF_OPTIONS] = cmd_options,
    [CONF_TRAIN] = cmd_train,
    [CONF_VERIFY] = cmd_verify,
    [CONF_VERSION] = cmd_version,
};

/* The page of one command, or of the program for NONE. */
static cria_status show_help(enum conf_command command, struct cria_error *err) {
    struct buffer page = buffer_make(1 << 20);
    if (command) conf_help_command(&page, command);
    else conf_help_program(&page, CRIA_VERSION);
    const cria_status status = cmd_write_buffer(&page, err);
    buffer_free(&page);
    return status;
}

static cria_status run_command(enum conf_command command, int argc, const char *const *argv, struct cria_error *err) {
    struct conf c = {0};
    cria_status status = conf_parse(&c, command, argc, argv, err);
    if (status != CRIA_OK) return status;
    if (conf_flag(&c, CONF_QUIET)) log_set_level(LOG_ERROR);
    status = conf_flag(&c, CONF_HELP) ? show_help(command, err) : functions[command](&c, err);
    conf_deinit(&c);
    return status;
}

/* Shows what may follow the first word of commands of two; *ret_is_family says whether it is one. */
static cria_status show_family(const char *first, bool *ret_is_family, struct cria_error *err) {
    struct buffer page = buffer_make(1 << 20);
    *ret_is_family = conf_help_family(&page, first);
    const cria_status status = *ret_is_family ? cmd_write_buffer(&page, err) : CRIA_OK;
    buffer_free(&page);
    return status;
}

/* The command that the first word names, or the first two together. */
static enum conf_command find_command(int argc, const char *const *argv, int *ret_n_words) {
    char both[64];
    const int n = argc < 2 ? 0 : snprintf(both, sizeof both, "%s %s", argv[0], argv[1]);
    enum conf_command command = n > 0 && n < (int)sizeof both ? conf_find_command(both) : CONF_COMMAND_NONE;
    *ret_n_words = command ? 2 : 1;
    return command ? command : conf_find_command(argv[0]);
}

static cria_status run(int argc, const char *const *argv, struct cria_error *err) {
    if (argc < 2) return ERROR_SET(err, CRIA_USAGE, "which command? cria --help lists them");
    const char *word = argv[1];
    const bool is_help = strcmp(word, "help") == 0;
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || (is_help && argc == 2))
        return show_help(CONF_COMMAND_NONE, err);
    if (strcmp(word, "--version") == 0) return run_command(CONF_VERSION, 0, argv, err);
    if (is_help) word = argv[2];
    const int i_word = is_help ? 2 : 1;
    int n_words = 0;
    const enum conf_command command = find_command(argc - i_word, argv + i_word, &n_words);
    if (!command && (is_help || (argc > 2 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0)))) {
        bool is_family = false;
        const cria_status status = show_family(word, &is_family, err);
        if (is_family) return status;
    }
    if (!command) return conf_unknown_command(word, err);
    const int i_rest = i_word + n_words;
    return is_help ? show_help(command, err) : run_command(command, argc - i_rest, argv + i_rest, err);
}

/* A file that is opened while 0, 1 or 2 is closed would get that number, and a model would be read as the prompt or a
 * result written over. What is put there instead refuses what the stream is for, so that its use is an error. */
static void hold_standard_streams(void) {
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0) (void)!open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv) {
    hold_standard_streams();
    /* A reader that went away, a file beyond the user's limit: an error of the write, with a message, and not death. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    log_set_style(conf_log_style());
    struct cria_error error = {0};
    cria_status status = run(argc, (const char *const *)argv, &error);
    if (status == CRIA_OK) status = cmd_flush(&error);
    if (status == CRIA_OK) return 0;
    fflush(stdout); /* what was written before the error stands in front of it */
    fprintf(stderr, "cria: %s\n", *error.text ? error.text : cria_status_text(status));
    return status == CRIA_USAGE ? 2 : 1;
}
