/* weight_types_test.c: what compute bf16 costs in accuracy, for every weight type.
 *
 * Compute bf16 lets each stored weight stand for one bf16 number and rounds activations; compute f32 rounds nothing.
 * The mean KL divergence of the first from the second over the same weights is that of the activations' rounding alone
 * where weights are bf16; in the other types the weights' rounding, of the same size, joins it and should make it twice
 * as large (8-bit activations: twenty times). Random weights pass rounding errors on as trained ones do not, so the
 * bound of 3e-4 on the divergence itself is the real model's, in smollm2_test.c. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/random.h"
#include "kit/runner.h"
#include "kit/tiny.h"

#define N_POSITIONS 96
#define N_VOCAB 4096
#define MAX_RATIO 2.6 /* of a type's mean KL divergence and that of bf16 weights */
#define MIN_RATIO 0.5 /* less, and something was not rounded */
#define MAX_BASE_KL 4e-3
#define MIN_ENTROPY_GAP 1.0 /* nats; a model that chooses blindly would hide every error */

static void must(cria_status status, const struct cria_error *err) {
    if (status != CRIA_OK) fail_msg("%s: %s", cria_status_name(status), err->text);
}

/* log of the sum of exponentials, in double. */
static double log_sum(const float *row) {
    double largest = -INFINITY, sum = 0;
    for (int v = 0; v < N_VOCAB; v++) largest = fmax(largest, (double)row[v]);
    for (int v = 0; v < N_VOCAB; v++) sum += exp((double)row[v] - largest);
    return largest + log(sum);
}

/* KL divergence of q from p, from logits; *ret_gap: how far p is from choosing blindly. */
static double divergence(const float *p, const float *q, double *ret_gap) {
    const double p_sum = log_sum(p), q_sum = log_sum(q);
    double kl = 0, entropy = 0;
    for (int v = 0; v < N_VOCAB; v++) {
        const double log_p = (double)p[v] - p_sum;
        kl += exp(log_p) * (log_p - (double)q[v] + q_sum);
        entropy -= exp(log_p) * log_p;
    }
    *ret_gap = log(N_VOCAB) - entropy;
    return kl;
}

static float *logits_of(const char *path, enum llama_compute compute, const int32_t *ids) {
    struct cria_error err = {0};
    struct runner r = {0};
    float *rows = alloc_array((size_t)N_POSITIONS * N_VOCAB, sizeof(float));
    assert_non_null(rows);
    must(runner_open(&r, path, compute, N_POSITIONS, N_POSITIONS, &err), &err);
    must(runner_append(&r, ids, N_POSITIONS, rows, &err), &err);
    runner_close(&r);
    return rows;
}

/* Mean over all positions. */
static double mean_divergence(const char *folder, enum dtype dtype) {
    const struct tiny_model model = {.d_model = 256,
                                     .n_layers = 6,
                                     .n_heads = 4,
                                     .n_kv_heads = 2,
                                     .head_size = 64,
                                     .d_ff = 768,
                                     .n_vocab = N_VOCAB,
                                     .n_context = N_POSITIONS,
                                     .tied = false,
                                     .dtype = dtype,
                                     .seed = 17};
    struct cria_error err = {0};
    int32_t ids[N_POSITIONS];
    for (int i = 0; i < N_POSITIONS; i++) ids[i] = (int32_t)(random_u64(29, RANDOM_TEST, (uint64_t)i) % N_VOCAB);
    char *path = file_join(folder, "model.gguf");
    assert_non_null(path);
    must(tiny_write_gguf(&model, path, &err), &err);
    float *exact = logits_of(path, LLAMA_COMPUTE_F32, ids), *rounded = logits_of(path, LLAMA_COMPUTE_BF16, ids);
    double mean = 0, worst = 0, gap = 0;
    for (int i = 0; i < N_POSITIONS; i++) {
        double row_gap;
        const double kl = divergence(exact + (size_t)i * N_VOCAB, rounded + (size_t)i * N_VOCAB, &row_gap);
        mean += kl / N_POSITIONS;
        gap += row_gap / N_POSITIONS;
        worst = fmax(worst, kl);
    }
    print_message("  %-5s mean KL divergence %.2e, worst %.1e; %.2f nats from blind\n", dtype_name(dtype), mean, worst,
                  gap);
    assert_true(gap > MIN_ENTROPY_GAP);
    alloc_free(exact);
    alloc_free(rounded);
    alloc_free(path);
    return mean;
}

/* Catches: a weight that is not the rounded stored one, but near enough for a greedy answer to stay: a lost minimum, a
 * scale rounded before its product, activations in fewer bits. */
static void every_type(void **state) {
    (void)state;
    char *folder = tiny_folder();
    assert_non_null(folder);
    const double base = mean_divergence(folder, DTYPE_BF16);
    assert_true(base > 0 && base < MAX_BASE_KL);
    for (int d = DTYPE_F32; d < DTYPE_COUNT; d++) {
        if (d == DTYPE_BF16) continue;
        const double ratio = mean_divergence(folder, (enum dtype)d) / base;
        if (!(ratio > MIN_RATIO && ratio < MAX_RATIO))
            fail_msg("%s: %.2f times bf16's", dtype_name((enum dtype)d), ratio);
    }
    tiny_remove(folder);
    alloc_free(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_type)};
    return cmocka_run_group_tests_name("weight types", tests, NULL, NULL);
}
