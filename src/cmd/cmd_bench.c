/* cmd_bench.c: the speed of a model, and of the machine under it, in one run.
 *
 * Prefill: a prompt of random ids. Decode: tokens behind a prompt of one. One unmeasured pass of each goes before; then
 * they take turns, so that a disturbance hits both. Medians are shown, with the slowest and the fastest. Of decode, the
 * fraction is of the memory's speed (each weight is read once for a token); of prefill, of the product kernel's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/random.h"
#include "cmd/cmd.h"
#include "cmd/cmd_io.h"
#include "cmd/cmd_model.h"
#include "device/probe.h"

enum { MAX_JSON_BYTES = 1 << 16 };

static const size_t probe_bytes = (size_t)512 << 20;
/* Above this part of the machine taken by others, figures are not worth keeping. */
static const double busy_limit = 0.05;

struct spread {
    double median, slowest, fastest; /* tokens a second */
};

struct bench {
    struct cmd_model m;
    int n_prompt, n_answer, n_repeats;
    int32_t *prompt;              /* owned */
    double *prefill_s, *decode_s; /* owned; n_repeats */
    double read_bytes_per_s, flops_per_s;
    double others; /* part of the machine's time that other work took */
};

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

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct spread spread_of(double *seconds, int n, double n_tokens) {
    qsort(seconds, (size_t)n, sizeof *seconds, compare_doubles);
    const double median = n % 2 ? seconds[n / 2] : (seconds[n / 2 - 1] + seconds[n / 2]) / 2;
    return (struct spread){
        .median = n_tokens / median, .slowest = n_tokens / seconds[n - 1], .fastest = n_tokens / seconds[0]};
}

static cria_status run_once(struct bench *b, int n_prompt, int n_answer, struct engine_result *ret,
                            struct cria_error *err) {
    const struct engine_request request = {.prompt = b->prompt,
                                           .n_prompt = n_prompt,
                                           .max_tokens = n_answer,
                                           .sampling = sampling_greedy(),
                                           .ignore_stop_ids = true};
    return engine_run(b->m.eng, &request, ret, err);
}

/* i < 0: not recorded. The first token of an answer belongs to its prompt's pass. */
static cria_status measure(struct bench *b, int i, struct cria_error *err) {
    struct engine_result prefill = {0}, decode = {0};
    cria_status status;
    TRY(run_once(b, b->n_prompt, 1, &prefill, err));
    TRY(run_once(b, 1, b->n_answer + 1, &decode, err));
    if (i >= 0) {
        b->prefill_s[i] = prefill.prefill_s;
        b->decode_s[i] = decode.decode_s;
    }
out:
    engine_result_free(&prefill);
    engine_result_free(&decode);
    return status;
}

static cria_status measure_all(struct bench *b, struct cria_error *err) {
    const double busy = busy_seconds(), own = clock_cpu_seconds(), start = clock_seconds();
    const enum kernel_isa isa = device_isa(b->m.dev);
    const int n_threads = device_threads(b->m.dev);
    cria_status status;
    TRY(probe_read(n_threads, probe_bytes, &b->read_bytes_per_s, err));
    TRY(probe_product(n_threads, isa, llama_model_compute(b->m.model) == LLAMA_COMPUTE_F32, &b->flops_per_s, err));
    for (int i = -1; i < b->n_repeats; i++) TRY(measure(b, i, err));
    const double wall = (clock_seconds() - start) * (double)sysconf(_SC_NPROCESSORS_ONLN);
    const double others = busy_seconds() - busy - (clock_cpu_seconds() - own);
    b->others = others > 0 && wall > 0 ? others / wall : 0;
out:
    return status;
}

static double prefill_flops(const struct bench *b) {
    const struct arch_config *config = llama_model_config(b->m.model);
    double flops = 0;
    for (int i = 0; i < b->n_prompt; i++) flops += arch_forward_flops(config, i, i == b->n_prompt - 1);
    return flops;
}

/* Bytes of weights that one token reads: all but an embedding that is not the head too. */
static double token_bytes(const struct bench *b) {
    const struct arch_config *config = llama_model_config(b->m.model);
    const double all = (double)llama_model_bytes(b->m.model);
    return config->tied ? all : all - (double)model_files_tensor(b->m.files, ARCH_W_EMBEDDING, 0).n_bytes;
}

static void json_spread(json_writer *w, const char *key, int n_tokens, struct spread s, const char *fraction_key,
                        double fraction) {
    json_write_key(w, key);
    json_write_begin_object(w);
    json_write_key(w, "tokens");
    json_write_i64(w, n_tokens);
    json_write_key(w, "tokens_per_s");
    json_write_f32(w, (float)s.median);
    json_write_key(w, "slowest");
    json_write_f32(w, (float)s.slowest);
    json_write_key(w, "fastest");
    json_write_f32(w, (float)s.fastest);
    json_write_key(w, fraction_key);
    json_write_f32(w, (float)fraction);
    json_write_end_object(w);
}

struct figures {
    struct spread prefill, decode;
    double arithmetic_fraction, memory_fraction;
};

static struct figures figures_of(struct bench *b) {
    struct figures f = {.prefill = spread_of(b->prefill_s, b->n_repeats, b->n_prompt),
                        .decode = spread_of(b->decode_s, b->n_repeats, b->n_answer)};
    f.arithmetic_fraction = f.prefill.median / b->n_prompt * prefill_flops(b) / b->flops_per_s;
    f.memory_fraction = f.decode.median * token_bytes(b) / b->read_bytes_per_s;
    return f;
}

