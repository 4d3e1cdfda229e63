/* golden_test.c: tiny models of every shape against Hugging Face transformers (fixtures: make_fixtures.py, README.md).
 *
 * For each model: compute f32 gives the reference's logits to 1e-4 of the largest logit of the row, the same choice at
 * every prompt position, and the same 200 greedy tokens; compute bf16 stays within the spread that its rounding points
 * cause in exact arithmetic. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/file.h"
#include "kit/ids.h"
#include "kit/runner.h"

#define FOLDER CRIA_SOURCE_DIR "/tests/golden/"
#define N_GREEDY 200
#define MAX_PROMPT 1200
#define MAX_VOCAB 1000
#define F32_TOLERANCE 1e-4   /* of the largest logit */
#define MAX_SIGMA 6.0        /* how many standard deviations one logit may be off in compute bf16 */
#define MAX_RMS 2.0          /* ... and the root mean square over a model, in predicted ones */
#define MAX_OVERALL_RMS 1.25 /* ... and over all models; 1 is expected, truncation instead of rounding gives 1.5 */

struct expected {
    int32_t n_vocab;
    struct ids prompt, positions, argmax, greedy; /* owned; argmax -1: two choices are too near to call */
    float *blocks; /* owned; logits for f32, logits for bf16, their deviation: [positions][V] each */
    size_t block_floats;
};

static void expected_free(struct expected *e) {
    ids_free(&e->prompt);
    ids_free(&e->positions);
    ids_free(&e->argmax);
    ids_free(&e->greedy);
    alloc_free(e->blocks);
}

static cria_status read_value(json_reader *r, struct json_text key, struct expected *e, struct cria_error *err) {
    int64_t value = 0;
    if (json_text_is(key, "seed")) return json_read_i64(r, 0, INT32_MAX, &value, err);
    if (json_text_is(key, "n_vocab")) {
        const cria_status status = json_read_i64(r, 2, MAX_VOCAB, &value, err);
        if (status == CRIA_OK) e->n_vocab = (int32_t)value;
        return status;
    }
    if (json_text_is(key, "prompt")) return ids_read(r, 0, MAX_VOCAB, MAX_PROMPT, &e->prompt, err);
    if (json_text_is(key, "positions")) return ids_read(r, 0, MAX_PROMPT, MAX_PROMPT, &e->positions, err);
    if (json_text_is(key, "argmax")) return ids_read(r, -1, MAX_VOCAB, MAX_PROMPT, &e->argmax, err);
    if (json_text_is(key, "greedy")) return ids_read(r, 0, MAX_VOCAB, N_GREEDY, &e->greedy, err);
    return json_fail(r, err, "an unknown key");
}

static cria_status read_json(const char *path, struct expected *e, struct cria_error *err) {
    cria_status status = CRIA_OK;
    char *text = NULL;
    size_t n = 0;
    json_reader r = {0};
    TRY(file_read(path, 1 << 20, &text, &n, err));
    json_reader_init(&r, text, n);
    TRY(json_begin_object(&r, err));
    for (;;) {
        struct json_text key;
        bool more = false;
        TRY(json_next_key(&r, &key, &more, err));
        if (!more) break;
        TRY(read_value(&r, key, e, err));
    }
    TRY(json_end(&r, err));
    if (e->n_vocab == 0 || e->argmax.n != e->prompt.n || e->greedy.n != N_GREEDY || e->positions.n == 0) {
        TRY(ERROR_SET(err, CRIA_FORMAT, "%s: a list is missing or has another length", path));
    }
    for (int i = 0; i < e->positions.n; i++) {
        if (e->positions.at[i] >= e->prompt.n) TRY(ERROR_SET(err, CRIA_FORMAT, "%s: a position past the end", path));
    }
out:
    json_reader_deinit(&r);
    alloc_free(text);
    return status;
}

static cria_status read_expected(const char *name, struct expected *e, struct cria_error *err) {
    cria_status status = CRIA_OK;
    char path[512];
    char *blocks = NULL;
    size_t n_bytes = 0;
    snprintf(path, sizeof path, FOLDER "expected/%s.json", name);
    TRY(read_json(path, e, err));
    snprintf(path, sizeof path, FOLDER "expected/%s.f32", name);
    TRY(file_read(path, 1 << 20, &blocks, &n_bytes, err));
    e->blocks = (float *)(void *)blocks;
    e->block_floats = (size_t)e->positions.n * (size_t)e->n_vocab;
    if (n_bytes != 3 * e->block_floats * sizeof(float)) {
        TRY(ERROR_SET(err, CRIA_FORMAT, "%s: %zu bytes, expected %zu", path, n_bytes, 3 * e->block_floats * 4));
    }
out:
    return status;
}

struct fixture {
    struct expected expected;
    struct runner runner;
    float *logits; /* owned: of every prompt position */
};

static void must(cria_status status, const struct cria_error *err) {
    if (status != CRIA_OK) fail_msg("%s: %s", cria_status_name(status), err->text);
}

/* Loads model and expectation and runs the prompt, in pieces of 256 tokens at most. */
static void fixture_open(struct fixture *f, const char *name, enum llama_compute compute) {
    struct cria_error err = {0};
    char path[512];
    *f = (struct fixture){0};
    must(read_expected(name, &f->expected, &err), &err);
    snprintf(path, sizeof path, FOLDER "models/%s", name);
    const struct ids *prompt = &f->expected.prompt;
    must(runner_open(&f->runner, path, compute, 256, prompt->n + N_GREEDY, &err), &err);
    assert_int_equal(f->runner.n_vocab, f->expected.n_vocab);
    f->logits = alloc_array((size_t)prompt->n * (size_t)f->runner.n_vocab, sizeof(float));
    assert_non_null(f->logits);
    must(runner_append(&f->runner, prompt->at, prompt->n, f->logits, &err), &err);
}

