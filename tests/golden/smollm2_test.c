/* smollm2_test.c: the real model against Hugging Face transformers (reference: make_smollm2.py, README.md).
 *
 * The model is SmolLM2-135M-Instruct from the store; where it is not there it is pulled. Compute f32 must agree with
 * the reference in fp32 at 500 positions and give the same greedy answers; compute bf16 must stay near compute f32 in
 * KL divergence over the whole vocabulary. Both models run side by side, 50 tokens at a time, so that no more than two
 * pieces of logits are held. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/file.h"
#include "hub/hub.h"
#include "kit/ids.h"
#include "kit/runner.h"

#define FOLDER CRIA_SOURCE_DIR "/tests/golden/smollm2/"
#define N_POSITIONS 500
#define PIECE 50
#define N_VOCAB 49152
#define MAX_CHATS 16
#define MAX_CHAT_TOKENS 256
#define TOLERANCE 1e-4 /* of the largest logit */
#define MAX_MEAN_KL 3e-4
#define N_TOP 32
#define N_RANDOM 16

/* One position of reference.bin. */
struct position {
    float log_sum_exp, largest;
    uint16_t top_ids[N_TOP];
    float top[N_TOP];
    uint16_t random_ids[N_RANDOM];
    float random[N_RANDOM];
};
_Static_assert(sizeof(struct position) == 296, "reference.bin");

struct chat {
    struct ids prompt, answer; /* owned */
};

struct reference {
    struct ids ids; /* owned */
    double nll;     /* mean over ids 1 .. */
    struct chat chats[MAX_CHATS];
    int n_chats;
    struct position *positions; /* owned */
    struct runner f32, bf16;
};
static struct reference reference;

static void must(cria_status status, const struct cria_error *err) {
    if (status != CRIA_OK) fail_msg("%s: %s", cria_status_name(status), err->text);
}

static cria_status read_chat(json_reader *r, struct chat *c, struct cria_error *err) {
    cria_status status = CRIA_OK;
    TRY(json_begin_object(r, err));
    for (;;) {
        struct json_text key;
        bool more = false;
        TRY(json_next_key(r, &key, &more, err));
        if (!more) break;
        if (json_text_is(key, "prompt")) {
            TRY(ids_read(r, 0, N_VOCAB - 1, MAX_CHAT_TOKENS, &c->prompt, err));
        } else if (json_text_is(key, "answer")) {
            TRY(ids_read(r, 0, N_VOCAB - 1, MAX_CHAT_TOKENS, &c->answer, err));
        } else if (json_text_is(key, "text") || json_text_is(key, "margin")) {
            TRY(json_skip(r, err));
        } else {
            TRY(json_fail(r, err, "an unknown key"));
        }
    }
    if (c->prompt.n == 0 || c->answer.n == 0) TRY(json_fail(r, err, "a chat without prompt or answer"));
out:
    return status;
}

static cria_status read_chats(json_reader *r, struct cria_error *err) {
    cria_status status = CRIA_OK;
    TRY(json_begin_array(r, err));
    for (;;) {
        bool more = false;
        TRY(json_next_element(r, &more, err));
        if (!more) break;
        if (reference.n_chats == MAX_CHATS) TRY(json_fail(r, err, "more than %d chats", MAX_CHATS));
        TRY(read_chat(r, &reference.chats[reference.n_chats++], err));
    }
out:
    return status;
}

static cria_status read_reference(json_reader *r, struct cria_error *err) {
    cria_status status = CRIA_OK;
    TRY(json_begin_object(r, err));
    for (;;) {
        struct json_text key;
        bool more = false;
        int64_t n_vocab;
        TRY(json_next_key(r, &key, &more, err));
        if (!more) break;
        if (json_text_is(key, "ids")) {
            TRY(ids_read(r, 0, N_VOCAB - 1, N_POSITIONS, &reference.ids, err));
        } else if (json_text_is(key, "n_vocab")) {
            TRY(json_read_i64(r, N_VOCAB, N_VOCAB, &n_vocab, err));
        } else if (json_text_is(key, "nll")) {
            TRY(json_read_f64(r, &reference.nll, err));
        } else if (json_text_is(key, "chats")) {
            TRY(read_chats(r, err));
        } else if (json_text_is(key, "source")) {
            TRY(json_skip(r, err));
        } else {
            TRY(json_fail(r, err, "an unknown key"));
        }
    }
    TRY(json_end(r, err));
out:
    return status;
}

