/* engine_test.c: the scheduler over a model whose logits are a hash of the tokens: any wrong row gives other tokens.
 *
 * Every result is compared with the one of the request alone, whole prefill, no cache. */
#include "infer/infer.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/random.h"
#include "infer/llama_fake.h"
#include "infer/tokenizer_fake.h"

#define V 57
#define SEED 5u
#define N_REQUESTS 24

static llama_model *make_model(int64_t n_context) {
    return llama_fake_create(
        &(struct llama_fake_options){.n_vocab = V, .n_context = n_context, .bad_token = -1, .stop_id = 56});
}

static engine *make_engine(const llama_model *m, const struct engine_options *options) {
    engine *e;
    struct cria_error err;
    if (engine_create(&e, m, options, &err) != CRIA_OK) fail_msg("%s", err.text);
    return e;
}

static const struct engine_options alone = {.max_batch = 1, .prefill_chunk = INT_MAX, .all_logits = true};

struct problem {
    int32_t prompt[200];
    struct engine_request request;
};

/* Prompts of 1 to 200 tokens, of which many share beginnings; all kinds of settings. */
static void make_problem(struct problem *p, int i) {
    const int64_t n = 1 + (int64_t)(random_u64(SEED, RANDOM_TEST, (uint64_t)i) % 200);
    const int family = i % 3;
    for (int64_t t = 0; t < n; t++) {
        const bool is_shared = t < 40 * (i % 5);
        p->prompt[t] =
            (int32_t)(random_u64(SEED, RANDOM_TEST, (uint64_t)(1000 * (is_shared ? family : 10 + i) + t)) % (V - 1));
    }
    p->request = (struct engine_request){
        .prompt = p->prompt,
        .n_prompt = n,
        .max_tokens = i % 7 == 6 ? 0 : 1 + i % 40,
        .sampling = sampling_greedy(),
        .score_prompt = i % 7 == 6 || i % 11 == 10,
        .n_top = i % 4,
        .digest = true,
        .ignore_stop_ids = i % 2,
    };
    p->request.sampling.temperature = i % 3 ? 1 : 0;
    p->request.sampling.top_p = i % 3 == 2 ? 0.9f : 1;
    p->request.sampling.repetition_penalty = i % 5 == 1 ? 1.3f : 1;
    p->request.sampling.seed = (uint64_t)i;
}

static void check_equal(const char *what, int i, const struct engine_result *a, const struct engine_result *b,
                        int n_top) {
    bool same = a->n_tokens == b->n_tokens && a->n_logprobs == b->n_logprobs && a->finish == b->finish;
    same = same && memcmp(a->tokens, b->tokens, (size_t)a->n_tokens * sizeof *a->tokens) == 0;
    same = same && memcmp(a->logprobs, b->logprobs, (size_t)a->n_logprobs * sizeof *a->logprobs) == 0;
    same = same && memcmp(a->digest, b->digest, sizeof a->digest) == 0;
    const size_t top_bytes = (size_t)a->n_logprobs * (size_t)n_top * sizeof *a->top;
    same = same && (n_top == 0 || memcmp(a->top, b->top, top_bytes) == 0);
    if (!same) fail_msg("%s: request %d differs from the one alone (seed %u)", what, i, SEED);
}

static void run_together(const char *what, const llama_model *m, const struct engine_options *options,
                         struct problem *problems, const struct engine_result *wanted) {
    engine *e = make_engine(m, options);
    int numbers[N_REQUESTS];
    for (int i = 0; i < N_REQUESTS; i++)
        assert_int_equal(engine_submit(e, &problems[i].request, &numbers[i], NULL), CRIA_OK);
    bool is_busy = true;
    while (is_busy) assert_int_equal(engine_step(e, &is_busy, NULL), CRIA_OK);
    for (int i = 0; i < N_REQUESTS; i++) {
        struct engine_result got;
        assert_int_equal(engine_take(e, numbers[i], &got, NULL), CRIA_OK);
        check_equal(what, i, &got, &wanted[i], problems[i].request.n_top);
        if (!options->prefix_cache) assert_int_equal(got.n_cached, 0);
        engine_result_free(&got);
    }
    if (!options->prefix_cache) assert_int_equal(llama_fake_used_pages(m), 0);
    engine_destroy(&e);
}

