/* cmd_inspect.c: what is in a model and what it needs, as a page or as JSON. Both read the same rows of the weight
 * table. */
#include <inttypes.h>
#include <string.h>

#include "base/digest.h"
#include "base/json.h"
#include "cmd/cmd.h"
#include "cmd/cmd_io.h"
#include "cmd/cmd_model.h"

enum { MAX_PAGE_BYTES = 1 << 26, PREFILL_ROWS = 512 };

static const char *rope_name(enum arch_rope_kind kind) {
    static const char *const names[] = {[ARCH_ROPE_NONE] = "none",
                                        [ARCH_ROPE_PLAIN] = "plain",
                                        [ARCH_ROPE_LINEAR] = "linear",
                                        [ARCH_ROPE_LLAMA3] = "llama3",
                                        [ARCH_ROPE_DIVISORS] = "divisors"};
    return names[kind];
}

/* What a session for one sequence of the whole context books. */
struct memory_need {
    int64_t context;
    enum llama_compute compute;
    enum dtype kv;
    uint64_t weight_bytes, kv_bytes, activation_bytes; /* weights as they are packed, not as the file has them */
};

static enum llama_compute chosen_compute(const struct cmd_model *m, const struct conf *c) {
    const enum llama_compute asked = cmd_model_compute(c);
    if (asked != LLAMA_COMPUTE_DEFAULT) return asked;
    const struct arch_config *config = model_files_config(m->files);
    for (enum arch_weight w = ARCH_W_NONE + 1; w < ARCH_W_COUNT; w++)
        if (arch_weight_exists(config, w) && arch_weight_row(w)->is_matrix &&
            model_files_tensor(m->files, w, 0).dtype != DTYPE_F32)
            return LLAMA_COMPUTE_BF16;
    return LLAMA_COMPUTE_F32;
}

static cria_status find_need(const struct cmd_model *m, const struct conf *c, struct memory_need *ret,
                             struct cria_error *err) {
    struct memory_need need = {.compute = chosen_compute(m, c), .kv = cmd_model_kv(c)};
    cria_status status = cmd_model_context(m, c, &need.context, err);
    if (status != CRIA_OK) return status;
    if (need.kv == DTYPE_NONE) need.kv = need.compute == LLAMA_COMPUTE_F32 ? DTYPE_F32 : DTYPE_BF16;
    const int rows = need.context < PREFILL_ROWS ? (int)need.context : PREFILL_ROWS;
    const struct llama_session_options options = {.kv_dtype = need.kv,
                                                  .max_rows = rows,
                                                  .max_logits = 1,
                                                  .kv_tokens = need.context,
                                                  .max_sequences = 1,
                                                  .max_context = need.context};
    status = llama_session_bytes(model_files_config(m->files), need.compute, &options, &need.kv_bytes,
                                 &need.activation_bytes, err);
    if (status == CRIA_OK) status = llama_weights_bytes(m->files, need.compute, &need.weight_bytes, err);
    if (status == CRIA_OK) *ret = need;
    return status;
}

static const char *compute_name(enum llama_compute compute) { return compute == LLAMA_COMPUTE_F32 ? "f32" : "bf16"; }

static void json_int(json_writer *w, const char *key, int64_t value) {
    json_write_key(w, key);
    json_write_i64(w, value);
}

static void json_string(json_writer *w, const char *key, const char *value) {
    json_write_key(w, key);
    if (value) json_write_text(w, value);
    else json_write_null(w);
}

static void json_rope(json_writer *w, const struct arch_rope *rope) {
    json_write_key(w, "rope");
    json_write_begin_object(w);
    json_string(w, "kind", rope_name(rope->kind));
    json_write_key(w, "theta");
    json_write_f64(w, rope->theta);
    if (rope->kind == ARCH_ROPE_LINEAR || rope->kind == ARCH_ROPE_LLAMA3) {
        json_write_key(w, "factor");
        json_write_f64(w, rope->factor);
    }
    if (rope->kind == ARCH_ROPE_LLAMA3) {
        json_write_key(w, "low_factor");
        json_write_f64(w, rope->low_factor);
        json_write_key(w, "high_factor");
        json_write_f64(w, rope->high_factor);
        json_int(w, "original_context", rope->original_context);
    }
    json_write_end_object(w);
}

