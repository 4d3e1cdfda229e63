/* cmd_report.c: one page about a training run, from what it wrote about itself. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "cmd/cmd.h"
#include "cmd/cmd_io.h"
#include "report/run_log.h"
#include "report/run_page.h"
#include "report/tensorboard.h"

#define MAX_SUMMARY_BYTES (1 << 20)
#define USUAL_NAME "report.html"
#define MAX_SAMPLES 16
#define MAX_SAMPLE_BYTES ((size_t)1 << 20)
#define NAME_BYTES 64
#define MAX_BITS 64.0

/* The last part of the folder's full path; borrowed from full. */
static const char *folder_name(const char *folder, char full[PATH_MAX]) {
    return realpath(folder, full) && *file_name(full) ? file_name(full) : folder;
}

/* The values of line i of the log that are known, with TensorBoard's names. */
static size_t values_of(const struct run_log *log, size_t i, struct tensorboard_value *out) {
    static const struct {
        enum run_log_column column;
        const char *tag;
    } tags[] = {{RUN_LOG_LOSS, "train/loss"},
                {RUN_LOG_GRAD_NORM, "train/grad_norm"},
                {RUN_LOG_LR, "train/lr"},
                {RUN_LOG_TOKENS, "train/tokens"},
                {RUN_LOG_TOKENS_PER_S, "speed/tokens_per_s"},
                {RUN_LOG_PEAK_FRACTION, "speed/peak_fraction"},
                {RUN_LOG_JOULES_PER_TOKEN, "energy/joules_per_token"}};
    size_t n = 0;
    for (size_t k = 0; k < sizeof tags / sizeof *tags; k++) {
        const double value = log->columns[tags[k].column][i];
        if (isfinite(value)) out[n++] = (struct tensorboard_value){tags[k].tag, (float)value};
    }
    return n;
}

static size_t eval_values_of(const struct run_log *log, size_t i, struct tensorboard_value *out) {
    size_t n = 0;
    const double bits = log->evals[RUN_LOG_EVAL_BITS][i], loss = log->evals[RUN_LOG_EVAL_LOSS][i];
    if (isfinite(bits)) out[n++] = (struct tensorboard_value){"eval/bits_per_byte", (float)bits};
    if (isfinite(loss)) out[n++] = (struct tensorboard_value){"eval/loss", (float)loss};
    return n;
}

/* The log has no times of day: a step is dated by the seconds that the run had taken, so that equal logs give equal
 * files. */
static cria_status write_events(const struct run_log *log, const char *folder, struct cria_error *err) {
    struct tensorboard_value values[RUN_LOG_COLUMN_COUNT];
    tensorboard *t = NULL;
    cria_status status;
    TRY(tensorboard_open(&t, folder, -1, 0, err));
    size_t k = 0;
    for (size_t i = 0; i <= log->n; i++) {
        const double step = i < log->n ? log->columns[RUN_LOG_STEP][i] : INFINITY;
        const double seconds = i > 0 ? log->columns[RUN_LOG_SECONDS][i - 1] : 0;
        for (; k < log->n_evals && log->evals[RUN_LOG_EVAL_STEP][k] < step; k++)
            TRY(tensorboard_write(t, (int64_t)log->evals[RUN_LOG_EVAL_STEP][k], seconds, values,
                                  eval_values_of(log, k, values), err));
        if (i < log->n)
            TRY(tensorboard_write(t, (int64_t)step, log->columns[RUN_LOG_SECONDS][i], values, values_of(log, i, values),
                                  err));
    }
    status = CRIA_OK;
out:
    tensorboard_close(&t);
    return status;
}

/* Standard output gets the page, or the key figures where the page goes to a file. */
static cria_status write_page(const struct conf *c, const struct run_log *log, const struct run_page_options *options,
                              struct cria_error *err) {
    struct page page = page_make();
    struct buffer summary = buffer_make(MAX_SUMMARY_BYTES);
    const char *asked = conf_text(c, CONF_REPORT_OUTPUT);
    char *usual = file_join(c->arguments[0], USUAL_NAME);
    cria_status status;
    if (!usual) {
        status = ERROR_NOMEM(err, strlen(c->arguments[0]), "a path");
        goto out;
    }
    TRY(run_page_build(&page, log, options, err));
    if (asked && strcmp(asked, "-") == 0) {
        TRY(cmd_write_buffer(&page.out, err));
        goto out;
    }
    const char *path = asked ? asked : usual;
    TRY(cmd_check_target(path, err));
    TRY(file_write_atomic(path, page.out.data, page.out.n_bytes, err));
    run_page_summary(&summary, log, options);
    TRY(cmd_write_buffer(&summary, err));
    log_notice("the page is %s", path);
out:
    alloc_free(usual);
    buffer_free(&summary);
    page_free(&page);
    return status;
}

