/* predict_test.c: rows of published runs as they come: whole, with holes, and wrong. */
#include "plan/predict.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/file.h"
#include "plan/csv_table.h"

#define PUBLISHED CRIA_SOURCE_DIR "/tests/plan/published-runs.csv"
#define MAX_BYTES (64 << 20)

static plan_hardware *hw;

static int open_hardware(void **state) {
    (void)state;
    struct cria_error err = {0};
    return hardware_open(&hw, NULL, &err) != CRIA_OK;
}

static int close_hardware(void **state) {
    (void)state;
    hardware_close(&hw);
    return 0;
}

/* The predictions of a CSV text, as a table. */
static csv_table *predicted(const char *text, size_t n) {
    struct cria_error err = {0};
    struct buffer out = buffer_make(MAX_BYTES);
    csv_table *t = NULL;
    if (predict_csv(hw, text, n, &out, &err) != CRIA_OK) fail_msg("%s", err.text);
    if (csv_table_parse(&t, out.data, out.n_bytes, &err) != CRIA_OK) fail_msg("%s", err.text);
    buffer_free(&out);
    return t;
}

static const char *cell(const csv_table *t, size_t row, const char *name) {
    int column = csv_table_column(t, name);
    assert_true(column >= 0);
    return csv_table_cell(t, row, (size_t)column);
}

static double number(const csv_table *t, size_t row, const char *name) { return strtod(cell(t, row, name), NULL); }

static csv_table *predicted_row(const char *text) { return predicted(text, strlen(text)); }

/* What was measured. Notes hold measured figures too; those are taken out with their digits. */
static const char *const measured[] = {"step_time_s",
                                       "tflops_per_gpu",
                                       "mfu",
                                       "tokens_per_s_per_gpu",
                                       "gpu_hours",
                                       "wall_days",
                                       "energy_kwh_or_power_mw",
                                       "memory_gib_per_gpu",
                                       "metric",
                                       "value",
                                       "unit",
                                       "energy_kwh",
                                       "power_mw",
                                       "verified",
                                       "verification",
                                       "derived_fields",
                                       "memory_fields",
                                       "tier",
                                       "tokens_total"};

static bool is_measured(const char *name) {
    for (size_t i = 0; i < sizeof measured / sizeof measured[0]; i++)
        if (strcmp(measured[i], name) == 0) return true;
    return false;
}

/* A table's text again, with measured cells replaced. */
static void write_without_measured(const csv_table *t, const char *in_place, struct buffer *out) {
    for (size_t row = 0; row <= csv_table_rows(t); row++) {
        for (size_t c = 0; c < csv_table_columns(t); c++) {
            const char *text = row ? csv_table_cell(t, row - 1, c) : csv_table_name(t, c);
            if (c) buffer_append_char(out, ',');
            csv_table_write(out, row && is_measured(csv_table_name(t, c)) ? in_place : text);
        }
        buffer_append_char(out, '\n');
    }
}

static void assert_same_predictions(const csv_table *a, const csv_table *b) {
    assert_int_equal(csv_table_rows(a), csv_table_rows(b));
    for (size_t row = 0; row < csv_table_rows(a); row++)
        for (size_t c = 0; c < csv_table_columns(a); c++) {
            const char *name = csv_table_name(a, c);
            if (strncmp(name, "pred_", 5) == 0 && strcmp(csv_table_cell(a, row, c), cell(b, row, name)) != 0)
                fail_msg("row %zu, %s: %s with and %s without what was measured", row + 1, name,
                         csv_table_cell(a, row, c), cell(b, row, name));
        }
}

/* Catches: a prediction that looks at the answer: the same rows without anything measured, and with nonsense in its
 * place, give the same predictions to the last digit. Also rows that fail the file. */
