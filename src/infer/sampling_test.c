/* sampling_test.c: the sampler's choices: their frequencies, each setting's cut, the order of operations, bounds. */
#include "infer/sampling.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

#define V 8
#define SEED 20240611u

/* Probabilities 0.4 0.25 0.15 0.08 0.05 0.04 0.02 0.01, not in the order of ids. */
static const double probability[V] = {0.05, 0.4, 0.02, 0.15, 0.25, 0.01, 0.08, 0.04};

static void make_row(float row[V]) {
    for (int i = 0; i < V; i++) row[i] = (float)log(probability[i]);
}

static void count_draws(const struct sampling *s, const float *row, int n_vocab, int n_draws, int *counts) {
    struct sampling_room room;
    assert_int_equal(sampling_room_init(&room, n_vocab, NULL), CRIA_OK);
    memset(counts, 0, (size_t)n_vocab * sizeof *counts);
    for (int i = 0; i < n_draws; i++) {
        const struct sampling_history history = {.n_answer = 0};
        struct sampling each = *s;
        each.seed = random_u64(SEED, RANDOM_TEST, (uint64_t)i);
        const int32_t id = sampling_choose(&room, &each, row, &history);
        assert_in_range(id, 0, n_vocab - 1);
        counts[id]++;
    }
    sampling_room_deinit(&room);
}

/* The chi-square statistic of counts against shares that sum to 1; ids of share 0 must never be drawn. */
static double chi_square(const int *counts, const double *shares, int n, int n_draws, int *ret_freedom) {
    double sum = 0;
    *ret_freedom = -1;
    for (int i = 0; i < n; i++) {
        const double expected = shares[i] * n_draws;
        if (expected == 0) {
            if (counts[i]) fail_msg("token %d was cut but drawn %d times", i, counts[i]);
            continue;
        }
        sum += (counts[i] - expected) * (counts[i] - expected) / expected;
        ++*ret_freedom;
    }
    return sum;
}

/* keep: a bit for each id that must be left. The limits are the 99.9 % points of the distribution for 1 to 7 degrees.
 */
static void check_shares(const char *what, const struct sampling *s, double temperature, unsigned keep) {
    static const double limit[V] = {0, 10.83, 13.82, 16.27, 18.47, 20.52, 22.46, 24.32};
    const int n_draws = 20000;
    float row[V];
    double shares[V], total = 0;
    int counts[V], freedom;
    make_row(row);
    count_draws(s, row, V, n_draws, counts);
    for (int i = 0; i < V; i++) total += shares[i] = (keep >> i & 1) ? pow(probability[i], 1 / temperature) : 0;
    for (int i = 0; i < V; i++) shares[i] /= total;
    const double statistic = chi_square(counts, shares, V, n_draws, &freedom);
    if (freedom > 0 && statistic > limit[freedom])
        fail_msg("%s: chi-square %g, limit %g (seed %u)", what, statistic, limit[freedom], SEED);
}

/* Catches: a share of the wrong size, a cut one too early or too late, settings taken in another order. */
static void draws_follow_the_distribution(void **state) {
    (void)state;
    struct sampling s = sampling_greedy();
    s.temperature = 1;
    check_shares("all", &s, 1, 0xff);
    s.temperature = 2;
    check_shares("temperature 2", &s, 2, 0xff);
    s.temperature = 0.5f;
    check_shares("temperature 0.5", &s, 0.5, 0xff);
    s.temperature = 1;
    s.top_k = 3; /* 0.4 (1), 0.25 (4), 0.15 (3) */
    check_shares("top_k 3", &s, 1, 1 << 1 | 1 << 4 | 1 << 3);
    s.top_p = 0.82f; /* of 0.8: the sums before them are 0, 0.5, 0.8125 */
    check_shares("top_k 3, top_p 0.82", &s, 1, 1 << 1 | 1 << 4 | 1 << 3);
    s.top_p = 0.8f;
    check_shares("top_k 3, top_p 0.8", &s, 1, 1 << 1 | 1 << 4);
    s.top_k = 0;
    s.top_p = 0.7f; /* sums before: 0, 0.4, 0.65, 0.8 */
    check_shares("top_p 0.7", &s, 1, 1 << 1 | 1 << 4 | 1 << 3);
    s.top_p = 1;
    s.min_p = 0.3f; /* 0.12 and more */
    check_shares("min_p 0.3", &s, 1, 1 << 1 | 1 << 4 | 1 << 3);
    s.temperature = 2; /* roots: 0.632, so 0.19 and more: 0.036 and more before */
    check_shares("temperature 2, min_p 0.3", &s, 2, 1 << 1 | 1 << 4 | 1 << 3 | 1 << 6 | 1 << 0 | 1 << 7);
}

