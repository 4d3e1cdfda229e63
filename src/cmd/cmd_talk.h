/* cmd_talk.h: a chat in progress: the dialogue, the model that answers it, and how an answer is shown, stopped and
 * kept.
 *
 * Nothing is dropped silently: a message that does not fit, or an answer that fills the context, is said, with what to
 * do. After a failure the dialogue is as it was before the message. */
#ifndef CMD_CMD_TALK_H
#define CMD_CMD_TALK_H

#include "cmd/cmd_request.h"

struct cmd_talk {
    struct cmd_model *m;          /* borrowed */
    struct cmd_settings settings; /* owned */
    dialogue *d;                  /* owned */
    int64_t context;
    uint64_t seed; /* of the next answer */
};

CRIA_MUST_CHECK cria_status cmd_talk_init(struct cmd_talk *ret, const struct conf *c, struct cmd_model *m,
                                          struct cria_error *err);
void cmd_talk_deinit(struct cmd_talk *t);

/* The dialogue of a file that /save wrote, in place of this one. */
CRIA_MUST_CHECK cria_status cmd_talk_load(struct cmd_talk *t, const char *path, struct cria_error *err);
/* Adds the user's message and answers it. */
CRIA_MUST_CHECK cria_status cmd_talk_say(struct cmd_talk *t, const char *text, size_t n, struct cria_error *err);
/* Answers the dialogue as it stands: its last message is the user's. */
CRIA_MUST_CHECK cria_status cmd_talk_answer(struct cmd_talk *t, struct cria_error *err);
/* The place of the last message of the user; -1 where there is none. */
int64_t cmd_talk_last_user(const struct cmd_talk *t);
/* A dialogue with this system message (n = 0: none) and the messages of the old one behind its own. UNSUPPORTED where a
 * message has more than text. */
CRIA_MUST_CHECK cria_status cmd_talk_set_system(struct cmd_talk *t, const char *text, size_t n, struct cria_error *err);
/* Lets the model summarise the dialogue, in as many pieces as the context demands; the text is the caller's to use. */
CRIA_MUST_CHECK cria_status cmd_talk_summarise(struct cmd_talk *t, struct buffer *summary, struct cria_error *err);
/* Replaces the messages behind the system message by the summary. */
CRIA_MUST_CHECK cria_status cmd_talk_replace(struct cmd_talk *t, const struct buffer *summary, struct cria_error *err);

#endif
