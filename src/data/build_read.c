/* build_read.c: the first pass over the text. This thread reads documents into batches and takes finished ones in the
 * order in which they were read; workers take filled ones. So what is kept, and in what order, does not depend on the
 * workers. */
#include <string.h>

#include "base/alloc.h"
#include "base/progress.h"
#include "data/build_private.h"
#include "data/source.h"

#define BATCH_BYTES ((size_t)1 << 20)
#define MAX_IN_WORK ((size_t)48 << 20) /* bytes of text in batches that are not finished */
enum { MAX_THREADS = 256 };

struct pool {
    struct build *b;
    pthread_mutex_t lock;
    pthread_cond_t filled, done;
    struct build_batch *batches; /* [n_batches], a ring */
    int n_batches;
    uint64_t n_filled, n_begun, n_kept; /* batches so far */
    size_t in_work;                     /* bytes of text between n_kept and n_filled */
    bool is_ending;
    pthread_t threads[MAX_THREADS];
    int n_threads;
};

static struct build_batch *batch_at(struct pool *p, uint64_t i) { return &p->batches[i % (uint64_t)p->n_batches]; }

static void *worker(void *arg) {
    struct pool *p = arg;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (p->n_begun == p->n_filled && !p->is_ending) pthread_cond_wait(&p->filled, &p->lock);
        if (p->is_ending) break;
        struct build_batch *batch = batch_at(p, p->n_begun++);
        pthread_mutex_unlock(&p->lock);
        batch->status = build_work(p->b, batch, &batch->err);
        pthread_mutex_lock(&p->lock);
        batch->state = BATCH_DONE;
        pthread_cond_signal(&p->done);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static void end_pool(struct pool *p) {
    pthread_mutex_lock(&p->lock);
    p->is_ending = true;
    pthread_cond_broadcast(&p->filled);
    pthread_mutex_unlock(&p->lock);
    for (int i = 0; i < p->n_threads; i++) pthread_join(p->threads[i], NULL);
    for (int i = 0; p->batches && i < p->n_batches; i++) {
        build_work_free(&p->batches[i]);
        alloc_free(p->batches[i].text);
        alloc_free(p->batches[i].documents);
        token_list_free(&p->batches[i].ids);
    }
    alloc_free(p->batches);
    pthread_mutex_destroy(&p->lock);
    pthread_cond_destroy(&p->filled);
    pthread_cond_destroy(&p->done);
}

static cria_status begin_pool(struct pool *p, struct build *b, struct cria_error *err) {
    const int n = b->o->threads < MAX_THREADS ? b->o->threads : MAX_THREADS;
    *p = (struct pool){.b = b, .n_batches = 2 * n + 2};
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->filled, NULL);
    pthread_cond_init(&p->done, NULL);
    p->batches = alloc_zeroed((size_t)p->n_batches, sizeof *p->batches);
    if (!p->batches) return ERROR_NOMEM(err, (size_t)p->n_batches * sizeof *p->batches, "batches");
    for (; p->n_threads < n; p->n_threads++)
        if (pthread_create(&p->threads[p->n_threads], NULL, worker, p) != 0)
            return ERROR_SET(err, CRIA_IO, "a thread cannot be started");
    return CRIA_OK;
}

/* Waits for the oldest batch and keeps what is in it. */
static cria_status keep_oldest(struct pool *p, struct cria_error *err) {
    struct build_batch *batch = batch_at(p, p->n_kept);
    cria_status status = CRIA_OK;
    pthread_mutex_lock(&p->lock);
    while (batch->state != BATCH_DONE) pthread_cond_wait(&p->done, &p->lock);
    pthread_mutex_unlock(&p->lock);
    if (batch->status != CRIA_OK) {
        if (err) *err = batch->err;
        return batch->status;
    }
    TRY(build_keep(p->b, batch, err));
    p->in_work -= batch->n_text;
    p->n_kept++;
    batch->state = BATCH_FREE;
out:
    return status;
}

