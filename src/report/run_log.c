/* run_log.c: see run_log.h. */
#include "report/run_log.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"

#define LOG_FILE "log.jsonl"
#define MANIFEST_FILE "run.json"
#define MAX_MANIFEST_BYTES ((size_t)16 << 20)
#define MAX_ROWS ((size_t)1 << 26)
#define MAX_FACTS 4096
#define MAX_PATH_BYTES 512
#define MAX_VALUE_BYTES 4096

/* One line of the log. */
struct row {
    double step, tokens, loss, grad_norm, lr, tokens_per_s, peak_fraction, joules, seconds, eval_bits, eval_loss;
    bool is_estimated;
    char *sample, *event, *reason; /* owned until they are kept; or NULL */
    char digest[65];
};

/* The keys of a line that hold a number, and where it goes. */
static const struct {
    const char *key;
    size_t offset;
} number_keys[] = {
    {"step", offsetof(struct row, step)},
    {"tokens", offsetof(struct row, tokens)},
    {"loss", offsetof(struct row, loss)},
    {"grad_norm", offsetof(struct row, grad_norm)},
    {"lr", offsetof(struct row, lr)},
    {"tokens_per_s", offsetof(struct row, tokens_per_s)},
    {"peak_fraction", offsetof(struct row, peak_fraction)},
    {"joules", offsetof(struct row, joules)},
    {"seconds", offsetof(struct row, seconds)},
    {"eval_bits_per_byte", offsetof(struct row, eval_bits)},
    {"eval_loss", offsetof(struct row, eval_loss)},
};

#define N_NUMBER_KEYS (sizeof number_keys / sizeof *number_keys)

/* Room for one more in n arrays of doubles that grow together. */
static cria_status grow_columns(double **columns, int n_columns, size_t n, size_t *capacity, struct cria_error *err) {
    if (n < *capacity) return CRIA_OK;
    if (n >= MAX_ROWS) return ERROR_SET(err, CRIA_LIMIT, "more than %zu lines", MAX_ROWS);
    const size_t more = *capacity > 0 ? *capacity * 2 : 256;
    for (int c = 0; c < n_columns; c++) {
        double *bigger = alloc_resize(columns[c], more, sizeof *bigger);
        if (!bigger) return ERROR_NOMEM(err, more * sizeof *bigger, "the log of a run");
        columns[c] = bigger;
    }
    *capacity = more;
    return CRIA_OK;
}

/* Room for one more in an array of items. */
static cria_status grow_items(void **items, size_t size, size_t n, size_t *capacity, struct cria_error *err) {
    if (n < *capacity) return CRIA_OK;
    const size_t more = *capacity > 0 ? *capacity * 2 : 16;
    void *bigger = alloc_resize(*items, more, size);
    if (!bigger) return ERROR_NOMEM(err, more * size, "the log of a run");
    *items = bigger;
    *capacity = more;
    return CRIA_OK;
}

static cria_status read_number(json_reader *r, double *ret, struct cria_error *err) {
    if (json_peek(r) != JSON_NULL) return json_read_f64(r, ret, err);
    *ret = NAN; /* a number that is not finite was written as null */
    return json_read_null(r, err);
}

static cria_status read_text(json_reader *r, char **ret, struct cria_error *err) {
    struct json_text t;
    const cria_status status = json_read_string(r, &t, err);
    if (status != CRIA_OK) return status;
    char *text = alloc_text(t.bytes, t.n);
    if (!text) return ERROR_NOMEM(err, t.n, "a text of the log");
    alloc_free(*ret);
    *ret = text;
    return CRIA_OK;
}

static cria_status read_digest(json_reader *r, char out[65], struct cria_error *err) {
    struct json_text t;
    if (json_peek(r) == JSON_NULL) return json_read_null(r, err);
    const cria_status status = json_read_string(r, &t, err);
    if (status != CRIA_OK) return status;
    if (t.n != 64) return json_fail(r, err, "weights_digest: expected 64 hexadecimal digits, found %zu bytes", t.n);
    memcpy(out, t.bytes, 64);
    out[64] = 0;
    return CRIA_OK;
}

static cria_status read_member(json_reader *r, struct json_text key, struct row *row, struct cria_error *err) {
    for (size_t i = 0; i < N_NUMBER_KEYS; i++)
        if (json_text_is(key, number_keys[i].key)) {
            double *place = (double *)((char *)row + number_keys[i].offset);
            const cria_status status = read_number(r, place, err);
            if (status != CRIA_OK) error_prefix(err, "%s", number_keys[i].key);
            return status;
        }
    if (json_text_is(key, "event")) return read_text(r, &row->event, err);
    if (json_text_is(key, "reason")) return read_text(r, &row->reason, err);
    if (json_text_is(key, "joules_estimated")) return json_read_bool(r, &row->is_estimated, err);
    if (json_text_is(key, "sample")) return read_text(r, &row->sample, err);
    if (json_text_is(key, "weights_digest")) return read_digest(r, row->digest, err);
    return json_skip(r, err);
}

