/* cmd_tokenize.c: tokenize and detokenize: text to ids and back, singly or by JSON lines. */
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/json.h"
#include "base/log.h"
#include "cmd/cmd.h"
#include "cmd/cmd_entry.h"
#include "cmd/cmd_io.h"
#include "cmd/cmd_model.h"
#include "cmd/cmd_threads.h"

enum { MAX_LINE_BYTES = 1 << 30, MAX_THREADS = 64 };

static cria_status encode(const struct cmd_model *m, const struct conf *c, const char *text, size_t n,
                          struct token_list *ids, struct cria_error *err) {
    const struct tokenizer_options options = {.with_bos = conf_flag(c, CONF_BOS),
                                              .special = conf_flag(c, CONF_SPECIAL),
                                              .threads = cmd_threads(conf_int(c, CONF_THREADS), MAX_THREADS)};
    size_t n_dropped = 0;
    const cria_status status = tokenizer_encode(m->tok, text, n, &options, ids, &n_dropped, err);
    if (status == CRIA_OK && n_dropped)
        log_warning("%zu bytes of the text have no token in this vocabulary and were dropped", n_dropped);
    return status;
}

static void append_ids(json_writer *w, const struct token_list *ids) {
    json_write_begin_array(w);
    for (size_t i = 0; i < ids->n; i++) json_write_i64(w, ids->ids[i]);
    json_write_end_array(w);
}

/* The --json object: ids, and each token's bytes as text. */
static void append_tokens(json_writer *w, const tokenizer *t, const struct token_list *ids) {
    json_write_begin_object(w);
    json_write_key(w, "ids");
    append_ids(w, ids);
    json_write_key(w, "tokens");
    json_write_begin_array(w);
    for (size_t i = 0; i < ids->n; i++) {
        const struct text_span token = tokenizer_token(t, ids->ids[i]);
        json_write_string(w, token.bytes, token.n);
    }
    json_write_end_array(w);
    json_write_end_object(w);
}

static cria_status tokenize_text(const struct cmd_model *m, const struct conf *c, const char *text, size_t n,
                                 struct cria_error *err) {
    struct token_list ids = {0};
    struct buffer out = buffer_make(CMD_MAX_TEXT);
    json_writer w = json_writer_make(&out);
    cria_status status;
    TRY(encode(m, c, text, n, &ids, err));
    if (conf_flag(c, CONF_JSON)) append_tokens(&w, m->tok, &ids);
    else
        for (size_t i = 0; i < ids.n; i++) buffer_append_format(&out, "%s%d", i ? "," : "", ids.ids[i]);
    TRY(cmd_write_line(&out, err));
out:
    buffer_free(&out);
    token_list_free(&ids);
    return status;
}

static cria_status tokenize_line(const struct cmd_model *m, const struct conf *c, const struct cmd_lines *l,
                                 struct cria_error *err) {
    struct cmd_entry entry = {0};
    struct token_list ids = {0};
    struct buffer out = buffer_make(MAX_LINE_BYTES);
    json_writer w = json_writer_make(&out);
    cria_status status;
    TRY(cmd_entry_parse(&entry, l->line, l->n_line, 1u << CMD_ENTRY_TEXT, err));
    TRY(encode(m, c, entry.text, entry.n_text, &ids, err));
    json_write_begin_object(&w);
    json_write_key(&w, "ids");
    append_ids(&w, &ids);
    json_write_end_object(&w);
    TRY(cmd_write_line(&out, err));
out:
    buffer_free(&out);
    token_list_free(&ids);
    cmd_entry_free(&entry);
    return status;
}

/* The text of the ids, exact; in JSON malformed bytes become U+FFFD. */
static cria_status detokenize_line(const struct cmd_model *m, const struct conf *c, const struct cmd_lines *l,
                                   struct cria_error *err) {
    struct cmd_entry entry = {0};
    struct buffer text = buffer_make(MAX_LINE_BYTES), out = buffer_make(MAX_LINE_BYTES);
    json_writer w = json_writer_make(&out);
    cria_status status;
    TRY(cmd_entry_parse(&entry, l->line, l->n_line, 1u << CMD_ENTRY_IDS, err));
    TRY(tokenizer_decode(m->tok, entry.ids.ids, entry.ids.n, conf_flag(c, CONF_SPECIAL), &text, err));
    TRY(buffer_status(&text, "a line's text", err));
    json_write_begin_object(&w);
    json_write_key(&w, "text");
    json_write_string(&w, buffer_text(&text), text.n_bytes);
    json_write_end_object(&w);
    TRY(cmd_write_line(&out, err));
out:
    buffer_free(&out);
    buffer_free(&text);
    cmd_entry_free(&entry);
    return status;
}

