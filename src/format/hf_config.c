/* hf_config.c: see hf_config.h. */
#include "format/hf_config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "arch/limits.h"

enum integer { WIDTH, LAYERS, HEADS, KV_HEADS, HEAD_SIZE, FF_WIDTH, VOCAB, CONTEXT, WINDOW, INTEGER_COUNT };
static const char *const integer_names[INTEGER_COUNT] = {
    "hidden_size",       "num_hidden_layers", "num_attention_heads",     "num_key_value_heads", "head_dim",
    "intermediate_size", "vocab_size",        "max_position_embeddings", "sliding_window",
};
enum flag { TIED, ATTENTION_BIAS, MLP_BIAS, INTERLEAVED, USES_WINDOW, FLAG_COUNT };
static const char *const flag_names[FLAG_COUNT] = {
    "tie_word_embeddings", "attention_bias", "mlp_bias", "rope_interleaved", "use_sliding_window",
};
enum number { EPS, THETA, PARTIAL, NUMBER_COUNT };
static const char *const number_names[NUMBER_COUNT] = {"rms_norm_eps", "rope_theta", "partial_rotary_factor"};
enum word { MODEL_TYPE, ACTIVATION, OLD_DTYPE, DTYPE, WORD_COUNT };
static const char *const word_names[WORD_COUNT] = {"model_type", "hidden_act", "torch_dtype", "dtype"};
#define WORD_BYTES 64

/* What the file says; null counts as not said. */
struct raw {
    int64_t integers[INTEGER_COUNT];    /* -1: not said */
    int flags[FLAG_COUNT];              /* -1: not said */
    double numbers[NUMBER_COUNT];       /* NaN: not said */
    char words[WORD_COUNT][WORD_BYTES]; /* empty: not said */
    char architecture[WORD_BYTES];      /* the first; empty: not said */
    char quantization[WORD_BYTES];      /* the method, "unknown"; empty: none */
    struct hf_rope scaling, parameters;
    bool has_scaling, has_parameters;
    int64_t bos_id, stop_ids[ARCH_MAX_STOP_IDS];
    int n_stop_ids;
};

static cria_status read_text(json_reader *r, char out[WORD_BYTES], struct cria_error *err) {
    struct json_text text;
    const cria_status status = json_read_string(r, &text, err);
    if (status != CRIA_OK) return status;
    if (text.n >= WORD_BYTES || memchr(text.bytes, 0, text.n))
        return json_fail(r, err, "a name of more than %d bytes", WORD_BYTES - 1);
    memcpy(out, text.bytes, text.n);
    out[text.n] = '\0';
    return CRIA_OK;
}

static cria_status read_architectures(json_reader *r, struct raw *raw, struct cria_error *err) {
    cria_status status;
    bool more = false;
    TRY(json_begin_array(r, err));
    for (;;) {
        char name[WORD_BYTES];
        TRY(json_next_element(r, &more, err));
        if (!more) break;
        TRY(read_text(r, name, err));
        if (!raw->architecture[0]) memcpy(raw->architecture, name, sizeof name);
    }
out:
    return status;
}

static cria_status read_quantization(json_reader *r, struct raw *raw, struct cria_error *err) {
    cria_status status;
    bool more = false;
    struct json_text key;
    snprintf(raw->quantization, sizeof raw->quantization, "unknown");
    TRY(json_begin_object(r, err));
    for (;;) {
        TRY(json_next_key(r, &key, &more, err));
        if (!more) break;
        if (json_text_is(key, "quant_method")) {
            TRY(read_text(r, raw->quantization, err));
        } else {
            TRY(json_skip(r, err));
        }
    }
out:
    return status;
}

static cria_status add_stop_id(json_reader *r, int64_t *ids, int *n, struct cria_error *err) {
    int64_t id = 0;
    const cria_status status = json_read_i64(r, 0, INT32_MAX, &id, err);
    if (status != CRIA_OK) return status;
    for (int i = 0; i < *n; i++) {
        if (ids[i] == id) return CRIA_OK;
    }
    if (*n == ARCH_MAX_STOP_IDS) return json_fail(r, err, "more than %d end-of-text ids", ARCH_MAX_STOP_IDS);
    ids[(*n)++] = id;
    return CRIA_OK;
}

/* An id, a list of ids, or null. */
static cria_status read_stop_ids(json_reader *r, int64_t *ids, int *n, struct cria_error *err) {
    cria_status status;
    bool more = false;
    if (json_peek(r) == JSON_NULL) return json_read_null(r, err);
    if (json_peek(r) != JSON_ARRAY) return add_stop_id(r, ids, n, err);
    TRY(json_begin_array(r, err));
    for (;;) {
        TRY(json_next_element(r, &more, err));
        if (!more) break;
        TRY(add_stop_id(r, ids, n, err));
    }
out:
    return status;
}

/* The index of key in names, -1 where it is none of them. */
static int find(struct json_text key, const char *const *names, int n) {
    for (int i = 0; i < n; i++) {
        if (json_text_is(key, names[i])) return i;
    }
    return -1;
}