static cria_status read_row(const char *line, size_t n, struct row *row, struct cria_error *err) {
    json_reader r;
    struct json_text key;
    cria_status status;
    json_reader_init(&r, line, n);
    for (size_t i = 0; i < N_NUMBER_KEYS; i++) *(double *)((char *)row + number_keys[i].offset) = NAN;
    TRY(json_begin_object(&r, err));
    for (bool more;;) {
        TRY(json_next_key(&r, &key, &more, err));
        if (!more) break;
        TRY(read_member(&r, key, row, err));
    }
    TRY(json_end(&r, err));
    if (!(row->step >= 0))
        status = ERROR_SET(err, CRIA_FORMAT, "key step: expected a number from 0 on, found %s",
                           isnan(row->step) ? "none" : "less");
out:
    json_reader_deinit(&r);
    return status;
}

/* A run that was resumed writes steps again: what was written before goes. */
static void forget_from(struct run_log *log, double step) {
    while (log->n > 0 && log->columns[RUN_LOG_STEP][log->n - 1] >= step) log->n--;
    while (log->n_evals > 0 && log->evals[RUN_LOG_EVAL_STEP][log->n_evals - 1] >= step) log->n_evals--;
    while (log->n_samples > 0 && log->samples[log->n_samples - 1].step >= step)
        alloc_free(log->samples[--log->n_samples].text);
}

static double last_or_zero(const struct run_log *log, enum run_log_column column) {
    return log->n > 0 ? log->columns[column][log->n - 1] : 0;
}

/* tokens, joules and seconds of a line are those of its step; columns hold sums. Tokens of steps that were done again
 * count once, as the model has them; what they took in energy and time counts twice. */
static cria_status keep_step(struct run_log *log, const struct row *row, struct cria_error *err) {
    forget_from(log, row->step);
    const cria_status status = grow_columns(log->columns, RUN_LOG_COLUMN_COUNT, log->n, &log->capacity, err);
    if (status != CRIA_OK) return status;
    const double tokens = isnan(row->tokens) ? 0 : row->tokens;
    const double seconds = !isnan(row->seconds) ? row->seconds : row->tokens_per_s > 0 ? tokens / row->tokens_per_s : 0;
    log->joules += isnan(row->joules) ? 0 : row->joules;
    log->seconds += seconds;
    const double values[RUN_LOG_COLUMN_COUNT] = {
        [RUN_LOG_STEP] = row->step,
        [RUN_LOG_TOKENS] = last_or_zero(log, RUN_LOG_TOKENS) + tokens,
        [RUN_LOG_LOSS] = row->loss,
        [RUN_LOG_GRAD_NORM] = row->grad_norm,
        [RUN_LOG_LR] = row->lr,
        [RUN_LOG_TOKENS_PER_S] = row->tokens_per_s,
        [RUN_LOG_PEAK_FRACTION] = row->peak_fraction,
        [RUN_LOG_JOULES] = log->joules,
        [RUN_LOG_JOULES_PER_TOKEN] = tokens > 0 ? row->joules / tokens : NAN,
        [RUN_LOG_SECONDS] = log->seconds,
    };
    for (int c = 0; c < RUN_LOG_COLUMN_COUNT; c++) log->columns[c][log->n] = values[c];
    log->n++;
    return CRIA_OK;
}

static cria_status keep_eval(struct run_log *log, const struct row *row, struct cria_error *err) {
    const cria_status status =
        grow_columns(log->evals, RUN_LOG_EVAL_COLUMN_COUNT, log->n_evals, &log->evals_capacity, err);
    if (status != CRIA_OK) return status;
    log->evals[RUN_LOG_EVAL_STEP][log->n_evals] = row->step;
    log->evals[RUN_LOG_EVAL_TOKENS][log->n_evals] = last_or_zero(log, RUN_LOG_TOKENS);
    log->evals[RUN_LOG_EVAL_BITS][log->n_evals] = row->eval_bits;
    log->evals[RUN_LOG_EVAL_LOSS][log->n_evals] = row->eval_loss;
    log->n_evals++;
    return CRIA_OK;
}

