/* cmd_talk.c: see cmd_talk.h. */
#include "cmd/cmd_talk.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "cmd/cmd_io.h"
#include "cmd/cmd_line.h"

enum {
    SUMMARY_TOKENS = 400, /* the longest summary */
    SUMMARY_SHARE = 6,    /* and at most this part of the context: it stands beside the next piece */
    MIN_PIECE_BYTES = 32,
    MAX_SUMMARY_BYTES = 1 << 16,
    MAX_CHAT_BYTES = 1 << 28,
};

/* An answer being shown. */
struct show {
    cria_status status;
    struct cria_error error;
};

cria_status cmd_talk_init(struct cmd_talk *ret, const struct conf *c, struct cmd_model *m, struct cria_error *err) {
    struct cmd_talk t = {.m = m};
    const char *system = conf_text(c, CONF_SYSTEM);
    cria_status status;
    TRY(cmd_settings_init(&t.settings, c, m, err));
    t.seed = t.settings.sampling.seed;
    TRY(dialogue_create(&t.d, err));
    if (system) TRY(dialogue_add(t.d, "system", system, strlen(system), err));
    *ret = t;
    return CRIA_OK;
out:
    cmd_talk_deinit(&t);
    return status;
}

void cmd_talk_deinit(struct cmd_talk *t) {
    dialogue_destroy(&t->d);
    cmd_settings_deinit(&t->settings);
    *t = (struct cmd_talk){0};
}

static int show_text(void *arg, const struct engine_event *event) {
    struct show *s = arg;
    if (cmd_line_interrupted) return 1;
    if (!event->n_text) return 0;
    s->status = cmd_write_shown(event->text, event->n_text, &s->error);
    if (s->status == CRIA_OK) s->status = cmd_flush(&s->error);
    return s->status != CRIA_OK;
}

/* Like engine_run(), but Ctrl-C stops it between two steps too, while a long prompt is read. */
static cria_status run_request(engine *e, const struct engine_request *request, struct engine_result *ret,
                               struct cria_error *err) {
    int number = 0;
    bool is_busy = true;
    cria_status status = engine_submit(e, request, &number, err);
    while (status == CRIA_OK && is_busy) {
        if (cmd_line_interrupted) engine_cancel(e, number);
        status = engine_step(e, &is_busy, err);
    }
    if (status == CRIA_OK) status = engine_take(e, number, ret, err);
    return status;
}

/* The dialogue's answer; `shown` NULL: not on the screen. LIMIT where the context has no room for one. */
static cria_status answer_dialogue(struct cmd_talk *t, const dialogue *d, int64_t max_tokens, struct show *shown,
                                   struct engine_result *ret, struct cria_error *err) {
    struct token_list prompt = {0};
    cria_status status;
    TRY(dialogue_encode(d, t->m->tmpl, t->m->tok, &prompt, err));
    const int64_t room = t->context - (int64_t)prompt.n;
    if (room < 1)
        TRY(ERROR_SET(
            err, CRIA_LIMIT,
            "the dialogue is %zu tokens long and the context holds %lld; /compact shortens it, /new begins anew",
            prompt.n, (long long)t->context));
    struct engine_request request = cmd_request_make(&t->settings, t->m, &prompt, t->context);
    request.max_tokens = max_tokens && max_tokens < room ? max_tokens : room;
    request.sampling.seed = t->seed;
    if (!shown) request.sampling.temperature = 0; /* a summary should hold to what was said */
    request.on_event = shown ? show_text : NULL;
    request.arg = shown;
    TRY(run_request(t->m->eng, &request, ret, err));
    /* An answer that used all the room, and was not held to fewer tokens, ended because the context is full. */
    if (ret->finish == FINISH_LENGTH && request.max_tokens == room) ret->finish = FINISH_CONTEXT;
out:
    token_list_free(&prompt);
    return status;
}

cria_status cmd_talk_answer(struct cmd_talk *t, struct cria_error *err) {
    struct engine_result result = {0};
    struct show shown = {0};
    cria_status status;
    cmd_line_interrupted = 0;
    TRY(answer_dialogue(t, t->d, t->settings.max_tokens, &shown, &result, err));
    if (shown.status != CRIA_OK && err) *err = shown.error;
    TRY(shown.status);
    t->seed++;
    TRY(cmd_write("\n", 1, err));
    if (result.finish == FINISH_CANCELLED) TRY(cmd_print(err, "(stopped)\n"));
    if (result.finish == FINISH_CONTEXT)
        TRY(cmd_print(err,
                      "(the context of %lld tokens is full, so the answer ends here; /compact shortens the dialogue, "
                      "/new begins anew)\n",
                      (long long)t->context));
    TRY(cmd_flush(err));
    cmd_line_interrupted = 0;
    if (!result.n_text && result.finish == FINISH_CANCELLED)
        TRY(ERROR_SET(err, CRIA_CANCELLED, "stopped before the first word; the message was taken back"));
    TRY(dialogue_add(t->d, "assistant", result.text, result.n_text, err));
out:
    engine_result_free(&result);
    return status;
}