/* What the command line adds to the page; texts of samples are owned. */
struct additions {
    struct run_page_baseline baselines[RUN_PAGE_MAX_BASELINES];
    char names[RUN_PAGE_MAX_BASELINES][NAME_BYTES];
    struct run_page_sample samples[MAX_SAMPLES];
    char *texts[MAX_SAMPLES]; /* owned */
    size_t n_baselines, n_samples;
};

/* "PPMd, order 8=2.13": the name may hold any character, the number stands behind the last =. */
static cria_status read_baseline(struct additions *a, const char *text, struct cria_error *err) {
    const char *equals = strrchr(text, '=');
    double bits = 0;
    if (a->n_baselines == RUN_PAGE_MAX_BASELINES)
        return ERROR_SET(err, CRIA_USAGE, "--baseline: at most %d", RUN_PAGE_MAX_BASELINES);
    if (!equals || equals == text || equals - text >= NAME_BYTES)
        return ERROR_SET(err, CRIA_USAGE, "--baseline %s: expected NAME=BITS", text);
    const cria_status status = conf_read_real(equals + 1, 0, MAX_BITS, &bits, err);
    if (status != CRIA_OK) {
        error_prefix(err, "--baseline %s", text);
        return status;
    }
    char *name = a->names[a->n_baselines];
    snprintf(name, NAME_BYTES, "%.*s", (int)(equals - text), text);
    a->baselines[a->n_baselines++] = (struct run_page_baseline){name, bits};
    return CRIA_OK;
}

static cria_status read_additions(struct additions *a, const struct conf *c, struct cria_error *err) {
    const char *const *baselines = conf_texts(c, CONF_REPORT_BASELINES);
    const char *const *samples = conf_texts(c, CONF_REPORT_SAMPLES);
    cria_status status = CRIA_OK;
    for (int i = 0; i < conf_count(c, CONF_REPORT_BASELINES); i++) TRY(read_baseline(a, baselines[i], err));
    if (conf_count(c, CONF_REPORT_SAMPLES) > MAX_SAMPLES)
        return ERROR_SET(err, CRIA_USAGE, "--sample: at most %d", MAX_SAMPLES);
    for (int i = 0; i < conf_count(c, CONF_REPORT_SAMPLES); i++) {
        size_t n = 0;
        TRY(file_read(samples[i], MAX_SAMPLE_BYTES, &a->texts[i], &n, err));
        a->samples[a->n_samples++] = (struct run_page_sample){file_name(samples[i]), a->texts[i]};
    }
out:
    return status;
}

cria_status cmd_report(const struct conf *c, struct cria_error *err) {
    struct run_log log = {0};
    struct additions added = {.n_samples = 0};
    char full[PATH_MAX];
    cria_status status;
    TRY(read_additions(&added, c, err));
    TRY(run_log_read(&log, c->arguments[0], err));
    const char *title = conf_text(c, CONF_REPORT_TITLE);
    const struct run_page_options options = {
        .title = title ? title : folder_name(c->arguments[0], full),
        .grams_per_kwh = conf_real(c, CONF_REPORT_CO2),
        .price_per_kwh = conf_real(c, CONF_REPORT_PRICE),
        .currency = conf_text(c, CONF_REPORT_CURRENCY),
        .baselines = added.baselines,
        .n_baselines = added.n_baselines,
        .samples = added.samples,
        .n_samples = added.n_samples,
    };
    TRY(write_page(c, &log, &options, err));
    const char *events = conf_text(c, CONF_REPORT_TENSORBOARD);
    if (events) TRY(write_events(&log, events, err));
out:
    for (size_t i = 0; i < MAX_SAMPLES; i++) alloc_free(added.texts[i]);
    run_log_free(&log);
    return status;
}
