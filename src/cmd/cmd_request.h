/* cmd_request.h: a request to the engine made from the command line, and its result as JSON. generate, perplexity and
 * chat share it. */
#ifndef CMD_CMD_REQUEST_H
#define CMD_CMD_REQUEST_H

#include "base/json.h"
#include "cmd/cmd_model.h"

/* What the requests of one run have in common. */
struct cmd_settings {
    struct sampling sampling;
    struct sampling_bias *biases;    /* owned */
    const char *const *stop_strings; /* borrowed from the conf */
    int n_stop_strings;
    int64_t max_tokens; /* as asked */
    bool is_max_given;  /* else the context bounds the answer without complaint */
    bool ignore_stop_ids;
    bool is_scoring; /* perplexity: no answer, the prompt is scored */
    int n_top;
};

CRIA_MUST_CHECK cria_status cmd_settings_init(struct cmd_settings *ret, const struct conf *c, const struct cmd_model *m,
                                              struct cria_error *err);
void cmd_settings_deinit(struct cmd_settings *s);

/* Text to prompt ids as generate and perplexity read it: with the beginning-of-text id where the model wants one. */
CRIA_MUST_CHECK cria_status cmd_encode_prompt(const struct cmd_model *m, const struct conf *c, const char *text,
                                              size_t n, struct token_list *ids, struct cria_error *err);
/* The prompt that --ids, --prompt, --file or standard input give; at least one id. */
CRIA_MUST_CHECK cria_status cmd_prompt_ids(const struct conf *c, const struct cmd_model *m, struct token_list *ids,
                                           struct cria_error *err);
/* The tokens that the answer to a prompt of n_prompt may have in a context: the asked number, or what fits where none
 * was asked for. */
int64_t cmd_answer_tokens(const struct cmd_settings *s, int64_t n_prompt, int64_t context);
/* A request over the prompt with these settings; callbacks and stop ids are the caller's to add. */
struct engine_request cmd_request_make(const struct cmd_settings *s, const struct cmd_model *m,
                                       const struct token_list *prompt, int64_t context);

/* The --json object of generate. */
void cmd_result_json(json_writer *w, const struct token_list *prompt, const struct engine_result *r, int n_top);

/* The scores of a text, from one window or several. */
struct cmd_score {
    struct token_list tokens;
    float *logprobs;        /* owned; tokens.n - 1 */
    struct engine_top *top; /* owned; (tokens.n - 1) x n_top */
    int n_top;
    uint8_t sha256[32];
    double seconds;
};
void cmd_score_free(struct cmd_score *s);
/* Minus the mean log-probability. */
double cmd_score_nll(const struct cmd_score *s);
/* The --json object of perplexity. */
void cmd_score_json(json_writer *w, const struct cmd_score *s);

#endif