static void json_config(json_writer *w, const struct arch_config *config) {
    json_write_key(w, "config");
    json_write_begin_object(w);
    json_string(w, "name", config->name);
    json_int(w, "d_model", config->d_model);
    json_int(w, "n_layers", config->n_layers);
    json_int(w, "n_heads", config->n_heads);
    json_int(w, "n_kv_heads", config->n_kv_heads);
    json_int(w, "head_size", config->head_size);
    json_int(w, "d_ff", config->d_ff);
    json_int(w, "n_vocab", config->n_vocab);
    json_int(w, "n_context", config->n_context);
    json_write_key(w, "norm_eps");
    json_write_f64(w, config->norm_eps);
    json_write_key(w, "tied");
    json_write_bool(w, config->tied);
    json_rope(w, &config->rope);
    json_int(w, "bos_id", config->bos_id);
    json_write_key(w, "stop_ids");
    json_write_begin_array(w);
    for (int i = 0; i < config->n_stop_ids; i++) json_write_i64(w, config->stop_ids[i]);
    json_write_end_array(w);
    json_int(w, "parameters", arch_parameters(config));
    json_write_end_object(w);
}

static void json_tensors(json_writer *w, const struct cmd_model *m) {
    const struct arch_config *config = model_files_config(m->files);
    json_write_key(w, "tensors");
    json_write_begin_array(w);
    for (enum arch_weight weight = ARCH_W_NONE + 1; weight < ARCH_W_COUNT; weight++) {
        if (!arch_weight_exists(config, weight)) continue;
        const int64_t n_layers = arch_weight_row(weight)->per_layer ? config->n_layers : 1;
        for (int layer = 0; layer < n_layers; layer++) {
            const struct model_tensor t = model_files_tensor(m->files, weight, layer);
            json_write_begin_object(w);
            json_string(w, "name", t.name);
            json_string(w, "dtype", dtype_name(t.dtype));
            json_int(w, "rows", t.n_rows);
            json_int(w, "columns", t.n_columns);
            json_int(w, "bytes", (int64_t)t.n_bytes);
            json_write_end_object(w);
        }
    }
    json_write_end_array(w);
}

static void json_memory(json_writer *w, const struct memory_need *need) {
    json_write_key(w, "memory");
    json_write_begin_object(w);
    json_string(w, "compute", compute_name(need->compute));
    json_string(w, "kv", need->kv == DTYPE_F32 ? "f32" : "bf16");
    json_int(w, "context", need->context);
    json_int(w, "weight_bytes", (int64_t)need->weight_bytes);
    json_int(w, "kv_bytes", (int64_t)need->kv_bytes);
    json_int(w, "activation_bytes", (int64_t)need->activation_bytes);
    json_write_end_object(w);
}

static void json_tokenizer(json_writer *w, const tokenizer *t) {
    int32_t stop_ids[ARCH_MAX_STOP_IDS];
    json_write_key(w, "tokenizer");
    if (!t) {
        json_write_null(w);
        return;
    }
    json_write_begin_object(w);
    json_string(w, "kind", tokenizer_kind(t));
    json_int(w, "size", tokenizer_size(t));
    json_int(w, "bos_id", tokenizer_bos(t));
    json_int(w, "eos_id", tokenizer_eos(t));
    json_write_key(w, "adds_bos");
    json_write_bool(w, tokenizer_adds_bos(t));
    json_write_key(w, "stop_ids");
    json_write_begin_array(w);
    const int n = tokenizer_stop_ids(t, stop_ids, ARCH_MAX_STOP_IDS);
    for (int i = 0; i < n; i++) json_write_i64(w, stop_ids[i]);
    json_write_end_array(w);
    json_write_end_object(w);
}

