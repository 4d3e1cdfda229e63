/* conf_test.c: the option table and everything that is made from it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "conf/conf.h"

static struct cria_error error;

static cria_status parse(struct conf *c, enum conf_command command, const char *const *argv) {
    int argc = 0;
    while (argv[argc]) argc++;
    memset(&error, 0, sizeof error);
    return conf_parse(c, command, argc, argv, &error);
}

#define PARSE(c, command, ...) parse((c), (command), (const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void assert_error(const char *part) {
    if (!strstr(error.text, part)) fail_msg("\"%s\" does not contain \"%s\"", error.text, part);
}

/* Catches: a row left empty or half filled, two options of one name or letter in one command, defaults outside their
 * range. */
static void test_table_is_complete(void **state) {
    (void)state;
    for (enum conf_id id = CONF_ID_NONE + 1; id < CONF_ID_COUNT; id++) {
        const struct conf_option *o = conf_option(id);
        assert_non_null(o->name);
        assert_non_null(o->help);
        assert_true(o->type != CONF_TYPE_NONE && o->group != CONF_GROUP_NONE && o->commands);
        assert_true(o->type == CONF_FLAG || o->value);
        assert_int_equal(o->type == CONF_WORD, o->words != NULL);
        if (o->type == CONF_INT || o->type == CONF_INT_LIST || o->type == CONF_PAIR_LIST)
            assert_true(o->int_min < o->int_max);
        if (o->type == CONF_REAL || o->type == CONF_PAIR_LIST) assert_true(o->real_min < o->real_max);
        for (enum conf_command c = CONF_COMMAND_NONE + 1; c < CONF_COMMAND_COUNT; c++)
            if (o->commands >> c & 1) assert_int_equal(conf_find_option(c, o->name), id);
        for (enum conf_id other = id + 1; other < CONF_ID_COUNT; other++)
            assert_false(o->letter && o->letter == conf_option(other)->letter &&
                         o->commands & conf_option(other)->commands);
    }
    for (enum conf_command c = CONF_COMMAND_NONE + 1; c < CONF_COMMAND_COUNT; c++) {
        const struct conf_command_row *row = conf_command_row(c);
        assert_true(row->name && row->summary && row->arguments && row->details && row->examples);
        assert_int_equal(conf_find_command(row->name), c);
        struct conf conf = {0};
        assert_int_equal(PARSE(&conf, c, "--help"), CRIA_OK);
        assert_true(conf_flag(&conf, CONF_HELP));
        conf_deinit(&conf);
    }
}

/* Catches: a form of writing an option that is lost, and values that land in the wrong place. */
static void test_forms(void **state) {
    (void)state;
    struct conf c = {0};
    assert_int_equal(PARSE(&c, CONF_GENERATE, "-m", "a", "--temperature=0.5", "-n", "3", "--stop", "x", "--stop=y",
                           "--json", "--ids", "1,2", "--ids=3 4", "--logit-bias", "5=-100,7=2.5", "--presence-penalty",
                           "-1", "--compute", "f32"),
                     CRIA_OK);
    assert_string_equal(conf_text(&c, CONF_MODEL), "a");
    assert_true(conf_real(&c, CONF_TEMPERATURE) == 0.5);
    assert_int_equal(conf_int(&c, CONF_MAX_TOKENS), 3);
    assert_int_equal(conf_count(&c, CONF_STOP), 2);
    assert_string_equal(conf_texts(&c, CONF_STOP)[1], "y");
    assert_int_equal(conf_count(&c, CONF_IDS), 4);
    assert_int_equal(conf_ints(&c, CONF_IDS)[3], 4);
    assert_int_equal(conf_count(&c, CONF_LOGIT_BIAS), 2);
    assert_int_equal(conf_pairs(&c, CONF_LOGIT_BIAS)[1].key, 7);
    assert_true(conf_pairs(&c, CONF_LOGIT_BIAS)[0].value == -100);
    assert_true(conf_real(&c, CONF_PRESENCE_PENALTY) == -1);
    assert_true(conf_flag(&c, CONF_JSON) && conf_is_set(&c, CONF_JSON));
    assert_string_equal(conf_text(&c, CONF_COMPUTE), "f32");
    assert_true(!conf_is_set(&c, CONF_TOP_P) && conf_real(&c, CONF_TOP_P) == 1);
    conf_deinit(&c);
    assert_int_equal(PARSE(&c, CONF_RM, "a", "--", "--b", "-"), CRIA_OK);
    assert_int_equal(c.n_arguments, 3);
    assert_string_equal(c.arguments[1], "--b");
    conf_deinit(&c);
}

