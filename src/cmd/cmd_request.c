/* cmd_request.c: see cmd_request.h. */
#include "cmd/cmd_request.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/log.h"
#include "cmd/cmd_io.h"
#include "kernel/order.h"

cria_status cmd_settings_init(struct cmd_settings *ret, const struct conf *c, const struct cmd_model *m,
                              struct cria_error *err) {
    struct cmd_settings s = {
        .sampling = {.temperature = (float)conf_real(c, CONF_TEMPERATURE),
                     .top_k = (int)conf_int(c, CONF_TOP_K),
                     .top_p = (float)conf_real(c, CONF_TOP_P),
                     .min_p = (float)conf_real(c, CONF_MIN_P),
                     .typical_p = (float)conf_real(c, CONF_TYPICAL),
                     .repetition_penalty = (float)conf_real(c, CONF_REPETITION_PENALTY),
                     .presence_penalty = (float)conf_real(c, CONF_PRESENCE_PENALTY),
                     .frequency_penalty = (float)conf_real(c, CONF_FREQUENCY_PENALTY),
                     .penalty_window = (int)conf_int(c, CONF_PENALTY_WINDOW),
                     .seed = (uint64_t)conf_int(c, CONF_SEED),
                     .n_biases = conf_count(c, CONF_LOGIT_BIAS)},
        .stop_strings = conf_texts(c, CONF_STOP),
        .n_stop_strings = conf_count(c, CONF_STOP),
        .max_tokens = conf_int(c, CONF_MAX_TOKENS),
        .is_max_given = conf_is_set(c, CONF_MAX_TOKENS),
        .ignore_stop_ids = conf_flag(c, CONF_IGNORE_EOS),
        .is_scoring = c->command == CONF_PERPLEXITY,
        .n_top = (int)conf_int(c, CONF_TOP),
    };
    if (s.is_scoring) s.sampling = sampling_greedy();
    if (s.sampling.n_biases) {
        s.biases = alloc_array((size_t)s.sampling.n_biases, sizeof *s.biases);
        if (!s.biases) return ERROR_NOMEM(err, (size_t)s.sampling.n_biases * sizeof *s.biases, "logit biases");
        for (int i = 0; i < s.sampling.n_biases; i++) {
            const struct conf_pair *pair = &conf_pairs(c, CONF_LOGIT_BIAS)[i];
            s.biases[i] = (struct sampling_bias){.id = (int32_t)pair->key, .bias = (float)pair->value};
        }
        s.sampling.biases = s.biases;
    }
    cria_status status = sampling_check(&s.sampling, (int32_t)model_files_config(m->files)->n_vocab, err);
    if (status == CRIA_OK && s.n_stop_strings) status = cmd_model_need_tokenizer(m, err);
    if (status != CRIA_OK) {
        cmd_settings_deinit(&s);
        return status;
    }
    *ret = s;
    return CRIA_OK;
}

void cmd_settings_deinit(struct cmd_settings *s) {
    alloc_free(s->biases);
    *s = (struct cmd_settings){0};
}

cria_status cmd_encode_prompt(const struct cmd_model *m, const struct conf *c, const char *text, size_t n,
                              struct token_list *ids, struct cria_error *err) {
    size_t n_dropped = 0;
    cria_status status = cmd_model_need_tokenizer(m, err);
    if (status != CRIA_OK) return status;
    const struct tokenizer_options options = {.with_bos = tokenizer_adds_bos(m->tok),
                                              .special = conf_flag(c, CONF_SPECIAL)};
    status = tokenizer_encode(m->tok, text, n, &options, ids, &n_dropped, err);
    if (status == CRIA_OK && n_dropped)
        log_warning("%zu bytes of the text have no token in this vocabulary and were dropped", n_dropped);
    return status;
}

cria_status cmd_prompt_ids(const struct conf *c, const struct cmd_model *m, struct token_list *ids,
                           struct cria_error *err) {
    const char *text = conf_text(c, CONF_PROMPT), *path = conf_text(c, CONF_FILE);
    char *input = NULL;
    size_t n = 0;
    cria_status status = CRIA_OK;
    if (conf_is_set(c, CONF_IDS)) {
        for (int i = 0; i < conf_count(c, CONF_IDS); i++)
            TRY(token_list_add(ids, (int32_t)conf_ints(c, CONF_IDS)[i], err));
    } else if (text) {
        TRY(cmd_encode_prompt(m, c, text, strlen(text), ids, err));
    } else {
        TRY(cmd_model_need_tokenizer(m, err));
        TRY(cmd_read(path ? path : "-", &input, &n, err));
        TRY(cmd_encode_prompt(m, c, input, n, ids, err));
    }
    if (!ids->n) TRY(ERROR_SET(err, CRIA_USAGE, "the prompt is empty: there is nothing to go on from"));
out:
    alloc_free(input);
    return status;
}

int64_t cmd_answer_tokens(const struct cmd_settings *s, int64_t n_prompt, int64_t context) {
    const int64_t room = context > n_prompt ? context - n_prompt : 0;
    if (s->is_scoring) return 0;
    if (s->is_max_given || s->max_tokens < room) return s->max_tokens;
    return room;
}

