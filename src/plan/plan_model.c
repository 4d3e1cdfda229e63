/* plan_model.c: sizes and operations of a model, from its shape alone (see planner.h).
 *
 * Source of the formulas: docs/PLANNER.md. A matrix of n parameters costs 2 n operations a token forward and 4 n
 * backward; attention over s keys costs 2 s (size of a query + size of a value) for each head. */
#include <math.h>
#include <string.h>

#include "arch/limits.h"
#include "plan/planner.h"

#define MAX_EXPERTS 65536

void plan_model_from_arch(const struct arch_config *c, struct plan_model *ret) {
    *ret = (struct plan_model){
        .d_model = c->d_model,
        .n_layers = c->n_layers,
        .n_heads = c->n_heads,
        .n_kv_heads = c->n_kv_heads,
        .head_size = c->head_size,
        .d_ff = c->d_ff,
        .n_vocab = c->n_vocab,
        .n_context = c->n_context,
        .is_gated = true,
        .is_tied = c->tied,
    };
    memcpy(ret->name, c->name, sizeof ret->name);
}

static cria_status check_count(const char *what, int64_t value, int64_t min, int64_t max, struct cria_error *err) {
    if (value >= min && value <= max) return CRIA_OK;
    return ERROR_SET(err, CRIA_RANGE, "the model's %s is %lld; expected %lld to %lld", what, (long long)value,
                     (long long)min, (long long)max);
}

static cria_status check_experts(const struct plan_model *m, struct cria_error *err) {
    cria_status status = CRIA_OK;
    if (!m->n_experts) return CRIA_OK;
    TRY(check_count("number of experts", m->n_experts, 1, MAX_EXPERTS, err));
    TRY(check_count("number of experts for a token", m->n_active_experts, 1, m->n_experts, err));
    TRY(check_count("width of an expert", m->d_expert, 1, LIMIT_FF_WIDTH, err));
    TRY(check_count("width of the shared experts", m->d_shared, 0, LIMIT_FF_WIDTH, err));
    TRY(check_count("number of layers without experts", m->n_dense_layers, 0, m->n_layers, err));
out:
    return status;
}

cria_status plan_model_check(const struct plan_model *m, struct cria_error *err) {
    cria_status status = CRIA_OK;
    TRY(check_count("width", m->d_model, 1, LIMIT_WIDTH, err));
    TRY(check_count("number of layers", m->n_layers, 1, LIMIT_LAYERS, err));
    TRY(check_count("number of heads", m->n_heads, 1, LIMIT_HEADS, err));
    TRY(check_count("number of key/value heads", m->n_kv_heads, 1, m->n_heads, err));
    TRY(check_count("head size", m->head_size, 1, LIMIT_WIDTH, err));
    TRY(check_count("feed-forward width", m->d_ff, m->n_experts ? 0 : 1, LIMIT_FF_WIDTH, err));
    TRY(check_count("vocabulary", m->n_vocab, 1, LIMIT_VOCAB, err));
    TRY(check_count("window", m->window, 0, LIMIT_CONTEXT, err));
    TRY(check_count("number of layers with a window", m->n_window_layers, 0, m->n_layers, err));
    TRY(check_count("number of prediction layers", m->n_mtp_layers, 0, LIMIT_LAYERS, err));
    TRY(check_count("rank of the latent keys and values", m->kv_rank, 0, LIMIT_WIDTH, err));
    TRY(check_count("rank of the latent queries", m->q_rank, 0, LIMIT_WIDTH, err));
    TRY(check_experts(m, err));
out:
    return status;
}

/* Sizes of a query (and key) and of a value of one head. */
static void head_sizes(const struct plan_model *m, double *ret_key, double *ret_value) {
    *ret_key = (double)(m->kv_rank ? m->head_size + m->rope_size : m->head_size);
    *ret_value = (double)(m->kv_rank ? m->value_size : m->head_size);
}

static double attention_params(const struct plan_model *m) {
    double d = (double)m->d_model, h = (double)m->n_heads, key, value;
    head_sizes(m, &key, &value);
    if (!m->kv_rank) return d * h * key + 2 * d * (double)m->n_kv_heads * key + h * value * d;
    double queries = m->q_rank ? (double)m->q_rank * (d + h * key) : d * h * key;
    double kv = d * (double)(m->kv_rank + m->rope_size) + (double)m->kv_rank * h * ((double)m->head_size + value);
    return queries + kv + h * value * d;
}