/* Hands the batch that was being filled to the workers. */
static void submit(struct pool *p) {
    struct build_batch *batch = batch_at(p, p->n_filled);
    p->in_work += batch->n_text;
    pthread_mutex_lock(&p->lock);
    batch->state = BATCH_FILLED;
    p->n_filled++;
    pthread_cond_signal(&p->filled);
    pthread_mutex_unlock(&p->lock);
}

/* A free batch for the source, after keeping older ones where there is none or too much is in work. */
static cria_status open_batch(struct pool *p, int index, struct build_batch **ret, struct cria_error *err) {
    cria_status status = CRIA_OK;
    while (p->n_filled - p->n_kept == (uint64_t)p->n_batches || (p->in_work > MAX_IN_WORK && p->n_kept < p->n_filled))
        TRY(keep_oldest(p, err));
    struct build_batch *batch = batch_at(p, p->n_filled);
    build_work_free(batch);
    batch->n_text = 0;
    batch->source = index;
    *ret = batch;
out:
    return status;
}

static cria_status add_document(struct build_batch *batch, const struct source_document *d, struct cria_error *err) {
    const size_t n_name = strlen(d->name) + 1, wanted = batch->n_text + d->n + n_name;
    if (wanted > batch->capacity) {
        const size_t wider = wanted < 2 * BATCH_BYTES ? 2 * BATCH_BYTES : wanted;
        char *grown = alloc_resize(batch->text, wider, 1);
        if (!grown) return ERROR_NOMEM(err, wider, "documents");
        batch->text = grown;
        batch->capacity = wider;
    }
    if (batch->n_documents == batch->documents_capacity) {
        const int wider = batch->documents_capacity ? 2 * batch->documents_capacity : 64;
        struct build_document *grown = alloc_resize(batch->documents, (size_t)wider, sizeof *grown);
        if (!grown) return ERROR_NOMEM(err, (size_t)wider * sizeof *grown, "documents");
        batch->documents = grown;
        batch->documents_capacity = wider;
    }
    struct build_document *to = &batch->documents[batch->n_documents++];
    memset(to, 0, sizeof *to);
    to->text_at = batch->n_text;
    to->n_bytes = d->n;
    to->name_at = batch->n_text + d->n;
    to->n_replaced = d->n_replaced;
    memcpy(batch->text + to->text_at, d->bytes, d->n);
    memcpy(batch->text + to->name_at, d->name, n_name);
    batch->n_text = wanted;
    return CRIA_OK;
}

static cria_status read_source(struct pool *p, int index, struct cria_error *err) {
    const struct build_source *from = &p->b->o->sources[index];
    const struct source_options options = {from->text_field, from->separator, BUILD_DOCUMENT_BYTES};
    cria_status status = CRIA_OK;
    source *s = NULL;
    struct build_batch *batch = NULL;
    struct source_document d;
    bool more;
    progress *bar = NULL;
    TRY(source_open(&s, from->paths, from->n_paths, &options, err));
    bar = progress_start(from->name, source_bytes(s), PROGRESS_BYTES);
    for (;;) {
        TRY(source_next(s, &d, &more, err));
        if (!more) break;
        p->b->result.n_read++;
        p->b->result.n_bytes_read += d.n;
        p->b->result.n_replaced += d.n_replaced;
        if (batch && batch->n_text + d.n > BATCH_BYTES) {
            submit(p);
            batch = NULL;
            progress_update(bar, source_bytes_read(s));
        }
        if (!batch) TRY(open_batch(p, index, &batch, err));
        TRY(add_document(batch, &d, err));
    }
    if (batch) submit(p);
    p->b->result.n_ignored_files += (uint64_t)source_ignored(s);
out:
    progress_finish(&bar);
    source_close(&s);
    return status;
}

cria_status build_read(struct build *b, struct cria_error *err) {
    struct pool pool;
    cria_status status = begin_pool(&pool, b, err);
    for (int held_out = 1; held_out >= 0; held_out--)
        for (int i = 0; i < b->o->n_sources && status == CRIA_OK; i++)
            if (b->o->sources[i].is_held_out == held_out) status = read_source(&pool, i, err);
    while (status == CRIA_OK && pool.n_kept < pool.n_filled) status = keep_oldest(&pool, err);
    end_pool(&pool);
    return status;
}
