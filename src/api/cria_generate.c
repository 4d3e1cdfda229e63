/* cria_generate.c: generate, chat and score through the public API. */
#include <string.h>

#include "api/cria_private.h"
#include "base/alloc.h"
#include "base/digest.h"
#include "text/dialogue.h"

struct cria_answer {
    struct engine_result result; /* owned */
    char digest[DIGEST_HEX_BYTES];
};

/* What an event needs to reach the caller. */
struct receiver {
    cria_text_callback *on_text;
    void *arg;
    unsigned callers; /* floating point state */
};

static int forward_text(void *arg, const struct engine_event *event) {
    const struct receiver *r = arg;
    if (event->n_text == 0) return 0;
    cria_state_leave(r->callers);
    const int is_unwanted = r->on_text(r->arg, event->text, event->n_text);
    cria_state_enter();
    return is_unwanted;
}

static struct sampling sampling_of(const struct cria_generate_options *o) {
    return (struct sampling){
        .temperature = o->temperature,
        .top_k = o->top_k,
        .top_p = o->top_p,
        .min_p = o->min_p,
        .typical_p = o->typical_p,
        .repetition_penalty = o->repetition_penalty,
        .presence_penalty = o->presence_penalty,
        .frequency_penalty = o->frequency_penalty,
        .penalty_window = o->penalty_window,
        .seed = o->seed,
    };
}

static cria_status run(cria_model *m, const struct engine_request *request, cria_answer **ret, struct cria_error *err) {
    cria_answer *a = ALLOC_NEW(cria_answer);
    if (!a) return ERROR_NOMEM(err, sizeof *a, "an answer");
    const cria_status status = engine_run(m->eng, request, &a->result, err);
    if (status == CRIA_OK) {
        digest_hex(a->result.digest, a->digest);
        *ret = a;
        a = NULL;
    }
    cria_answer_destroy(&a);
    return status;
}

/* One question, in any of its three forms. */
struct question {
    const char *text;     /* or NULL */
    const char *dialogue; /* or NULL */
    const int32_t *ids;
    size_t n_ids;
};

/* Gives the ids of the question: into the list, unless the question came as ids. */
static cria_status encode(const cria_model *m, const struct question *q, bool special, struct token_list *list,
                          struct cria_error *err) {
    if (!m->tok.t)
        return ERROR_SET(err, CRIA_NOTFOUND, "the model has no tokenizer; give it ids (cria_generate_tokens)");
    if (q->text) {
        const struct tokenizer_options options = {.with_bos = tokenizer_adds_bos(m->tok.t), .special = special};
        return tokenizer_encode(m->tok.t, q->text, strlen(q->text), &options, list, NULL, err);
    }
    if (!m->tmpl) return ERROR_SET(err, CRIA_NOTFOUND, "the model has no chat template; it can generate but not chat");
    dialogue *d = NULL;
    cria_status status = dialogue_from_json(&d, q->dialogue, strlen(q->dialogue), err);
    if (status == CRIA_OK) status = dialogue_encode(d, m->tmpl, m->tok.t, list, err);
    dialogue_destroy(&d);
    return status;
}

static cria_status answer(cria_model *m, const struct question *q, const struct cria_generate_options *options,
                          cria_answer **ret, struct cria_error *err) {
    struct cria_generate_options o = cria_generate_defaults();
    struct token_list list = {.ids = NULL};
    struct receiver receiver = {.callers = cria_state_enter()};
    cria_status status = CRIA_OK;
    TRY(cria_options_take(&o, sizeof o, options, err));
    if (!q->ids) TRY(encode(m, q, o.with_special != 0, &list, err));
    receiver.on_text = o.on_text;
    receiver.arg = o.arg;
    const struct engine_request request = {
        .prompt = q->ids ? q->ids : list.ids,
        .n_prompt = (int64_t)(q->ids ? q->n_ids : list.n),
        .max_tokens = o.max_tokens,
        .sampling = sampling_of(&o),
        .stop_strings = o.stop_strings,
        .n_stop_strings = o.n_stop_strings,
        .digest = true,
        .tok = m->tok.t,
        .on_event = o.on_text ? forward_text : NULL,
        .arg = &receiver,
    };
    TRY(run(m, &request, ret, err));
out:
    token_list_free(&list);
    cria_state_leave(receiver.callers);
    return status;
}

cria_status cria_generate(cria_model *model, const char *prompt, const struct cria_generate_options *options,
                          cria_answer **ret, struct cria_error *err) {
    return answer(model, &(struct question){.text = prompt}, options, ret, err);
}

cria_status cria_generate_tokens(cria_model *model, const int32_t *ids, size_t n,
                                 const struct cria_generate_options *options, cria_answer **ret,
                                 struct cria_error *err) {
    return answer(model, &(struct question){.ids = ids, .n_ids = n}, options, ret, err);
}

cria_status cria_chat(cria_model *model, const char *dialogue_json, const struct cria_generate_options *options,
                      cria_answer **ret, struct cria_error *err) {
    return answer(model, &(struct question){.dialogue = dialogue_json}, options, ret, err);
}

cria_status cria_score(cria_model *model, const int32_t *ids, size_t n, cria_answer **ret, struct cria_error *err) {
    const struct engine_request request = {
        .prompt = ids,
        .n_prompt = (int64_t)n,
        .sampling = sampling_greedy(),
        .score_prompt = true,
        .digest = true,
    };
    const unsigned callers = cria_state_enter();
    const cria_status status = run(model, &request, ret, err);
    cria_state_leave(callers);
    return status;
}

void cria_answer_destroy(cria_answer **a) {
    if (!*a) return;
    engine_result_free(&(*a)->result);
    alloc_free(*a);
    *a = NULL;
}

const char *cria_answer_text(const cria_answer *a, size_t *ret_n_bytes) {
    if (ret_n_bytes) *ret_n_bytes = a->result.n_text;
    return a->result.text ? a->result.text : "";
}

const int32_t *cria_answer_tokens(const cria_answer *a, size_t *ret_n) {
    *ret_n = (size_t)a->result.n_tokens;
    return a->result.tokens;
}

const float *cria_answer_logprobs(const cria_answer *a, size_t *ret_n) {
    *ret_n = (size_t)a->result.n_logprobs;
    return a->result.logprobs;
}

const char *cria_answer_finish(const cria_answer *a) { return finish_reason_name(a->result.finish); }

const char *cria_answer_digest(const cria_answer *a) { return a->digest; }

size_t cria_answer_prompt_tokens(const cria_answer *a) { return (size_t)a->result.n_prompt; }