static cria_status keep_sample(struct run_log *log, struct row *row, struct cria_error *err) {
    void *items = log->samples;
    const cria_status status = grow_items(&items, sizeof *log->samples, log->n_samples, &log->samples_capacity, err);
    log->samples = items;
    if (status != CRIA_OK) return status;
    log->samples[log->n_samples++] = (struct run_log_sample){row->step, row->sample};
    row->sample = NULL;
    return CRIA_OK;
}

static cria_status keep_event(struct run_log *log, struct row *row, struct cria_error *err) {
    void *items = log->events;
    const cria_status status = grow_items(&items, sizeof *log->events, log->n_events, &log->events_capacity, err);
    log->events = items;
    if (status != CRIA_OK) return status;
    log->events[log->n_events++] = (struct run_log_event){row->step, row->event, row->reason};
    row->event = row->reason = NULL;
    return CRIA_OK;
}

static void free_row(struct row *row) {
    alloc_free(row->sample);
    alloc_free(row->event);
    alloc_free(row->reason);
    row->sample = row->event = row->reason = NULL;
}

static cria_status keep_row(struct run_log *log, struct row *row, struct cria_error *err) {
    cria_status status = CRIA_OK;
    /* a line of a step has at least one of these; lines about an evaluation or a sample alone have none */
    if (!isnan(row->loss) || !isnan(row->tokens) || !isnan(row->grad_norm)) TRY(keep_step(log, row, err));
    if (!isnan(row->eval_bits) || !isnan(row->eval_loss)) TRY(keep_eval(log, row, err));
    if (row->sample) TRY(keep_sample(log, row, err));
    if (row->event) TRY(keep_event(log, row, err));
    log->is_estimated = log->is_estimated || row->is_estimated;
    if (row->digest[0]) memcpy(log->digest, row->digest, sizeof log->digest);
out:
    return status;
}

static bool is_blank(const char *line, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r') return false;
    return true;
}

static cria_status read_lines(struct run_log *log, const char *path, struct cria_error *err) {
    struct file_map *map = NULL;
    struct row row = {0};
    cria_status status;
    TRY(file_map_open(&map, path, err));
    const char *text = (const char *)map->data;
    size_t number = 1;
    for (size_t at = 0; at < map->n_bytes; number++) {
        const char *end = memchr(text + at, '\n', map->n_bytes - at);
        if (!end) break;
        const size_t n = (size_t)(end - text) - at;
        memset(&row, 0, sizeof row);
        status = is_blank(text + at, n) ? CRIA_OK : read_row(text + at, n, &row, err);
        if (status == CRIA_OK && !is_blank(text + at, n)) status = keep_row(log, &row, err);
        if (status != CRIA_OK) {
            error_prefix(err, "%s: line %zu of the file", path, number);
            goto out;
        }
        free_row(&row);
        at += n + 1;
    }
out:
    free_row(&row);
    file_map_close(&map);
    return status;
}

static cria_status keep_fact(struct run_log *log, const char *path, const char *value, struct cria_error *err) {
    if (log->n_facts >= MAX_FACTS) return ERROR_SET(err, CRIA_LIMIT, "more than %d values", MAX_FACTS);
    void *items = log->facts;
    const cria_status status = grow_items(&items, sizeof *log->facts, log->n_facts, &log->facts_capacity, err);
    log->facts = items;
    if (status != CRIA_OK) return status;
    struct run_log_fact fact = {alloc_text(path, strlen(path)), alloc_text(value, strlen(value))};
    if (!fact.path || !fact.value) {
        alloc_free(fact.path);
        alloc_free(fact.value);
        return ERROR_NOMEM(err, strlen(path) + strlen(value), "a value of run.json");
    }
    log->facts[log->n_facts++] = fact;
    return CRIA_OK;
}

/* A value that is no object as text, appended to out. */
static cria_status scalar_text(json_reader *r, struct buffer *out, struct cria_error *err) {
    struct json_text t;
    bool is_true;
    cria_status status;
    switch (json_peek(r)) {
        case JSON_STRING:
            status = json_read_string(r, &t, err);
            if (status == CRIA_OK) buffer_append(out, t.bytes, strnlen(t.bytes, t.n));
            return status;
        case JSON_NUMBER:
            status = json_read_number(r, &t, err);
            if (status == CRIA_OK) buffer_append(out, t.bytes, t.n);
            return status;
        case JSON_BOOL:
            status = json_read_bool(r, &is_true, err);
            if (status == CRIA_OK) buffer_append_text(out, is_true ? "yes" : "no");
            return status;
        case JSON_NULL:
            return json_read_null(r, err);
        default:
            return json_skip(r, err); /* an object or array inside an array is no line of a table */
    }
}

