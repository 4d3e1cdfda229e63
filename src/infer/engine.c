/* engine.c: an engine's life, its queue, and what callers do with requests. See infer.h and engine.h. */
#include "infer/engine.h"

#include <limits.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"

void engine_result_free(struct engine_result *r) {
    alloc_free(r->tokens);
    alloc_free(r->logprobs);
    alloc_free(r->top);
    alloc_free(r->text);
    memset(r, 0, sizeof *r);
}

void engine_list_append(struct request_list *list, struct request *r) {
    r->next = NULL;
    if (list->last) list->last->next = r;
    else list->first = r;
    list->last = r;
}

void engine_list_remove(struct request_list *list, struct request *prev, struct request *r) {
    if (prev) prev->next = r->next;
    else list->first = r->next;
    if (list->last == r) list->last = prev;
    r->next = NULL;
}

static void list_destroy(struct request_list *list) {
    while (list->first) {
        struct request *r = list->first;
        list->first = r->next;
        request_destroy(&r);
    }
    list->last = NULL;
}

static cria_status create_buffers(engine *e, const struct engine_plan *p, int32_t n_vocab, struct cria_error *err) {
    size_t n_floats;
    if (checked_mul_size((size_t)p->session.max_logits, (size_t)n_vocab, &n_floats)) n_floats = SIZE_MAX;
    e->logits = alloc_array(n_floats, sizeof *e->logits);
    e->runs = alloc_zeroed((size_t)e->max_batch, sizeof *e->runs);
    e->running = alloc_zeroed((size_t)e->max_batch, sizeof(struct request *));
    if (!e->logits || !e->runs || !e->running) return ERROR_NOMEM(err, n_floats, "the logits of a step");
    return CRIA_OK;
}

cria_status engine_create(engine **ret, const llama_model *m, const struct engine_options *options,
                          struct cria_error *err) {
    struct engine_plan plan;
    cria_status status = engine_plan_make(&plan, m, options, err);
    if (status != CRIA_OK) return status;
    engine *e = ALLOC_NEW(engine);
    if (!e) return ERROR_NOMEM(err, sizeof *e, "the engine");
    const int32_t n_vocab = (int32_t)llama_model_config(m)->n_vocab;
    e->max_batch = options->max_batch;
    e->has_prefixes = options->prefix_cache;
    e->chunk = plan.chunk;
    e->max_prompt_rows = plan.max_prompt_rows;
    e->max_score_rows = plan.max_score_rows;
    e->next_number = 1;
    TRY(llama_session_create(&e->session, m, &plan.session, err));
    TRY(prefix_cache_init(&e->prefixes, plan.max_prefixes, err));
    TRY(sampling_room_init(&e->room, n_vocab, err));
    TRY(create_buffers(e, &plan, n_vocab, err));
    e->tools = (struct request_tools){
        .session = e->session,
        .config = llama_model_config(m),
        .room = &e->room,
        .max_context = plan.session.max_context,
        .all_logits = options->all_logits,
    };
    *ret = e;
    return CRIA_OK;
out:
    engine_destroy(&e);
    return status;
}

void engine_destroy(engine **e) {
    engine *d = *e;
    if (!d) return;
    for (int i = 0; i < d->n_running; i++) {
        llama_sequence_destroy(&d->running[i]->sequence);
        request_destroy(&d->running[i]);
    }
    list_destroy(&d->queue);
    list_destroy(&d->ended);
    prefix_cache_deinit(&d->prefixes);
    sampling_room_deinit(&d->room);
    alloc_free(d->logits);
    alloc_free(d->runs);
    alloc_free(d->running);
    llama_session_destroy(&d->session);
    alloc_free(d);
    *e = NULL;
}

int64_t engine_context(const engine *e) { return e->tools.max_context; }

cria_status engine_submit(engine *e, const struct engine_request *r, int *ret_number, struct cria_error *err) {
    if (e->next_number == INT_MAX)
        return ERROR_SET(err, CRIA_LIMIT, "an engine takes at most %d requests", INT_MAX - 1);
    struct request *made;
    const cria_status status = request_create(&made, r, &e->tools, err);
    if (status != CRIA_OK) return status;
    made->number = e->next_number++;
    engine_list_append(&e->queue, made);
    *ret_number = made->number;
    return CRIA_OK;
}

/* A request of the queue or a running one; NULL where there is none with this number. */
static struct request *find_live(const engine *e, int number) {
    for (int i = 0; i < e->n_running; i++)
        if (e->running[i]->number == number) return e->running[i];
    for (struct request *r = e->queue.first; r; r = r->next)
        if (r->number == number) return r;
    return NULL;
}

void engine_cancel(engine *e, int request) {
    struct request *r = find_live(e, request);
    if (!r) return;
    r->cancelled = true;
    if (!e->in_step) engine_sweep(e);
}

cria_status engine_take(engine *e, int request, struct engine_result *ret, struct cria_error *err) {
    struct request *prev = NULL, *r = e->ended.first;
    while (r && r->number != request) {
        prev = r;
        r = r->next;
    }
    if (!r && find_live(e, request)) return ERROR_SET(err, CRIA_BUSY, "request %d has not ended", request);
    if (!r) return ERROR_SET(err, CRIA_NOTFOUND, "there is no request %d", request);
    engine_list_remove(&e->ended, prev, r);
    const cria_status status = r->status;
    if (status == CRIA_OK) {
        *ret = r->result;
        r->result = (struct engine_result){.tokens = NULL};
    } else if (err) {
        *err = r->error;
    }
    request_destroy(&r);
    return status;
}

cria_status engine_run(engine *e, const struct engine_request *r, struct engine_result *ret, struct cria_error *err) {
    int number;
    cria_status status = engine_submit(e, r, &number, err);
    if (status != CRIA_OK) return status;
    bool is_busy = true;
    while (status == CRIA_OK && is_busy && find_live(e, number)) status = engine_step(e, &is_busy, err);
    if (status == CRIA_OK) return engine_take(e, number, ret, err);
    /* The engine failed under the request: nobody will ask for its result. */
    engine_cancel(e, number);
    struct engine_result unwanted;
    if (engine_take(e, number, &unwanted, NULL) == CRIA_OK) engine_result_free(&unwanted);
    return status;
}
