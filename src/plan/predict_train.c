/* predict_train.c: the run that a row describes, with what it leaves out assumed (see predict_columns.h). */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plan/plan_memory.h"
#include "plan/plan_stack.h"
#include "plan/predict_columns.h"

/* MLPerf Training 3.0 and 5.1: the first rounds with these formats. */
#define YEAR_OF_FP8 2023.4
#define YEAR_OF_FP4 2025.8
#define MAX_CHIPS 10000000.0
/* Up to this part of its memory a chip is filled before anything is recomputed; our estimate may be that much off. */
#define FULL_MEMORY 1.03

/* ---- what the row says ---- */

/* "2024-07" is July, "2024" its middle, "2023-24" the turn of the two years; 0: no date. */
static double year_of(const char *text) {
    char *end;
    double year = strtod(text, &end);
    if (end == text || year < 1990 || year > 2100) return 0;
    year = floor(year);
    if (*end != '-' && *end != '/') return year + 0.5;
    double month = strtod(end + 1, NULL);
    if (month >= 1 && month <= 12) return year + (month - 0.5) / 12;
    return year + 1;
}

/* The first year that a text names. */
static double year_in(const char *text) {
    for (const char *c = text; *c; c++)
        if (c[0] == '2' && c[1] == '0' && isdigit((unsigned char)c[2]) && isdigit((unsigned char)c[3]) &&
            !isdigit((unsigned char)c[4]) && (c == text || !isalnum((unsigned char)c[-1])))
            return strtod(c, NULL) + 0.5;
    return 0;
}

static double software_year(const struct predict_row *row, const struct plan_chip *chip) {
    double year = year_of(predict_columns_text(row, PREDICT_DATE));
    if (year <= 0) year = year_in(predict_columns_text(row, PREDICT_SOURCE));
    if (year <= 0) year = year_in(predict_columns_text(row, PREDICT_NOTES));
    /* Nobody trains before the chip is there. */
    return year > 0 ? fmax(year, chip->launch_year) : chip->launch_year + 1.5;
}

static enum plan_stack_id stack_of(const struct predict_row *row, const struct plan_chip *chip) {
    const char *notes = predict_columns_text(row, PREDICT_NOTES);
    enum plan_stack_id stack = plan_stack_find(predict_columns_text(row, PREDICT_SOURCE));
    enum plan_stack_id noted = plan_stack_find(notes);
    if (plan_stack_find(predict_columns_text(row, PREDICT_MODEL)) == PLAN_STACK_JAX) stack = PLAN_STACK_JAX;
    if (stack == PLAN_STACK_DEFAULT || noted == PLAN_STACK_JAX) stack = noted == PLAN_STACK_DEFAULT ? stack : noted;
    if (stack == PLAN_STACK_TORCH && strcasestr(notes, "eager")) stack = PLAN_STACK_EAGER;
    if (strncmp(chip->key, "tpu", 3) == 0) stack = PLAN_STACK_JAX;
    return stack;
}

/* How sequence tokens are counted in the source's model FLOPs; section "Conventions" of docs/PLANNER.md. */
enum plan_attention_count predict_attention_count(const struct predict_row *row, const struct plan_train *t) {
    const char *notes = predict_columns_text(row, PREDICT_NOTES);
    if (strcasestr(notes, "full attention") || strcasestr(notes, "non-causal")) return PLAN_COUNT_FULL;
    if (t->stack == PLAN_STACK_DEEPSEEK || t->stack == PLAN_STACK_PRODUCTION) return PLAN_COUNT_CAUSAL;
    /* Megatron's formula for latent attention takes the causal half, that for ordinary attention the whole. */
    if (strcasestr(notes, "causal") || (t->stack == PLAN_STACK_MEGATRON && t->model.kv_rank)) return PLAN_COUNT_CAUSAL;
    return PLAN_COUNT_FULL;
}

/* MLPerf's submissions run in the lowest format that the rules and the chip allow; elsewhere BF16 goes without saying.
 */
static enum plan_precision usual_precision(const struct predict_row *row, const struct plan_train *t) {
    if (!predict_columns_mention(row, "mlperf")) return t->chip->is_cpu ? PLAN_FP32 : PLAN_BF16;
    if (t->chip->peak_flop_per_s[PLAN_FP4] > 0 && t->year > YEAR_OF_FP4) return PLAN_FP4;
    return t->chip->peak_flop_per_s[PLAN_FP8] > 0 && t->year > YEAR_OF_FP8 ? PLAN_FP8 : PLAN_BF16;
}

/* Megatron run by those who make it, or who say that they tuned it: NVIDIA's own tables and papers, MLPerf, MegaScale.
 * Others take it as it is. */
