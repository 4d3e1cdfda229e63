/* cmd_slash.c: see cmd_slash.h. */
#include "cmd/cmd_slash.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "cmd/cmd_io.h"

enum { MAX_CHAT_BYTES = 1 << 28 };

struct slash {
    struct cmd_talk *t;
    cmd_line *l;
    const char *argument; /* behind the name, without leading blanks; "" for none */
    bool is_end;
};

typedef cria_status slash_fn(struct slash *s, struct cria_error *err);

static slash_fn slash_compact, slash_edit, slash_help, slash_load, slash_new, slash_quit, slash_regen, slash_save,
    slash_system;

static const struct {
    const char *name, *argument, *help;
    slash_fn *run;
} rows[] = {
    {"help", "", "this list", slash_help},
    {"system", "[TEXT]", "show the system message, or set it: who the model is to be", slash_system},
    {"regen", "", "answer the last message anew", slash_regen},
    {"edit", "[TEXT]", "change your last message and answer it; without TEXT it is put on the line", slash_edit},
    {"compact", "", "let the model summarise the dialogue, and go on from the summary", slash_compact},
    {"new", "", "begin anew; the system message stays", slash_new},
    {"save", "FILE", "write the dialogue as JSON", slash_save},
    {"load", "FILE", "go on with a dialogue that /save wrote", slash_load},
    {"quit", "", "end the chat; Ctrl-D does the same", slash_quit},
};

bool cmd_slash_is(const char *message) { return message[0] == '/' && message[1] != '/'; }

static cria_status slash_help(struct slash *s, struct cria_error *err) {
    cria_status status = CRIA_OK;
    (void)s;
    for (size_t i = 0; i < sizeof rows / sizeof *rows && status == CRIA_OK; i++) {
        char left[32];
        snprintf(left, sizeof left, "/%s %s", rows[i].name, rows[i].argument);
        status = cmd_print(err, "  %-16s %s\n", left, rows[i].help);
    }
    if (status != CRIA_OK) return status;
    return cmd_print(
        err,
        "  Ctrl-C stops an answer. A line that ends with \\ goes on in the next; \"\"\" begins and ends a block.\n"
        "  A message that begins with a slash is written with two.\n");
}

static cria_status slash_system(struct slash *s, struct cria_error *err) {
    size_t n = 0;
    const bool has_one = dialogue_messages(s->t->d) && strcmp(dialogue_role(s->t->d, 0), "system") == 0;
    if (*s->argument) {
        const cria_status status = cmd_talk_set_system(s->t, s->argument, strlen(s->argument), err);
        return status == CRIA_OK ? cmd_print(err, "(the system message is set)\n") : status;
    }
    const char *text =
        has_one ? dialogue_content(s->t->d, 0, &n) : "(none of yours; the model's template may have one)";
    cria_status status = cmd_write_shown(text, has_one ? n : strlen(text), err);
    return status == CRIA_OK ? cmd_write("\n", 1, err) : status;
}

/* Cuts the dialogue to n messages and answers it: with a new message of the user where there is a text. On failure the
 * old dialogue comes back. */
static cria_status answer_anew(struct cmd_talk *t, size_t n, const char *text, struct cria_error *err) {
    struct buffer saved = buffer_make(MAX_CHAT_BYTES);
    dialogue *old = NULL;
    cria_status status;
    TRY(dialogue_to_json(t->d, &saved, err));
    TRY(buffer_status(&saved, "the dialogue", err));
    TRY(dialogue_from_json(&old, buffer_text(&saved), saved.n_bytes, err));
    dialogue_cut(t->d, n);
    status = text ? cmd_talk_say(t, text, strlen(text), err) : cmd_talk_answer(t, err);
    if (status != CRIA_OK) {
        dialogue_destroy(&t->d);
        t->d = old;
        old = NULL;
    }
out:
    dialogue_destroy(&old);
    buffer_free(&saved);
    return status;
}

static cria_status slash_regen(struct slash *s, struct cria_error *err) {
    const int64_t last = cmd_talk_last_user(s->t);
    if (last < 0) return ERROR_SET(err, CRIA_USAGE, "there is no message to answer");
    return answer_anew(s->t, (size_t)last + 1, NULL, err);
}