cria_status cmd_talk_say(struct cmd_talk *t, const char *text, size_t n, struct cria_error *err) {
    const size_t n_before = dialogue_messages(t->d);
    cria_status status = dialogue_add(t->d, "user", text, n, err);
    if (status == CRIA_OK) status = cmd_talk_answer(t, err);
    if (status != CRIA_OK) dialogue_cut(t->d, n_before);
    return status;
}

int64_t cmd_talk_last_user(const struct cmd_talk *t) {
    for (size_t i = dialogue_messages(t->d); i-- > 0;)
        if (strcmp(dialogue_role(t->d, i), "user") == 0) return (int64_t)i;
    return -1;
}

static bool has_system(const dialogue *d) { return dialogue_messages(d) && strcmp(dialogue_role(d, 0), "system") == 0; }

/* Whether a message is wholly its role and its text. */
static bool is_plain(const dialogue *d, size_t i) {
    const char *role = dialogue_role(d, i);
    size_t n = 0;
    dialogue_content(d, i, &n);
    return n && (strcmp(role, "system") == 0 || strcmp(role, "user") == 0 || strcmp(role, "assistant") == 0);
}

static cria_status copy_messages(dialogue *to, const dialogue *from, size_t begin, size_t end, struct cria_error *err) {
    cria_status status = CRIA_OK;
    for (size_t i = begin; i < end && status == CRIA_OK; i++) {
        size_t n = 0;
        const char *text = dialogue_content(from, i, &n);
        if (!is_plain(from, i))
            return ERROR_SET(err, CRIA_UNSUPPORTED, "message %zu (%s) has more than text and cannot be carried over",
                             i + 1, dialogue_role(from, i));
        status = dialogue_add(to, dialogue_role(from, i), text, n, err);
    }
    return status;
}

static void take_dialogue(struct cmd_talk *t, dialogue **d) {
    dialogue_destroy(&t->d);
    t->d = *d;
    *d = NULL;
}

cria_status cmd_talk_set_system(struct cmd_talk *t, const char *text, size_t n, struct cria_error *err) {
    dialogue *d = NULL;
    cria_status status;
    TRY(dialogue_create(&d, err));
    if (n) TRY(dialogue_add(d, "system", text, n, err));
    TRY(copy_messages(d, t->d, has_system(t->d), dialogue_messages(t->d), err));
    take_dialogue(t, &d);
out:
    dialogue_destroy(&d);
    return status;
}

cria_status cmd_talk_load(struct cmd_talk *t, const char *path, struct cria_error *err) {
    dialogue *d = NULL;
    char *text = NULL;
    size_t n = 0;
    cria_status status = file_read(path, MAX_CHAT_BYTES, &text, &n, err);
    if (status != CRIA_OK) return status;
    status = dialogue_from_json(&d, text, n, err);
    if (status == CRIA_OK) take_dialogue(t, &d);
    else error_prefix(err, "%s", path);
    alloc_free(text);
    return status;
}

static const char summary_request[] =
    "Summarise this conversation in a few sentences. Keep every name, number, decision and open question.";

/* The messages behind the system message as one text. UNSUPPORTED where one has more than text. */
static cria_status write_transcript(const dialogue *d, struct buffer *out, struct cria_error *err) {
    for (size_t i = has_system(d); i < dialogue_messages(d); i++) {
        size_t n = 0;
        const char *text = dialogue_content(d, i, &n);
        if (!is_plain(d, i))
            return ERROR_SET(err, CRIA_UNSUPPORTED, "message %zu (%s) has more than text and cannot be summarised",
                             i + 1, dialogue_role(d, i));
        buffer_append_format(out, "%s: ", dialogue_role(d, i));
        buffer_append(out, text, n);
        buffer_append_text(out, "\n\n");
    }
    return buffer_status(out, "the dialogue", err);
}

