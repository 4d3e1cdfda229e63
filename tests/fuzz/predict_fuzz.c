/* predict_fuzz.c: any bytes as a table of runs for `plan predict`, or, where they begin with a brace, as a config.json
 * for the planner. What is accepted has finite predictions. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "plan/csv_table.h"
#include "plan/planner.h"
#include "plan/predict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_config(const char *text, size_t n) {
    struct plan_model m;
    struct plan_params p;
    if (plan_model_from_json(text, n, &m, NULL) != CRIA_OK) return;
    plan_model_params(&m, &p);
    if (!isfinite(p.total) || !(p.total > 0) || p.active > p.total * 1.0001) abort();
    if (!(plan_model_train_flop_per_token(&m, 4096, PLAN_COUNT_FULL) > 0)) abort();
}

static void check_table(const plan_hardware *hw, const char *text, size_t n) {
    struct buffer out = buffer_make(64 << 20);
    csv_table *t = NULL;
    if (predict_csv(hw, text, n, &out, NULL) == CRIA_OK) {
        /* The result is a table again, and says of each row either a figure or a reason. */
        if (csv_table_parse(&t, buffer_text(&out), out.n_bytes, NULL) != CRIA_OK) abort();
        int step = csv_table_column(t, "pred_step_time_s"), reason = csv_table_column(t, "pred_reason");
        if (step < 0 || reason < 0) abort();
        for (size_t i = 0; i < csv_table_rows(t); i++)
            if (!*csv_table_cell(t, i, (size_t)step) == !*csv_table_cell(t, i, (size_t)reason)) abort();
    }
    csv_table_destroy(&t);
    buffer_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static plan_hardware *hw;
    if (!hw && hardware_open(&hw, NULL, NULL) != CRIA_OK) abort();
    if (n > 65536) return 0;
    if (n && data[0] == '{') check_config((const char *)data, n);
    else check_table(hw, (const char *)data, n);
    return 0;
}
