/* rows_phases.c: phases: which rows of which source, and in what order (see data_rows.h).
 *
 * Each source's rows form an endless series of passes, each pass a permutation of its own; a phase takes a stretch of
 * each series, as long as its weight says, and permutes the stretches together. The next phase of the same length takes
 * the stretches that follow. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "data/permute.h"
#include "data/rows_private.h"

#define MAX_PHASE_ROWS ((uint64_t)1 << 48)

/* Streams of permute_index(): 23 bits of row length, 9 of source (0: the phase as a whole), 32 of pass or phase. */
static uint64_t stream_of(int seq_len, int source, uint64_t pass) {
    return (uint64_t)seq_len << 41 | (uint64_t)(source + 1) << 32 | (pass & 0xffffffffu);
}

uint64_t rows_phases_row(const rows *r, const struct rows_plan *plan, uint64_t number, int *ret_source) {
    const int seq_len = plan->face.seq_len;
    if (!r->is_held_out) {
        const uint64_t phase = (uint64_t)(plan - r->plans);
        number = permute_index(plan->face.n_rows, r->seed, stream_of(seq_len, -1, phase), number);
    }
    int i = 0;
    while (number >= plan->shares[i].before + plan->shares[i].n) i++;
    const struct rows_share *share = &plan->shares[i];
    const struct data_group *group = share->group;
    const uint64_t at = share->taken + (number - share->before), pass = at / group->n_rows;
    uint64_t row = at % group->n_rows;
    if (!r->is_held_out) row = permute_index(group->n_rows, r->seed, stream_of(seq_len, group->source, pass), row);
    *ret_source = group->source;
    return group->first_row + row;
}

static cria_status find_packing(const rows *r, int seq_len, int *ret, struct cria_error *err) {
    const struct data_manifest *m = &r->manifest;
    char there[160] = "";
    size_t n = 0;
    for (int i = 0; i < m->n_packings; i++) {
        if (m->packings[i].seq_len == seq_len || (seq_len == 0 && m->n_packings == 1)) {
            *ret = i;
            return CRIA_OK;
        }
        if (n < sizeof there)
            n += (size_t)snprintf(there + n, sizeof there - n, "%s%d", i ? ", " : "", m->packings[i].seq_len);
    }
    if (seq_len == 0) return ERROR_SET(err, CRIA_USAGE, "expected a row length, one of %s, found none", there);
    return ERROR_SET(err, CRIA_USAGE, "the data was packed for rows of %s ids, not of %d; build it with --seq-len %d",
                     there, seq_len, seq_len);
}

/* The weight of each share of the plan; sum > 0. *ret_given false: every row once. */
static cria_status find_weights(const rows *r, const struct rows_phase_options *o, const struct rows_plan *plan,
                                double *weights, bool *ret_given, struct cria_error *err) {
    const struct data_manifest *m = &r->manifest;
    bool any = o->weights != NULL;
    double sum = 0;
    if (o->weights && o->n_weights != m->n_sources)
        return ERROR_SET(err, CRIA_USAGE, "expected a weight for each of the %d sources, found %d", m->n_sources,
                         o->n_weights);
    for (int i = 0; i < plan->n_shares; i++) any |= m->sources[plan->shares[i].group->source].weight > 0;
    if (r->is_held_out) any = false;
    for (int i = 0; i < plan->n_shares && any; i++) {
        const int source = plan->shares[i].group->source;
        weights[i] = o->weights ? o->weights[source] : m->sources[source].weight;
        if (!isfinite(weights[i]) || weights[i] < 0)
            return ERROR_SET(err, CRIA_USAGE, "the weight of source '%s' is no number of 0 or more",
                             m->sources[source].name);
        sum += weights[i];
    }
    if (any && !(sum > 0)) return ERROR_SET(err, CRIA_USAGE, "no source with rows has a weight above 0");
    for (int i = 0; i < plan->n_shares && any; i++) weights[i] /= sum;
    *ret_given = any;
    return CRIA_OK;
}

/* How many rows bring the scarcest source exactly once. */
static uint64_t natural_rows(const struct rows_plan *plan, const double *weights) {
    double fewest = (double)MAX_PHASE_ROWS;
    for (int i = 0; i < plan->n_shares; i++) {
        if (!(weights[i] > 0)) continue;
        const double mine = (double)plan->shares[i].group->n_rows / weights[i];
        if (mine < fewest) fewest = mine;
    }
    return fewest < 1 ? 1 : (uint64_t)fewest;
}

/* Divides n rows by weight: whole parts first, then one each where the fraction cut off was largest, the earlier source
 * first. */
static void divide(struct rows_plan *plan, const double *weights, uint64_t n) {
    double left[DATA_MAX_SOURCES];
    uint64_t given = 0;
    for (int i = 0; i < plan->n_shares; i++) {
        const double exact = weights[i] * (double)n;
        plan->shares[i].n = (uint64_t)exact;
        left[i] = exact - (double)plan->shares[i].n;
        given += plan->shares[i].n;
    }
    while (given < n) {
        int best = -1;
        for (int i = 0; i < plan->n_shares; i++)
            if (weights[i] > 0 && (best < 0 || left[i] > left[best])) best = i;
        plan->shares[best].n++;
        left[best] -= 1;
        given++;
    }
    for (int i = 0; given > n; i = (i + 1) % plan->n_shares) /* a product rounded up past a whole number */
        if (plan->shares[i].n > 0) {
            plan->shares[i].n--;
            given--;
        }
}

