/* serving.c: one decode step, one prefill, memory and power of an engine (serving.h). */
#include "plan/serving.h"

#include <math.h>
#include <string.h>

#include "plan/plan_constants.h"

/* What of an engine the formulas need, in the units of one chip. */
struct load {
    struct plan_params params;
    double layers, expert_layers;
    double chips;        /* tp x pp x dp */
    double experts_over; /* chips that share the experts */
    double context;      /* mean tokens a sequence has while it is answered */
    double product_rate; /* flop/s */
    double attention_rate;
    double read_rate; /* bytes/s */
};

/* Four of five published rows lie within this factor of their prediction, up or down. */
static const double spread_of_rows = 0.28;

/* A small collective, for each doubling of its ranks: there and back to reduce and to share out, at NVLink's 3.33 us
 * for 64 bytes (DeepSeek, arXiv 2505.09343). */
static const double doubling_s = 4 * 3.33e-6;

/* A part of the data sheet where nobody published the best product. */
static const double usual_product_part = 0.7;

static double product_rate(const struct plan_chip *chip, enum plan_precision precision) {
    for (int p = precision; p > PLAN_PRECISION_NONE; p = p == PLAN_BF16 ? PLAN_FP32 : p == PLAN_FP32 ? 0 : PLAN_BF16) {
        if (chip->matmul_flop_per_s[p] > 0) return chip->matmul_flop_per_s[p];
        if (chip->peak_flop_per_s[p] > 0) return usual_product_part * chip->peak_flop_per_s[p];
    }
    return 0;
}

static struct load load_of(const struct serving_engine *e) {
    struct load l = {.layers = (double)e->model.n_layers};
    plan_model_params(&e->model, &l.params);
    l.expert_layers = e->model.n_experts ? l.layers - (double)e->model.n_dense_layers : 0;
    l.chips = (double)(e->tp * e->pp * e->dp);
    l.experts_over = (double)(e->shares_experts ? e->tp * e->dp : e->tp);
    l.context = e->cached_tokens + e->prompt_tokens + e->answer_tokens / 2;
    l.product_rate = product_rate(e->chip, e->format.compute) * plan_constants_value(PLAN_C_MATMUL_SUSTAINED);
    l.attention_rate =
        e->chip->attention_flop_per_s > 0 ? e->chip->attention_flop_per_s : product_rate(e->chip, PLAN_BF16) / 2;
    l.read_rate = e->chip->memory_bytes_per_s * plan_constants_value(PLAN_C_SERVING_READ);
    return l;
}

/* Parameters that every token passes, of all layers: attention, dense feed-forward, shared experts and routers. */
static double common_params(const struct load *l) {
    return l->layers * l->params.attention_per_layer + (l->layers - l->expert_layers) * l->params.dense_ffn_per_layer +
           l->expert_layers * l->params.shared_per_layer;
}

/* Embedding and head are not quantised below 16 bits by the usual engines. */
static double head_bytes(const struct serving_engine *e) { return fmin(2, fmax(e->format.weight_bytes, 1)); }

/* Experts whose weights a batch needs, of each layer: E (1 - (1 - k/E)^batch). */
static double experts_touched(const struct plan_model *m, double batch) {
    const double n = (double)m->n_experts;
    return n > 0 ? n * (1 - pow(1 - (double)m->n_active_experts / n, batch)) : 0;
}

static double kv_bytes_per_sequence(const struct serving_engine *e, double context) {
    const struct plan_model *m = &e->model;
    const double per_token = plan_model_kv_bytes_per_token(m, e->format.kv_bytes);
    if (m->window <= 0 || m->n_window_layers <= 0) return per_token * context;
    const double windowed = (double)m->n_window_layers / (double)m->n_layers;
    return per_token * ((1 - windowed) * context + windowed * fmin(context, (double)m->window));
}

/* Tensor parallelism shares out the heads of the cache; latent attention has one for all. */
static double kv_split(const struct serving_engine *e) {
    const double heads = e->model.kv_rank > 0 ? 1 : (double)e->model.n_kv_heads;
    return fmin((double)e->tp, heads);
}

