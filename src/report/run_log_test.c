/* run_log_test.c: logs that are whole, torn, resumed and wrong, and the page made of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/random.h"
#include "report/run_log.h"
#include "report/run_page.h"

static char folder[64], log_path[128], manifest_path[128];

static int set_up(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/cria-runlog-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(log_path, sizeof log_path, "%s/log.jsonl", folder);
    snprintf(manifest_path, sizeof manifest_path, "%s/run.json", folder);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    unlink(log_path);
    unlink(manifest_path);
    return rmdir(folder);
}

static void write_bytes(const char *path, const char *bytes, size_t n) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void write_file(const char *path, const char *text) { write_bytes(path, text, strlen(text)); }

static struct run_log read_log(const char *lines) {
    struct run_log log = {0};
    struct cria_error err = {0};
    write_file(log_path, lines);
    if (run_log_read(&log, folder, &err) != CRIA_OK) fail_msg("%s", err.text);
    return log;
}

/* Catches sums that are not sums, keys that are mixed up, and null or missing numbers that become zero. */
static void test_values(void **state) {
    (void)state;
    struct run_log log = read_log(
        "{\"step\":1,\"loss\":9.5,\"grad_norm\":2,\"lr\":1e-4,\"tokens\":100,\"tokens_per_s\":50,\"joules\":7,"
        "\"joules_estimated\":false}\n"
        "\n"
        "{\"step\":2,\"loss\":null,\"tokens\":100,\"tokens_per_s\":25,\"joules\":5,\"joules_estimated\":true,\"new\":[{"
        "\"key\":1}]}\n"
        "{\"step\":2,\"eval_bits_per_byte\":1.5,\"eval_loss\":3}\n"
        "{\"step\":2,\"sample\":\"Once\\nupon\"}\n"
        "{\"step\":3,\"loss\":8,\"weights_digest\":"
        "\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"}\n");
    assert_int_equal(log.n, 3);
    assert_true(log.is_estimated);
    assert_true(log.columns[RUN_LOG_TOKENS][1] == 200);
    assert_true(log.columns[RUN_LOG_JOULES][2] == 12);
    assert_true(log.columns[RUN_LOG_JOULES_PER_TOKEN][0] == 0.07);
    assert_true(log.columns[RUN_LOG_SECONDS][1] == 6);
    assert_true(log.columns[RUN_LOG_LR][0] == 1e-4);
    assert_true(isnan(log.columns[RUN_LOG_LOSS][1]) && isnan(log.columns[RUN_LOG_LR][1]));
    assert_true(run_log_last(&log, RUN_LOG_GRAD_NORM) == 2);
    assert_int_equal(log.n_evals, 1);
    assert_true(log.evals[RUN_LOG_EVAL_TOKENS][0] == 200 && log.evals[RUN_LOG_EVAL_BITS][0] == 1.5);
    assert_int_equal(log.n_samples, 1);
    assert_string_equal(log.samples[0].text, "Once\nupon");
    assert_memory_equal(log.digest, "0011", 4);
    run_log_free(&log);
    run_log_free(&log);
}

/* Catches a resumed run drawn twice, energy that a rewind makes disappear, and a torn last line refused. */
static void test_resumed(void **state) {
    (void)state;
    struct run_log log = read_log(
        "{\"step\":1,\"loss\":9,\"tokens\":10,\"joules\":1}\n"
        "{\"step\":2,\"loss\":8,\"tokens\":10,\"joules\":1}\n"
        "{\"step\":2,\"eval_loss\":8}\n"
        "{\"step\":3,\"loss\":7,\"tokens\":10,\"joules\":1}\n"
        "{\"step\":1,\"event\":\"rewind\"}\n"
        "{\"step\":2,\"loss\":6,\"tokens\":10,\"joules\":1}\n"
        "{\"step\":3,\"lo");
    assert_int_equal(log.n, 2);
    assert_int_equal(log.n_evals, 0);
    assert_true(log.columns[RUN_LOG_LOSS][1] == 6);
    assert_true(log.columns[RUN_LOG_TOKENS][1] == 20);
    assert_true(log.columns[RUN_LOG_JOULES][1] == 4);
    run_log_free(&log);
}

