/* machine.c: see machine.h. */
#include "plan/machine.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/conf_yaml.h"

static const int row_counts[MACHINE_ROW_COUNTS] = {1, 2, 4, 8, 16, 32, 64, 256};

/* What server processors are sold with; nothing here can measure it. */
static const double watts_per_thread = 15;

int machine_rows(int i) { return row_counts[i]; }

/* Seconds of a parameter with n rows: on the line between the neighbours that were measured, beyond the last in
 * proportion. */
static double param_seconds(const struct machine *m, enum dtype d, double n) {
    const double *s = m->param_s[d];
    int i = 1;
    if (n <= 1) return s[0];
    if (n >= row_counts[MACHINE_ROW_COUNTS - 1])
        return s[MACHINE_ROW_COUNTS - 1] * n / row_counts[MACHINE_ROW_COUNTS - 1];
    while (row_counts[i] < n) i++;
    const double part = (n - row_counts[i - 1]) / (row_counts[i] - row_counts[i - 1]);
    return s[i - 1] + part * (s[i] - s[i - 1]);
}

static cria_status check_types(const struct machine *m, const struct machine_model *model, struct cria_error *err) {
    for (int d = DTYPE_NONE + 1; d < DTYPE_COUNT; d++)
        if ((model->layer_params[d] > 0 || model->head == (enum dtype)d) && m->param_s[d][0] <= 0)
            return ERROR_SET(err, CRIA_UNSUPPORTED, "products of %s were not measured: cria plan calibrate",
                             dtype_name((enum dtype)d));
    return CRIA_OK;
}

/* A pass of n_rows through all layers, with `keys` keys before them over all rows together. */
static double layers_seconds(const struct machine *m, const struct machine_model *model, double n_rows, double keys,
                             double key_s) {
    const struct arch_config *c = &model->config;
    const double layers = (double)c->n_layers, heads = (double)(c->n_heads * c->head_size);
    const double between =
        2 * (double)c->d_model + heads + 2 * (double)(c->n_kv_heads * c->head_size) + (double)c->d_ff;
    double s = 0;
    for (int d = DTYPE_NONE + 1; d < DTYPE_COUNT; d++)
        if (model->layer_params[d] > 0) s += model->layer_params[d] * param_seconds(m, (enum dtype)d, n_rows);
    s += layers * keys * heads * key_s;
    s += layers * n_rows * between * m->number_s;
    /* Two norms, the rotation, attention, and four products. */
    return s + 8 * layers * m->operation_s;
}

static double head_seconds(const struct machine *m, const struct machine_model *model, double n_rows) {
    const double params = (double)(model->config.d_model * model->config.n_vocab);
    return params * param_seconds(m, model->head, n_rows) + n_rows * (double)model->config.n_vocab * m->number_s;
}

cria_status machine_prefill_s(const struct machine *m, const struct machine_model *model, int64_t n_tokens,
                              int64_t chunk, double *ret, struct cria_error *err) {
    double s = 0;
    const cria_status status = check_types(m, model, err);
    if (status != CRIA_OK) return status;
    for (int64_t at = 0; at < n_tokens; at += chunk) {
        const double n = (double)(n_tokens - at < chunk ? n_tokens - at : chunk);
        s += layers_seconds(m, model, n, n * ((double)at + n / 2), m->key_n_s);
    }
    *ret = s + head_seconds(m, model, 1);
    return CRIA_OK;
}

cria_status machine_decode_s(const struct machine *m, const struct machine_model *model, int64_t depth,
                             int64_t n_sequences, double *ret, struct cria_error *err) {
    const cria_status status = check_types(m, model, err);
    if (status != CRIA_OK) return status;
    const double n = (double)n_sequences;
    *ret = layers_seconds(m, model, n, n * (double)depth, m->key_1_s) + head_seconds(m, model, n);
    return CRIA_OK;
}

static void write_types(struct buffer *out, const struct machine *m) {
    for (int d = DTYPE_NONE + 1; d < DTYPE_COUNT; d++) {
        if (m->param_s[d][0] <= 0) continue;
        buffer_append_format(out, "  %s:\n", dtype_name((enum dtype)d));
        for (int i = 0; i < MACHINE_ROW_COUNTS; i++)
            buffer_append_format(out, "    rows_%d_s: %.6g\n", row_counts[i], m->param_s[d][i]);
    }
}