static cria_status open_models(struct cria_error *err) {
    cria_status status = CRIA_OK;
    struct hub_model pulled = {0};
    char *path = NULL;
    int was_there = 0;
    if (hub_resolve("smollm2", &path, NULL) != CRIA_OK) {
        TRY(hub_pull("smollm2", NULL, NULL, &pulled, &was_there, err));
        TRY(hub_resolve("smollm2", &path, err));
    }
    TRY(runner_open(&reference.f32, path, LLAMA_COMPUTE_F32, PIECE, N_POSITIONS, err));
    TRY(runner_open(&reference.bf16, path, LLAMA_COMPUTE_BF16, PIECE, N_POSITIONS, err));
out:
    hub_model_free(&pulled);
    alloc_free(path);
    return status;
}

static int setup(void **state) {
    (void)state;
    cria_status status = CRIA_OK;
    struct cria_error err = {0};
    char *text = NULL, *positions = NULL;
    size_t n_text = 0, n_positions = 0;
    json_reader r = {0};
    TRY(file_read(FOLDER "reference.json", 1 << 20, &text, &n_text, &err));
    json_reader_init(&r, text, n_text);
    TRY(read_reference(&r, &err));
    TRY(file_read(FOLDER "reference.bin", 1 << 20, &positions, &n_positions, &err));
    reference.positions = (struct position *)(void *)positions;
    if (reference.ids.n != N_POSITIONS || n_positions != N_POSITIONS * sizeof(struct position) ||
        reference.n_chats == 0) {
        TRY(ERROR_SET(&err, CRIA_FORMAT, "the reference is not whole"));
    }
    TRY(open_models(&err));
out:
    json_reader_deinit(&r);
    alloc_free(text);
    if (status != CRIA_OK) print_error("%s\n", err.text);
    return status == CRIA_OK ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    runner_close(&reference.f32);
    runner_close(&reference.bf16);
    for (int i = 0; i < reference.n_chats; i++) {
        ids_free(&reference.chats[i].prompt);
        ids_free(&reference.chats[i].answer);
    }
    ids_free(&reference.ids);
    alloc_free(reference.positions);
    return 0;
}

static void check_value(int position, int id, double got, double want, double largest, double *worst) {
    const double off = fabs(got - want) / largest;
    if (!(off <= TOLERANCE)) fail_msg("position %d, id %d: %.9g, expected %.9g", position, id, got, want);
    *worst = fmax(*worst, off);
}

/* A row of compute f32 against the reference: the stored logits, the sum, and that no other id is among the largest. */
static void check_row(int i, const float *row, double *worst) {
    const struct position *want = &reference.positions[i];
    const double largest = (double)want->largest;
    for (int t = 0; t < N_TOP; t++) {
        check_value(i, want->top_ids[t], (double)row[want->top_ids[t]], (double)want->top[t], largest, worst);
    }
    for (int t = 0; t < N_RANDOM; t++) {
        check_value(i, want->random_ids[t], (double)row[want->random_ids[t]], (double)want->random[t], largest, worst);
    }
    const float sum = llama_logsumexp(reference.f32.session, row);
    check_value(i, -1, (double)sum, (double)want->log_sum_exp, largest, worst);
    int n_above = 0;
    const double above = (double)want->top[N_TOP - 1] + TOLERANCE * largest;
    for (int v = 0; v < N_VOCAB; v++) n_above += (double)row[v] > above;
    assert_true(n_above < N_TOP);
}

