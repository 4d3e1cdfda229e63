/* engine.h: the inside of an engine, for engine_*.c alone.
 *
 * A step: ended and cancelled requests leave, waiting ones come in, one forward call runs a token of every answer and
 * pieces of the prompts in the order in which requests came, and its rows of logits go to their requests.
 *
 * Who comes in: the queue is read from its head. A request whose prefix a running one is just computing waits for that
 * prefix and lets others pass; the first one for which the cache has no room stops the reading, so that nobody who asks
 * for much waits for ever. A running request has room in the cache until its last token: nothing ever runs out on
 * the way. */
#ifndef INFER_ENGINE_H
#define INFER_ENGINE_H

#include "infer/prefix.h"
#include "infer/request.h"

struct request_list {
    struct request *first, *last;
};

struct engine {
    llama_session *session;    /* owned */
    struct sampling_room room; /* owned */
    struct request_tools tools;
    struct prefix_cache prefixes; /* owned; without entries where the cache is off */
    bool has_prefixes;
    int max_batch;
    int chunk;              /* most prompt tokens of one request in a step */
    int max_prompt_rows;    /* of all requests in a step */
    int max_score_rows;     /* rows of logits in a step beside one for each request */
    float *logits;          /* owned */
    struct llama_run *runs; /* owned; max_batch */
    struct request *
        *running; /* owned; max_batch: in the order in which they came in; runs of a step are in this order */
    int n_running;
    struct request_list queue; /* owned; in the order of their numbers */
    struct request_list ended; /* owned; to be taken */
    int next_number;
    bool in_step;
};

/* What the options come to on this model. */
struct engine_plan {
    struct llama_session_options session;
    int chunk, max_prompt_rows, max_score_rows, max_prefixes;
};
CRIA_MUST_CHECK cria_status engine_plan_make(struct engine_plan *ret, const llama_model *m,
                                             const struct engine_options *options, struct cria_error *err);

void engine_list_append(struct request_list *list, struct request *r);
/* Takes a request out of the list; prev is the one before it or NULL. */
void engine_list_remove(struct request_list *list, struct request *prev, struct request *r);
/* Ends cancelled requests and moves ended ones to their list. */
void engine_sweep(engine *e);
/* Lets requests of the queue in. */
CRIA_MUST_CHECK cria_status engine_admit(engine *e, struct cria_error *err);

#endif
