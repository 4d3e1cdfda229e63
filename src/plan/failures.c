/* failures.c: rates by cause, the best interval between checkpoints, and what is left of the time (failures.h).
 *
 * Where the rates come from. The split by cause is that of the 419 unplanned interruptions in 54 days on 16,384 H100 in
 * 2,048 nodes (Llama 3 Herd of Models, table 5). The level is not that run's alone: published clusters lie between 2.3
 * and 8.5 failures in 1,000 node-days (RSC-2 2.3, BLOOM 3.0, Llama 3 3.8, Imbue 4.3, RSC-1 6.5, a provider of
 * H200 8.5); the table stands at the geometric mean of the two H100 training clusters, 4.04, and rate_spread 0.45
 * covers the others: exp(0.45) = 1.57. Planned interruptions are a job's own: 47 in those 54 days. */
#include "plan/failures.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/random.h"

/* Interruptions of the published split, and the chips, nodes and links that they were counted on for 54 days. */
#define SPLIT_TOTAL 419.0
#define NODE_DAYS (2048.0 * 54)
#define LEVEL (4.04e-3 * NODE_DAYS / SPLIT_TOTAL) /* of the table against the split's own rate */
#define HOURS (54.0 * 24)
#define CHIP(n) (LEVEL * (n) / (16384 * HOURS))
#define NODE(n) (LEVEL * (n) / (2048 * HOURS))

static const struct failures_cause causes[] = {
    {"faulty chip", FAILURES_PART_CHIP, CHIP(148), false},
    {"chip memory (HBM)", FAILURES_PART_CHIP, CHIP(72), false},
    {"chip SRAM", FAILURES_PART_CHIP, CHIP(19), false},
    {"chip system processor", FAILURES_PART_CHIP, CHIP(17), false},
    {"silent data corruption", FAILURES_PART_CHIP, CHIP(6), false},
    {"heat", FAILURES_PART_CHIP, CHIP(6), false},
    {"software", FAILURES_PART_CHIP, CHIP(54 + 7 + 2), false},
    {"switch or cable", FAILURES_PART_LINK, CHIP(35), false},
    {"host maintenance", FAILURES_PART_NODE, NODE(32), false},
    {"host parts (NIC, disk, power, board, CPU, memory)", FAILURES_PART_NODE, NODE(7 + 3 + 3 + 2 + 2 + 2 + 2), false},
    {"planned maintenance and operators", FAILURES_PART_NODE, 47 / (2048 * HOURS), true},
};

const struct failures_cause *failures_cause(int i) {
    return i >= 0 && i < (int)(sizeof causes / sizeof *causes) ? &causes[i] : NULL;
}

const char *failures_source(void) {
    return "split by cause: Llama 3 Herd of Models, table 5; level: geometric mean of Llama 3 (3.8) and Imbue (4.3) "
           "failures in 1,000 node-days, other published clusters lie between 2.3 and 8.5";
}

struct failures_job failures_usual_job(double n_chips, double n_parameters) {
    /* Storage grows with the cluster: Llama 3 had 2 TB/s sustained for 16,384 chips. A copy over PCIe gen 5 reaches
     * some 25 of 64 GB/s when eight chips share two sockets. */
    return (struct failures_job){.n_chips = n_chips,
                                 .chips_per_node = 8,
                                 .rate_scale = 1,
                                 .rate_spread = 0.45,
                                 .checkpoint_bytes = 14 * n_parameters,
                                 .storage_bytes_per_s = fmax(2e9, n_chips * 2e12 / 16384),
                                 .host_copy_bytes_per_s = 25e9,
                                 .pause_s = 5,
                                 .is_async = true,
                                 .detect_s = 120,
                                 .replace_s = 120,
                                 .warm_s = 90,
                                 .n_readers = 1};
}

static cria_status check(const struct failures_job *job, struct cria_error *err) {
    const struct {
        const char *name;
        double value, min, max;
    } rows[] = {
        {"chips", job->n_chips, 1, 1e8},
        {"chips a node", job->chips_per_node, 1, 1e5},
        {"rate scale", job->rate_scale, 0, 1e4},
        {"rate spread", job->rate_spread, 0, 3},
        {"checkpoint bytes", job->checkpoint_bytes, 0, 1e18},
        {"storage bytes/s", job->storage_bytes_per_s, 1, 1e18},
        {"host copy bytes/s", job->host_copy_bytes_per_s, 1, 1e15},
        {"checkpoint pause s", job->pause_s, 0, 1e6},
        {"detection s", job->detect_s, 0, 1e7},
        {"replacement s", job->replace_s, 0, 1e7},
        {"warm-up s", job->warm_s, 0, 1e7},
        {"checkpoint readers", job->n_readers, 0, 1e8},
        {"checkpoint interval s", job->interval_s, 0, 1e9},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!(rows[i].value >= rows[i].min && rows[i].value <= rows[i].max))
            return ERROR_SET(err, CRIA_RANGE, "%s of a job must lie between %g and %g, not %g", rows[i].name,
                             rows[i].min, rows[i].max, rows[i].value);
    return CRIA_OK;
}