/* Catches: chat answering greedily, or generate answering at random, because a default went to the wrong command. */
static void test_defaults_of_commands(void **state) {
    (void)state;
    struct conf c = {0};
    assert_int_equal(PARSE(&c, CONF_CHAT), CRIA_OK);
    assert_true(conf_real(&c, CONF_TEMPERATURE) == 0.6 && conf_real(&c, CONF_TOP_P) == 0.9);
    assert_string_equal(conf_text(&c, CONF_MODEL), "smollm2");
    conf_deinit(&c);
    assert_int_equal(PARSE(&c, CONF_GENERATE), CRIA_OK);
    assert_true(conf_real(&c, CONF_TEMPERATURE) == 0 && conf_int(&c, CONF_MAX_TOKENS) == 128);
    assert_null(conf_text(&c, CONF_MODEL));
    conf_deinit(&c);
}

/* Catches: a typing error that is ignored, or an error that does not say which option and what would be right. */
static void test_refusals(void **state) {
    (void)state;
    struct conf c = {0};
    assert_int_equal(PARSE(&c, CONF_GENERATE, "--temprature", "1"), CRIA_USAGE);
    assert_error("did you mean --temperature?");
    assert_int_equal(PARSE(&c, CONF_GENERATE, "--tempera=1"), CRIA_USAGE);
    assert_error("did you mean --temperature?");
    assert_int_equal(PARSE(&c, CONF_GENERATE, "--zzzzzzzzzzzzzz"), CRIA_USAGE);
    assert_error("unknown option --zzzzzzzzzzzzzz (cria generate --help)");
    assert_int_equal(PARSE(&c, CONF_GENERATE, "--markdown"), CRIA_USAGE);
    assert_error("does not take this option");
    assert_int_equal(PARSE(&c, CONF_GENERATE, "-m"), CRIA_USAGE);
    assert_error("-m needs a value: MODEL");
    assert_int_equal(PARSE(&c, CONF_GENERATE, "--json=1"), CRIA_USAGE);
    assert_error("--json takes no value");
    assert_int_equal(PARSE(&c, CONF_GENERATE, "-n", "1", "-n", "2"), CRIA_USAGE);
    assert_error("--max-tokens is given twice");
    assert_int_equal(PARSE(&c, CONF_GENERATE, "--top-p", "1.5"), CRIA_USAGE);
    assert_error("--top-p: expected a number from 0 to 1, found \"1.5\"");
    assert_int_equal(PARSE(&c, CONF_GENERATE, "--cpu-mask", "sse"), CRIA_USAGE);
    assert_error("expected one of ref, avx2, avx512, avx512bf16, amx");
    assert_int_equal(PARSE(&c, CONF_GENERATE, "--ids", "1,-1"), CRIA_USAGE);
    /* A place without an id is a slip of whoever made the list: no prompt is made of the rest. */
    static const char *const holes[] = {"", " ", ",", " ,", "1,", ",1", "1,,2", "1, ,2", "1 2 ,"};
    for (size_t i = 0; i < sizeof holes / sizeof holes[0]; i++)
        assert_int_equal(PARSE(&c, CONF_GENERATE, "--ids", holes[i]), CRIA_USAGE);
    assert_error("found an empty place");
    assert_int_equal(PARSE(&c, CONF_GENERATE, "--logit-bias", "5"), CRIA_USAGE);
    assert_error("expected ID=BIAS");
    assert_int_equal(PARSE(&c, CONF_GENERATE, "stray"), CRIA_USAGE);
    assert_error("unexpected argument \"stray\"");
    assert_int_equal(PARSE(&c, CONF_PULL), CRIA_USAGE);
    assert_error("SOURCE is missing");
    assert_int_equal(PARSE(&c, CONF_GENERATE, "-x"), CRIA_USAGE);
    assert_null(c.arguments); /* untouched */
    conf_unknown_command("generat", &error);
    assert_error("did you mean \"generate\"?");
}