/* Catches: a row given to the wrong request, a chunk that skips or repeats a token, a shared page with other contents,
 * logits rows in the wrong order, a draw that depends on the batch. Cache sizes go down to one context, so that
 * requests wait. */
static void neighbours_chunks_and_cache_do_not_matter(void **state) {
    (void)state;
    static struct problem problems[N_REQUESTS];
    static struct engine_result wanted[N_REQUESTS];
    llama_model *m = make_model(256);
    engine *e = make_engine(m, &alone);
    for (int i = 0; i < N_REQUESTS; i++) {
        make_problem(&problems[i], i);
        assert_int_equal(engine_run(e, &problems[i].request, &wanted[i], NULL), CRIA_OK);
    }
    engine_destroy(&e);
    const int batches[] = {1, 2, 5, 24, 64}, chunks[] = {1, 7, 32, 100, INT_MAX};
    for (size_t b = 0; b < 5; b++) {
        for (size_t c = 0; c < 5; c++) {
            for (int mode = 0; mode < 4; mode++) {
                const struct engine_options options = {
                    .max_batch = batches[b],
                    .prefill_chunk = chunks[c],
                    .kv_bytes = mode / 2 ? 8 + 3 * b : 0, /* pages of 1 byte: the context is 8 of them */
                    .prefix_cache = mode % 2,
                    .all_logits = true,
                };
                char what[80];
                snprintf(what, sizeof what, "batch %d, chunk %d, cache %d, little room %d", batches[b], chunks[c],
                         mode % 2, mode / 2);
                run_together(what, m, &options, problems, wanted);
            }
        }
    }
    for (int i = 0; i < N_REQUESTS; i++) engine_result_free(&wanted[i]);
    llama_model_destroy(&m);
}

/* Catches a prefix that is computed twice: by requests that come together, one after another, or once it was kept. */
static void equal_prefixes_are_computed_once(void **state) {
    (void)state;
    enum { N = 8, SHARED = 160, OWN = 5 };
    llama_model *m = make_model(512);
    engine *e = make_engine(m, &(struct engine_options){.max_batch = 4, .prefill_chunk = 32, .prefix_cache = true});
    static int32_t prompts[N][SHARED + OWN];
    int numbers[N];
    for (int i = 0; i < N; i++) {
        for (int t = 0; t < SHARED + OWN; t++) prompts[i][t] = t < SHARED ? t % 50 : (t + i) % 50;
        const struct engine_request r = {
            .prompt = prompts[i], .n_prompt = SHARED + OWN, .max_tokens = 1, .sampling = sampling_greedy()};
        assert_int_equal(engine_submit(e, &r, &numbers[i], NULL), CRIA_OK);
    }
    bool is_busy = true;
    while (is_busy) assert_int_equal(engine_step(e, &is_busy, NULL), CRIA_OK);
    assert_int_equal(llama_fake_count(m)->n_rows, SHARED + N * OWN);
    for (int i = 0; i < N; i++) {
        struct engine_result got;
        assert_int_equal(engine_take(e, numbers[i], &got, NULL), CRIA_OK);
        assert_int_equal(got.n_cached, i == 0 ? 0 : SHARED);
        engine_result_free(&got);
    }
    /* The same prompt again, exactly two pages: the last token must still be run. */
    const struct engine_request again = {
        .prompt = prompts[0], .n_prompt = 64, .max_tokens = 1, .sampling = sampling_greedy()};
    struct engine_result got;
    assert_int_equal(engine_run(e, &again, &got, NULL), CRIA_OK);
    assert_int_equal(got.n_cached, 32);
    engine_result_free(&got);
    engine_destroy(&e);
    llama_model_destroy(&m);
}

struct order {
    int ended[64];
    int n;
};

