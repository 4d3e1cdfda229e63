/* plan_search.c: all sensible layouts of a run, the best first (see planner.h).
 *
 * Tensor parallel stays inside the scale-up domain, where it is tried up to 16; pipeline parallel takes every size that
 * the layers allow; context parallel starts where sequences are long; the least recomputation that fits is taken, and
 * full recomputation is tried beside it for a larger micro-batch only. What does not fit is dropped before it is timed.
 */
#include <math.h>
#include <string.h>

#include "plan/plan_memory.h"
#include "plan/plan_stack.h"
#include "plan/planner.h"

#define MAX_TP 16
#define MAX_PARTS 8
#define LONG_SEQUENCE 16384.0
/* What a layout may fill of a chip's memory: the driver, the collectives and our own error need the rest. */
#define LIMIT_PART 0.94

struct search {
    const struct plan_train *base; /* borrowed */
    struct plan_candidate *rows;   /* caller's */
    size_t max, n;
    struct plan_memory least; /* of all that were tried */
    struct plan_layout least_layout;
    int64_t n_tried;
    bool is_starved; /* a prediction found no memory */
};

/* Remembers the smallest of all layouts, for the message where none fits. */
static void note(struct search *s, const struct plan_train *t) {
    struct plan_memory m;
    s->n_tried++;
    if (s->n) return;
    plan_memory_fullest(t, &m);
    if (s->least.total_bytes == 0 || m.total_bytes < s->least.total_bytes) {
        s->least = m;
        s->least_layout = t->layout;
    }
}

/* Whether two layouts differ in nothing but how stages are cut into parts and how much is recomputed. */
static bool is_variant(const struct plan_layout *a, const struct plan_layout *b) {
    return a->tp == b->tp && a->pp == b->pp && a->cp == b->cp && a->ep == b->ep && a->micro_batch == b->micro_batch &&
           a->zero == b->zero;
}

/* Puts a layout in its place; of its variants the fastest stays. */
static void keep(struct search *s, const struct plan_train *t) {
    struct plan_train_result r;
    cria_status status = plan_train_predict(t, PLAN_COUNT_CAUSAL, &r, NULL);
    if (status == CRIA_NOMEM) s->is_starved = true;
    if (status != CRIA_OK) return;
    for (size_t i = 0; i < s->n; i++) {
        if (!is_variant(&s->rows[i].layout, &t->layout)) continue;
        if (s->rows[i].result.step_s.mid <= r.step_s.mid) return;
        memmove(&s->rows[i], &s->rows[i + 1], (s->n - i - 1) * sizeof *s->rows);
        s->n--;
        break;
    }
    size_t at = s->n;
    while (at > 0 && s->rows[at - 1].result.step_s.mid > r.step_s.mid) at--;
    if (at >= s->max) return;
    size_t n_moved = (s->n < s->max ? s->n : s->max - 1) - at;
    memmove(&s->rows[at + 1], &s->rows[at], n_moved * sizeof *s->rows);
    s->rows[at] = (struct plan_candidate){t->layout, r};
    if (s->n < s->max) s->n++;
}

/* The micro-batches, and for each the least recomputation that fits. */
static void try_micro_batches(struct search *s, struct plan_train *t) {
    double rows = t->batch_tokens / t->seq_len / (double)t->layout.dp;
    for (int64_t b = 1; b <= 4 && (double)b <= rows; b *= 2) {
        if (fmod(rows, (double)b) != 0) continue;
        t->layout.micro_batch = b;
        if (plan_memory_choose_recompute(t, LIMIT_PART * t->chip->memory_bytes)) keep(s, t);
        note(s, t);
    }
}

static void try_schedules(struct search *s, struct plan_train *t) {
    t->layout.zero = 1;
    t->layout.virtual_stages = 1;
    try_micro_batches(s, t);
    if (t->layout.pp == 1) {
        t->layout.zero = 3;
        try_micro_batches(s, t);
        return;
    }
    for (int64_t v = 2; v <= MAX_PARTS; v++) {
        bool divides = t->model.n_layers % (t->layout.pp * v) == 0 || (t->model.n_layers + 2) % (t->layout.pp * v) == 0;
        t->layout.micro_batch = 1;
        if (!divides || plan_memory_micro_batches(t) < t->layout.pp) continue;
        t->layout.virtual_stages = v;
        try_micro_batches(s, t);
    }
}

static void try_experts(struct search *s, struct plan_train *t) {
    t->layout.ep = 1;
    if (!t->model.n_experts) {
        try_schedules(s, t);
        return;
    }
    int64_t ranks = t->layout.dp * t->layout.tp * t->layout.cp;
    for (int64_t ep = 1; ep <= ranks && ep <= t->model.n_experts; ep *= 2) {
        if (ranks % ep || t->model.n_experts % ep) continue;
        t->layout.ep = ep;
        try_schedules(s, t);
    }
}

