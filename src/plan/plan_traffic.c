/* plan_traffic.c: collectives over links and networks (see plan_traffic.h). Bandwidth terms are those of rings, which
 * the fabric's achieved part corrects; latency counts a hop for each node of the group. Sources: docs/PLANNER.md. */
#include "plan/plan_traffic.h"

#include <math.h>

#include "plan/plan_constants.h"
#include "plan/plan_stack.h"

/* From this year on, NVIDIA's and DeepSeek's expert dispatch sends a token to a node once (DeepEP). */
#define YEAR_DEDUPLICATED_EXPERTS 2025.4
/* From this year on, Megatron hides tensor-parallel traffic behind products. */
#define YEAR_HIDDEN_TENSOR 2023.3
/* How much more of a batch than the mean the busiest expert ranks get where nothing forces balance. */
#define FREE_ROUTING 1.14

/* Part of the line rate that collectives between nodes reach with messages of some ten megabytes, where those of a step
 * have hundreds: the slope of NCCL's own measurements, and what nanotron loses from 8 to 16 tensor-parallel ranks. */
#define SMALL_MESSAGES 0.6

double plan_traffic_domain(const struct plan_train *t) { return (double)t->chip->link_chips; }

static double network_bytes_per_s(const struct plan_train *t) {
    return t->network ? t->network->bytes_per_s_per_chip : t->chip->link_bytes_per_s;
}

static double latency_s(const struct plan_train *t) { return t->network ? t->network->latency_s : 4e-6; }

/* Bytes a second of one rank in a ring of n ranks that lie `stride` apart. */
static double ring_bytes_per_s(const struct plan_train *t, double n, double stride) {
    double achieved = plan_constants_value(PLAN_C_FABRIC_ACHIEVED), domain = plan_traffic_domain(t);
    double link = t->chip->link_bytes_per_s;
    if (n * stride <= domain) return link * achieved;
    double together = fmax(1, fmin(n, floor(domain / stride))); /* ranks of the ring in one domain share its ports */
    return fmin(link, network_bytes_per_s(t) * together) * achieved;
}

/* Seconds to gather (or scatter and add) `bytes`, of which each of n ranks holds its part. */
static double gather_seconds(const struct plan_train *t, double bytes, double n, double stride) {
    if (n <= 1) return 0;
    double domains = fmax(1, n * stride / plan_traffic_domain(t));
    return (n - 1) / n * bytes / ring_bytes_per_s(t, n, stride) + latency_s(t) * (domains + log2(n));
}

/* What remains of `seconds` of traffic beside `computing` seconds that may hide it. */
static double exposed(double seconds, double computing) {
    double part = plan_constants_value(PLAN_C_DATA_EXPOSED);
    return part * seconds + fmax(0, (1 - part) * seconds - computing);
}

void plan_traffic_layer_params(const struct plan_train *t, enum plan_layer_kind kind, double *ret_common,
                               double *ret_experts) {
    struct plan_params p;
    plan_model_params(&t->model, &p);
    double tp = (double)t->layout.tp;
    *ret_experts = 0;
    if (kind == PLAN_LAYER_HEAD) {
        *ret_common = p.embedding / tp;
    } else if (kind == PLAN_LAYER_EXPERTS) {
        *ret_common = (p.attention_per_layer + p.shared_per_layer) / tp;
        *ret_experts = p.expert * (double)t->model.n_experts / (double)t->layout.ep;
    } else {
        *ret_common = (p.attention_per_layer + p.dense_ffn_per_layer) / tp;
    }
}

/* ---- a layer ---- */

static struct plan_seconds tensor_seconds(const struct plan_train *t) {
    double tp = (double)t->layout.tp;
    if (tp <= 1) return (struct plan_seconds){0, 0};
    double bytes = plan_cost_tokens(t) * (double)t->model.d_model * (t->precision == PLAN_FP32 ? 4 : 2);
    double seconds = 4 * gather_seconds(t, bytes, tp, 1); /* two gathers and two scatters forward */
    bool hides = plan_stack_row(t->stack)->is_fused && t->year >= YEAR_HIDDEN_TENSOR &&
                 (t->stack == PLAN_STACK_MEGATRON || t->stack == PLAN_STACK_JAX || t->stack == PLAN_STACK_DEEPSEEK ||
                  t->overlaps_tp);
    if (hides && tp <= plan_traffic_domain(t)) seconds *= plan_constants_value(PLAN_C_TENSOR_EXPOSED);
    if (tp > plan_traffic_domain(t)) seconds /= SMALL_MESSAGES;
    double again = t->layout.recompute_part > 0 ? t->layout.recompute_part : 1;
    if (t->layout.recompute != PLAN_RECOMPUTE_FULL) again = 0;
    return (struct plan_seconds){seconds, seconds * (1 + again)};
}

/* Keys and values go round the ring beside the attention of the part at hand; backward their gradients too. */
static struct plan_seconds context_seconds(const struct plan_train *t, const struct plan_cost *cost) {
    const struct plan_model *m = &t->model;
    double cp = (double)t->layout.cp;
    if (cp <= 1) return (struct plan_seconds){0, 0};
    double per_token = m->kv_rank ? (double)(m->kv_rank + m->rope_size)
                                  : 2 * (double)m->n_kv_heads * (double)m->head_size / (double)t->layout.tp;
    double bytes = 2 * plan_cost_tokens(t) * cp * per_token;
    double seconds = gather_seconds(t, bytes, cp, (double)t->layout.tp);
    return (struct plan_seconds){exposed(seconds, cost->attention.forward),
                                 exposed(2 * seconds, cost->attention.backward)};
}

