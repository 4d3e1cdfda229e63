/* request.h: one request inside the engine: what was asked, how far it is, and its result so far.
 *
 *   state      entered by                                  left by
 *   QUEUED     request_create                              request_start
 *   PREFILL    request_start                               request_row of the last prompt token, or request_prompt_done
 *   DECODE     request_row                                 request_row: a stop, the last token
 *   ENDED      request_end, request_fail (from any state)  engine_take
 *
 * A request reads rows of logits and makes tokens, text and events of them. It knows nothing of other requests, of
 * batches or of when its rows are run; its sequence is filled and given back by the engine. */
#ifndef INFER_REQUEST_H
#define INFER_REQUEST_H

#include "base/buffer.h"
#include "base/digest.h"
#include "infer/finish.h"
#include "infer/infer.h"
#include "infer/sampling.h"

enum request_state { REQUEST_NONE, REQUEST_QUEUED, REQUEST_PREFILL, REQUEST_DECODE, REQUEST_ENDED };

/* What all requests of an engine use; borrowed. */
struct request_tools {
    const llama_session *session;
    const struct arch_config *config;
    struct sampling_room *room;
    int64_t max_context;
    bool all_logits;
};

struct request {
    struct request *next; /* in the engine's queue or list of ended ones */
    int number;
    enum request_state state;
    bool cancelled; /* to be ended as soon as no step is under way */
    struct engine_request what;
    int64_t max_answer;       /* tokens */
    bool to_context;          /* the answer ends where the context does */
    llama_sequence *sequence; /* owned by the engine; NULL unless in PREFILL or DECODE */
    struct finish_search search;
    struct tokenizer_stream stream;
    struct buffer text;  /* all text, with what is held back */
    size_t n_emitted;    /* bytes of it that events have brought */
    digest *rows_digest; /* NULL where none was asked for */
    struct engine_result result;
    cria_status status; /* why the request itself failed */
    struct cria_error error;
    double start_s, first_s; /* when it was started, and when its first token came */
};

/* Checks everything that can be wrong with a request and books what its answer needs. */
CRIA_MUST_CHECK cria_status request_create(struct request **ret, const struct engine_request *what,
                                           const struct request_tools *tools, struct cria_error *err);
void request_destroy(struct request **r);
/* Tokens that its sequence may come to hold. */
int64_t request_total(const struct request *r);
/* Logits are wanted of every prompt position / of the last one. */
bool request_wants_all_rows(const struct request *r);
bool request_wants_last_row(const struct request *r);
/* The logits of `position`; rows come in order. May end the request. */
void request_row(struct request *r, const struct request_tools *tools, int64_t position, const float *row);
/* A place in the batch and in the cache was found. */
void request_start(struct request *r);
/* The whole prompt has been run (and request_row called for the rows that were wanted). */
void request_prompt_done(struct request *r);
void request_end(struct request *r, enum finish_reason reason);
void request_fail(struct request *r, cria_status status, const struct cria_error *error);

#endif
