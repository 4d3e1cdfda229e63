/* gguf_config.c: hyper-parameters of the llama family from the keys of a GGUF file (docs/FORMATS.md, section "GGUF
 * keys").
 *
 * What would change the mathematics and is not supported is refused by name; what only describes is not read. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "arch/limits.h"
#include "base/utf8.h"
#include "format/model_files.h"

#define PREFIX "llama."
#define NO_ID UINT32_MAX /* how files say that there is no such token */

static const struct gguf_key *find(const struct gguf *g, const char *name) {
    char full[96];
    snprintf(full, sizeof full, PREFIX "%s", name);
    return gguf_find_key(g, full);
}

static cria_status require(const struct gguf *g, const char *name, const struct gguf_key **ret,
                           struct cria_error *err) {
    *ret = find(g, name);
    if (*ret) return CRIA_OK;
    return ERROR_SET(err, CRIA_FORMAT, "key \"" PREFIX "%s\" is missing", name);
}

/* A required integer; per layer (n_layers > 0) also an array of equal ones. */
static cria_status read_size(const struct gguf *g, const char *name, int64_t n_layers, int64_t *ret,
                             struct cria_error *err) {
    const struct gguf_key *k = NULL;
    uint64_t value = 0;
    cria_status status;
    TRY(require(g, name, &k, err));
    if (n_layers > 0) {
        TRY(gguf_read_layers_u64(g, k, (uint64_t)n_layers, INT64_MAX, &value, err));
    } else {
        TRY(gguf_read_u64(g, k, INT64_MAX, &value, err));
    }
    *ret = (int64_t)value;
out:
    return status;
}

static bool span_is(struct text_span s, const char *word) {
    return s.n == strlen(word) && memcmp(s.bytes, word, s.n) == 0;
}

static cria_status check_architecture(const struct gguf *g, struct cria_error *err) {
    struct text_span name;
    const struct gguf_key *k = gguf_find_key(g, "general.architecture");
    if (!k) return ERROR_SET(err, CRIA_FORMAT, "key \"general.architecture\" is missing");
    cria_status status = gguf_read_string(g, k, &name, err);
    if (status != CRIA_OK) return status;
    if (!span_is(name, "llama")) {
        return ERROR_SET(err, CRIA_UNSUPPORTED, "architecture \"%.*s\" is not supported; \"llama\" is",
                         (int)(name.n < 64 ? name.n : 64), name.bytes);
    }
    k = gguf_find_key(g, "general.type");
    if (!k) return CRIA_OK;
    status = gguf_read_string(g, k, &name, err);
    if (status == CRIA_OK && !span_is(name, "model")) {
        status = ERROR_SET(err, CRIA_UNSUPPORTED, "general.type is \"%.*s\": not a whole model",
                           (int)(name.n < 64 ? name.n : 64), name.bytes);
    }
    return status;
}

/* Integers that have to be 0, and floats that have to be 1, where they are there: other relatives of the family. */
static cria_status check_neutral(const struct gguf *g, struct cria_error *err) {
    static const char *const zeros[] = {"expert_count", "expert_used_count", "attention.sliding_window"};
    static const char *const ones[] = {"logit_scale", "embedding_scale", "residual_scale", "rope.scaling.attn_factor"};
    for (size_t i = 0; i < sizeof zeros / sizeof zeros[0]; i++) {
        const struct gguf_key *k = find(g, zeros[i]);
        uint64_t value = 0;
        const cria_status status = k ? gguf_read_u64(g, k, INT64_MAX, &value, err) : CRIA_OK;
        if (status != CRIA_OK) return status;
        if (value) {
            return ERROR_SET(err, CRIA_UNSUPPORTED, "key \"" PREFIX "%s\" is %llu; only 0 is supported", zeros[i],
                             (unsigned long long)value);
        }
    }
    for (size_t i = 0; i < sizeof ones / sizeof ones[0]; i++) {
        const struct gguf_key *k = find(g, ones[i]);
        double value = 1.0;
        const cria_status status = k ? gguf_read_f64(g, k, &value, err) : CRIA_OK;
        if (status != CRIA_OK) return status;
        if (value != 1.0) {
            return ERROR_SET(err, CRIA_UNSUPPORTED, "key \"" PREFIX "%s\" is %g; only 1 is supported", ones[i], value);
        }
    }
    return CRIA_OK;
}

