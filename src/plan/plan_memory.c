/* plan_memory.c: what a rank holds, by pipeline stage (see plan_memory.h).
 *
 * Weights, gradients and optimizer by ZeRO level; activations by the list of tensors that backward needs; logits in 32
 * bits; buffers for traffic and what the allocator loses. Sources: docs/PLANNER.md, "Memory". */
#include "plan/plan_memory.h"

#include <math.h>

#include "plan/plan_cost.h"
#include "plan/plan_stack.h"
#include "plan/plan_traffic.h"

/* What the allocator of the framework reports is predicted, because that is what runs print: workspaces of the products
 * and buffers of the collectives, and a little lost between allocations. The driver's own memory comes on top. */
#define RESERVED_BYTES 1.0e9
#define LOST_PART 0.03
/* PyTorch's own tools print what is reserved, pieces between allocations included: 10 percent more in its profiles. */
#define RESERVED_PART 0.10

int64_t plan_memory_parts(const struct plan_train *t) {
    return t->layout.virtual_stages > 1 && t->layout.pp > 1 ? t->layout.virtual_stages : 1;
}

int64_t plan_memory_micro_batches(const struct plan_train *t) {
    double m = t->batch_tokens / (t->seq_len * (double)t->layout.dp * (double)t->layout.micro_batch);
    return m < 1 ? 1 : (int64_t)llround(m);
}

/* Layers in front of chunk c of n. Where they do not divide, the first and the last chunk have fewer: the embedding and
 * the head stand there, and the head of a prediction layer with it. */
static double layers_before(const struct plan_model *m, double c, double n) {
    double layers = (double)m->n_layers, predicted = (double)m->n_mtp_layers;
    if (c <= 0 || c >= n) return c <= 0 ? 0 : layers;
    if (fmod(layers, n) == 0 && predicted == 0) return layers / n * c;
    double before = floor((layers + 2 + 2 * predicted) * c / n) - 1;
    return fmin(layers, fmax(0, before));
}

void plan_memory_chunk(const struct plan_train *t, int64_t chunk, struct plan_chunk *ret) {
    const struct plan_model *m = &t->model;
    double n = (double)(t->layout.pp * plan_memory_parts(t)), layers = (double)m->n_layers;
    double from = layers_before(m, (double)chunk, n), to = layers_before(m, (double)chunk + 1, n);
    double dense = to - from;
    if (m->n_experts) {
        double first = (double)m->n_dense_layers;
        /* A few dense layers are the first ones; where they are many, they alternate with the others. */
        dense = first * 4 > layers ? (to - from) * first / layers : fmax(0, fmin(to, first) - fmin(from, first));
    }
    *ret = (struct plan_chunk){
        .n_dense = dense,
        .n_experts = to - from - dense,
        .has_embedding = chunk == 0,
        .has_head = chunk == (int64_t)n - 1,
    };
    if (ret->has_head && m->n_mtp_layers) *(m->n_experts ? &ret->n_experts : &ret->n_dense) += (double)m->n_mtp_layers;
}

void plan_memory_params(const struct plan_train *t, int64_t stage, double *ret_common, double *ret_experts) {
    double dense, common, experts, unused, head;
    plan_traffic_layer_params(t, PLAN_LAYER_DENSE, &dense, &unused);
    plan_traffic_layer_params(t, PLAN_LAYER_EXPERTS, &common, &experts);
    plan_traffic_layer_params(t, PLAN_LAYER_HEAD, &head, &unused);
    *ret_common = *ret_experts = 0;
    for (int64_t part = 0; part < plan_memory_parts(t); part++) {
        struct plan_chunk c;
        plan_memory_chunk(t, part * t->layout.pp + stage, &c);
        *ret_common += c.n_dense * dense + c.n_experts * common;
        *ret_experts += c.n_experts * experts;
        bool is_shared = t->model.is_tied && t->layout.pp == 1;
        *ret_common += head * ((c.has_embedding ? 1 : 0) + (c.has_head && !is_shared ? 1 : 0));
    }
}

