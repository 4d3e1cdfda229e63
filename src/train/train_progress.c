/* train_progress.c: see train_progress.h. */
#include "train/train_progress.h"

#include <stddef.h>

#include "base/json.h"

static const struct {
    const char *key;
    size_t at;
} integers[] =
    {
        {"step", offsetof(struct train_progress, step)},
        {"updates", offsetof(struct train_progress, n_updates)},
        {"skipped", offsetof(struct train_progress, n_skipped)},
        {"rewinds", offsetof(struct train_progress, n_rewinds)},
        {"tokens", offsetof(struct train_progress, n_tokens)},
        {"losses", offsetof(struct train_progress, n_losses)},
},
  reals[] = {
      {"mean_loss", offsetof(struct train_progress, mean)},
      {"loss_variance", offsetof(struct train_progress, variance)},
      {"seconds", offsetof(struct train_progress, seconds)},
      {"joules", offsetof(struct train_progress, joules)},
};
#define N_INTEGERS (sizeof integers / sizeof integers[0])
#define N_REALS (sizeof reals / sizeof reals[0])

cria_status train_progress_write(struct buffer *out, const struct train_progress *p, struct cria_error *err) {
    json_writer w = json_writer_make(out);
    json_write_begin_object(&w);
    for (size_t i = 0; i < N_INTEGERS; i++) {
        json_write_key(&w, integers[i].key);
        json_write_i64(&w, *(const int64_t *)((const char *)p + integers[i].at));
    }
    json_write_key(&w, "phase");
    json_write_i64(&w, p->cursor.phase);
    json_write_key(&w, "row");
    json_write_u64(&w, p->cursor.number);
    for (size_t i = 0; i < N_REALS; i++) {
        json_write_key(&w, reals[i].key);
        json_write_f64(&w, *(const double *)((const char *)p + reals[i].at));
    }
    json_write_key(&w, "joules_estimated");
    json_write_bool(&w, p->is_estimated);
    json_write_end_object(&w);
    buffer_append_char(out, '\n');
    return buffer_status(out, "state.json", err);
}

static cria_status read_member(json_reader *r, struct json_text key, struct train_progress *p, struct cria_error *err) {
    for (size_t i = 0; i < N_INTEGERS; i++)
        if (json_text_is(key, integers[i].key))
            return json_read_i64(r, 0, INT64_MAX, (int64_t *)((char *)p + integers[i].at), err);
    for (size_t i = 0; i < N_REALS; i++)
        if (json_text_is(key, reals[i].key)) return json_read_f64(r, (double *)((char *)p + reals[i].at), err);
    if (json_text_is(key, "row")) return json_read_u64(r, INT64_MAX, &p->cursor.number, err);
    if (json_text_is(key, "joules_estimated")) return json_read_bool(r, &p->is_estimated, err);
    if (!json_text_is(key, "phase")) return json_skip(r, err);
    int64_t phase = 0;
    const cria_status status = json_read_i64(r, 0, ROWS_MAX_PHASES, &phase, err);
    if (status == CRIA_OK) p->cursor.phase = (int)phase;
    return status;
}

cria_status train_progress_read(struct train_progress *ret, const char *text, size_t n, struct cria_error *err) {
    cria_status status;
    json_reader r;
    bool more = false;
    struct json_text key;
    struct train_progress p = {0};
    json_reader_init(&r, text, n);
    TRY(json_begin_object(&r, err));
    for (;;) {
        TRY(json_next_key(&r, &key, &more, err));
        if (!more) break;
        TRY(read_member(&r, key, &p, err));
    }
    TRY(json_end(&r, err));
    *ret = p;
out:
    json_reader_deinit(&r);
    if (status != CRIA_OK) error_prefix(err, "state.json");
    return status;
}
