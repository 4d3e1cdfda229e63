/* bits_test.c: one digest for each problem. Read this test first: it is what Cria promises.
 *
 * A problem is a model, its products' compute mode, the cache's number format and a request. Its result is the SHA-256
 * of the logits of every position that mattered, and the tokens and log-probabilities made of them. The plainest way to
 * compute it is the reference: the canonical scalar kernels, one thread, the request alone, its whole prompt at once,
 * no cache. Then the same requests go through other ways, and nothing may change, not one bit:
 *
 *   instruction set   all that this machine has: ref, avx2, avx512, avx512bf16, amx
 *   threads           1, 2, 3, 5
 *   batch             1, 2, 5, 16, 64 at once, with neighbours of other lengths
 *   prompt pieces     1, 7, 32, 100 tokens, all
 *   prefix cache      on, off
 *
 * and ten of them again while threads are put to sleep and moved about at random.
 *
 * The full product would be 1,000 ways for each problem. The 25 rows of an orthogonal array (columns i, j, i + j, i +
 * 2j, i + 3j modulo 5) hold every pair of values of every two of these; large problems take the 10 rows with j = 0 and
 * 3, which hold every value of each. The models cover what splits sums: products in four shards, attention over four
 * spans of 512 keys, a vocabulary in eight shards that is no multiple of 32, every weight type, both compute modes,
 * both cache formats. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/random.h"
#include "infer/infer.h"
#include "kit/disturb.h"
#include "kit/tiny.h"

#define SEED 11u
#define N_REQUESTS 64
#define MAX_PROMPT 1700

struct way {
    enum kernel_isa isa;
    int n_threads, batch, chunk;
    bool has_cache;
};

struct shape {
    int n_prompt, n_shared; /* the first n_shared tokens are those of all requests of the problem */
    int n_answer;
    bool score;
    float temperature;
};

/* The requests that are always there; in larger batches short ones join them. */
static const struct shape small_shapes[] = {{45, 40, 5, false, 0}, {70, 64, 4, false, 1},  {3, 0, 6, false, 0.7f},
                                            {66, 66, 0, true, 0},  {101, 33, 3, false, 0}, {1, 1, 4, false, 1}};
static const struct shape wide_shapes[] = {{34, 33, 3, false, 0}, {40, 33, 3, false, 1}, {9, 0, 0, true, 0}};
static const struct shape long_shapes[] = {{1570, 1550, 5, false, 0}, {1555, 1550, 3, false, 1}, {20, 0, 3, false, 0}};

struct problem {
    const char *name;
    struct tiny_model model;
    bool is_gguf, is_large;
    enum llama_compute compute;
    enum dtype kv_dtype;
    const struct shape *shapes;
    int n_shapes;
};

struct outcome {
    uint8_t rows[DIGEST_BYTES], rest[DIGEST_BYTES];
};

struct sweep {
    char *folder; /* owned */
    enum kernel_isa isas[KERNEL_ISA_COUNT];
    int n_isas;
    int n_problems, n_ways;
    digest *all; /* owned: over the references of all problems */
};

static void must(cria_status status, const struct cria_error *err, const char *what) {
    if (status != CRIA_OK) fail_msg("%s: %s", what, err->text);
}

static struct shape shape_of(const struct problem *p, int i) {
    if (i < p->n_shapes) return p->shapes[i];
    return (struct shape){1 + i * 7 % 13, i % 2, 1 + i % 3, false, i % 4 == 0};
}

static void make_request(const struct problem *p, int i, int32_t *prompt, struct engine_request *ret) {
    const struct shape s = shape_of(p, i);
    for (int t = 0; t < s.n_prompt; t++) {
        const uint64_t stream = t < s.n_shared ? 0 : (uint64_t)i + 1;
        prompt[t] = (int32_t)(random_u64(SEED, RANDOM_TEST, stream << 32 | (uint64_t)t) % (uint64_t)p->model.n_vocab);
    }
    *ret = (struct engine_request){
        .prompt = prompt,
        .n_prompt = s.n_prompt,
        .max_tokens = s.n_answer,
        .sampling = sampling_greedy(),
        .score_prompt = s.score,
        .n_top = i % 3,
        .digest = true,
    };
    ret->sampling.temperature = s.temperature;
    ret->sampling.top_p = 0.95f;
    ret->sampling.seed = (uint64_t)i;
}

