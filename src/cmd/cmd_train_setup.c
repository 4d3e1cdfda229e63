/* cmd_train_setup.c: see cmd_train_setup.h. */
#include "cmd/cmd_train_setup.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "device/probe.h"
#include "hub/hub.h"

/* Smaller models are not measured against the machine's peak: finding that takes longer than many of their steps. */
enum { MIN_PROBED = 1000000 };

/* ---- phases ---- */

static cria_status read_phase_key(struct cmd_train_setup *s, struct rows_phase_options *p, int phase, const char *key,
                                  const char *value, struct cria_error *err) {
    int64_t n = 0;
    int at = 0;
    cria_status status = CRIA_OK;
    if (strcmp(key, "name") == 0) p->name = value;
    else if (strcmp(key, "rope-base") == 0) status = conf_read_real(value, 1, 1e12, &p->rope_base, err);
    else if (strcmp(key, "seq-len") == 0) {
        status = conf_read_int(value, 1, ROWS_MAX_LENGTH, &n, err);
        p->seq_len = (int)n;
    } else if (strcmp(key, "rows") == 0) {
        status = conf_read_int(value, 1, INT64_MAX, &n, err);
        p->n_rows = (uint64_t)n;
    } else if (sscanf(key, "weights[%d]", &at) == 1 && at == p->n_weights && at < ROWS_MAX_SOURCES) {
        if (!s->weights[phase]) s->weights[phase] = alloc_zeroed(ROWS_MAX_SOURCES, sizeof(double));
        if (!s->weights[phase]) return ERROR_NOMEM(err, ROWS_MAX_SOURCES * sizeof(double), "the weights of a phase");
        status = conf_read_real(value, 0, 1e12, &s->weights[phase][p->n_weights++], err);
        p->weights = s->weights[phase];
    } else
        status =
            ERROR_SET(err, CRIA_USAGE, "unknown key \"%s\": a phase has name, seq-len, rope-base, rows, weights", key);
    return status;
}

static cria_status read_phases(struct cmd_train_setup *s, const struct train_fact *apart, int n,
                               struct cria_error *err) {
    for (int i = 0; i < n; i++) {
        int phase = 0, length = 0;
        if (sscanf(apart[i].name, "phases[%d].%n", &phase, &length) != 1 || length == 0)
            return ERROR_SET(err, CRIA_USAGE, "%s: expected a list of phases, each with keys", apart[i].name);
        if (phase >= CMD_TRAIN_MAX_PHASES)
            return ERROR_SET(err, CRIA_USAGE, "phases: more than %d", CMD_TRAIN_MAX_PHASES);
        if (phase >= s->n_phases) s->n_phases = phase + 1;
        const cria_status status =
            read_phase_key(s, &s->phases[phase], phase, apart[i].name + length, apart[i].value, err);
        if (status != CRIA_OK) {
            error_prefix(err, "phases[%d]", phase);
            return status;
        }
    }
    return CRIA_OK;
}

/* ---- data ---- */

static cria_status open_folder(struct cmd_train_setup *s, const struct conf *c, const char *path,
                               struct cria_error *err) {
    struct rows_phase_options one = {.seq_len = (int)conf_int(c, CONF_TRAIN_SEQ_LEN)};
    struct rows_options options = {.phases = s->n_phases ? s->phases : &one,
                                   .n_phases = s->n_phases ? s->n_phases : 1,
                                   .seed = (uint64_t)conf_int(c, CONF_TRAIN_SEED),
                                   .trust_files = conf_flag(c, CONF_TRAIN_TRUST_FILES)};
    cria_status status;
    for (int i = 0; i < s->n_phases; i++)
        if (!s->phases[i].seq_len) s->phases[i].seq_len = one.seq_len;
    TRY(rows_open(&s->data, path, &options, err));
    const char *tokenizer_path = rows_tokenizer_path(s->data);
    if (tokenizer_path) {
        s->tokenizer_folder = alloc_text(tokenizer_path, (size_t)(file_name(tokenizer_path) - tokenizer_path));
        if (!s->tokenizer_folder) TRY(ERROR_NOMEM(err, strlen(tokenizer_path), "a path"));
    }
    const struct rows_phase *last = rows_phase_at(s->data, rows_n_phases(s->data) - 1);
    if (!rows_has_held_out(s->data, last->seq_len)) goto out;
    one = (struct rows_phase_options){.seq_len = last->seq_len};
    options.phases = &one;
    options.n_phases = 1;
    options.held_out = true;
    options.trust_files = true; /* they were checked a moment ago */
    TRY(rows_open(&s->held_out, path, &options, err));
out:
    return status;
}