/* Catches: overflow at the ends of the range, units ignored, garbage behind a number accepted, locale-like forms. */
static void test_numbers(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {{"0", 0},
                {"-3", -3},
                {"+7", 7},
                {"64KiB", 65536},
                {"2MiB", 2 << 20},
                {"1GiB", 1 << 30},
                {"9223372036854775807", INT64_MAX},
                {"-9223372036854775808", INT64_MIN}};
    static const char *const bad[] = {"",
                                      "-",
                                      "1 ",
                                      " 1",
                                      "1.5",
                                      "0x10",
                                      "1kb",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "9007199254740993GiB",
                                      "1e3",
                                      "--1"};
    int64_t i = 0;
    double r = 0;
    for (size_t k = 0; k < sizeof good / sizeof *good; k++) {
        assert_int_equal(conf_read_int(good[k].text, INT64_MIN, INT64_MAX, &i, NULL), CRIA_OK);
        assert_true(i == good[k].value);
    }
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++)
        assert_int_equal(conf_read_int(bad[k], INT64_MIN, INT64_MAX, &i, NULL), CRIA_USAGE);
    assert_int_equal(conf_read_int("5", 6, 7, &i, NULL), CRIA_USAGE);
    static const char *const bad_real[] = {"", ".", "-", "1e", "nan", "inf", "0x1p3", "1,5", "1e400", " 1", "1f"};
    for (size_t k = 0; k < sizeof bad_real / sizeof *bad_real; k++)
        assert_int_equal(conf_read_real(bad_real[k], -1e300, 1e300, &r, NULL), CRIA_USAGE);
    assert_int_equal(conf_read_real("3e-4", 0, 1, &r, NULL), CRIA_OK);
    assert_true(r == 3e-4);
    assert_int_equal(conf_read_real("-.5E+1", -10, 1, &r, NULL), CRIA_OK);
    assert_true(r == -5);
}

/* Catches: a help line too wide for a terminal, an option that no page shows, a buffer that failed in silence. */
static void test_pages(void **state) {
    (void)state;
    for (enum conf_command c = CONF_COMMAND_NONE + 1; c < CONF_COMMAND_COUNT; c++) {
        struct buffer b = buffer_make(1 << 20);
        conf_help_command(&b, c);
        assert_int_equal(buffer_status(&b, "help", NULL), CRIA_OK);
        for (const char *line = buffer_text(&b); *line; line += strcspn(line, "\n") + 1)
            if (strcspn(line, "\n") > 100) fail_msg("too wide: %.*s", (int)strcspn(line, "\n"), line);
        for (enum conf_id id = CONF_ID_NONE + 1; id < CONF_ID_COUNT; id++)
            if (conf_option(id)->commands >> c & 1) assert_non_null(strstr(buffer_text(&b), conf_option(id)->name));
        buffer_free(&b);
    }
    struct buffer b = buffer_make(1 << 20);
    assert_int_equal(conf_completion(&b, "bash", NULL), CRIA_OK);
    assert_non_null(strstr(buffer_text(&b), "--cpu-mask) COMPREPLY=($(compgen -W \"ref avx2 avx512 avx512bf16 amx\""));
    buffer_cut(&b, 0);
    assert_int_equal(conf_completion(&b, "zsh", NULL), CRIA_OK);
    assert_non_null(strstr(buffer_text(&b), "(ref avx2 avx512 avx512bf16 amx)"));
    assert_int_equal(conf_completion(&b, "fish", NULL), CRIA_USAGE);
    buffer_free(&b);
}

/* Catches: a leak or a crash where the n-th allocation fails. */
static void test_no_memory(void **state) {
    (void)state;
    for (uint64_t n = 1; n < 100; n++) {
        struct conf c = {0};
        alloc_fail_at(n);
        const cria_status status =
            PARSE(&c, CONF_GENERATE, "--ids", "1,2,3,4,5", "--stop", "x", "--stop", "y", "--logit-bias", "1=1");
        const bool was_reached = alloc_fail_at(0) >= n;
        assert_int_equal(status, was_reached ? CRIA_NOMEM : CRIA_OK);
        conf_deinit(&c);
        if (!was_reached) return;
    }
    fail_msg("parsing allocates without end");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_is_complete),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_defaults_of_commands),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
