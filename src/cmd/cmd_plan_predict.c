/* cmd_plan_predict.c: plan predict: a table of runs in, the same table with predictions out. */
#include "base/alloc.h"
#include "base/file.h"
#include "cmd/cmd.h"
#include "cmd/cmd_io.h"
#include "plan/csv_table.h"
#include "plan/plan_constants.h"
#include "plan/predict.h"

/* Predictions make a table about twice as large. */
enum { MAX_RESULT_BYTES = 4 * CSV_TABLE_BYTES };

static cria_status write_result(const char *path, const struct buffer *b, struct cria_error *err) {
    if (!path) return cmd_write_buffer(b, err);
    cria_status status = cmd_check_target(path, err);
    return status == CRIA_OK ? file_write_atomic(path, b->data, b->n_bytes, err) : status;
}

cria_status cmd_plan_predict(const struct conf *c, struct cria_error *err) {
    plan_hardware *hw = NULL;
    struct buffer out = buffer_make(MAX_RESULT_BYTES);
    char *text = NULL;
    size_t n = 0;
    cria_status status = CRIA_OK;
    const char *path = conf_text(c, CONF_PLAN_CSV), *constants = conf_text(c, CONF_PLAN_CONSTANTS);
    if (!path) {
        status = ERROR_SET(err, CRIA_USAGE, "which table? --csv FILE names it; - is standard input");
        goto out;
    }
    if (constants) TRY(plan_constants_read(constants, err));
    TRY(hardware_open(&hw, conf_text(c, CONF_PLAN_HARDWARE), err));
    TRY(cmd_read(path, &text, &n, err));
    status = predict_csv(hw, text, n, &out, err);
    if (status != CRIA_OK) {
        error_prefix(err, "%s", path);
        goto out;
    }
    TRY(write_result(conf_text(c, CONF_PLAN_OUTPUT), &out, err));
out:
    alloc_free(text);
    buffer_free(&out);
    hardware_close(&hw);
    return status;
}
