/* request.c: see request.h. */
#include "infer/request.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"

#define MAX_TEXT_BYTES ((size_t)1 << 30)
#define MAX_STOP_IDS 64 /* of a tokenizer */

static cria_status check_ids(const char *what, const int32_t *ids, int64_t n, int64_t n_vocab, struct cria_error *err) {
    for (int64_t i = 0; i < n; i++)
        if (ids[i] < 0 || ids[i] >= n_vocab)
            return ERROR_SET(err, CRIA_RANGE, "%s %lld is %d; the model's ids are 0 to %lld", what, (long long)i,
                             ids[i], (long long)n_vocab - 1);
    return CRIA_OK;
}

static cria_status check_fit(const struct engine_request *q, int64_t context, struct cria_error *err) {
    if (q->n_prompt < 1) return ERROR_SET(err, CRIA_RANGE, "the prompt is empty; it must have at least 1 token");
    if (q->max_tokens < -1)
        return ERROR_SET(err, CRIA_RANGE, "max_tokens is %lld; it must be 0 or more, or -1 for as many as fit",
                         (long long)q->max_tokens);
    const int64_t least = q->max_tokens == -1 ? 1 : q->max_tokens;
    if (q->n_prompt > context || least > context - q->n_prompt)
        return ERROR_SET(
            err, CRIA_RANGE, "a prompt of %lld tokens and an answer of %s%lld do not fit the context of %lld tokens",
            (long long)q->n_prompt, q->max_tokens == -1 ? "at least " : "", (long long)least, (long long)context);
    return CRIA_OK;
}

static cria_status check_request(const struct engine_request *q, const struct request_tools *tools,
                                 struct cria_error *err) {
    const int64_t n_vocab = tools->config->n_vocab;
    cria_status status = CRIA_OK;
    TRY(check_fit(q, tools->max_context, err));
    TRY(check_ids("prompt token", q->prompt, q->n_prompt, n_vocab, err));
    TRY(sampling_check(&q->sampling, (int32_t)n_vocab, err));
    if (q->n_stop_ids < 0 || q->n_stop_ids > ENGINE_MAX_STOP_IDS)
        return ERROR_SET(err, CRIA_RANGE, "%d stop ids; there may be 0 to %d", q->n_stop_ids, ENGINE_MAX_STOP_IDS);
    TRY(check_ids("stop id", q->stop_ids, q->n_stop_ids, n_vocab, err));
    if (q->n_stop_strings > 0 && !q->tok)
        return ERROR_SET(err, CRIA_USAGE, "stop strings need a tokenizer, and the request has none");
    if (q->n_top < 0 || q->n_top > ENGINE_MAX_TOP || q->n_top > n_vocab)
        return ERROR_SET(err, CRIA_RANGE, "n_top is %d; it must be from 0 to %lld", q->n_top,
                         (long long)(n_vocab < ENGINE_MAX_TOP ? n_vocab : ENGINE_MAX_TOP));
    if (q->score_prompt && !tools->all_logits)
        return ERROR_SET(err, CRIA_USAGE, "score_prompt needs an engine with all_logits");
out:
    return status;
}

static cria_status book(struct request *r, struct cria_error *err) {
    const size_t n_scored = (r->what.score_prompt ? (size_t)r->what.n_prompt - 1 : 0) + (size_t)r->max_answer;
    struct engine_result *out = &r->result;
    out->tokens = alloc_array((size_t)r->max_answer, sizeof *out->tokens);
    out->logprobs = alloc_array(n_scored, sizeof *out->logprobs);
    const bool has_top = r->what.n_top > 0;
    if (has_top) out->top = alloc_array(n_scored, (size_t)r->what.n_top * sizeof *out->top);
    if (!out->tokens || !out->logprobs || (has_top && !out->top))
        return ERROR_NOMEM(
            err, n_scored * (sizeof(int32_t) + sizeof(float) + (size_t)r->what.n_top * sizeof(struct engine_top)),
            "the answer");
    out->n_prompt = r->what.n_prompt;
    return CRIA_OK;
}

cria_status request_create(struct request **ret, const struct engine_request *what, const struct request_tools *tools,
                           struct cria_error *err) {
    cria_status status = check_request(what, tools, err);
    if (status != CRIA_OK) return status;
    struct request *r = ALLOC_NEW(struct request);
    if (!r) return ERROR_NOMEM(err, sizeof *r, "a request");
    r->state = REQUEST_QUEUED;
    r->what = *what;
    r->to_context = what->max_tokens == -1;
    r->max_answer = r->to_context ? tools->max_context - what->n_prompt : what->max_tokens;
    r->text = buffer_make(MAX_TEXT_BYTES);
    TRY(finish_search_init(&r->search, what->stop_strings, what->n_stop_strings, err));
    TRY(book(r, err));
    if (what->digest) TRY(digest_create(&r->rows_digest, err));
    *ret = r;
    r = NULL;
out:
    request_destroy(&r);
    return status;
}