static bool is_vendor(const struct predict_row *row, const struct plan_train *t) {
    static const char *const words[] = {"nvidia", "nemo", "mlperf", "narayanan", "korthikanti", "megatron-lm readme"};
    if (t->stack != PLAN_STACK_MEGATRON) return true;
    if (predict_columns_mention(row, "megascale"))
        return !strcasestr(predict_columns_text(row, PREDICT_NOTES), "megatron-lm") &&
               !strcasestr(predict_columns_text(row, PREDICT_MODEL), "megatron-lm");
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (predict_columns_mention(row, words[i])) return true;
    return false;
}

static int64_t count_of(const struct predict_row *row, enum predict_column column) {
    double x = predict_columns_number(row, column);
    return x >= 1 && x <= MAX_CHIPS ? (int64_t)x : 0;
}

static int recompute_of(const struct predict_row *row) {
    const char *text = predict_columns_text(row, PREDICT_RECOMPUTE);
    if (strcasestr(text, "none stated") || !*text) return -1;
    if (strcasestr(text, "full")) return PLAN_RECOMPUTE_FULL;
    if (strcasestr(text, "selective")) return PLAN_RECOMPUTE_SELECTIVE;
    if (strcasestr(text, "none") || strcasestr(text, "no ") || strcmp(text, "no") == 0) return PLAN_RECOMPUTE_NONE;
    return -1;
}

static int zero_of(const struct predict_row *row, const struct plan_train *t) {
    if (predict_columns_mention(row, "SHARD_GRAD_OP") || predict_columns_mention(row, "ZeRO-2")) return 2;
    if (predict_columns_mention(row, "ZeRO-3") || predict_columns_mention(row, "FULL_SHARD")) return 3;
    if (predict_columns_mention(row, "ZeRO-1")) return 1;
    if (predict_columns_noted(row, "FSDP=") > 0) return 3;
    return plan_stack_row(t->stack)->is_sharded && t->layout.pp == 1 ? 3 : 1;
}

/* ---- what it leaves out ---- */

static double used(const struct plan_train *t) {
    struct plan_memory m;
    plan_memory_fullest(t, &m);
    return m.total_bytes / t->chip->memory_bytes;
}

/* The least recomputation that fits; where a whole copy of the weights does not fit at all, they are shared out. */
static void choose_recompute(struct plan_train *t, int stated) {
    if (stated >= 0) {
        t->layout.recompute = (enum plan_recompute)stated;
        if (t->layout.zero < 3 && t->layout.pp == 1 && used(t) > 1.1) t->layout.zero = 3;
        return;
    }
    /* MaxText's usual policies keep products, on the host where it has to be. */
    if (t->stack == PLAN_STACK_JAX) {
        t->layout.recompute = PLAN_RECOMPUTE_SELECTIVE;
        return;
    }
    double limit = FULL_MEMORY * t->chip->memory_bytes;
    if (plan_memory_choose_recompute(t, limit) || t->layout.pp > 1 || t->layout.zero == 3) return;
    t->layout.zero = 3;
    (void)plan_memory_choose_recompute(t, limit);
}

/* Ranks of experts: as many as there are experts and ranks of a stage, inside one scale-up domain if it may be. */
static int64_t choose_experts(const struct plan_train *t) {
    int64_t ranks = t->layout.dp * t->layout.tp * t->layout.cp, best = 1;
    for (int64_t ep = 1; ep <= ranks && ep <= t->model.n_experts && ep <= 64; ep *= 2)
        if (ranks % ep == 0 && t->model.n_experts % ep == 0 && (ep <= t->chip->link_chips || used(t) > 1)) best = ep;
    return best;
}

/* Parts of a stage: with interleaving the most that leave a whole number of layers to each, up to what recipes use. */
static int64_t choose_parts(const struct predict_row *row, const struct plan_train *t) {
    int64_t best = 1, layers = t->model.n_layers;
    bool is_simple = t->stack == PLAN_STACK_NANOTRON || t->stack == PLAN_STACK_EAGER ||
                     predict_columns_mention(row, "deepspeed") || predict_columns_mention(row, "mt-nlg");
    if (t->layout.pp <= 1 || is_simple || plan_memory_micro_batches(t) < t->layout.pp) return 1;
    if (t->stack == PLAN_STACK_TORCH) return layers >= 2 * t->layout.pp ? 2 : 1; /* its default: two parts */
    for (int64_t v = 2; v <= 8; v++)
        if (layers % (t->layout.pp * v) == 0 || (layers + 2) % (t->layout.pp * v) == 0) best = v;
    return best;
}

