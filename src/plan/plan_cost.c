/* plan_cost.c: time of products, attention and the work between them (see plan_cost.h).
 *
 * A product of (m x k) and (k x n) takes 2 m n k / rate, and a part of the time that its operands take to move: so
 * small or thin products are slow without a table of shapes. Work between products is bound by memory. Sources:
 * docs/PLANNER.md. */
#include "plan/plan_cost.h"

#include <math.h>

#include "plan/plan_constants.h"
#include "plan/plan_stack.h"

/* Years in which attention kernels came into general use: fused ones (FlashAttention), and those made for each chip. */
#define YEAR_FUSED_ATTENTION 2022.6
#define YEAR_SECOND_ATTENTION 2024.0

/* Reads and writes where every operation is a kernel, over those of fused kernels: a norm has four, a rotation five, a
 * gated activation two, each sum one; counted in PyTorch's own modules. */
#define EAGER_TRAFFIC 3.5
/* The year that the constants of experts are for. */
#define YEAR_EXPERTS 2025.0
/* DeepSeek's kernels for experts (DeepEP, DeepGEMM) were in use two years before others took them over. */
#define YEARS_AHEAD 2.0
/* From this year on, attention with sinks (GPT-OSS) has a fused kernel for training. */
#define YEAR_FUSED_SINKS 2026.4

/* From this year on Megatron routes experts without the host on chips from this year on (Blackwell): the tables of NeMo
 * 26.06 show it against those of 26.04, on all models and on no Hopper. */
#define YEAR_ROUTING_ON_CHIP 2026.42
#define FIRST_CHIP_WITH_IT 2024.5

#define BYTES_16 2.0
/* Launching a kernel takes the host about 5 microseconds (CUDA documentation), and a layer has some 15 of them. */
#define LAUNCH_S (15 * 5e-6)

double plan_cost_tokens(const struct plan_train *t) {
    return (double)t->layout.micro_batch * t->seq_len / (double)t->layout.cp;
}

double plan_cost_expert_progress(const struct plan_train *t) {
    double ahead = plan_stack_row(t->stack)->hides_experts ? YEARS_AHEAD : 0;
    return exp(-(t->year + ahead - YEAR_EXPERTS) / plan_constants_value(PLAN_C_EXPERT_AGE));
}

bool plan_cost_unfused_attention(const struct plan_train *t) { return t->year < YEAR_FUSED_ATTENTION; }

static double kernels_year(const struct plan_chip *c) { return c->kernels_year > 0 ? c->kernels_year : c->launch_year; }

double plan_cost_maturity(const struct plan_train *t) {
    double age = fmax(0, t->year - kernels_year(t->chip));
    return 1 - plan_constants_value(PLAN_C_KERNEL_YOUTH) * exp(-age / plan_constants_value(PLAN_C_KERNEL_AGE));
}

/* The best rate of large products that is known; where nobody measured it, that part of the peak which others reach. */
static double best_rate(const struct plan_chip *c, enum plan_precision p) {
    if (c->matmul_flop_per_s[p] > 0) return c->matmul_flop_per_s[p];
    double reached = c->matmul_flop_per_s[PLAN_BF16] > 0 && c->peak_flop_per_s[PLAN_BF16] > 0
                         ? c->matmul_flop_per_s[PLAN_BF16] / c->peak_flop_per_s[PLAN_BF16]
                         : 0.75;
    if (c->peak_flop_per_s[p] > 0) return c->peak_flop_per_s[p] * reached;
    if (p == PLAN_FP4) return best_rate(c, PLAN_FP8);
    if (p == PLAN_TF32) return best_rate(c, PLAN_FP32);
    return c->peak_flop_per_s[p == PLAN_FP32 ? PLAN_BF16 : PLAN_FP32] > 0 && p != PLAN_BF16 ? best_rate(c, PLAN_BF16)
                                                                                            : 1e12;
}

double plan_cost_rate(const struct plan_train *t, enum plan_precision precision) {
    return best_rate(t->chip, precision) * plan_constants_value(PLAN_C_MATMUL_SUSTAINED) * plan_cost_maturity(t);
}

static bool is_low(enum plan_precision p) { return p == PLAN_FP8 || p == PLAN_FP4 || p == PLAN_INT8; }

/* What a layer's costs are summed in. */
struct tally {
    const struct plan_train *t;
    double tokens, rate, memory, gradient_bytes;
    double product_forward, product_backward; /* seconds */
    double forward_bytes, backward_bytes;     /* between products */
    double quantise_bytes;
};

/* count products of m x k by k x n. */
static void add_product(struct tally *y, enum plan_precision precision, double count, double m, double n, double k) {
    double in_bytes = is_low(precision) ? 1 : precision == PLAN_FP32 ? 4 : BYTES_16;
    double seconds = 2 * m * n * k * count / plan_cost_rate(y->t, precision);
    double traffic = plan_constants_value(PLAN_C_OPERAND_TRAFFIC) / y->memory;
    double bytes = (m * k + k * n) * in_bytes + m * n * BYTES_16;
    y->product_forward += seconds + count * bytes * traffic;
    if (y->t->is_lora) y->product_backward += seconds + count * bytes * traffic;
    else y->product_backward += 2 * seconds + count * (2 * bytes + 2 * k * n * y->gradient_bytes) * traffic;
    /* Read in 16 bits, written in both layouts: the activations forward, the gradients backward. Where the casts are
     * kernels of their own, they read for the maximum first. */
    if (is_low(precision))
        y->quantise_bytes += count * (m * k + m * n) * (plan_stack_row(y->t->stack)->casts_apart ? 6 : 4);
}

