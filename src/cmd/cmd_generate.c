/* cmd_generate.c: raw completion of one prompt, streamed or as JSON; many prompts go to cmd_batch.c. */
#include "cmd/cmd.h"
#include "cmd/cmd_batch.h"
#include "cmd/cmd_io.h"
#include "cmd/cmd_request.h"
#include "cmd/cmd_rows.h"

enum { MAX_JSON_BYTES = 1 << 30 };

/* What the engine's callbacks need. */
struct stream {
    struct cmd_rows rows;
    bool is_silent; /* --json: the text comes at the end */
    cria_status status;
    struct cria_error error; /* of the write that failed */
};

static int show_text(void *arg, const struct engine_event *event) {
    struct stream *s = arg;
    if (s->is_silent || !event->n_text) return 0;
    s->status = cmd_write_shown(event->text, event->n_text, &s->error);
    if (s->status == CRIA_OK) s->status = cmd_flush(&s->error);
    return s->status != CRIA_OK;
}

static cria_status keep_row(void *arg, int request, const float *row, int32_t n_vocab, struct cria_error *err) {
    struct stream *s = arg;
    (void)request;
    return cmd_rows_add(&s->rows, row, n_vocab, err);
}

static cria_status check_sources(const struct conf *c, struct cria_error *err) {
    const int n =
        conf_is_set(c, CONF_PROMPT) + conf_is_set(c, CONF_IDS) + conf_is_set(c, CONF_FILE) + conf_is_set(c, CONF_JSONL);
    if (n > 1) return ERROR_SET(err, CRIA_USAGE, "--prompt, --ids, --file and --jsonl exclude each other");
    if (conf_is_set(c, CONF_JSONL) && conf_is_set(c, CONF_LOGITS))
        return ERROR_SET(err, CRIA_USAGE, "--logits writes the rows of one prompt, not of --jsonl");
    if (!conf_is_set(c, CONF_JSONL) && conf_is_set(c, CONF_OUTPUT))
        return ERROR_SET(err, CRIA_USAGE, "--output goes with --jsonl; a single result goes to standard output");
    if (conf_is_set(c, CONF_TOP) && !conf_flag(c, CONF_JSON) && !conf_is_set(c, CONF_JSONL))
        return ERROR_SET(err, CRIA_USAGE, "--top goes with --json");
    return CRIA_OK;
}

static cria_status write_result(const struct conf *c, const struct token_list *prompt, const struct engine_result *r,
                                struct cria_error *err) {
    if (!conf_flag(c, CONF_JSON)) return cmd_write("\n", 1, err);
    struct buffer out = buffer_make(MAX_JSON_BYTES);
    json_writer w = json_writer_make(&out);
    cmd_result_json(&w, prompt, r, (int)conf_int(c, CONF_TOP));
    const cria_status status = cmd_write_line(&out, err);
    buffer_free(&out);
    return status;
}

static cria_status answer_one(const struct conf *c, struct cmd_model *m, const struct cmd_settings *settings,
                              int64_t context, const struct token_list *prompt, struct cria_error *err) {
    struct stream stream = {.is_silent = conf_flag(c, CONF_JSON) || !m->tok};
    struct engine_result result = {0};
    struct engine_request request = cmd_request_make(settings, m, prompt, context);
    cria_status status;
    /* The engine is made for this prompt: a model's full context would book memory that nobody uses. */
    const int64_t needed = request.n_prompt + request.max_tokens;
    const struct engine_options options = {.max_context = needed < context ? needed : context};
    TRY(cmd_rows_open(&stream.rows, conf_text(c, CONF_LOGITS), err));
    TRY(cmd_model_engine(m, c, options, err));
    request.on_event = show_text;
    request.on_logits = conf_is_set(c, CONF_LOGITS) ? keep_row : NULL;
    request.arg = &stream;
    request.digest = conf_flag(c, CONF_JSON);
    TRY(engine_run(m->eng, &request, &result, err));
    if (stream.status != CRIA_OK && err) *err = stream.error;
    TRY(stream.status);
    TRY(cmd_rows_publish(&stream.rows, err));
    TRY(write_result(c, prompt, &result, err));
out:
    cmd_rows_close(&stream.rows);
    engine_result_free(&result);
    return status;
}

cria_status cmd_generate(const struct conf *c, struct cria_error *err) {
    struct cmd_model m = {0};
    struct cmd_settings settings = {0};
    struct token_list prompt = {0};
    int64_t context = 0;
    cria_status status;
    TRY(check_sources(c, err));
    TRY(cmd_model_open(&m, c, false, err));
    TRY(cmd_model_context(&m, c, &context, err));
    TRY(cmd_settings_init(&settings, c, &m, err));
    if (!m.tok && !conf_flag(c, CONF_JSON) && !conf_is_set(c, CONF_JSONL))
        TRY(ERROR_SET(err, CRIA_USAGE, "%s has no tokenizer: use --json to see the token ids", m.path));
    if (conf_is_set(c, CONF_JSONL)) {
        TRY(cmd_batch(c, &m, &settings, context, err));
    } else {
        TRY(cmd_prompt_ids(c, &m, &prompt, err));
        TRY(cmd_model_load(&m, c, err));
        TRY(answer_one(c, &m, &settings, context, &prompt, err));
    }
out:
    token_list_free(&prompt);
    cmd_settings_deinit(&settings);
    cmd_model_close(&m);
    return status;
}
