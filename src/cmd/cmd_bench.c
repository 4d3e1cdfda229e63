/* cmd_bench.c: the speed of a model, and of the machine under it, in one run.
 *
 * Prefill: a prompt of random ids. Decode: tokens of one or more sequences behind openings of random ids; its time
 * begins when each sequence has its first token, which belongs to the openings' pass. One unmeasured pass of each goes
 * before; then prefill, decode and the probes of the machine take turns, so that a disturbance hits all of them. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/random.h"
#include "cmd/cmd.h"
#include "cmd/cmd_bench.h"
#include "device/probe.h"

/* The memory probe walks as much as a step of the model does, so that a small model is held to the caches that it lies
 * in, and no more than shows the memory's speed. */
static const size_t least_read_bytes = (size_t)32 << 20, most_read_bytes = (size_t)512 << 20;

/* Seconds that all processors spent on work since the start of the system; 0 where the system does not say. */
static double busy_seconds(void) {
    unsigned long long user, nice, system, idle, wait, irq, soft, steal;
    FILE *file = fopen("/proc/stat", "re");
    if (!file) return 0;
    const int n = fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &wait, &irq,
                         &soft, &steal);
    fclose(file);
    return n == 8 ? (double)(user + nice + system + irq + soft + steal) / (double)sysconf(_SC_CLK_TCK) : 0;
}

static int32_t random_id(const struct bench *b, uint64_t i) {
    return (int32_t)(random_u64(0, RANDOM_TEST, i) % (uint64_t)llama_model_config(b->m.model)->n_vocab);
}

/* The first id differs from run to run: a prompt that was seen before would come from the prefix cache. */
static cria_status run_prefill(struct bench *b, int i_run, double *ret_rate, struct cria_error *err) {
    b->prompt[0] = i_run % llama_model_config(b->m.model)->n_vocab;
    const struct engine_request request = {.prompt = b->prompt,
                                           .n_prompt = b->n_prompt,
                                           .max_tokens = 1,
                                           .sampling = sampling_greedy(),
                                           .ignore_stop_ids = true};
    struct engine_result result = {0};
    const cria_status status = engine_run(b->m.eng, &request, &result, err);
    if (status == CRIA_OK) *ret_rate = b->n_prompt / result.prefill_s;
    engine_result_free(&result);
    return status;
}

/* Counts the tokens that come once every sequence has its first. */
struct meter {
    int n_waiting; /* sequences without a token */
    double start_s;
    int64_t n_tokens;
};

struct metered {
    struct meter *meter;
    bool has_token;
    int number; /* the request's, 0: none */
};

static int see_event(void *arg, const struct engine_event *event) {
    struct metered *s = arg;
    if (event->token < 0) return 0;
    if (s->has_token) {
        s->meter->n_tokens += s->meter->n_waiting == 0;
    } else {
        s->has_token = true;
        if (--s->meter->n_waiting == 0) s->meter->start_s = clock_seconds();
    }
    return 0;
}

static cria_status submit_sequence(struct bench *b, int i, struct metered *s, struct cria_error *err) {
    const struct engine_request request = {.prompt = b->openings + (size_t)i * (size_t)(b->depth + 1),
                                           .n_prompt = b->depth + 1,
                                           .max_tokens = b->n_answer + 1,
                                           .sampling = sampling_greedy(),
                                           .ignore_stop_ids = true,
                                           .on_event = see_event,
                                           .arg = s};
    return engine_submit(b->m.eng, &request, &s->number, err);
}

static cria_status run_decode(struct bench *b, double *ret_rate, struct cria_error *err) {
    struct meter meter = {.n_waiting = b->n_sequences};
    struct metered *sequences = alloc_zeroed((size_t)b->n_sequences, sizeof *sequences);
    bool busy = true;
    cria_status status = CRIA_OK;
    if (!sequences) return ERROR_NOMEM(err, (size_t)b->n_sequences * sizeof *sequences, "the bench");
    for (int i = 0; i < b->n_sequences; i++) {
        sequences[i].meter = &meter;
        TRY(submit_sequence(b, i, &sequences[i], err));
    }
    while (busy) TRY(engine_step(b->m.eng, &busy, err));
    *ret_rate = (double)meter.n_tokens / (clock_seconds() - meter.start_s);
    for (int i = 0; i < b->n_sequences; i++) {
        struct engine_result result = {0};
        TRY(engine_take(b->m.eng, sequences[i].number, &result, err));
        engine_result_free(&result);
    }
out:
    alloc_free(sequences);
    return status;
}

/* i < 0: not recorded. */
static cria_status measure(struct bench *b, int i, struct cria_error *err) {
    const int n_threads = device_threads(b->m.dev), at = i < 0 ? 0 : i;
    const bool f32 = llama_model_compute(b->m.model) == LLAMA_COMPUTE_F32;
    cria_status status = CRIA_OK;
    if (b->n_prompt) TRY(run_prefill(b, i + 1, &b->prefill[at], err));
    if (b->n_answer) TRY(run_decode(b, &b->decode[at], err));
    if (i < 0) {
        b->resident_bytes = cmd_foretell_resident();
        goto out;
    }
    TRY(probe_read(n_threads, b->read_bytes, &b->read_bytes_per_s[i], err));
    TRY(probe_product(n_threads, device_isa(b->m.dev), f32, &b->flops_per_s[i], err));
out:
    return status;
}