/* Copies of a token that leave its domain, and all that leave its rank. */
static void expert_copies(const struct plan_train *t, double *ret_far, double *ret_all) {
    double ep = (double)t->layout.ep, k = (double)t->model.n_active_experts;
    double local = fmin(ep, fmax(1, floor(plan_traffic_domain(t))));
    double domains = ep / local;
    *ret_all = k * (ep - 1) / ep;
    *ret_far = domains > 1 ? k * (domains - 1) / domains : 0;
    bool once = t->year >= YEAR_DEDUPLICATED_EXPERTS || t->stack == PLAN_STACK_DEEPSEEK;
    if (t->model.n_routed_groups) domains = fmin(domains, (double)t->model.n_routed_groups);
    if (once && domains > 1) *ret_far = fmin(*ret_far, (domains - 1) * (1 - pow(1 - 1 / domains, k)));
}

static struct plan_seconds expert_seconds(const struct plan_train *t, const struct plan_cost *cost) {
    double ep = (double)t->layout.ep, achieved = plan_constants_value(PLAN_C_FABRIC_ACHIEVED), far, all;
    if (ep <= 1) return (struct plan_seconds){0, 0};
    expert_copies(t, &far, &all);
    double tokens = plan_cost_tokens(t) / (double)t->layout.tp, d = (double)t->model.d_model;
    double bytes = tokens * d * (t->stack == PLAN_STACK_DEEPSEEK ? 3 : 4); /* dispatch and combine */
    double seconds = bytes * far / (network_bytes_per_s(t) * achieved);
    seconds = fmax(seconds, bytes * all / (t->chip->link_bytes_per_s * achieved)) + 2 * latency_s(t);
    if (!t->is_balanced) seconds *= FREE_ROUTING;
    /* Software learns to run it beside computing (DualPipe, batches in halves); DeepSeek's does from the start. */
    double bare = plan_stack_row(t->stack)->hides_experts ? 0 : fmin(1, plan_cost_expert_progress(t));
    struct plan_seconds computing = plan_cost_total(cost);
    return (struct plan_seconds){bare * seconds + exposed((1 - bare) * seconds, computing.forward),
                                 bare * seconds + exposed((1 - bare) * seconds, computing.backward)};
}

/* ZeRO-3: weights are gathered for the forward and again for the backward pass, gradients scattered. */
static struct plan_seconds sharded_seconds(const struct plan_train *t, enum plan_layer_kind kind,
                                           const struct plan_cost *cost) {
    if (t->layout.zero < 3 || t->layout.dp * t->layout.cp <= 1) return (struct plan_seconds){0, 0};
    double common, experts, n = (double)(t->layout.dp * t->layout.cp);
    plan_traffic_layer_params(t, kind, &common, &experts);
    double weights = gather_seconds(t, 2 * (common + experts), n, (double)t->layout.tp);
    double gradients = t->is_lora ? 0 : gather_seconds(t, 2 * (common + experts), n, (double)t->layout.tp);
    struct plan_seconds computing = plan_cost_total(cost);
    return (struct plan_seconds){exposed(weights, computing.forward), exposed(weights + gradients, computing.backward)};
}

void plan_traffic_layer(const struct plan_train *t, enum plan_layer_kind kind, const struct plan_cost *cost,
                        struct plan_traffic *ret) {
    struct plan_traffic r = {0};
    if (kind != PLAN_LAYER_HEAD) {
        r.tensor = tensor_seconds(t);
        r.context = context_seconds(t, cost);
    }
    if (kind == PLAN_LAYER_EXPERTS) r.expert = expert_seconds(t, cost);
    r.data = sharded_seconds(t, kind, cost);
    *ret = r;
}

/* ---- a step ---- */

double plan_traffic_hop(const struct plan_train *t) {
    if (t->layout.pp <= 1) return 0;
    double bytes = 2 * plan_cost_tokens(t) * (double)t->model.d_model / (double)t->layout.tp;
    double achieved = plan_constants_value(PLAN_C_FABRIC_ACHIEVED);
    double rate = (double)t->n_chips <= plan_traffic_domain(t) ? t->chip->link_bytes_per_s : network_bytes_per_s(t);
    return bytes / (rate * achieved) + latency_s(t);
}

/* Rings that cross the thin top of the network more often than it has room for are slowed by that much. */
static double crowding(const struct plan_train *t) {
    const struct plan_network *w = t->network;
    if (!w || w->oversubscription <= 1 || w->pod_chips < 1 || t->n_chips <= w->pod_chips) return 1;
    double rings = (double)(t->layout.tp * t->layout.pp * t->layout.cp);
    return fmax(1, rings * w->oversubscription / (double)w->pod_chips);
}

double plan_traffic_step(const struct plan_train *t, double params, double expert_params, struct plan_seconds window) {
    if (t->layout.zero >= 3 || t->is_lora) return 0; /* adapters are a thousandth of the weights */
    const struct plan_stack_row *stack = plan_stack_row(t->stack);
    double n = (double)(t->layout.dp * t->layout.cp), stride = (double)t->layout.tp;
    double n_expert = fmax(1, n * stride / (double)t->layout.ep);
    double gradient_bytes = t->precision == PLAN_FP32 ? 4 : stack->gradient_bytes;
    double weight_bytes = t->precision == PLAN_FP32 ? 4 : 2;
    double crowd = crowding(t);
    double gradients = gather_seconds(t, gradient_bytes * params, n, stride) +
                       gather_seconds(t, gradient_bytes * expert_params, n_expert, (double)t->layout.ep);
    double weights = gather_seconds(t, weight_bytes * params, n, stride) +
                     gather_seconds(t, weight_bytes * expert_params, n_expert, (double)t->layout.ep);
    return exposed(gradients * crowd, window.backward) + exposed(weights * crowd, window.forward);
}