/* Tokens, log-probabilities and alternatives in one digest. */
static void make_outcome(const struct engine_result *r, int n_top, struct outcome *ret) {
    struct cria_error err;
    digest *d = NULL;
    must(digest_create(&d, &err), &err, "digest");
    digest_add(d, r->tokens, (size_t)r->n_tokens * sizeof *r->tokens);
    digest_add(d, r->logprobs, (size_t)r->n_logprobs * sizeof *r->logprobs);
    for (int64_t i = 0; i < r->n_logprobs * n_top; i++) {
        digest_add(d, &r->top[i].id, sizeof r->top[i].id);
        digest_add(d, &r->top[i].logprob, sizeof r->top[i].logprob);
    }
    must(digest_result(d, ret->rest, &err), &err, "digest");
    memcpy(ret->rows, r->digest, sizeof ret->rows);
    digest_destroy(&d);
}

static void run_requests(const struct problem *p, engine *e, int n, struct outcome *out) {
    static int32_t prompts[N_REQUESTS][MAX_PROMPT];
    struct engine_request requests[N_REQUESTS];
    int numbers[N_REQUESTS];
    struct cria_error err;
    for (int i = 0; i < n; i++) {
        make_request(p, i, prompts[i], &requests[i]);
        must(engine_submit(e, &requests[i], &numbers[i], &err), &err, p->name);
    }
    for (bool is_busy = true; is_busy;) must(engine_step(e, &is_busy, &err), &err, p->name);
    for (int i = 0; i < n; i++) {
        struct engine_result result;
        must(engine_take(e, numbers[i], &result, &err), &err, p->name);
        make_outcome(&result, requests[i].n_top, &out[i]);
        engine_result_free(&result);
    }
}

/* Loads the problem's model for this way and computes the first n requests. */
static void compute(const struct problem *p, const char *path, const struct way *w, int n, struct outcome *out) {
    struct cria_error err;
    device *dev = NULL;
    model_files *files = NULL;
    llama_model *model = NULL;
    engine *e = NULL;
    must(device_create_cpu(&dev, &(struct device_options){w->n_threads, w->isa}, &err), &err, p->name);
    must(model_files_open(&files, path, &(struct model_open_options){.check_tensors = true}, &err), &err, p->name);
    must(llama_model_load(&model, files, dev, &(struct llama_model_options){p->compute}, &err), &err, p->name);
    const struct engine_options options = {
        .max_batch = w->batch,
        .prefill_chunk = w->chunk,
        .max_context = p->model.n_context,
        .kv_dtype = p->kv_dtype,
        .prefix_cache = w->has_cache,
        .all_logits = true,
    };
    must(engine_create(&e, model, &options, &err), &err, p->name);
    run_requests(p, e, n, out);
    engine_destroy(&e);
    llama_model_destroy(&model);
    model_files_close(&files);
    device_destroy(&dev);
}

static struct way way_of(const struct sweep *s, int i, int j) {
    static const int threads[] = {1, 2, 3, 5, 2}, batches[] = {1, 2, 5, 16, 64}, chunks[] = {1, 7, 32, 100, INT_MAX};
    return (struct way){
        .isa = s->isas[i % s->n_isas],
        .n_threads = threads[(i + 4 * j) % 5],
        .batch = batches[(i + j) % 5],
        .chunk = chunks[(i + 2 * j) % 5],
        .has_cache = (i + 3 * j) % 5 % 2 == 0,
    };
}

static int requests_of(const struct problem *p, const struct way *w) {
    return w->batch > p->n_shapes ? w->batch : p->n_shapes;
}

static void compare(const struct problem *p, const struct way *w, const struct outcome *got,
                    const struct outcome *wanted, int n) {
    for (int i = 0; i < n; i++) {
        const bool same_rows = memcmp(got[i].rows, wanted[i].rows, DIGEST_BYTES) == 0;
        if (same_rows && memcmp(got[i].rest, wanted[i].rest, DIGEST_BYTES) == 0) continue;
        fail_msg(
            "%s, request %d: %s, threads %d, batch %d, prompt pieces of %d, prefix cache %d: other %s than the "
            "reference",
            p->name, i, kernel_isa_name(w->isa), w->n_threads, w->batch, w->chunk, w->has_cache,
            same_rows ? "tokens or log-probabilities" : "logits");
    }
}