/* A dialogue of one message: the request, the summary of what came before, and a piece of the transcript. */
static cria_status summary_dialogue(const struct buffer *before, const char *piece, size_t n, dialogue **ret,
                                    struct cria_error *err) {
    struct buffer text = buffer_make(MAX_CHAT_BYTES);
    dialogue *d = NULL;
    cria_status status;
    buffer_append_text(&text, summary_request);
    if (before->n_bytes) buffer_append_format(&text, "\n\nIts beginning, summarised: %s", buffer_text(before));
    buffer_append_text(&text, "\n\nThe conversation:\n\n");
    buffer_append(&text, piece, n);
    TRY(buffer_status(&text, "the dialogue", err));
    TRY(dialogue_create(&d, err));
    TRY(dialogue_add(d, "user", buffer_text(&text), text.n_bytes, err));
    *ret = d;
    d = NULL;
out:
    dialogue_destroy(&d);
    buffer_free(&text);
    return status;
}

static cria_status count_tokens(const struct cmd_talk *t, const dialogue *d, int64_t *ret, struct cria_error *err) {
    struct token_list ids = {0};
    const cria_status status = dialogue_encode(d, t->m->tmpl, t->m->tok, &ids, err);
    if (status == CRIA_OK) *ret = (int64_t)ids.n;
    token_list_free(&ids);
    return status;
}

/* The dialogue for as much of the text as fits `room` tokens, cut between characters; *n is how much it was. */
static cria_status largest_piece(const struct cmd_talk *t, const struct buffer *before, const char *text, size_t *n,
                                 int64_t room, dialogue **ret, struct cria_error *err) {
    size_t n_piece = *n;
    while (n_piece >= MIN_PIECE_BYTES || n_piece == *n) {
        dialogue *d = NULL;
        int64_t n_tokens = 0;
        cria_status status = summary_dialogue(before, text, n_piece, &d, err);
        if (status == CRIA_OK) status = count_tokens(t, d, &n_tokens, err);
        if (status == CRIA_OK && n_tokens <= room) {
            *ret = d;
            *n = n_piece;
            return CRIA_OK;
        }
        dialogue_destroy(&d);
        if (status != CRIA_OK) return status;
        n_piece = n_piece / 4 * 3;
        while (n_piece && ((unsigned char)text[n_piece] & 0xc0) == 0x80) n_piece--;
    }
    return ERROR_SET(err, CRIA_LIMIT, "a context of %lld tokens is too short to summarise anything; /new begins anew",
                     (long long)t->context);
}

/* One round: the summary so far and the next piece of the transcript become the new summary. */
static cria_status summarise_piece(struct cmd_talk *t, struct buffer *summary, const char *text, size_t *n,
                                   struct cria_error *err) {
    const int64_t share = t->context / SUMMARY_SHARE, most = share < SUMMARY_TOKENS ? share : SUMMARY_TOKENS;
    struct engine_result result = {0};
    dialogue *d = NULL;
    cria_status status;
    TRY(largest_piece(t, summary, text, n, t->context - most, &d, err));
    TRY(answer_dialogue(t, d, most, NULL, &result, err));
    if (result.finish == FINISH_CANCELLED) TRY(ERROR_SET(err, CRIA_CANCELLED, "stopped; the dialogue is as it was"));
    if (!result.n_text) TRY(ERROR_SET(err, CRIA_RANGE, "the model gave an empty summary; the dialogue is as it was"));
    buffer_cut(summary, 0);
    buffer_append(summary, result.text, result.n_text);
    TRY(buffer_status(summary, "the summary", err));
out:
    engine_result_free(&result);
    dialogue_destroy(&d);
    return status;
}

cria_status cmd_talk_summarise(struct cmd_talk *t, struct buffer *summary, struct cria_error *err) {
    struct buffer transcript = buffer_make(MAX_CHAT_BYTES);
    cria_status status;
    *summary = buffer_make(MAX_SUMMARY_BYTES);
    cmd_line_interrupted = 0;
    TRY(write_transcript(t->d, &transcript, err));
    for (size_t at = 0; at < transcript.n_bytes;) {
        size_t n = transcript.n_bytes - at;
        TRY(summarise_piece(t, summary, transcript.data + at, &n, err));
        at += n;
    }
out:
    cmd_line_interrupted = 0;
    buffer_free(&transcript);
    if (status != CRIA_OK) buffer_free(summary);
    return status;
}

cria_status cmd_talk_replace(struct cmd_talk *t, const struct buffer *summary, struct cria_error *err) {
    dialogue *d = NULL;
    cria_status status;
    TRY(dialogue_create(&d, err));
    TRY(copy_messages(d, t->d, 0, has_system(t->d), err));
    TRY(dialogue_add(d, "user", "What did we talk about so far?", 30, err));
    TRY(dialogue_add(d, "assistant", buffer_text(summary), summary->n_bytes, err));
    take_dialogue(t, &d);
out:
    dialogue_destroy(&d);
    return status;
}
