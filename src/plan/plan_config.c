/* plan_config.c: models from Hugging Face's config.json (see planner.h).
 *
 * Reads what the planner needs, under the several names that families give it; what it does not know it passes over.
 * Where a file describes more than text, the text part (text_config) counts. */
#include <string.h>

#include "arch/limits.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "plan/planner.h"

/* What the file says, before the relations between its figures are known; 0: not given. */
struct figures {
    int64_t d_model, n_layers, n_heads, n_kv_heads, head_size, d_ff, n_vocab, n_context;
    int64_t n_experts, n_active_experts, d_expert, n_shared, d_shared, first_dense, moe_step;
    int64_t q_rank, kv_rank, rope_size, nope_size, value_size, window, window_step, n_mtp, n_groups, n_routed_groups;
    bool is_tied, is_plain, uses_window, has_layer_types, has_sinks;
    int64_t n_window_layers;
};

static const struct {
    const char *key;
    size_t offset;
} counts[] = {
#define COUNT(key, member) \
    { key, offsetof(struct figures, member) }
    COUNT("hidden_size", d_model),
    COUNT("n_embd", d_model),
    COUNT("d_model", d_model),
    COUNT("num_hidden_layers", n_layers),
    COUNT("n_layer", n_layers),
    COUNT("n_layers", n_layers),
    COUNT("num_attention_heads", n_heads),
    COUNT("n_head", n_heads),
    COUNT("n_heads", n_heads),
    COUNT("num_key_value_heads", n_kv_heads),
    COUNT("head_dim", head_size),
    COUNT("intermediate_size", d_ff),
    COUNT("n_inner", d_ff),
    COUNT("intermediate_size_mlp", d_ff),
    COUNT("vocab_size", n_vocab),
    COUNT("max_position_embeddings", n_context),
    COUNT("n_positions", n_context),
    COUNT("num_local_experts", n_experts),
    COUNT("num_experts", n_experts),
    COUNT("n_routed_experts", n_experts),
    COUNT("num_experts_per_tok", n_active_experts),
    COUNT("num_experts_per_token", n_active_experts),
    COUNT("moe_intermediate_size", d_expert),
    COUNT("n_shared_experts", n_shared),
    COUNT("shared_expert_intermediate_size", d_shared),
    COUNT("first_k_dense_replace", first_dense),
    COUNT("interleave_moe_layer_step", moe_step),
    COUNT("decoder_sparse_step", moe_step),
    COUNT("q_lora_rank", q_rank),
    COUNT("kv_lora_rank", kv_rank),
    COUNT("qk_rope_head_dim", rope_size),
    COUNT("qk_nope_head_dim", nope_size),
    COUNT("v_head_dim", value_size),
    COUNT("sliding_window", window),
    COUNT("sliding_window_pattern", window_step),
    COUNT("num_nextn_predict_layers", n_mtp),
    COUNT("n_group", n_groups),
    COUNT("topk_group", n_routed_groups),
#undef COUNT
};

static cria_status read_count(json_reader *r, int64_t *at, struct cria_error *err) {
    if (json_peek(r) != JSON_NUMBER) return json_skip(r, err);
    struct json_text number;
    cria_status status = json_read_number(r, &number, err);
    if (status != CRIA_OK) return status;
    double x = json_number_value(number);
    if (!(x >= 0 && x <= 1e12)) return json_fail(r, err, "expected a count, found %.*s", (int)number.n, number.bytes);
    *at = (int64_t)x;
    return CRIA_OK;
}

static cria_status read_flag(json_reader *r, bool *at, struct cria_error *err) {
    return json_peek(r) == JSON_BOOL ? json_read_bool(r, at, err) : json_skip(r, err);
}

/* "layer_types": which layers have a window. */
static cria_status read_layer_types(json_reader *r, struct figures *f, struct cria_error *err) {
    cria_status status = CRIA_OK;
    if (json_peek(r) != JSON_ARRAY) return json_skip(r, err);
    f->has_layer_types = true;
    TRY(json_begin_array(r, err));
    for (bool more;;) {
        TRY(json_next_element(r, &more, err));
        if (!more) break;
        struct json_text word;
        TRY(json_read_string(r, &word, err));
        if (json_text_is(word, "sliding_attention") || json_text_is(word, "chunked_attention")) f->n_window_layers++;
    }
out:
    return status;
}

/* Activations of two matrices: GPT and its kin name them without a gate. */
static cria_status read_kind(json_reader *r, struct figures *f, struct cria_error *err) {
    if (json_peek(r) != JSON_STRING) return json_skip(r, err);
    struct json_text word;
    cria_status status = json_read_string(r, &word, err);
    static const char *const plain[] = {"gpt2", "gpt_neox", "opt", "bloom", "mpt", "falcon", "nemotron", "phi", "gptj"};
    if (status == CRIA_OK && json_text_is(word, "gpt_oss")) f->has_sinks = true;
    for (size_t i = 0; status == CRIA_OK && i < sizeof plain / sizeof plain[0]; i++)
        if (json_text_is(word, plain[i])) f->is_plain = true;
    return status;
}

