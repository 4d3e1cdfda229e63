/* train_plan.c: memory and work of a run; see train.h and train_plan.h. */
#include "train/train_plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "conf/conf.h"
#include "train/train_session.h"

#define PROGRAM_BYTES ((uint64_t)24 << 20) /* measured over runs from 1m to 110m */

cria_status train_plan(const struct train_options *options, struct train_memory *ret, struct cria_error *err) {
    struct train_memory m = {0};
    uint64_t state = 0, scratch = 0;
    struct llama_trainer_options shape;
    llama_layout *layout = NULL;
    cria_status status;
    train_session_shape(options, &shape);
    TRY(llama_layout_create(&layout, &options->config, err));
    m.weights = (uint64_t)llama_layout_floats(layout) * sizeof(float);
    TRY(optim_bytes(layout, options->dev, &options->optim, &state, &scratch, err));
    m.optimizer = state + scratch;
    TRY(llama_trainer_plan(&options->config, options->dev, &shape, &m.trainer, err));
    if (options->save_behind) m.copy = m.weights + state;
    m.program = PROGRAM_BYTES;
    m.total = m.program + m.weights + m.optimizer + m.copy + m.trainer.packed_weights + m.trainer.gradients +
              m.trainer.kept + m.trainer.scratch;
    *ret = m;
out:
    llama_layout_destroy(&layout);
    return status;
}

cria_status train_estimate(const struct train_options *options, double *ret_seconds, struct cria_error *err) {
    struct train_session *s = NULL;
    struct train_gradient g;
    double seconds = 0;
    cria_status status;
    TRY(train_plan_check(options, err));
    TRY(train_session_create(&s, options, err));
    TRY(train_session_begin(s, err));
    for (int pass = 0; pass < 2; pass++) { /* the first one touches the memory for the first time */
        const double start = clock_seconds();
        TRY(train_session_gradient(s, &g, err));
        train_session_update(s, &g);
        seconds = clock_seconds() - start;
    }
    *ret_seconds = seconds;
out:
    train_session_destroy(&s);
    return status;
}

double train_flops(const struct train_options *options) {
    double flops = 0;
    struct rows_cursor at = {0};
    for (int64_t step = 1; step <= options->schedule.steps; step++) {
        const int64_t n = train_session_rows(options, step, at);
        const struct rows_cursor here = rows_advance(options->data, at, 0);
        if (here.phase >= rows_n_phases(options->data)) break;
        const struct rows_phase *p = rows_phase_at(options->data, here.phase);
        const struct llama_piece whole = {.n = p->n_rows ? (int)(p->n_tokens / p->n_rows) : p->seq_len};
        flops += (double)n * llama_train_flops(&options->config, &whole, 1);
        at = rows_advance(options->data, at, (uint64_t)n);
    }
    return flops;
}

/* The first number behind `word` in a file; -1 where there is none. */
static int64_t number_in(const char *path, const char *word) {
    char *text = NULL;
    size_t n = 0, digits = 0;
    int64_t value = -1;
    if (file_read(path, (size_t)1 << 20, &text, &n, NULL) != CRIA_OK) return -1;
    char *at = strstr(text, word);
    if (at) {
        at += strlen(word);
        at += strspn(at, " ");
        digits = strspn(at, "0123456789");
        at[digits] = '\0';
        if (conf_read_int(at, 0, INT64_MAX, &value, NULL) != CRIA_OK) value = -1;
    }
    alloc_free(text);
    return value;
}

/* Bytes that the system, or the limit of this control group, can still give; 0 where neither says. */
static uint64_t available_bytes(void) {
    const int64_t kib = number_in("/proc/meminfo", "MemAvailable:");
    const int64_t limit = number_in("/sys/fs/cgroup/memory.max", ""),
                  used = number_in("/sys/fs/cgroup/memory.current", "");
    uint64_t bytes = kib > 0 ? (uint64_t)kib << 10 : 0;
    if (limit > used && used >= 0 && (!bytes || (uint64_t)(limit - used) < bytes)) bytes = (uint64_t)(limit - used);
    return bytes;
}

static cria_status check_memory(const struct train_options *options, struct cria_error *err) {
    struct train_memory m;
    const cria_status status = train_plan(options, &m, err);
    if (status != CRIA_OK) return status;
    const uint64_t available = available_bytes();
    if (!available || m.total <= available) {
        log_notice("memory: %.1f MiB at most", (double)m.total / 0x1p20);
        return CRIA_OK;
    }
    return ERROR_SET(err, CRIA_NOMEM,
                     "the run needs %.2f GiB and the machine has %.2f GiB: weights %.2f, optimizer %.2f, copy for "
                     "saving %.2f, packed weights %.2f, gradients %.2f, kept activations %.2f, scratch %.2f; a smaller "
                     "--micro-batch, --recompute all or --save-behind false need less",
                     (double)m.total / 0x1p30, (double)available / 0x1p30, (double)m.weights / 0x1p30,
                     (double)m.optimizer / 0x1p30, (double)m.copy / 0x1p30, (double)m.trainer.packed_weights / 0x1p30,
                     (double)m.trainer.gradients / 0x1p30, (double)m.trainer.kept / 0x1p30,
                     (double)m.trainer.scratch / 0x1p30);
}

static cria_status check_leaves(const struct train_options *o, struct cria_error *err) {
    if (o->n_leaves & (o->n_leaves - 1))
        return ERROR_SET(err, CRIA_RANGE, "%d leaves: expected a power of two", o->n_leaves);
    if (o->n_leaves && o->schedule.rows % o->n_leaves)
        return ERROR_SET(err, CRIA_RANGE, "%d leaves do not divide a step of %" PRId64 " rows", o->n_leaves,
                         o->schedule.rows);
    return CRIA_OK;
}

cria_status train_plan_check(const struct train_options *o, struct cria_error *err) {
    cria_status status;
    TRY(arch_config_check(&o->config, err));
    TRY(schedule_check(&o->schedule, err));
    TRY(check_leaves(o, err));
    if (rows_n_vocab(o->data) > o->config.n_vocab)
        TRY(ERROR_SET(err, CRIA_SHAPE, "the data has ids up to %d, and the model a vocabulary of %" PRId64,
                      rows_n_vocab(o->data) - 1, o->config.n_vocab));
    if (rows_max_length(o->data) > o->config.n_context)
        TRY(ERROR_SET(err, CRIA_SHAPE, "the data has rows of %d tokens, and the model a context of %" PRId64,
                      rows_max_length(o->data), o->config.n_context));
    TRY(train_session_check_rows(o, err));
    TRY(check_memory(o, err));
out:
    return status;
}