/* The largest micro-batch up to 8 that fits without recomputing and leaves the pipeline enough of them. */
static int64_t choose_micro_batch(const struct plan_train *t) {
    double rows = t->batch_tokens / t->seq_len / (double)t->layout.dp;
    struct plan_train u = *t;
    u.layout.recompute = t->layout.zero == 3 ? PLAN_RECOMPUTE_FULL : PLAN_RECOMPUTE_NONE;
    for (int64_t b = 8; b > 1; b /= 2) {
        u.layout.micro_batch = b;
        if (fmod(rows, (double)b) < 1e-9 && rows / (double)b >= (double)(4 * (t->layout.pp - 1)) &&
            (double)b * t->seq_len <= 16384 && used(&u) <= 0.9)
            return b;
    }
    return 1;
}

/* Sizes whose product is the number of chips. Where the printed ones are not, data parallel is what remains; where that
 * is more than the batch has sequences, the sequences are split further. */
static cria_status complete_sizes(const struct predict_row *row, struct plan_train *t, struct cria_error *err) {
    struct plan_layout *y = &t->layout;
    double rows = t->batch_tokens / t->seq_len;
    if (t->n_chips % (y->tp * y->pp * y->cp)) y->cp = 1;
    int64_t model = y->tp * y->pp * y->cp;
    if (t->n_chips % model)
        return ERROR_SET(err, CRIA_SHAPE, "tp %lld x pp %lld x cp %lld does not divide %lld chips", (long long)y->tp,
                         (long long)y->pp, (long long)y->cp, (long long)t->n_chips);
    y->dp = t->n_chips / model;
    while (t->batch_tokens > 0 && (double)y->dp > rows * 1.001 && y->dp % 2 == 0 && t->seq_len > 4096) {
        y->dp /= 2;
        y->cp *= 2;
    }
    if (t->batch_tokens <= 0) {
        double micro = fmax(1, (double)count_of(row, PREDICT_MICRO_BATCH));
        double steps = predict_columns_noted(row, "GA=");
        t->batch_tokens = t->seq_len * (double)y->dp * micro *
                          (steps >= 1  ? steps
                           : y->pp > 1 ? 8.0 * (double)y->pp
                                       : 1);
    }
    return CRIA_OK;
}

/* Nothing of the layout is stated: the best one. A batch that no layout divides is searched as the next power of two of
 * sequences. */
static cria_status guess_sizes(struct plan_train *t, struct cria_error *err) {
    struct plan_candidate best;
    struct plan_train u = *t;
    struct cria_error ignored;
    size_t n;
    if (u.batch_tokens <= 0) u.batch_tokens = fmax(4194304, u.seq_len * (double)u.n_chips);
    cria_status status = plan_search(&u, 1, &best, &n, &ignored);
    if (status != CRIA_OK && status != CRIA_NOMEM) {
        u.batch_tokens = u.seq_len * exp2(ceil(log2(fmax(1, u.batch_tokens / u.seq_len))));
        status = plan_search(&u, 1, &best, &n, err);
    }
    if (status == CRIA_NOMEM) return ERROR_SET(err, CRIA_NOMEM, "no memory for the search of layouts");
    if (status != CRIA_OK) return status;
    t->layout = best.layout;
    double least = t->seq_len * (double)(t->layout.dp * t->layout.micro_batch);
    if (t->batch_tokens <= 0) t->batch_tokens = u.batch_tokens;
    if (t->batch_tokens < least) t->batch_tokens = least;
    return CRIA_OK;
}

/* Heads that tensor parallel does not divide are filled up, as frameworks do that allow it. */
static void pad_heads(struct plan_train *t) {
    int64_t tp = t->layout.tp, heads = (t->model.n_heads + tp - 1) / tp * tp;
    if (heads == t->model.n_heads) return;
    if (t->model.n_kv_heads == t->model.n_heads) t->model.n_kv_heads = heads;
    t->model.n_heads = heads;
}

