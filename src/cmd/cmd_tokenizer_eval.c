/* cmd_tokenizer_eval.c: tokenizer eval: how many bytes of each text a token of each tokenizer stands for, side by side.
 *
 * A text is an argument (a file or a folder), or with --files each file. Nothing is put in front of a document, and
 * plain text never makes special tokens, so the figures are those of the words alone. */
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/progress.h"
#include "cmd/cmd.h"
#include "cmd/cmd_io.h"
#include "cmd/cmd_model.h"
#include "cmd/cmd_threads.h"
#include "data/source.h"
#include "report/table.h"

enum { MAX_TOKENIZERS = 16, MAX_THREADS = 64, MAX_PAGE_BYTES = 1 << 26 };

struct text_row {
    char *label, *path; /* owned */
    uint64_t documents, bytes, words;
    uint64_t tokens[MAX_TOKENIZERS];
};

struct eval {
    tokenizer *tokenizers[MAX_TOKENIZERS]; /* owned */
    const char *names[MAX_TOKENIZERS];     /* borrowed */
    int n_tokenizers;
    struct text_row *rows; /* owned */
    size_t n_rows, capacity;
    struct text_row total; /* owns nothing */
    struct source_options options;
    int threads;
};

static void eval_deinit(struct eval *e) {
    for (int i = 0; i < e->n_tokenizers; i++) tokenizer_destroy(&e->tokenizers[i]);
    for (size_t i = 0; i < e->n_rows; i++) {
        alloc_free(e->rows[i].label);
        alloc_free(e->rows[i].path);
    }
    alloc_free(e->rows);
}

static cria_status open_tokenizers(struct eval *e, const struct conf *c, struct cria_error *err) {
    const int n = conf_count(c, CONF_TOKENIZER_FILES);
    cria_status status = CRIA_OK;
    if (n < 1 || n > MAX_TOKENIZERS)
        return ERROR_SET(err, CRIA_USAGE, "which tokenizers? -m TOKENIZER, 1 to %d times, found %d", MAX_TOKENIZERS, n);
    for (int i = 0; i < n; i++) {
        const char *name = conf_texts(c, CONF_TOKENIZER_FILES)[i];
        TRY(cmd_model_tokenizer(name, &e->tokenizers[i], err));
        e->names[i] = name;
        e->n_tokenizers = i + 1;
    }
out:
    return status;
}

static cria_status add_row(struct eval *e, const char *label, size_t n_label, const char *path,
                           struct cria_error *err) {
    if (e->n_rows == e->capacity) {
        const size_t capacity = e->capacity + e->capacity / 2 + 16;
        struct text_row *rows = alloc_resize(e->rows, capacity, sizeof *rows);
        if (!rows) return ERROR_NOMEM(err, capacity * sizeof *rows, "the table of texts");
        e->rows = rows;
        e->capacity = capacity;
    }
    struct text_row *row = &e->rows[e->n_rows++];
    *row = (struct text_row){.label = alloc_text(label, n_label), .path = alloc_text(path, strlen(path))};
    if (!row->label || !row->path) return ERROR_NOMEM(err, strlen(path), "a path");
    return CRIA_OK;
}

/* One argument: PATH, or NAME=PATH where no such path exists. */
static cria_status add_argument(struct eval *e, const char *argument, bool is_by_file, struct cria_error *err) {
    const char *equals = strchr(argument, '='), *path = argument;
    size_t n_label = strlen(argument);
    source *s = NULL;
    cria_status status = CRIA_OK;
    if (equals && equals > argument && !file_exists(argument) && !file_is_folder(argument)) {
        path = equals + 1;
        n_label = (size_t)(equals - argument);
    }
    if (!is_by_file) return add_row(e, argument, n_label, path, err);
    TRY(source_open(&s, &path, 1, &e->options, err));
    for (int64_t i = 0; i < source_files(s); i++) {
        const char *file = source_path(s, i);
        TRY(add_row(e, file, strlen(file), file, err));
    }
out:
    source_close(&s);
    return status;
}