static void test_measured_columns(void **state) {
    (void)state;
    struct cria_error err = {0};
    char *text = NULL;
    size_t n = 0;
    csv_table *t = NULL;
    assert_int_equal(file_read(PUBLISHED, MAX_BYTES, &text, &n, &err), CRIA_OK);
    assert_int_equal(csv_table_parse(&t, text, n, &err), CRIA_OK);
    csv_table *whole = predicted(text, n);
    assert_int_equal(csv_table_rows(whole), csv_table_rows(t));
    static const char *const replacements[] = {"", "12345.6"};
    for (size_t i = 0; i < 2; i++) {
        struct buffer blank = buffer_make(MAX_BYTES);
        write_without_measured(t, replacements[i], &blank);
        csv_table *again = predicted(blank.data, blank.n_bytes);
        assert_same_predictions(whole, again);
        csv_table_destroy(&again);
        buffer_free(&blank);
    }
    csv_table_destroy(&whole);
    csv_table_destroy(&t);
    alloc_free(text);
}

#define NAMES "id,kind,source,model,params_total,gpu,num_gpus,seq_len,global_batch_tokens,tp,pp,precision,date\n"

/* Catches: a row that is refused although a competent user could fill its holes, and ranges that do not hold their
 * middle. */
static void test_holes(void **state) {
    (void)state;
    csv_table *t = predicted_row(NAMES
                                 "a,train_bench,NVIDIA NeMo,Llama 3.1 8B,,H100,8,8192,1048576,,,BF16,2025\n"
                                 "b,train_bench,,,7e9,A100,64,,,,,,\n"
                                 "c,train_bench,,unheard of,13B,NVIDIA H100 80GB HBM3,128,4096,4M,8,1,fp8,2024-06\n"
                                 "d,,torchtitan,llama3-70b,,H200,256,8192,,8,,,\n"
                                 "e,mlperf_train,,DeepSeek-V3,,GB200 (NVL72),256,4096,16777216,1,4,MXFP8,2026-01\n"
                                 "f,train_bench,maxtext,llama2-7b,,TPU v5e,256,2048,,,,,\n");
    for (size_t row = 0; row < 6; row++) {
        if (*cell(t, row, "pred_reason")) fail_msg("row %zu: %s", row, cell(t, row, "pred_reason"));
        assert_true(number(t, row, "pred_mfu") > 0.05 && number(t, row, "pred_mfu") < 0.9);
        static const char *const columns[] = {"pred_step_time_s", "pred_mfu", "pred_memory_gib_per_gpu",
                                              "pred_tokens_per_s_per_gpu"};
        for (size_t i = 0; i < 4; i++) {
            char low[64], high[64];
            snprintf(low, sizeof low, "%s_low", columns[i]);
            snprintf(high, sizeof high, "%s_high", columns[i]);
            assert_true(number(t, row, low) > 0 && number(t, row, low) < number(t, row, columns[i]));
            assert_true(number(t, row, high) > number(t, row, columns[i]));
        }
    }
    csv_table_destroy(&t);
}

/* Catches: a row that cannot be predicted and that fails the others, is given a figure, or has no reason. */
static void test_impossible_rows(void **state) {
    (void)state;
    csv_table *t = predicted_row(NAMES
                                 "a,train_bench,,Llama 3.1 8B,,Voodoo2,8,8192,1048576,1,1,BF16,2025\n"
                                 "b,train_bench,,Llama 3.1 8B,,H100,-8,8192,1048576,1,1,BF16,2025\n"
                                 "c,train_bench,,Llama 3.1 8B,,H100,8,8192,1048576,3,1,BF16,2025\n"
                                 "d,train_bench,,,,H100,8,8192,1048576,1,1,BF16,2025\n"
                                 "e,train_bench,,Llama 3.1 8B,,H100,64,8192,1048576,1,64,BF16,2025\n"
                                 "f,power,,,,H100,,,,,,,\n"
                                 "g,train_bench,NVIDIA NeMo,Llama 3.1 8B,,H100,8,8192,1048576,1,1,BF16,2025\n");
    static const char *const reasons[] = {"Voodoo2",   "num_gpus",    "does not divide",
                                          "not known", "64 pipeline", "not predicted"};
    for (size_t row = 0; row < 6; row++) {
        if (!strstr(cell(t, row, "pred_reason"), reasons[row])) fail_msg("%s", cell(t, row, "pred_reason"));
        assert_string_equal(cell(t, row, "pred_step_time_s"), "");
        assert_string_equal(cell(t, row, "pred_memory_gib_per_gpu_high"), "");
    }
    assert_string_equal(cell(t, 6, "pred_reason"), "");
    assert_true(number(t, 6, "pred_step_time_s") > 0);
    csv_table_destroy(&t);
}