static cria_status read_field(json_reader *r, struct json_text key, struct raw *raw, struct cria_error *err) {
    int i;
    if (json_text_is(key, "rope_scaling")) return hf_rope_read(r, &raw->scaling, &raw->has_scaling, err);
    if (json_text_is(key, "rope_parameters")) return hf_rope_read(r, &raw->parameters, &raw->has_parameters, err);
    if (json_text_is(key, "eos_token_id")) return read_stop_ids(r, raw->stop_ids, &raw->n_stop_ids, err);
    if (json_peek(r) == JSON_NULL) return json_read_null(r, err);
    if (json_text_is(key, "bos_token_id")) return json_read_i64(r, 0, INT32_MAX, &raw->bos_id, err);
    if (json_text_is(key, "architectures")) return read_architectures(r, raw, err);
    if (json_text_is(key, "quantization_config")) return read_quantization(r, raw, err);
    if ((i = find(key, integer_names, INTEGER_COUNT)) >= 0)
        return json_read_i64(r, 0, INT64_MAX, &raw->integers[i], err);
    if ((i = find(key, number_names, NUMBER_COUNT)) >= 0) return json_read_f64(r, &raw->numbers[i], err);
    if ((i = find(key, word_names, WORD_COUNT)) >= 0) return read_text(r, raw->words[i], err);
    if ((i = find(key, flag_names, FLAG_COUNT)) >= 0) {
        bool value = false;
        const cria_status status = json_read_bool(r, &value, err);
        if (status == CRIA_OK) raw->flags[i] = value;
        return status;
    }
    return json_skip(r, err);
}

static cria_status read_raw(const char *text, size_t n, struct raw *raw, struct cria_error *err) {
    cria_status status;
    json_reader r;
    bool more = false;
    struct json_text key;
    *raw = (struct raw){.bos_id = -1};
    for (int i = 0; i < INTEGER_COUNT; i++) raw->integers[i] = -1;
    for (int i = 0; i < FLAG_COUNT; i++) raw->flags[i] = -1;
    for (int i = 0; i < NUMBER_COUNT; i++) raw->numbers[i] = (double)NAN;
    json_reader_init(&r, text, n);
    TRY(json_begin_object(&r, err));
    for (;;) {
        TRY(json_next_key(&r, &key, &more, err));
        if (!more) break;
        status = read_field(&r, key, raw, err);
        if (status != CRIA_OK) {
            error_prefix(err, "\"%.*s\"", (int)(key.n < 64 ? key.n : 64), key.bytes);
            goto out;
        }
    }
    TRY(json_end(&r, err));
out:
    json_reader_deinit(&r);
    return status;
}

/* Mistral is the same mathematics where it has no window; its absent window means one of 4,096. */
static cria_status check_family(const struct raw *raw, struct cria_error *err) {
    const char *type = raw->words[MODEL_TYPE], *class_name = raw->architecture;
    const bool is_llama = strcmp(type, "llama") == 0, is_mistral = strcmp(type, "mistral") == 0;
    if (!type[0]) return ERROR_SET(err, CRIA_FORMAT, "\"model_type\" is missing");
    if (!is_llama && !is_mistral) {
        return ERROR_SET(err, CRIA_UNSUPPORTED, "model type \"%s\" is not supported; \"llama\" is", type);
    }
    const char *wanted = is_llama ? "LlamaForCausalLM" : "MistralForCausalLM";
    if (class_name[0] && strcmp(class_name, wanted) != 0) {
        return ERROR_SET(err, CRIA_UNSUPPORTED, "architecture \"%s\" of model type \"%s\" is not supported; \"%s\" is",
                         class_name, type, wanted);
    }
    if (raw->integers[WINDOW] >= 0 && raw->flags[USES_WINDOW] != 0) {
        return ERROR_SET(err, CRIA_UNSUPPORTED, "attention in a sliding window (of %lld tokens) is not supported",
                         (long long)raw->integers[WINDOW]);
    }
    return CRIA_OK;
}

static cria_status check_supported(const struct raw *raw, struct cria_error *err) {
    static const enum flag refused[] = {ATTENTION_BIAS, MLP_BIAS, INTERLEAVED};
    const cria_status status = check_family(raw, err);
    if (status != CRIA_OK) return status;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (raw->flags[refused[i]] == 1) {
            return ERROR_SET(err, CRIA_UNSUPPORTED, "\"%s\": true is not supported", flag_names[refused[i]]);
        }
    }
    if (raw->words[ACTIVATION][0] && strcmp(raw->words[ACTIVATION], "silu") != 0 &&
        strcmp(raw->words[ACTIVATION], "swish") != 0) {
        return ERROR_SET(err, CRIA_UNSUPPORTED, "\"hidden_act\" \"%s\" is not supported; \"silu\" is",
                         raw->words[ACTIVATION]);
    }
    if (raw->quantization[0]) {
        return ERROR_SET(err, CRIA_UNSUPPORTED, "\"quantization_config\" of method \"%s\" is not supported",
                         raw->quantization);
    }
    if (!isnan(raw->numbers[PARTIAL]) && raw->numbers[PARTIAL] != 1.0) {
        return ERROR_SET(err, CRIA_UNSUPPORTED, "partial rotation (partial_rotary_factor %g) is not supported",
                         raw->numbers[PARTIAL]);
    }
    if (raw->words[DTYPE][0] && raw->words[OLD_DTYPE][0] && strcmp(raw->words[DTYPE], raw->words[OLD_DTYPE]) != 0) {
        return ERROR_SET(err, CRIA_FORMAT, "\"dtype\" (%s) and \"torch_dtype\" (%s) contradict each other",
                         raw->words[DTYPE], raw->words[OLD_DTYPE]);
    }
    return CRIA_OK;
}

