/* cmd_bench_report.c: the figures of a bench, as a page or as JSON (see cmd_bench.h).
 *
 * A fraction is of what the machine did between the runs: of prefill, of the product kernel's speed; of decode, of the
 * memory's, where each step reads the weights once and the keys and values of every sequence. */
#include <stdlib.h>

#include "base/json.h"
#include "cmd/cmd_bench.h"
#include "cmd/cmd_io.h"

enum { MAX_JSON_BYTES = 1 << 16 };

/* Above this part of the machine taken by others, figures are not worth keeping. */
static const double busy_limit = 0.05;

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct spread spread_of(double *values, int n) {
    qsort(values, (size_t)n, sizeof *values, compare_doubles);
    const double median = n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
    return (struct spread){.median = median, .slowest = values[0], .fastest = values[n - 1]};
}

static double prefill_flops(const struct bench *b) {
    const struct arch_config *config = llama_model_config(b->m.model);
    double flops = 0;
    for (int i = 0; i < b->n_prompt; i++) flops += arch_forward_flops(config, i, i == b->n_prompt - 1);
    return flops;
}

/* Bytes of weights that a step reads: all but an embedding that is not the head too. */
static double weight_bytes(const struct bench *b) {
    const struct arch_config *config = llama_model_config(b->m.model);
    const double all = (double)llama_model_bytes(b->m.model);
    return config->tied ? all : all - (double)model_files_tensor(b->m.files, ARCH_W_EMBEDDING, 0).n_bytes;
}

/* Bytes of keys and values that a step reads, in the middle of the answers. */
static double kv_bytes(const struct bench *b, enum dtype kv) {
    const struct arch_config *config = llama_model_config(b->m.model);
    const double of_token =
        2.0 * (double)(config->n_kv_heads * config->head_size * config->n_layers) * (double)dtype_info(kv)->block_bytes;
    return of_token * (b->depth + 1 + b->n_answer / 2.0) * b->n_sequences;
}

struct figures cmd_bench_figures(struct bench *b) {
    struct figures f = {.prefill = spread_of(b->prefill, b->n_repeats),
                        .decode = spread_of(b->decode, b->n_repeats),
                        .read_bytes_per_s = spread_of(b->read_bytes_per_s, b->n_repeats).median,
                        .flops_per_s = spread_of(b->flops_per_s, b->n_repeats).median};
    if (b->n_prompt) f.arithmetic_fraction = f.prefill.median / b->n_prompt * prefill_flops(b) / f.flops_per_s;
    const double step_bytes = weight_bytes(b) + kv_bytes(b, b->kv);
    f.memory_fraction = f.decode.median / b->n_sequences * step_bytes / f.read_bytes_per_s;
    return f;
}

static void json_i64(json_writer *w, const char *key, int64_t value) {
    json_write_key(w, key);
    json_write_i64(w, value);
}

static void json_f32(json_writer *w, const char *key, double value) {
    json_write_key(w, key);
    json_write_f32(w, (float)value);
}

static void json_text(json_writer *w, const char *key, const char *value) {
    json_write_key(w, key);
    json_write_text(w, value);
}

/* n_tokens 0: it was not measured. */
static void json_spread(json_writer *w, const char *key, int n_tokens, struct spread s, const char *fraction_key,
                        double fraction) {
    json_write_key(w, key);
    if (!n_tokens) {
        json_write_null(w);
        return;
    }
    json_write_begin_object(w);
    json_i64(w, "tokens", n_tokens);
    json_f32(w, "tokens_per_s", s.median);
    json_f32(w, "slowest", s.slowest);
    json_f32(w, "fastest", s.fastest);
    json_f32(w, fraction_key, fraction);
    json_write_end_object(w);
}

static const char *compute_name(const struct bench *b) {
    return llama_model_compute(b->m.model) == LLAMA_COMPUTE_F32 ? "f32" : "bf16";
}

static void json_machine(json_writer *w, const struct bench *b, const struct figures *f) {
    json_write_key(w, "machine");
    json_write_begin_object(w);
    json_f32(w, "read_bytes_per_s", f->read_bytes_per_s);
    json_i64(w, "read_bytes", (int64_t)b->read_bytes);
    json_f32(w, "product_flops_per_s", f->flops_per_s);
    json_f32(w, "taken_by_others", b->others);
    json_write_key(w, "was_busy");
    json_write_bool(w, b->others > busy_limit);
    json_write_end_object(w);
}

/* Tokens a second where n tokens take s seconds; null where nothing was foretold. */
static void json_rate(json_writer *w, const char *key, bool is_there, int n, double s) {
    json_write_key(w, key);
    if (is_there && n > 0 && s > 0) json_write_f64(w, n / s);
    else json_write_null(w);
}