/* Bytes for each token between products, forward; backward is twice that. */
static void add_bytes(struct tally *y, double bytes_per_token) {
    y->forward_bytes += bytes_per_token * y->tokens;
    y->backward_bytes += 2 * bytes_per_token * y->tokens;
}

static void add_attention_products(struct tally *y, enum plan_precision p) {
    const struct plan_model *m = &y->t->model;
    double tp = (double)y->t->layout.tp, d = (double)m->d_model, h = (double)m->n_heads, n = y->tokens;
    double size = (double)m->head_size, kv = (double)m->n_kv_heads;
    if (m->kv_rank) {
        double key = size + (double)m->rope_size, value = (double)m->value_size, rank = (double)m->q_rank;
        if (m->q_rank) add_product(y, p, 1, n, rank, d);
        add_product(y, p, 1, n, h * key / tp, m->q_rank ? rank : d);
        add_product(y, p, 1, n, (double)(m->kv_rank + m->rope_size), d);
        add_product(y, p, 1, n, h * (size + value) / tp, (double)m->kv_rank);
        add_product(y, p, 1, n, d, h * value / tp);
        add_bytes(y, 4 * (rank + (double)m->kv_rank) + 8 * h * key / tp);
    } else {
        add_product(y, p, 1, n, (h + 2 * kv) * size / tp, d);
        add_product(y, p, 1, n, d, h * size / tp);
        add_bytes(y, 4 * (h + kv) * size / tp);
    }
    /* Two norms (read, write) and two residual sums (read two, write one), shared out over tp. */
    add_bytes(y, 20 * d / tp);
}

static void add_ffn_products(struct tally *y, enum plan_precision p, double width) {
    const struct plan_model *m = &y->t->model;
    double tp = (double)y->t->layout.tp, d = (double)m->d_model, n = y->tokens;
    if (width <= 0) return;
    add_product(y, p, 1, n, (m->is_gated ? 2 : 1) * width / tp, d);
    add_product(y, p, 1, n, d, width / tp);
    add_bytes(y, (m->is_gated ? 6 : 4) * width / tp);
}

static void add_experts(struct tally *y, enum plan_precision p) {
    const struct plan_model *m = &y->t->model;
    double tp = (double)y->t->layout.tp, d = (double)m->d_model, width = (double)m->d_expert;
    double k = (double)m->n_active_experts, local = fmax(1, (double)m->n_experts / (double)y->t->layout.ep);
    double rows = y->tokens / tp * k / local; /* of each local expert, on average */
    add_ffn_products(y, p, (double)m->d_shared);
    add_product(y, PLAN_BF16, 1, y->tokens / tp, (double)m->n_experts, d);
    add_product(y, p, local, rows, (m->is_gated ? 2 : 1) * width, d);
    add_product(y, p, local, rows, d, width);
    /* Sorted by expert and back: each copy of a token is read and written twice. */
    double sorting = plan_constants_value(PLAN_C_EXPERT_TRAFFIC) * plan_cost_expert_progress(y->t);
    add_bytes(y, k * ((m->is_gated ? 6 : 4) * width + 8 * d * fmax(1, sorting)) / tp);
}

/* ---- attention ---- */

static double attention_rate(const struct plan_train *t) {
    const struct plan_chip *c = t->chip;
    double since = fmax(YEAR_SECOND_ATTENTION, kernels_year(c));
    if (plan_stack_row(t->stack)->low_attention) since += 1;
    double come = fmin(1, fmax(0, t->year - since));
    double first = c->attention_first_flop_per_s, last = c->attention_flop_per_s;
    if (last <= 0) last = 0.5 * best_rate(c, PLAN_BF16);
    if (first <= 0) first = 0.6 * last;
    double rate = first + come * (last - first);
    double size = (double)t->model.head_size;
    /* The tables are for heads of 128; the exponentials of a score cost the same for smaller ones. */
    return rate * plan_constants_value(PLAN_C_ATTENTION_SUSTAINED) * (size / (size + 32)) * (160.0 / 128.0);
}