static int note_end(void *arg, const struct engine_event *event) {
    struct order *o = arg;
    if (event->is_end) o->ended[o->n++] = event->request;
    return 0;
}

/* Catches starvation: a large request that small ones behind it overtake for ever because there is always room for
 * them. */
static void a_large_request_is_not_starved(void **state) {
    (void)state;
    enum { N = 30 };
    llama_model *m = make_model(256);
    engine *e = make_engine(m, &(struct engine_options){.max_batch = 4, .kv_bytes = 8, .prefix_cache = true});
    static int32_t prompts[N][240];
    struct order order = {.n = 0};
    int numbers[N];
    for (int i = 0; i < N; i++) {
        for (int t = 0; t < 240; t++) prompts[i][t] = (t * (i + 3) + i) % 50;
        const struct engine_request r = {
            .prompt = prompts[i],
            .n_prompt = i == 2 ? 240 : 20,
            .max_tokens = 10,
            .sampling = sampling_greedy(),
            .ignore_stop_ids = true,
            .on_event = note_end,
            .arg = &order,
        };
        assert_int_equal(engine_submit(e, &r, &numbers[i], NULL), CRIA_OK);
    }
    bool is_busy = true;
    while (is_busy) assert_int_equal(engine_step(e, &is_busy, NULL), CRIA_OK);
    assert_int_equal(order.n, N);
    assert_int_equal(order.ended[2], numbers[2]);
    for (int i = 0; i < N; i++) {
        struct engine_result got;
        assert_int_equal(engine_take(e, numbers[i], &got, NULL), CRIA_OK);
        engine_result_free(&got);
    }
    engine_destroy(&e);
    llama_model_destroy(&m);
}

/* Catches a request that waits for ever because it can never fit, and a message without the numbers. */
static void what_never_fits_is_refused(void **state) {
    (void)state;
    llama_model *m = make_model(100);
    engine *e = make_engine(m, &(struct engine_options){.max_batch = 2});
    int32_t prompt[101] = {0};
    struct cria_error err;
    int number;
    struct engine_request r = {.prompt = prompt, .n_prompt = 90, .max_tokens = 11, .sampling = sampling_greedy()};
    assert_int_equal(engine_submit(e, &r, &number, &err), CRIA_RANGE);
    assert_non_null(strstr(err.text, "90"));
    assert_non_null(strstr(err.text, "100"));
    r.max_tokens = 10;
    assert_int_equal(engine_submit(e, &r, &number, &err), CRIA_OK);
    r.max_tokens = INT64_MAX;
    assert_int_equal(engine_submit(e, &r, &number, &err), CRIA_RANGE);
    r.max_tokens = -2;
    assert_int_equal(engine_submit(e, &r, &number, &err), CRIA_RANGE);
    r.max_tokens = -1;
    r.n_prompt = 100;
    assert_int_equal(engine_submit(e, &r, &number, &err), CRIA_RANGE);
    r.n_prompt = 0;
    assert_int_equal(engine_submit(e, &r, &number, &err), CRIA_RANGE);
    r.n_prompt = 2;
    prompt[1] = V;
    assert_int_equal(engine_submit(e, &r, &number, &err), CRIA_RANGE);
    prompt[1] = -1;
    assert_int_equal(engine_submit(e, &r, &number, &err), CRIA_RANGE);
    prompt[1] = 0;
    r.score_prompt = true;
    assert_int_equal(engine_submit(e, &r, &number, &err), CRIA_USAGE);
    engine_destroy(&e);
    assert_int_equal(engine_create(&e, m, &(struct engine_options){.max_batch = 0}, &err), CRIA_RANGE);
    assert_int_equal(engine_create(&e, m, &(struct engine_options){.max_batch = 1, .max_context = 101}, &err),
                     CRIA_RANGE);
    assert_int_equal(
        engine_create(&e, m, &(struct engine_options){.max_batch = 1, .max_context = 100, .kv_bytes = 3}, &err),
        CRIA_LIMIT);
    e = make_engine(m, &(struct engine_options){.max_batch = 1, .kv_bytes = 3});
    assert_int_equal(engine_context(e), 96);
    engine_destroy(&e);
    llama_model_destroy(&m);
}

