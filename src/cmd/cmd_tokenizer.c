/* cmd_tokenizer.c: tokenizer train: from files of text to a folder with tokenizer.json and tokenizer_config.json. */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/progress.h"
#include "cmd/cmd.h"
#include "cmd/cmd_io.h"
#include "cmd/cmd_threads.h"
#include "data/source.h"
#include "text/trainer.h"

enum { MAX_FILE_BYTES = 1 << 30, MAX_REPORT_BYTES = 1 << 16 };

/* What models of the family look for: a text's ends, the turns of a dialogue, the ends of a message to a tool and of a
 * turn, calls of tools, padding. */
static const char *const default_special[] = {
    "<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
    "<|eom_id|>",        "<|eot_id|>",      "<|python_tag|>",      "<|finetune_right_pad_id|>",
};

/* The token that the option names, or the usual one where it is among the special tokens. */
static const char *named_token(const struct conf *c, enum conf_id id, const char *usual,
                               const struct trainer_options *o) {
    if (conf_is_set(c, id)) return conf_text(c, id);
    for (int i = 0; i < o->n_special; i++)
        if (strcmp(o->special[i], usual) == 0) return usual;
    return NULL;
}

static struct trainer_options trainer_options_of(const struct conf *c) {
    static const enum trainer_splitter splitters[] = {TRAINER_LLAMA3, TRAINER_GPT2, TRAINER_LLAMA4, TRAINER_SMOLLM};
    struct trainer_options o = {.splitter = splitters[conf_int(c, CONF_TOKENIZER_SPLITTER)],
                                .vocabulary = conf_int(c, CONF_TOKENIZER_SIZE),
                                .min_count = conf_int(c, CONF_TOKENIZER_MIN_COUNT),
                                .special = default_special,
                                .n_special = sizeof default_special / sizeof default_special[0],
                                .threads = cmd_threads(conf_int(c, CONF_TOKENIZER_THREADS), TRAINER_MAX_THREADS),
                                .max_words = (size_t)conf_int(c, CONF_TOKENIZER_MAX_WORDS)};
    if (conf_is_set(c, CONF_TOKENIZER_SPECIAL)) {
        o.special = conf_texts(c, CONF_TOKENIZER_SPECIAL);
        o.n_special = conf_count(c, CONF_TOKENIZER_SPECIAL);
    }
    o.bos = named_token(c, CONF_TOKENIZER_BOS, default_special[0], &o);
    o.eos = named_token(c, CONF_TOKENIZER_EOS, default_special[1], &o);
    return o;
}

/* A document of plain text: each line with its end is an item, as the tokenizers library reads files. */
static cria_status add_lines(trainer *t, const char *text, size_t n, struct cria_error *err) {
    cria_status status = CRIA_OK;
    for (size_t at = 0; at < n;) {
        const char *end = memchr(text + at, '\n', n - at);
        const size_t n_line = end ? (size_t)(end - text) + 1 - at : n - at;
        TRY(trainer_add(t, text + at, n_line, err));
        at += n_line;
    }
out:
    return status;
}

static cria_status read_text(trainer *t, const struct conf *c, uint64_t *ret_replaced, struct cria_error *err) {
    const struct source_options options = {.text_field = conf_text(c, CONF_TOKENIZER_FIELD),
                                           .separator = conf_text(c, CONF_TOKENIZER_SEPARATOR)};
    const bool is_whole = strcmp(conf_text(c, CONF_TOKENIZER_ITEMS), "documents") == 0;
    struct source_document d = {0};
    source *s = NULL;
    progress *p = NULL;
    uint64_t n_replaced = 0;
    cria_status status;
    TRY(source_open(&s, c->arguments, c->n_arguments, &options, err));
    p = progress_start("counting words", source_bytes(s), PROGRESS_BYTES);
    for (bool more = true;;) {
        TRY(source_next(s, &d, &more, err));
        if (!more) break;
        n_replaced += d.n_replaced;
        if (d.is_line || is_whole) TRY(trainer_add(t, d.bytes, d.n, err));
        else TRY(add_lines(t, d.bytes, d.n, err));
        progress_update(p, source_bytes_read(s));
    }
    *ret_replaced = n_replaced;
out:
    progress_finish(&p);
    source_close(&s);
    return status;
}

static cria_status write_file(const char *folder, const char *name, const struct buffer *b, struct cria_error *err) {
    char *path = file_join(folder, name);
    if (!path) return ERROR_NOMEM(err, strlen(folder) + strlen(name) + 2, "a path");
    cria_status status = cmd_check_target(path, err);
    if (status == CRIA_OK) status = file_write_atomic(path, b->data, b->n_bytes, err);
    alloc_free(path);
    return status;
}