static bool same_rope(const struct arch_rope *a, const struct arch_rope *b) {
    return a->kind == b->kind && a->theta == b->theta && a->factor == b->factor && a->low_factor == b->low_factor &&
           a->high_factor == b->high_factor && a->original_context == b->original_context;
}

static cria_status resolve_rope(const struct raw *raw, struct arch_rope *ret, struct cria_error *err) {
    cria_status status;
    const double theta = raw->numbers[THETA];
    /* A theta inside either object counts for the other one too. */
    const double inner = raw->has_parameters && !isnan(raw->parameters.theta) ? raw->parameters.theta : theta;
    struct arch_rope old_form = {0};
    TRY(hf_rope_resolve(raw->has_parameters ? &raw->parameters : NULL, theta, ret, err));
    if (!raw->has_scaling) goto out;
    TRY(hf_rope_resolve(&raw->scaling, inner, &old_form, err));
    if (raw->has_parameters && !same_rope(ret, &old_form)) {
        status = ERROR_SET(err, CRIA_FORMAT, "\"rope_scaling\" and \"rope_parameters\" contradict each other");
        goto out;
    }
    *ret = old_form;
out:
    return status;
}

static cria_status check_required(const struct raw *raw, struct cria_error *err) {
    static const enum integer required[] = {WIDTH, LAYERS, HEADS, FF_WIDTH, VOCAB, CONTEXT};
    for (size_t i = 0; i < sizeof required / sizeof required[0]; i++) {
        if (raw->integers[required[i]] < 0) {
            return ERROR_SET(err, CRIA_FORMAT, "\"%s\" is missing", integer_names[required[i]]);
        }
    }
    if (isnan(raw->numbers[EPS])) return ERROR_SET(err, CRIA_FORMAT, "\"rms_norm_eps\" is missing");
    if (strcmp(raw->words[MODEL_TYPE], "mistral") == 0 && raw->integers[KV_HEADS] < 0) {
        return ERROR_SET(err, CRIA_FORMAT, "\"num_key_value_heads\" is missing");
    }
    return CRIA_OK;
}

cria_status hf_config_parse(const char *text, size_t n, struct arch_config *ret, struct cria_error *err) {
    cria_status status;
    struct raw raw;
    TRY(read_raw(text, n, &raw, err));
    TRY(check_supported(&raw, err));
    TRY(check_required(&raw, err));
    const int64_t *v = raw.integers;
    struct arch_config c = {
        .d_model = v[WIDTH],
        .n_layers = v[LAYERS],
        .n_heads = v[HEADS],
        .n_kv_heads = v[KV_HEADS] >= 0 ? v[KV_HEADS] : v[HEADS],
        .head_size = v[HEAD_SIZE],
        .d_ff = v[FF_WIDTH],
        .n_vocab = v[VOCAB],
        .n_context = v[CONTEXT],
        .norm_eps = raw.numbers[EPS],
        .tied = raw.flags[TIED] == 1,
        .bos_id = raw.bos_id,
        .n_stop_ids = raw.n_stop_ids,
    };
    memcpy(c.stop_ids, raw.stop_ids, sizeof c.stop_ids);
    if (c.head_size < 0) {
        if (c.n_heads < 1 || c.d_model % c.n_heads) {
            status =
                ERROR_SET(err, CRIA_SHAPE, "\"hidden_size\" (%lld) is no multiple of \"num_attention_heads\" (%lld)",
                          (long long)c.d_model, (long long)c.n_heads);
            goto out;
        }
        c.head_size = c.d_model / c.n_heads;
    }
    TRY(resolve_rope(&raw, &c.rope, err));
    *ret = c;
out:
    return status;
}

cria_status hf_config_add_generation(const char *text, size_t n, struct arch_config *c, struct cria_error *err) {
    cria_status status;
    json_reader r;
    bool more = false;
    struct json_text key;
    json_reader_init(&r, text, n);
    TRY(json_begin_object(&r, err));
    for (;;) {
        TRY(json_next_key(&r, &key, &more, err));
        if (!more) break;
        if (json_text_is(key, "eos_token_id")) {
            TRY(read_stop_ids(&r, c->stop_ids, &c->n_stop_ids, err));
        } else {
            TRY(json_skip(&r, err));
        }
    }
    TRY(json_end(&r, err));
out:
    json_reader_deinit(&r);
    return status;
}
