/* cmd_data.c: data build: from the command line and a YAML file to the options of a build, and what it did, on a page.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "cmd/cmd.h"
#include "cmd/cmd_data.h"
#include "cmd/cmd_io.h"
#include "cmd/cmd_threads.h"
#include "data/build.h"
#include "format/hf_config.h"
#include "hub/hub.h"

enum { MAX_CONFIG_BYTES = 1 << 24, MAX_PAGE_BYTES = 1 << 20, MAX_THREADS = 256 };

/* Where the options of a tokenizer come from, and who owns them. */
struct tokenizer_choice {
    char *path; /* owned */
    struct hf_tokens tokens;
};

static cria_status find_tokenizer(const char *name, struct tokenizer_choice *ret, struct cria_error *err) {
    cria_status status = CRIA_OK;
    char *found = NULL;
    if (file_exists(name)) found = alloc_text(name, strlen(name));
    else if (file_is_folder(name)) found = file_join(name, "tokenizer.json");
    else {
        char *model = NULL;
        TRY(hub_resolve(name, &model, err));
        found = file_is_folder(model) ? file_join(model, "tokenizer.json") : alloc_text(model, strlen(model));
        alloc_free(model);
    }
    if (!found) status = ERROR_NOMEM(err, strlen(name), "a path");
    else if (!file_exists(found))
        status = ERROR_SET(err, CRIA_NOTFOUND,
                           "%s: is not there; --tokenizer names a tokenizer file, or a folder with "
                           "tokenizer.json",
                           found);
    if (status == CRIA_OK) {
        ret->path = found;
        found = NULL;
    }
out:
    alloc_free(found);
    return status;
}

/* What tokenizer_config.json beside the tokenizer says about begin and end of a text. */
static cria_status read_tokens(struct tokenizer_choice *choice, struct cria_error *err) {
    cria_status status = CRIA_OK;
    char *text = NULL;
    size_t n;
    char *folder = alloc_text(choice->path, (size_t)(file_name(choice->path) - choice->path));
    char *path = folder ? file_join(folder[0] ? folder : ".", "tokenizer_config.json") : NULL;
    if (!path) {
        status = ERROR_NOMEM(err, strlen(choice->path), "a path");
        goto out;
    }
    if (!file_exists(path)) goto out;
    TRY(file_read(path, MAX_CONFIG_BYTES, &text, &n, err));
    status = hf_tokens_read(text, n, &choice->tokens, err);
    if (status == CRIA_OK && (choice->tokens.bos.n == HF_TOKEN_BYTES || choice->tokens.eos.n == HF_TOKEN_BYTES))
        status = ERROR_SET(err, CRIA_LIMIT, "a token of %d bytes", HF_TOKEN_BYTES);
    if (status != CRIA_OK) error_prefix(err, "%s", path);
out:
    alloc_free(text);
    alloc_free(folder);
    alloc_free(path);
    return status;
}

/* The option's text, else what the file beside the tokenizer says. */
static const char *token_text(const struct cmd_data *d, enum conf_id id, const struct hf_token *beside) {
    const struct conf *c = cmd_data_conf(d, id);
    if (conf_is_set(c, id)) return conf_text(c, id);
    return beside->is_said ? beside->text : NULL;
}

/* The rules of clean.h or filter.h as a page. */
static cria_status list_rules(struct cria_error *err) {
    struct buffer b = buffer_make(MAX_PAGE_BYTES);
    buffer_append_text(&b, "Cleaning rules (--clean RULE, --clean RULE=off):\n");
    for (int i = 0; i < CLEAN_COUNT; i++)
        buffer_append_format(&b, "  %-20s %-5s %s\n", clean_rules[i].name, clean_rules[i].is_default ? "on" : "off",
                             clean_rules[i].help);
    buffer_append_text(&b, "Filters (--filter FILTER=VALUE, --filter FILTER=off):\n");
    for (int i = 0; i < FILTER_COUNT; i++) {
        char value[32] = "off";
        if (!isnan(filter_rules[i].threshold)) snprintf(value, sizeof value, "%g", filter_rules[i].threshold);
        buffer_append_format(&b, "  %-20s %-5s %s\n", filter_rules[i].name, value, filter_rules[i].help);
    }
    const cria_status status = cmd_write_buffer(&b, err);
    buffer_free(&b);
    return status;
}

/* The name in front of '=', at most 31 bytes; returns what follows, or NULL where there is no '='. */
static const char *split_pair(const char *text, char name[32]) {
    const char *equal = strchr(text, '=');
    snprintf(name, 32, "%.*s", equal ? (int)(equal - text) : 31, text);
    return equal ? equal + 1 : NULL;
}

