/* predict_columns.c: reading a row's cells (see predict_columns.h). Measured columns have no name here. */
#include "plan/predict_columns.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[PREDICT_COLUMN_COUNT] = {
    [PREDICT_ID] = "id",
    [PREDICT_KIND] = "kind",
    [PREDICT_SOURCE] = "source",
    [PREDICT_NOTES] = "notes",
    [PREDICT_DATE] = "date",
    [PREDICT_MODEL] = "model",
    [PREDICT_PARAMS_TOTAL] = "params_total",
    [PREDICT_PARAMS_ACTIVE] = "params_active",
    [PREDICT_LAYERS] = "layers",
    [PREDICT_DIM] = "dim",
    [PREDICT_FFN] = "ffn",
    [PREDICT_HEADS] = "heads",
    [PREDICT_KV_HEADS] = "kv_heads",
    [PREDICT_VOCAB] = "vocab",
    [PREDICT_SEQ_LEN] = "seq_len",
    [PREDICT_GPU] = "gpu",
    [PREDICT_NUM_GPUS] = "num_gpus",
    [PREDICT_PRECISION] = "precision",
    [PREDICT_DP] = "dp",
    [PREDICT_TP] = "tp",
    [PREDICT_PP] = "pp",
    [PREDICT_CP] = "cp",
    [PREDICT_EP] = "ep",
    [PREDICT_MICRO_BATCH] = "micro_batch",
    [PREDICT_BATCH_TOKENS] = "global_batch_tokens",
    [PREDICT_RECOMPUTE] = "activation_recompute",
};

void predict_columns_find(const csv_table *t, int columns[PREDICT_COLUMN_COUNT]) {
    for (int i = 0; i < PREDICT_COLUMN_COUNT; i++) columns[i] = csv_table_column(t, names[i]);
}

const char *predict_columns_text(const struct predict_row *row, enum predict_column column) {
    int at = row->columns[column];
    return at < 0 ? "" : csv_table_cell(row->table, row->i, (size_t)at);
}

double predict_columns_number(const struct predict_row *row, enum predict_column column) {
    const char *text = predict_columns_text(row, column);
    char *end;
    double x = strtod(text, &end);
    if (end == text || !isfinite(x) || x <= 0) return 0;
    static const char units[] = "KMBT";
    const char *unit = *end ? strchr(units, *end) : NULL;
    if (unit && !end[1]) return x * pow(1000, (double)(unit - units + 1));
    return *end ? 0 : x;
}

double predict_columns_noted(const struct predict_row *row, const char *word) {
    const char *notes = predict_columns_text(row, PREDICT_NOTES);
    size_t n = strlen(word);
    for (const char *at = notes; (at = strstr(at, word)); at += n) {
        if (at > notes && at[-1] != ' ' && at[-1] != ';' && at[-1] != ',' && at[-1] != '(') continue;
        char *end;
        double x = strtod(at + n, &end);
        return end == at + n || !isfinite(x) ? 0 : x;
    }
    return -1;
}

bool predict_columns_mention(const struct predict_row *row, const char *word) {
    return strcasestr(predict_columns_text(row, PREDICT_SOURCE), word) ||
           strcasestr(predict_columns_text(row, PREDICT_NOTES), word) ||
           strcasestr(predict_columns_text(row, PREDICT_MODEL), word);
}

enum plan_precision predict_precision(const char *text, const struct plan_chip *chip) {
    if (strcasestr(text, "fp4") && chip->peak_flop_per_s[PLAN_FP4] > 0) return PLAN_FP4;
    if (strcasestr(text, "fp8") || strcasestr(text, "fp4") || strcasestr(text, "e4m3")) return PLAN_FP8;
    if (strcasestr(text, "bf16") || strcasestr(text, "fp16") || strcasestr(text, "mixed") || strcasestr(text, "half"))
        return PLAN_BF16;
    if (strcasestr(text, "int8")) return PLAN_INT8;
    if (strcasestr(text, "tf32")) return PLAN_TF32;
    if (strcasestr(text, "fp32") || strcasestr(text, "float32")) return PLAN_FP32;
    return PLAN_PRECISION_NONE;
}
