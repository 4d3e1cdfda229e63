/* sampling.c: see sampling.h. */
#include "infer/sampling.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/random.h"
#include "base/realmath.h"

struct sampling sampling_greedy(void) {
    return (struct sampling){.top_p = 1, .typical_p = 1, .repetition_penalty = 1};
}

/* Bounds of the settings that are floats; a NaN is outside any bounds. */
static cria_status check_floats(const struct sampling *s, struct cria_error *err) {
    const struct {
        const char *name;
        float value, low, high;
    } rows[] = {
        {"temperature", s->temperature, 0, 100},
        {"top_p", s->top_p, 0, 1},
        {"min_p", s->min_p, 0, 1},
        {"typical_p", s->typical_p, 0, 1},
        {"repetition_penalty", s->repetition_penalty, 0.01f, 100},
        {"presence_penalty", s->presence_penalty, -100, 100},
        {"frequency_penalty", s->frequency_penalty, -100, 100},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (!(rows[i].value >= rows[i].low && rows[i].value <= rows[i].high))
            return ERROR_SET(err, CRIA_RANGE, "%s is %g; it must be from %g to %g", rows[i].name, (double)rows[i].value,
                             (double)rows[i].low, (double)rows[i].high);
    return CRIA_OK;
}

cria_status sampling_check(const struct sampling *s, int32_t n_vocab, struct cria_error *err) {
    const cria_status status = check_floats(s, err);
    if (status != CRIA_OK) return status;
    if (s->top_k < 0) return ERROR_SET(err, CRIA_RANGE, "top_k is %d; it must be 0 (off) or more", s->top_k);
    if (s->penalty_window < 0)
        return ERROR_SET(err, CRIA_RANGE, "penalty_window is %d; it must be 0 (all tokens) or more", s->penalty_window);
    if (s->n_biases < 0 || s->n_biases > SAMPLING_MAX_BIASES)
        return ERROR_SET(err, CRIA_RANGE, "%d logit biases; there may be 0 to %d", s->n_biases, SAMPLING_MAX_BIASES);
    for (int i = 0; i < s->n_biases; i++) {
        const struct sampling_bias b = s->biases[i];
        if (b.id < 0 || b.id >= n_vocab)
            return ERROR_SET(err, CRIA_RANGE, "logit bias for token %d; ids are 0 to %d", b.id, n_vocab - 1);
        if (!(b.bias >= -100 && b.bias <= 100))
            return ERROR_SET(err, CRIA_RANGE, "logit bias of token %d is %g; it must be from -100 to 100", b.id,
                             (double)b.bias);
    }
    return CRIA_OK;
}

cria_status sampling_room_init(struct sampling_room *room, int32_t n_vocab, struct cria_error *err) {
    const size_t n = (size_t)n_vocab;
    struct sampling_room r = {.n_vocab = n_vocab};
    r.scores = alloc_array(n, sizeof *r.scores);
    r.counts = alloc_zeroed(n, sizeof *r.counts);
    r.heap.items = alloc_array(n, sizeof *r.heap.items);
    r.order = alloc_array(n, sizeof *r.order);
    r.weights = alloc_array(n, sizeof *r.weights);
    r.deviations = alloc_array(n, sizeof *r.deviations);
    r.typical.items = alloc_array(n, sizeof *r.typical.items);
    if (!r.scores || !r.counts || !r.heap.items || !r.order || !r.weights || !r.deviations || !r.typical.items) {
        sampling_room_deinit(&r);
        return ERROR_NOMEM(err, n * (3 * sizeof(double) + 4 * sizeof(int32_t)), "the sampler");
    }
    *room = r;
    return CRIA_OK;
}

void sampling_room_deinit(struct sampling_room *room) {
    alloc_free(room->scores);
    alloc_free(room->counts);
    alloc_free(room->heap.items);
    alloc_free(room->order);
    alloc_free(room->weights);
    alloc_free(room->deviations);
    alloc_free(room->typical.items);
    memset(room, 0, sizeof *room);
}

/* A heap gives entries in order as they are asked for: few of a large vocabulary are ever needed. */
static int is_before(const struct sampling_heap *h, int32_t a, int32_t b) {
    return h->key[a] > h->key[b] || (h->key[a] == h->key[b] && a < b);
}

static void heap_sink(struct sampling_heap *h, int32_t at) {
    const int32_t item = h->items[at];
    for (;;) {
        int64_t child = 2 * (int64_t)at + 1;
        if (child >= h->n) break;
        if (child + 1 < h->n && is_before(h, h->items[child + 1], h->items[child])) child++;
        if (!is_before(h, h->items[child], item)) break;
        h->items[at] = h->items[child];
        at = (int32_t)child;
    }
    h->items[at] = item;
}

/* Makes a heap of the n items that stand in h. */
static void heap_order(struct sampling_heap *h, const double *key, int32_t n) {
    h->key = key;
    h->n = n;
    for (int32_t i = n / 2; i-- > 0;) heap_sink(h, i);
}

static int32_t heap_pop(struct sampling_heap *h) {
    const int32_t top = h->items[0];
    h->items[0] = h->items[--h->n];
    if (h->n) heap_sink(h, 0);
    return top;
}

static bool has_penalty(const struct sampling *s) {
    return s->repetition_penalty != 1 || s->presence_penalty != 0 || s->frequency_penalty != 0;
}

/* Steps 1 and 2. */
static void score_row(struct sampling_room *room, const struct sampling *s, const float *row,
                      const struct sampling_history *h) {
    for (int32_t id = 0; id < room->n_vocab; id++) room->scores[id] = (double)row[id];
    const bool is_penalised = has_penalty(s);
    const int64_t n = h->n_prompt + h->n_answer;
    const int64_t first = s->penalty_window > 0 && s->penalty_window < n ? n - s->penalty_window : 0;
    for (int64_t i = first; is_penalised && i < n; i++)
        room->counts[i < h->n_prompt ? h->prompt[i] : h->answer[i - h->n_prompt]]++;
    for (int64_t i = first; is_penalised && i < n; i++) {
        const int32_t id = i < h->n_prompt ? h->prompt[i] : h->answer[i - h->n_prompt];
        if (room->counts[id] == 0) continue;
        double *score = &room->scores[id];
        *score = *score > 0 ? *score / (double)s->repetition_penalty : *score * (double)s->repetition_penalty;
        *score -= (double)s->presence_penalty + room->counts[id] * (double)s->frequency_penalty;
        room->counts[id] = 0;
    }
    for (int i = 0; i < s->n_biases; i++) room->scores[s->biases[i].id] += (double)s->biases[i].bias;
}

static int32_t highest_score(const struct sampling_room *room) {
    int32_t best = 0;
    double highest = room->scores[0];
    for (int32_t id = 1; id < room->n_vocab; id++) {
        if (room->scores[id] <= highest) continue;
        highest = room->scores[id];
        best = id;
    }
    return best;
}

/* The same of the raw row: the usual greedy choice needs no scores, and is made for every token. */
static int32_t highest_logit(const float *row, int32_t n_vocab) {
    int32_t best = 0;
    float highest = row[0];
    for (int32_t id = 1; id < n_vocab; id++) {
        if (row[id] <= highest) continue;
        highest = row[id];
        best = id;
    }
    return best;
}

/* Step 3. e^x of two numbers that are not above 0, relative error below 1e-13; 0 below -700. Plain IEEE operations: the
 * same bits wherever it runs. It is written in pairs because a weight for each token of the vocabulary is the sampler's
 * cost: 2^n e^r with n the nearest integer to x / ln 2, and r in Taylor's series. */
typedef double pair __attribute__((vector_size(16)));
typedef int64_t pair_bits __attribute__((vector_size(16)));

static pair exp_pair(pair x) {
    const double to_integer = 0x1.8p52; /* added and taken away, it rounds; its last bits hold n */
    const pair shifted = x * 0x1.71547652b82fep0 + to_integer;
    const pair n = shifted - to_integer;
    const pair r = x - n * 0x1.62e42fee00000p-1 - n * 0x1.a39ef35793c76p-33;
    pair p = r * (1.0 / 3628800) + 1.0 / 362880;
    p = p * r + 1.0 / 40320;
    p = p * r + 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    const pair_bits scaled = (pair_bits)p + ((pair_bits)shifted << 52);
    return (pair)(scaled & (x >= -700.0));
}

static double weight_of(const struct sampling_room *room, int32_t id) {
    const double x = (room->scores[id] - room->highest) / room->temperature;
    return exp_pair((pair){x, x})[0];
}

/* The weights of all tokens, added in the order of ids. */
static double total_weight(const struct sampling_room *room) {
    double total = 0;
    int32_t id = 0;
    for (; id + 1 < room->n_vocab; id += 2) {
        const pair scores = {room->scores[id], room->scores[id + 1]};
        const pair weights = exp_pair((scores - room->highest) / room->temperature);
        total += weights[0];
        total += weights[1];
    }
    return id < room->n_vocab ? total + weight_of(room, id) : total;
}

/* Few entries are ever asked for: those within NEAR temperatures of the highest are put in order first, the others only
 * when these are used up. */
#define NEAR 8.0

static void order_near(struct sampling_room *room, bool is_near) {
    const double limit = room->highest - NEAR * room->temperature;
    int32_t n = 0;
    for (int32_t id = 0; id < room->n_vocab; id++) {
        if ((room->scores[id] >= limit) == is_near) room->heap.items[n++] = id;
    }
    heap_order(&room->heap, room->scores, n);
}

/* The weight of the i-th entry in descending order, which is found now where nobody asked for it before. */
static double weight_at(struct sampling_room *room, int32_t i) {
    while (room->n_ordered <= i) {
        if (room->heap.n == 0) order_near(room, false);
        const int32_t id = heap_pop(&room->heap);
        room->order[room->n_ordered] = id;
        room->weights[room->n_ordered++] = weight_of(room, id);
    }
    return room->weights[i];
}

/* Step 4: also the first total. */
static void keep_top_k(struct sampling_room *room, int top_k) {
    room->n_kept = room->n_vocab;
    if (top_k > 0 && top_k < room->n_vocab) {
        room->n_kept = top_k;
        room->total = 0;
        for (int32_t i = 0; i < top_k; i++) room->total += weight_at(room, i);
    } else {
        room->total = total_weight(room);
    }
}

/* Steps 5 and 6. Each cuts the descending list once. */
static void keep_nucleus(struct sampling_room *room, const struct sampling *s) {
    if (s->top_p >= 1 && s->min_p <= 0) return;
    const double limit = s->top_p < 1 ? (double)s->top_p * room->total : INFINITY;
    const double floor_weight = s->min_p > 0 ? (double)s->min_p * weight_at(room, 0) : -1;
    double sum = weight_at(room, 0);
    int32_t i = 1;
    while (i < room->n_kept && sum <= limit && weight_at(room, i) >= floor_weight) sum += weight_at(room, i++);
    room->n_kept = i;
    room->total = sum;
}

/* Step 7. The kept places are put back into descending order. */
static void keep_typical(struct sampling_room *room, double mass) {
    double entropy = 0;
    const double log_total = realmath_log(room->total);
    for (int32_t i = 0; i < room->n_kept; i++) {
        const double share = weight_at(room, i) / room->total;
        const double surprise = log_total - (room->scores[room->order[i]] - room->highest) / room->temperature;
        room->deviations[i] = surprise;
        if (share > 0) entropy += share * surprise;
    }
    for (int32_t i = 0; i < room->n_kept; i++) room->deviations[i] = -fabs(room->deviations[i] - entropy);
    for (int32_t i = 0; i < room->n_kept; i++) room->typical.items[i] = i;
    heap_order(&room->typical, room->deviations, room->n_kept);
    const double limit = mass * room->total;
    double sum = 0;
    while (room->typical.n > 0 && (sum == 0 || sum < limit)) {
        const int32_t place = heap_pop(&room->typical);
        sum += room->weights[place];
        room->counts[place] = 1;
    }
    int32_t n = 0;
    room->total = 0;
    for (int32_t i = 0; i < room->n_kept; i++) {
        if (room->counts[i]) {
            room->order[n] = room->order[i];
            room->weights[n] = room->weights[i];
            room->total += room->weights[n++];
        }
        room->counts[i] = 0;
    }
    room->n_kept = n;
}

/* Step 8. Rounding may leave u beyond the last running share: then the last entry with any weight is meant. */
static int32_t draw(struct sampling_room *room, double u) {
    double sum = 0;
    int32_t last = 0;
    for (int32_t i = 0; i < room->n_kept; i++) {
        const double weight = weight_at(room, i);
        if (weight <= 0) break;
        last = i;
        sum += weight;
        if (u * room->total < sum) break;
    }
    return room->order[last];
}

int32_t sampling_choose(struct sampling_room *room, const struct sampling *s, const float *row,
                        const struct sampling_history *history) {
    if (s->temperature == 0 && !has_penalty(s) && s->n_biases == 0) return highest_logit(row, room->n_vocab);
    score_row(room, s, row, history);
    const int32_t best = highest_score(room);
    if (s->temperature == 0) return best;
    room->highest = room->scores[best];
    room->temperature = (double)s->temperature;
    room->n_ordered = 0;
    order_near(room, true);
    keep_top_k(room, s->top_k);
    keep_nucleus(room, s);
    if (s->typical_p < 1) keep_typical(room, (double)s->typical_p);
    weight_at(room, 0);
    return draw(room, random_unit(s->seed, RANDOM_SAMPLING, (uint64_t)history->n_answer));
}