/* Catches errors that do not say where and what, and a failure that leaves something behind. */
static void test_wrong_lines(void **state) {
    (void)state;
    static const struct {
        const char *lines, *says;
    } cases[] = {
        {"{\"step\":1,\"loss\":2}\n{\"step\":2,\"loss\":\"x\"}\n", "line 2 of the file: loss"},
        {"{\"step\":1}\n[1]\n", "line 2 of the file"},
        {"{\"loss\":2}\n", "key step: expected a number from 0 on, found none"},
        {"{\"step\":-1}\n", "found less"},
        {"{\"step\":1,\"step\":2}\n", "line 1 of the file"},
        {"{\"step\":1} x\n", "line 1 of the file"},
        {"{\"step\":1,\"weights_digest\":\"12\"}\n", "64 hexadecimal digits"},
        {"garbage\n", "log.jsonl"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct run_log log = {0};
        struct cria_error err = {0};
        write_file(log_path, cases[i].lines);
        assert_int_equal(run_log_read(&log, folder, &err), CRIA_FORMAT);
        if (!strstr(err.text, cases[i].says)) fail_msg("%s does not say %s", err.text, cases[i].says);
        assert_null(log.columns[0]);
    }
    unlink(log_path);
    assert_int_equal(run_log_read(&(struct run_log){0}, folder, NULL), CRIA_NOTFOUND);
}

/* Catches leaves of run.json that are lost or under another name, and a manifest that is no object being passed over.
 */
static void test_facts(void **state) {
    (void)state;
    write_file(manifest_path,
               "{\"format\":\"cria run 1\",\"options\":{\"lr\":\"3e-4\",\"betas\":[0.9,0.95],\"x\":null},"
               "\"machine\":{\"deep\":{\"threads\":2,\"fast\":true}},\"none\":{}}");
    struct run_log log = read_log("");
    assert_int_equal(log.n_facts, 6);
    assert_string_equal(run_log_fact(&log, "lr"), "3e-4");
    assert_string_equal(run_log_fact(&log, "options.betas"), "0.9, 0.95");
    assert_string_equal(run_log_fact(&log, "deep.threads"), "2");
    assert_string_equal(run_log_fact(&log, "fast"), "yes");
    assert_string_equal(run_log_fact(&log, "x"), "");
    assert_null(run_log_fact(&log, "r"));
    run_log_free(&log);
    struct cria_error err = {0};
    write_file(manifest_path, "[1]");
    assert_int_equal(run_log_read(&log, folder, &err), CRIA_FORMAT);
    assert_non_null(strstr(err.text, "run.json"));
}

static const char two_steps[] =
    "{\"step\":1,\"loss\":9,\"grad_norm\":1,\"tokens\":1000,\"tokens_per_s\":500,\"joules\":3600}\n"
    "{\"step\":2,\"loss\":8,\"grad_norm\":1,\"tokens\":1000,\"tokens_per_s\":500,\"joules\":3600,"
    "\"sample\":\"<script>\",\"eval_bits_per_byte\":2}\n"
    "{\"step\":2,\"event\":\"skip\",\"reason\":\"loss <is> not finite\"}\n"
    "{\"step\":2,\"event\":\"saved\"}\n";

/* Catches money and carbon dioxide that do not follow from the joules, an estimate that is not called one, and pages
 * that fail without a step. */
static void test_page(void **state) {
    (void)state;
    const struct run_page_baseline baseline = {"PPMd <8>", 2.125};
    const struct run_page_sample sample = {"story.txt", "Once & twice"};
    const struct run_page_options options = {.title = "run <1>",
                                             .grams_per_kwh = 500,
                                             .price_per_kwh = 100,
                                             .currency = "€",
                                             .baselines = &baseline,
                                             .n_baselines = 1,
                                             .samples = &sample,
                                             .n_samples = 1};
    write_file(manifest_path, "{\"energy_source\":\"estimated: 20 W\",\"options\":{\"lr\":\"3e-4\"}}");
    struct run_log log = read_log(two_steps);
    struct page p = page_make();
    struct buffer summary = buffer_make(1 << 16);
    assert_int_equal(run_page_build(&p, &log, &options, NULL), CRIA_OK);
    const char *text = buffer_text(&p.out);
    assert_non_null(strstr(text, "run &lt;1&gt;"));
    assert_non_null(strstr(text, "&lt;script&gt;"));
    assert_null(strstr(text, "<script"));
    assert_non_null(strstr(text, "Energy per token, estimated"));
    assert_non_null(strstr(text, "not measured here but estimated: 20 W"));
    assert_non_null(strstr(text, "<dd>1 g</dd>")); /* 7200 J are 0.002 kWh */
    assert_non_null(strstr(text, "<dd>€0.20</dd>"));
    assert_non_null(strstr(text, "PPMd &lt;8&gt;: 2.125"));
    assert_non_null(strstr(text, "<pre>Once &amp; twice</pre>"));
    assert_null(strstr(text, "saved")); /* as it should: no news */
    assert_non_null(strstr(text, "<td>skip</td><td>loss &lt;is&gt; not finite</td>"));
    run_page_summary(&summary, &log, &options);
    assert_non_null(strstr(buffer_text(&summary), "7.20 kJ  estimated"));
    page_free(&p);
    buffer_free(&summary);
    run_log_free(&log);
    log = read_log("");
    p = page_make();
    assert_int_equal(run_page_build(&p, &log, &options, NULL), CRIA_OK);
    assert_non_null(strstr(buffer_text(&p.out), "The log has no step yet."));
    page_free(&p);
    run_log_free(&log);
}

/* Catches a crash, a leak or a number that is none on the page, for files with random bytes changed, cut and repeated.
 */
static void test_mutants(void **state) {
    (void)state;
    static const char manifest[] = "{\"options\":{\"lr\":\"3e-4\",\"betas\":[1,2],\"deep\":{\"x\":null}},\"y\":true}";
    static const char marks[] = "{}[]\",:\n\\-e9x";
    const uint64_t seed = (uint64_t)time(NULL);
    uint64_t draws = 0;
    int n_read = 0;
    printf("seed %llu\n", (unsigned long long)seed);
    for (int k = 0; k < 400; k++) {
        char lines[sizeof two_steps], facts[sizeof manifest];
        memcpy(lines, two_steps, sizeof lines);
        memcpy(facts, manifest, sizeof facts);
        for (int change = 0; change < 1 + k % 3; change++) {
            const uint64_t r = random_u64(seed, RANDOM_TEST, draws++);
            char *text = k % 2 ? lines : facts;
            const size_t n = k % 2 ? sizeof lines - 1 : sizeof facts - 1;
            text[(r >> 8) % n] = r & 128 ? marks[r % (sizeof marks - 1)] : (char)(r & 127);
        }
        struct run_log log = {0};
        struct page p = page_make();
        struct cria_error err = {0};
        write_bytes(log_path, lines, sizeof lines - 1);
        write_bytes(manifest_path, facts, sizeof facts - 1);
        const cria_status status = run_log_read(&log, folder, &err);
        if (status == CRIA_OK) {
            const struct run_page_options options = {.title = "run", .currency = "$"};
            assert_int_equal(run_page_build(&p, &log, &options, NULL), CRIA_OK);
            assert_null(strstr(buffer_text(&p.out), "=\"nan"));
            n_read++;
        } else {
            assert_true(status == CRIA_FORMAT || status == CRIA_LIMIT || status == CRIA_RANGE);
            assert_true(strlen(err.text) > 10);
        }
        page_free(&p);
        run_log_free(&log);
    }
    assert_true(n_read > 20 && n_read < 380);
}

/* Catches a leak or a crash wherever memory runs out on the way from the files to the page. */
static void test_no_memory(void **state) {
    (void)state;
    write_file(manifest_path, "{\"options\":{\"lr\":\"3e-4\",\"betas\":[1,2]}}");
    write_file(log_path, two_steps);
    for (uint64_t n = 1;; n++) {
        struct run_log log = {0};
        struct page p = page_make();
        alloc_fail_at(0);
        alloc_fail_at(n);
        cria_status status = run_log_read(&log, folder, NULL);
        const struct run_page_options options = {.title = "run", .grams_per_kwh = 500, .currency = "$"};
        if (status == CRIA_OK) status = run_page_build(&p, &log, &options, NULL);
        const uint64_t made = alloc_fail_at(0);
        page_free(&p);
        run_log_free(&log);
        assert_int_equal(status, made < n ? CRIA_OK : CRIA_NOMEM);
        if (made < n) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_resumed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_facts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_page, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_mutants, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_memory, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