void plan_model_params(const struct plan_model *m, struct plan_params *ret) {
    double d = (double)m->d_model, matrices = m->is_gated ? 3 : 2;
    struct plan_params p = {0};
    p.embedding = (double)m->n_vocab * d;
    p.attention_per_layer = attention_params(m);
    p.dense_ffn_per_layer = matrices * d * (double)m->d_ff;
    p.expert = matrices * d * (double)m->d_expert;
    if (m->n_experts) p.shared_per_layer = matrices * d * (double)m->d_shared + d * (double)m->n_experts;
    double n_dense = (double)(m->n_experts ? m->n_dense_layers : m->n_layers);
    double n_sparse = (double)m->n_layers - n_dense;
    double always = (double)m->n_layers * (p.attention_per_layer + 2 * d) + n_dense * p.dense_ffn_per_layer +
                    n_sparse * p.shared_per_layer + p.embedding * (m->is_tied ? 1 : 2) + d;
    p.total = always + n_sparse * p.expert * (double)m->n_experts;
    p.active = always + n_sparse * p.expert * (double)m->n_active_experts;
    *ret = p;
}

double plan_model_train_flop_per_token(const struct plan_model *m, double seq_len, enum plan_attention_count count) {
    struct plan_params p;
    plan_model_params(m, &p);
    double key, value, layers = (double)m->n_layers, windowed = (double)m->n_window_layers;
    head_sizes(m, &key, &value);
    double in_products = p.active - (double)m->n_layers * 2 * (double)m->d_model - (m->is_tied ? 0 : p.embedding);
    if (m->n_mtp_layers) {
        double ffn = m->n_experts ? p.shared_per_layer + p.expert * (double)m->n_active_experts : p.dense_ffn_per_layer;
        double d = (double)m->d_model;
        in_products += (double)m->n_mtp_layers * (p.attention_per_layer + ffn + p.embedding + 2 * d * d);
        layers += (double)m->n_mtp_layers;
    }
    double keys = (layers - windowed) * seq_len + windowed * fmin(seq_len, m->window ? (double)m->window : seq_len);
    double attention = 6 * keys * (double)m->n_heads * (key + value);
    double part = count == PLAN_COUNT_FULL ? 1 : count == PLAN_COUNT_CAUSAL ? 0.5 : 0;
    return 6 * in_products + part * attention;
}

double plan_model_kv_bytes_per_token(const struct plan_model *m, double bytes_per_number) {
    double layers = (double)m->n_layers;
    if (m->kv_rank) return layers * (double)(m->kv_rank + m->rope_size) * bytes_per_number;
    return 2 * layers * (double)m->n_kv_heads * (double)m->head_size * bytes_per_number;
}

/* A Llama-like shape of a width with about n_params. */
static struct plan_model shape_of_width(int64_t d, double n_params) {
    bool is_small = n_params < 1e9;
    struct plan_model m = {.is_gated = true, .n_layers = 1, .n_context = 8192, .is_tied = is_small};
    struct plan_params p;
    m.n_vocab = is_small ? 32000 : 64000;
    m.d_model = d;
    m.head_size = d % 1024 ? 64 : 128;
    m.n_heads = d / m.head_size;
    m.n_kv_heads = m.n_heads % 8 ? m.n_heads : 8;
    m.d_ff = 64 * (int64_t)round((double)d * (m.n_kv_heads == m.n_heads ? 8.0 / 3 : 3.5) / 64);
    plan_model_params(&m, &p);
    double layers =
        round((n_params - p.embedding * (is_small ? 1 : 2)) / (p.attention_per_layer + p.dense_ffn_per_layer));
    m.n_layers = (int64_t)fmin(LIMIT_LAYERS, fmax(1, layers));
    return m;
}

/* Published decoders have about 100 to 130 times as much width as layers, and heads that divide by 8 where they are
 * large. */
void plan_model_from_params(double n_params, struct plan_model *ret) {
    double nearest = INFINITY;
    for (int64_t d = 64; d <= LIMIT_WIDTH / 2; d += d < 1024 ? 64 : 1024) {
        struct plan_model m = shape_of_width(d, n_params);
        struct plan_params p;
        plan_model_params(&m, &p);
        double off = fabs(log(p.total / fmax(1, n_params))) + 0.1 * fabs(log((double)d / (115 * (double)m.n_layers)));
        if (off < nearest) nearest = off, *ret = m;
    }
}