void request_destroy(struct request **r) {
    if (!*r) return;
    finish_search_deinit(&(*r)->search);
    buffer_free(&(*r)->text);
    digest_destroy(&(*r)->rows_digest);
    engine_result_free(&(*r)->result);
    alloc_free(*r);
    *r = NULL;
}

int64_t request_total(const struct request *r) { return r->what.n_prompt + r->max_answer; }

bool request_wants_all_rows(const struct request *r) { return r->what.score_prompt; }

bool request_wants_last_row(const struct request *r) { return r->what.score_prompt || r->max_answer > 0; }

/* Text that can be shown now goes out, with a token (or -1); true where the receiver wants no more. */
static bool emit(struct request *r, int32_t token, float logprob, bool is_end) {
    const size_t n_shown = r->text.n_bytes - (is_end ? 0 : finish_search_held(&r->search));
    const struct engine_event event = {
        .request = r->number,
        .token = token,
        .text = buffer_text(&r->text) + r->n_emitted,
        .n_text = n_shown - r->n_emitted,
        .logprob = logprob,
        .is_end = is_end,
    };
    r->n_emitted = n_shown;
    return r->what.on_event && r->what.on_event(r->what.arg, &event) != 0;
}

/* Looks for stop strings in the text from byte n_old on; where one is complete, it and what follows are cut off. */
static bool find_stop(struct request *r, size_t n_old) {
    size_t end = 0;
    const size_t found = finish_search_add(&r->search, buffer_text(&r->text) + n_old, r->text.n_bytes - n_old, &end);
    if (found) {
        buffer_cut(&r->text, n_old + end - found);
        finish_search_deinit(&r->search);
        r->stream.n_held = 0; /* the beginning of a character behind the stop string */
    }
    return found > 0;
}

static cria_status add_text(struct request *r, int32_t token, bool *ret_stop, struct cria_error *err) {
    /* A model may have more rows in its head than its tokenizer has tokens. */
    if (!r->what.tok || token >= tokenizer_size(r->what.tok)) return CRIA_OK;
    const size_t n_old = r->text.n_bytes;
    cria_status status = tokenizer_stream_add(r->what.tok, &r->stream, token, false, &r->text, err);
    if (status == CRIA_OK) status = buffer_status(&r->text, "the text of an answer", err);
    if (status == CRIA_OK) *ret_stop = find_stop(r, n_old);
    return status;
}

static void finish_clock(struct request *r) {
    const double now_s = clock_seconds();
    if (r->state == REQUEST_PREFILL) r->result.prefill_s = now_s - r->start_s;
    if (r->state == REQUEST_DECODE) r->result.decode_s = now_s - r->first_s;
}

/* What only the end can give: the digest and the whole text. */
static cria_status close_result(struct request *r, struct cria_error *err) {
    struct engine_result *out = &r->result;
    cria_status status = CRIA_OK;
    if (r->rows_digest) TRY(digest_result(r->rows_digest, out->digest, err));
    if (!r->what.tok) goto out;
    TRY(buffer_status(&r->text, "the text of an answer", err));
    out->n_text = r->text.n_bytes;
    out->text = buffer_take(&r->text);
    if (!out->text) status = ERROR_NOMEM(err, out->n_text, "the text of an answer");
out:
    return status;
}

void request_end(struct request *r, enum finish_reason reason) {
    finish_clock(r);
    const size_t n_old = r->text.n_bytes;
    if (r->what.tok) tokenizer_stream_end(&r->stream, &r->text);
    if (find_stop(r, n_old)) reason = FINISH_STOP;
    r->state = REQUEST_ENDED;
    emit(r, -1, 0, true);
    r->result.finish = reason;
    r->status = close_result(r, &r->error);
}

void request_fail(struct request *r, cria_status status, const struct cria_error *error) {
    r->status = status;
    r->error = *error;
    r->state = REQUEST_ENDED;
    emit(r, -1, 0, true);
}

/* The highest logits of the row, ties to the lower id. */
static void list_top(struct engine_top *top, int n_top, const float *row, int64_t n_vocab, float log_sum) {
    int n = 0;
    for (int32_t id = 0; id < n_vocab; id++) {
        if (n == n_top && row[id] <= top[n - 1].logprob) continue;
        int at = n < n_top ? n++ : n_top - 1;
        for (; at > 0 && top[at - 1].logprob < row[id]; at--) top[at] = top[at - 1];
        top[at] = (struct engine_top){id, row[id]};
    }
    for (int i = 0; i < n; i++) top[i].logprob -= log_sum;
}