void machine_write(struct buffer *out, const struct machine *m) {
    buffer_append_format(out, "# Measured by `cria plan calibrate`. Seconds are of one parameter or number.\n");
    buffer_append_format(out, "chips:\n  this-machine:\n    name: \"%s\"\n    node: pc\n", m->name);
    buffer_append_format(out, "    tdp_watts: %g\n", watts_per_thread * (double)m->n_threads);
    buffer_append_format(out, "    memory_gb: %.6g\n    memory_gb_per_s: %.6g\n", m->memory_bytes * 1e-9,
                         m->read_bytes_per_s * 1e-9);
    buffer_append_format(out, "    peak_bf16: %.6g\n    matmul_bf16: %.6g\n", m->product_flop_per_s * 1e-12,
                         m->product_flop_per_s * 1e-12);
    buffer_append_format(out, "    link_gb_per_s: 1\n    link_chips: 1\n    is_cpu: true\n");
    buffer_append_format(out, "    source: measured by cria plan calibrate; watts estimated at 15 a thread\n");
    buffer_append_format(out, "machine:\n  all:\n    name: \"%s\"\n    threads: %lld\n", m->name,
                         (long long)m->n_threads);
    buffer_append_format(out, "    memory_bytes: %.17g\n    read_bytes_per_s: %.6g\n    product_flop_per_s: %.6g\n",
                         m->memory_bytes, m->read_bytes_per_s, m->product_flop_per_s);
    buffer_append_format(out, "    key_1_s: %.6g\n    key_n_s: %.6g\n    number_s: %.6g\n    operation_s: %.6g\n",
                         m->key_1_s, m->key_n_s, m->number_s, m->operation_s);
    write_types(out, m);
}

/* machine.all.FIELD */
static cria_status read_field(struct machine *m, const char *field, const char *value, struct cria_error *err) {
    const struct {
        const char *name;
        double *at;
    } rows[] = {{"memory_bytes", &m->memory_bytes},
                {"read_bytes_per_s", &m->read_bytes_per_s},
                {"product_flop_per_s", &m->product_flop_per_s},
                {"key_1_s", &m->key_1_s},
                {"key_n_s", &m->key_n_s},
                {"number_s", &m->number_s},
                {"operation_s", &m->operation_s}};
    if (strcmp(field, "name") == 0) {
        snprintf(m->name, sizeof m->name, "%s", value);
        return CRIA_OK;
    }
    if (strcmp(field, "threads") == 0) return conf_read_int(value, 1, 4096, &m->n_threads, err);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(field, rows[i].name) == 0) return conf_read_real(value, 0, 1e18, rows[i].at, err);
    return ERROR_SET(err, CRIA_FORMAT, "a machine has no %s", field);
}

/* machine.TYPE.rows_N_s */
static cria_status read_product(struct machine *m, const char *type, size_t n_type, const char *field,
                                const char *value, struct cria_error *err) {
    for (int d = DTYPE_NONE + 1; d < DTYPE_COUNT; d++) {
        const char *name = dtype_name((enum dtype)d);
        if (strlen(name) != n_type || strncmp(name, type, n_type) != 0) continue;
        for (int i = 0; i < MACHINE_ROW_COUNTS; i++) {
            char known[32];
            snprintf(known, sizeof known, "rows_%d_s", row_counts[i]);
            if (strcmp(field, known) == 0) return conf_read_real(value, 0, 1, &m->param_s[d][i], err);
        }
    }
    return ERROR_SET(err, CRIA_FORMAT, "products have no %.*s.%s", (int)n_type, type, field);
}

static cria_status read_item(struct machine *m, const struct conf_yaml_item *item, struct cria_error *err) {
    static const char prefix[] = "machine.";
    if (strncmp(item->path, prefix, sizeof prefix - 1) != 0) return CRIA_OK;
    const char *key = item->path + sizeof prefix - 1, *dot = strchr(key, '.');
    if (!dot) return ERROR_SET(err, CRIA_FORMAT, "expected machine.all.FIELD or machine.TYPE.rows_N_s");
    const size_t n = (size_t)(dot - key);
    return n == 3 && strncmp(key, "all", 3) == 0 ? read_field(m, dot + 1, item->value, err)
                                                 : read_product(m, key, n, dot + 1, item->value, err);
}

cria_status machine_read(const char *name, const char *text, size_t n, struct machine *ret, struct cria_error *err) {
    struct conf_yaml *y = NULL;
    struct machine m = {0};
    cria_status status;
    TRY(conf_yaml_parse(&y, name, text, n, err));
    for (int i = 0; i < y->n_items; i++) {
        status = read_item(&m, &y->items[i], err);
        if (status != CRIA_OK) {
            error_prefix(err, "%s, line %d: %s", name, y->items[i].line, y->items[i].path);
            goto out;
        }
    }
    if (m.n_threads < 1 || m.operation_s <= 0)
        TRY(ERROR_SET(err, CRIA_FORMAT, "%s has no measured machine: cria plan calibrate writes one", name));
    *ret = m;
out:
    conf_yaml_destroy(&y);
    return status;
}
