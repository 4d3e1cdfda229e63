/* cmd_batch.c: see cmd_batch.h.
 *
 * Lines start in input order and end in any; a line's place in a ring keeps its result until all before it are
 * written. So at any moment the output is a prefix of the whole, cut at a line: what --output needs to go on.
 *
 *   place:  FREE -> RUNNING (submitted) -> DONE (its JSON is made) -> FREE (written)
 *   a line that cannot be read or does not fit goes from FREE to DONE at once. */
#include "cmd/cmd_batch.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/progress.h"
#include "cmd/cmd_entry.h"
#include "cmd/cmd_io.h"
#include "cmd/cmd_resume.h"

enum { MAX_JSON_BYTES = 1 << 30, PLACES_A_LINE = 4, MIN_PLACES = 64 };

enum place_state { PLACE_FREE, PLACE_RUNNING, PLACE_DONE };

struct place {
    enum place_state state;
    bool has_ended; /* the engine said so */
    int request;
    struct token_list prompt;
    struct buffer json;
};

struct batch {
    const struct conf *c;
    struct cmd_model *m;
    const struct cmd_settings *settings;
    int64_t context;
    struct cmd_lines lines;   /* at the line to start next */
    bool has_line;            /* lines.line is to be started */
    int64_t i_start, i_write; /* of the lines that are not blank, from 0 */
    struct place *places;     /* owned ring */
    int n_places, n_running, max_running;
    int64_t n_failed;
    struct cmd_resume out;
    progress *bar;
};

/* The prompt of a line. */
static cria_status read_line(const struct batch *b, const struct cmd_lines *l, struct token_list *ids,
                             struct cria_error *err) {
    const unsigned allowed = 1u << CMD_ENTRY_TEXT | 1u << CMD_ENTRY_IDS | 1u << CMD_ENTRY_MESSAGES;
    struct cmd_entry entry = {0};
    dialogue *d = NULL;
    cria_status status;
    TRY(cmd_entry_parse(&entry, l->line, l->n_line, allowed, err));
    if (entry.kind == CMD_ENTRY_IDS) {
        *ids = entry.ids;
        entry.ids = (struct token_list){0};
    } else if (entry.kind == CMD_ENTRY_TEXT) {
        TRY(cmd_encode_prompt(b->m, b->c, entry.text, entry.n_text, ids, err));
    } else {
        TRY(cmd_model_need_tokenizer(b->m, err));
        TRY(cmd_model_template(b->m, b->c, err));
        TRY(dialogue_from_json(&d, l->line, l->n_line, err));
        TRY(dialogue_encode(d, b->m->tmpl, b->m->tok, ids, err));
    }
    const size_t least = b->settings->is_scoring ? 2 : 1;
    if (ids->n < least) TRY(ERROR_SET(err, CRIA_RANGE, "%zu tokens; at least %zu are needed", ids->n, least));
    const int64_t needed = (int64_t)ids->n + cmd_answer_tokens(b->settings, (int64_t)ids->n, b->context);
    if (needed > b->context)
        TRY(ERROR_SET(err, CRIA_RANGE, "%zu tokens of prompt and %lld of answer; the context holds %lld", ids->n,
                      (long long)(needed - (int64_t)ids->n), (long long)b->context));
out:
    dialogue_destroy(&d);
    cmd_entry_free(&entry);
    return status;
}

/* The longest prompt and answer among the lines to come: the engine's context. At least 2, so that an input of broken
 * lines runs. */
static int64_t longest_need(struct batch *b) {
    int64_t longest = 2;
    for (struct cmd_lines l = b->lines; b->has_line;) {
        struct token_list ids = {0};
        if (read_line(b, &l, &ids, NULL) == CRIA_OK) {
            const int64_t needed = (int64_t)ids.n + cmd_answer_tokens(b->settings, (int64_t)ids.n, b->context);
            if (needed > longest) longest = needed;
        }
        token_list_free(&ids);
        if (!cmd_lines_next(&l)) break;
    }
    return longest;
}

static int note_end(void *arg, const struct engine_event *event) {
    struct place *p = arg;
    if (event->is_end) p->has_ended = true;
    return 0;
}

