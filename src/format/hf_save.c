/* hf_save.c: see hf_save.h. */
#include "format/hf_save.h"

#include "base/checked.h"
#include "base/json.h"

static void write_number(json_writer *w, const char *key, double value) {
    json_write_key(w, key);
    json_write_f64(w, value);
}

static void write_integer(json_writer *w, const char *key, int64_t value) {
    json_write_key(w, key);
    json_write_i64(w, value);
}

static void write_word(json_writer *w, const char *key, const char *value) {
    json_write_key(w, key);
    json_write_text(w, value);
}

static void write_flag(json_writer *w, const char *key, bool value) {
    json_write_key(w, key);
    json_write_bool(w, value);
}

static void write_ends(json_writer *w, const struct arch_config *c) {
    if (c->bos_id >= 0) write_integer(w, "bos_token_id", c->bos_id);
    if (c->n_stop_ids == 0) return;
    json_write_key(w, "eos_token_id");
    if (c->n_stop_ids > 1) json_write_begin_array(w);
    for (int i = 0; i < c->n_stop_ids; i++) json_write_i64(w, c->stop_ids[i]);
    if (c->n_stop_ids > 1) json_write_end_array(w);
}

static void write_rope(json_writer *w, const struct arch_rope *r) {
    write_number(w, "rope_theta", r->theta);
    json_write_key(w, "rope_scaling");
    if (r->kind == ARCH_ROPE_PLAIN) {
        json_write_null(w);
        return;
    }
    const bool is_llama3 = r->kind == ARCH_ROPE_LLAMA3;
    json_write_begin_object(w);
    write_word(w, "rope_type", is_llama3 ? "llama3" : "linear");
    write_number(w, "factor", r->factor);
    if (is_llama3) {
        write_number(w, "low_freq_factor", r->low_factor);
        write_number(w, "high_freq_factor", r->high_factor);
        write_integer(w, "original_max_position_embeddings", r->original_context);
    }
    json_write_end_object(w);
}

cria_status hf_save_config(struct buffer *out, const struct arch_config *c, struct cria_error *err) {
    if (c->rope.kind != ARCH_ROPE_PLAIN && c->rope.kind != ARCH_ROPE_LINEAR && c->rope.kind != ARCH_ROPE_LLAMA3)
        return ERROR_SET(err, CRIA_UNSUPPORTED,
                         "the model turns its heads by a list of divisors, which a config.json cannot say");
    json_writer w = json_writer_make(out);
    json_write_begin_object(&w);
    json_write_key(&w, "architectures");
    json_write_begin_array(&w);
    json_write_text(&w, "LlamaForCausalLM");
    json_write_end_array(&w);
    write_word(&w, "model_type", "llama");
    write_word(&w, "torch_dtype", "float32");
    write_word(&w, "hidden_act", "silu");
    write_integer(&w, "hidden_size", c->d_model);
    write_integer(&w, "intermediate_size", c->d_ff);
    write_integer(&w, "num_hidden_layers", c->n_layers);
    write_integer(&w, "num_attention_heads", c->n_heads);
    write_integer(&w, "num_key_value_heads", c->n_kv_heads);
    write_integer(&w, "head_dim", c->head_size);
    write_integer(&w, "vocab_size", c->n_vocab);
    write_integer(&w, "max_position_embeddings", c->n_context);
    write_number(&w, "rms_norm_eps", c->norm_eps);
    write_flag(&w, "tie_word_embeddings", c->tied);
    write_flag(&w, "attention_bias", false);
    write_flag(&w, "mlp_bias", false);
    write_rope(&w, &c->rope);
    write_ends(&w, c);
    json_write_end_object(&w);
    buffer_append_char(out, '\n');
    return buffer_status(out, "config.json", err);
}

cria_status hf_save_generation(struct buffer *out, const struct arch_config *c, struct cria_error *err) {
    json_writer w = json_writer_make(out);
    json_write_begin_object(&w);
    write_ends(&w, c);
    json_write_end_object(&w);
    buffer_append_char(out, '\n');
    return buffer_status(out, "generation_config.json", err);
}

static cria_status write_tensor(json_writer *w, const struct hf_save_tensor *t, size_t *at, struct cria_error *err) {
    size_t bytes, end;
    if (checked_mul_size((size_t)t->n_rows, (size_t)t->n_columns, &bytes) ||
        checked_mul_size(bytes, sizeof(float), &bytes) || checked_add_size(*at, bytes, &end) || end > INT64_MAX)
        return ERROR_SET(err, CRIA_LIMIT, "tensor \"%s\" ends beyond what a file holds", t->name);
    json_write_key(w, t->name);
    json_write_begin_object(w);
    write_word(w, "dtype", "F32");
    json_write_key(w, "shape");
    json_write_begin_array(w);
    if (t->is_matrix) json_write_i64(w, t->n_rows);
    json_write_i64(w, t->n_columns);
    json_write_end_array(w);
    json_write_key(w, "data_offsets");
    json_write_begin_array(w);
    json_write_u64(w, *at);
    json_write_u64(w, end);
    json_write_end_array(w);
    json_write_end_object(w);
    *at = end;
    return CRIA_OK;
}

/* The text is padded with blanks so that the numbers begin at a multiple of 64. */
cria_status hf_save_header(struct buffer *out, const struct hf_save_tensor *tensors, int n, struct cria_error *err) {
    cria_status status;
    size_t at = 0;
    struct buffer text = buffer_make(out->max_bytes);
    json_writer w = json_writer_make(&text);
    json_write_begin_object(&w);
    json_write_key(&w, "__metadata__");
    json_write_begin_object(&w);
    write_word(&w, "format", "pt"); /* the reference library asks for it */
    json_write_end_object(&w);
    for (int i = 0; i < n; i++) TRY(write_tensor(&w, &tensors[i], &at, err));
    json_write_end_object(&w);
    while (text.status == CRIA_OK && (text.n_bytes + 8) % 64) buffer_append_char(&text, ' ');
    TRY(buffer_status(&text, "the header of a safetensors file", err));
    for (int i = 0; i < 8; i++) buffer_append_char(out, (char)((uint64_t)text.n_bytes >> (8 * i)));
    buffer_append(out, text.data, text.n_bytes);
    TRY(buffer_status(out, "the header of a safetensors file", err));
out:
    buffer_free(&text);
    return status;
}