static void write_model(const struct sweep *s, const struct problem *p, char **ret_path) {
    struct cria_error err;
    *ret_path = file_join(s->folder, p->is_gguf ? "model.gguf" : "model");
    assert_non_null(*ret_path);
    must(p->is_gguf ? tiny_write_gguf(&p->model, *ret_path, &err) : tiny_write_directory(&p->model, *ret_path, &err),
         &err, p->name);
}

/* The digest over all requests' outcomes, for the reader of the test's output. */
static void print_line(const struct problem *p, const struct outcome *wanted, int n_ways, double seconds) {
    struct cria_error err;
    uint8_t bytes[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];
    digest *d = NULL;
    must(digest_create(&d, &err), &err, "digest");
    digest_add(d, wanted, N_REQUESTS * sizeof *wanted);
    must(digest_result(d, bytes, &err), &err, "digest");
    digest_destroy(&d);
    digest_hex(bytes, hex);
    print_message("%-34s %3d ways, up to %d requests  %.16s  %5.2f s\n", p->name, n_ways, N_REQUESTS, hex, seconds);
}

static void sweep_problem(struct sweep *s, const struct problem *p) {
    static struct outcome wanted[N_REQUESTS], got[N_REQUESTS];
    const double start_s = clock_seconds();
    char *path = NULL;
    write_model(s, p, &path);
    const struct way plain = {KERNEL_ISA_REF, 1, 1, INT_MAX, false};
    compute(p, path, &plain, N_REQUESTS, wanted);
    int n_ways = 0;
    for (int j = 0; j < 5; j++) {
        if (p->is_large && j != 0 && j != 3) continue;
        for (int i = 0; i < 5; i++, n_ways++) {
            const struct way w = way_of(s, i, j);
            const int n = requests_of(p, &w);
            compute(p, path, &w, n, got);
            compare(p, &w, got, wanted, n);
        }
    }
    print_line(p, wanted, n_ways, clock_seconds() - start_s);
    digest_add(s->all, wanted, sizeof wanted);
    s->n_problems++;
    s->n_ways += n_ways;
    alloc_free(path);
}

/* Two layers, two query heads to each of two KV heads, 11 steps of 32 in the vocabulary, the last one cut. */
static const struct tiny_model small_model = {.d_model = 64,
                                              .n_layers = 2,
                                              .n_heads = 4,
                                              .n_kv_heads = 2,
                                              .head_size = 16,
                                              .d_ff = 96,
                                              .n_vocab = 333,
                                              .n_context = 128,
                                              .seed = 3};

#define SHAPES(list) .shapes = list, .n_shapes = sizeof list / sizeof list[0]

/* Catches: a kernel of one weight type that rounds or adds in an order of its own, on any instruction set. */
static void every_weight_type(void **state) {
    static const enum dtype dtypes[] = {DTYPE_F32, DTYPE_BF16, DTYPE_F16, DTYPE_Q8_0, DTYPE_Q4_0, DTYPE_Q4_1};
    for (size_t t = 0; t < sizeof dtypes / sizeof dtypes[0]; t++) {
        for (int mode = 0; mode < 4; mode++) {
            /* Both cache formats in one mode of each type, so that both meet all types. */
            const bool is_f32 = mode % 2;
            const enum dtype kv_dtype = (mode < 2) == is_f32 ? DTYPE_F32 : DTYPE_BF16;
            if (mode >= 2 && t % 2 == (size_t)mode % 2) continue;
            char name[64];
            snprintf(name, sizeof name, "%s weights, %s, cache %s", dtype_name(dtypes[t]), is_f32 ? "f32" : "bf16",
                     dtype_name(kv_dtype));
            struct problem p = {.name = name, .model = small_model, SHAPES(small_shapes)};
            p.model.dtype = dtypes[t];
            p.model.tied = t % 2;
            p.is_gguf = dtypes[t] >= DTYPE_Q8_0;
            p.compute = is_f32 ? LLAMA_COMPUTE_F32 : LLAMA_COMPUTE_BF16;
            p.kv_dtype = kv_dtype;
            sweep_problem(*state, &p);
        }
    }
}