static void finish_error(struct batch *b, struct place *p, const struct cria_error *error, int64_t number) {
    json_writer w = json_writer_make(&p->json);
    struct cria_error named = *error;
    error_prefix(&named, "line %lld", (long long)number);
    json_write_begin_object(&w);
    json_write_key(&w, "error");
    json_write_text(&w, named.text);
    json_write_end_object(&w);
    p->state = PLACE_DONE;
    b->n_failed++;
}

/* Whether a status is the line's own fault; others (memory, the disk) end the run. */
static bool is_of_line(cria_status status) {
    return status == CRIA_FORMAT || status == CRIA_RANGE || status == CRIA_UNSUPPORTED || status == CRIA_LIMIT ||
           status == CRIA_NOTFOUND || status == CRIA_USAGE;
}

static cria_status start_line(struct batch *b, struct cria_error *err) {
    struct place *p = &b->places[b->i_start % b->n_places];
    struct cria_error error = {0};
    p->has_ended = false;
    p->json = buffer_make(MAX_JSON_BYTES);
    cria_status status = read_line(b, &b->lines, &p->prompt, &error);
    if (status == CRIA_OK) {
        struct engine_request request = cmd_request_make(b->settings, b->m, &p->prompt, b->context);
        request.digest = true;
        request.on_event = note_end;
        request.arg = p;
        status = engine_submit(b->m->eng, &request, &p->request, &error);
    }
    if (status == CRIA_OK) {
        p->state = PLACE_RUNNING;
        b->n_running++;
    } else if (is_of_line(status)) {
        finish_error(b, p, &error, b->lines.number);
    } else {
        if (err) *err = error;
        return status;
    }
    b->i_start++;
    b->has_line = cmd_lines_next(&b->lines);
    return CRIA_OK;
}

/* Hands the arrays of a scored prompt over; the prompt's ids move too. */
static void result_to_score(struct engine_result *r, struct token_list *prompt, int n_top, struct cmd_score *ret) {
    *ret = (struct cmd_score){
        .tokens = *prompt, .logprobs = r->logprobs, .top = r->top, .n_top = n_top, .seconds = r->prefill_s};
    memcpy(ret->sha256, r->digest, sizeof ret->sha256);
    *prompt = (struct token_list){0};
    r->logprobs = NULL;
    r->top = NULL;
}

static cria_status finish_place(struct batch *b, struct place *p, struct cria_error *err) {
    struct engine_result result = {0};
    json_writer w = json_writer_make(&p->json);
    const cria_status status = engine_take(b->m->eng, p->request, &result, err);
    if (status != CRIA_OK) return status;
    if (b->settings->is_scoring) {
        struct cmd_score score;
        result_to_score(&result, &p->prompt, b->settings->n_top, &score);
        cmd_score_json(&w, &score);
        cmd_score_free(&score);
    } else {
        cmd_result_json(&w, &p->prompt, &result, b->settings->n_top);
    }
    engine_result_free(&result);
    p->state = PLACE_DONE;
    b->n_running--;
    return buffer_status(&p->json, "a line's result", err);
}

static void clear_place(struct place *p) {
    token_list_free(&p->prompt);
    buffer_free(&p->json);
    p->state = PLACE_FREE;
}

/* Writes every result whose turn has come. */
static cria_status write_ready(struct batch *b, struct cria_error *err) {
    cria_status status = CRIA_OK;
    for (; b->i_write < b->i_start; b->i_write++) {
        struct place *p = &b->places[b->i_write % b->n_places];
        if (p->state != PLACE_DONE) break;
        buffer_append_char(&p->json, '\n');
        TRY(buffer_status(&p->json, "a line's result", err));
        TRY(cmd_resume_write(&b->out, buffer_text(&p->json), p->json.n_bytes, err));
        clear_place(p);
    }
    TRY(cmd_resume_flush(&b->out, err));
    progress_update(b->bar, (uint64_t)b->i_write);
out:
    return status;
}

static cria_status run_lines(struct batch *b, struct cria_error *err) {
    cria_status status = CRIA_OK;
    while (b->has_line || b->n_running) {
        while (b->has_line && b->n_running < b->max_running && b->i_start - b->i_write < b->n_places)
            TRY(start_line(b, err));
        bool is_busy = false;
        if (b->n_running) TRY(engine_step(b->m->eng, &is_busy, err));
        for (int64_t i = b->i_write; i < b->i_start; i++) {
            struct place *p = &b->places[i % b->n_places];
            if (p->state == PLACE_RUNNING && p->has_ended) TRY(finish_place(b, p, err));
        }
        TRY(write_ready(b, err));
    }
out:
    return status;
}