/* Catches: cells that change on the way through, predictions beside old ones, and figures that ignore an input. */
static void test_round_trip(void **state) {
    (void)state;
    csv_table *t =
        predicted_row("id,note,model,gpu,num_gpus,pred_mfu\n\"a,\"\"b\"\"\",\"two\nlines\",llama3-8b,h100,8,0.9\n");
    assert_string_equal(cell(t, 0, "id"), "a,\"b\"");
    assert_string_equal(cell(t, 0, "note"), "two\nlines");
    assert_int_equal(csv_table_columns(t), 5 + 13);
    assert_true(number(t, 0, "pred_mfu") != 0.9);
    csv_table_destroy(&t);
    static const char *const rows[][2] = {
        {"h100,8", "a100,8"}, {"h100,8", "h100,64"}, {"h100,8", "h100-pcie,8"}, {"h100,8", "mi300x,8"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, "model,gpu,num_gpus\nllama3-8b,%s\nllama3-8b,%s\n", rows[i][0], rows[i][1]);
        t = predicted_row(text);
        assert_string_not_equal(cell(t, 0, "pred_step_time_s"), cell(t, 1, "pred_step_time_s"));
        csv_table_destroy(&t);
    }
}

/* Catches: broken tables that pass or are not explained. */
static void test_broken_tables(void **state) {
    (void)state;
    static const char *const wrong[][2] = {
        {"", "empty"}, {"a,b\n1,2,3\n", "line 2"}, {"a,b\n\"1,2\n", "no end"}, {"a\n\"1\"2\n", "behind"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct cria_error err = {0};
        struct buffer out = buffer_make(MAX_BYTES);
        assert_int_equal(predict_csv(hw, wrong[i][0], strlen(wrong[i][0]), &out, &err), CRIA_FORMAT);
        if (!strstr(err.text, wrong[i][1])) fail_msg("%s", err.text);
        buffer_free(&out);
    }
    csv_table *t = predicted_row("model,gpu,num_gpus\r\nllama3-8b,h100,8\r\n\r\nllama3-8b\r\n");
    assert_int_equal(csv_table_rows(t), 2);
    assert_string_equal(cell(t, 0, "num_gpus"), "8");
    assert_string_not_equal(cell(t, 1, "pred_reason"), "");
    csv_table_destroy(&t);
}

/* Catches: an allocation whose failure is not seen, leaks, or becomes a row without a prediction: the n-th one fails,
 * for every n, on the way from a table to its predictions. */
static void test_no_memory(void **state) {
    (void)state;
    static const char text[] =
        "model,gpu,num_gpus,tp,pp,global_batch_tokens,kind\n"
        "llama3-70b,h100,64,4,4,4M,train_bench\nllama3-8b,a100,8,,,4M,train_bench\n";
    struct cria_error err = {0};
    cria_status status = CRIA_NOMEM;
    uint64_t n = 0;
    while (status != CRIA_OK) {
        struct buffer out = buffer_make(MAX_BYTES);
        alloc_fail_at(++n);
        status = predict_csv(hw, text, sizeof text - 1, &out, &err);
        alloc_fail_at(0);
        if (status != CRIA_OK) assert_int_equal(status, CRIA_NOMEM);
        else assert_null(strstr(buffer_text(&out), "memory\n"));
        buffer_free(&out);
    }
    assert_true(n > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_measured_columns), cmocka_unit_test(test_holes),
        cmocka_unit_test(test_impossible_rows),  cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_broken_tables),    cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, open_hardware, close_hardware);
}