typedef cria_status line_fn(const struct cmd_model *m, const struct conf *c, const struct cmd_lines *l,
                            struct cria_error *err);

static cria_status each_line(const struct cmd_model *m, const struct conf *c, line_fn *fn, struct cria_error *err) {
    const char *path = conf_text(c, CONF_JSONL);
    char *text = NULL;
    size_t n = 0;
    cria_status status;
    TRY(cmd_read(path, &text, &n, err));
    struct cmd_lines lines = {.text = text, .n = n};
    while (cmd_lines_next(&lines)) {
        status = fn(m, c, &lines, err);
        if (status != CRIA_OK) error_prefix(err, "%s line %lld", path, (long long)lines.number);
        TRY(status);
    }
out:
    alloc_free(text);
    return status;
}

/* At most one of the sources of input may be named. */
static cria_status check_sources(const struct conf *c, enum conf_id direct, struct cria_error *err) {
    if (conf_is_set(c, direct) + conf_is_set(c, CONF_FILE) + conf_is_set(c, CONF_JSONL) <= 1) return CRIA_OK;
    return ERROR_SET(err, CRIA_USAGE, "--%s, --file and --jsonl exclude each other", conf_option(direct)->name);
}

cria_status cmd_tokenize(const struct conf *c, struct cria_error *err) {
    struct cmd_model m = {0};
    char *input = NULL;
    size_t n = 0;
    const char *text = conf_text(c, CONF_PROMPT), *path = conf_text(c, CONF_FILE);
    cria_status status;
    TRY(check_sources(c, CONF_PROMPT, err));
    TRY(cmd_model_open(&m, c, true, err));
    TRY(cmd_model_need_tokenizer(&m, err));
    if (conf_is_set(c, CONF_JSONL)) {
        TRY(each_line(&m, c, tokenize_line, err));
    } else if (text) {
        TRY(tokenize_text(&m, c, text, strlen(text), err));
    } else {
        TRY(cmd_read(path ? path : "-", &input, &n, err));
        TRY(tokenize_text(&m, c, input, n, err));
    }
out:
    alloc_free(input);
    cmd_model_close(&m);
    return status;
}

static cria_status collect_ids(const struct conf *c, struct token_list *ids, struct cria_error *err) {
    char *input = NULL;
    size_t n = 0;
    cria_status status = CRIA_OK;
    if (conf_is_set(c, CONF_IDS)) {
        for (int i = 0; i < conf_count(c, CONF_IDS); i++)
            TRY(token_list_add(ids, (int32_t)conf_ints(c, CONF_IDS)[i], err));
    } else {
        const char *path = conf_is_set(c, CONF_FILE) ? conf_text(c, CONF_FILE) : "-";
        TRY(cmd_read(path, &input, &n, err));
        status = strlen(input) == n ? cmd_read_ids(input, INT32_MAX, ids, err)
                                    : ERROR_SET(err, CRIA_FORMAT, "expected token ids, found a zero byte");
        if (status != CRIA_OK) error_prefix(err, "%s", strcmp(path, "-") == 0 ? "standard input" : path);
    }
out:
    alloc_free(input);
    return status;
}

cria_status cmd_detokenize(const struct conf *c, struct cria_error *err) {
    struct cmd_model m = {0};
    struct token_list ids = {0};
    struct buffer text = buffer_make(CMD_MAX_TEXT);
    cria_status status;
    TRY(check_sources(c, CONF_IDS, err));
    TRY(cmd_model_open(&m, c, true, err));
    TRY(cmd_model_need_tokenizer(&m, err));
    if (conf_is_set(c, CONF_JSONL)) {
        TRY(each_line(&m, c, detokenize_line, err));
    } else {
        TRY(collect_ids(c, &ids, err));
        TRY(tokenizer_decode(m.tok, ids.ids, ids.n, conf_flag(c, CONF_SPECIAL), &text, err));
        /* A pipe gets the exact bytes; a terminal gets its prompt on a line of its own. */
        if (isatty(STDOUT_FILENO)) buffer_append_char(&text, '\n');
        TRY(cmd_write_buffer(&text, err));
    }
out:
    buffer_free(&text);
    token_list_free(&ids);
    cmd_model_close(&m);
    return status;
}