static void fill_memory(const struct serving_engine *e, const struct load *l, double batch, struct serving_memory *m) {
    const double split = (double)(e->tp * e->pp), heads = e->model.is_tied ? 1 : 2;
    const double experts = l->expert_layers * (double)e->model.n_experts * l->params.expert;
    m->weights_bytes = common_params(l) * e->format.weight_bytes / split +
                       experts * e->format.weight_bytes / (l->experts_over * (double)e->pp) +
                       heads * l->params.embedding * head_bytes(e) / split;
    const double longest = e->cached_tokens + e->prompt_tokens + e->answer_tokens;
    m->kv_bytes =
        batch / (double)e->dp * kv_bytes_per_sequence(e, (longest + l->context) / 2) / (kv_split(e) * (double)e->pp);
    /* Runtime and communication buffers, and the activations and logits of the largest step. */
    const double step_tokens = fmin(e->chunk_tokens, fmax(batch / (double)e->dp, e->prompt_tokens));
    const double widest = fmax((double)e->model.d_ff / (double)e->tp, 4.0 * (double)e->model.d_model);
    m->workspace_bytes = (e->chip->is_cpu ? 0.05e9 : 1.5e9) + 2 * 3 * step_tokens * widest +
                         4 * batch / (double)e->dp * (double)e->model.n_vocab / (double)e->tp;
    m->limit_bytes = e->chip->memory_bytes * e->memory_part;
    m->total_bytes = m->weights_bytes + m->kv_bytes + m->workspace_bytes;
}

/* Forward flop of `tokens` tokens with `context` tokens before each, on one chip. `share`: which part of them a chip of
 * the engine has beside its tensor split. */
static double flop_per_chip(const struct serving_engine *e, const struct load *l, double tokens) {
    const double own = tokens / (double)e->dp / (double)(e->tp * e->pp);
    const double experts = l->expert_layers * (double)e->model.n_active_experts * l->params.expert;
    return 2 * (own * common_params(l) + tokens * experts / (l->experts_over * (double)e->pp));
}

static double attention_flop(const struct serving_engine *e, const struct load *l, double tokens, double context) {
    const struct plan_model *m = &e->model;
    const double width = m->kv_rank > 0 ? (double)m->n_heads * (double)(m->head_size + m->rope_size + m->value_size) / 2
                                        : (double)(m->n_heads * m->head_size);
    return 4 * l->layers * tokens * context * width / l->chips;
}

/* Two all-reduces a layer of the activations of `tokens` tokens; steps double the ranks they reach. */
static double exchange_s(const struct serving_engine *e, const struct load *l, double tokens, double overhead) {
    const double tp = (double)e->tp, bytes = tokens / (double)e->dp * (double)e->model.d_model * 2;
    const double step_s = doubling_s * overhead;
    const double link = fmax(e->chip->link_bytes_per_s, 1e9);
    double s = 0;
    if (tp > 1) s += 2 * l->layers * (step_s * log2(tp) + 2 * (tp - 1) / tp * bytes / link);
    if (l->expert_layers > 0 && e->shares_experts && e->dp > 1)
        s += 2 * l->expert_layers * step_s * log2((double)(e->dp * e->tp));
    return s;
}

/* The part of a general engine's own time that a stack keeps. */
static double overhead_of(enum serving_stack stack) {
    return stack == SERVING_STACK_ENGINE ? 1 : plan_constants_value(PLAN_C_SERVING_COMPILED);
}