/* Bytes of text that each id of the first model's tokenizer stands for, special ones none; NULL where it has none. */
static cria_status token_bytes(const struct cmd_train_setup *s, int64_t n_vocab, uint16_t **ret,
                               struct cria_error *err) {
    tokenizer *tok = NULL;
    cria_status status = s->init ? model_files_tokenizer(s->init, &tok, err) : CRIA_NOTFOUND;
    if (status == CRIA_NOTFOUND) return CRIA_OK;
    if (status != CRIA_OK) return status;
    uint16_t *bytes = alloc_zeroed((size_t)n_vocab, sizeof *bytes);
    if (!bytes) TRY(ERROR_NOMEM(err, (size_t)n_vocab * sizeof *bytes, "the lengths of tokens"));
    for (int32_t id = 0; id < n_vocab && id < tokenizer_size(tok); id++) {
        const size_t n = tokenizer_is_special(tok, id) ? 0 : tokenizer_token(tok, id).n;
        bytes[id] = n > UINT16_MAX ? UINT16_MAX : (uint16_t)n;
    }
    *ret = bytes;
out:
    tokenizer_destroy(&tok);
    return status;
}

static cria_status open_lines(struct cmd_train_setup *s, const struct conf *c, const char *path,
                              struct cria_error *err) {
    const char *held_out = conf_text(c, CONF_TRAIN_EVAL_DATA);
    int64_t n_vocab = conf_int(c, CONF_TRAIN_VOCAB), length = ROWS_MAX_LENGTH;
    struct arch_config preset;
    uint16_t *bytes = NULL;
    cria_status status;
    if (s->init) {
        n_vocab = model_files_config(s->init)->n_vocab;
        length = model_files_config(s->init)->n_context;
    } else if (!n_vocab && conf_text(c, CONF_TRAIN_PRESET) && arch_preset(conf_text(c, CONF_TRAIN_PRESET), &preset)) {
        n_vocab = preset.n_vocab;
    }
    if (n_vocab < 1) return ERROR_SET(err, CRIA_USAGE, "--vocab-size is missing: a file of ids does not say it");
    if (length > ROWS_MAX_LENGTH) length = ROWS_MAX_LENGTH;
    TRY(rows_open_lines(&s->data, path, (int)n_vocab, (int)length, NULL, err));
    if (!held_out) goto out;
    TRY(token_bytes(s, n_vocab, &bytes, err));
    TRY(rows_open_lines(&s->held_out, held_out, (int)n_vocab, (int)length, bytes, err));
out:
    alloc_free(bytes);
    return status;
}

static cria_status open_data(struct cmd_train_setup *s, const struct conf *c, struct cria_error *err) {
    const char *folder = conf_text(c, CONF_TRAIN_DATA), *lines = conf_text(c, CONF_TRAIN_ROWS);
    if (!folder == !lines)
        return ERROR_SET(err, CRIA_USAGE, "which data? Either --data DIR (of cria data build) or --rows FILE.jsonl");
    if (lines && conf_is_set(c, CONF_TRAIN_SEQ_LEN))
        return ERROR_SET(err, CRIA_USAGE,
                         "--seq-len chooses among the rows of --data; those of --rows are as long as they are");
    if (lines && s->n_phases) return ERROR_SET(err, CRIA_USAGE, "phases are stretches of --data, not of --rows");
    if (folder && conf_is_set(c, CONF_TRAIN_EVAL_DATA))
        return ERROR_SET(err, CRIA_USAGE, "--eval-rows goes with --rows; a data folder has its own held-out rows");
    return folder ? open_folder(s, c, folder, err) : open_lines(s, c, lines, err);
}