/* Steps over the lines whose results an earlier run wrote. */
static cria_status skip_done(struct batch *b, struct cria_error *err) {
    const int64_t n_lines = cmd_lines_count(b->lines);
    if (b->out.n_lines > n_lines)
        return ERROR_SET(err, CRIA_RANGE,
                         "%s has %lld lines and the input only %lld: it is the result of something else", b->out.path,
                         (long long)b->out.n_lines, (long long)n_lines);
    b->has_line = cmd_lines_next(&b->lines);
    for (int64_t i = 0; i < b->out.n_lines; i++) b->has_line = cmd_lines_next(&b->lines);
    b->i_start = b->i_write = b->out.n_lines;
    b->n_failed = b->out.n_failed;
    if (!conf_flag(b->c, CONF_QUIET)) b->bar = progress_start("lines", (uint64_t)n_lines, PROGRESS_ITEMS);
    return CRIA_OK;
}

/* A run goes on behind the last line of its output, so one that reads and writes the same file would destroy it. */
static cria_status check_output(const struct conf *c, struct cria_error *err) {
    const char *output = conf_text(c, CONF_OUTPUT), *input = conf_text(c, CONF_JSONL);
    struct stat to, from;
    if (!output || stat(output, &to) != 0) return CRIA_OK;
    const int failed = strcmp(input, "-") == 0 ? fstat(STDIN_FILENO, &from) : stat(input, &from);
    if (failed || to.st_dev != from.st_dev || to.st_ino != from.st_ino) return CRIA_OK;
    return ERROR_SET(err, CRIA_USAGE, "--output %s is the file that --jsonl reads; name another one", output);
}

static cria_status prepare(struct batch *b, struct cria_error *err) {
    cria_status status;
    TRY(check_output(b->c, err));
    b->max_running = (int)conf_int(b->c, CONF_BATCH);
    b->n_places = b->max_running * PLACES_A_LINE > MIN_PLACES ? b->max_running * PLACES_A_LINE : MIN_PLACES;
    b->places = alloc_zeroed((size_t)b->n_places, sizeof *b->places);
    if (!b->places) TRY(ERROR_NOMEM(err, (size_t)b->n_places * sizeof *b->places, "the batch"));
    TRY(cmd_resume_open(&b->out, conf_text(b->c, CONF_OUTPUT), err));
    TRY(skip_done(b, err));
    if (!b->has_line) return CRIA_OK;
    const struct engine_options options = {.max_batch = b->max_running,
                                           .max_context = longest_need(b),
                                           .prefix_cache = true,
                                           .all_logits = b->settings->is_scoring};
    TRY(cmd_model_load(b->m, b->c, err));
    TRY(cmd_model_engine(b->m, b->c, options, err));
out:
    return status;
}

cria_status cmd_batch(const struct conf *c, struct cmd_model *m, const struct cmd_settings *settings, int64_t context,
                      struct cria_error *err) {
    struct batch b = {.c = c, .m = m, .settings = settings, .context = context};
    char *text = NULL;
    size_t n = 0;
    cria_status status;
    TRY(cmd_read(conf_text(c, CONF_JSONL), &text, &n, err));
    b.lines = (struct cmd_lines){.text = text, .n = n};
    TRY(prepare(&b, err));
    TRY(run_lines(&b, err));
    TRY(cmd_resume_close(&b.out, err));
    if (b.n_failed)
        status = ERROR_SET(err, CRIA_FORMAT, "%lld of %lld lines failed; each says why in its `error`",
                           (long long)b.n_failed, (long long)b.i_write);
out:
    progress_finish(&b.bar);
    engine_destroy(&m->eng); /* before the prompts that it may still borrow */
    for (int i = 0; b.places && i < b.n_places; i++) clear_place(&b.places[i]);
    alloc_free(b.places);
    if (b.out.is_open && cmd_resume_close(&b.out, NULL) != CRIA_OK && status == CRIA_OK) status = CRIA_IO;
    alloc_free(text);
    return status;
}
