/* hf_rope.c: how a Hugging Face configuration scales the rotation (see hf_config.h). */
#include <math.h>
#include <string.h>

#include "arch/limits.h"
#include "format/hf_config.h"

static cria_status read_word(json_reader *r, char out[32], struct cria_error *err) {
    struct json_text text;
    const cria_status status = json_read_string(r, &text, err);
    if (status != CRIA_OK) return status;
    if (text.n == 0 || text.n >= 32 || memchr(text.bytes, 0, text.n)) return json_fail(r, err, "no name of a rotation");
    memcpy(out, text.bytes, text.n);
    out[text.n] = '\0';
    return CRIA_OK;
}

/* type and rope_type are two names of one field. */
static cria_status read_type(json_reader *r, struct hf_rope *h, struct cria_error *err) {
    char type[32];
    if (json_peek(r) == JSON_NULL) return json_read_null(r, err);
    const cria_status status = read_word(r, type, err);
    if (status != CRIA_OK) return status;
    if (h->type[0] && strcmp(h->type, type) != 0) {
        return json_fail(r, err, "rope_type and type contradict each other (\"%s\", \"%s\")", h->type, type);
    }
    memcpy(h->type, type, sizeof type);
    return CRIA_OK;
}

static cria_status read_field(json_reader *r, struct json_text key, struct hf_rope *h, struct cria_error *err) {
    const struct {
        const char *name;
        double *to;
    } numbers[] = {
        {"factor", &h->factor},    {"low_freq_factor", &h->low_factor},    {"high_freq_factor", &h->high_factor},
        {"rope_theta", &h->theta}, {"partial_rotary_factor", &h->partial},
    };
    if (json_text_is(key, "rope_type") || json_text_is(key, "type")) return read_type(r, h, err);
    if (json_peek(r) == JSON_NULL) return json_read_null(r, err);
    if (json_text_is(key, "original_max_position_embeddings")) {
        return json_read_i64(r, 1, LIMIT_CONTEXT, &h->original_context, err);
    }
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (json_text_is(key, numbers[i].name)) return json_read_f64(r, numbers[i].to, err);
    }
    if (json_peek(r) == JSON_OBJECT) {
        return json_fail(r, err, "rotation that differs between layers (\"%.*s\") is not supported",
                         (int)(key.n < 64 ? key.n : 64), key.bytes);
    }
    return json_skip(r, err);
}

cria_status hf_rope_read(json_reader *r, struct hf_rope *ret, bool *ret_present, struct cria_error *err) {
    cria_status status;
    bool more = false;
    struct json_text key;
    struct hf_rope h = {"", (double)NAN, (double)NAN, (double)NAN, (double)NAN, (double)NAN, -1};
    if (json_peek(r) == JSON_NULL) {
        *ret_present = false;
        return json_read_null(r, err);
    }
    TRY(json_begin_object(r, err));
    for (;;) {
        TRY(json_next_key(r, &key, &more, err));
        if (!more) break;
        TRY(read_field(r, key, &h, err));
    }
    *ret = h;
    *ret_present = true;
out:
    return status;
}

static cria_status need(double value, const char *name, const char *type, struct cria_error *err) {
    if (!isnan(value)) return CRIA_OK;
    return ERROR_SET(err, CRIA_FORMAT, "rotation of type \"%s\" needs \"%s\"", type, name);
}

static cria_status resolve_scaling(const struct hf_rope *h, struct arch_rope *r, struct cria_error *err) {
    cria_status status = CRIA_OK;
    r->kind = ARCH_ROPE_PLAIN;
    if (!h->type[0]) {
        if (!isnan(h->factor)) return ERROR_SET(err, CRIA_FORMAT, "the rotation has a factor, but no \"rope_type\"");
        return CRIA_OK;
    }
    if (strcmp(h->type, "default") == 0) return CRIA_OK;
    if (strcmp(h->type, "linear") == 0) {
        r->kind = ARCH_ROPE_LINEAR;
        TRY(need(h->factor, "factor", h->type, err));
        r->factor = h->factor;
    } else if (strcmp(h->type, "llama3") == 0) {
        r->kind = ARCH_ROPE_LLAMA3;
        TRY(need(h->factor, "factor", h->type, err));
        TRY(need(h->low_factor, "low_freq_factor", h->type, err));
        TRY(need(h->high_factor, "high_freq_factor", h->type, err));
        TRY(need(h->original_context < 0 ? (double)NAN : 1.0, "original_max_position_embeddings", h->type, err));
        r->factor = h->factor;
        r->low_factor = h->low_factor;
        r->high_factor = h->high_factor;
        r->original_context = h->original_context;
    } else {
        status = ERROR_SET(err, CRIA_UNSUPPORTED,
                           "rotation of type \"%s\" is not supported; default, linear and llama3 are", h->type);
    }
out:
    return status;
}

cria_status hf_rope_resolve(const struct hf_rope *h, double top_theta, struct arch_rope *ret, struct cria_error *err) {
    struct arch_rope r = {.kind = ARCH_ROPE_PLAIN, .theta = top_theta};
    if (h) {
        if (!isnan(h->partial) && h->partial != 1.0) {
            return ERROR_SET(err, CRIA_UNSUPPORTED, "partial rotation (partial_rotary_factor %g) is not supported",
                             h->partial);
        }
        if (!isnan(h->theta) && !isnan(top_theta) && h->theta != top_theta) {
            return ERROR_SET(err, CRIA_FORMAT, "rope_theta stands in two places with different values (%.17g, %.17g)",
                             top_theta, h->theta);
        }
        if (!isnan(h->theta)) r.theta = h->theta;
        const cria_status status = resolve_scaling(h, &r, err);
        if (status != CRIA_OK) return status;
    }
    if (isnan(r.theta)) r.theta = 10000.0;
    *ret = r;
    return CRIA_OK;
}