static void json_notes(json_writer *w, const struct cmd_model *m) {
    json_write_key(w, "notes");
    json_write_begin_array(w);
    for (int i = 0; model_files_note(m->files, i); i++) json_write_text(w, model_files_note(m->files, i));
    for (int i = 0; m->tok && tokenizer_note(m->tok, i); i++) json_write_text(w, tokenizer_note(m->tok, i));
    json_write_end_array(w);
}

static void inspect_json(struct buffer *out, const struct cmd_model *m, const struct memory_need *need,
                         const char *sha256) {
    json_writer w = json_writer_make(out);
    json_write_begin_object(&w);
    json_string(&w, "path", m->path);
    json_string(&w, "kind", model_files_kind(m->files));
    json_int(&w, "bytes", (int64_t)model_files_bytes(m->files));
    if (sha256) json_string(&w, "weights_sha256", sha256);
    json_config(&w, model_files_config(m->files));
    json_memory(&w, need);
    json_tokenizer(&w, m->tok);
    json_string(&w, "template", model_files_template(m->files));
    json_notes(&w, m);
    json_tensors(&w, m);
    json_write_end_object(&w);
    buffer_append_char(out, '\n');
}

static void page_config(struct buffer *out, const struct arch_config *config) {
    buffer_append_format(out, "\nConfiguration\n");
    buffer_append_format(out, "  parameters    %.1f million\n", (double)arch_parameters(config) * 1e-6);
    buffer_append_format(out, "  layers        %" PRId64 " of width %" PRId64 ", feed-forward %" PRId64 "\n",
                         config->n_layers, config->d_model, config->d_ff);
    buffer_append_format(out, "  heads         %" PRId64 " of size %" PRId64 ", %" PRId64 " for keys and values\n",
                         config->n_heads, config->head_size, config->n_kv_heads);
    buffer_append_format(out, "  vocabulary    %" PRId64 "%s\n", config->n_vocab,
                         config->tied ? ", embedding and head tied" : "");
    buffer_append_format(out, "  context       %" PRId64 " tokens\n", config->n_context);
    buffer_append_format(out, "  rotation      %s, theta %g", rope_name(config->rope.kind), config->rope.theta);
    if (config->rope.kind == ARCH_ROPE_LINEAR || config->rope.kind == ARCH_ROPE_LLAMA3)
        buffer_append_format(out, ", factor %g", config->rope.factor);
    buffer_append_format(out, "\n  norm epsilon  %g\n", config->norm_eps);
}

static void page_tensor(struct buffer *out, const struct model_tensor *t, int64_t n, const char *name) {
    char size[32];
    cmd_bytes_text((uint64_t)n * t->n_bytes, size);
    buffer_append_format(out, "  %-13s %4" PRId64 " of %6" PRId64 " x %-6" PRId64 "  %-5s %10s\n", name, n, t->n_rows,
                         t->n_columns, dtype_name(t->dtype), size);
}

static void page_tensors(struct buffer *out, const struct cmd_model *m, bool each) {
    const struct arch_config *config = model_files_config(m->files);
    buffer_append_text(out, "\nTensors\n");
    for (enum arch_weight w = ARCH_W_NONE + 1; w < ARCH_W_COUNT; w++) {
        if (!arch_weight_exists(config, w)) continue;
        const int64_t n_layers = arch_weight_row(w)->per_layer ? config->n_layers : 1;
        /* Files may store layers in different formats: a row for each run of equal ones. */
        for (int layer = 0, first = 0; layer < n_layers; layer++) {
            const struct model_tensor t = model_files_tensor(m->files, w, layer);
            const bool is_last =
                each || layer + 1 == n_layers || model_files_tensor(m->files, w, layer + 1).dtype != t.dtype;
            if (!is_last) continue;
            page_tensor(out, &t, layer - first + 1, each ? t.name : arch_weight_row(w)->name);
            first = layer + 1;
        }
    }
}

