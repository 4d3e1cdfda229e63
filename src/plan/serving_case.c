/* serving_case.c: a published line of serving turned into an engine as its user would have set it up (serving.h).
 *
 * Settings come from the columns and from words of the notes and the id: batch limit, task, lengths, software. Measured
 * figures in the notes (latency, throughput, power, the batch that was reached) are never looked at. */
#include <ctype.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "conf/conf.h"
#include "plan/serving.h"

static bool has(const char *text, const char *word) { return text && strcasestr(text, word); }

/* The number right behind `word`, or 0. */
static double number_behind(const char *text, const char *word) {
    const char *at = text ? strcasestr(text, word) : NULL;
    if (!at) return 0;
    double value = 0;
    for (at += strlen(word); isdigit((unsigned char)*at) && value < 1e9; at++) value = 10 * value + (*at - '0');
    return value;
}

/* The number right before `word`, or 0. */
static double number_before(const char *text, const char *word) {
    const char *at = text ? strcasestr(text, word) : NULL;
    if (!at) return 0;
    while (at > text && isdigit((unsigned char)at[-1])) at--;
    return number_behind(at, "");
}

/* Prompt and answer lengths of tasks that give them a name: means of their public data sets. */
struct task {
    const char *in_id, *in_notes; /* words that name it; NULL: any */
    double prompt_tokens, answer_tokens;
};

static const struct task tasks[] = {
    {NULL, "task lm-arena-chat", 300, 600}, {NULL, "task gpqa", 300, 4000}, {"mlperf", "mixtral", 330, 145},
    {"mlperf", "405b", 9428, 684},          {"mlperf", "3-1-8b", 778, 73},  {"mlperf", "3.1-8b", 778, 73},
    {"mlperf", "deepseek", 800, 3880},      {"mlperf", "70b", 294, 294},
};

static void find_lengths(const struct serving_case *c, struct serving_engine *e) {
    e->prompt_tokens = 512;
    e->answer_tokens = 512;
    if (c->seq_len > 1) e->prompt_tokens = e->answer_tokens = c->seq_len / 2;
    for (size_t i = sizeof tasks / sizeof *tasks; i-- > 0;) {
        const struct task *t = &tasks[i];
        if (t->in_id && !has(c->id, t->in_id)) continue;
        if (!has(c->notes, t->in_notes) && !has(c->id, t->in_notes) && !has(c->model, t->in_notes)) continue;
        e->prompt_tokens = t->prompt_tokens;
        e->answer_tokens = t->answer_tokens;
    }
    /* What the user's prompts ask for is part of the task; how fast it came is not. */
    const double stated = number_behind(c->notes, "average output ");
    if (stated > 0) e->answer_tokens = stated;
    const double of_in = number_before(c->notes, " in / "), to = number_before(c->notes, " out");
    const double given = number_behind(c->notes, "lengths ");
    const char *slash = given > 0 ? strchr(strcasestr(c->notes, "lengths "), '/') : NULL;
    if (slash) {
        e->prompt_tokens = given;
        e->answer_tokens = fmax(1, number_behind(slash, "/"));
    } else if (of_in > 0 && to > 0) {
        e->prompt_tokens = of_in;
        e->answer_tokens = to;
    }
    if (has(c->notes, "generation of ")) {
        e->prompt_tokens = 1;
        e->answer_tokens = fmax(1, number_behind(c->notes, "generation of "));
    }
}

static enum serving_stack find_stack(const struct serving_case *c) {
    static const struct {
        const char *word;
        enum serving_stack stack;
    } rows[] = {
        {"llama.cpp", SERVING_STACK_STREAM},  {"llama-bench", SERVING_STACK_STREAM}, {"calm", SERVING_STACK_STREAM},
        {"executorch", SERVING_STACK_STREAM}, {"vllm", SERVING_STACK_ENGINE},        {"sglang", SERVING_STACK_ENGINE},
        {"tensorrt", SERVING_STACK_TUNED},    {"trt", SERVING_STACK_TUNED},          {"mlperf", SERVING_STACK_TUNED}};
    const char *const texts[] = {c->source, c->notes, c->id};
    for (size_t t = 0; t < sizeof texts / sizeof *texts; t++)
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            if (has(texts[t], rows[i].word)) return rows[i].stack;
    return SERVING_STACK_ENGINE;
}

static cria_status find_format(const struct serving_case *c, struct serving_engine *e, struct cria_error *err) {
    const struct plan_chip *chip = c->chip;
    if (c->precision && *c->precision) {
        const cria_status status = serving_format_find(c->precision, &e->format, err);
        if (status != CRIA_OK) return status;
    } else {
        /* A tuned submission uses the smallest format that the chip multiplies; anybody else what was published. */
        const char *name = e->stack != SERVING_STACK_TUNED       ? "bf16"
                           : chip->peak_flop_per_s[PLAN_FP4] > 0 ? "nvfp4"
                           : chip->peak_flop_per_s[PLAN_FP8] > 0 ? "fp8"
                                                                 : "bf16";
        const cria_status status = serving_format_find(name, &e->format, err);
        if (status != CRIA_OK) return status;
    }
    /* Compiled engines keep the cache in 8 bits beside 8-bit weights. */
    if (e->stack == SERVING_STACK_TUNED && e->format.compute == PLAN_FP8) e->format.kv_bytes = 1;
    return CRIA_OK;
}

