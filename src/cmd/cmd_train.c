/* cmd_train.c: trains a model, goes on with a run, or says what it would take. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "cmd/cmd.h"
#include "cmd/cmd_io.h"
#include "cmd/cmd_train_setup.h"
#include "conf/conf_yaml.h"

#define ASSUMED_FRACTION 0.4 /* of the machine's peak, where a step cannot be measured */

/* RUN.yaml: its options go into conf, its phases apart. */
struct run_file {
    char *text;             /* owned */
    struct conf_yaml *yaml; /* owned */
    struct train_fact phases[CMD_TRAIN_MAX_FACTS];
    int n_phases;
};

static cria_status read_run_file(struct run_file *f, struct conf *c, struct cria_error *err) {
    static const char *const apart[] = {"phases", NULL};
    const char *path = c->n_arguments ? c->arguments[0] : NULL;
    size_t n = 0;
    cria_status status = CRIA_OK;
    if (!path) return CRIA_OK;
    TRY(file_read(path, CONF_YAML_BYTES, &f->text, &n, err));
    TRY(conf_yaml_parse(&f->yaml, path, f->text, n, err));
    TRY(conf_set_yaml(c, f->yaml, apart, err));
    for (int i = 0; i < f->yaml->n_items; i++) {
        const struct conf_yaml_item *item = &f->yaml->items[i];
        if (strncmp(item->path, "phases", 6) != 0) continue;
        if (f->n_phases == CMD_TRAIN_MAX_FACTS)
            TRY(ERROR_SET(err, CRIA_LIMIT, "%s, line %d: too many settings of phases", path, item->line));
        f->phases[f->n_phases++] = (struct train_fact){.name = item->path, .value = item->value};
    }
out:
    return status;
}

static void close_run_file(struct run_file *f) {
    conf_yaml_destroy(&f->yaml);
    alloc_free(f->text);
}

static cria_status print_bytes(const char *what, uint64_t n, struct cria_error *err) {
    char text[32];
    cmd_bytes_text(n, text);
    return cmd_print(err, "  %-40s %s\n", what, text);
}

static cria_status print_time(double seconds, struct cria_error *err) {
    if (seconds < 120) return cmd_print(err, "time: about %.1f s\n", seconds);
    if (seconds < 7200) return cmd_print(err, "time: about %.1f min\n", seconds / 60);
    return cmd_print(err, "time: about %.1f h\n", seconds / 3600);
}

/* A step's seconds: measured where this machine has the memory, else by its peak. */
static cria_status estimate(const struct train_options *o, double *ret_seconds, bool *ret_is_measured,
                            struct cria_error *err) {
    struct cria_error error = {0};
    const cria_status status = train_estimate(o, ret_seconds, &error);
    *ret_is_measured = status == CRIA_OK;
    if (status == CRIA_NOMEM && o->peak_flops > 0) {
        log_warning("%s", error.text);
        *ret_seconds = train_flops(o) / (double)o->schedule.steps / (ASSUMED_FRACTION * o->peak_flops);
        return CRIA_OK;
    }
    if (status != CRIA_OK && err) *err = error;
    return status;
}

/* The memory by the plan, the time by one measured step. */
static cria_status dry_run(const struct train_options *o, struct cria_error *err) {
    struct train_memory m;
    double step_s = 0;
    bool is_measured = false;
    cria_status status;
    TRY(estimate(o, &step_s, &is_measured, err));
    TRY(train_plan(o, &m, err));
    TRY(cmd_print(err, "model: %lld parameters, %lld layers x %lld; %lld steps of %lld rows of at most %d tokens\n",
                  (long long)arch_parameters(&o->config), (long long)o->config.n_layers, (long long)o->config.d_model,
                  (long long)o->schedule.steps, (long long)o->schedule.rows, rows_max_length(o->data)));
    TRY(cmd_print(err, "memory:\n"));
    TRY(print_bytes("master weights", m.weights, err));
    TRY(print_bytes("optimizer", m.optimizer, err));
    TRY(print_bytes("copy for saving behind the steps", m.copy, err));
    TRY(print_bytes("packed weights", m.trainer.packed_weights, err));
    TRY(print_bytes("gradients", m.trainer.gradients, err));
    TRY(print_bytes("activations kept for backward", m.trainer.kept, err));
    TRY(print_bytes("scratch", m.trainer.scratch, err));
    TRY(print_bytes("the program", m.program, err));
    TRY(print_bytes("together", m.total, err));
    TRY(cmd_print(err, "a step: %.3g TFLOP, %.3g s, %s\n", train_flops(o) / (double)o->schedule.steps / 1e12, step_s,
                  is_measured ? "measured" : "by 40 % of the measured peak"));
    TRY(print_time(step_s * (double)o->schedule.steps, err));
out:
    return status;
}

static cria_status tell_end(const struct train_options *o, const struct train_end *e, struct cria_error *err) {
    cria_status status = CRIA_OK;
    if (e->step < e->steps) {
        log_notice("stopped by signal %d after step %lld of %lld, which is saved; the same call goes on", e->signal,
                   (long long)e->step, (long long)e->steps);
        return CRIA_OK;
    }
    TRY(cmd_print(err, "%lld steps, %lld tokens", (long long)e->step, (long long)e->n_tokens));
    if (isfinite(e->loss)) TRY(cmd_print(err, ", loss %.4f", e->loss));
    if (isfinite(e->eval_bits)) TRY(cmd_print(err, ", %.4f bits per byte of held-out text", e->eval_bits));
    TRY(cmd_print(err, ", %.1f s, %.0f J%s; the model is in %s/model\n", e->seconds, e->joules,
                  e->is_estimated ? " (estimated)" : "", o->out));
out:
    return status;
}

cria_status cmd_train(const struct conf *given, struct cria_error *err) {
    struct conf c = *given; /* the file adds to it; main() frees what *given owns, and train has no lists */
    struct run_file file = {0};
    struct cmd_train_setup setup = {0};
    struct train_end end;
    cria_status status;
    TRY(read_run_file(&file, &c, err));
    const char *out = conf_text(&c, CONF_TRAIN_OUT);
    const bool is_dry = conf_flag(&c, CONF_TRAIN_DRY_RUN);
    if (!out && !is_dry) TRY(ERROR_SET(err, CRIA_USAGE, "where to? --out DIR: the folder of the run"));
    TRY(cmd_train_setup_open(&setup, &c, out ? out : "", file.phases, file.n_phases, err));
    if (is_dry) TRY(dry_run(&setup.options, err));
    else {
        TRY(train_run(&setup.options, &end, err));
        TRY(tell_end(&setup.options, &end, err));
    }
out:
    cmd_train_setup_close(&setup);
    close_run_file(&file);
    return status;
}