static struct serving_breakdown step_of(const struct serving_engine *e, const struct load *l, double batch) {
    struct serving_breakdown b = {0};
    const double split = (double)e->tp, pipes = (double)e->pp;
    /* A pipeline works on pp parts of the batch at once, and a step passes all stages. */
    const double part = batch / pipes, overhead = overhead_of(e->stack);
    const double experts = l->expert_layers * experts_touched(&e->model, part) * l->params.expert;
    const double read = common_params(l) * e->format.weight_bytes / split +
                        experts * e->format.weight_bytes / l->experts_over +
                        l->params.embedding * head_bytes(e) / split;
    b.weights_s = read / l->read_rate;
    b.kv_s = part / (double)e->dp * kv_bytes_per_sequence(e, l->context) / kv_split(e) / l->read_rate;
    b.arithmetic_s = pipes * (flop_per_chip(e, l, part) / l->product_rate +
                              attention_flop(e, l, part, l->context) / l->attention_rate) +
                     2 * part / (double)e->dp * l->params.embedding / split / l->product_rate;
    b.exchange_s = exchange_s(e, l, part, overhead);
    if (l->expert_layers > 0 && e->shares_experts && e->dp * e->tp > 1)
        b.exchange_s += l->expert_layers * part * plan_constants_value(PLAN_C_SERVING_DISPATCH) * overhead;
    b.launch_s = l->layers * plan_constants_value(PLAN_C_SERVING_LAYER) * overhead * (e->chip->is_cpu ? 0.1 : 1);
    /* A compiled engine schedules beside the chip's work, all but a part; a stream has nothing to schedule. */
    if (e->stack != SERVING_STACK_STREAM)
        b.host_s = batch * plan_constants_value(PLAN_C_SERVING_SEQUENCE) * overhead * overhead;
    return b;
}

/* Reading and multiplying overlap: the fourth norm is the larger of the two, rounded where they are near. */
static double roofline_s(double read_s, double arithmetic_s) {
    return pow(pow(read_s, 4) + pow(arithmetic_s, 4), 0.25);
}

static double step_seconds(const struct serving_breakdown *b) {
    return roofline_s(b->weights_s + b->kv_s, b->arithmetic_s) + b->exchange_s + b->launch_s + b->host_s;
}

static const char *bound_of(const struct serving_breakdown *b) {
    const struct {
        double s;
        const char *name;
    } rows[] = {{b->weights_s, "reading weights"}, {b->kv_s, "reading the cache"}, {b->arithmetic_s, "arithmetic"},
                {b->exchange_s, "exchange"},       {b->launch_s, "launches"},      {b->host_s, "the host"}};
    int best = 0;
    for (int i = 1; i < (int)(sizeof rows / sizeof *rows); i++)
        if (rows[i].s > rows[best].s) best = i;
    return rows[best].name;
}

/* Seconds that the engine gives to one request's prompt while nothing else runs. */
static double prefill_seconds(const struct serving_engine *e, const struct load *l) {
    const double tokens = e->prompt_tokens * (double)e->dp; /* each copy of the attention has one prompt */
    if (tokens <= 0) return 0;
    const double product_s = (double)e->pp * flop_per_chip(e, l, tokens) / l->product_rate;
    const double attention_s =
        (double)e->pp * attention_flop(e, l, tokens, e->cached_tokens + e->prompt_tokens / 2) / l->attention_rate;
    return (product_s + attention_s + exchange_s(e, l, tokens, overhead_of(e->stack))) / (double)e->dp;
}

static cria_status check(const struct serving_engine *e, double batch, struct cria_error *err) {
    cria_status status = plan_model_check(&e->model, err);
    if (status != CRIA_OK) return status;
    const struct {
        const char *name;
        double value, min, max;
    } rows[] = {{"tensor parallel chips", (double)e->tp, 1, 1024},   {"pipeline stages", (double)e->pp, 1, 1024},
                {"copies of the attention", (double)e->dp, 1, 4096}, {"sequences at once", batch, 1, 1e6},
                {"prompt tokens", e->prompt_tokens, 0, 1e8},         {"cached tokens", e->cached_tokens, 0, 1e8},
                {"answer tokens", e->answer_tokens, 1, 1e8},         {"the part of memory", e->memory_part, 0.01, 1},
                {"prefill chunk", e->chunk_tokens, 1, 1e8}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!(rows[i].value >= rows[i].min && rows[i].value <= rows[i].max))
            return ERROR_SET(err, CRIA_RANGE, "%s of an engine must lie between %g and %g, not %g", rows[i].name,
                             rows[i].min, rows[i].max, rows[i].value);
    if (e->pp > e->model.n_layers)
        return ERROR_SET(err, CRIA_SHAPE, "%lld pipeline stages for the %lld layers of %s", (long long)e->pp,
                         (long long)e->model.n_layers, e->model.name);
    if (product_rate(e->chip, e->format.compute) <= 0 || e->chip->memory_bytes_per_s <= 0)
        return ERROR_SET(err, CRIA_UNSUPPORTED, "the hardware table has no matrix rate or no bandwidth for %s",
                         e->chip->name);
    return CRIA_OK;
}