static cria_status measure_all(struct bench *b, struct cria_error *err) {
    const double busy = busy_seconds(), own = clock_cpu_seconds(), start = clock_seconds();
    cria_status status = CRIA_OK;
    for (int i = -1; i < b->n_repeats; i++) TRY(measure(b, i, err));
    const double wall = (clock_seconds() - start) * (double)sysconf(_SC_NPROCESSORS_ONLN);
    const double others = busy_seconds() - busy - (clock_cpu_seconds() - own);
    b->others = others > 0 && wall > 0 ? others / wall : 0;
out:
    return status;
}

static cria_status book(struct bench *b, struct cria_error *err) {
    const size_t opening = (size_t)b->depth + 1, n_repeats = (size_t)b->n_repeats;
    size_t n_openings;
    if (checked_mul_size((size_t)b->n_sequences, opening, &n_openings))
        return ERROR_SET(err, CRIA_LIMIT, "%d sequences of %zu tokens", b->n_sequences, opening);
    b->prompt = alloc_array((size_t)b->n_prompt + 1, sizeof *b->prompt);
    b->openings = alloc_array(n_openings, sizeof *b->openings);
    b->prefill = alloc_zeroed(n_repeats, sizeof *b->prefill);
    b->decode = alloc_zeroed(n_repeats, sizeof *b->decode);
    b->read_bytes_per_s = alloc_zeroed(n_repeats, sizeof *b->read_bytes_per_s);
    b->flops_per_s = alloc_zeroed(n_repeats, sizeof *b->flops_per_s);
    if (!b->prompt || !b->openings || !b->prefill || !b->decode || !b->read_bytes_per_s || !b->flops_per_s)
        return ERROR_NOMEM(err, (n_openings + (size_t)b->n_prompt) * sizeof *b->prompt, "the bench");
    for (int i = 0; i < b->n_prompt; i++) b->prompt[i] = random_id(b, (uint64_t)i);
    /* Equal but for the last id, so that one pass through the depth serves all of them. */
    for (size_t i = 0; i < n_openings; i++)
        b->openings[i] = random_id(b, i % opening == opening - 1 ? i / opening : i % opening);
    return CRIA_OK;
}

static cria_status prepare(struct bench *b, const struct conf *c, struct cria_error *err) {
    cria_status status;
    if (b->n_answer < 1 && b->n_prompt < 1)
        return ERROR_SET(err, CRIA_USAGE, "--prompt-tokens 0 --max-tokens 0: nothing to measure");
    TRY(cmd_model_open(&b->m, c, false, err));
    b->program_bytes = cmd_foretell_resident();
    TRY(cmd_model_load(&b->m, c, err));
    const int64_t deep = (int64_t)b->depth + b->n_answer, longest = b->n_prompt > deep ? b->n_prompt : deep;
    const int64_t n_context = llama_model_config(b->m.model)->n_context;
    if (longest + 2 > n_context)
        TRY(ERROR_SET(err, CRIA_USAGE,
                      "%s was made for %lld tokens and this needs %lld: lower --prompt-tokens, --depth or --max-tokens",
                      b->m.path, (long long)n_context, (long long)longest + 2));
    TRY(cmd_model_engine(
        &b->m, c,
        (struct engine_options){.max_context = longest + 2, .max_batch = b->n_sequences, .prefix_cache = b->depth > 0},
        err));
    b->kv = cmd_model_kv(c);
    if (b->kv == DTYPE_NONE) b->kv = llama_model_compute(b->m.model) == LLAMA_COMPUTE_F32 ? DTYPE_F32 : DTYPE_BF16;
    b->read_bytes = llama_model_bytes(b->m.model);
    if (b->read_bytes < least_read_bytes) b->read_bytes = least_read_bytes;
    if (b->read_bytes > most_read_bytes) b->read_bytes = most_read_bytes;
    TRY(book(b, err));
out:
    return status;
}

static cria_status foretell(struct bench *b, const struct conf *c, struct cria_error *err) {
    const struct cmd_foretell_run run = {.n_prompt = b->n_prompt,
                                         .depth = b->depth,
                                         .n_answer = b->n_answer,
                                         .n_sequences = b->n_sequences,
                                         .chunk = (int)conf_int(c, CONF_PREFILL_CHUNK),
                                         .kv = b->kv,
                                         .n_threads = device_threads(b->m.dev),
                                         .compute = llama_model_compute(b->m.model)};
    return cmd_foretell(b->m.files, &run, &b->foretold, err);
}

cria_status cmd_bench_take(struct bench *b, const struct conf *c, struct cria_error *err) {
    cria_status status;
    TRY(cmd_model_name(c, &b->name, err));
    TRY(prepare(b, c, err));
    TRY(foretell(b, c, err));
    TRY(measure_all(b, err));
out:
    return status;
}

void cmd_bench_close(struct bench *b) {
    alloc_free(b->prompt);
    alloc_free(b->openings);
    alloc_free(b->prefill);
    alloc_free(b->decode);
    alloc_free(b->read_bytes_per_s);
    alloc_free(b->flops_per_s);
    cmd_model_close(&b->m);
}

cria_status cmd_bench(const struct conf *c, struct cria_error *err) {
    struct bench b = {.n_prompt = (int)conf_int(c, CONF_PROMPT_TOKENS),
                      .n_answer = (int)conf_int(c, CONF_MAX_TOKENS),
                      .n_repeats = (int)conf_int(c, CONF_REPEAT),
                      .depth = (int)conf_int(c, CONF_DEPTH),
                      .n_sequences = (int)conf_int(c, CONF_SEQUENCES)};
    cria_status status;
    TRY(cmd_bench_take(&b, c, err));
    const struct figures f = cmd_bench_figures(&b);
    TRY(conf_flag(c, CONF_JSON) ? cmd_bench_json(&b, &f, err) : cmd_bench_page(&b, &f, err));
out:
    cmd_bench_close(&b);
    return status;
}