struct engine_request cmd_request_make(const struct cmd_settings *s, const struct cmd_model *m,
                                       const struct token_list *prompt, int64_t context) {
    return (struct engine_request){.prompt = prompt->ids,
                                   .n_prompt = (int64_t)prompt->n,
                                   .max_tokens = cmd_answer_tokens(s, (int64_t)prompt->n, context),
                                   .sampling = s->sampling,
                                   .stop_strings = s->stop_strings,
                                   .n_stop_strings = s->n_stop_strings,
                                   .ignore_stop_ids = s->ignore_stop_ids,
                                   .score_prompt = s->is_scoring,
                                   .n_top = s->n_top,
                                   .tok = m->tok};
}

static void json_ids(json_writer *w, const char *key, const int32_t *ids, int64_t n) {
    json_write_key(w, key);
    json_write_begin_array(w);
    for (int64_t i = 0; i < n; i++) json_write_i64(w, ids[i]);
    json_write_end_array(w);
}

static void json_logprobs(json_writer *w, const float *logprobs, int64_t n) {
    json_write_key(w, "logprobs");
    json_write_begin_array(w);
    for (int64_t i = 0; i < n; i++) json_write_f32(w, logprobs[i]);
    json_write_end_array(w);
}

static void json_top(json_writer *w, const struct engine_top *top, int64_t n, int n_top) {
    if (!n_top) return;
    json_write_key(w, "top");
    json_write_begin_array(w);
    for (int64_t i = 0; i < n; i++) {
        json_write_begin_array(w);
        for (int k = 0; k < n_top; k++) {
            json_write_begin_object(w);
            json_write_key(w, "id");
            json_write_i64(w, top[i * n_top + k].id);
            json_write_key(w, "logprob");
            json_write_f32(w, top[i * n_top + k].logprob);
            json_write_end_object(w);
        }
        json_write_end_array(w);
    }
    json_write_end_array(w);
}

/* The two members that say which bits these are. */
static void json_proof(json_writer *w, const uint8_t sha256[DIGEST_BYTES]) {
    char hex[DIGEST_HEX_BYTES];
    digest_hex(sha256, hex);
    json_write_key(w, "digest");
    json_write_text(w, hex);
    json_write_key(w, "arithmetic");
    json_write_i64(w, ORDER_ARITHMETIC_VERSION);
}

static void json_number(json_writer *w, const char *key, double value) {
    json_write_key(w, key);
    json_write_f32(w, (float)value);
}

static void json_timings(json_writer *w, const struct engine_result *r) {
    const int64_t n_computed = r->n_prompt - r->n_cached;
    json_write_key(w, "timings");
    json_write_begin_object(w);
    json_number(w, "prefill_s", r->prefill_s);
    json_number(w, "decode_s", r->decode_s);
    json_number(w, "prefill_tokens_per_s", r->prefill_s > 0 ? (double)n_computed / r->prefill_s : 0);
    json_number(w, "decode_tokens_per_s", r->decode_s > 0 ? (double)(r->n_tokens - 1) / r->decode_s : 0);
    json_write_key(w, "cached_tokens");
    json_write_i64(w, r->n_cached);
    json_write_end_object(w);
}

void cmd_result_json(json_writer *w, const struct token_list *prompt, const struct engine_result *r, int n_top) {
    json_write_begin_object(w);
    json_ids(w, "prompt_tokens", prompt->ids, (int64_t)prompt->n);
    json_ids(w, "tokens", r->tokens, r->n_tokens);
    json_write_key(w, "text");
    if (r->text) json_write_string(w, r->text, r->n_text);
    else json_write_null(w);
    json_logprobs(w, r->logprobs, r->n_logprobs);
    json_top(w, r->top, r->n_logprobs, n_top);
    json_write_key(w, "finish_reason");
    json_write_text(w, finish_reason_name(r->finish));
    json_timings(w, r);
    json_proof(w, r->digest);
    json_write_end_object(w);
}

void cmd_score_free(struct cmd_score *s) {
    token_list_free(&s->tokens);
    alloc_free(s->logprobs);
    alloc_free(s->top);
    *s = (struct cmd_score){0};
}

double cmd_score_nll(const struct cmd_score *s) {
    double sum = 0;
    for (size_t i = 0; i + 1 < s->tokens.n; i++) sum -= (double)s->logprobs[i];
    return sum / (double)(s->tokens.n - 1);
}

void cmd_score_json(json_writer *w, const struct cmd_score *s) {
    const int64_t n_scored = (int64_t)s->tokens.n - 1;
    const double nll = cmd_score_nll(s);
    json_write_begin_object(w);
    json_ids(w, "tokens", s->tokens.ids, (int64_t)s->tokens.n);
    json_logprobs(w, s->logprobs, n_scored);
    json_top(w, s->top, n_scored, s->n_top);
    json_number(w, "nll", nll);
    json_number(w, "perplexity", exp(nll));
    json_write_key(w, "timings");
    json_write_begin_object(w);
    json_number(w, "seconds", s->seconds);
    json_write_end_object(w);
    json_proof(w, s->sha256);
    json_write_end_object(w);
}