static void fixture_close(struct fixture *f) {
    alloc_free(f->logits);
    runner_close(&f->runner);
    expected_free(&f->expected);
}

static void check_f32_logits(const struct fixture *f) {
    const struct expected *e = &f->expected;
    const int32_t n_vocab = e->n_vocab;
    double worst = 0;
    for (int i = 0; i < e->positions.n; i++) {
        const float *want = e->blocks + (size_t)i * (size_t)n_vocab;
        const float *got = f->logits + (size_t)e->positions.at[i] * (size_t)n_vocab;
        const double largest = runner_largest(want, n_vocab);
        for (int32_t v = 0; v < n_vocab; v++) {
            const double off = fabs((double)got[v] - (double)want[v]) / largest;
            if (!(off <= F32_TOLERANCE)) {
                fail_msg("position %d, id %d: %.9g, expected %.9g", e->positions.at[i], v, got[v], want[v]);
            }
            worst = fmax(worst, off);
        }
    }
    print_message("  logits: worst difference %.1e of the largest logit\n", worst);
}

/* Catches a wrong product, norm, rotation, mask, head grouping, cache or tensor mapping; the greedy part catches what
 * only shows when tokens come one at a time. */
static void check_f32(void **state) {
    struct cria_error err = {0};
    struct fixture f;
    fixture_open(&f, *state, LLAMA_COMPUTE_F32);
    check_f32_logits(&f);
    const struct expected *e = &f.expected;
    const size_t n_vocab = (size_t)e->n_vocab;
    for (int i = 0; i < e->prompt.n; i++) {
        const int32_t best = runner_argmax(f.logits + (size_t)i * n_vocab, e->n_vocab);
        if (e->argmax.at[i] >= 0 && best != e->argmax.at[i]) {
            fail_msg("position %d: the largest logit is id %d, expected %d", i, best, e->argmax.at[i]);
        }
    }
    float *row = f.logits + (size_t)(e->prompt.n - 1) * n_vocab;
    for (int i = 0; i < N_GREEDY; i++) {
        const int32_t best = runner_argmax(row, e->n_vocab);
        if (best != e->greedy.at[i]) fail_msg("greedy token %d is %d, expected %d", i, best, e->greedy.at[i]);
        must(runner_append(&f.runner, &best, 1, row, &err), &err);
    }
    fixture_close(&f);
}

static double sum_over_models;
static int n_models;

/* Catches rounding that is too coarse or in a sensitive place, and bf16 weights that are not the rounded stored ones.
 */
static void check_bf16(void **state) {
    struct fixture f;
    fixture_open(&f, *state, LLAMA_COMPUTE_BF16);
    const struct expected *e = &f.expected;
    const size_t n_vocab = (size_t)e->n_vocab;
    double worst = 0, sum = 0, sum_predicted = 0;
    for (size_t i = 0; i < e->block_floats; i++) {
        const size_t position = (size_t)e->positions.at[i / n_vocab], v = i % n_vocab;
        const double want = (double)e->blocks[e->block_floats + i], sigma = (double)e->blocks[2 * e->block_floats + i];
        const double off = (double)f.logits[position * n_vocab + v] - want;
        if (!(fabs(off) <= MAX_SIGMA * sigma)) {
            fail_msg("position %zu, id %zu: %.9g off, at most %g x %.3g", position, v, off, MAX_SIGMA, sigma);
        }
        worst = fmax(worst, fabs(off) / sigma);
        sum += off * off;
        sum_predicted += sigma * sigma;
    }
    const double rms = sqrt(sum / sum_predicted);
    print_message("  bf16: worst logit %.2f standard deviations off, root mean square %.2f\n", worst, rms);
    assert_true(rms <= MAX_RMS);
    sum_over_models += rms * rms;
    n_models++;
    fixture_close(&f);
}

/* Catches truncation instead of rounding, which hides within a single model's spread. Runs after the models. */
static void check_overall(void **state) {
    (void)state;
    assert_true(n_models > 0);
    const double rms = sqrt(sum_over_models / n_models);
    print_message("  bf16, all models: root mean square %.2f standard deviations\n", rms);
    assert_true(rms <= MAX_OVERALL_RMS);
}

#define MODELS(X)              \
    X("mha-f32")               \
    X("gqa2-odd-sharded-bf16") \
    X("gqa3-tied-f16")         \
    X("gqa4-llama3-bf16")      \
    X("mqa8-linear-tied-bf16") \
    X("gqa2-long-bf16")        \
    X("wide-bf16")             \
    X("one-head-odd-f32")      \
    X("gqa8-bf16")             \
    X("q4_0-tied.gguf")        \
    X("q4_1.gguf")             \
    X("q8_0-llama3.gguf")      \
    X("k-mixed-tied.gguf")     \
    X("f16-bf16-f32.gguf")

int main(void) {
#define MODEL_TESTS(name) \
    {name " f32", check_f32, NULL, NULL, (void *)name}, {name " bf16", check_bf16, NULL, NULL, (void *)name},
    const struct CMUnitTest tests[] = {MODELS(MODEL_TESTS) cmocka_unit_test(check_overall)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
