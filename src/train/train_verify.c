/* train_verify.c: replaying steps and holding them to the log; see train.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "train/train_folder.h"
#include "train/train_log.h"
#include "train/train_policy.h"

static bool same_bits(double a, double b) { return memcmp(&a, &b, sizeof a) == 0 || (a != a && b != b); }

static void differ(struct train_proof *p, int64_t step, const char *what, double here, double there) {
    p->differs_at = step;
    snprintf(p->what, sizeof p->what, "%s is %.17g here and %.17g in the log", what, here, there);
}

/* Holds the weights to a line's digest. */
static cria_status check_digest(const struct train_session *s, const struct train_log_line *line, struct train_proof *p,
                                struct cria_error *err) {
    uint8_t sum[DIGEST_BYTES];
    char here[DIGEST_HEX_BYTES], there[DIGEST_HEX_BYTES];
    if (!line->has_digest) return CRIA_OK;
    const cria_status status = train_session_digest(s, sum, err);
    if (status != CRIA_OK) return status;
    p->n_digests++;
    if (memcmp(sum, line->digest, sizeof sum) == 0) return CRIA_OK;
    digest_hex(sum, here);
    digest_hex(line->digest, there);
    p->differs_at = line->step;
    snprintf(p->what, sizeof p->what, "the weights have digest %.16s... here and %.16s... in the log", here, there);
    return CRIA_OK;
}

/* What the run did about the step's numbers; a jump that it went back for is never in the log. */
static bool takes_update(const struct train_session *s, const struct train_gradient *g) {
    const struct train_policy *policy = &s->options->policy;
    if (g->what[0]) return false;
    return policy->on_spike == TRAIN_WARN || !train_policy_is_spike(&s->at, g->loss, policy->spike);
}

static cria_status replay_step(struct train_session *s, const struct train_log_line *line, struct train_proof *p,
                               struct cria_error *err) {
    struct train_gradient g;
    const cria_status status = train_session_gradient(s, &g, err);
    if (status != CRIA_OK) return status;
    const bool is_updated = takes_update(s, &g);
    p->n_steps++;
    if (!same_bits(g.loss, line->loss)) differ(p, line->step, "the loss", g.loss, line->loss);
    else if (!same_bits(g.norm, line->grad_norm)) differ(p, line->step, "the gradient's norm", g.norm, line->grad_norm);
    if (p->differs_at) return CRIA_OK;
    if (is_updated) {
        train_session_update(s, &g);
        train_policy_learn(&s->at, g.loss);
    }
    train_session_advance(s, &g, is_updated);
    return check_digest(s, line, p, err);
}

/* A line of the log, in order. */
static cria_status follow(struct train_session *s, const struct train_log_line *line, struct train_proof *p,
                          struct cria_error *err) {
    if (line->step <= s->at.step) return CRIA_OK;
    if (line->step != s->at.step + 1)
        return ERROR_SET(err, CRIA_FORMAT, "the log goes from step %" PRId64 " to step %" PRId64, s->at.step,
                         line->step);
    if (line->is_rewound) s->at.cursor = line->cursor;
    const cria_status status = replay_step(s, line, p, err);
    if (status == CRIA_OK && !p->differs_at) p->to = line->step;
    return status;
}

cria_status train_verify(const struct train_options *options, int64_t from, int64_t to, struct train_proof *ret,
                         struct cria_error *err) {
    struct train_session *s = NULL;
    struct train_folder folder = {.lock = -1};
    train_log_reader *log = NULL;
    struct train_log_line line;
    struct train_proof proof = {0};
    bool more = true;
    cria_status status;
    TRY(train_session_create(&s, options, err));
    TRY(train_folder_init(&folder, s, err));
    TRY(train_log_read_open(&log, folder.log, err));
    TRY(train_folder_restore(&folder, s, from, err));
    proof.from = proof.to = s->at.step;
    log_notice("replaying from the state after step %" PRId64, proof.from);
    while (!proof.differs_at && (to < 0 || proof.to < to)) {
        TRY(train_log_read(log, &line, &more, err));
        if (!more) break;
        TRY(follow(s, &line, &proof, err));
    }
    if (!proof.differs_at && proof.to == proof.from)
        TRY(ERROR_SET(err, CRIA_NOTFOUND, "%s has no step behind %" PRId64 " to hold a replay to", folder.log,
                      proof.from));
    *ret = proof;
out:
    train_log_read_close(&log);
    train_folder_deinit(&folder);
    train_session_destroy(&s);
    return status;
}