static void page_memory(struct buffer *out, const struct memory_need *need) {
    char weights[32], kv[32], activations[32], all[32];
    cmd_bytes_text(need->weight_bytes, weights);
    cmd_bytes_text(need->kv_bytes, kv);
    cmd_bytes_text(need->activation_bytes, activations);
    cmd_bytes_text(need->weight_bytes + need->kv_bytes + need->activation_bytes, all);
    buffer_append_format(out, "\nMemory (compute %s, one sequence of %" PRId64 " tokens)\n",
                         compute_name(need->compute), need->context);
    buffer_append_format(out, "  weights       %s\n  keys, values  %s (%s)\n  activations   %s\n  together      %s\n",
                         weights, kv, need->kv == DTYPE_F32 ? "f32" : "bf16", activations, all);
}

static void page_tokenizer(struct buffer *out, const tokenizer *t) {
    int32_t stop_ids[ARCH_MAX_STOP_IDS];
    buffer_append_text(out, "\nTokenizer\n");
    if (!t) {
        buffer_append_text(out, "  none: the model runs by token ids\n");
        return;
    }
    buffer_append_format(out, "  kind          %s\n  size          %d\n", tokenizer_kind(t), tokenizer_size(t));
    buffer_append_format(out, "  begin of text %" PRId64 "%s\n  stop tokens  ", tokenizer_bos(t),
                         tokenizer_adds_bos(t) ? ", put in front" : "");
    const int n = tokenizer_stop_ids(t, stop_ids, ARCH_MAX_STOP_IDS);
    for (int i = 0; i < n; i++) {
        const struct text_span token = tokenizer_token(t, stop_ids[i]);
        buffer_append_format(out, " %d %.*s", stop_ids[i], (int)token.n, token.bytes);
    }
    buffer_append_char(out, '\n');
}

static void page_template(struct buffer *out, const char *source) {
    buffer_append_text(out, "\nChat template\n");
    if (!source) buffer_append_text(out, "  none\n");
    for (const char *p = source ? source : ""; *p;) {
        const size_t n = strcspn(p, "\n");
        buffer_append_format(out, "  %.*s\n", (int)n, p);
        p += n + (p[n] == '\n');
    }
}

static void inspect_page(struct buffer *out, const struct cmd_model *m, const struct conf *c,
                         const struct memory_need *need, const char *sha256) {
    const struct arch_config *config = model_files_config(m->files);
    char size[32];
    cmd_bytes_text(model_files_bytes(m->files), size);
    buffer_append_format(out, "%s\n  %s, %s\n  %s\n", config->name, model_files_kind(m->files), size, m->path);
    if (sha256) buffer_append_format(out, "  every weight is finite; SHA-256 of the weights %s\n", sha256);
    page_config(out, config);
    page_tensors(out, m, conf_flag(c, CONF_TENSORS));
    page_memory(out, need);
    page_tokenizer(out, m->tok);
    page_template(out, model_files_template(m->files));
    if (model_files_note(m->files, 0) || (m->tok && tokenizer_note(m->tok, 0))) buffer_append_text(out, "\nNotes\n");
    for (int i = 0; model_files_note(m->files, i); i++)
        buffer_append_format(out, "  %s\n", model_files_note(m->files, i));
    for (int i = 0; m->tok && tokenizer_note(m->tok, i); i++)
        buffer_append_format(out, "  %s\n", tokenizer_note(m->tok, i));
}

cria_status cmd_inspect(const struct conf *c, struct cria_error *err) {
    struct cmd_model m = {0};
    struct memory_need need = {0};
    struct buffer out = buffer_make(MAX_PAGE_BYTES);
    uint8_t sum[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];
    /* The digest reads every weight, as the check does; it comes with it. */
    const bool reads_all = conf_flag(c, CONF_CHECK_TENSORS);
    cria_status status;
    TRY(cmd_model_open(&m, c, false, err));
    TRY(find_need(&m, c, &need, err));
    if (reads_all) {
        TRY(model_files_digest(m.files, sum, err));
        digest_hex(sum, hex);
    }
    if (conf_flag(c, CONF_JSON)) inspect_json(&out, &m, &need, reads_all ? hex : NULL);
    else inspect_page(&out, &m, c, &need, reads_all ? hex : NULL);
    TRY(cmd_write_buffer(&out, err));
out:
    buffer_free(&out);
    cmd_model_close(&m);
    return status;
}