/* Stretches between ASCII white space. */
static uint64_t count_words(const char *text, size_t n) {
    uint64_t words = 0;
    bool inside = false;
    for (size_t i = 0; i < n; i++) {
        const char b = text[i];
        const bool is_space = b == ' ' || (b >= '\t' && b <= '\r');
        words += !is_space && !inside;
        inside = !is_space;
    }
    return words;
}

static cria_status measure_document(const struct eval *e, struct text_row *row, const struct source_document *d,
                                    struct token_list *ids, struct cria_error *err) {
    const struct tokenizer_options options = {.threads = e->threads};
    cria_status status = CRIA_OK;
    row->documents++;
    row->bytes += d->n;
    row->words += count_words(d->bytes, d->n);
    for (int i = 0; i < e->n_tokenizers; i++) {
        ids->n = 0;
        TRY(tokenizer_encode(e->tokenizers[i], d->bytes, d->n, &options, ids, NULL, err));
        row->tokens[i] += ids->n;
    }
out:
    return status;
}

static cria_status measure_row(struct eval *e, struct text_row *row, struct cria_error *err) {
    const char *path = row->path;
    struct source_document d = {0};
    struct token_list ids = {0};
    source *s = NULL;
    progress *p = NULL;
    cria_status status;
    TRY(source_open(&s, &path, 1, &e->options, err));
    p = progress_start(row->label, source_bytes(s), PROGRESS_BYTES);
    for (bool more = true;;) {
        TRY(source_next(s, &d, &more, err));
        if (!more) break;
        TRY(measure_document(e, row, &d, &ids, err));
        progress_update(p, source_bytes_read(s));
    }
    e->total.documents += row->documents;
    e->total.bytes += row->bytes;
    e->total.words += row->words;
    for (int i = 0; i < e->n_tokenizers; i++) e->total.tokens[i] += row->tokens[i];
out:
    progress_finish(&p);
    token_list_free(&ids);
    source_close(&s);
    return status;
}

static double ratio(uint64_t a, uint64_t b) { return b ? (double)a / (double)b : 0.0; }

static void fill_row(struct table *t, const struct eval *e, const struct text_row *row, bool by_word) {
    table_cell(t, "%s", row->label);
    table_cell(t, "%" PRIu64, by_word ? row->words : row->bytes);
    for (int i = 0; i < e->n_tokenizers; i++) {
        if (by_word) table_cell(t, "%.3f", ratio(row->tokens[i], row->words));
        else table_cell(t, "%.3f", ratio(row->bytes, row->tokens[i]));
    }
}

/* What heads the column of a tokenizer: the last part of its name that says more than "tokenizer.json". */
static const char *short_name(const char *name) {
    const char *last = file_name(name);
    if (strcmp(last, "tokenizer.json") != 0 && strcmp(last, "tokenizer.model") != 0) return last;
    if (last == name) return name;
    const char *folder = last - 1;
    while (folder > name && folder[-1] != '/') folder--;
    return folder;
}

/* One of the two tables: bytes per token, or tokens per word. */
static cria_status append_table(struct buffer *out, const struct eval *e, bool by_word, struct cria_error *err) {
    struct table t = table_make();
    cria_status status;
    table_column(&t, by_word ? "tokens per word" : "bytes per token", TABLE_LEFT);
    table_column(&t, by_word ? "words" : "bytes", TABLE_RIGHT);
    for (int i = 0; i < e->n_tokenizers; i++) table_column(&t, short_name(e->names[i]), TABLE_RIGHT);
    for (size_t i = 0; i < e->n_rows; i++) fill_row(&t, e, &e->rows[i], by_word);
    if (e->n_rows > 1) fill_row(&t, e, &e->total, by_word);
    TRY(table_status(&t, err));
    table_write_text(out, &t, 0);
out:
    table_free(&t);
    return status;
}

