/* cmd_train_shape.c: the model and the schedule of a run, from its options; see cmd_train_setup.h. */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd_train_setup.h"

static cria_status unknown_preset(const char *name, struct cria_error *err) {
    char list[256] = "";
    for (int i = 0; arch_preset_name(i); i++) {
        const size_t n = strlen(list);
        snprintf(list + n, sizeof list - n, "%s%s", i ? ", " : "", arch_preset_name(i));
    }
    return ERROR_SET(err, CRIA_USAGE, "--preset %s: there is %s", name, list);
}

static cria_status need_shape(const struct conf *c, struct cria_error *err) {
    static const enum conf_id needed[] = {CONF_TRAIN_WIDTH, CONF_TRAIN_LAYERS, CONF_TRAIN_HEADS, CONF_TRAIN_FF_WIDTH};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
        if (!conf_is_set(c, needed[i]))
            return ERROR_SET(err, CRIA_USAGE,
                             "which model? --init MODEL, --preset NAME, or a whole shape, where --%s is missing",
                             conf_option(needed[i])->name);
    return CRIA_OK;
}

/* Options of the shape over what the preset says. */
static void take_shape(const struct conf *c, struct arch_config *m) {
    const struct {
        enum conf_id id;
        int64_t *to;
    } sizes[] = {{CONF_TRAIN_WIDTH, &m->d_model},       {CONF_TRAIN_LAYERS, &m->n_layers},
                 {CONF_TRAIN_HEADS, &m->n_heads},       {CONF_TRAIN_KV_HEADS, &m->n_kv_heads},
                 {CONF_TRAIN_HEAD_SIZE, &m->head_size}, {CONF_TRAIN_FF_WIDTH, &m->d_ff},
                 {CONF_TRAIN_VOCAB, &m->n_vocab},       {CONF_TRAIN_CONTEXT, &m->n_context}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if (conf_is_set(c, sizes[i].id)) *sizes[i].to = conf_int(c, sizes[i].id);
    if (conf_is_set(c, CONF_TRAIN_TIED)) m->tied = strcmp(conf_text(c, CONF_TRAIN_TIED), "true") == 0;
    if (conf_is_set(c, CONF_TRAIN_ROPE_BASE)) {
        m->rope.theta = conf_real(c, CONF_TRAIN_ROPE_BASE);
        m->rope.kind = ARCH_ROPE_PLAIN;
    }
}

static cria_status no_shape_beside_init(const struct conf *c, struct cria_error *err) {
    for (enum conf_id id = CONF_TRAIN_PRESET; id <= CONF_TRAIN_ROPE_BASE; id++)
        if (conf_is_set(c, id))
            return ERROR_SET(err, CRIA_USAGE, "--%s beside --init: the shape is that of the model",
                             conf_option(id)->name);
    return CRIA_OK;
}

cria_status cmd_train_shape_config(const struct conf *c, const model_files *init, int64_t data_vocab,
                                   int64_t data_length, struct arch_config *ret, struct cria_error *err) {
    const char *preset = conf_text(c, CONF_TRAIN_PRESET);
    struct arch_config m = {
        .norm_eps = 1e-5, .tied = true, .bos_id = -1, .rope = {.kind = ARCH_ROPE_PLAIN, .theta = 10000}};
    cria_status status = CRIA_OK;
    if (init) {
        TRY(no_shape_beside_init(c, err));
        *ret = *model_files_config(init);
        return CRIA_OK;
    }
    if (preset && !arch_preset(preset, &m)) return unknown_preset(preset, err);
    if (!preset) TRY(need_shape(c, err));
    if (data_vocab) m.n_vocab = data_vocab;
    take_shape(c, &m);
    if (!preset && !m.n_kv_heads) m.n_kv_heads = m.n_heads;
    if (!conf_is_set(c, CONF_TRAIN_HEAD_SIZE)) {
        if (m.d_model % m.n_heads)
            TRY(ERROR_SET(err, CRIA_USAGE,
                          "--width %lld is no multiple of --heads %lld; --head-size N says what is meant",
                          (long long)m.d_model, (long long)m.n_heads));
        m.head_size = m.d_model / m.n_heads;
    }
    if (!conf_is_set(c, CONF_TRAIN_CONTEXT) && m.n_context < data_length) m.n_context = data_length;
    if (!m.name[0]) snprintf(m.name, sizeof m.name, "%s", preset ? preset : "cria");
    if (!m.n_vocab) TRY(ERROR_SET(err, CRIA_USAGE, "--vocab-size is missing: a file of ids does not say it"));
    TRY(arch_config_check(&m, err));
    *ret = m;
out:
    return status;
}

/* "16@1000,32@5000" */
static cria_status read_ramp(const char *text, struct schedule *s, struct cria_error *err) {
    while (*text) {
        char count[24], from[24];
        int n = 0;
        struct schedule_ramp *r = &s->ramp[s->n_ramp];
        if (s->n_ramp == SCHEDULE_MAX_RAMP)
            return ERROR_SET(err, CRIA_USAGE, "--batch-ramp: more than %d entries", SCHEDULE_MAX_RAMP);
        if (sscanf(text, "%20[0-9]@%20[0-9]%n", count, from, &n) != 2 || (text[n] && text[n] != ','))
            return ERROR_SET(err, CRIA_USAGE, "--batch-ramp: expected ROWS@STEP,..., found \"%s\"", text);
        cria_status status = conf_read_int(count, 1, 1 << 24, &r->rows, err);
        if (status == CRIA_OK) status = conf_read_int(from, 2, 1000000000, &r->from, err);
        if (status != CRIA_OK) {
            error_prefix(err, "--batch-ramp");
            return status;
        }
        s->n_ramp++;
        text += n + (text[n] == ',');
    }
    return CRIA_OK;
}

cria_status cmd_train_shape_schedule(const struct conf *c, int64_t steps, struct schedule *ret,
                                     struct cria_error *err) {
    static const enum schedule_kind kinds[] = {SCHEDULE_CONSTANT, SCHEDULE_COSINE, SCHEDULE_WSD};
    const char *ramp = conf_text(c, CONF_TRAIN_BATCH_RAMP);
    struct schedule s = {.kind = kinds[conf_int(c, CONF_TRAIN_SCHEDULE)],
                         .peak = conf_real(c, CONF_TRAIN_LR),
                         .steps = steps,
                         .rows = conf_int(c, CONF_TRAIN_GLOBAL_BATCH)};
    s.floor = s.kind == SCHEDULE_COSINE ? 0.1 * s.peak : 0;
    s.warmup = s.kind == SCHEDULE_CONSTANT ? 0 : steps / 20;
    s.decay = s.kind == SCHEDULE_WSD ? steps / 5 : 0;
    if (conf_is_set(c, CONF_TRAIN_MIN_LR)) s.floor = conf_real(c, CONF_TRAIN_MIN_LR);
    if (conf_is_set(c, CONF_TRAIN_WARMUP)) s.warmup = conf_int(c, CONF_TRAIN_WARMUP);
    if (conf_is_set(c, CONF_TRAIN_DECAY)) s.decay = conf_int(c, CONF_TRAIN_DECAY);
    cria_status status = ramp ? read_ramp(ramp, &s, err) : CRIA_OK;
    if (status == CRIA_OK) status = schedule_check(&s, err);
    if (status == CRIA_OK) *ret = s;
    return status;
}