/* Catches: the same in the K family, whose blocks of 256 ask for wider rows; fewer ways, for they take longer. */
static void every_k_type(void **state) {
    for (int d = DTYPE_Q4_K; d <= DTYPE_Q6_K; d++) {
        char name[64];
        const bool is_f32 = d == DTYPE_Q5_K;
        snprintf(name, sizeof name, "%s weights, %s", dtype_name((enum dtype)d), is_f32 ? "f32" : "bf16");
        struct problem p = {.name = name, .model = small_model, SHAPES(wide_shapes)};
        p.model.d_model = p.model.d_ff = 256;
        p.model.head_size = 64;
        p.model.dtype = (enum dtype)d;
        p.is_gguf = p.is_large = true;
        p.compute = is_f32 ? LLAMA_COMPUTE_F32 : LLAMA_COMPUTE_BF16;
        p.kv_dtype = is_f32 ? DTYPE_F32 : DTYPE_BF16;
        sweep_problem(*state, &p);
    }
}

/* Catches: products whose shards are added in another order, or cut in other places, when rows or threads change. */
static void products_in_four_shards(void **state) {
    struct problem p = {.name = "four shards, bf16",
                        .model = {.d_model = 32,
                                  .n_layers = 1,
                                  .n_heads = 32,
                                  .n_kv_heads = 4,
                                  .head_size = 128,
                                  .d_ff = 4128,
                                  .n_vocab = 261,
                                  .n_context = 64,
                                  .seed = 5,
                                  .dtype = DTYPE_BF16},
                        .is_large = true,
                        .compute = LLAMA_COMPUTE_BF16,
                        .kv_dtype = DTYPE_BF16,
                        SHAPES(wide_shapes)};
    sweep_problem(*state, &p);
    p.name = "four shards, Q4_0, f32";
    p.model.dtype = DTYPE_Q4_0;
    p.is_gguf = true;
    p.compute = LLAMA_COMPUTE_F32;
    p.kv_dtype = DTYPE_F32;
    sweep_problem(*state, &p);
}

/* Catches: spans of keys that begin elsewhere or merge in another order where the queries come in pieces or pages are
 * shared. */
static void attention_over_four_spans(void **state) {
    struct problem p = {.name = "four spans, bf16",
                        .model = {.d_model = 32,
                                  .n_layers = 1,
                                  .n_heads = 2,
                                  .n_kv_heads = 1,
                                  .head_size = 16,
                                  .d_ff = 32,
                                  .n_vocab = 270,
                                  .n_context = 1600,
                                  .seed = 7,
                                  .dtype = DTYPE_BF16},
                        .is_large = true,
                        .compute = LLAMA_COMPUTE_BF16,
                        .kv_dtype = DTYPE_BF16,
                        SHAPES(long_shapes)};
    sweep_problem(*state, &p);
    p.name = "four spans, f32";
    p.compute = LLAMA_COMPUTE_F32;
    p.kv_dtype = DTYPE_F32;
    sweep_problem(*state, &p);
}

/* Catches: a container that changes a number: the same weights from both give the same bits. */
static void both_containers_are_one_model(void **state) {
    struct sweep *s = *state;
    static struct outcome one[N_REQUESTS], other[N_REQUESTS];
    const enum dtype dtypes[] = {DTYPE_F32, DTYPE_BF16, DTYPE_F16};
    const struct way w = {KERNEL_ISA_NONE, 2, 4, INT_MAX, false};
    for (int t = 0; t < 3; t++) {
        struct problem p = {.name = "containers",
                            .model = small_model,
                            .compute = LLAMA_COMPUTE_BF16,
                            .kv_dtype = DTYPE_BF16,
                            SHAPES(small_shapes)};
        p.model.dtype = dtypes[t];
        char *path = NULL;
        write_model(s, &p, &path);
        compute(&p, path, &w, 8, one);
        alloc_free(path);
        p.is_gguf = true;
        write_model(s, &p, &path);
        compute(&p, path, &w, 8, other);
        alloc_free(path);
        compare(&p, &w, other, one, 8);
    }
}