static void answers_end_where_they_must(void **state) {
    (void)state;
    static const int32_t script[] = {1, 2, 56, 3, 4, 5};
    const struct llama_fake_options fake = {.n_vocab = V,
                                            .n_context = 40,
                                            .bad_token = -1,
                                            .stop_id = 56,
                                            .script = script,
                                            .n_script = 6,
                                            .script_start = 30};
    llama_model *m = llama_fake_create(&fake);
    engine *e = make_engine(m, &(struct engine_options){.max_batch = 2});
    int32_t prompt[30] = {0};
    struct engine_result got;
    struct engine_request r = {.prompt = prompt, .n_prompt = 30, .max_tokens = -1, .sampling = sampling_greedy()};
    assert_int_equal(engine_run(e, &r, &got, NULL), CRIA_OK);
    assert_int_equal(got.finish, FINISH_STOP); /* the model's stop id, which is the last token */
    assert_int_equal(got.n_tokens, 3);
    assert_int_equal(got.tokens[2], 56);
    engine_result_free(&got);
    r.ignore_stop_ids = true;
    assert_int_equal(engine_run(e, &r, &got, NULL), CRIA_OK);
    assert_int_equal(got.finish, FINISH_CONTEXT);
    assert_int_equal(got.n_tokens, 10);
    engine_result_free(&got);
    const int32_t own_stop = 4;
    r.stop_ids = &own_stop;
    r.n_stop_ids = 1;
    assert_int_equal(engine_run(e, &r, &got, NULL), CRIA_OK);
    assert_int_equal(got.finish, FINISH_STOP);
    assert_int_equal(got.n_tokens, 5);
    engine_result_free(&got);
    r.max_tokens = 4;
    assert_int_equal(engine_run(e, &r, &got, NULL), CRIA_OK);
    assert_int_equal(got.finish, FINISH_LENGTH);
    engine_result_free(&got);
    engine_destroy(&e);
    llama_model_destroy(&m);
}

/* Text as its receiver sees it, piece by piece. */
struct stream {
    char text[512];
    size_t n;
    int n_tokens, n_ends;
    engine *e;
    int cancel_after, victim;
};

static int collect(void *arg, const struct engine_event *event) {
    struct stream *s = arg;
    memcpy(s->text + s->n, event->text, event->n_text);
    s->n += event->n_text;
    s->text[s->n] = '\0';
    s->n_tokens += event->token >= 0;
    s->n_ends += event->is_end;
    if (s->e && s->n_tokens == 2) engine_cancel(s->e, s->victim);
    return s->cancel_after && s->n_tokens >= s->cancel_after;
}

/* 0 "a" 1 "bc" 2 "d\xc3" 3 "\xa9" 4 "x" 5 "<sto" 6 "p>" 7 "\xe2\x82" 8 special 9 "<stop" 10 "\xac!" */
static const char *const pieces[] = {"a", "bc", "d\xc3", "\xa9", "x", "<sto", "p>", "\xe2\x82", "", "<stop", "\xac!"};

struct stop_case {
    int32_t script[8];
    int n;
    const char *stops[2];
    const char *text; /* what the answer must read */
    enum finish_reason finish;
    int n_tokens;
};

/* Catches: a stop string that leaks in part, text before or after a false start that is lost, characters cut in two, a
 * stop string that is only found inside one token. Streamed text and result must be the same. */
