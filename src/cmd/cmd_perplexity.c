/* cmd_perplexity.c: the scores of a text's tokens, in one window or several.
 *
 * A window of C tokens moves by M: window k begins at k M and scores the tokens that the windows before it did not
 * reach. The row of position p is the one that its successor's score came from; so each position has one row, and with
 * one window everything is what one forward pass over the text gives. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/progress.h"
#include "cmd/cmd.h"
#include "cmd/cmd_batch.h"
#include "cmd/cmd_io.h"
#include "cmd/cmd_request.h"
#include "cmd/cmd_rows.h"

enum { MAX_JSON_BYTES = 1 << 30 };

/* One window: tokens begin .. end - 1; it gives the rows first_row .. end_row - 1 of the text. */
struct window {
    int64_t begin, end, first_row, end_row;
};

struct scan {
    struct cmd_rows rows;
    digest *sum; /* NULL: nobody asked for it */
    struct window window;
    int64_t i_row; /* of the text, that comes next */
};

static cria_status take_row(void *arg, int request, const float *row, int32_t n_vocab, struct cria_error *err) {
    struct scan *s = arg;
    const int64_t i = s->i_row++;
    (void)request;
    if (i < s->window.first_row || i >= s->window.end_row) return CRIA_OK;
    if (s->sum) digest_add(s->sum, row, (size_t)n_vocab * sizeof *row);
    return cmd_rows_add(&s->rows, row, n_vocab, err);
}

static struct window first_window(int64_t n_tokens, int64_t context) {
    const int64_t end = n_tokens < context ? n_tokens : context;
    return (struct window){.end = end, .end_row = end < n_tokens ? end - 1 : end};
}

static struct window next_window(struct window w, int64_t n_tokens, int64_t context, int64_t stride) {
    struct window next = {.begin = w.begin + stride, .first_row = w.end - 1};
    next.end = n_tokens - next.begin < context ? n_tokens : next.begin + context;
    next.end_row = next.end < n_tokens ? next.end - 1 : next.end;
    return next;
}

static cria_status score_window(struct cmd_model *m, const struct cmd_settings *settings, struct scan *scan,
                                struct cmd_score *score, struct cria_error *err) {
    const struct window w = scan->window;
    const struct token_list part = {.ids = score->tokens.ids + w.begin, .n = (size_t)(w.end - w.begin)};
    struct engine_request request = cmd_request_make(settings, m, &part, w.end - w.begin);
    struct engine_result result = {0};
    request.tok = NULL;
    request.arg = scan;
    request.on_logits = scan->sum || scan->rows.file ? take_row : NULL;
    scan->i_row = w.begin;
    const cria_status status = engine_run(m->eng, &request, &result, err);
    if (status != CRIA_OK) return status;
    /* Score i of the text is that of token i + 1, from row i. */
    const int64_t skip = w.first_row - w.begin, n = result.n_logprobs - skip, n_top = score->n_top;
    memcpy(score->logprobs + w.first_row, result.logprobs + skip, (size_t)n * sizeof *score->logprobs);
    if (n_top)
        memcpy(score->top + w.first_row * n_top, result.top + skip * n_top, (size_t)(n * n_top) * sizeof *score->top);
    score->seconds += result.prefill_s;
    engine_result_free(&result);
    return CRIA_OK;
}

static cria_status score_all(const struct conf *c, struct cmd_model *m, const struct cmd_settings *settings,
                             int64_t context, struct cmd_score *score, struct cria_error *err) {
    const int64_t n_tokens = (int64_t)score->tokens.n;
    const int64_t stride = conf_is_set(c, CONF_STRIDE) ? conf_int(c, CONF_STRIDE) : context / 2;
    struct scan scan = {.window = first_window(n_tokens, context)};
    progress *bar = NULL;
    cria_status status;
    TRY(cmd_rows_open(&scan.rows, conf_text(c, CONF_LOGITS), err));
    if (conf_flag(c, CONF_JSON)) TRY(digest_create(&scan.sum, err));
    if (!conf_flag(c, CONF_QUIET)) bar = progress_start("tokens", (uint64_t)n_tokens, PROGRESS_TOKENS);
    for (;;) {
        TRY(score_window(m, settings, &scan, score, err));
        progress_update(bar, (uint64_t)scan.window.end);
        if (scan.window.end == n_tokens) break;
        scan.window = next_window(scan.window, n_tokens, context, stride);
    }
    if (scan.sum) TRY(digest_result(scan.sum, score->sha256, err));
    TRY(cmd_rows_publish(&scan.rows, err));
out:
    progress_finish(&bar);
    digest_destroy(&scan.sum);
    cmd_rows_close(&scan.rows);
    return status;
}

