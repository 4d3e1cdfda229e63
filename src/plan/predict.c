/* predict.c: rows with predictions beside them (see predict.h). */
#include "plan/predict.h"

#include <math.h>
#include <string.h>

#include "plan/csv_table.h"
#include "plan/predict_columns.h"
#include "plan/serving.h"

/* What is written for a row; a mid of 0 is an empty cell. */
struct predicted {
    struct plan_range step_s, mfu, memory, tokens_per_s;
    char reason[256];
};

static const char *const added[] = {"pred_step_time_s", "pred_mfu", "pred_memory_gib_per_gpu",
                                    "pred_tokens_per_s_per_gpu"};

/* The fullest that published runs fill a chip's memory. */
#define FULLEST 0.97

static const char *const train_kinds[] = {"train_bench", "mlperf_train", "finetune_bench", "train_run", ""};

static struct plan_range scaled(struct plan_range r, double factor) {
    return (struct plan_range){r.mid * factor, r.low * factor, r.high * factor};
}

/* The column is in the source's own unit: MLPerf's and nanotron's logs say GB, the others GiB. */
static double memory_unit(const struct predict_row *row) {
    bool is_gb = predict_columns_mention(row, "MLPerf") || predict_columns_mention(row, "nanotron");
    return is_gb ? 1e9 : 1073741824.0;
}

/* The rows are of runs that took place, so what they took did fit. */
static struct plan_range that_fits(struct plan_range bytes, const struct plan_chip *chip) {
    double most = FULLEST * chip->memory_bytes;
    if (bytes.mid <= most) return (struct plan_range){bytes.mid, bytes.low, fmin(bytes.high, chip->memory_bytes)};
    return (struct plan_range){most, fmin(bytes.low, 0.9 * most), chip->memory_bytes};
}

static cria_status predict_training(const struct predict_row *row, const plan_hardware *hw, struct predicted *ret,
                                    struct cria_error *err) {
    struct plan_train t;
    struct plan_train_result r;
    cria_status status = predict_train(row, hw, &t, err);
    if (status == CRIA_OK) status = plan_train_predict(&t, predict_attention_count(row, &t), &r, err);
    if (status != CRIA_OK) return status;
    ret->step_s = r.step_s;
    ret->mfu = (struct plan_range){r.mfu, r.mfu * r.step_s.mid / r.step_s.high, r.mfu * r.step_s.mid / r.step_s.low};
    ret->memory = scaled(that_fits(r.memory_bytes, t.chip), 1 / memory_unit(row));
    ret->tokens_per_s = r.tokens_per_s_per_chip;
    return CRIA_OK;
}

static cria_status predict_serving(const struct predict_row *row, const plan_hardware *hw, struct predicted *ret,
                                   struct cria_error *err) {
    cria_status status = CRIA_OK;
    struct serving_prediction p;
    struct serving_case c = {
        .model = predict_columns_text(row, PREDICT_MODEL),
        .precision = predict_columns_text(row, PREDICT_PRECISION),
        .notes = predict_columns_text(row, PREDICT_NOTES),
        .source = predict_columns_text(row, PREDICT_SOURCE),
        .id = predict_columns_text(row, PREDICT_ID),
        .n_chips = (int64_t)fmax(1, fmin(1e7, predict_columns_number(row, PREDICT_NUM_GPUS))),
        .tp = (int64_t)fmin(1e7, predict_columns_number(row, PREDICT_TP)),
        .pp = (int64_t)fmin(1e7, predict_columns_number(row, PREDICT_PP)),
        .ep = (int64_t)fmin(1e7, predict_columns_number(row, PREDICT_EP)),
        .micro_batch = (int64_t)fmin(1e9, predict_columns_number(row, PREDICT_MICRO_BATCH)),
        .seq_len = predict_columns_number(row, PREDICT_SEQ_LEN),
    };
    TRY(predict_model(row, &c.shape, err));
    TRY(hardware_chip(hw, predict_columns_text(row, PREDICT_GPU), &c.chip, err));
    TRY(plan_serving_predict_row(&c, &p, err));
    ret->step_s = p.step_s;
    ret->tokens_per_s = p.tokens_per_s_per_chip;
    double gib = p.memory_bytes / 1073741824.0;
    ret->memory = (struct plan_range){gib, gib / 1.1, gib * 1.1};
out:
    return status;
}