static void stop_strings_never_leak_and_nothing_else_is_lost(void **state) {
    (void)state;
    static const struct stop_case cases[] = {
        {{0, 5, 6, 0}, 4, {"<stop>"}, "a", FINISH_STOP, 3},
        {{0, 5, 4, 0}, 4, {"<stop>"}, "a<stoxa", FINISH_LENGTH, 4},
        {{0, 5, 5, 6}, 4, {"<stop>"}, "a<sto", FINISH_STOP, 4},
        {{0, 1, 5}, 3, {"<stop>"}, "abc<sto", FINISH_LENGTH, 3},
        {{0, 2, 3, 4}, 4, {"\xc3\xa9"}, "ad", FINISH_STOP, 3},
        {{0, 2, 3, 4}, 4, {"d\xc3\xa9x"}, "a", FINISH_STOP, 4},
        {{0, 2, 3, 0},
         4,
         {"d\xc3\xa9x"},
         "ad\xc3\xa9"
         "a",
         FINISH_LENGTH,
         4},
        {{7, 10, 0}, 3, {"!a"}, "\xe2\x82\xac", FINISH_STOP, 3},
        {{0, 7}, 2, {"zz"}, "a\xef\xbf\xbd", FINISH_LENGTH, 2},
        {{0, 1, 0}, 3, {"c", "bca"}, "ab", FINISH_STOP, 2},
        {{0, 9, 8, 6}, 4, {"<stop>"}, "a<stop", FINISH_STOP, 3},
        {{1, 1, 1, 4}, 4, {"bcbcx"}, "bc", FINISH_STOP, 4},
        {{0, 2, 0}, 3, {"d"}, "a", FINISH_STOP, 2}, /* the token goes on with half a character */
    };
    int32_t prompt[1] = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct stop_case *c = &cases[i];
        const char *text = c->text;
        const struct llama_fake_options fake = {.n_vocab = V,
                                                .n_context = 40,
                                                .bad_token = -1,
                                                .stop_id = -1,
                                                .script = c->script,
                                                .n_script = c->n,
                                                .script_start = 1};
        llama_model *m = llama_fake_create(&fake);
        tokenizer *t = tokenizer_fake_create(pieces, 11, 8);
        engine *e = make_engine(m, &(struct engine_options){.max_batch = 1});
        struct stream stream = {.n = 0};
        const struct engine_request r = {
            .prompt = prompt,
            .n_prompt = 1,
            .max_tokens = c->n,
            .sampling = sampling_greedy(),
            .tok = t,
            .stop_strings = c->stops,
            .n_stop_strings = c->stops[1] ? 2 : 1,
            .on_event = collect,
            .arg = &stream,
        };
        struct engine_result got;
        assert_int_equal(engine_run(e, &r, &got, NULL), CRIA_OK);
        if (strcmp(got.text, text) != 0 || strcmp(stream.text, text) != 0 || got.finish != c->finish ||
            got.n_tokens != c->n_tokens)
            fail_msg("case %zu: result \"%s\", streamed \"%s\", expected \"%s\"; %s after %d tokens", i, got.text,
                     stream.text, text, finish_reason_name(got.finish), (int)got.n_tokens);
        assert_int_equal(stream.n_ends, 1);
        engine_result_free(&got);
        engine_destroy(&e);
        tokenizer_destroy(&t);
        llama_model_destroy(&m);
    }
}

/* Catches a cancelled request that keeps its pages, stops its neighbours, or never ends; all the ways to cancel. */
static void cancelling_disturbs_nobody(void **state) {
    (void)state;
    llama_model *m = make_model(200);
    tokenizer *t = tokenizer_fake_create(pieces, 11, -1);
    engine *e = make_engine(m, &(struct engine_options){.max_batch = 3, .prefill_chunk = 10});
    int32_t prompt[100] = {0};
    struct stream streams[5] = {{.cancel_after = 3}, {.n = 0}, {.n = 0}, {.n = 0}, {.n = 0}};
    int numbers[5];
    bool is_busy = true;
    struct engine_request r = {.prompt = prompt,
                               .n_prompt = 5,
                               .max_tokens = 20,
                               .sampling = sampling_greedy(),
                               .ignore_stop_ids = true,
                               .tok = t,
                               .on_event = collect};
    for (int i = 0; i < 5; i++) {
        r.arg = &streams[i];
        r.n_prompt = i == 2 ? 100 : 5;
        r.max_tokens = i == 1 ? 30 : 20;
        assert_int_equal(engine_submit(e, &r, &numbers[i], NULL), CRIA_OK);
    }
    streams[1].e = e; /* cancels the last of the queue from inside a step, after its second token */
    streams[1].victim = numbers[4];
    engine_cancel(e, numbers[3]); /* in the queue, between steps */
    engine_cancel(e, 999);
    assert_int_equal(engine_step(e, &is_busy, NULL), CRIA_OK);
    engine_cancel(e, numbers[2]); /* in the middle of its prompt */
    while (is_busy) assert_int_equal(engine_step(e, &is_busy, NULL), CRIA_OK);
    const int n_tokens[5] = {3, 30, 0, 0, 2};
    for (int i = 0; i < 5; i++) {
        struct engine_result got;
        assert_int_equal(engine_take(e, numbers[i], &got, NULL), CRIA_OK);
        assert_int_equal(got.finish, i == 1 ? FINISH_LENGTH : FINISH_CANCELLED);
        if (i < 4) assert_int_equal(got.n_tokens, n_tokens[i]);
        assert_int_equal(streams[i].n_ends, 1);
        engine_result_free(&got);
    }
    assert_int_equal(llama_fake_used_pages(m), 0);
    engine_destroy(&e);
    tokenizer_destroy(&t);
    llama_model_destroy(&m);
}

