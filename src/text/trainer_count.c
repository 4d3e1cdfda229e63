/* trainer_count.c: see trainer_count.h.
 *
 * A block is in one of three hands: the caller's (`filling`), the list of full ones, or a worker's; empty ones wait in
 * a list. With one thread there is no worker and the caller counts each block when it is full. */
#include "text/trainer_count.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "text/trainer_parts.h"

enum { BLOCK_BYTES = 1 << 20, BLOCKS_A_THREAD = 3 };

struct block {
    struct block *next;
    char *data; /* owned; capacity and TRAINER_WORDS_PAD bytes */
    size_t n, capacity;
    size_t *ends; /* owned; of the items, in data */
    size_t n_items, items_capacity;
};

struct worker {
    struct trainer_count *owner; /* borrowed */
    pthread_t handle;
    bool is_started;
    struct trainer_words words;
    uint64_t n_words;
};

struct trainer_count {
    split_fn *split;
    struct worker workers[TRAINER_MAX_THREADS];
    int threads;
    struct block blocks[BLOCKS_A_THREAD * TRAINER_MAX_THREADS];
    struct block *filling;
    struct trainer_words words; /* of all rounds that ended */
    struct trainer_pruned pruned;
    size_t max_words;
    uint64_t items, bytes, round_bytes, max_round_bytes;
    pthread_mutex_t mutex; /* of all that follows */
    pthread_cond_t changed;
    struct block *empty, *full, **full_end;
    int n_busy; /* workers that have a block */
    bool is_ending;
    cria_status status; /* the first failure of a worker */
    struct cria_error error;
};

static cria_status count_block(struct worker *w, const struct block *b, struct cria_error *err) {
    split_fn *split = w->owner->split;
    cria_status status = CRIA_OK;
    size_t start = 0;
    for (size_t i = 0; i < b->n_items; start = b->ends[i++]) {
        const char *item = b->data + start;
        size_t n = b->ends[i] - start;
        for (size_t at = 0, end; at < n; at = end) {
            end = split(item, n, at);
            TRY(trainer_words_add(&w->words, item + at, end - at, 1, err));
            w->n_words++;
        }
    }
out:
    return status;
}

static void *worker_main(void *arg) {
    struct worker *w = arg;
    struct trainer_count *c = w->owner;
    struct cria_error error = {0};
    (void)pthread_mutex_lock(&c->mutex);
    for (;;) {
        while (!c->full && !c->is_ending) (void)pthread_cond_wait(&c->changed, &c->mutex);
        if (!c->full) break;
        struct block *b = c->full;
        c->full = b->next;
        if (!c->full) c->full_end = &c->full;
        c->n_busy++;
        bool is_skipped = c->status != CRIA_OK;
        (void)pthread_mutex_unlock(&c->mutex);
        cria_status status = is_skipped ? CRIA_OK : count_block(w, b, &error);
        (void)pthread_mutex_lock(&c->mutex);
        if (status != CRIA_OK && c->status == CRIA_OK) {
            c->status = status;
            c->error = error;
        }
        c->n_busy--;
        b->next = c->empty;
        c->empty = b;
        (void)pthread_cond_broadcast(&c->changed);
    }
    (void)pthread_mutex_unlock(&c->mutex);
    return NULL;
}

static void stop_workers(struct trainer_count *c) {
    (void)pthread_mutex_lock(&c->mutex);
    c->is_ending = true;
    (void)pthread_cond_broadcast(&c->changed);
    (void)pthread_mutex_unlock(&c->mutex);
    for (int i = 0; i < c->threads; i++) {
        if (c->workers[i].is_started) (void)pthread_join(c->workers[i].handle, NULL);
    }
}

void trainer_count_destroy(trainer_count **c) {
    struct trainer_count *t = *c;
    if (!t) return;
    *c = NULL;
    stop_workers(t);
    for (int i = 0; i < t->threads; i++) trainer_words_deinit(&t->workers[i].words);
    for (int i = 0; i < BLOCKS_A_THREAD * t->threads; i++) {
        alloc_free(t->blocks[i].data);
        alloc_free(t->blocks[i].ends);
    }
    trainer_words_deinit(&t->words);
    (void)pthread_cond_destroy(&t->changed);
    (void)pthread_mutex_destroy(&t->mutex);
    alloc_free(t);
}

cria_status trainer_count_create(trainer_count **ret, const struct trainer_options *options, struct cria_error *err) {
    const int threads = options->threads;
    struct trainer_count *c = ALLOC_NEW(struct trainer_count);
    cria_status status = CRIA_OK;
    if (!c) return ERROR_NOMEM(err, sizeof *c, "counting words");
    c->split = trainer_splitters[options->splitter].function;
    c->threads = threads;
    c->max_words = options->max_words ? options->max_words : TRAINER_MAX_WORDS;
    c->max_round_bytes = options->round_bytes ? options->round_bytes : TRAINER_ROUND_BYTES;
    c->full_end = &c->full;
    (void)pthread_mutex_init(&c->mutex, NULL);
    (void)pthread_cond_init(&c->changed, NULL);
    for (int i = 0; i < BLOCKS_A_THREAD * threads; i++) {
        c->blocks[i].next = c->empty;
        c->empty = &c->blocks[i];
    }
    for (int i = 0; i < threads; i++) {
        struct worker *w = &c->workers[i];
        w->owner = c;
        if (threads == 1) break;
        if (pthread_create(&w->handle, NULL, worker_main, w) != 0) {
            TRY(ERROR_SET(err, CRIA_UNSUPPORTED, "the system gives no thread %d of %d; try --threads 1", i + 1,
                          threads));
        }
        w->is_started = true;
    }
    *ret = c;
    return CRIA_OK;
out:
    trainer_count_destroy(&c);
    return status;
}