/* ---- model, device, options ---- */

static cria_status open_init(struct cmd_train_setup *s, const struct conf *c, struct cria_error *err) {
    const char *name = conf_text(c, CONF_TRAIN_INIT);
    const struct model_open_options options = {.check_tensors = true};
    cria_status status = CRIA_OK;
    if (!name) return CRIA_OK;
    TRY(hub_resolve(name, &s->init_path, err));
    TRY(model_files_open(&s->init, s->init_path, &options, err));
out:
    return status;
}

static cria_status open_device(struct cmd_train_setup *s, const struct conf *c, struct cria_error *err) {
    const char *mask = conf_text(c, CONF_CPU_MASK);
    const struct device_options options = {.n_threads = (int)conf_int(c, CONF_THREADS),
                                           .max_isa = mask ? kernel_isa_from_name(mask) : KERNEL_ISA_NONE};
    return device_create_cpu(&s->dev, &options, err);
}

/* The ids that begin and end a text, from the tokenizer that the data was built with. */
static cria_status take_ends(struct cmd_train_setup *s, struct cria_error *err) {
    struct arch_config *m = &s->options.config;
    tokenizer *tok = NULL;
    const char *path = s->data ? rows_tokenizer_path(s->data) : NULL;
    if (s->init || !path) return CRIA_OK;
    const cria_status status = tokenizer_open(&tok, path, err);
    if (status != CRIA_OK) return status;
    if (tokenizer_bos(tok) < m->n_vocab) m->bos_id = tokenizer_bos(tok);
    if (tokenizer_eos(tok) >= 0 && tokenizer_eos(tok) < m->n_vocab) m->stop_ids[m->n_stop_ids++] = tokenizer_eos(tok);
    tokenizer_destroy(&tok);
    return CRIA_OK;
}

static void take_optimizer(const struct conf *c, struct train_options *o) {
    o->optim = (struct optim_options){.kind = conf_int(c, CONF_TRAIN_OPTIMIZER) == 1 ? OPTIM_MUON : OPTIM_ADAMW,
                                      .beta1 = conf_real(c, CONF_TRAIN_BETA1),
                                      .beta2 = conf_real(c, CONF_TRAIN_BETA2),
                                      .eps = conf_real(c, CONF_TRAIN_EPS),
                                      .weight_decay = conf_real(c, CONF_TRAIN_WEIGHT_DECAY),
                                      .momentum = conf_real(c, CONF_TRAIN_MOMENTUM),
                                      .f32 = o->compute == LLAMA_COMPUTE_F32};
    o->clip = conf_real(c, CONF_TRAIN_CLIP);
}