static bool stages_fit(const struct plan_train *t, int64_t pp) {
    int64_t layers = t->model.n_layers;
    return pp == 1 || layers % pp == 0 || (layers + 2) % pp == 0 || (pp <= 4 && layers > 8 * pp);
}

static void try_pipelines(struct search *s, struct plan_train *t) {
    int64_t ranks = t->n_chips / (t->layout.tp * t->layout.cp);
    for (int64_t pp = 1; pp <= t->model.n_layers && pp <= ranks; pp++) {
        if (ranks % pp || !stages_fit(t, pp)) continue;
        t->layout.pp = pp;
        t->layout.dp = ranks / pp;
        double rows = t->batch_tokens / t->seq_len / (double)t->layout.dp;
        if (rows < 1 || rows != floor(rows)) continue;
        try_experts(s, t);
    }
}

/* The largest number up to n that halves and a few thirds divide: what layouts can be cut from. */
static int64_t round_number(int64_t n) {
    int64_t best = 1;
    for (int64_t threes = 1; threes <= 9; threes *= 3)
        for (int64_t m = threes; m <= n; m *= 2)
            if (m > best) best = m;
    return best;
}

static cria_status nothing_fits(const struct search *s, struct cria_error *err) {
    const struct plan_train *t = s->base;
    struct plan_params p;
    plan_model_params(&t->model, &p);
    if (!s->n_tried)
        return ERROR_SET(err, CRIA_SHAPE,
                         "no layout of %lld chips divides a batch of %.4g sequences of %g tokens: choose another "
                         "number of chips (%lld "
                         "divides well) or a batch with more sequences",
                         (long long)t->n_chips, t->batch_tokens / t->seq_len, t->seq_len,
                         (long long)round_number(t->n_chips));
    const struct plan_layout *y = &s->least_layout;
    return ERROR_SET(
        err, CRIA_LIMIT,
        "%.4g parameters do not fit on %lld x %s: the smallest layout (tp %lld, pp %lld, cp %lld, ep %lld, "
        "ZeRO %d, full recomputation) needs %.1f GB on a chip that has %.1f GB (weights %.1f, gradients %.1f, "
        "optimizer %.1f, activations %.1f, logits %.1f)",
        p.total, (long long)t->n_chips, t->chip->key, (long long)y->tp, (long long)y->pp, (long long)y->cp,
        (long long)y->ep, y->zero, s->least.total_bytes / 1e9, t->chip->memory_bytes / 1e9,
        s->least.weights_bytes / 1e9, s->least.gradients_bytes / 1e9, s->least.optimizer_bytes / 1e9,
        s->least.activations_bytes / 1e9, s->least.logits_bytes / 1e9);
}

cria_status plan_search(const struct plan_train *base, size_t max, struct plan_candidate *ret_rows, size_t *ret_n,
                        struct cria_error *err) {
    struct search s = {.base = base, .rows = ret_rows, .max = max};
    struct plan_train t = *base;
    cria_status status = plan_model_check(&t.model, err);
    if (status != CRIA_OK) return status;
    if (t.n_chips < 1)
        return ERROR_SET(err, CRIA_RANGE, "the number of chips is %lld; expected at least 1", (long long)t.n_chips);
    if (!(t.batch_tokens >= t.seq_len && t.seq_len >= 1))
        return ERROR_SET(err, CRIA_RANGE, "a batch of %g tokens in sequences of %g", t.batch_tokens, t.seq_len);
    for (int64_t tp = 1; tp <= MAX_TP && tp <= t.chip->link_chips; tp *= 2) {
        if (t.n_chips % tp || t.model.n_heads % tp) continue;
        for (int64_t cp = 1; cp == 1 || (cp <= 64 && t.seq_len / (double)cp >= LONG_SEQUENCE / 4); cp *= 2) {
            if (t.n_chips % (tp * cp)) break;
            t.layout = (struct plan_layout){.tp = tp, .cp = cp, .ep = 1, .micro_batch = 1};
            if (plan_stack_row(t.stack)->fills_bubbles) t.layout.schedule = PLAN_SCHEDULE_ZERO_BUBBLE;
            try_pipelines(&s, &t);
            if (t.seq_len < LONG_SEQUENCE) break;
        }
    }
    if (s.is_starved) return ERROR_SET(err, CRIA_NOMEM, "no memory for the search of layouts");
    if (!s.n) return nothing_fits(&s, err);
    *ret_n = s.n;
    return CRIA_OK;
}
