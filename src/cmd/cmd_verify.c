/* cmd_verify.c: replays steps of a run from the options in its run.json, and says whether its log is true. */
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cmd/cmd.h"
#include "cmd/cmd_io.h"
#include "cmd/cmd_train_setup.h"

enum { MAX_RECORD_BYTES = 1 << 22 };

/* The options of run.json. */
struct record {
    struct train_fact facts[CMD_TRAIN_MAX_FACTS]; /* owned texts */
    int n;
};

static void free_record(struct record *r) {
    for (int i = 0; i < r->n; i++) {
        alloc_free((void *)(uintptr_t)r->facts[i].name);
        alloc_free((void *)(uintptr_t)r->facts[i].value);
    }
}

static cria_status read_options(json_reader *j, struct record *r, struct cria_error *err) {
    cria_status status;
    bool more = false;
    struct json_text key, value;
    TRY(json_begin_object(j, err));
    for (;;) {
        TRY(json_next_key(j, &key, &more, err));
        if (!more) break;
        TRY(json_read_string(j, &value, err));
        if (r->n == CMD_TRAIN_MAX_FACTS) TRY(json_fail(j, err, "more than %d options", CMD_TRAIN_MAX_FACTS));
        struct train_fact *f = &r->facts[r->n++];
        f->name = alloc_text(key.bytes, key.n);
        f->value = alloc_text(value.bytes, value.n);
        if (!f->name || !f->value) TRY(ERROR_NOMEM(err, key.n + value.n, "the options of a run"));
    }
out:
    return status;
}

static cria_status read_record(const char *folder, struct record *r, struct cria_error *err) {
    cria_status status;
    json_reader j;
    bool more = false;
    struct json_text key;
    char *path = file_join(folder, "run.json"), *text = NULL;
    size_t n = 0;
    if (!path) return ERROR_NOMEM(err, strlen(folder), "a path");
    status = file_read(path, MAX_RECORD_BYTES, &text, &n, err);
    json_reader_init(&j, text ? text : "", n);
    if (status != CRIA_OK) goto out;
    TRY(json_begin_object(&j, err));
    for (;;) {
        TRY(json_next_key(&j, &key, &more, err));
        if (!more) break;
        if (json_text_is(key, "options")) TRY(read_options(&j, r, err));
        else TRY(json_skip(&j, err));
    }
    TRY(json_end(&j, err));
out:
    if (status != CRIA_OK && text) error_prefix(err, "%s", path);
    json_reader_deinit(&j);
    alloc_free(text);
    alloc_free(path);
    return status;
}

/* What verify's own arguments say goes before the record. They are no lists, so a copy borrows. */
static void take_arguments(struct conf *c, const struct conf *given) {
    for (enum conf_id id = CONF_ID_NONE + 1; id < CONF_ID_COUNT; id++)
        if (conf_is_set(given, id) && id != CONF_TRAIN_FROM && id != CONF_TRAIN_TO) c->values[id] = given->values[id];
}

/* The record's options; those that are none (phases) go to apart. */
static cria_status take_record(struct conf *c, const struct record *r, struct train_fact *apart, int *n_apart,
                               struct cria_error *err) {
    for (int i = 0; i < r->n; i++) {
        const struct train_fact *f = &r->facts[i];
        const enum conf_id id = conf_find_option(CONF_TRAIN, f->name);
        cria_status status = CRIA_OK;
        if (strncmp(f->name, "phases[", 7) == 0) {
            apart[(*n_apart)++] = *f;
            continue;
        }
        if (!id) status = ERROR_SET(err, CRIA_UNSUPPORTED, "this program has no option --%s", f->name);
        else if (c->values[id].origin != CONF_ORIGIN_ARGUMENT)
            status = conf_set(c, id, conf_option(id)->type == CONF_FLAG ? NULL : f->value, CONF_ORIGIN_FILE, err);
        if (status != CRIA_OK) {
            error_prefix(err, "run.json");
            return status;
        }
    }
    return CRIA_OK;
}

static cria_status tell_proof(const struct train_proof *p, struct cria_error *err) {
    if (p->differs_at) return ERROR_SET(err, CRIA_NUMERIC, "step %lld differs: %s", (long long)p->differs_at, p->what);
    return cmd_print(err,
                     "steps %lld to %lld are as the log says: %lld losses and gradient norms, %lld weight digests\n",
                     (long long)p->from + 1, (long long)p->to, (long long)p->n_steps, (long long)p->n_digests);
}

cria_status cmd_verify(const struct conf *given, struct cria_error *err) {
    struct conf c = {0};
    struct record record = {0};
    struct cmd_train_setup setup = {0};
    struct train_fact apart[CMD_TRAIN_MAX_FACTS];
    struct train_proof proof = {0};
    int n_apart = 0;
    const char *folder = given->arguments[0];
    const int64_t from = conf_int(given, CONF_TRAIN_FROM);
    const int64_t to = conf_is_set(given, CONF_TRAIN_TO) ? conf_int(given, CONF_TRAIN_TO) : -1;
    cria_status status;
    TRY(read_record(folder, &record, err));
    TRY(conf_parse(&c, CONF_TRAIN, 0, NULL, err));
    take_arguments(&c, given);
    TRY(take_record(&c, &record, apart, &n_apart, err));
    TRY(cmd_train_setup_open(&setup, &c, folder, apart, n_apart, err));
    TRY(train_verify(&setup.options, from, to, &proof, err));
    TRY(tell_proof(&proof, err));
out:
    cmd_train_setup_close(&setup);
    conf_deinit(&c);
    free_record(&record);
    return status;
}