/* The failure of a worker, under the mutex. */
static cria_status failure(const struct trainer_count *c, struct cria_error *err) {
    if (c->status != CRIA_OK && err) *err = c->error;
    return c->status;
}

/* An empty block to fill. */
static cria_status take_block(struct trainer_count *c, struct cria_error *err) {
    (void)pthread_mutex_lock(&c->mutex);
    while (!c->empty && c->status == CRIA_OK) (void)pthread_cond_wait(&c->changed, &c->mutex);
    cria_status status = failure(c, err);
    if (status == CRIA_OK) {
        c->filling = c->empty;
        c->empty = c->filling->next;
        c->filling->next = NULL;
        c->filling->n = c->filling->n_items = 0;
    }
    (void)pthread_mutex_unlock(&c->mutex);
    return status;
}

/* Waits until no block is full or being counted, then adds all tables up. */
static cria_status end_round(struct trainer_count *c, struct cria_error *err) {
    (void)pthread_mutex_lock(&c->mutex);
    while (c->full || c->n_busy) (void)pthread_cond_wait(&c->changed, &c->mutex);
    cria_status status = failure(c, err);
    (void)pthread_mutex_unlock(&c->mutex);
    if (status != CRIA_OK) return status;
    c->round_bytes = 0;
    for (int i = 0; i < c->threads; i++) {
        struct trainer_words *words = &c->workers[i].words;
        if (!c->words.n_words) {
            struct trainer_words spare = c->words;
            c->words = *words;
            *words = spare;
        } else {
            TRY(trainer_words_merge(&c->words, words, err));
            trainer_words_clear(words);
        }
    }
    TRY(trainer_words_prune(&c->words, c->max_words, &c->pruned, err));
out:
    return status;
}

/* Hands the block on; where it ends a round, ends the round. */
static cria_status pass_block(struct trainer_count *c, struct cria_error *err) {
    struct block *b = c->filling;
    cria_status status = CRIA_OK;
    if (!b) return CRIA_OK;
    c->filling = NULL;
    c->round_bytes += b->n;
    if (c->threads == 1) status = count_block(&c->workers[0], b, err);
    (void)pthread_mutex_lock(&c->mutex);
    if (c->threads == 1) {
        b->next = c->empty;
        c->empty = b;
    } else {
        *c->full_end = b;
        c->full_end = &b->next;
        (void)pthread_cond_broadcast(&c->changed);
    }
    (void)pthread_mutex_unlock(&c->mutex);
    if (status == CRIA_OK && c->round_bytes >= c->max_round_bytes) status = end_round(c, err);
    return status;
}

/* Makes room for an item of n bytes in an array of bytes and one of ends. */
static cria_status block_reserve(struct block *b, size_t n, struct cria_error *err) {
    size_t need = b->n + n; /* both are limited */
    if (need > b->capacity || !b->data) {
        size_t capacity = need > BLOCK_BYTES ? need : BLOCK_BYTES;
        char *data = alloc_resize(b->data, capacity + TRAINER_WORDS_PAD, 1);
        if (!data) return ERROR_NOMEM(err, capacity, "a block of text");
        b->data = data;
        b->capacity = capacity;
    }
    if (b->n_items == b->items_capacity) {
        size_t capacity = 2 * b->items_capacity + 1024;
        size_t *ends = alloc_resize(b->ends, capacity, sizeof *ends);
        if (!ends) return ERROR_NOMEM(err, capacity * sizeof *ends, "a block of text");
        b->ends = ends;
        b->items_capacity = capacity;
    }
    return CRIA_OK;
}

cria_status trainer_count_add(trainer_count *c, const char *item, size_t n, struct cria_error *err) {
    cria_status status = CRIA_OK;
    if (n > TRAINER_MAX_ITEM_BYTES) {
        return ERROR_SET(err, CRIA_LIMIT, "an item of %zu bytes; training takes at most %zu at once", n,
                         TRAINER_MAX_ITEM_BYTES);
    }
    c->items++;
    c->bytes += n;
    if (!n) return CRIA_OK;
    if (c->filling && c->filling->n + n > BLOCK_BYTES) TRY(pass_block(c, err));
    if (!c->filling) TRY(take_block(c, err));
    TRY(block_reserve(c->filling, n, err));
    struct block *b = c->filling;
    memcpy(b->data + b->n, item, n);
    b->n += n;
    b->ends[b->n_items++] = b->n;
out:
    return status;
}

cria_status trainer_count_finish(trainer_count *c, struct trainer_words *ret, struct trainer_report *report,
                                 struct cria_error *err) {
    cria_status status;
    TRY(pass_block(c, err));
    TRY(end_round(c, err));
    report->items = c->items;
    report->bytes = c->bytes;
    report->words = 0;
    for (int i = 0; i < c->threads; i++) report->words += c->workers[i].n_words;
    report->distinct_words = c->words.n_words;
    report->forgotten_words = c->pruned.words;
    report->forgotten_occurrences = c->pruned.occurrences;
    report->forgotten_count = c->pruned.count;
    *ret = c->words;
    c->words = (struct trainer_words){0};
out:
    return status;
}