/* Head size: from the width, or as the file says it; all places that name it have to agree. */
static cria_status read_head_size(const struct gguf *g, struct arch_config *c, struct cria_error *err) {
    static const char *const names[] = {"attention.key_length", "attention.value_length", "rope.dimension_count"};
    int64_t size = 0;
    if (!find(g, names[0]) && c->n_heads > 0) {
        if (c->d_model % c->n_heads) {
            return ERROR_SET(err, CRIA_SHAPE, "the model width (%lld) is no multiple of the number of heads (%lld)",
                             (long long)c->d_model, (long long)c->n_heads);
        }
        size = c->d_model / c->n_heads;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct gguf_key *k = find(g, names[i]);
        uint64_t value = 0;
        if (!k) continue;
        const cria_status status = gguf_read_u64(g, k, INT64_MAX, &value, err);
        if (status != CRIA_OK) return status;
        if (i == 0) size = (int64_t)value;
        if ((int64_t)value != size) {
            return ERROR_SET(err, i == 2 && (int64_t)value < size ? CRIA_UNSUPPORTED : CRIA_SHAPE,
                             "key \"" PREFIX "%s\" is %llu, but the head size is %lld%s", names[i],
                             (unsigned long long)value, (long long)size,
                             i == 2 ? "; partial rotation is not supported" : "");
        }
    }
    c->head_size = size;
    return CRIA_OK;
}

static cria_status read_float(const struct gguf *g, const char *name, double missing, double *ret,
                              struct cria_error *err) {
    const struct gguf_key *k = find(g, name);
    *ret = missing;
    return k ? gguf_read_f64(g, k, ret, err) : CRIA_OK;
}

static cria_status read_rope(const struct gguf *g, struct arch_rope *r, struct cria_error *err) {
    cria_status status;
    struct text_span type = {"none", 4};
    double factor = 1.0, old_factor = 1.0;
    const struct gguf_key *k = find(g, "rope.scaling.type");
    TRY(read_float(g, "rope.freq_base", 10000.0, &r->theta, err));
    if (k) TRY(gguf_read_string(g, k, &type, err));
    TRY(read_float(g, "rope.scaling.factor", 1.0, &factor, err));
    TRY(read_float(g, "rope.scale_linear", 1.0, &old_factor, err)); /* the name of the first files */
    r->kind = ARCH_ROPE_PLAIN;
    if (span_is(type, "linear")) {
        r->kind = ARCH_ROPE_LINEAR;
        r->factor = factor;
    } else if (!span_is(type, "none")) {
        status = ERROR_SET(err, CRIA_UNSUPPORTED, "rotation scaling \"%.*s\" is not supported",
                           (int)(type.n < 64 ? type.n : 64), type.bytes);
        goto out;
    } else if (!k && factor != 1.0) {
        status = ERROR_SET(
            err, CRIA_FORMAT,
            "key \"" PREFIX "rope.scaling.factor\" is %g, but \"" PREFIX "rope.scaling.type\" is missing", factor);
        goto out;
    }
    if (old_factor == 1.0) goto out;
    if (k && !(r->kind == ARCH_ROPE_LINEAR && factor == old_factor)) {
        status =
            ERROR_SET(err, CRIA_FORMAT,
                      "key \"" PREFIX "rope.scale_linear\" (%g) contradicts \"" PREFIX "rope.scaling\"", old_factor);
        goto out;
    }
    r->kind = ARCH_ROPE_LINEAR;
    r->factor = old_factor;
out:
    return status;
}

/* A token's number, -1 for none. */
static cria_status read_id(const struct gguf *g, const char *name, int64_t n_vocab, int64_t *ret,
                           struct cria_error *err) {
    const struct gguf_key *k = gguf_find_key(g, name);
    uint64_t value = NO_ID;
    *ret = -1;
    if (!k) return CRIA_OK;
    const cria_status status = gguf_read_u64(g, k, UINT32_MAX, &value, err);
    if (status != CRIA_OK || value == NO_ID) return status;
    if ((int64_t)value >= n_vocab) {
        return ERROR_SET(err, CRIA_RANGE, "key \"%s\" is %llu, but the vocabulary has %lld tokens", name,
                         (unsigned long long)value, (long long)n_vocab);
    }
    *ret = (int64_t)value;
    return CRIA_OK;
}