/* ---- activations ---- */

/* Bytes that backward needs of one micro-batch in one layer, on one rank. */
static double layer_bytes(const struct plan_train *t, bool has_experts) {
    const struct plan_model *m = &t->model;
    double tp = (double)t->layout.tp, d = (double)m->d_model, tokens = plan_cost_tokens(t);
    double input = 2 * d / tp * (t->stack == PLAN_STACK_EAGER && tp > 1 ? tp : 1);
    if (t->layout.recompute == PLAN_RECOMPUTE_FULL) return tokens * input;
    double low = t->precision == PLAN_FP8 || t->precision == PLAN_FP4 ? 1 : 2;
    double heads = (double)m->n_heads * (double)m->head_size, kv = (double)m->n_kv_heads * (double)m->head_size;
    double width =
        has_experts ? (double)m->d_shared + (double)m->n_active_experts * (double)m->d_expert : (double)m->d_ff;
    double copies =
        has_experts ? 2 * (double)m->n_active_experts * d * 2 : 0; /* dispatched, and before they are summed */
    bool is_sharded = plan_stack_row(t->stack)->is_sharded,
         is_selective = t->layout.recompute == PLAN_RECOMPUTE_SELECTIVE;
    /* Two residuals, two norms' outputs, q, k, v, the attention's output and, in 8 bits, its copy; gate, up and their
     * product. Megatron's selective recomputation makes the norms' outputs and that product again. */
    double repeated = is_selective && !is_sharded ? 0 : 1;
    double attention = 2 * 2 * d + repeated * 2 * low * d + 2 * (heads + 2 * kv) + (low < 2 ? 3 : 2) * heads;
    double ffn = m->is_gated ? (2 * 2 + repeated * low) * width : (2 + repeated * low) * width;
    if (!plan_stack_row(t->stack)->is_fused) attention += 4 * d, ffn += 2 * width;
    if (plan_cost_unfused_attention(t) && t->layout.recompute == PLAN_RECOMPUTE_NONE)
        attention += 5 * (double)m->n_heads * t->seq_len;
    double bytes = (attention + ffn + copies) / tp;
    if (is_selective && is_sharded) bytes = 0.5 * bytes;
    return tokens * bytes;
}

/* How many micro-batches' worth of a whole stage's layers are held at once. */
static double held(const struct plan_train *t, int64_t stage) {
    double p = (double)t->layout.pp, v = (double)plan_memory_parts(t), m = (double)plan_memory_micro_batches(t);
    if (p <= 1) return 1;
    double passes = v > 1 ? 2 * (p - 1 - (double)stage) + (v - 1) * p + 1 : p - (double)stage;
    return fmin(passes / v, m);
}

static double activation_bytes(const struct plan_train *t, int64_t stage) {
    double dense = 0, experts = 0, again = t->layout.recompute_part;
    if (t->layout.recompute == PLAN_RECOMPUTE_FULL && again > 0 && again < 1) {
        struct plan_train u = *t;
        u.layout.recompute_part = 0;
        double all = activation_bytes(&u, stage);
        u.layout.recompute = PLAN_RECOMPUTE_NONE;
        return again * all + (1 - again) * activation_bytes(&u, stage);
    }
    for (int64_t part = 0; part < plan_memory_parts(t); part++) {
        struct plan_chunk c;
        plan_memory_chunk(t, part * t->layout.pp + stage, &c);
        dense += c.n_dense;
        experts += c.n_experts;
    }
    double stage_bytes = dense * layer_bytes(t, false) + experts * layer_bytes(t, true);
    double bytes = stage_bytes * held(t, stage);
    if (t->layout.recompute == PLAN_RECOMPUTE_FULL) {
        struct plan_train whole = *t; /* one layer at a time is there in full */
        whole.layout.recompute = PLAN_RECOMPUTE_NONE;
        bytes += layer_bytes(&whole, experts > 0);
    }
    return bytes;
}