/* How many rows of the group earlier plans of the same packing took. */
static uint64_t taken_before(const rows *r, int n_plans, int packing, const struct data_group *group) {
    uint64_t taken = 0;
    for (int p = 0; p < n_plans; p++)
        for (int i = 0; r->plans[p].packing == packing && i < r->plans[p].n_shares; i++)
            if (r->plans[p].shares[i].group == group) taken += r->plans[p].shares[i].n;
    return taken;
}

static cria_status share_rows(const rows *r, const struct rows_phase_options *o, struct rows_plan *plan,
                              struct cria_error *err) {
    double weights[DATA_MAX_SOURCES];
    bool is_weighted;
    uint64_t total = 0;
    double tokens = 0;
    cria_status status = CRIA_OK;
    TRY(find_weights(r, o, plan, weights, &is_weighted, err));
    for (int i = 0; i < plan->n_shares; i++) total += plan->shares[i].group->n_rows;
    if (!is_weighted)
        for (int i = 0; i < plan->n_shares; i++) weights[i] = (double)plan->shares[i].group->n_rows / (double)total;
    plan->face.n_rows = o->n_rows ? o->n_rows : is_weighted ? natural_rows(plan, weights) : total;
    if (plan->face.n_rows > MAX_PHASE_ROWS)
        return ERROR_SET(err, CRIA_RANGE, "a phase has at most 2^48 rows, found %llu",
                         (unsigned long long)plan->face.n_rows);
    if (!is_weighted && plan->face.n_rows == total)
        for (int i = 0; i < plan->n_shares; i++) plan->shares[i].n = plan->shares[i].group->n_rows;
    else divide(plan, weights, plan->face.n_rows);
    uint64_t before = 0;
    for (int i = 0; i < plan->n_shares; i++) {
        struct rows_share *s = &plan->shares[i];
        s->before = before;
        before += s->n;
        tokens += (double)s->n * ((double)s->group->n_tokens / (double)s->group->n_rows);
    }
    plan->face.n_tokens = (uint64_t)(tokens + 0.5);
out:
    return status;
}

static cria_status make_plan(rows *r, int index, const struct rows_phase_options *o, struct cria_error *err) {
    cria_status status = CRIA_OK;
    struct rows_plan *plan = &r->plans[index];
    char number[16];
    snprintf(number, sizeof number, "%d", index + 1);
    const char *name = o->name ? o->name : number;
    plan->name = alloc_text(name, strlen(name));
    if (!plan->name) return ERROR_NOMEM(err, strlen(name), "a phase");
    TRY(find_packing(r, o->seq_len, &plan->packing, err));
    const struct data_packing *p = &r->manifest.packings[plan->packing];
    plan->face.name = plan->name;
    plan->face.seq_len = p->seq_len;
    plan->face.rope_base = o->rope_base;
    plan->shares = alloc_zeroed((size_t)p->n_groups + 1, sizeof *plan->shares);
    if (!plan->shares) return ERROR_NOMEM(err, (size_t)p->n_groups * sizeof *plan->shares, "a phase");
    for (int i = 0; i < p->n_groups; i++) {
        if (p->groups[i].is_held_out != r->is_held_out) continue;
        plan->shares[plan->n_shares++] =
            (struct rows_share){.group = &p->groups[i], .taken = taken_before(r, index, plan->packing, &p->groups[i])};
    }
    if (plan->n_shares == 0)
        return ERROR_SET(err, CRIA_NOTFOUND, "the data has no %s documents", r->is_held_out ? "held-out" : "training");
    TRY(share_rows(r, o, plan, err));
    if (p->seq_len > r->max_length) r->max_length = p->seq_len;
out:
    if (status != CRIA_OK && o->name) error_prefix(err, "phase '%s'", o->name);
    return status;
}

cria_status rows_phases_make(rows *r, const struct rows_options *options, struct cria_error *err) {
    static const struct rows_phase_options defaults;
    cria_status status = CRIA_OK;
    const int n = options->n_phases > 0 ? options->n_phases : 1;
    if (n > ROWS_MAX_PHASES) return ERROR_SET(err, CRIA_LIMIT, "%d phases; at most %d", n, ROWS_MAX_PHASES);
    r->seed = options->seed;
    r->is_held_out = options->held_out;
    r->plans = alloc_zeroed((size_t)n, sizeof *r->plans);
    if (!r->plans) return ERROR_NOMEM(err, (size_t)n * sizeof *r->plans, "phases");
    for (int i = 0; i < n; i++) {
        r->n_plans = i + 1;
        TRY(make_plan(r, i, options->n_phases > 0 ? &options->phases[i] : &defaults, err));
    }
out:
    return status;
}