static cria_status set_rules(const struct cmd_data *d, struct build_options *o, struct cria_error *err) {
    const struct conf *c = cmd_data_conf(d, CONF_DATA_CLEAN);
    cria_status status = CRIA_OK;
    char name[32];
    for (int i = 0; i < conf_count(c, CONF_DATA_CLEAN); i++) {
        const char *text = conf_texts(c, CONF_DATA_CLEAN)[i], *value = split_pair(text, name);
        const int rule = clean_find(name);
        if (rule < 0 || (value && strcmp(value, "on") != 0 && strcmp(value, "off") != 0))
            return ERROR_SET(err, CRIA_USAGE,
                             "--clean %s: expected RULE, RULE=on or RULE=off; `--clean list` lists them", text);
        o->clean[rule] = !value || strcmp(value, "on") == 0;
    }
    c = cmd_data_conf(d, CONF_DATA_FILTER);
    for (int i = 0; i < conf_count(c, CONF_DATA_FILTER); i++) {
        const char *text = conf_texts(c, CONF_DATA_FILTER)[i], *value = split_pair(text, name);
        const int rule = filter_find(name);
        if (rule < 0 || !value)
            return ERROR_SET(err, CRIA_USAGE, "--filter %s: expected FILTER=VALUE; `--filter list` lists them", text);
        if (strcmp(value, "off") == 0) o->thresholds[rule] = NAN;
        else TRY(conf_read_real(value, -1e300, 1e300, &o->thresholds[rule], err));
    }
out:
    if (status != CRIA_OK) error_prefix(err, "--filter %s", name);
    return status;
}

static bool wants_list(const struct cmd_data *d) {
    static const enum conf_id ids[] = {CONF_DATA_CLEAN, CONF_DATA_FILTER};
    for (int k = 0; k < 2; k++) {
        const struct conf *c = cmd_data_conf(d, ids[k]);
        for (int i = 0; i < conf_count(c, ids[k]); i++)
            if (strcmp(conf_texts(c, ids[k])[i], "list") == 0) return true;
    }
    return false;
}

/* Everything but sources, tokenizer and row lengths, which need memory of their own. */
static cria_status set_options(const struct cmd_data *d, struct build_options *o, struct cria_error *err) {
#define OF(id) cmd_data_conf(d, id), id
    build_defaults(o);
    o->out = conf_text(OF(CONF_DATA_OUT));
    o->held_out = conf_real(OF(CONF_DATA_HELD_OUT));
    o->near_threshold = conf_real(OF(CONF_DATA_NEAR));
    o->test_sets = conf_texts(OF(CONF_DATA_TEST_SET));
    o->n_test_sets = conf_count(OF(CONF_DATA_TEST_SET));
    o->test_words = (int)conf_int(OF(CONF_DATA_TEST_WORDS));
    o->threads = cmd_threads(conf_int(OF(CONF_DATA_THREADS)), MAX_THREADS);
    o->shard_bytes = (uint64_t)conf_int(OF(CONF_DATA_SHARD));
    if (!o->out) return ERROR_SET(err, CRIA_USAGE, "where to? -o FOLDER names the folder to make");
    if (!conf_text(OF(CONF_DATA_TOKENIZER)))
        return ERROR_SET(err, CRIA_USAGE,
                         "which tokenizer? -m TOKENIZER; `cria tokenizer train` makes one from the same text");
    return set_rules(d, o, err);
}

static cria_status set_lengths(const struct cmd_data *d, int lengths[DATA_MAX_PACKINGS], struct build_options *o,
                               struct cria_error *err) {
    const int n = conf_count(OF(CONF_DATA_SEQ_LEN));
    if (n > DATA_MAX_PACKINGS)
        return ERROR_SET(err, CRIA_USAGE, "--seq-len: at most %d lengths, found %d", DATA_MAX_PACKINGS, n);
    lengths[0] = 1024;
    for (int i = 0; i < n; i++) lengths[i] = (int)conf_ints(OF(CONF_DATA_SEQ_LEN))[i];
    o->seq_lens = lengths;
    o->n_seq_lens = n ? n : 1;
    return CRIA_OK;
#undef OF
}

static void page_drops(struct buffer *b, const struct build_result *r) {
    for (int i = 0; i < CLEAN_COUNT; i++)
        if (r->n_cleaned[i])
            buffer_append_format(b, "  cleaned by %-21s %12" PRIu64 "\n", clean_rules[i].name, r->n_cleaned[i]);
    for (int i = 0; i < FILTER_COUNT; i++)
        if (r->n_filtered[i])
            buffer_append_format(b, "  dropped by %-21s %12" PRIu64 "\n", filter_rules[i].name, r->n_filtered[i]);
    if (r->n_test_grams)
        buffer_append_format(b,
                             "  passages cut, shared with tests  %12" PRIu64
                             "   (decontamination.jsonl)\n"
                             "  dropped, shares too much         %12" PRIu64 "\n",
                             r->n_cut, r->n_contaminated);
    buffer_append_format(b, "  dropped as equal                 %12" PRIu64 "\n", r->n_exact);
    buffer_append_format(b, "  dropped as nearly equal          %12" PRIu64 "\n", r->n_near);
    if (r->n_test_short) buffer_append_format(b, "  test documents too short to hold %12" PRIu64 "\n", r->n_test_short);
    if (r->n_replaced) buffer_append_format(b, "  malformed bytes replaced         %12" PRIu64 "\n", r->n_replaced);
    if (r->n_unsaid) buffer_append_format(b, "  bytes not in the vocabulary      %12" PRIu64 "\n", r->n_unsaid);
    if (r->n_ignored_files)
        buffer_append_format(b, "  files passed by                  %12" PRIu64 "\n", r->n_ignored_files);
}

