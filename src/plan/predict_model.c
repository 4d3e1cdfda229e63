/* predict_model.c: the model of a row (see predict_columns.h).
 *
 * A known name gives the kind of model (gates, experts, windows); the row's own columns give its sizes, so that a proxy
 * with fewer layers is what it says. A stranger is told by its parameters whether it has gates or a tied head. */
#include <math.h>
#include <string.h>

#include "plan/predict_columns.h"

static double relative(double a, double b) { return b > 0 ? fabs(a / b - 1) : 1; }

/* Sizes from the columns; false where too few are given. */
static bool sizes_of(const struct predict_row *row, struct plan_model *m) {
    double layers = predict_columns_number(row, PREDICT_LAYERS), dim = predict_columns_number(row, PREDICT_DIM);
    double heads = predict_columns_number(row, PREDICT_HEADS), kv = predict_columns_number(row, PREDICT_KV_HEADS);
    double ffn = predict_columns_number(row, PREDICT_FFN), vocab = predict_columns_number(row, PREDICT_VOCAB);
    if (layers < 1 || dim < 1 || layers > 10000 || dim > 1e6) return false;
    m->n_layers = (int64_t)layers;
    m->d_model = (int64_t)dim;
    m->n_heads = heads >= 1 && heads <= dim ? (int64_t)heads : (int64_t)fmax(1, dim / 128);
    m->n_kv_heads = kv >= 1 && kv <= (double)m->n_heads ? (int64_t)kv : m->n_heads;
    m->head_size = (int64_t)fmax(1, dim / (double)m->n_heads);
    m->d_ff = ffn >= 1 && ffn < 1e7 ? (int64_t)ffn : 4 * m->d_model;
    m->n_vocab = vocab >= 1 && vocab < 1e7 ? (int64_t)vocab : 50304;
    return true;
}

/* With or without gates, tied or not: what comes nearest to the number of parameters. */
static void guess_kind(struct plan_model *m, double total) {
    struct plan_model best = *m;
    double nearest = INFINITY;
    for (int i = 0; i < 4; i++) {
        struct plan_params p;
        m->is_gated = i & 1;
        m->is_tied = i & 2;
        plan_model_params(m, &p);
        if (relative(p.total, total) < nearest) nearest = relative(p.total, total), best = *m;
    }
    *m = best;
}

/* Experts of an unknown model: as many as its parameters leave room for. */
static void guess_experts(const struct predict_row *row, struct plan_model *m, double total, double active) {
    double said = predict_columns_noted(row, "experts=");
    m->is_gated = true;
    m->d_expert = m->d_ff;
    m->n_experts = m->n_active_experts = 1;
    struct plan_params p;
    plan_model_params(m, &p);
    double each = p.expert * (double)m->n_layers, rest = p.active - each;
    double k = fmax(1, round((active - rest) / each)), e = fmax(k, round((total - rest) / each));
    if (e >= 12) e = 8 * round(e / 8); /* they are made to be shared out */
    m->n_active_experts = (int64_t)fmin(k, 64);
    m->n_experts = (int64_t)fmin(said >= k ? said : e, 4096);
    m->d_ff = 0;
}

/* A known model with the row's sizes where the row gives others. */
static void adjust(const struct predict_row *row, const struct plan_model *sizes, struct plan_model *known) {
    known->n_layers = sizes->n_layers;
    if (known->n_dense_layers > known->n_layers) known->n_dense_layers = known->n_layers;
    if (known->n_window_layers > known->n_layers) known->n_window_layers = known->n_layers;
    if (known->n_experts) return;
    if (sizes->d_model != known->d_model || sizes->n_heads != known->n_heads) {
        known->d_model = sizes->d_model;
        known->n_heads = sizes->n_heads;
        known->head_size = sizes->head_size;
    }
    known->n_kv_heads = sizes->n_kv_heads;
    if (predict_columns_number(row, PREDICT_FFN) > 0) known->d_ff = sizes->d_ff;
    if (predict_columns_number(row, PREDICT_VOCAB) > 0) known->n_vocab = sizes->n_vocab;
}

cria_status predict_model(const struct predict_row *row, struct plan_model *ret, struct cria_error *err) {
    double total = predict_columns_number(row, PREDICT_PARAMS_TOTAL);
    double active = predict_columns_number(row, PREDICT_PARAMS_ACTIVE);
    const char *name = predict_columns_text(row, PREDICT_MODEL);
    struct plan_model known = {0}, sizes = {.is_gated = true};
    struct plan_params p;
    struct cria_error ignored;
    bool has_sizes = sizes_of(row, &sizes);
    bool is_known = plan_model_preset(name, &known, &ignored) == CRIA_OK;
    if (is_known && total > 0) {
        plan_model_params(&known, &p);
        is_known = relative(p.total, total) < 0.25;
    } else if (is_known && has_sizes) {
        is_known = known.d_model == sizes.d_model;
    }
    if (is_known) {
        if (has_sizes) adjust(row, &sizes, &known);
        *ret = known;
    } else if (has_sizes) {
        if (active > 0 && total > 0 && active < 0.9 * total) guess_experts(row, &sizes, total, active);
        else if (total > 0) guess_kind(&sizes, total);
        *ret = sizes;
    } else if (total > 0) {
        plan_model_from_params(active > 0 ? active : total, ret);
    } else {
        return ERROR_SET(err, CRIA_NOTFOUND,
                         "the model \"%s\" is not known, and neither layers and dim nor params_total are given", name);
    }
    size_t n = strlen(name) < sizeof ret->name ? strlen(name) : sizeof ret->name - 1;
    memcpy(ret->name, name, n);
    ret->name[n] = 0;
    return plan_model_check(ret, err);
}
