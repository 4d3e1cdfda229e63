/* cmd_chat.c: the terminal chat: opens the model, then message by message until the end. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/file.h"
#include "cmd/cmd.h"
#include "cmd/cmd_io.h"
#include "cmd/cmd_line.h"
#include "cmd/cmd_slash.h"
#include "cmd/cmd_talk.h"
#include "hub/hub.h"

/* A context of more would book memory that few chats need; --context asks for it. */
enum { DEFAULT_CONTEXT = 8192 };

static cria_status open_model(struct cmd_model *m, const struct conf *c, struct cria_error *err) {
    const cria_status status = cmd_model_open(m, c, false, err);
    if (status == CRIA_NOTFOUND && !conf_is_set(c, CONF_MODEL))
        return ERROR_SET(err, status,
                         "the model %s is not on this machine: cria pull %s gets it, -m MODEL takes another one",
                         conf_text(c, CONF_MODEL), conf_text(c, CONF_MODEL));
    return status;
}

/* Everything up to the first message. */
static cria_status open_talk(struct cmd_talk *t, struct cmd_model *m, const struct conf *c, struct cria_error *err) {
    int64_t context = 0;
    cria_status status;
    TRY(open_model(m, c, err));
    TRY(cmd_model_need_tokenizer(m, err));
    TRY(cmd_model_template(m, c, err));
    TRY(cmd_model_context(m, c, &context, err));
    if (!conf_is_set(c, CONF_CONTEXT) && context > DEFAULT_CONTEXT) context = DEFAULT_CONTEXT;
    TRY(cmd_model_load(m, c, err));
    TRY(cmd_model_engine(m, c, (struct engine_options){.max_context = context, .prefix_cache = true}, err));
    TRY(cmd_talk_init(t, c, m, err));
    t->context = context;
    if (!conf_is_set(c, CONF_SEED)) t->seed = (uint64_t)time(NULL);
    if (conf_is_set(c, CONF_LOAD)) TRY(cmd_talk_load(t, conf_text(c, CONF_LOAD), err));
out:
    return status;
}

static cria_status greet(const struct cmd_talk *t, const struct conf *c, struct cria_error *err) {
    const struct arch_config *config = model_files_config(t->m->files);
    if (!cmd_line_is_terminal() || conf_flag(c, CONF_QUIET)) return CRIA_OK;
    cria_status status = cmd_print(err, "%s, context %lld", *config->name ? config->name : conf_text(c, CONF_MODEL),
                                   (long long)t->context);
    if (status == CRIA_OK && t->context < config->n_context)
        status = cmd_print(err, " of %lld", (long long)config->n_context);
    if (status == CRIA_OK) status = cmd_print(err, " tokens. /help lists the commands, Ctrl-D ends.\n");
    return status == CRIA_OK ? cmd_flush(err) : status;
}

/* The history lies beside the models; NULL where there is no such folder: a chat without history is still a chat. */
static char *history_path(void) {
    char *folder = NULL, *path = NULL;
    if (hub_folder(&folder, NULL) == CRIA_OK && file_make_folder(folder, NULL) == CRIA_OK)
        path = file_join(folder, "chat_history");
    alloc_free(folder);
    return path;
}

static cria_status take_message(struct cmd_talk *t, cmd_line *l, const struct buffer *message, bool *ret_end,
                                struct cria_error *err) {
    const char *text = buffer_text(message);
    if (!message->n_bytes) return CRIA_OK;
    if (cmd_slash_is(text)) return cmd_slash_run(t, l, text, ret_end, err);
    const size_t skip = text[0] == '/';
    return cmd_talk_say(t, text + skip, message->n_bytes - skip, err);
}

/* What ends a chat: a broken output. Other failures are said, and the person goes on; input that nobody types ends at
 * the first. */
static bool is_fatal(cria_status status) { return status != CRIA_OK && (!cmd_line_is_terminal() || ferror(stdout)); }

static cria_status converse(struct cmd_talk *t, cmd_line *l, struct cria_error *err) {
    struct buffer message = {0};
    enum cmd_line_kind kind = CMD_LINE_TEXT;
    bool is_end = false;
    cria_status status = CRIA_OK;
    while (!is_end) {
        struct cria_error error = {0};
        TRY(cmd_line_read(l, "> ", &message, &kind, err));
        if (kind == CMD_LINE_END) break;
        if (kind == CMD_LINE_INTERRUPTED) {
            TRY(cmd_print(err, "(Ctrl-D ends the chat)\n"));
            continue;
        }
        status = take_message(t, l, &message, &is_end, &error);
        if (is_fatal(status)) {
            if (err) *err = error;
            goto out;
        }
        if (status != CRIA_OK) fprintf(stderr, "cria: %s\n", error.text);
        TRY(cmd_flush(err));
    }
    if (kind == CMD_LINE_END && cmd_line_is_terminal()) TRY(cmd_print(err, "\n"));
    status = CRIA_OK;
out:
    buffer_free(&message);
    return status;
}

cria_status cmd_chat(const struct conf *c, struct cria_error *err) {
    const char *once = conf_text(c, CONF_PROMPT);
    struct cmd_model m = {0};
    struct cmd_talk t = {0};
    cmd_line *l = NULL;
    char *history = NULL;
    cria_status status;
    TRY(open_talk(&t, &m, c, err));
    if (once) {
        TRY(cmd_talk_say(&t, once, strlen(once), err));
        goto out;
    }
    if (cmd_line_is_terminal()) {
        cmd_line_catch();
        history = history_path();
    }
    TRY(greet(&t, c, err));
    TRY(cmd_line_open(&l, history, err));
    TRY(converse(&t, l, err));
out:
    cmd_line_close(&l);
    alloc_free(history);
    cmd_talk_deinit(&t);
    cmd_model_close(&m);
    return status;
}
