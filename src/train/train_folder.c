/* train_folder.c: see train_folder.h. */
#include "train/train_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "kernel/order.h"
#include "train/run_record.h"

enum { MAX_FACTS = 128, VALUE_BYTES = 80, OWN_FACTS = 6 };

/* The facts of the options and those that only the run itself knows. */
struct identity {
    struct train_fact facts[MAX_FACTS];
    char values[OWN_FACTS][VALUE_BYTES];
    int n, n_own;
};

static void add(struct identity *id, const char *name, const char *value) {
    CRIA_ASSERT(id->n < MAX_FACTS && id->n_own < OWN_FACTS);
    snprintf(id->values[id->n_own], VALUE_BYTES, "%s", value);
    id->facts[id->n++] = (struct train_fact){.name = name, .value = id->values[id->n_own++]};
}

static cria_status make_identity(struct identity *id, const struct train_session *s, struct cria_error *err) {
    const struct train_options *o = s->options;
    char text[VALUE_BYTES];
    uint8_t sum[DIGEST_BYTES];
    for (int i = 0; i < o->n_identity && i < MAX_FACTS - OWN_FACTS; i++) id->facts[id->n++] = o->identity[i];
    snprintf(text, sizeof text, "%d", ORDER_ARITHMETIC_VERSION);
    add(id, "arithmetic", text);
    digest_hex(s->content.model_id, text);
    add(id, "model_sha256", text);
    digest_hex(s->content.tokenizer_id, text);
    add(id, "tokenizer_sha256", text);
    add(id, "data_sha256", rows_digest(o->data));
    snprintf(text, sizeof text, "%s", "by the seed");
    if (o->init) {
        const cria_status status = model_files_digest(o->init, sum, err);
        if (status != CRIA_OK) return status;
        digest_hex(sum, text);
    }
    add(id, "first_weights_sha256", text);
    return CRIA_OK;
}

cria_status train_folder_init(struct train_folder *f, const struct train_session *s, struct cria_error *err) {
    const char *out = s->options->out;
    struct identity id = {0};
    f->lock = -1;
    f->checkpoints = file_join(out, "checkpoints");
    f->log = file_join(out, "log.jsonl");
    f->events = file_join(out, "events.jsonl");
    f->record = file_join(out, "run.json");
    f->model = file_join(out, "model");
    f->board = file_join(out, "tensorboard");
    if (!f->checkpoints || !f->log || !f->events || !f->record || !f->model || !f->board)
        return ERROR_NOMEM(err, strlen(out), "the paths of a run");
    const cria_status status = make_identity(&id, s, err);
    if (status != CRIA_OK) return status;
    return run_record_id(&(struct run_record){.facts = id.facts, .n_facts = id.n}, f->run_id, err);
}

static cria_status take_lock(struct train_folder *f, const char *out, struct cria_error *err) {
    f->lock = open(out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->lock < 0) return ERROR_SET(err, CRIA_IO, "%s: cannot be opened: %s", out, strerror(errno));
    if (flock(f->lock, LOCK_EX | LOCK_NB) == 0) return CRIA_OK;
    return ERROR_SET(err, CRIA_BUSY, "%s: another process is training into this folder", out);
}

cria_status train_folder_claim(struct train_folder *f, const struct train_session *s, struct cria_error *err) {
    cria_status status;
    struct identity id = {0};
    struct run_record_circumstances here = {0};
    TRY(file_make_folder(s->options->out, err));
    TRY(take_lock(f, s->options->out, err));
    TRY(make_identity(&id, s, err));
    run_record_look(&here, s->options->dev);
    const struct run_record record = {.facts = id.facts,
                                      .n_facts = id.n,
                                      .settings = s->options->settings,
                                      .n_settings = s->options->n_settings,
                                      .circumstances = here.facts,
                                      .n_circumstances = here.n};
    f->is_new = !file_exists(f->record);
    if (f->is_new && file_exists(f->log))
        TRY(ERROR_SET(err, CRIA_USAGE, "%s: has a log.jsonl and no run.json: not a run that could be gone on with",
                      s->options->out));
    if (!f->is_new) TRY(run_record_compare(f->record, &record, err));
    TRY(run_record_write(f->record, &record, err));
    TRY(checkpoint_clean(f->checkpoints, err));
out:
    return status;
}

static cria_status tell_restored(const struct train_session *s, struct cria_error *err) {
    const struct train_progress *p = &s->at;
    uint8_t sum[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];
    const cria_status status = train_session_digest(s, sum, err);
    if (status != CRIA_OK) return status;
    digest_hex(sum, hex);
    log_notice("resumed at step %lld: %lld updates, %lld skipped, %lld rewinds; next row %llu of phase %d; %lld tokens",
               (long long)p->step, (long long)p->n_updates, (long long)p->n_skipped, (long long)p->n_rewinds,
               (unsigned long long)p->cursor.number, p->cursor.phase + 1, (long long)p->n_tokens);
    log_notice("restored: %d weights (%.16s...), %d tensors of optimizer state, learning rate %g, running loss %.4f",
               s->content.n_model, hex, s->content.n_optimizer, schedule_rate(&s->options->schedule, p->step + 1),
               p->mean);
    return CRIA_OK;
}

cria_status train_folder_restore(const struct train_folder *f, struct train_session *s, int64_t last,
                                 struct cria_error *err) {
    int64_t *steps = NULL;
    int n = 0;
    bool is_restored = false;
    cria_status status;
    struct cria_error refused = {0};
    TRY(checkpoint_list(f->checkpoints, &steps, &n, err));
    for (int i = 0; i < n && !is_restored; i++) {
        if (last >= 0 && steps[i] > last) continue;
        is_restored = train_session_load(s, f->checkpoints, steps[i], f->run_id, &refused) == CRIA_OK;
        if (!is_restored) log_warning("checkpoint of step %lld refused: %s", (long long)steps[i], refused.text);
    }
    if (is_restored) TRY(tell_restored(s, err));
    else TRY(train_session_begin(s, err));
out:
    alloc_free(steps);
    return status;
}

void train_folder_deinit(struct train_folder *f) {
    alloc_free(f->checkpoints);
    alloc_free(f->log);
    alloc_free(f->events);
    alloc_free(f->record);
    alloc_free(f->model);
    alloc_free(f->board);
    if (f->lock >= 0) close(f->lock);
    *f = (struct train_folder){.lock = -1};
}