/* The raw logits' log-probability of a token: llama_logprob(), with the sum taken once for all tokens of the row. */
static float record(struct request *r, const struct request_tools *tools, const float *row, int32_t token) {
    struct engine_result *out = &r->result;
    const float log_sum = llama_logsumexp(tools->session, row);
    const float logprob = row[token] - log_sum;
    if (r->what.n_top > 0)
        list_top(out->top + out->n_logprobs * r->what.n_top, r->what.n_top, row, tools->config->n_vocab, log_sum);
    out->logprobs[out->n_logprobs++] = logprob;
    return logprob;
}

static bool has_id(const int32_t *ids, int n, int32_t id) {
    for (int i = 0; i < n; i++)
        if (ids[i] == id) return true;
    return false;
}

static bool is_stop_id(const struct request *r, const struct arch_config *c, int32_t token) {
    if (has_id(r->what.stop_ids, r->what.n_stop_ids, token)) return true;
    if (r->what.ignore_stop_ids) return false;
    for (int i = 0; i < c->n_stop_ids; i++)
        if (c->stop_ids[i] == token) return true;
    int32_t ids[MAX_STOP_IDS];
    return r->what.tok && has_id(ids, tokenizer_stop_ids(r->what.tok, ids, MAX_STOP_IDS), token);
}

/* Chooses the next token of the answer and sees whether the answer ends with it. */
static void choose(struct request *r, const struct request_tools *tools, const float *row) {
    struct engine_result *out = &r->result;
    const struct sampling_history history = {r->what.prompt, out->tokens, r->what.n_prompt, out->n_tokens};
    const int32_t token = sampling_choose(tools->room, &r->what.sampling, row, &history);
    const float logprob = record(r, tools, row, token);
    out->tokens[out->n_tokens++] = token;
    bool is_stop = is_stop_id(r, tools->config, token);
    struct cria_error error = {.text = ""};
    const cria_status status = is_stop ? CRIA_OK : add_text(r, token, &is_stop, &error);
    if (status != CRIA_OK) {
        request_fail(r, status, &error);
        return;
    }
    const bool is_unwanted = emit(r, token, logprob, false);
    if (is_stop) {
        request_end(r, FINISH_STOP);
    } else if (is_unwanted) {
        request_end(r, FINISH_CANCELLED);
    } else if (out->n_tokens == r->max_answer) {
        request_end(r, r->to_context ? FINISH_CONTEXT : FINISH_LENGTH);
    }
}

static bool is_finite_row(const float *row, int64_t n) {
    uint32_t is_bad = 0;
    for (int64_t i = 0; i < n; i++) is_bad |= (dtype_bits_from_f32(row[i]) & 0x7f800000u) == 0x7f800000u;
    return !is_bad;
}

void request_row(struct request *r, const struct request_tools *tools, int64_t position, const float *row) {
    if (r->state == REQUEST_ENDED) return;
    const int64_t n_vocab = tools->config->n_vocab;
    struct cria_error error = {.text = ""};
    if (!is_finite_row(row, n_vocab)) {
        ERROR_SET(&error, CRIA_NUMERIC,
                  "the logits of position %lld are not finite; the model's weights may be damaged (inspect it "
                  "with its tensors checked)",
                  (long long)position);
        request_fail(r, CRIA_NUMERIC, &error);
        return;
    }
    if (r->rows_digest) digest_add(r->rows_digest, row, (size_t)n_vocab * sizeof *row);
    const cria_status status =
        r->what.on_logits ? r->what.on_logits(r->what.arg, r->number, row, (int32_t)n_vocab, &error) : CRIA_OK;
    if (status != CRIA_OK) {
        request_fail(r, status, &error);
    } else if (position + 1 < r->what.n_prompt) {
        record(r, tools, row, r->what.prompt[position + 1]);
    } else {
        if (r->state == REQUEST_PREFILL) request_prompt_done(r);
        if (r->state == REQUEST_DECODE) choose(r, tools, row);
    }
}

void request_prompt_done(struct request *r) {
    if (r->state != REQUEST_PREFILL) return;
    if (r->max_answer == 0) {
        request_end(r, FINISH_LENGTH);
        return;
    }
    r->first_s = clock_seconds();
    r->result.prefill_s = r->first_s - r->start_s;
    r->state = REQUEST_DECODE;
}

void request_start(struct request *r) {
    r->state = REQUEST_PREFILL;
    r->start_s = clock_seconds();
}