static double parts_of(const struct failures_job *job, enum failures_part part) {
    switch (part) {
        case FAILURES_PART_CHIP:
        case FAILURES_PART_LINK:
            return job->n_chips;
        default:
            return ceil(job->n_chips / job->chips_per_node);
    }
}

/* Interruptions a second. */
static void sum_rates(const struct failures_job *job, double *ret_sudden, double *ret_planned) {
    *ret_sudden = *ret_planned = 0;
    for (size_t i = 0; i < sizeof causes / sizeof *causes; i++) {
        const double rate = job->rate_scale * causes[i].per_part_hour * parts_of(job, causes[i].part) / 3600;
        *(causes[i].is_planned ? ret_planned : ret_sudden) += rate;
    }
}

/* Daly (2006), equation 37; beyond a stall of twice the MTBF nothing helps, and one checkpoint an MTBF is the form's
 * own limit. */
static double daly_interval(double stall_s, double mtbf_s) {
    const double x = stall_s / (2 * mtbf_s);
    return x >= 1 ? mtbf_s : sqrt(2 * stall_s * mtbf_s) * (1 + sqrt(x) / 3 + x / 9) - stall_s;
}

/* Where the time goes, exactly for interruptions without memory. A cycle is up for a time of mean M = 1 / rate, then
 * down. Up, a checkpoint of stall_s follows each interval_s of work; a sudden end keeps the whole periods P that were
 * written by then, whose mean number is exp(-write / M) q / (1 - q) with q = exp(-P / M); a planned end keeps all. */
static void share_out(const struct failures_job *job, double sudden, double planned, struct failures_estimate *e) {
    const double rate = sudden + planned, period = e->interval_s + e->stall_s, working = e->interval_s / period;
    e->lost_checkpoint = 1 - working;
    e->goodput = working;
    if (rate <= 0) return;
    const double p = planned / rate, write_s = job->is_async ? e->write_s : 0;
    const double kept_periods = exp(-rate * write_s) / expm1(rate * period);
    const double useful_s = (1 - p) * kept_periods * e->interval_s + p * working / rate;
    /* Nobody has to notice a planned stop, and it writes a checkpoint first. */
    const double down_s = e->restart_s - p * job->detect_s + p * e->stall_s, cycle_s = 1 / rate + down_s;
    e->goodput = useful_s / cycle_s;
    e->lost_checkpoint = (1 - working) / rate / cycle_s;
    e->lost_restart = down_s / cycle_s;
    e->lost_rework = fmax(0, 1 - e->goodput - e->lost_checkpoint - e->lost_restart);
}

static struct failures_estimate estimate(const struct failures_job *job) {
    struct failures_estimate e = {0};
    double sudden, planned;
    sum_rates(job, &sudden, &planned);
    e.per_day = (sudden + planned) * 86400;
    e.planned_per_day = planned * 86400;
    e.mtbf_s = sudden > 0 ? 1 / sudden : 1e12;
    e.write_s = job->checkpoint_bytes / job->storage_bytes_per_s;
    const double copy_s = job->checkpoint_bytes / job->n_chips / job->host_copy_bytes_per_s;
    e.stall_s = job->pause_s + (job->is_async ? copy_s : e.write_s);
    e.restart_s = job->detect_s + job->replace_s + job->warm_s + job->n_readers * e.write_s;
    e.young_s = sqrt(2 * e.stall_s * e.mtbf_s);
    e.daly_s = daly_interval(e.stall_s, e.mtbf_s);
    e.interval_s = job->interval_s > 0 ? job->interval_s : e.daly_s;
    /* The next checkpoint cannot begin before the last one is written, and an interval of nothing is no interval. */
    if (job->is_async) e.interval_s = fmax(e.interval_s, e.write_s);
    e.interval_s = fmax(e.interval_s, 1);
    share_out(job, sudden, planned, &e);
    return e;
}

cria_status failures_expect(const struct failures_job *job, struct failures_estimate *ret, struct cria_error *err) {
    const cria_status status = check(job, err);
    if (status == CRIA_OK) *ret = estimate(job);
    return status;
}

/* One trial's stream of random numbers. */
struct stream {
    uint64_t seed, at;
};

static double draw_unit(struct stream *s) { return random_unit(s->seed, RANDOM_TEST, s->at++); }

static double draw_exponential(struct stream *s, double mean) { return -mean * log1p(-draw_unit(s)); }

/* Box and Muller's cosine half. */
static double draw_normal(struct stream *s) {
    const double radius = sqrt(-2 * log1p(-draw_unit(s)));
    return radius * cos(6.283185307179586 * draw_unit(s));
}