static cria_status refuse_third(void *arg, int request, const float *row, int32_t n_vocab, struct cria_error *err) {
    (void)row;
    assert_int_equal(n_vocab, V);
    return ++*(int *)arg == 3 ? ERROR_SET(err, CRIA_IO, "request %d: the disk is full", request) : CRIA_OK;
}

/* Catches a failure of one request that ends the others, or is taken for an answer. */
static void a_failing_request_fails_alone(void **state) {
    (void)state;
    const struct llama_fake_options fake = {.n_vocab = V, .n_context = 200, .bad_token = 50, .stop_id = -1};
    llama_model *m = llama_fake_create(&fake);
    engine *e = make_engine(m, &(struct engine_options){.max_batch = 3, .prefix_cache = true, .all_logits = true});
    const int32_t good[3] = {1, 2, 3}, bad[3] = {1, 50, 3};
    int numbers[3], n_rows = 0;
    struct cria_error err;
    struct engine_result got;
    struct engine_request r = {.prompt = good, .n_prompt = 3, .max_tokens = 20, .sampling = sampling_greedy()};
    const struct sampling_bias never = {50, -100};
    r.sampling.biases = &never;
    r.sampling.n_biases = 1;
    assert_int_equal(engine_submit(e, &r, &numbers[0], NULL), CRIA_OK);
    r.prompt = bad;
    assert_int_equal(engine_submit(e, &r, &numbers[1], NULL), CRIA_OK);
    r.prompt = good;
    r.on_logits = refuse_third;
    r.arg = &n_rows;
    assert_int_equal(engine_submit(e, &r, &numbers[2], NULL), CRIA_OK);
    bool is_busy = true;
    assert_int_equal(engine_take(e, numbers[0], &got, &err), CRIA_BUSY);
    while (is_busy) assert_int_equal(engine_step(e, &is_busy, NULL), CRIA_OK);
    assert_int_equal(engine_take(e, numbers[0], &got, &err), CRIA_OK);
    assert_int_equal(got.n_tokens, 20);
    engine_result_free(&got);
    assert_int_equal(engine_take(e, numbers[1], &got, &err), CRIA_NUMERIC);
    assert_int_equal(engine_take(e, numbers[2], &got, &err), CRIA_IO);
    assert_non_null(strstr(err.text, "the disk is full"));
    assert_int_equal(engine_take(e, numbers[2], &got, &err), CRIA_NOTFOUND);
    engine_destroy(&e);
    llama_model_destroy(&m);
}