/* KL divergence of q from p, from logits, with sums in double. */
static double divergence(const float *p, const float *q) {
    double p_max = -INFINITY, q_max = -INFINITY, p_sum = 0, q_sum = 0, dot = 0;
    for (int v = 0; v < N_VOCAB; v++) {
        p_max = fmax(p_max, (double)p[v]);
        q_max = fmax(q_max, (double)q[v]);
    }
    for (int v = 0; v < N_VOCAB; v++) {
        const double e = exp((double)p[v] - p_max);
        p_sum += e;
        q_sum += exp((double)q[v] - q_max);
        dot += e * ((double)p[v] - p_max - (double)q[v] + q_max);
    }
    return dot / p_sum - log(p_sum) + log(q_sum);
}

/* Catches everything that makes a real model slightly wrong and a tiny one hardly: depth, a large vocabulary, real
 * weights with outliers, quantised blocks; and compute bf16 that has lost more than its activations' last bits. */
static void test_text(void **state) {
    (void)state;
    struct cria_error err = {0};
    float *exact = alloc_array((size_t)PIECE * N_VOCAB, sizeof(float));
    float *rounded = alloc_array((size_t)PIECE * N_VOCAB, sizeof(float));
    assert_non_null(exact);
    assert_non_null(rounded);
    double worst = 0, kl = 0, worst_kl = 0, nll = 0, nll_bf16 = 0;
    for (int at = 0; at < N_POSITIONS; at += PIECE) {
        must(runner_append(&reference.f32, reference.ids.at + at, PIECE, exact, &err), &err);
        must(runner_append(&reference.bf16, reference.ids.at + at, PIECE, rounded, &err), &err);
        for (int i = 0; i < PIECE; i++) {
            const float *row = exact + (size_t)i * N_VOCAB, *row_bf16 = rounded + (size_t)i * N_VOCAB;
            check_row(at + i, row, &worst);
            const double d = divergence(row, row_bf16);
            kl += d / N_POSITIONS;
            worst_kl = fmax(worst_kl, d);
            if (at + i + 1 == N_POSITIONS) continue;
            const int32_t next = reference.ids.at[at + i + 1];
            nll -= (double)llama_logprob(reference.f32.session, row, next) / (N_POSITIONS - 1);
            nll_bf16 -= (double)llama_logprob(reference.bf16.session, row_bf16, next) / (N_POSITIONS - 1);
        }
    }
    alloc_free(exact);
    alloc_free(rounded);
    print_message("  compute f32: worst difference %.1e of the largest logit; mean loss %.6f, reference %.6f\n", worst,
                  nll, reference.nll);
    print_message("  compute bf16 from f32: mean KL divergence %.2e, worst %.1e; mean loss %.6f\n", kl, worst_kl,
                  nll_bf16);
    assert_true(fabs(nll - reference.nll) < 1e-4);
    assert_true(kl >= 0 && kl < MAX_MEAN_KL);
}

/* Catches what only generation shows, token by token, with the prompt of the model's own chat form. No choice of the
 * reference is closer than 1e-3 of the largest logit. */
static void test_chats(void **state) {
    (void)state;
    struct cria_error err = {0};
    float *rows = alloc_array((size_t)MAX_CHAT_TOKENS * N_VOCAB, sizeof(float));
    assert_non_null(rows);
    for (int c = 0; c < reference.n_chats; c++) {
        const struct chat *chat = &reference.chats[c];
        llama_sequence_cut(reference.f32.sequence, 0);
        must(runner_append(&reference.f32, chat->prompt.at, chat->prompt.n, rows, &err), &err);
        const float *row = rows + (size_t)(chat->prompt.n - 1) * N_VOCAB;
        for (int i = 0; i < chat->answer.n; i++) {
            const int32_t best = runner_argmax(row, N_VOCAB);
            if (best != chat->answer.at[i]) {
                fail_msg("chat %d, token %d is %d, expected %d", c, i, best, chat->answer.at[i]);
            }
            must(runner_append(&reference.f32, &best, 1, rows, &err), &err);
            row = rows;
        }
    }
    alloc_free(rows);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_chats),
    };
    return cmocka_run_group_tests_name("smollm2", tests, setup, teardown);
}