/* A row that cannot be predicted has a reason; only a lack of memory ends the file. */
static cria_status predict_one(const struct predict_row *row, const plan_hardware *hw, struct predicted *ret,
                               struct cria_error *ret_err) {
    struct cria_error err = {0};
    const char *kind = predict_columns_text(row, PREDICT_KIND);
    cria_status status;
    *ret = (struct predicted){0};
    bool is_training = false;
    for (size_t i = 0; i < sizeof train_kinds / sizeof train_kinds[0]; i++)
        if (strcmp(kind, train_kinds[i]) == 0) is_training = true;
    if (is_training) status = predict_training(row, hw, ret, &err);
    else if (strcmp(kind, "inference") == 0) status = predict_serving(row, hw, ret, &err);
    else status = ERROR_SET(&err, CRIA_UNSUPPORTED, "rows of kind %s are not predicted", kind);
    if (status == CRIA_NOMEM && ret_err) *ret_err = err;
    if (status == CRIA_OK || status == CRIA_NOMEM) return status;
    *ret = (struct predicted){0};
    size_t n = strlen(err.text) < sizeof ret->reason ? strlen(err.text) : sizeof ret->reason - 1;
    memcpy(ret->reason, err.text, n);
    ret->reason[n] = 0;
    return CRIA_OK;
}

static void write_range(struct buffer *out, struct plan_range r) {
    if (r.mid > 0 && isfinite(r.mid)) buffer_append_format(out, ",%.6g,%.6g,%.6g", r.mid, r.low, r.high);
    else buffer_append_text(out, ",,,");
}

/* Whether a column is one of ours, so that a file that went through here before gets new figures, not further ones. */
static bool is_added(const char *name) { return strncmp(name, "pred_", 5) == 0; }

static void write_names(struct buffer *out, const csv_table *t) {
    bool is_first = true;
    for (size_t c = 0; c < csv_table_columns(t); c++) {
        if (is_added(csv_table_name(t, c))) continue;
        if (!is_first) buffer_append_char(out, ',');
        is_first = false;
        csv_table_write(out, csv_table_name(t, c));
    }
    for (size_t i = 0; i < sizeof added / sizeof added[0]; i++)
        buffer_append_format(out, ",%s,%s_low,%s_high", added[i], added[i], added[i]);
    buffer_append_text(out, ",pred_reason\n");
}

static void write_row(struct buffer *out, const csv_table *t, size_t row, const struct predicted *p) {
    bool is_first = true;
    for (size_t c = 0; c < csv_table_columns(t); c++) {
        if (is_added(csv_table_name(t, c))) continue;
        if (!is_first) buffer_append_char(out, ',');
        is_first = false;
        csv_table_write(out, csv_table_cell(t, row, c));
    }
    write_range(out, p->step_s);
    write_range(out, p->mfu);
    write_range(out, p->memory);
    write_range(out, p->tokens_per_s);
    buffer_append_char(out, ',');
    csv_table_write(out, p->reason);
    buffer_append_char(out, '\n');
}

cria_status predict_csv(const plan_hardware *hw, const char *text, size_t n, struct buffer *out,
                        struct cria_error *err) {
    csv_table *t = NULL;
    int columns[PREDICT_COLUMN_COUNT];
    cria_status status = csv_table_parse(&t, text, n, err);
    if (status != CRIA_OK) return status;
    predict_columns_find(t, columns);
    write_names(out, t);
    for (size_t i = 0; i < csv_table_rows(t); i++) {
        struct predict_row row = {t, columns, i};
        struct predicted p;
        TRY(predict_one(&row, hw, &p, err));
        write_row(out, t, i, &p);
    }
    status = buffer_status(out, "the table with predictions", err);
out:
    csv_table_destroy(&t);
    return status;
}