/* Catches a request that is stuck, leaked or counted twice after the device failed under it. */
static void a_failing_device_is_reported_and_survived(void **state) {
    (void)state;
    llama_model *m = make_model(200);
    engine *e = make_engine(m, &(struct engine_options){.max_batch = 2, .prefill_chunk = 10});
    const int32_t prompt[30] = {1, 2, 3};
    const struct engine_request r = {
        .prompt = prompt, .n_prompt = 30, .max_tokens = 5, .sampling = sampling_greedy(), .ignore_stop_ids = true};
    struct engine_result got;
    for (int64_t n = 1; n <= 7; n++) {
        llama_fake_fail_at(m, n);
        assert_int_equal(engine_run(e, &r, &got, NULL), CRIA_DEVICE);
        assert_int_equal(llama_fake_used_pages(m), 0);
    }
    assert_int_equal(engine_run(e, &r, &got, NULL), CRIA_OK);
    assert_int_equal(got.n_tokens, 5);
    engine_result_free(&got);
    engine_destroy(&e);
    llama_model_destroy(&m);
}

/* Catches a leak, a crash or a wrong answer where any one allocation fails. */
static void every_failing_allocation_is_survived(void **state) {
    (void)state;
    llama_model *m = make_model(200);
    tokenizer *t = tokenizer_fake_create(pieces, 11, -1);
    const int32_t prompt[70] = {1, 2, 3};
    const char *const stops[] = {"qq"};
    const struct engine_request r = {.prompt = prompt,
                                     .n_prompt = 70,
                                     .max_tokens = 5,
                                     .sampling = sampling_greedy(),
                                     .tok = t,
                                     .stop_strings = stops,
                                     .n_stop_strings = 1,
                                     .n_top = 2,
                                     .digest = true};
    cria_status status = CRIA_NOMEM;
    int n = 0;
    while (status != CRIA_OK) {
        engine *e = NULL;
        struct engine_result got = {.tokens = NULL};
        assert_true(++n < 200);
        alloc_fail_at((uint64_t)n);
        status = engine_create(&e, m, &(struct engine_options){.max_batch = 2, .prefix_cache = true}, NULL);
        if (status == CRIA_OK) status = engine_run(e, &r, &got, NULL);
        if (status != CRIA_OK) assert_int_equal(status, CRIA_NOMEM);
        engine_result_free(&got);
        engine_destroy(&e);
    }
    alloc_fail_at(0);
    assert_true(n > 20);
    tokenizer_destroy(&t);
    llama_model_destroy(&m);
}

/* Catches scores that are shifted by one position, and top lists that are not in order. */
static void scores_belong_to_their_tokens(void **state) {
    (void)state;
    llama_model *m = make_model(200);
    engine *e = make_engine(m, &alone);
    const int32_t prompt[4] = {3, 1, 4, 1};
    const struct engine_request r = {
        .prompt = prompt, .n_prompt = 4, .sampling = sampling_greedy(), .score_prompt = true, .n_top = V};
    struct engine_result got;
    assert_int_equal(engine_run(e, &r, &got, NULL), CRIA_OK);
    assert_int_equal(got.n_logprobs, 3);
    assert_int_equal(got.n_tokens, 0);
    for (int p = 0; p < 3; p++) {
        const struct engine_top *top = got.top + p * V;
        int matches = 0;
        for (int k = 0; k < V; k++) {
            if (k > 0) assert_true(top[k].logprob <= top[k - 1].logprob);
            matches += top[k].id == prompt[p + 1] && top[k].logprob == got.logprobs[p];
        }
        assert_int_equal(matches, 1);
    }
    engine_result_free(&got);
    engine_destroy(&e);
    llama_model_destroy(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neighbours_chunks_and_cache_do_not_matter),
        cmocka_unit_test(equal_prefixes_are_computed_once),
        cmocka_unit_test(a_large_request_is_not_starved),
        cmocka_unit_test(what_never_fits_is_refused),
        cmocka_unit_test(answers_end_where_they_must),
        cmocka_unit_test(stop_strings_never_leak_and_nothing_else_is_lost),
        cmocka_unit_test(cancelling_disturbs_nobody),
        cmocka_unit_test(a_failing_request_fails_alone),
        cmocka_unit_test(a_failing_device_is_reported_and_survived),
        cmocka_unit_test(every_failing_allocation_is_survived),
        cmocka_unit_test(scores_belong_to_their_tokens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