/* Seconds between tokens that the scenarios of the benchmark allow. */
static struct serving_target find_target(const struct serving_case *c) {
    struct serving_target t = {.max_batch = 2048};
    if (!has(c->id, "mlperf")) return t;
    const bool is_405 = has(c->id, "405b");
    if (has(c->id, "-server-")) t.between_tokens_s = is_405 ? 0.175 : has(c->id, "3-1-8b") ? 0.1 : 0.2;
    if (has(c->id, "-interactive-")) t.between_tokens_s = is_405 ? 0.08 : has(c->id, "3-1-8b") ? 0.03 : 0.04;
    return t;
}

static double find_batch(const struct serving_case *c) {
    const double limit = number_behind(c->notes, "max_num_seqs ");
    if (limit > 0) return limit;
    const double named = number_behind(c->id, "-seqs");
    return named > 0 ? named : (double)c->micro_batch;
}

static void set_split(const struct serving_case *c, struct serving_engine *e) {
    e->tp = c->tp > 0 ? c->tp : 1;
    e->pp = c->pp > 0 ? c->pp : 1;
    /* Where experts lie over more chips than the tensor split, the rest is copied. */
    e->dp = c->ep > e->tp ? c->ep / e->tp : 1;
    e->shares_experts = c->ep > 1;
}

/* Layers in one program on several chips take turns for one stream. */
static cria_status predict_stream(const struct serving_case *c, struct serving_engine *e, struct serving_choice *ret,
                                  struct cria_error *err) {
    struct plan_chip chip = *c->chip;
    chip.memory_bytes *= (double)c->n_chips;
    e->chip = &chip;
    e->tp = e->pp = e->dp = 1;
    e->memory_part = 0.98;
    ret->engine = *e;
    const cria_status status = serving_at(e, c->micro_batch > 0 ? (double)c->micro_batch : 1, &ret->point, err);
    if (status != CRIA_OK) return status;
    ret->output_tokens_per_s_per_chip = ret->point.output_tokens_per_s.mid / (double)c->n_chips;
    ret->engine.chip = c->chip;
    return CRIA_OK;
}

static cria_status predict_engine(const struct serving_case *c, struct serving_engine *e, struct serving_choice *ret,
                                  struct cria_error *err) {
    const struct serving_target target = find_target(c);
    const double batch = find_batch(c);
    int n = 0;
    cria_status status = CRIA_OK;
    if (c->tp <= 0 && c->ep <= 0) {
        const struct serving_target held = {.max_batch = batch > 0 ? batch : target.max_batch,
                                            .between_tokens_s = batch > 0 ? 0 : target.between_tokens_s};
        status = serving_search(e, c->n_chips, &held, 1, ret, &n, err);
        return status;
    }
    set_split(c, e);
    ret->engine = *e;
    status = serving_at(e, batch > 0 ? batch : target.max_batch, &ret->point, err);
    if (status == CRIA_LIMIT && e->dp > 1) {
        /* The copies do not fit: the rest is split as the experts are. */
        e->tp *= e->dp;
        e->dp = 1;
        ret->engine = *e;
        status = serving_at(e, batch > 0 ? batch : target.max_batch, &ret->point, err);
    }
    if (status != CRIA_OK) goto out;
    const double chips = (double)(e->tp * e->pp * e->dp);
    ret->output_tokens_per_s_per_chip = ret->point.output_tokens_per_s.mid / chips;
out:
    return status;
}

cria_status plan_serving_predict_row(const struct serving_case *c, struct serving_prediction *ret,
                                     struct cria_error *err) {
    struct serving_engine e = {
        .model = c->shape, .chip = c->chip, .tp = 1, .pp = 1, .dp = 1, .memory_part = 0.9, .chunk_tokens = 8192};
    struct serving_choice choice = {0};
    cria_status status;
    if (c->n_chips < 1) return ERROR_SET(err, CRIA_RANGE, "%lld chips serve nothing", (long long)c->n_chips);
    e.stack = find_stack(c);
    TRY(find_format(c, &e, err));
    find_lengths(c, &e);
    TRY(e.stack == SERVING_STACK_STREAM ? predict_stream(c, &e, &choice, err) : predict_engine(c, &e, &choice, err));
    const struct serving_point *p = &choice.point;
    const double mid = choice.output_tokens_per_s_per_chip, part = mid / p->output_tokens_per_s.mid;
    *ret = (struct serving_prediction){
        .step_s = p->step_s,
        .tokens_per_s_per_chip = {.mid = mid,
                                  .low = p->output_tokens_per_s.low * part,
                                  .high = p->output_tokens_per_s.high * part},
        .memory_bytes = p->memory.total_bytes,
        .chip_watts = p->chip_watts,
        .joules_per_output_token = p->joules_per_output_token,
        .batch = p->batch,
    };
out:
    return status;
}