static cria_status write_json(const struct bench *b, const struct figures *f, const char *name,
                              struct cria_error *err) {
    struct buffer out = buffer_make(MAX_JSON_BYTES);
    json_writer w = json_writer_make(&out);
    json_write_begin_object(&w);
    json_write_key(&w, "model");
    json_write_text(&w, name);
    json_write_key(&w, "threads");
    json_write_i64(&w, device_threads(b->m.dev));
    json_write_key(&w, "kernels");
    json_write_text(&w, kernel_isa_name(device_isa(b->m.dev)));
    json_write_key(&w, "compute");
    json_write_text(&w, llama_model_compute(b->m.model) == LLAMA_COMPUTE_F32 ? "f32" : "bf16");
    json_write_key(&w, "load_s");
    json_write_f32(&w, (float)b->m.load_s);
    json_write_key(&w, "weight_bytes");
    json_write_u64(&w, llama_model_bytes(b->m.model));
    json_write_key(&w, "repeats");
    json_write_i64(&w, b->n_repeats);
    json_spread(&w, "prefill", b->n_prompt, f->prefill, "fraction_of_arithmetic", f->arithmetic_fraction);
    json_spread(&w, "decode", b->n_answer, f->decode, "fraction_of_memory", f->memory_fraction);
    json_write_key(&w, "machine");
    json_write_begin_object(&w);
    json_write_key(&w, "read_bytes_per_s");
    json_write_f32(&w, (float)b->read_bytes_per_s);
    json_write_key(&w, "product_flops_per_s");
    json_write_f32(&w, (float)b->flops_per_s);
    json_write_key(&w, "taken_by_others");
    json_write_f32(&w, (float)b->others);
    json_write_key(&w, "was_busy");
    json_write_bool(&w, b->others > busy_limit);
    json_write_end_object(&w);
    json_write_end_object(&w);
    const cria_status status = cmd_write_line(&out, err);
    buffer_free(&out);
    return status;
}

static cria_status write_page(const struct bench *b, const struct figures *f, const char *name,
                              struct cria_error *err) {
    cria_status status;
    TRY(cmd_print(err, "%s, %s, %d thread%s, kernels %s; median of %d (slowest to fastest)\n\n", name,
                  llama_model_compute(b->m.model) == LLAMA_COMPUTE_F32 ? "f32" : "bf16", device_threads(b->m.dev),
                  device_threads(b->m.dev) == 1 ? "" : "s", kernel_isa_name(device_isa(b->m.dev)), b->n_repeats));
    TRY(cmd_print(
        err, "  prefill  %4d tokens  %9.1f tokens/s  (%.1f to %.1f)  %5.1f %% of the product kernel's speed\n",
        b->n_prompt, f->prefill.median, f->prefill.slowest, f->prefill.fastest, 100 * f->arithmetic_fraction));
    TRY(cmd_print(err, "  decode   %4d tokens  %9.1f tokens/s  (%.1f to %.1f)  %5.1f %% of the memory's speed\n\n",
                  b->n_answer, f->decode.median, f->decode.slowest, f->decode.fastest, 100 * f->memory_fraction));
    TRY(cmd_print(
        err, "  memory reads %.1f GB/s (%zu MiB buffer), products in the cache %.1f Gflop/s, loading took %.2f s\n",
        b->read_bytes_per_s * 1e-9, probe_bytes >> 20, b->flops_per_s * 1e-9, b->m.load_s));
    if (b->others > busy_limit)
        TRY(cmd_print(err, "  the machine was busy: other work took %.0f %% of it, so these figures are too low\n",
                      100 * b->others));
out:
    return status;
}

static cria_status prepare(struct bench *b, const struct conf *c, struct cria_error *err) {
    cria_status status;
    b->n_prompt = (int)conf_int(c, CONF_PROMPT_TOKENS);
    b->n_answer = (int)conf_int(c, CONF_MAX_TOKENS);
    b->n_repeats = (int)conf_int(c, CONF_REPEAT);
    if (b->n_answer < 1) TRY(ERROR_SET(err, CRIA_USAGE, "--max-tokens 0: nothing to measure"));
    TRY(cmd_model_open(&b->m, c, false, err));
    TRY(cmd_model_load(&b->m, c, err));
    const int longest = b->n_prompt > b->n_answer ? b->n_prompt : b->n_answer;
    TRY(cmd_model_engine(&b->m, c, (struct engine_options){.max_context = longest + 2}, err));
    b->prompt = alloc_array((size_t)b->n_prompt, sizeof *b->prompt);
    b->prefill_s = alloc_zeroed((size_t)b->n_repeats, sizeof *b->prefill_s);
    b->decode_s = alloc_zeroed((size_t)b->n_repeats, sizeof *b->decode_s);
    if (!b->prompt || !b->prefill_s || !b->decode_s)
        TRY(ERROR_NOMEM(err, (size_t)b->n_prompt * sizeof *b->prompt, "the bench"));
    const uint64_t n_vocab = (uint64_t)llama_model_config(b->m.model)->n_vocab;
    for (int i = 0; i < b->n_prompt; i++) b->prompt[i] = (int32_t)(random_u64(0, RANDOM_TEST, (uint64_t)i) % n_vocab);
out:
    return status;
}

cria_status cmd_bench(const struct conf *c, struct cria_error *err) {
    struct bench b = {0};
    const char *name = NULL;
    cria_status status;
    TRY(cmd_model_name(c, &name, err));
    TRY(prepare(&b, c, err));
    TRY(measure_all(&b, err));
    const struct figures f = figures_of(&b);
    TRY(conf_flag(c, CONF_JSON) ? write_json(&b, &f, name, err) : write_page(&b, &f, name, err));
out:
    alloc_free(b.prompt);
    alloc_free(b.prefill_s);
    alloc_free(b.decode_s);
    cmd_model_close(&b.m);
    return status;
}