static void take_running(const struct conf *c, struct train_options *o) {
    static const enum train_action on_nan[] = {TRAIN_STOP, TRAIN_SKIP, TRAIN_REWIND};
    static const enum train_action on_spike[] = {TRAIN_WARN, TRAIN_STOP, TRAIN_SKIP, TRAIN_REWIND};
    static const enum live_style views[] = {LIVE_AUTO, LIVE_VIEW, LIVE_LINE, LIVE_LINES, LIVE_OFF};
    static const enum llama_recompute recomputes[] = {LLAMA_RECOMPUTE_NONE, LLAMA_RECOMPUTE_FFN, LLAMA_RECOMPUTE_ALL};
    o->seed = (uint64_t)conf_int(c, CONF_TRAIN_SEED);
    o->compute = conf_int(c, CONF_TRAIN_DTYPE) == 0 ? LLAMA_COMPUTE_F32 : LLAMA_COMPUTE_BF16;
    o->recompute = recomputes[conf_int(c, CONF_TRAIN_RECOMPUTE)];
    o->n_leaves = (int)conf_int(c, CONF_TRAIN_LEAVES);
    o->micro_rows = (int)conf_int(c, CONF_TRAIN_MICRO_BATCH);
    o->eval_every = conf_int(c, CONF_TRAIN_EVAL_EVERY);
    o->eval_rows = conf_int(c, CONF_TRAIN_EVAL_ROWS);
    o->digest_every = conf_int(c, CONF_TRAIN_DIGEST_EVERY);
    o->checkpoint_every = conf_int(c, CONF_TRAIN_CHECKPOINT_EVERY);
    o->checkpoint_seconds = 60 * conf_real(c, CONF_TRAIN_CHECKPOINT_MINUTES);
    o->keep = (int)conf_int(c, CONF_TRAIN_KEEP);
    o->save_behind = conf_int(c, CONF_TRAIN_SAVE_BEHIND) == 0;
    o->policy = (struct train_policy){.on_nan = on_nan[conf_int(c, CONF_TRAIN_ON_NAN)],
                                      .on_spike = on_spike[conf_int(c, CONF_TRAIN_ON_SPIKE)],
                                      .spike = conf_real(c, CONF_TRAIN_SPIKE)};
    o->meter = (struct meter_options){.idle_watts = conf_real(c, CONF_TRAIN_IDLE_WATTS),
                                      .core_watts = conf_real(c, CONF_TRAIN_CORE_WATTS)};
    o->live = (struct live_options){.style = conf_flag(c, CONF_QUIET) ? LIVE_OFF : views[conf_int(c, CONF_TRAIN_VIEW)]};
}

/* ---- facts ---- */

/* The shortest decimal that reads back as the same number. */
static void real_text(double value, char *out, size_t n) {
    double back = 0;
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(out, n, "%.*g", digits, value);
        if (conf_read_real(out, -1e300, 1e300, &back, NULL) == CRIA_OK && back == value) return;
    }
}

/* A value as one would write it; NULL without memory. */
static char *value_text(const struct conf *c, enum conf_id id) {
    char text[64];
    switch (conf_option(id)->type) {
        case CONF_FLAG:
            return alloc_text("true", 4);
        case CONF_INT:
            snprintf(text, sizeof text, "%lld", (long long)conf_int(c, id));
            return alloc_text(text, strlen(text));
        case CONF_REAL:
            real_text(conf_real(c, id), text, sizeof text);
            return alloc_text(text, strlen(text));
        default:
            return alloc_text(conf_text(c, id), strlen(conf_text(c, id)));
    }
}

/* A path that means the same from any folder, where it is one of a file that is there (a pulled name is not). */
static char *path_text(const char *path) {
    char whole[PATH_MAX];
    const char *found = realpath(path, whole) ? whole : path;
    return alloc_text(found, strlen(found));
}

static bool has_value(const struct conf *c, enum conf_id id) {
    const enum conf_type type = conf_option(id)->type;
    if (conf_is_set(c, id)) return true;
    return conf_option(id)->fallback && type != CONF_FLAG;
}

/* What does not belong to a run but to how it is watched. */
static bool is_passing(enum conf_id id) {
    return id == CONF_TRAIN_OUT || id == CONF_TRAIN_VIEW || id == CONF_TRAIN_DRY_RUN || id == CONF_TRAIN_FROM ||
           id == CONF_TRAIN_TO;
}

static bool rewinds(const struct conf *c) {
    return strcmp(conf_text(c, CONF_TRAIN_ON_NAN), "rewind") == 0 ||
           strcmp(conf_text(c, CONF_TRAIN_ON_SPIKE), "rewind") == 0;
}

/* The number of steps of a constant schedule changes nothing before the last one, so that such a run may go on; when
 * states are saved decides where rewinds go back to, and nothing else. */
static bool is_identity(const struct conf *c, enum conf_id id) {
    if (id == CONF_TRAIN_STEPS && conf_int(c, CONF_TRAIN_SCHEDULE) == 0) return false;
    if (id == CONF_TRAIN_CHECKPOINT_EVERY && !rewinds(c)) return false;
    return conf_option(id)->changes_results;
}