static cria_status print_tables(const struct eval *e, struct cria_error *err) {
    struct buffer out = buffer_make(MAX_PAGE_BYTES);
    cria_status status;
    for (int i = 0; i < e->n_tokenizers; i++)
        buffer_append_format(&out, "%s: %d ids, %s\n", e->names[i], (int)tokenizer_size(e->tokenizers[i]),
                             tokenizer_kind(e->tokenizers[i]));
    buffer_append_char(&out, '\n');
    TRY(append_table(&out, e, false, err));
    buffer_append_char(&out, '\n');
    TRY(append_table(&out, e, true, err));
    TRY(cmd_write_buffer(&out, err));
    if (e->n_tokenizers == 1)
        log_notice(
            "one tokenizer alone says little: give others beside it with -m, such as Llama 3's tokenizer.model "
            "or GPT-2's tokenizer.json; Cria carries none of them");
out:
    buffer_free(&out);
    return status;
}

static void json_row(json_writer *w, const struct eval *e, const struct text_row *row) {
    json_write_begin_object(w);
    json_write_key(w, "text");
    json_write_text(w, row->label);
    json_write_key(w, "documents");
    json_write_u64(w, row->documents);
    json_write_key(w, "bytes");
    json_write_u64(w, row->bytes);
    json_write_key(w, "words");
    json_write_u64(w, row->words);
    json_write_key(w, "tokenizers");
    json_write_begin_array(w);
    for (int i = 0; i < e->n_tokenizers; i++) {
        json_write_begin_object(w);
        json_write_key(w, "tokens");
        json_write_u64(w, row->tokens[i]);
        json_write_key(w, "bytes_per_token");
        json_write_f64(w, ratio(row->bytes, row->tokens[i]));
        json_write_key(w, "tokens_per_word");
        json_write_f64(w, ratio(row->tokens[i], row->words));
        json_write_end_object(w);
    }
    json_write_end_array(w);
    json_write_end_object(w);
}

static cria_status print_json(const struct eval *e, struct cria_error *err) {
    struct buffer out = buffer_make(MAX_PAGE_BYTES);
    json_writer w = json_writer_make(&out);
    json_write_begin_object(&w);
    json_write_key(&w, "tokenizers");
    json_write_begin_array(&w);
    for (int i = 0; i < e->n_tokenizers; i++) {
        json_write_begin_object(&w);
        json_write_key(&w, "name");
        json_write_text(&w, e->names[i]);
        json_write_key(&w, "ids");
        json_write_i64(&w, tokenizer_size(e->tokenizers[i]));
        json_write_key(&w, "kind");
        json_write_text(&w, tokenizer_kind(e->tokenizers[i]));
        json_write_end_object(&w);
    }
    json_write_end_array(&w);
    json_write_key(&w, "texts");
    json_write_begin_array(&w);
    for (size_t i = 0; i < e->n_rows; i++) json_row(&w, e, &e->rows[i]);
    json_write_end_array(&w);
    json_write_key(&w, "total");
    json_row(&w, e, &e->total);
    json_write_end_object(&w);
    const cria_status status = cmd_write_line(&out, err);
    buffer_free(&out);
    return status;
}

cria_status cmd_tokenizer_eval(const struct conf *c, struct cria_error *err) {
    static char total[] = "total";
    struct eval e = {.total = {.label = total}};
    cria_status status;
    e.options.text_field = conf_text(c, CONF_TOKENIZER_FIELD);
    e.options.separator = conf_text(c, CONF_TOKENIZER_SEPARATOR);
    e.threads = cmd_threads(conf_int(c, CONF_TOKENIZER_THREADS), MAX_THREADS);
    TRY(open_tokenizers(&e, c, err));
    for (int i = 0; i < c->n_arguments; i++)
        TRY(add_argument(&e, c->arguments[i], conf_flag(c, CONF_TOKENIZER_BY_FILE), err));
    for (size_t i = 0; i < e.n_rows; i++) TRY(measure_row(&e, &e.rows[i], err));
    TRY(conf_flag(c, CONF_TOKENIZER_JSON) ? print_json(&e, err) : print_tables(&e, err));
out:
    eval_deinit(&e);
    return status;
}
