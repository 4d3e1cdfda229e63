/* saver.c: see saver.h. */
#include "train/saver.h"

#include <pthread.h>
#include <string.h>

#include "arch/limits.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "tensor/pages.h"

enum { MAX_KEEP = 64 };

struct saver {
    struct saver_options options;
    struct checkpoint_content
        copy;            /* owns its two lists and its configuration, which a phase changes; shares the rest */
    struct pages memory; /* owned: the values of the copy; empty where saves are not behind */
    char *state;         /* owned: of the stamp */
    struct checkpoint_stamp stamp;
    pthread_t thread;
    bool is_running; /* a thread has to be joined */
    pthread_mutex_t mutex;
    bool is_done, is_told; /* under mutex: the save ended; saver_poll() said so */
    /* Written by the thread before is_done, read after it. */
    cria_status status;
    struct cria_error error;
    double seconds;
    int64_t verified[MAX_KEEP + 1]; /* newest first */
    int n_verified;
};

uint64_t saver_bytes(const struct checkpoint_content *c) {
    return (uint64_t)checkpoint_content_floats(c) * sizeof(float);
}

static struct checkpoint_tensor *copy_list(const struct checkpoint_tensor *from, int n) {
    struct checkpoint_tensor *to = alloc_array((size_t)n, sizeof *to);
    if (to) memcpy(to, from, (size_t)n * sizeof *to);
    return to;
}

/* Gives the tensors of a list places in the copy, one after the other. */
static float *place(struct checkpoint_tensor *list, int n, float *at) {
    for (int i = 0; i < n; i++) {
        list[i].values = at;
        at += list[i].header.n_rows * list[i].header.n_columns;
    }
    return at;
}

static cria_status make_copy(saver *s, struct cria_error *err) {
    const struct checkpoint_content *live = s->options.content;
    cria_status status;
    s->copy = *live;
    s->copy.config = buffer_make(LIMIT_CONFIG_BYTES);
    s->copy.model = copy_list(live->model, live->n_model);
    s->copy.optimizer = copy_list(live->optimizer, live->n_optimizer);
    if (!s->copy.model || !s->copy.optimizer) TRY(ERROR_NOMEM(err, sizeof *live->model, "the copy of a state"));
    TRY(pages_get(&s->memory, (size_t)saver_bytes(live), "the copy of the state that is saved behind the steps", err));
    place(s->copy.optimizer, live->n_optimizer, place(s->copy.model, live->n_model, s->memory.data));
out:
    return status;
}

cria_status saver_create(saver **ret, const struct saver_options *options, struct cria_error *err) {
    cria_status status = CRIA_OK;
    CRIA_ASSERT(options->keep >= 2 && options->keep <= MAX_KEEP);
    saver *s = ALLOC_NEW(saver);
    if (!s) return ERROR_NOMEM(err, sizeof *s, "saving");
    s->options = *options;
    s->is_told = true;
    pthread_mutex_init(&s->mutex, NULL);
    if (options->is_behind) TRY(make_copy(s, err));
    *ret = s;
    s = NULL;
out:
    saver_destroy(&s);
    return status;
}

void saver_destroy(saver **s) {
    saver *old = *s;
    *s = NULL;
    if (!old) return;
    saver_wait(old);
    pthread_mutex_destroy(&old->mutex);
    pages_release(&old->memory);
    buffer_free(&old->copy.config);
    alloc_free(old->copy.model);
    alloc_free(old->copy.optimizer);
    alloc_free(old->state);
    alloc_free(old);
}

void saver_know(saver *s, int64_t step) {
    int at = 0;
    while (at < s->n_verified && s->verified[at] > step) at++;
    if (at < s->n_verified && s->verified[at] == step) return;
    if (s->n_verified == MAX_KEEP + 1) s->n_verified--;
    if (at > s->n_verified) return;
    memmove(&s->verified[at + 1], &s->verified[at], (size_t)(s->n_verified - at) * sizeof s->verified[0]);
    s->verified[at] = step;
    s->n_verified++;
}

/* Removes what is older than the newest `keep` that are known to be whole. What cannot be removed stays: a full list
 * next time. */
static void remove_old(saver *s) {
    int64_t *steps = NULL;
    int n = 0;
    if (s->n_verified < s->options.keep) return;
    const int64_t oldest = s->verified[s->options.keep - 1];
    if (checkpoint_list(s->options.folder, &steps, &n, NULL) != CRIA_OK) return;
    for (int i = 0; i < n; i++)
        if (steps[i] < oldest) (void)!checkpoint_remove(s->options.folder, steps[i], NULL);
    s->n_verified = s->options.keep;
    alloc_free(steps);
}

static void *save(void *arg) {
    saver *s = arg;
    const double start = clock_seconds();
    const struct checkpoint_content *content = s->options.is_behind ? &s->copy : s->options.content;
    s->status = checkpoint_write(s->options.folder, content, &s->stamp, &s->error);
    if (s->status == CRIA_OK) {
        saver_know(s, s->stamp.step);
        remove_old(s);
    }
    s->seconds = clock_seconds() - start;
    pthread_mutex_lock(&s->mutex);
    s->is_done = true;
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}

static void copy_values(const struct checkpoint_tensor *from, const struct checkpoint_tensor *to, int n) {
    for (int i = 0; i < n; i++)
        memcpy(to[i].values, from[i].values,
               (size_t)(from[i].header.n_rows * from[i].header.n_columns) * sizeof(float));
}

void saver_wait(saver *s) {
    if (s->is_running) pthread_join(s->thread, NULL);
    s->is_running = false;
}

cria_status saver_start(saver *s, const struct checkpoint_stamp *stamp, struct cria_error *err) {
    saver_wait(s);
    alloc_free(s->state);
    s->state = alloc_text(stamp->state, stamp->n_state);
    if (!s->state) return ERROR_NOMEM(err, stamp->n_state, "the state of a run");
    s->stamp = *stamp;
    s->stamp.state = s->state;
    s->is_done = false;
    s->is_told = false;
    s->error = (struct cria_error){0};
    if (s->options.is_behind) {
        buffer_cut(&s->copy.config, 0);
        buffer_append(&s->copy.config, s->options.content->config.data, s->options.content->config.n_bytes);
        const cria_status status = buffer_status(&s->copy.config, "the copy of config.json", err);
        if (status != CRIA_OK) return status;
        copy_values(s->options.content->model, s->copy.model, s->copy.n_model);
        copy_values(s->options.content->optimizer, s->copy.optimizer, s->copy.n_optimizer);
        s->is_running = pthread_create(&s->thread, NULL, save, s) == 0;
    }
    if (!s->is_running) save(s); /* no thread to be had: then at once */
    return CRIA_OK;
}

bool saver_poll(saver *s, int64_t *ret_step, cria_status *ret_status, double *ret_seconds, struct cria_error *err) {
    pthread_mutex_lock(&s->mutex);
    const bool is_news = s->is_done && !s->is_told;
    if (is_news) s->is_told = true;
    pthread_mutex_unlock(&s->mutex);
    if (!is_news) return false;
    *ret_step = s->stamp.step;
    *ret_status = s->status;
    *ret_seconds = s->seconds;
    if (s->status != CRIA_OK && err) *err = s->error;
    return true;
}