static cria_status read_ids(const struct gguf *g, struct arch_config *c, struct cria_error *err) {
    static const char *const stops[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                        "tokenizer.ggml.eom_token_id"};
    static const char *const others[] = {"tokenizer.ggml.unknown_token_id", "tokenizer.ggml.padding_token_id",
                                         "tokenizer.ggml.seperator_token_id"};
    cria_status status;
    int64_t id;
    TRY(read_id(g, "tokenizer.ggml.bos_token_id", c->n_vocab, &c->bos_id, err));
    for (size_t i = 0; i < sizeof stops / sizeof stops[0]; i++) {
        TRY(read_id(g, stops[i], c->n_vocab, &id, err));
        bool known = id < 0;
        for (int j = 0; j < c->n_stop_ids; j++) known = known || c->stop_ids[j] == id;
        if (!known) c->stop_ids[c->n_stop_ids++] = id;
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) TRY(read_id(g, others[i], c->n_vocab, &id, err));
out:
    return status;
}

/* The name for people: at most what fits, cut between characters. */
static cria_status read_name(const struct gguf *g, struct arch_config *c, struct cria_error *err) {
    struct text_span name = {"", 0};
    const struct gguf_key *k = gguf_find_key(g, "general.name");
    const cria_status status = k ? gguf_read_string(g, k, &name, err) : CRIA_OK;
    if (status != CRIA_OK) return status;
    size_t n = 0;
    for (int step; n < name.n && (step = utf8_sequence_bytes(name.bytes + n, name.n - n)) > 0; n += (size_t)step) {
        if (n + (size_t)step >= sizeof c->name || name.bytes[n] == '\0') break;
    }
    memcpy(c->name, name.bytes, n);
    c->name[n] = '\0';
    return CRIA_OK;
}

/* The vocabulary's size stands in up to three places. */
static cria_status read_vocab_size(const struct gguf *g, int64_t n_rows, struct arch_config *c,
                                   struct cria_error *err) {
    const struct gguf_key *size = find(g, "vocab_size"), *tokens = gguf_find_key(g, "tokenizer.ggml.tokens");
    uint64_t value = 0;
    const cria_status status = size ? gguf_read_u64(g, size, INT64_MAX, &value, err) : CRIA_OK;
    if (status != CRIA_OK) return status;
    if (tokens && (!tokens->is_array || tokens->type != GGUF_STRING)) {
        return ERROR_SET(err, CRIA_FORMAT, "key \"tokenizer.ggml.tokens\" is no array of strings");
    }
    const int64_t n_tokens = tokens ? (int64_t)tokens->count : n_rows;
    c->n_vocab = n_rows ? n_rows : n_tokens;
    if (c->n_vocab == 0) c->n_vocab = (int64_t)value;
    if (size && (int64_t)value != c->n_vocab) {
        return ERROR_SET(err, CRIA_SHAPE, "key \"" PREFIX "vocab_size\" is %llu, but the %s %lld",
                         (unsigned long long)value, n_rows ? "embedding's number of rows is" : "number of tokens is",
                         (long long)c->n_vocab);
    }
    if (n_tokens != c->n_vocab && tokens) {
        return ERROR_SET(err, CRIA_SHAPE, "the file lists %lld tokens, but the embedding has %lld rows",
                         (long long)n_tokens, (long long)c->n_vocab);
    }
    return CRIA_OK;
}

static cria_status read_hyper_parameters(const struct gguf *g, struct arch_config *c, struct cria_error *err) {
    cria_status status;
    const struct gguf_key *eps = NULL;
    TRY(check_architecture(g, err));
    TRY(check_neutral(g, err));
    TRY(read_size(g, "block_count", 0, &c->n_layers, err));
    TRY(read_size(g, "context_length", 0, &c->n_context, err));
    TRY(read_size(g, "embedding_length", 0, &c->d_model, err));
    TRY(read_size(g, "feed_forward_length", c->n_layers, &c->d_ff, err));
    TRY(read_size(g, "attention.head_count", c->n_layers, &c->n_heads, err));
    c->n_kv_heads = c->n_heads;
    if (find(g, "attention.head_count_kv"))
        TRY(read_size(g, "attention.head_count_kv", c->n_layers, &c->n_kv_heads, err));
    TRY(read_head_size(g, c, err));
    TRY(require(g, "attention.layer_norm_rms_epsilon", &eps, err));
    TRY(gguf_read_f64(g, eps, &c->norm_eps, err));
    TRY(read_rope(g, &c->rope, err));
out:
    return status;
}

cria_status gguf_config_read(const struct gguf *g, int64_t n_rows, bool only_text, struct arch_config *ret,
                             struct cria_error *err) {
    cria_status status;
    struct arch_config c = {.bos_id = -1};
    TRY(read_name(g, &c, err));
    if (!only_text) TRY(read_hyper_parameters(g, &c, err));
    TRY(read_vocab_size(g, n_rows, &c, err));
    TRY(read_ids(g, &c, err));
    *ret = c;
out:
    return status;
}