static cria_status add_fact(struct cmd_train_setup *s, const char *name, char *value, bool identifies,
                            struct cria_error *err) {
    struct train_options *o = &s->options;
    if (!value) return ERROR_NOMEM(err, strlen(name), "the options of a run");
    s->texts[s->n_texts++] = value;
    const struct train_fact fact = {.name = name, .value = value};
    s->settings[o->n_settings++] = fact;
    if (identifies) s->identity[o->n_identity++] = fact;
    return CRIA_OK;
}

static cria_status take_facts(struct cmd_train_setup *s, const struct conf *c, const struct train_fact *apart,
                              int n_apart, struct cria_error *err) {
    cria_status status = CRIA_OK;
    for (enum conf_id id = CONF_TRAIN_FIRST; id < CONF_TRAIN_END; id++) {
        if (is_passing(id) || !has_value(c, id)) continue;
        const bool is_path = conf_option(id)->type == CONF_PATH;
        TRY(add_fact(s, conf_option(id)->name, is_path ? path_text(conf_text(c, id)) : value_text(c, id),
                     is_identity(c, id), err));
    }
    for (int i = 0; i < n_apart; i++) {
        if (s->n_texts == CMD_TRAIN_MAX_FACTS)
            TRY(ERROR_SET(err, CRIA_LIMIT, "phases: more than %d settings", CMD_TRAIN_MAX_FACTS));
        TRY(add_fact(s, apart[i].name, alloc_text(apart[i].value, strlen(apart[i].value)), true, err));
    }
    s->options.identity = s->identity;
    s->options.settings = s->settings;
out:
    return status;
}

cria_status cmd_train_setup_open(struct cmd_train_setup *s, const struct conf *c, const char *out,
                                 const struct train_fact *apart, int n_apart, struct cria_error *err) {
    struct train_options *o = &s->options;
    cria_status status;
    o->out = out;
    o->live.title = out;
    TRY(read_phases(s, apart, n_apart, err));
    TRY(open_init(s, c, err));
    TRY(open_data(s, c, err));
    TRY(cmd_train_shape_config(c, s->init, conf_text(c, CONF_TRAIN_DATA) ? rows_n_vocab(s->data) : 0,
                               rows_max_length(s->data), &o->config, err));
    const int64_t all = (int64_t)(rows_total(s->data) / (uint64_t)conf_int(c, CONF_TRAIN_GLOBAL_BATCH));
    TRY(cmd_train_shape_schedule(c, conf_is_set(c, CONF_TRAIN_STEPS) ? conf_int(c, CONF_TRAIN_STEPS) : all,
                                 &o->schedule, err));
    TRY(take_ends(s, err));
    TRY(open_device(s, c, err));
    take_running(c, o);
    take_optimizer(c, o);
    o->live.title = file_name(out);
    o->live.total_steps = (uint64_t)o->schedule.steps;
    TRY(take_facts(s, c, apart, n_apart, err));
    o->init = s->init;
    o->data = s->data;
    o->held_out = s->held_out;
    o->dev = s->dev;
    o->tokenizer_folder = s->tokenizer_folder ? s->tokenizer_folder : s->init_path;
    if (arch_parameters(&o->config) >= MIN_PROBED)
        TRY(probe_product(device_threads(s->dev), device_isa(s->dev), o->compute == LLAMA_COMPUTE_F32, &o->peak_flops,
                          err));
out:
    return status;
}

void cmd_train_setup_close(struct cmd_train_setup *s) {
    for (int i = 0; i < s->n_texts; i++) alloc_free(s->texts[i]);
    for (int i = 0; i < CMD_TRAIN_MAX_PHASES; i++) alloc_free(s->weights[i]);
    rows_close(&s->held_out);
    rows_close(&s->data);
    model_files_close(&s->init);
    device_destroy(&s->dev);
    alloc_free(s->init_path);
    alloc_free(s->tokenizer_folder);
    *s = (struct cmd_train_setup){0};
}