static void json_foretold(json_writer *w, const struct bench *b) {
    const struct cmd_foretold *of = &b->foretold;
    json_write_key(w, "predicted");
    json_write_begin_object(w);
    json_rate(w, "prefill_tokens_per_s", of->has_times, b->n_prompt, of->prefill_s);
    json_rate(w, "decode_tokens_per_s", of->has_times && b->n_answer, b->n_sequences, of->decode_s);
    json_i64(w, "memory_bytes", (int64_t)(of->memory_bytes + b->program_bytes));
    if (!of->has_times) json_text(w, "why", of->why);
    json_write_end_object(w);
    json_i64(w, "resident_bytes", (int64_t)b->resident_bytes);
}

cria_status cmd_bench_json(const struct bench *b, const struct figures *f, struct cria_error *err) {
    struct buffer out = buffer_make(MAX_JSON_BYTES);
    json_writer w = json_writer_make(&out);
    json_write_begin_object(&w);
    json_text(&w, "model", b->name);
    json_i64(&w, "threads", device_threads(b->m.dev));
    json_text(&w, "kernels", kernel_isa_name(device_isa(b->m.dev)));
    json_text(&w, "compute", compute_name(b));
    json_f32(&w, "load_s", b->m.load_s);
    json_i64(&w, "weight_bytes", (int64_t)llama_model_bytes(b->m.model));
    json_i64(&w, "depth", b->depth);
    json_i64(&w, "sequences", b->n_sequences);
    json_i64(&w, "repeats", b->n_repeats);
    json_spread(&w, "prefill", b->n_prompt, f->prefill, "fraction_of_arithmetic", f->arithmetic_fraction);
    json_spread(&w, "decode", b->n_answer, f->decode, "fraction_of_memory", f->memory_fraction);
    json_machine(&w, b, f);
    json_foretold(&w, b);
    json_write_end_object(&w);
    const cria_status status = cmd_write_line(&out, err);
    buffer_free(&out);
    return status;
}

static cria_status page_row(const char *what, int n_tokens, struct spread s, double fraction, const char *of,
                            struct cria_error *err) {
    if (!n_tokens) return CRIA_OK;
    return cmd_print(err, "  %-8s %4d tokens  %9.1f tokens/s  (%.1f to %.1f)  %5.1f %% of the %s speed\n", what,
                     n_tokens, s.median, s.slowest, s.fastest, 100 * fraction, of);
}

/* What was said before the first pass, beside what came. */
static cria_status page_foretold(const struct bench *b, const struct figures *f, struct cria_error *err) {
    const struct cmd_foretold *of = &b->foretold;
    const double memory = (double)(of->memory_bytes + b->program_bytes);
    cria_status status;
    TRY(cmd_print(err, "  predicted: %.1f MiB in memory (%+.1f %% of %.1f)", memory / (1 << 20),
                  100 * (memory / (double)b->resident_bytes - 1), (double)b->resident_bytes / (1 << 20)));
    if (!of->has_times) {
        TRY(cmd_print(err, "; no times, %s\n", of->why));
        goto out;
    }
    const double prefill = b->n_prompt / of->prefill_s, decode = b->n_sequences / of->decode_s;
    if (b->n_prompt)
        TRY(cmd_print(err, "; prefill %.1f tokens/s (%+.1f %%)", prefill, 100 * (prefill / f->prefill.median - 1)));
    if (b->n_answer)
        TRY(cmd_print(err, "; decode %.1f tokens/s (%+.1f %%)", decode, 100 * (decode / f->decode.median - 1)));
    TRY(cmd_print(err, "\n"));
out:
    return status;
}

cria_status cmd_bench_page(const struct bench *b, const struct figures *f, struct cria_error *err) {
    const int n_threads = device_threads(b->m.dev);
    cria_status status;
    TRY(cmd_print(err, "%s, %s, %d thread%s, kernels %s; median of %d (slowest to fastest)\n", b->name, compute_name(b),
                  n_threads, n_threads == 1 ? "" : "s", kernel_isa_name(device_isa(b->m.dev)), b->n_repeats));
    if (b->n_sequences > 1 || b->depth)
        TRY(cmd_print(err, "decode of %d sequence%s behind %d tokens\n", b->n_sequences, b->n_sequences == 1 ? "" : "s",
                      b->depth));
    TRY(cmd_print(err, "\n"));
    TRY(page_row("prefill", b->n_prompt, f->prefill, f->arithmetic_fraction, "product kernel's", err));
    TRY(page_row("decode", b->n_answer, f->decode, f->memory_fraction, "memory's", err));
    TRY(cmd_print(err,
                  "\n  memory reads %.1f GB/s (%zu MiB), products in the cache %.1f Gflop/s, loading took %.2f s\n",
                  f->read_bytes_per_s * 1e-9, b->read_bytes >> 20, f->flops_per_s * 1e-9, b->m.load_s));
    TRY(page_foretold(b, f, err));
    if (b->others > busy_limit)
        TRY(cmd_print(err, "  the machine was busy: other work took %.0f %% of it, so these figures are too low\n",
                      100 * b->others));
out:
    return status;
}