static cria_status slash_edit(struct slash *s, struct cria_error *err) {
    const int64_t last = cmd_talk_last_user(s->t);
    if (last < 0) return ERROR_SET(err, CRIA_USAGE, "there is no message to change");
    if (*s->argument) return answer_anew(s->t, (size_t)last, s->argument, err);
    size_t n = 0;
    const char *text = dialogue_content(s->t->d, (size_t)last, &n);
    if (!cmd_line_is_terminal()) return ERROR_SET(err, CRIA_USAGE, "/edit TEXT: the text is missing");
    if (memchr(text, '\n', n))
        return ERROR_SET(err, CRIA_USAGE, "the message has several lines: write it anew, /edit \"\"\" begins a block");
    char *line = alloc_array(n + sizeof "/edit ", 1);
    if (!line) return ERROR_NOMEM(err, n, "a message");
    snprintf(line, n + sizeof "/edit ", "/edit %.*s", (int)n, text);
    cmd_line_prefill(s->l, line);
    alloc_free(line);
    return CRIA_OK;
}

/* Yes where nobody sits there to be asked. */
static cria_status ask(cmd_line *l, const char *question, bool *ret, struct cria_error *err) {
    struct buffer answer = {0};
    enum cmd_line_kind kind = CMD_LINE_TEXT;
    if (!cmd_line_is_terminal()) {
        *ret = true;
        return CRIA_OK;
    }
    const cria_status status = cmd_line_read(l, question, &answer, &kind, err);
    if (status == CRIA_OK)
        *ret = kind == CMD_LINE_TEXT && (buffer_text(&answer)[0] == 'y' || buffer_text(&answer)[0] == 'Y');
    buffer_free(&answer);
    return status;
}

static cria_status slash_compact(struct slash *s, struct cria_error *err) {
    struct buffer summary = {0};
    bool is_wanted = false;
    cria_status status;
    if (cmd_talk_last_user(s->t) < 0) return ERROR_SET(err, CRIA_USAGE, "there is nothing to summarise");
    TRY(cmd_talk_summarise(s->t, &summary, err));
    TRY(cmd_write_shown(buffer_text(&summary), summary.n_bytes, err));
    TRY(cmd_write("\n", 1, err));
    TRY(cmd_flush(err));
    TRY(ask(s->l, "go on from this summary? [y/N] ", &is_wanted, err));
    if (is_wanted) TRY(cmd_talk_replace(s->t, &summary, err));
    TRY(cmd_print(err, is_wanted ? "(the dialogue is now this summary)\n" : "(the dialogue is as it was)\n"));
out:
    buffer_free(&summary);
    return status;
}

static cria_status slash_new(struct slash *s, struct cria_error *err) {
    const bool has_system = dialogue_messages(s->t->d) && strcmp(dialogue_role(s->t->d, 0), "system") == 0;
    dialogue_cut(s->t->d, has_system);
    return cmd_print(err, "(a new dialogue)\n");
}

static cria_status slash_save(struct slash *s, struct cria_error *err) {
    struct buffer json = buffer_make(MAX_CHAT_BYTES);
    cria_status status;
    if (!*s->argument) TRY(ERROR_SET(err, CRIA_USAGE, "/save FILE: the file is missing"));
    TRY(cmd_check_target(s->argument, err));
    TRY(dialogue_to_json(s->t->d, &json, err));
    buffer_append_char(&json, '\n');
    TRY(buffer_status(&json, "the dialogue", err));
    TRY(file_write_atomic(s->argument, buffer_text(&json), json.n_bytes, err));
    TRY(cmd_print(err, "(%zu messages written to %s)\n", dialogue_messages(s->t->d), s->argument));
out:
    buffer_free(&json);
    return status;
}

static cria_status slash_load(struct slash *s, struct cria_error *err) {
    if (!*s->argument) return ERROR_SET(err, CRIA_USAGE, "/load FILE: the file is missing");
    const cria_status status = cmd_talk_load(s->t, s->argument, err);
    return status == CRIA_OK ? cmd_print(err, "(%zu messages)\n", dialogue_messages(s->t->d)) : status;
}

static cria_status slash_quit(struct slash *s, struct cria_error *err) {
    (void)err;
    s->is_end = true;
    return CRIA_OK;
}

cria_status cmd_slash_run(struct cmd_talk *t, cmd_line *l, const char *message, bool *ret_end, struct cria_error *err) {
    const size_t n_name = strcspn(message + 1, " \n");
    const char *argument = message + 1 + n_name;
    struct slash s = {.t = t, .l = l, .argument = argument + strspn(argument, " ")};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strlen(rows[i].name) != n_name || memcmp(rows[i].name, message + 1, n_name) != 0) continue;
        const cria_status status = rows[i].run(&s, err);
        *ret_end = s.is_end;
        return status;
    }
    return ERROR_SET(err, CRIA_USAGE, "unknown command /%.*s; /help lists them, and // begins a message with a slash",
                     (int)n_name, message + 1);
}