/* Typical sampling leaves out the most likely token where it says less than the entropy. H = 1.603 nats here; surprises
 * by id: 3.00 0.916 3.91 1.90 1.386 4.61 2.53 3.22; nearest first: 4 (0.22), 3 (0.29), 1 (0.69), 6 (0.92), 0 (1.39). */
static void typical_keeps_what_is_near_the_entropy(void **state) {
    (void)state;
    struct sampling s = sampling_greedy();
    s.temperature = 1;
    s.typical_p = 0.3f;
    check_shares("typical_p 0.3", &s, 1, 1 << 3 | 1 << 4);
    s.typical_p = 0.1f;
    check_shares("typical_p 0.1", &s, 1, 1 << 4);
    s.typical_p = 0.85f;
    check_shares("typical_p 0.85", &s, 1, 1 << 3 | 1 << 4 | 1 << 1 | 1 << 6);
}

static int32_t choose(const struct sampling *s, const float *row, int n_vocab, const struct sampling_history *history) {
    struct sampling_room room;
    assert_int_equal(sampling_room_init(&room, n_vocab, NULL), CRIA_OK);
    const int32_t id = sampling_choose(&room, s, row, history);
    sampling_room_deinit(&room);
    return id;
}

/* Catches ties that go to the higher id, in the greedy choice and in the order of the kept. */
static void ties_go_to_the_lower_id(void **state) {
    (void)state;
    const float row[V] = {1, 3, 3, 2, 3, 0, 0, 0};
    const struct sampling_history history = {.n_answer = 0};
    struct sampling s = sampling_greedy();
    assert_int_equal(choose(&s, row, V, &history), 1);
    s.temperature = 1;
    s.top_k = 2; /* of the three equal ones 1 and 2 */
    for (s.seed = 0; s.seed < 64; s.seed++) assert_in_range(choose(&s, row, V, &history), 1, 2);
}

/* Catches a penalty that is multiplied the wrong way for negative scores, counted twice, or reaches beyond its window.
 */
static void penalties_act_inside_their_window(void **state) {
    (void)state;
    const int32_t prompt[] = {0, 0, 0}, answer[] = {1, 2};
    const struct sampling_history history = {prompt, answer, 3, 2};
    const float row[4] = {2.0f, 1.9f, -1.0f, 0.9f};
    struct sampling s = sampling_greedy();
    assert_int_equal(choose(&s, row, 4, &history), 0);
    s.frequency_penalty = 0.1f; /* 1.7, 1.8, -1.1, 0.9 */
    assert_int_equal(choose(&s, row, 4, &history), 1);
    s.penalty_window = 2; /* 2.0 again: only the answer counts */
    assert_int_equal(choose(&s, row, 4, &history), 0);
    s = sampling_greedy();
    s.presence_penalty = 1.2f; /* 0.8, 0.7, -2.2, 0.9 */
    assert_int_equal(choose(&s, row, 4, &history), 3);
    s = sampling_greedy();
    s.repetition_penalty = 4; /* 0.5, 0.475, -4, 0.9 */
    assert_int_equal(choose(&s, row, 4, &history), 3);
    const float low[4] = {-1, -1.5f, -2, -3.5f};
    assert_int_equal(choose(&s, low, 4, &history), 3); /* -4, -6, -8, -3.5 */
}

/* Catches a bias that is lost in greedy choice or taken before the penalties. */
static void biases_move_the_choice(void **state) {
    (void)state;
    const struct sampling_bias biases[] = {{3, 5}, {0, -100}};
    const float row[4] = {9, 1, 2, 4.5f};
    const int32_t prompt[] = {3};
    const struct sampling_history history = {prompt, NULL, 1, 0};
    struct sampling s = sampling_greedy();
    s.biases = biases;
    s.n_biases = 2;
    s.repetition_penalty = 10; /* 0.45 + 5; (4.5 + 5) / 10 would lose to 2 */
    assert_int_equal(choose(&s, row, 4, &history), 3);
}

