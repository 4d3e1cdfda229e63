/* cmd_line.c: see cmd_line.h. libedit edits; its own signal handling stays off, and characters come through
 * read_char(), so that Ctrl-C always ends the line and nothing else. */
#include "cmd/cmd_line.h"

#include <errno.h>
#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/select.h>
#include <unistd.h>
#include <wchar.h>

#include "base/alloc.h"

enum { HISTORY_LINES = 1000, MAX_MESSAGE_BYTES = 1 << 24 };

struct cmd_line {
    EditLine *edit;           /* owned; NULL without a terminal */
    History *history;         /* owned; NULL without a terminal */
    const char *history_path; /* borrowed */
    int n_entered;            /* lines that this chat added to the history */
    const char *prompt;       /* of the line being read; borrowed */
    mbstate_t decoder;
};

volatile sig_atomic_t cmd_line_interrupted;
static volatile sig_atomic_t is_ended; /* the terminal was closed, or somebody asked the program to end */

static void note_interrupt(int signal_number) {
    if (signal_number != SIGINT) is_ended = 1;
    cmd_line_interrupted = 1;
}

/* The last two end the chat as Ctrl-D does, so that its history is saved and the terminal is left as it was. */
static const int caught[] = {SIGINT, SIGTERM, SIGHUP};

void cmd_line_catch(void) {
    /* No SA_RESTART: a read that waits for a key has to end. */
    struct sigaction action = {.sa_handler = note_interrupt};
    for (size_t i = 0; i < sizeof caught / sizeof *caught; i++) sigaction(caught[i], &action, NULL);
}

bool cmd_line_is_terminal(void) { return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO); }

static char *show_prompt(EditLine *edit) {
    static char text[64];
    struct cmd_line *l = NULL;
    el_get(edit, EL_CLIENTDATA, &l);
    snprintf(text, sizeof text, "%s", l->prompt);
    return text;
}

/* Waits until a key can be read: 1; or until a signal came: 0; -1 where the input is broken. Signals are let in
 * only inside the wait, so that none falls between the look at the flag and the wait. */
static int wait_for_key(void) {
    sigset_t blocked, before;
    fd_set input;
    FD_ZERO(&input);
    FD_SET(STDIN_FILENO, &input);
    sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof caught / sizeof *caught; i++) sigaddset(&blocked, caught[i]);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    const int n = cmd_line_interrupted ? 0 : pselect(STDIN_FILENO + 1, &input, NULL, NULL, NULL, &before);
    const bool is_signal = n < 0 && errno == EINTR;
    sigprocmask(SIG_SETMASK, &before, NULL);
    return is_signal ? 0 : n;
}

/* One character from the terminal: 1, 0 at the end of the input, -1 where Ctrl-C or an error came between. */
static int read_char(EditLine *edit, wchar_t *ret) {
    struct cmd_line *l = NULL;
    el_get(edit, EL_CLIENTDATA, &l);
    while (!cmd_line_interrupted) {
        const int n_ready = wait_for_key();
        if (n_ready < 0) return -1;
        if (n_ready == 0) continue;
        char byte;
        const ssize_t n = read(STDIN_FILENO, &byte, 1);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return (int)n;
        /* Ctrl-D typed while the terminal was not yet the editor's: the system hands it over as a zero byte. */
        if (byte == '\0') byte = '\x04';
        const size_t status = mbrtowc(ret, &byte, 1, &l->decoder);
        if (status == (size_t)-1)
            memset(&l->decoder, 0, sizeof l->decoder); /* no character in this locale: not typed */
        if (status <= 1) return 1;
    }
    return -1;
}

static cria_status open_editor(struct cmd_line *l, struct cria_error *err) {
    HistEvent event;
    setlocale(LC_CTYPE, "");
    /* Where no language is set, as in most containers, the editor would drop every letter beyond ASCII. */
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0) setlocale(LC_CTYPE, "C.UTF-8");
    l->edit = el_init("cria", stdin, stdout, stderr);
    l->history = history_init();
    if (!l->edit || !l->history) return ERROR_SET(err, CRIA_INTERNAL, "the line editor does not start");
    history(l->history, &event, H_SETSIZE, HISTORY_LINES);
    history(l->history, &event, H_SETUNIQUE, 1);
    if (l->history_path) history(l->history, &event, H_LOAD, l->history_path);
    el_set(l->edit, EL_CLIENTDATA, l);
    el_set(l->edit, EL_EDITOR, "emacs");
    el_set(l->edit, EL_HIST, history, l->history);
    el_set(l->edit, EL_PROMPT, show_prompt);
    el_set(l->edit, EL_GETCFN, read_char);
    el_set(l->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_source(l->edit, NULL);
    return CRIA_OK;
}

cria_status cmd_line_open(cmd_line **ret, const char *history_path, struct cria_error *err) {
    struct cmd_line *l = ALLOC_NEW(struct cmd_line);
    if (!l) return ERROR_NOMEM(err, sizeof *l, "the line reader");
    l->history_path = history_path;
    if (cmd_line_is_terminal()) {
        const cria_status status = open_editor(l, err);
        if (status != CRIA_OK) {
            cmd_line_close(&l);
            return status;
        }
    }
    *ret = l;
    return CRIA_OK;
}

/* Adds the lines of this chat to the file as it is now: another chat may have written it since. The file is replaced
 * whole; without it, or without room for it, a chat is still a chat. */
