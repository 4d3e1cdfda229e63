/* cmd_foretell.c: see cmd_foretell.h. */
#include "cmd/cmd_foretell.h"

#include <stdio.h>
#include <unistd.h>

#include "cmd/cmd_plan_measure.h"

enum { ENGINE_CHUNK = 512, HUGE_PAGE = 2 << 20 };

/* What a run touches beside its weights and its session: code, stacks, pages of the file that packing leaves. Measured
 * on models of 80 million parameters, 2026. */
static const uint64_t beside_bytes = 2 << 20;

static uint64_t in_huge_pages(uint64_t n_bytes) {
    return n_bytes < HUGE_PAGE ? n_bytes : (n_bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
}

uint64_t cmd_foretell_resident(void) {
    unsigned long long all, resident;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file) return 0;
    const int n = fscanf(file, "%llu %llu", &all, &resident);
    fclose(file);
    return n == 2 ? resident * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

static struct machine_model model_of(const model_files *files) {
    const struct arch_config *c = model_files_config(files);
    struct machine_model m = {.config = *c};
    for (enum arch_weight w = ARCH_W_NONE + 1; w < ARCH_W_COUNT; w++) {
        const struct arch_weight_row *row = arch_weight_row(w);
        int64_t n_rows, n_columns;
        if (!arch_weight_exists(c, w) || !row->is_matrix) continue;
        arch_weight_shape(c, w, &n_rows, &n_columns);
        for (int layer = 0; row->per_layer && layer < c->n_layers; layer++)
            m.layer_params[model_files_tensor(files, w, layer).dtype] += (double)(n_rows * n_columns);
    }
    m.head = model_files_tensor(files, c->tied ? ARCH_W_EMBEDDING : ARCH_W_HEAD, 0).dtype;
    return m;
}

/* What the engine books for such a run, with a cache no longer than it needs. */
static cria_status count_memory(const model_files *files, const struct cmd_foretell_run *run, uint64_t *ret,
                                struct cria_error *err) {
    const int chunk = run->chunk ? run->chunk : ENGINE_CHUNK;
    const int64_t deep = (int64_t)run->depth + run->n_answer, longest = run->n_prompt > deep ? run->n_prompt : deep;
    const int64_t own = longest < chunk ? longest : chunk, all = own * run->n_sequences;
    /* Prompts of several sequences share a pass as far as the engine's own chunk goes. */
    const int64_t shared = all < ENGINE_CHUNK ? all : ENGINE_CHUNK, rows = shared > own ? shared : own;
    /* Places that are written to: the prompt's or the answers', whichever are more, since they take turns; what lies
     * before the answers is there once for all of them, and is kept beside the prompt. */
    const int64_t answers = (int64_t)run->n_sequences * (run->n_answer + LLAMA_PAGE);
    const int64_t turns = run->n_prompt > answers ? run->n_prompt : answers;
    const int64_t places = run->depth > 0 ? run->n_prompt + run->depth + answers : turns;
    const struct llama_session_options options = {.kv_dtype = run->kv,
                                                  .max_rows = (int)rows + run->n_sequences,
                                                  .max_logits = run->n_sequences,
                                                  .kv_tokens = places > longest ? places : longest,
                                                  .max_sequences = run->n_sequences + 1,
                                                  .max_context = longest};
    uint64_t weights, kv, activations;
    cria_status status;
    TRY(llama_weights_bytes(files, run->compute, &weights, err));
    TRY(llama_session_bytes(model_files_config(files), run->compute, &options, &kv, &activations, err));
    *ret = in_huge_pages(weights) + in_huge_pages(kv) + in_huge_pages(activations) + beside_bytes;
out:
    return status;
}

static cria_status time_parts(const model_files *files, const struct cmd_foretell_run *run, struct cmd_foretold *ret,
                              struct cria_error *err) {
    const struct machine_model model = model_of(files);
    const int chunk = run->chunk ? run->chunk : ENGINE_CHUNK;
    struct machine m;
    cria_status status;
    TRY(cmd_plan_machine(&m, err));
    if (run->compute == LLAMA_COMPUTE_F32)
        TRY(ERROR_SET(err, CRIA_UNSUPPORTED, "products in f32 are not among the measured ones"));
    if (m.n_threads != run->n_threads)
        TRY(ERROR_SET(err, CRIA_UNSUPPORTED,
                      "the machine was measured with %lld threads and this run has %d: cria plan "
                      "calibrate --threads %d",
                      (long long)m.n_threads, run->n_threads, run->n_threads));
    TRY(machine_prefill_s(&m, &model, run->n_prompt, chunk, &ret->prefill_s, err));
    TRY(machine_decode_s(&m, &model, run->depth + 1 + run->n_answer / 2, run->n_sequences, &ret->decode_s, err));
out:
    return status;
}

cria_status cmd_foretell(const model_files *files, const struct cmd_foretell_run *run, struct cmd_foretold *ret,
                         struct cria_error *err) {
    struct cmd_foretold f = {0};
    struct cria_error missing;
    const cria_status status = count_memory(files, run, &f.memory_bytes, err);
    if (status != CRIA_OK) return status;
    const cria_status timed = time_parts(files, run, &f, &missing);
    f.has_times = timed == CRIA_OK;
    if (timed == CRIA_NOTFOUND) snprintf(f.why, sizeof f.why, "this machine was not measured yet: cria plan calibrate");
    else if (timed != CRIA_OK) snprintf(f.why, sizeof f.why, "%.250s", missing.text);
    *ret = f;
    return CRIA_OK;
}
