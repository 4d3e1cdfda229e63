/* train_run.c: the loop: steps, what to do about bad ones, evaluation, checkpoints, logs; see train.h. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "report/tensorboard.h"
#include "train/run_record.h"
#include "train/saver.h"
#include "train/train_folder.h"
#include "train/train_log.h"
#include "train/train_plan.h"
#include "train/train_policy.h"
#include "train/train_signal.h"

enum { STATE_BYTES = 1 << 16, REASON_BYTES = 256 };

struct run {
    const struct train_options *options;
    struct train_session *session; /* owned, as all of these */
    struct train_folder folder;
    saver *saves;
    train_log *log, *events;
    tensorboard *board;
    live *view;
    meter *energy;
    struct meter_reading last; /* at the end of the step before */
    double saved_at;           /* clock_seconds() of the last save */
    int64_t saved_step;
    double eval_bits, loss;
    /* What the next step's line says besides: the run went back from this step (0: it did not), or the loss jumped. */
    int64_t rewound_from;
    struct rows_cursor rewound_to;
    char reason[REASON_BYTES]; /* empty: neither */
};

static double wall_time(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* What the saver did since it was last asked. */
static cria_status hear_saver(struct run *r, cria_status *ret_failure, struct cria_error *err) {
    struct cria_error error = {0};
    cria_status outcome = CRIA_OK;
    int64_t step = 0;
    double seconds = 0;
    if (!saver_poll(r->saves, &step, &outcome, &seconds, &error)) return CRIA_OK;
    if (outcome != CRIA_OK) {
        live_clear(r->view);
        log_warning("the state of step %lld was not saved: %s", (long long)step, error.text);
    }
    if (ret_failure) {
        *ret_failure = outcome;
        if (outcome != CRIA_OK && err) *err = error;
    }
    json_writer *w = train_log_begin(r->events, step);
    train_log_text(w, "event", outcome == CRIA_OK ? "saved" : "save failed");
    train_log_real(w, "seconds", seconds);
    if (outcome != CRIA_OK) train_log_text(w, "reason", error.text);
    const cria_status status = train_log_end(r->events, outcome == CRIA_OK ? err : NULL);
    return outcome == CRIA_OK ? status : CRIA_OK;
}

static cria_status save(struct run *r, struct cria_error *err) {
    struct buffer state = buffer_make(STATE_BYTES);
    struct checkpoint_stamp stamp = {.step = r->session->at.step};
    cria_status status;
    saver_wait(r->saves);
    TRY(hear_saver(r, NULL, err));
    TRY(train_log_sync(r->log, err)); /* the log is never behind a checkpoint */
    TRY(train_progress_write(&state, &r->session->at, err));
    memcpy(stamp.run_id, r->folder.run_id, sizeof stamp.run_id);
    stamp.state = state.data;
    stamp.n_state = state.n_bytes;
    TRY(saver_start(r->saves, &stamp, err));
    r->saved_at = clock_seconds();
    r->saved_step = stamp.step;
out:
    buffer_free(&state);
    return status;
}

/* Saves and waits; the failure of the save is the function's. */
static cria_status save_last(struct run *r, struct cria_error *err) {
    cria_status outcome = CRIA_OK;
    if (r->saved_step != r->session->at.step) {
        const cria_status status = save(r, err);
        if (status != CRIA_OK) return status;
    }
    saver_wait(r->saves);
    const cria_status status = hear_saver(r, &outcome, err);
    return outcome != CRIA_OK ? outcome : status;
}

static bool is_due(int64_t step, int64_t every) { return every > 0 && step % every == 0; }

static cria_status save_if_due(struct run *r, struct cria_error *err) {
    const struct train_options *o = r->options;
    const int64_t step = r->session->at.step;
    const bool is_late = o->checkpoint_seconds > 0 && clock_seconds() - r->saved_at > o->checkpoint_seconds;
    if (step < o->schedule.steps && !is_late && !is_due(step, o->checkpoint_every)) return hear_saver(r, NULL, err);
    return save(r, err);
}

/* The members of an evaluation in the step's line. */
static cria_status evaluate(struct run *r, json_writer *w, struct cria_error *err) {
    struct train_evaluation e;
    cria_status status;
    TRY(train_session_evaluate(r->session, &e, err));
    r->eval_bits = e.bits_per_byte;
    train_log_real(w, "eval_loss", e.loss);
    train_log_real(w, "eval_bits_per_byte", e.bits_per_byte);
    train_log_integer(w, "eval_tokens", e.n_predicted);
    const struct tensorboard_value values[] = {{"eval/loss", (float)e.loss},
                                               {"eval/bits_per_byte", (float)e.bits_per_byte}};
    TRY(tensorboard_write(r->board, r->session->at.step, wall_time(), values, 2, err));
    meter_read(r->energy, &r->last); /* not the next step's */
out:
    return status;
}

/* The figures of a step for the log, the boards and the view. */
struct figures {
    double lr, seconds, joules, tokens_per_s, peak_fraction;
    bool is_estimated;
};

static struct figures measure(struct run *r, const struct train_gradient *g, double lr) {
    struct meter_reading now;
    meter_read(r->energy, &now);
    struct figures f = {.lr = lr,
                        .seconds = now.seconds - r->last.seconds,
                        .joules = now.joules - r->last.joules,
                        .is_estimated = now.is_estimated};
    if (f.seconds < 1e-9) f.seconds = 1e-9;
    f.tokens_per_s = (double)g->n_tokens / f.seconds;
    f.peak_fraction = r->options->peak_flops > 0 ? g->flops / f.seconds / r->options->peak_flops : (double)NAN;
    r->last = now;
    r->session->at.seconds += f.seconds;
    r->session->at.joules += f.joules;
    r->session->at.is_estimated = r->session->at.is_estimated || f.is_estimated;
    return f;
}

/* What else there is to say about the step: that it was skipped, that the run went back to it, that its loss jumped. */
static void add_remarks(struct run *r, json_writer *w, const char *skipped) {
    if (skipped) train_log_text(w, "skipped", skipped);
    else if (r->reason[0]) train_log_text(w, r->rewound_from ? "rewound_because" : "jump", r->reason);
    if (r->rewound_from) {
        train_log_integer(w, "rewound_from", r->rewound_from);
        train_log_integer(w, "phase", r->rewound_to.phase);
        json_write_key(w, "row");
        json_write_u64(w, r->rewound_to.number);
    }
    r->reason[0] = '\0';
    r->rewound_from = 0;
}

static cria_status add_digest(const struct run *r, json_writer *w, struct cria_error *err) {
    uint8_t sum[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];
    const cria_status status = train_session_digest(r->session, sum, err);
    if (status != CRIA_OK) return status;
    digest_hex(sum, hex);
    train_log_text(w, "weights_digest", hex);
    return CRIA_OK;
}

static cria_status log_step(struct run *r, const struct train_gradient *g, const struct figures *f, const char *skipped,
                            struct cria_error *err) {
    const struct train_options *o = r->options;
    const int64_t step = r->session->at.step;
    const bool is_last = step == o->schedule.steps;
    cria_status status = CRIA_OK;
    json_writer *w = train_log_begin(r->log, step);
    train_log_real(w, "loss", g->loss);
    train_log_real(w, "grad_norm", g->norm);
    train_log_real(w, "lr", f->lr);
    train_log_integer(w, "tokens", g->n_tokens);
    train_log_real(w, "tokens_per_s", f->tokens_per_s);
    train_log_real(w, "peak_fraction", f->peak_fraction);
    train_log_real(w, "seconds", f->seconds);
    train_log_real(w, "joules", f->joules);
    json_write_key(w, "joules_estimated");
    json_write_bool(w, f->is_estimated);
    add_remarks(r, w, skipped);
    if (is_last || is_due(step, o->digest_every)) TRY(add_digest(r, w, err));
    if (o->held_out && (is_last || is_due(step, o->eval_every))) TRY(evaluate(r, w, err));
    TRY(train_log_end(r->log, err));
out:
    return status;
}

static cria_status show_step(struct run *r, const struct train_gradient *g, const struct figures *f,
                             struct cria_error *err) {
    const struct train_progress *p = &r->session->at;
    const int64_t steps = r->options->schedule.steps;
    const struct live_point point = {.step = (uint64_t)p->step,
                                     .tokens = (uint64_t)p->n_tokens,
                                     .loss = g->loss,
                                     .learning_rate = f->lr,
                                     .tokens_per_s = f->tokens_per_s,
                                     .peak_fraction = f->peak_fraction,
                                     .joules_per_token = f->joules / (double)g->n_tokens,
                                     .is_estimated = f->is_estimated,
                                     .seconds_left = p->seconds / (double)p->step * (double)(steps - p->step),
                                     .eval_bits_per_byte = r->eval_bits};
    const struct tensorboard_value values[] = {{"loss", (float)g->loss},
                                               {"grad_norm", (float)g->norm},
                                               {"lr", (float)f->lr},
                                               {"tokens_per_s", (float)f->tokens_per_s},
                                               {"joules_per_token", (float)point.joules_per_token}};
    live_step(r->view, &point);
    return tensorboard_write(r->board, p->step, wall_time(), values, sizeof values / sizeof values[0], err);
}

static cria_status log_event(struct run *r, const char *event, int64_t step, const char *reason,
                             struct cria_error *err) {
    json_writer *w = train_log_begin(r->events, step);
    train_log_text(w, "event", event);
    train_log_text(w, "reason", reason);
    train_log_text(w, "computed_again", "the same");
    return train_log_end(r->events, err);
}

/* The two writers of lines, at the session's step: what they wrote beyond it goes. */
static cria_status open_logs(struct run *r, struct cria_error *err) {
    const int64_t step = r->session->at.step;
    cria_status status;
    train_log_close(&r->log);
    tensorboard_close(&r->board);
    TRY(train_log_open(&r->log, r->folder.log, step, err));
    TRY(tensorboard_open(&r->board, r->folder.board, step > 0 ? step : -1, wall_time(), err));
out:
    return status;
}

/* Back to the last scheduled checkpoint, and on behind the rows of the step that was bad. */
static cria_status rewind_run(struct run *r, const struct train_gradient *g, const char *reason,
                              struct cria_error *err) {
    struct train_session *s = r->session;
    const struct train_progress before = s->at;
    const int64_t every = r->options->checkpoint_every, target = every > 0 ? before.step / every * every : 0;
    cria_status status;
    saver_wait(r->saves);
    TRY(hear_saver(r, NULL, err));
    if (before.n_rewinds >= TRAIN_POLICY_MAX_REWINDS)
        TRY(ERROR_SET(err, CRIA_NUMERIC, "step %lld: %s, and the run has gone back %lld times: it stops",
                      (long long)before.step + 1, reason, (long long)before.n_rewinds));
    if (target > 0) TRY(train_session_load(s, r->folder.checkpoints, target, r->folder.run_id, err));
    else TRY(train_session_begin(s, err));
    s->at.cursor = rows_advance(r->options->data, before.cursor, (uint64_t)g->n_rows);
    s->at.n_rewinds = before.n_rewinds + 1;
    s->at.seconds = before.seconds;
    s->at.joules = before.joules;
    TRY(open_logs(r, err));
    r->rewound_from = before.step + 1;
    r->rewound_to = s->at.cursor;
    snprintf(r->reason, sizeof r->reason, "%s", reason);
    r->saved_step = target;
out:
    return status;
}

/* A bad step computed again has to be bad in the same way, or the machine is at fault. */
static cria_status compute_again(struct run *r, struct train_gradient *g, const char *reason, struct cria_error *err) {
    struct train_gradient again;
    const cria_status status = train_session_gradient(r->session, &again, err);
    if (status != CRIA_OK) return status;
    const bool is_same = strcmp(again.what, g->what) == 0 && memcmp(&again.loss, &g->loss, sizeof g->loss) == 0 &&
                         memcmp(&again.norm, &g->norm, sizeof g->norm) == 0;
    if (!is_same)
        return ERROR_SET(err, CRIA_DEVICE,
                         "step %lld: %s, and computed again it gave other numbers: this machine computes wrongly",
                         (long long)r->session->at.step + 1, reason);
    *g = again;
    return CRIA_OK;
}

/* What is to be done about the step's numbers; reason is empty where they are as they should be. */
static enum train_action judge(const struct run *r, const struct train_gradient *g, char reason[REASON_BYTES]) {
    const struct train_policy *policy = &r->options->policy;
    const struct train_progress *p = &r->session->at;
    reason[0] = '\0';
    if (g->what[0]) {
        snprintf(reason, REASON_BYTES, "%s is not finite", g->what);
        return policy->on_nan == TRAIN_WARN ? TRAIN_STOP : policy->on_nan;
    }
    if (train_policy_is_spike(p, g->loss, policy->spike))
        snprintf(reason, REASON_BYTES, "the loss jumped to %.4f from a mean of %.4f", g->loss, p->mean);
    return reason[0] ? policy->on_spike : TRAIN_WARN;
}

static cria_status tell_bad_step(struct run *r, struct train_gradient *g, enum train_action action, const char *reason,
                                 struct cria_error *err) {
    static const char *const words[] = {"", "stop", "skip", "rewind"};
    const int64_t step = r->session->at.step + 1;
    cria_status status = CRIA_OK;
    live_clear(r->view);
    if (action != TRAIN_WARN) TRY(compute_again(r, g, reason, err));
    log_warning("step %lld: %s%s", (long long)step, reason,
                action == TRAIN_WARN   ? ""
                : action == TRAIN_STOP ? "; the same when computed again; the run stops before the update"
                : action == TRAIN_SKIP ? "; the same when computed again; its rows are skipped"
                                       : "; the same when computed again; going back");
    if (action == TRAIN_WARN) snprintf(r->reason, sizeof r->reason, "%s", reason);
    else TRY(log_event(r, words[action], step, reason, err));
    if (action == TRAIN_STOP)
        status = ERROR_SET(err, CRIA_NUMERIC,
                           "step %lld: %s; nothing was updated, the last checkpoint stays (--on-nan, --on-spike)",
                           (long long)step, reason);
out:
    return status;
}

static cria_status finish_step(struct run *r, const struct train_gradient *g, bool is_updated, const char *reason,
                               struct cria_error *err) {
    struct train_session *s = r->session;
    const double lr = schedule_rate(&r->options->schedule, s->at.step + 1);
    cria_status status;
    if (is_updated) {
        train_session_update(s, g);
        train_policy_learn(&s->at, g->loss);
    }
    train_session_advance(s, g, is_updated);
    const struct figures f = measure(r, g, lr);
    r->loss = g->loss;
    TRY(log_step(r, g, &f, is_updated ? NULL : reason, err));
    TRY(show_step(r, g, &f, err));
    TRY(save_if_due(r, err));
out:
    return status;
}

static cria_status do_step(struct run *r, struct cria_error *err) {
    struct train_gradient g;
    char reason[REASON_BYTES];
    cria_status status;
    TRY(train_session_gradient(r->session, &g, err));
    const enum train_action action = judge(r, &g, reason);
    if (reason[0]) TRY(tell_bad_step(r, &g, action, reason, err));
    if (reason[0] && action == TRAIN_REWIND) TRY(rewind_run(r, &g, reason, err));
    else TRY(finish_step(r, &g, !reason[0] || action == TRAIN_WARN, reason, err));
out:
    return status;
}

/* Which program, kernels and threads go on from here. */
static cria_status log_begun(struct run *r, struct cria_error *err) {
    struct run_record_circumstances here = {0};
    run_record_look(&here, r->options->dev);
    json_writer *w = train_log_begin(r->events, r->session->at.step);
    train_log_text(w, "event", "begun");
    for (int i = 0; i < here.n; i++) train_log_text(w, here.facts[i].name, here.facts[i].value);
    return train_log_end(r->events, err);
}

static cria_status open_run(struct run *r, struct cria_error *err) {
    const struct train_options *o = r->options;
    cria_status status;
    TRY(train_plan_check(o, err));
    TRY(train_session_create(&r->session, o, err));
    TRY(train_folder_init(&r->folder, r->session, err));
    TRY(train_folder_claim(&r->folder, r->session, err));
    const struct saver_options saving = {
        .folder = r->folder.checkpoints, .content = &r->session->content, .keep = o->keep, .is_behind = o->save_behind};
    TRY(saver_create(&r->saves, &saving, err));
    TRY(train_folder_restore(&r->folder, r->session, o->schedule.steps, err));
    r->saved_step = r->session->at.step ? r->session->at.step : -1;
    if (r->session->at.step) saver_know(r->saves, r->session->at.step);
    TRY(open_logs(r, err));
    TRY(train_log_open(&r->events, r->folder.events, INT64_MAX, err));
    TRY(meter_create(&r->energy, &o->meter, err));
    meter_read(r->energy, &r->last);
    r->saved_at = clock_seconds();
    if (r->session->at.step == o->schedule.steps) goto out;
    TRY(log_begun(r, err));
    r->view = live_start(&o->live);
out:
    return status;
}

static void close_run(struct run *r) {
    live_finish(&r->view);
    saver_destroy(&r->saves);
    meter_destroy(&r->energy);
    tensorboard_close(&r->board);
    train_log_close(&r->log);
    train_log_close(&r->events);
    train_folder_deinit(&r->folder);
    train_session_destroy(&r->session);
}

static void conclude(const struct run *r, int signal_number, struct train_end *ret) {
    const struct train_progress *p = &r->session->at;
    *ret = (struct train_end){.step = p->step,
                              .steps = r->options->schedule.steps,
                              .n_tokens = p->n_tokens,
                              .loss = r->loss,
                              .eval_bits = r->eval_bits,
                              .seconds = p->seconds,
                              .joules = p->joules,
                              .is_estimated = p->is_estimated,
                              .signal = signal_number};
}

cria_status train_run(const struct train_options *options, struct train_end *ret, struct cria_error *err) {
    struct run r = {.options = options, .folder = {.lock = -1}, .eval_bits = (double)NAN, .loss = (double)NAN};
    cria_status status;
    const int64_t steps = options->schedule.steps;
    train_signal_catch();
    TRY(open_run(&r, err));
    while (r.session->at.step < steps && !train_signal_seen()) TRY(do_step(&r, err));
    TRY(save_last(&r, err));
    if (r.session->at.step == steps) TRY(checkpoint_write_model(r.folder.model, &r.session->content, err));
    conclude(&r, train_signal_seen(), ret);
out:
    close_run(&r);
    train_signal_release();
    return status;
}
