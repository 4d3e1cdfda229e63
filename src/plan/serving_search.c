/* serving_search.c: which engine answers a load best: the split of the model over chips and the batch (serving.h). */
#include <math.h>
#include <stdlib.h>

#include "plan/serving.h"

/* Between two doublings of the batch nothing jumps; the search ends at one part in a thousand. */
static bool holds(const struct serving_point *p, const struct serving_target *t) {
    return (t->first_token_s <= 0 || p->first_token_s <= t->first_token_s) &&
           (t->between_tokens_s <= 0 || p->between_tokens_s <= t->between_tokens_s);
}

/* The largest batch that holds the target; latency grows with the batch. NULL target rows are fine. */
static cria_status best_batch(const struct serving_engine *e, const struct serving_target *t, struct serving_point *ret,
                              bool *ret_holds, struct cria_error *err) {
    struct serving_point p, best;
    cria_status status;
    TRY(serving_at(e, 1, &best, err));
    *ret_holds = holds(&best, t);
    double low = 1, high = fmin(best.max_batch, t->max_batch > 0 ? t->max_batch : 1024);
    TRY(serving_at(e, high, &p, err));
    if (*ret_holds && holds(&p, t)) {
        best = p;
        low = high;
    }
    while (*ret_holds && high - low > fmax(1, low / 1000)) {
        const double middle = floor((low + high) / 2);
        TRY(serving_at(e, middle, &p, err));
        if (holds(&p, t)) {
            low = middle;
            best = p;
        } else {
            high = middle;
        }
    }
    *ret = best;
out:
    return status;
}

static int compare_choices(const void *a, const void *b) {
    const double x = ((const struct serving_choice *)a)->output_tokens_per_s_per_chip;
    const double y = ((const struct serving_choice *)b)->output_tokens_per_s_per_chip;
    return (x < y) - (x > y);
}

/* How a model can be cut for `chips` chips: tensor parallel alone, or with experts over copies of the attention. */
static bool split_for(const struct serving_engine *like, int64_t chips, int variant, struct serving_engine *ret) {
    const int64_t domain = like->chip->link_chips > 0 ? like->chip->link_chips : 1;
    struct serving_engine e = *like;
    e.tp = chips < domain ? chips : domain;
    e.pp = (chips + e.tp - 1) / e.tp;
    e.dp = 1;
    e.shares_experts = false;
    if (variant == 1) {
        if (!e.model.n_experts || chips == 1 || chips > domain) return false;
        e.dp = chips;
        e.tp = 1;
        e.shares_experts = true;
    }
    if (e.tp * e.pp * e.dp != chips || e.pp > e.model.n_layers || e.model.n_heads % e.tp != 0) return false;
    *ret = e;
    return true;
}

cria_status serving_search(const struct serving_engine *like, int64_t max_chips, const struct serving_target *target,
                           int max, struct serving_choice *ret_rows, int *ret_n, struct cria_error *err) {
    enum { MAX_CHOICES = 64 };
    struct serving_choice rows[MAX_CHOICES];
    struct serving_point nearest = {0};
    int n = 0;
    bool has_nearest = false;
    cria_status last = CRIA_OK;
    for (int64_t chips = 1; chips <= max_chips && chips <= 512; chips *= 2)
        for (int variant = 0; variant < 2 && n < MAX_CHOICES; variant++) {
            struct serving_choice c = {0};
            bool does_hold = false;
            if (!split_for(like, chips, variant, &c.engine)) continue;
            const cria_status status = best_batch(&c.engine, target, &c.point, &does_hold, err);
            if (status != CRIA_OK) last = status;
            if (status == CRIA_LIMIT) continue;
            if (status != CRIA_OK) return status;
            if (!does_hold) {
                if (!has_nearest || c.point.between_tokens_s < nearest.between_tokens_s) nearest = c.point;
                has_nearest = true;
                continue;
            }
            c.output_tokens_per_s_per_chip = c.point.output_tokens_per_s.mid / (double)chips;
            rows[n++] = c;
        }
    if (n == 0 && has_nearest)
        return ERROR_SET(err, CRIA_LIMIT,
                         "no engine of at most %lld x %s answers %s that fast: the quickest has its first token after "
                         "%.3g s and then one every %.3g s; wanted are %.3g s and %.3g s (0: any)",
                         (long long)max_chips, like->chip->name, like->model.name, nearest.first_token_s,
                         nearest.between_tokens_s, target->first_token_s, target->between_tokens_s);
    if (n == 0)
        return last == CRIA_LIMIT ? last
                                  : ERROR_SET(err, CRIA_LIMIT, "%s cannot be split over %lld x %s", like->model.name,
                                              (long long)max_chips, like->chip->name);
    qsort(rows, (size_t)n, sizeof *rows, compare_choices);
    if (n > max) n = max;
    for (int i = 0; i < n; i++) ret_rows[i] = rows[i];
    *ret_n = n;
    return CRIA_OK;
}