struct trial {
    double goodput, interruptions, longest_gap_s;
};

/* Useful seconds of `up` seconds without interruption that ended suddenly: whole intervals whose checkpoint is
 * complete. */
static double useful_part(const struct failures_estimate *e, double up, double write_s) {
    const double period = e->interval_s + e->stall_s;
    const double n_periods = floor((up - write_s) / period);
    return n_periods > 0 ? n_periods * e->interval_s : 0;
}

static struct trial run_trial(const struct failures_job *job, const struct failures_estimate *e, double seconds,
                              struct stream *s) {
    struct trial t = {0};
    const double scale = exp(job->rate_spread * draw_normal(s) - job->rate_spread * job->rate_spread / 2);
    const double sudden = scale / e->mtbf_s, planned = e->planned_per_day / 86400;
    const double rate = sudden + planned, write_s = job->is_async ? e->write_s : 0;
    const double useful_rate = e->interval_s / (e->interval_s + e->stall_s);
    double now = 0, useful = 0, gap = 0;
    /* So many failures that a restart almost never ends. */
    if (rate * e->restart_s > 5) return t;
    while (now < seconds) {
        const double up = rate > 0 ? draw_exponential(s, 1 / rate) : seconds;
        if (now + up >= seconds) {
            useful += (seconds - now) * useful_rate;
            break;
        }
        const bool is_planned = draw_unit(s) * rate < planned;
        const double kept = is_planned ? up * useful_rate : useful_part(e, up, write_s);
        /* A run that was lost whole makes the gap longer; a failure while restarting is the next round's short `up`. */
        const double down = is_planned ? e->restart_s - job->detect_s + e->stall_s : e->restart_s;
        gap = kept > 0 ? down : gap + up + down;
        t.longest_gap_s = fmax(t.longest_gap_s, gap);
        t.interruptions++;
        useful += kept;
        now += up + down;
    }
    t.goodput = fmin(useful / seconds, 1);
    return t;
}

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts values. */
static struct failures_quantiles quantiles_of(double *values, int n) {
    double sum = 0;
    qsort(values, (size_t)n, sizeof *values, compare_doubles);
    for (int i = 0; i < n; i++) sum += values[i];
    return (struct failures_quantiles){.p5 = values[(int)(0.05 * (n - 1))],
                                       .p10 = values[(int)(0.10 * (n - 1))],
                                       .p50 = values[(int)(0.50 * (n - 1))],
                                       .p90 = values[(int)(0.90 * (n - 1))],
                                       .p95 = values[(int)(0.95 * (n - 1))],
                                       .mean = sum / n};
}

/* sorted: goodput of each trial. */
static void fill_bins(struct failures_distribution *d, const double *sorted) {
    const double low = sorted[0], high = sorted[d->n_trials - 1];
    d->bin_from = low;
    d->bin_width = fmax((high - low) / FAILURES_BINS, 1e-9);
    for (int i = 0; i < d->n_trials; i++) {
        const int bin = (int)((sorted[i] - low) / d->bin_width);
        d->bins[bin < FAILURES_BINS ? bin : FAILURES_BINS - 1]++;
    }
}

cria_status failures_simulate(const struct failures_job *job, double days, int n_trials, uint64_t seed,
                              struct failures_distribution *ret, struct cria_error *err) {
    struct failures_distribution d = {.n_trials = n_trials, .days = days};
    double *values = NULL;
    cria_status status;
    TRY(check(job, err));
    if (n_trials < 1 || n_trials > FAILURES_MAX_TRIALS)
        TRY(ERROR_SET(err, CRIA_RANGE, "%d trials of failures: 1 to %d", n_trials, FAILURES_MAX_TRIALS));
    if (!(days > 0 && days <= 36525))
        TRY(ERROR_SET(err, CRIA_RANGE, "%g days of failures: more than 0, at most 36525", days));
    values = alloc_array((size_t)n_trials, 3 * sizeof *values);
    if (!values) TRY(ERROR_NOMEM(err, (size_t)n_trials * 3 * sizeof *values, "trials of failures"));
    d.at = estimate(job);
    double *const goodput = values, *const interruptions = values + n_trials, *const gaps = values + 2 * n_trials;
    for (int i = 0; i < n_trials; i++) {
        struct stream s = {.seed = seed, .at = (uint64_t)i << 36};
        const struct trial t = run_trial(job, &d.at, days * 86400, &s);
        goodput[i] = t.goodput;
        interruptions[i] = t.interruptions;
        gaps[i] = t.longest_gap_s;
    }
    d.goodput = quantiles_of(goodput, n_trials);
    d.interruptions = quantiles_of(interruptions, n_trials);
    d.longest_gap_s = quantiles_of(gaps, n_trials);
    fill_bins(&d, goodput);
    *ret = d;
out:
    alloc_free(values);
    return status;
}