static cria_status print_page(const struct build_options *o, const struct build_result *r, double seconds,
                              struct cria_error *err) {
    struct buffer b = buffer_make(MAX_PAGE_BYTES);
    char bytes[32];
    cmd_bytes_text(r->n_bytes_read, bytes);
    buffer_append_format(&b, "%s: %" PRIu64 " documents of %" PRIu64 " read (%s in %.1f s, %.1f MB/s)\n", o->out,
                         r->n_kept, r->n_read, bytes, seconds, (double)r->n_bytes_read / 1e6 / seconds);
    page_drops(&b, r);
    buffer_append_format(&b, "  held out                         %12" PRIu64 "\n", r->n_held_out);
    buffer_append_format(&b, "  tokens                           %12" PRIu64 "   (%.3f bytes a token)\n", r->n_tokens,
                         (double)r->n_bytes / (double)r->n_tokens);
    for (int i = 0; i < r->n_packings; i++)
        buffer_append_format(
            &b, "  rows of %-9d                %12" PRIu64 "   (%.2f %% full)\n", r->packings[i].seq_len,
            r->packings[i].n_rows,
            100.0 * (double)r->packings[i].n_tokens / ((double)r->packings[i].n_rows * (double)r->packings[i].seq_len));
    buffer_append_format(&b, "  Merkle root %s\n", r->root);
    const cria_status status = cmd_write_buffer(&b, err);
    buffer_free(&b);
    return status;
}

static void count(json_writer *w, const char *key, uint64_t value) {
    json_write_key(w, key);
    json_write_u64(w, value);
}

static cria_status print_json(const struct build_options *o, const struct build_result *r, double seconds,
                              struct cria_error *err) {
    struct buffer b = buffer_make(MAX_PAGE_BYTES);
    json_writer w = json_writer_make(&b);
    json_write_begin_object(&w);
    json_write_key(&w, "out");
    json_write_text(&w, o->out);
    count(&w, "documents_read", r->n_read);
    count(&w, "bytes_read", r->n_bytes_read);
    count(&w, "documents", r->n_kept);
    count(&w, "held_out_documents", r->n_held_out);
    count(&w, "bytes", r->n_bytes);
    count(&w, "tokens", r->n_tokens);
    for (int i = 0; i < FILTER_COUNT; i++) count(&w, filter_rules[i].name, r->n_filtered[i]);
    count(&w, "passages_cut", r->n_cut);
    count(&w, "contaminated", r->n_contaminated);
    count(&w, "exact_duplicates", r->n_exact);
    count(&w, "near_duplicates", r->n_near);
    count(&w, "malformed_bytes", r->n_replaced);
    count(&w, "files_ignored", r->n_ignored_files);
    json_write_key(&w, "rows");
    json_write_begin_object(&w);
    for (int i = 0; i < r->n_packings; i++) {
        char length[16];
        snprintf(length, sizeof length, "%d", r->packings[i].seq_len);
        count(&w, length, r->packings[i].n_rows);
    }
    json_write_end_object(&w);
    json_write_key(&w, "merkle_root");
    json_write_text(&w, r->root);
    json_write_key(&w, "seconds");
    json_write_f64(&w, seconds);
    json_write_end_object(&w);
    const cria_status status = cmd_write_line(&b, err);
    buffer_free(&b);
    return status;
}

cria_status cmd_data_build(const struct conf *c, struct cria_error *err) {
    const double start = clock_seconds();
    struct cmd_data d = {.arguments = c};
    struct build_options o;
    struct build_result result;
    struct tokenizer_choice choice = {.path = NULL};
    int lengths[DATA_MAX_PACKINGS];
    cria_status status = CRIA_OK;
    TRY(cmd_data_open(&d, err));
    if (wants_list(&d)) {
        status = list_rules(err);
        goto out;
    }
    TRY(set_options(&d, &o, err));
    TRY(set_lengths(&d, lengths, &o, err));
    o.sources = d.sources;
    o.n_sources = d.n_sources;
    TRY(find_tokenizer(conf_text(cmd_data_conf(&d, CONF_DATA_TOKENIZER), CONF_DATA_TOKENIZER), &choice, err));
    TRY(read_tokens(&choice, err));
    o.tokenizer = choice.path;
    o.bos_token = token_text(&d, CONF_DATA_BOS, &choice.tokens.bos);
    o.eos_token = token_text(&d, CONF_DATA_EOS, &choice.tokens.eos);
    TRY(build_run(&o, &result, err));
    const double seconds = clock_seconds() - start;
    status =
        conf_flag(c, CONF_DATA_JSON) ? print_json(&o, &result, seconds, err) : print_page(&o, &result, seconds, err);
out:
    alloc_free(choice.path);
    cmd_data_close(&d);
    return status;
}