static void save_history(struct cmd_line *l) {
    HistEvent event;
    History *file = history_init();
    const size_t n_path = strlen(l->history_path);
    char *temporary = alloc_array(n_path + 32, 1);
    if (file && temporary) {
        history(file, &event, H_SETSIZE, HISTORY_LINES);
        history(file, &event, H_SETUNIQUE, 1);
        history(file, &event, H_LOAD, l->history_path);
        const int n = l->n_entered < HISTORY_LINES ? l->n_entered : HISTORY_LINES;
        int found = history(l->history, &event, H_FIRST);
        for (int i = 1; i < n && found == 0; i++) found = history(l->history, &event, H_NEXT);
        for (int i = 0; i < n && found == 0; i++) {
            HistEvent added;
            history(file, &added, H_ENTER, event.str);
            found = history(l->history, &event, H_PREV);
        }
        snprintf(temporary, n_path + 32, "%s.%ld", l->history_path, (long)getpid());
        if (history(file, &event, H_SAVE, temporary) < 0 || rename(temporary, l->history_path) != 0) unlink(temporary);
    }
    if (file) history_end(file);
    alloc_free(temporary);
}

void cmd_line_close(cmd_line **l) {
    if (!*l) return;
    if ((*l)->n_entered && (*l)->history_path) save_history(*l);
    if ((*l)->history) history_end((*l)->history);
    if ((*l)->edit) el_end((*l)->edit);
    alloc_free(*l);
    *l = NULL;
}

static enum cmd_line_kind edit_line(struct cmd_line *l, struct buffer *out) {
    HistEvent event;
    int n = 0;
    if (is_ended) return CMD_LINE_END;
    el_resize(l->edit);
    el_set(l->edit, EL_PREP_TERM, 1); /* before the prompt: who sees it may type */
    const char *line = el_gets(l->edit, &n);
    if (is_ended) return CMD_LINE_END;
    if (cmd_line_interrupted) {
        cmd_line_interrupted = 0;
        fputs("^C\n", stdout);
        return CMD_LINE_INTERRUPTED;
    }
    if (!line || n <= 0) return CMD_LINE_END;
    if (line[n - 1] == '\n') n--;
    if (n && history(l->history, &event, H_ENTER, line) == 1) l->n_entered++; /* not the line before again */
    buffer_append(out, line, (size_t)n);
    return CMD_LINE_TEXT;
}

static enum cmd_line_kind plain_line(struct buffer *out) {
    int n_read = 0, c;
    for (c = getc(stdin); c != EOF && c != '\n'; c = getc(stdin), n_read++) buffer_append_char(out, (char)c);
    return c == EOF && !n_read ? CMD_LINE_END : CMD_LINE_TEXT;
}

/* One line of the terminal or the file, appended to out. */
static enum cmd_line_kind next_line(struct cmd_line *l, const char *prompt, struct buffer *out) {
    l->prompt = prompt;
    return l->edit ? edit_line(l, out) : plain_line(out);
}

static bool ends_with(const struct buffer *b, size_t from, const char *text) {
    const size_t n = strlen(text);
    return b->n_bytes >= from + n && memcmp(b->data + b->n_bytes - n, text, n) == 0;
}

/* Where a block's opening quotes begin: at the start, or behind a command word ("/edit """"). n_bytes where there are
 * none. */
static size_t block_start(const struct buffer *b) {
    const char *text = buffer_text(b);
    const char *quotes = strstr(text, "\"\"\"");
    const bool is_first = quotes == text;
    const bool is_argument = quotes && text[0] == '/' && quotes > text && quotes[-1] == ' ';
    return is_first || is_argument ? (size_t)(quotes - text) : b->n_bytes;
}

cria_status cmd_line_read(cmd_line *l, const char *prompt, struct buffer *out, enum cmd_line_kind *ret_kind,
                          struct cria_error *err) {
    static const char more[] = "... ";
    buffer_free(out);
    *out = buffer_make(MAX_MESSAGE_BYTES);
    enum cmd_line_kind kind = next_line(l, prompt, out);
    if (kind == CMD_LINE_END && ferror(stdin)) return ERROR_SET(err, CRIA_IO, "standard input: %s", strerror(errno));
    const size_t start = block_start(out);
    if (kind == CMD_LINE_TEXT && start < out->n_bytes) {
        /* The block ends where a line ends with the quotes; they are taken out at both ends. */
        while (kind == CMD_LINE_TEXT && !ends_with(out, start + 3, "\"\"\"")) {
            buffer_append_char(out, '\n');
            kind = next_line(l, more, out);
        }
        if (kind == CMD_LINE_TEXT) buffer_cut(out, out->n_bytes - 3);
        const size_t skip = 3 + (out->n_bytes > start + 3 && out->data[start + 3] == '\n');
        memmove(out->data + start, out->data + start + skip, out->n_bytes - start - skip);
        buffer_cut(out, out->n_bytes - skip);
        if (ends_with(out, start, "\n")) buffer_cut(out, out->n_bytes - 1);
    } else {
        while (kind == CMD_LINE_TEXT && ends_with(out, 0, "\\")) {
            buffer_cut(out, out->n_bytes - 1);
            buffer_append_char(out, '\n');
            kind = next_line(l, more, out);
        }
    }
    /* An end in the middle of a message ends the message first; the next read finds the end again. */
    if (kind == CMD_LINE_END && out->n_bytes) kind = CMD_LINE_TEXT;
    const cria_status status = buffer_status(out, "a message", err);
    if (status == CRIA_OK) *ret_kind = kind;
    return status;
}

void cmd_line_prefill(cmd_line *l, const char *text) {
    if (l->edit) el_push(l->edit, text);
}