static cria_status complete_layout(const struct predict_row *row, struct plan_train *t, struct cria_error *err) {
    cria_status status = CRIA_OK;
    struct plan_layout *y = &t->layout;
    bool is_stated = *predict_columns_text(row, PREDICT_TP) || *predict_columns_text(row, PREDICT_PP) ||
                     *predict_columns_text(row, PREDICT_DP) || plan_stack_row(t->stack)->is_sharded;
    int64_t micro = count_of(row, PREDICT_MICRO_BATCH), parts = (int64_t)predict_columns_noted(row, "VP=");
    *y = (struct plan_layout){.dp = 1, .tp = 1, .pp = 1, .cp = 1, .ep = 1, .virtual_stages = 1, .micro_batch = 1};
    if (!is_stated && t->n_chips > 1) return guess_sizes(t, err);
    if (count_of(row, PREDICT_TP)) y->tp = count_of(row, PREDICT_TP);
    if (count_of(row, PREDICT_PP)) y->pp = count_of(row, PREDICT_PP);
    if (count_of(row, PREDICT_CP)) y->cp = count_of(row, PREDICT_CP);
    if (!*predict_columns_text(row, PREDICT_TP) && !*predict_columns_text(row, PREDICT_PP) && count_of(row, PREDICT_DP))
        y->tp = t->n_chips / (count_of(row, PREDICT_DP) * y->cp) > 0 &&
                        t->n_chips % (count_of(row, PREDICT_DP) * y->cp) == 0
                    ? t->n_chips / (count_of(row, PREDICT_DP) * y->cp)
                    : 1;
    TRY(complete_sizes(row, t, err));
    pad_heads(t);
    y->zero = zero_of(row, t);
    if (t->model.n_experts) {
        int64_t ep = count_of(row, PREDICT_EP), ranks = y->dp * y->tp * y->cp;
        y->ep = ep && ranks % ep == 0 && t->model.n_experts % ep == 0 ? ep : choose_experts(t);
    }
    if (y->zero < 3 && y->pp == 1) {
        struct plan_train least = *t;
        least.layout.recompute = PLAN_RECOMPUTE_FULL;
        if (used(&least) > 1.1) y->zero = 3;
    }
    /* torchtitan's local batch is what a data-parallel rank has, and its pipeline cuts it into single sequences. */
    if (micro && y->pp > 1 && (t->stack == PLAN_STACK_TORCH || t->stack == PLAN_STACK_EAGER)) micro = 1;
    double rows = t->batch_tokens / t->seq_len / (double)y->dp;
    y->micro_batch = micro ? micro : choose_micro_batch(t);
    if ((double)y->micro_batch > rows) y->micro_batch = (int64_t)fmax(1, rows);
    if (rows < 1) t->batch_tokens = t->seq_len * (double)y->dp;
    y->virtual_stages = parts >= 0 ? (parts > 1 ? parts : 1) : choose_parts(row, t);
    if (y->pp > 1 && y->pp * y->virtual_stages > t->model.n_layers + 2) y->virtual_stages = 1;
    bool fills = plan_stack_row(t->stack)->fills_bubbles || predict_columns_mention(row, "zero bubble") ||
                 predict_columns_mention(row, "zero-bubble");
    if (fills && y->virtual_stages == 1) y->schedule = PLAN_SCHEDULE_ZERO_BUBBLE;
    choose_recompute(t, recompute_of(row));
out:
    return status;
}

cria_status predict_train(const struct predict_row *row, const plan_hardware *hw, struct plan_train *ret,
                          struct cria_error *err) {
    cria_status status = CRIA_OK;
    struct plan_train t = {0};
    const char *gpu = predict_columns_text(row, PREDICT_GPU);
    TRY(predict_model(row, &t.model, err));
    if (!*gpu) return ERROR_SET(err, CRIA_USAGE, "the row names no gpu");
    TRY(hardware_chip(hw, gpu, &t.chip, err));
    TRY(hardware_node(hw, t.chip->node, &t.node, err));
    TRY(hardware_network(hw, t.node->network, &t.network, err));
    t.n_chips = count_of(row, PREDICT_NUM_GPUS);
    if (!t.n_chips)
        return ERROR_SET(err, CRIA_USAGE, "num_gpus is \"%s\"; expected a count",
                         predict_columns_text(row, PREDICT_NUM_GPUS));
    t.precision = predict_precision(predict_columns_text(row, PREDICT_PRECISION), t.chip);
    t.seq_len = predict_columns_number(row, PREDICT_SEQ_LEN);
    if (t.seq_len <= 0) t.seq_len = t.model.n_context ? fmin(8192, (double)t.model.n_context) : 4096;
    t.batch_tokens = predict_columns_number(row, PREDICT_BATCH_TOKENS);
    t.stack = t.chip->is_cpu ? PLAN_STACK_CPU : stack_of(row, t.chip);
    t.year = software_year(row, t.chip);
    if (t.precision == PLAN_PRECISION_NONE) t.precision = usual_precision(row, &t);
    t.is_production = !is_vendor(row, &t) || strcmp(predict_columns_text(row, PREDICT_KIND), "train_run") == 0;
    t.is_balanced = predict_columns_mention(row, "force-balanced") || predict_columns_mention(row, "forced balance");
    t.overlaps_tp = predict_columns_mention(row, "async tp") || predict_columns_mention(row, "async-tp");
    t.is_lora = predict_columns_mention(row, "lora");
    TRY(complete_layout(row, &t, err));
    *ret = t;
out:
    return status;
}