/* Logits in 32 bits, their gradient, and a copy in 16 bits, where the loss is computed at once. */
static double logits_bytes(const struct plan_train *t, int64_t stage) {
    if (stage != t->layout.pp - 1) return 0;
    double per_logit = plan_stack_row(t->stack)->is_sharded ? 12 : 8;
    return plan_cost_tokens(t) * (double)t->model.n_vocab / (double)t->layout.tp * per_logit;
}

/* ---- the rank ---- */

static bool has_low_weights(const struct plan_train *t) {
    return t->stack == PLAN_STACK_MEGATRON && t->year >= 2024 && (t->precision == PLAN_FP8 || t->precision == PLAN_FP4);
}

void plan_train_memory(const struct plan_train *t, int64_t stage, struct plan_memory *ret) {
    const struct plan_stack_row *stack = plan_stack_row(t->stack);
    struct plan_memory r = {.stage = stage};
    double common, experts, n = (double)(t->layout.dp * t->layout.cp);
    plan_memory_params(t, stage, &common, &experts);
    double n_experts = fmax(1, n * (double)t->layout.tp / (double)t->layout.ep), params = common + experts;
    double shared = common / n + experts / n_experts;
    double weight = has_low_weights(t) ? 1 : t->precision == PLAN_FP32 ? 4 : stack->weight_bytes;
    double gradient = has_low_weights(t) ? 2 : stack->gradient_bytes;
    if (t->is_lora) {
        r.weights_bytes = params * weight / (t->layout.zero == 3 ? n : 1);
    } else {
        /* ZeRO-3 keeps the weights in the optimizer's form and gathers about two layers at a time. */
        double gathered = 2 * params / (double)t->model.n_layers;
        r.weights_bytes = weight * (t->layout.zero == 3 ? gathered : params);
        r.gradients_bytes = gradient * (t->layout.zero >= 2 ? shared : params);
        r.optimizer_bytes = stack->state_bytes * (t->layout.zero >= 1 ? shared : params);
    }
    r.activations_bytes = activation_bytes(t, stage);
    r.logits_bytes = logits_bytes(t, stage);
    double held_bytes = r.weights_bytes + r.gradients_bytes + r.optimizer_bytes + r.activations_bytes + r.logits_bytes;
    r.buffers_bytes = RESERVED_BYTES + (stack->is_sharded && t->stack != PLAN_STACK_JAX ? RESERVED_PART : LOST_PART) *
                                           (r.activations_bytes + r.logits_bytes);
    r.total_bytes = held_bytes + r.buffers_bytes;
    *ret = r;
}

void plan_memory_fullest(const struct plan_train *t, struct plan_memory *ret) {
    struct plan_memory best = {0}, m;
    for (int64_t stage = 0; stage < t->layout.pp; stage++) {
        /* The first two, the middle and the last: between them it only falls. */
        if (stage > 1 && stage < t->layout.pp - 2) continue;
        plan_train_memory(t, stage, &m);
        if (m.total_bytes > best.total_bytes) best = m;
    }
    *ret = best;
}

/* ---- choosing ---- */

static bool fits(const struct plan_train *t, double limit_bytes) {
    struct plan_memory m;
    plan_memory_fullest(t, &m);
    return m.total_bytes <= limit_bytes;
}

bool plan_memory_choose_recompute(struct plan_train *t, double limit_bytes) {
    t->layout.recompute_part = 0;
    for (int r = PLAN_RECOMPUTE_NONE; r <= PLAN_RECOMPUTE_SELECTIVE; r++) {
        t->layout.recompute = (enum plan_recompute)r;
        if (fits(t, limit_bytes)) return true;
    }
    t->layout.recompute = PLAN_RECOMPUTE_FULL;
    if (!fits(t, limit_bytes)) return false;
    for (int tenth = 1; tenth < 10; tenth++) {
        t->layout.recompute_part = 0.1 * tenth;
        if (fits(t, limit_bytes)) return true;
    }
    t->layout.recompute_part = 0;
    return true;
}