static cria_status read_member(json_reader *r, struct json_text key, struct figures *f, struct cria_error *err) {
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        if (json_text_is(key, counts[i].key)) return read_count(r, (int64_t *)((char *)f + counts[i].offset), err);
    if (json_text_is(key, "tie_word_embeddings")) return read_flag(r, &f->is_tied, err);
    if (json_text_is(key, "use_sliding_window")) return read_flag(r, &f->uses_window, err);
    if (json_text_is(key, "layer_types")) return read_layer_types(r, f, err);
    if (json_text_is(key, "model_type")) return read_kind(r, f, err);
    return json_skip(r, err);
}

static cria_status read_object(json_reader *r, struct figures *f, bool is_whole, struct cria_error *err) {
    cria_status status = CRIA_OK;
    TRY(json_begin_object(r, err));
    for (bool more;;) {
        struct json_text key;
        TRY(json_next_key(r, &key, &more, err));
        if (!more) break;
        if (is_whole && json_text_is(key, "text_config") && json_peek(r) == JSON_OBJECT)
            TRY(read_object(r, f, false, err));
        else TRY(read_member(r, key, f, err));
    }
out:
    return status;
}

static void model_of(const struct figures *f, struct plan_model *m) {
    *m = (struct plan_model){
        .d_model = f->d_model,
        .n_layers = f->n_layers,
        .n_heads = f->n_heads,
        .n_kv_heads = f->n_kv_heads ? f->n_kv_heads : f->n_heads,
        .head_size = f->nope_size && f->kv_rank ? f->nope_size
                     : f->head_size             ? f->head_size
                     : f->n_heads > 0           ? f->d_model / f->n_heads
                                                : 0,
        .d_ff = f->d_ff                    ? f->d_ff
                : f->d_model > LIMIT_WIDTH ? 0
                                           : 4 * f->d_model,
        .n_vocab = f->n_vocab,
        .n_context = f->n_context,
        .is_gated = !f->is_plain,
        .is_tied = f->is_tied,
        .q_rank = f->q_rank,
        .kv_rank = f->kv_rank,
        .rope_size = f->rope_size,
        .value_size = f->value_size ? f->value_size : f->nope_size,
        .n_mtp_layers = f->n_mtp,
        .has_sinks = f->has_sinks,
    };
}

static void add_experts(const struct figures *f, struct plan_model *m) {
    m->n_experts = f->n_experts;
    m->n_active_experts = f->n_active_experts ? f->n_active_experts : 1;
    m->d_expert = f->d_expert ? f->d_expert : f->d_ff;
    m->d_shared = f->d_shared ? f->d_shared : f->n_shared <= 64 ? f->n_shared * m->d_expert : 0;
    m->n_dense_layers = f->first_dense;
    if (f->n_groups > 1) m->n_routed_groups = f->n_routed_groups;
    if (f->moe_step > 1 && !f->first_dense) m->n_dense_layers = f->n_layers - f->n_layers / f->moe_step;
}

cria_status plan_model_from_json(const char *text, size_t n, struct plan_model *ret, struct cria_error *err) {
    cria_status status = CRIA_OK;
    struct figures f = {.uses_window = true};
    struct plan_model m;
    json_reader *r = ALLOC_NEW(json_reader);
    if (!r) return ERROR_NOMEM(err, sizeof *r, "a JSON reader");
    json_reader_init(r, text, n);
    TRY(read_object(r, &f, true, err));
    TRY(json_end(r, err));
    model_of(&f, &m);
    if (f.n_experts) add_experts(&f, &m);
    if (f.window && f.uses_window) {
        m.window = f.window;
        m.n_window_layers = f.has_layer_types   ? f.n_window_layers
                            : f.window_step > 1 ? f.n_layers - f.n_layers / f.window_step
                                                : f.n_layers;
    }
    TRY(plan_model_check(&m, err));
    *ret = m;
out:
    json_reader_deinit(r);
    alloc_free(r);
    return status;
}

cria_status plan_model_open(const char *name_or_path, struct plan_model *ret, struct cria_error *err) {
    cria_status status = CRIA_OK;
    char *path = NULL, *text = NULL;
    if (!file_is_folder(name_or_path) && !file_exists(name_or_path)) return plan_model_preset(name_or_path, ret, err);
    path = file_is_folder(name_or_path) ? file_join(name_or_path, "config.json")
                                        : alloc_text(name_or_path, strlen(name_or_path));
    if (!path) return ERROR_NOMEM(err, strlen(name_or_path), "a path");
    size_t n;
    TRY(file_read(path, LIMIT_CONFIG_BYTES, &text, &n, err));
    status = plan_model_from_json(text, n, ret, err);
    if (status != CRIA_OK) error_prefix(err, "%s", path);
out:
    alloc_free(text);
    alloc_free(path);
    return status;
}