/* Catches: a result that depends on which thread took a piece of work, or a team that misses a wake-up, where threads
 * are put to sleep and moved about at any moment. */
static void a_core_is_taken_away(void **state) {
    struct sweep *s = *state;
    static struct outcome wanted[N_REQUESTS], got[N_REQUESTS];
    struct problem p = {.name = "a core is taken away",
                        .model = small_model,
                        .is_gguf = true,
                        .compute = LLAMA_COMPUTE_BF16,
                        .kv_dtype = DTYPE_BF16,
                        SHAPES(small_shapes)};
    p.model.dtype = DTYPE_Q4_0;
    char *path = NULL;
    write_model(s, &p, &path);
    const struct way plain = {KERNEL_ISA_REF, 1, 1, INT_MAX, false};
    compute(&p, path, &plain, N_REQUESTS, wanted);
    const uint64_t seed = (uint64_t)(clock_seconds() * 1e6);
    if (!disturb_start(seed)) fail_msg("the system gives no thread or signal handler");
    for (int i = 0; i < 10; i++) {
        const struct way w = way_of(s, i % 5, i / 5);
        compute(&p, path, &w, requests_of(&p, &w), got);
        compare(&p, &w, got, wanted, requests_of(&p, &w));
    }
    const int64_t n_sleeps = disturb_stop();
    print_message("threads were put to sleep %lld times (seed %llu)\n", (long long)n_sleeps, (unsigned long long)seed);
    assert_true(n_sleeps > 0);
    alloc_free(path);
}

/* What version 1 of the arithmetic gives for all problems above, on any machine and from any compiler. Where this
 * differs and the sweep agrees, the arithmetic itself was changed: kernel/order.h says what that asks for. */
#define ARITHMETIC_VERSION 1
#define ARITHMETIC_DIGEST "0b8fbb693aa05ff4f68694d431220e3c5dfd79789d82adf597a6bcda377781dd"

/* Catches: a change of rounding or order that is the same in every kernel, which no comparison between ways can see. */
static void the_bits_are_those_of_the_version(void **state) {
    struct sweep *s = *state;
    struct cria_error err;
    uint8_t bytes[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];
    must(digest_result(s->all, bytes, &err), &err, "digest");
    digest_hex(bytes, hex);
    assert_int_equal(ORDER_ARITHMETIC_VERSION, ARITHMETIC_VERSION);
    if (strcmp(hex, ARITHMETIC_DIGEST) != 0)
        fail_msg("all references together: %s, expected %s", hex, ARITHMETIC_DIGEST);
}

static int set_up(void **state) {
    static struct sweep s;
    s.folder = tiny_folder();
    if (!s.folder || digest_create(&s.all, NULL) != CRIA_OK) return -1;
    const char *reason = NULL;
    for (int isa = KERNEL_ISA_REF; isa < KERNEL_ISA_COUNT; isa++) {
        if (kernel_isa_usable((enum kernel_isa)isa, &reason)) s.isas[s.n_isas++] = (enum kernel_isa)isa;
        else print_message("not compared here: %s (%s)\n", kernel_isa_name((enum kernel_isa)isa), reason);
    }
    *state = &s;
    return 0;
}

static int tear_down(void **state) {
    struct sweep *s = *state;
    print_message("%d problems, %d ways, instruction sets:", s->n_problems, s->n_ways);
    for (int i = 0; i < s->n_isas; i++) print_message(" %s", kernel_isa_name(s->isas[i]));
    print_message("\n");
    digest_destroy(&s->all);
    tiny_remove(s->folder);
    alloc_free(s->folder);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_weight_type),
        cmocka_unit_test(every_k_type),
        cmocka_unit_test(products_in_four_shards),
        cmocka_unit_test(attention_over_four_spans),
        cmocka_unit_test(both_containers_are_one_model),
        cmocka_unit_test(a_core_is_taken_away),
        cmocka_unit_test(the_bits_are_those_of_the_version),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
