/* runner.c: see runner.h. */
#include "kit/runner.h"

#include <math.h>

#include "format/format.h"

cria_status runner_open(struct runner *ret, const char *path, enum llama_compute compute, int max_rows,
                        int64_t max_context, struct cria_error *err) {
    cria_status status = CRIA_OK;
    struct runner r = {.max_rows = max_rows};
    model_files *files = NULL;
    TRY(device_create_cpu(&r.dev, &(struct device_options){.n_threads = 2}, err));
    TRY(model_files_open(&files, path, &(struct model_open_options){.check_tensors = true}, err));
    TRY(llama_model_load(&r.model, files, r.dev, &(struct llama_model_options){.compute = compute}, err));
    r.n_vocab = (int32_t)llama_model_config(r.model)->n_vocab;
    const struct llama_session_options options = {
        .max_rows = max_rows,
        .max_logits = max_rows,
        .kv_tokens = max_context,
        .max_sequences = 1,
        .max_context = max_context,
    };
    TRY(llama_session_create(&r.session, r.model, &options, err));
    TRY(llama_sequence_create(&r.sequence, r.session, err));
    *ret = r;
    r = (struct runner){0};
out:
    model_files_close(&files);
    runner_close(&r);
    return status;
}

void runner_close(struct runner *r) {
    llama_sequence_destroy(&r->sequence);
    llama_session_destroy(&r->session);
    llama_model_destroy(&r->model);
    device_destroy(&r->dev);
}

cria_status runner_append(struct runner *r, const int32_t *tokens, int n, float *logits, struct cria_error *err) {
    for (int at = 0; at < n; at += r->max_rows) {
        const int piece = n - at < r->max_rows ? n - at : r->max_rows;
        const struct llama_run run = {r->sequence, tokens + at, piece, logits ? piece : 0};
        float *rows = logits ? logits + (size_t)at * (size_t)r->n_vocab : NULL;
        const cria_status status = llama_forward(r->session, &run, 1, rows, err);
        if (status != CRIA_OK) return status;
    }
    return CRIA_OK;
}

int32_t runner_argmax(const float *row, int32_t n) {
    int32_t best = 0;
    for (int32_t i = 1; i < n; i++) {
        if (row[i] > row[best]) best = i;
    }
    return best;
}

double runner_largest(const float *row, int32_t n) {
    double largest = 0;
    for (int32_t i = 0; i < n; i++) largest = fmax(largest, fabs((double)row[i]));
    return largest;
}