/* The largest batch whose cache fits; memory is linear in the batch. */
static double max_batch_of(const struct serving_engine *e, const struct load *l) {
    struct serving_memory none, some;
    fill_memory(e, l, 0, &none);
    fill_memory(e, l, 1024, &some);
    const double room = none.limit_bytes - none.total_bytes;
    const double each = (some.total_bytes - none.total_bytes) / 1024;
    return room <= 0 ? 0 : each > 0 ? floor(room / each) : 1e6;
}

static cria_status no_room(const struct serving_engine *e, const struct load *l, struct cria_error *err) {
    struct serving_memory m;
    fill_memory(e, l, 1, &m);
    const double all = m.weights_bytes * (double)(e->tp * e->pp);
    const double room = m.limit_bytes - m.workspace_bytes - m.kv_bytes;
    return ERROR_SET(
        err, CRIA_LIMIT,
        "%s in %s does not fit: %.1f GB of weights and %.1f GB beside them on each of %lld x %s, which has "
        "%.1f GB to use; at least %.0f chips or a smaller format",
        e->model.name, e->format.name, m.weights_bytes * 1e-9, (m.workspace_bytes + m.kv_bytes) * 1e-9,
        (long long)(e->tp * e->pp), e->chip->name, m.limit_bytes * 1e-9,
        room > 0 ? ceil(all / room) : ceil(all / m.limit_bytes) + 1);
}

static void fill_rates(const struct serving_engine *e, const struct load *l, struct serving_point *p) {
    const double spread = spread_of_rows, step_s = p->step_s.mid;
    /* While a sequence is answered, the prompts of the others that come in its place are read between its steps. */
    const double prefill_share_s = p->batch * p->prefill_s / e->answer_tokens;
    p->between_tokens_s = step_s + prefill_share_s;
    p->first_token_s = p->prefill_s * (double)e->dp + step_s;
    p->request_s = p->prefill_s + e->answer_tokens * p->between_tokens_s;
    const double rate = p->batch / p->between_tokens_s;
    p->output_tokens_per_s = (struct plan_range){.mid = rate, .low = rate / (1 + spread), .high = rate * (1 + spread)};
    p->step_s.low = step_s / (1 + spread);
    p->step_s.high = step_s * (1 + spread);
    const double arithmetic_s = p->breakdown.arithmetic_s + prefill_share_s;
    p->arithmetic_part = fmin(1, arithmetic_s / p->between_tokens_s);
    /* A chip that multiplies all the time draws its design power. */
    const double busy = plan_constants_value(PLAN_C_SERVING_BUSY_POWER);
    p->chip_watts = e->chip->tdp_watts * (busy + (1 - busy) * p->arithmetic_part);
    p->joules_per_output_token = p->chip_watts * l->chips / rate;
}

cria_status serving_at(const struct serving_engine *e, double batch, struct serving_point *ret,
                       struct cria_error *err) {
    struct serving_point p = {0};
    cria_status status = check(e, batch, err);
    if (status != CRIA_OK) return status;
    const struct load l = load_of(e);
    p.max_batch = max_batch_of(e, &l);
    if (p.max_batch < 1) return no_room(e, &l, err);
    p.batch = fmin(batch, p.max_batch);
    p.breakdown = step_of(e, &l, p.batch);
    p.step_s.mid = step_seconds(&p.breakdown);
    p.prefill_s = prefill_seconds(e, &l);
    p.bound = bound_of(&p.breakdown);
    fill_memory(e, &l, p.batch, &p.memory);
    fill_rates(e, &l, &p);
    *ret = p;
    return CRIA_OK;
}