/* What the options and the text's length allow. */
static cria_status check_length(const struct conf *c, int64_t n_tokens, int64_t context, struct cria_error *err) {
    if (n_tokens < 2)
        return ERROR_SET(err, CRIA_RANGE, "the text has %lld tokens; a score needs at least 2", (long long)n_tokens);
    if (n_tokens > context && !conf_is_set(c, CONF_CONTEXT))
        return ERROR_SET(
            err, CRIA_RANGE,
            "the text has %lld tokens and the model's context holds %lld: --context N --stride M read it through a "
            "moving window",
            (long long)n_tokens, (long long)context);
    if (conf_is_set(c, CONF_STRIDE) && conf_int(c, CONF_STRIDE) >= context)
        return ERROR_SET(err, CRIA_USAGE,
                         "--stride %lld: windows of %lld tokens have to overlap, so it is less than that",
                         (long long)conf_int(c, CONF_STRIDE), (long long)context);
    return CRIA_OK;
}

static cria_status write_score(const struct conf *c, const struct cmd_score *score, struct cria_error *err) {
    const double nll = cmd_score_nll(score);
    if (!conf_flag(c, CONF_JSON))
        return cmd_print(err, "perplexity %.6g  nll %.6g  tokens %zu\n", exp(nll), nll, score->tokens.n);
    struct buffer out = buffer_make(MAX_JSON_BYTES);
    json_writer w = json_writer_make(&out);
    cmd_score_json(&w, score);
    const cria_status status = cmd_write_line(&out, err);
    buffer_free(&out);
    return status;
}

static cria_status score_text(const struct conf *c, struct cmd_model *m, const struct cmd_settings *settings,
                              int64_t context, struct cria_error *err) {
    struct cmd_score score = {.n_top = settings->n_top};
    cria_status status;
    TRY(cmd_prompt_ids(c, m, &score.tokens, err));
    const int64_t n_tokens = (int64_t)score.tokens.n;
    TRY(check_length(c, n_tokens, context, err));
    score.logprobs = alloc_array((size_t)n_tokens, sizeof *score.logprobs);
    score.top = alloc_array((size_t)n_tokens * (size_t)(score.n_top ? score.n_top : 1), sizeof *score.top);
    if (!score.logprobs || !score.top) TRY(ERROR_NOMEM(err, (size_t)n_tokens * sizeof *score.top, "the scores"));
    const struct engine_options options = {.max_context = n_tokens < context ? n_tokens : context, .all_logits = true};
    TRY(cmd_model_load(m, c, err));
    TRY(cmd_model_engine(m, c, options, err));
    TRY(score_all(c, m, settings, context, &score, err));
    TRY(write_score(c, &score, err));
out:
    cmd_score_free(&score);
    return status;
}

static cria_status check_sources(const struct conf *c, struct cria_error *err) {
    const bool is_batch = conf_is_set(c, CONF_JSONL);
    const int n = conf_is_set(c, CONF_PROMPT) + conf_is_set(c, CONF_IDS) + conf_is_set(c, CONF_FILE) + is_batch;
    if (n > 1) return ERROR_SET(err, CRIA_USAGE, "--prompt, --ids, --file and --jsonl exclude each other");
    if (is_batch && conf_is_set(c, CONF_LOGITS))
        return ERROR_SET(err, CRIA_USAGE, "--logits writes the rows of one text, not of --jsonl");
    if (is_batch && conf_is_set(c, CONF_STRIDE))
        return ERROR_SET(err, CRIA_USAGE, "--stride reads one long text; the lines of --jsonl have to fit the context");
    if (!is_batch && conf_is_set(c, CONF_OUTPUT))
        return ERROR_SET(err, CRIA_USAGE, "--output goes with --jsonl; a single result goes to standard output");
    if (conf_is_set(c, CONF_TOP) && !conf_flag(c, CONF_JSON) && !is_batch)
        return ERROR_SET(err, CRIA_USAGE, "--top goes with --json");
    return CRIA_OK;
}

cria_status cmd_perplexity(const struct conf *c, struct cria_error *err) {
    struct cmd_model m = {0};
    struct cmd_settings settings = {0};
    int64_t context = 0;
    cria_status status;
    TRY(check_sources(c, err));
    TRY(cmd_model_open(&m, c, false, err));
    TRY(cmd_model_context(&m, c, &context, err));
    TRY(cmd_settings_init(&settings, c, &m, err));
    if (conf_is_set(c, CONF_JSONL)) TRY(cmd_batch(c, &m, &settings, context, err));
    else TRY(score_text(c, &m, &settings, context, err));
out:
    cmd_settings_deinit(&settings);
    cmd_model_close(&m);
    return status;
}