static cria_status write_folder(const trainer *t, const char *folder, struct cria_error *err) {
    struct buffer json = buffer_make(MAX_FILE_BYTES), config = buffer_make(MAX_FILE_BYTES);
    cria_status status;
    TRY(trainer_write_json(t, &json, err));
    TRY(trainer_write_config(t, &config, err));
    buffer_append_char(&json, '\n');
    buffer_append_char(&config, '\n');
    TRY(buffer_status(&json, "tokenizer.json", err));
    TRY(buffer_status(&config, "tokenizer_config.json", err));
    TRY(file_make_folder(folder, err));
    TRY(write_file(folder, "tokenizer.json", &json, err));
    TRY(write_file(folder, "tokenizer_config.json", &config, err));
out:
    buffer_free(&json);
    buffer_free(&config);
    return status;
}

/* What was not as asked, with its numbers. */
static void warn(const struct trainer_report *r, const struct trainer_options *o, uint64_t n_replaced) {
    if (n_replaced) log_warning("%" PRIu64 " malformed bytes of the text count as U+FFFD", n_replaced);
    if (r->forgotten_words)
        log_warning("to stay below --max-words, %" PRIu64 " rare words (%" PRIu64 " occurrences of %" PRIu64
                    ") were forgotten; none had been seen more than %" PRIu64 " times",
                    r->forgotten_words, r->forgotten_occurrences, r->words, r->forgotten_count);
    if (r->tokens < o->vocabulary)
        log_warning("only %" PRId64 " tokens instead of %" PRId64 ": no pair occurs %" PRId64 " times any more",
                    r->tokens, o->vocabulary, o->min_count > 1 ? o->min_count : 1);
}

static void json_count(json_writer *w, const char *key, uint64_t value) {
    json_write_key(w, key);
    json_write_u64(w, value);
}

static cria_status print_report(const struct trainer_report *r, const struct conf *c, double seconds,
                                uint64_t n_replaced, struct cria_error *err) {
    const char *folder = conf_text(c, CONF_TOKENIZER_OUTPUT);
    if (!conf_flag(c, CONF_TOKENIZER_JSON))
        return cmd_print(err,
                         "%s: %" PRId64 " tokens, %" PRId64 " merges; the last pair occurred %" PRIu64
                         " times\n"
                         "learned from %" PRIu64 " bytes, %" PRIu64 " words (%" PRIu64 " different) in %.1f s\n",
                         folder, r->tokens, r->merges, r->last_count, r->bytes, r->words, r->distinct_words, seconds);
    struct buffer out = buffer_make(MAX_REPORT_BYTES);
    json_writer w = json_writer_make(&out);
    json_write_begin_object(&w);
    json_write_key(&w, "output");
    json_write_text(&w, folder);
    json_count(&w, "tokens", (uint64_t)r->tokens);
    json_count(&w, "merges", (uint64_t)r->merges);
    json_count(&w, "last_count", r->last_count);
    json_count(&w, "items", r->items);
    json_count(&w, "bytes", r->bytes);
    json_count(&w, "words", r->words);
    json_count(&w, "distinct_words", r->distinct_words);
    json_count(&w, "forgotten_words", r->forgotten_words);
    json_count(&w, "forgotten_occurrences", r->forgotten_occurrences);
    json_count(&w, "malformed_bytes", n_replaced);
    json_write_key(&w, "seconds");
    json_write_f64(&w, seconds);
    json_write_end_object(&w);
    const cria_status status = cmd_write_line(&out, err);
    buffer_free(&out);
    return status;
}

cria_status cmd_tokenizer_train(const struct conf *c, struct cria_error *err) {
    const struct trainer_options options = trainer_options_of(c);
    const char *folder = conf_text(c, CONF_TOKENIZER_OUTPUT);
    const double start = clock_seconds();
    struct trainer_report report;
    trainer *t = NULL;
    uint64_t n_replaced = 0;
    cria_status status;
    if (!folder) return ERROR_SET(err, CRIA_USAGE, "where to? -o FOLDER gets tokenizer.json");
    TRY(trainer_create(&t, &options, err));
    TRY(read_text(t, c, &n_replaced, err));
    TRY(trainer_learn(t, err));
    TRY(write_folder(t, folder, err));
    report = trainer_report(t);
    warn(&report, &options, n_replaced);
    TRY(print_report(&report, c, clock_seconds() - start, n_replaced, err));
out:
    trainer_destroy(&t);
    return status;
}