static cria_status leaf_text(json_reader *r, struct buffer *out, struct cria_error *err) {
    cria_status status;
    bool more;
    if (json_peek(r) != JSON_ARRAY) return scalar_text(r, out, err);
    TRY(json_begin_array(r, err));
    for (int i = 0;; i++) {
        TRY(json_next_element(r, &more, err));
        if (!more) break;
        if (i > 0) buffer_append_text(out, ", ");
        TRY(scalar_text(r, out, err));
    }
out:
    return status;
}

/* Every leaf of the object that comes, with its path behind `prefix`. Recurses as deep as the JSON reader lets. */
static cria_status read_facts(struct run_log *log, json_reader *r, const char *prefix, struct cria_error *err) {
    struct buffer value = {0};
    struct json_text key;
    cria_status status;
    char path[MAX_PATH_BYTES];
    TRY(json_begin_object(r, err));
    for (bool more;;) {
        TRY(json_next_key(r, &key, &more, err));
        if (!more) break;
        snprintf(path, sizeof path, "%s%s%.*s", prefix, *prefix ? "." : "", (int)strnlen(key.bytes, key.n), key.bytes);
        if (json_peek(r) == JSON_OBJECT) {
            TRY(read_facts(log, r, path, err));
            continue;
        }
        buffer_free(&value);
        value = buffer_make(MAX_VALUE_BYTES);
        TRY(leaf_text(r, &value, err));
        if (value.status == CRIA_NOMEM) TRY(buffer_status(&value, "a value of run.json", err)); /* too long: cut */
        TRY(keep_fact(log, path, buffer_text(&value), err));
    }
out:
    buffer_free(&value);
    return status;
}

static cria_status read_manifest(struct run_log *log, const char *path, struct cria_error *err) {
    char *text = NULL;
    size_t n = 0;
    json_reader r;
    cria_status status = file_read(path, MAX_MANIFEST_BYTES, &text, &n, err);
    if (status != CRIA_OK) return status;
    json_reader_init(&r, text, n);
    status = read_facts(log, &r, "", err);
    if (status == CRIA_OK) status = json_end(&r, err);
    if (status != CRIA_OK) error_prefix(err, "%s", path);
    json_reader_deinit(&r);
    alloc_free(text);
    return status;
}

cria_status run_log_read(struct run_log *ret, const char *folder, struct cria_error *err) {
    struct run_log log = {0};
    cria_status status;
    char *lines = file_join(folder, LOG_FILE), *manifest = file_join(folder, MANIFEST_FILE);
    if (!lines || !manifest) {
        status = ERROR_NOMEM(err, strlen(folder), "a path");
        goto out;
    }
    TRY(read_lines(&log, lines, err));
    if (file_exists(manifest)) TRY(read_manifest(&log, manifest, err));
    *ret = log;
    log = (struct run_log){0};
out:
    run_log_free(&log);
    alloc_free(lines);
    alloc_free(manifest);
    return status;
}

void run_log_free(struct run_log *log) {
    for (int c = 0; c < RUN_LOG_COLUMN_COUNT; c++) alloc_free(log->columns[c]);
    for (int c = 0; c < RUN_LOG_EVAL_COLUMN_COUNT; c++) alloc_free(log->evals[c]);
    for (size_t i = 0; i < log->n_samples; i++) alloc_free(log->samples[i].text);
    for (size_t i = 0; i < log->n_facts; i++) {
        alloc_free(log->facts[i].path);
        alloc_free(log->facts[i].value);
    }
    for (size_t i = 0; i < log->n_events; i++) {
        alloc_free(log->events[i].kind);
        alloc_free(log->events[i].reason);
    }
    alloc_free(log->samples);
    alloc_free(log->events);
    alloc_free(log->facts);
    *log = (struct run_log){0};
}

const char *run_log_fact(const struct run_log *log, const char *path) {
    const size_t n = strlen(path);
    for (size_t i = 0; i < log->n_facts; i++) {
        const size_t n_found = strlen(log->facts[i].path);
        const char *end = log->facts[i].path + (n_found >= n ? n_found - n : 0);
        if (strcmp(end, path) == 0 && (n_found == n || end[-1] == '.')) return log->facts[i].value;
    }
    return NULL;
}

double run_log_last(const struct run_log *log, enum run_log_column column) {
    for (size_t i = log->n; i > 0; i--)
        if (isfinite(log->columns[column][i - 1])) return log->columns[column][i - 1];
    return NAN;
}