static struct plan_seconds attention_seconds(const struct plan_train *t, struct tally *y) {
    const struct plan_model *m = &t->model;
    double key = (double)(m->kv_rank ? m->head_size + m->rope_size : m->head_size);
    double value = (double)(m->kv_rank ? m->value_size : m->head_size);
    double heads = (double)m->n_heads / (double)t->layout.tp, windowed = 0, keys = t->seq_len;
    if (m->window) {
        windowed = (double)m->n_window_layers / (double)m->n_layers;
        keys = (1 - windowed) * t->seq_len + windowed * fmin(t->seq_len, 2 * (double)m->window);
    }
    bool has_fused = !plan_cost_unfused_attention(t) && !(m->has_sinks && t->year < YEAR_FUSED_SINKS);
    if (!has_fused) keys = t->seq_len;
    double flop = y->tokens * heads * keys * (key + value); /* causal half of 2 s (key + value) */
    if (has_fused) {
        double seconds = flop / attention_rate(t);
        return (struct plan_seconds){seconds, 2.5 * seconds};
    }
    /* The whole square, and the scores written and read: product, softmax, dropout and its mask. */
    double seconds = 2 * flop / plan_cost_rate(t, PLAN_BF16);
    double per_score = plan_cost_unfused_attention(t) ? 11 : 8; /* dropout went out of use with its mask */
    double bytes = y->tokens * heads * keys * per_score / y->memory;
    return (struct plan_seconds){seconds + bytes, 2 * (seconds + bytes)};
}

/* ---- layers ---- */

static double recompute_seconds(const struct plan_train *t, const struct plan_cost *c) {
    const struct plan_stack_row *stack = plan_stack_row(t->stack);
    double part = t->layout.recompute_part > 0 ? t->layout.recompute_part : 1;
    if (t->layout.recompute == PLAN_RECOMPUTE_FULL)
        return part * (c->product.forward + c->attention.forward + c->elementwise.forward);
    if (t->layout.recompute != PLAN_RECOMPUTE_SELECTIVE) return 0;
    if (plan_cost_unfused_attention(t)) return c->attention.forward;
    /* PyTorch's policy keeps every other product; Megatron's keeps all and repeats what is cheap. */
    if (stack->is_sharded && t->stack != PLAN_STACK_JAX) return 0.5 * c->product.forward + c->elementwise.forward;
    return 0.5 * c->elementwise.forward;
}

/* Whether routing needs nothing of the host: dropless experts inside CUDA graphs, with fused grouped products. */
static bool routes_on_chip(const struct plan_train *t) {
    return t->year >= YEAR_ROUTING_ON_CHIP && kernels_year(t->chip) >= FIRST_CHIP_WITH_IT;
}

static void host_seconds(const struct plan_train *t, enum plan_layer_kind kind, struct plan_cost *c) {
    double launch = LAUNCH_S * (plan_stack_row(t->stack)->is_fused ? 1 : 2);
    double forward = c->product.forward + c->attention.forward + c->elementwise.forward;
    double backward = c->product.backward + c->attention.backward + c->elementwise.backward;
    double host_forward = fmax(0, launch - forward), host_backward = fmax(0, 2 * launch - backward);
    if (kind == PLAN_LAYER_EXPERTS && !routes_on_chip(t)) {
        double routing = plan_constants_value(PLAN_C_EXPERT_LAYER) * plan_cost_expert_progress(t);
        host_forward += routing / 3;
        host_backward += routing * 2 / 3;
    }
    c->host = host_forward + host_backward;
    c->host_forward_part = c->host > 0 ? host_forward / c->host : 0;
}

void plan_cost_layer(const struct plan_train *t, enum plan_layer_kind kind, struct plan_cost *ret) {
    struct plan_cost c = {0};
    const struct plan_stack_row *stack = plan_stack_row(t->stack);
    struct tally y = {
        .t = t,
        .tokens = plan_cost_tokens(t),
        .memory = t->chip->memory_bytes_per_s,
        .gradient_bytes = t->precision == PLAN_FP32 ? 4 : stack->gradient_bytes,
    };
    if (kind == PLAN_LAYER_HEAD) {
        double columns = (double)t->model.n_vocab / (double)t->layout.tp;
        add_product(&y, t->precision == PLAN_FP32 ? PLAN_FP32 : PLAN_BF16, 1, y.tokens, columns,
                    (double)t->model.d_model);
        add_bytes(&y, 7 * columns);
    } else {
        add_attention_products(&y, t->precision);
        c.attention = attention_seconds(t, &y);
        if (kind == PLAN_LAYER_EXPERTS) add_experts(&y, t->precision);
        else add_ffn_products(&y, t->precision, (double)t->model.d_ff);
    }
    double factor = plan_constants_value(PLAN_C_ELEMENTWISE) * (stack->is_fused ? 1 : EAGER_TRAFFIC);
    double quantise = y.quantise_bytes * plan_constants_value(PLAN_C_LOW_PRECISION_TRAFFIC) / y.memory / 2;
    c.product = (struct plan_seconds){y.product_forward, y.product_backward};
    c.elementwise = (struct plan_seconds){y.forward_bytes * factor / y.memory + quantise,
                                          y.backward_bytes * factor / y.memory + quantise};
    if (kind != PLAN_LAYER_HEAD) {
        c.recompute = recompute_seconds(t, &c);
        host_seconds(t, kind, &c);
    }
    *ret = c;
}

struct plan_seconds plan_cost_total(const struct plan_cost *c) {
    double host = c->host * c->host_forward_part;
    return (struct plan_seconds){
        c->product.forward + c->attention.forward + c->elementwise.forward + host,
        c->product.backward + c->attention.backward + c->elementwise.backward + c->recompute + c->host - host,
    };
}