/* A slow and plain sampler: the whole vocabulary sorted. Catches a heap that loses or repeats entries. */
static int32_t plain_choice(const struct sampling *s, const float *row, int n, uint64_t index) {
    int order[300];
    double weight[300], total = 0, sum = 0;
    for (int i = 0; i < n; i++) {
        int at = i;
        for (; at > 0 && row[order[at - 1]] < row[i]; at--) order[at] = order[at - 1];
        order[at] = i;
    }
    for (int i = 0; i < n; i++)
        weight[i] = exp(((double)row[order[i]] - (double)row[order[0]]) / (double)s->temperature);
    const int n_top = s->top_k > 0 && s->top_k < n ? s->top_k : n;
    for (int i = 0; i < n_top; i++) total += weight[i];
    int kept = 0;
    double kept_total = 0;
    while (kept < n_top && (kept == 0 || kept_total <= (double)s->top_p * total)) kept_total += weight[kept++];
    const double u = random_unit(s->seed, RANDOM_SAMPLING, index) * kept_total;
    for (int i = 0; i < kept; i++)
        if (u < (sum += weight[i])) return order[i];
    return order[kept - 1];
}

static void choices_equal_a_plain_sampler(void **state) {
    (void)state;
    enum { N = 300 };
    struct sampling_room room;
    assert_int_equal(sampling_room_init(&room, N, NULL), CRIA_OK);
    for (int round = 0; round < 400; round++) {
        float row[N];
        for (int i = 0; i < N; i++) row[i] = (float)(random_u64(SEED, RANDOM_TEST, (uint64_t)(round * N + i)) % 64) / 8;
        struct sampling s = sampling_greedy();
        s.temperature = 0.25f + (float)(round % 7) / 4;
        s.top_k = round % 3 ? round % 40 : 0;
        s.top_p = round % 4 ? 1 - (float)(round % 10) / 10 : 1;
        s.seed = (uint64_t)round;
        const struct sampling_history history = {.n_answer = round % 5};
        const int32_t got = sampling_choose(&room, &s, row, &history),
                      wanted = plain_choice(&s, row, N, (uint64_t)(round % 5));
        if (got != wanted)
            fail_msg("round %d: token %d, the plain sampler takes %d (seed %u)", round, got, wanted, SEED);
    }
    sampling_room_deinit(&room);
}

/* Catches a check that lets a value through or refuses one at its bound. */
static void settings_are_checked_at_their_bounds(void **state) {
    (void)state;
    struct cria_error err;
    struct sampling s = sampling_greedy();
    assert_int_equal(sampling_check(&s, V, &err), CRIA_OK);
    s.top_p = s.min_p = s.typical_p = 0;
    assert_int_equal(sampling_check(&s, V, &err), CRIA_OK);
    const struct {
        float temperature, top_p;
        int top_k, window;
        const char *name;
    } bad[] = {
        {-0.1f, 1, 0, 0, "temperature"}, {100.1f, 1, 0, 0, "temperature"}, {NAN, 1, 0, 0, "temperature"},
        {1, 1.01f, 0, 0, "top_p"},       {1, 1, -1, 0, "top_k"},           {1, 1, 0, -1, "penalty_window"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        s = sampling_greedy();
        s.temperature = bad[i].temperature;
        s.top_p = bad[i].top_p;
        s.top_k = bad[i].top_k;
        s.penalty_window = bad[i].window;
        assert_int_equal(sampling_check(&s, V, &err), CRIA_RANGE);
        assert_non_null(strstr(err.text, bad[i].name));
    }
    struct sampling_bias bias = {V, 1};
    s = sampling_greedy();
    s.biases = &bias;
    s.n_biases = 1;
    assert_int_equal(sampling_check(&s, V, &err), CRIA_RANGE);
    bias = (struct sampling_bias){V - 1, 101};
    assert_int_equal(sampling_check(&s, V, &err), CRIA_RANGE);
    bias.bias = 100;
    assert_int_equal(sampling_check(&s, V, &err), CRIA_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_follow_the_distribution),
        cmocka_unit_test(typical_keeps_what_is_near_the_entropy),
        cmocka_unit_test(ties_go_to_the_lower_id),
        cmocka_unit_test(penalties_act_inside_their_window),
        cmocka_unit_test(biases_move_the_choice),
        cmocka_unit_test(choices_equal_a_plain_sampler),
        cmocka_unit_test(settings_are_checked_at_their_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
