/* arch_config.c: what must hold of a configuration, and its shard count. */
#include "arch/arch.h"

#include <math.h>

#include "arch/limits.h"

static cria_status check_size(const char *what, int64_t value, int64_t limit, struct cria_error *err) {
    if (value >= 1 && value <= limit) return CRIA_OK;
    return ERROR_SET(err, CRIA_RANGE, "%s is %lld; expected 1 to %lld", what, (long long)value, (long long)limit);
}

static cria_status check_sizes(const struct arch_config *c, struct cria_error *err) {
    const struct {
        const char *what;
        int64_t value, limit;
    } sizes[] = {
        {"the model width", c->d_model, LIMIT_WIDTH},
        {"the number of layers", c->n_layers, LIMIT_LAYERS},
        {"the number of heads", c->n_heads, LIMIT_HEADS},
        {"the number of key/value heads", c->n_kv_heads, LIMIT_HEADS},
        {"the head size", c->head_size, ARCH_MAX_HEAD_SIZE},
        {"the feed-forward width", c->d_ff, LIMIT_FF_WIDTH},
        {"the vocabulary size", c->n_vocab, LIMIT_VOCAB},
        {"the context length", c->n_context, LIMIT_CONTEXT},
    };
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const cria_status status = check_size(sizes[i].what, sizes[i].value, sizes[i].limit, err);
        if (status != CRIA_OK) return status;
    }
    return CRIA_OK;
}

static cria_status check_heads(const struct arch_config *c, struct cria_error *err) {
    if (c->n_kv_heads > c->n_heads || c->n_heads % c->n_kv_heads) {
        return ERROR_SET(err, CRIA_SHAPE,
                         "the number of heads (%lld) is no multiple of the number of key/value heads (%lld)",
                         (long long)c->n_heads, (long long)c->n_kv_heads);
    }
    if (c->head_size % 2) {
        return ERROR_SET(err, CRIA_SHAPE, "the head size is %lld; the rotation needs an even one",
                         (long long)c->head_size);
    }
    if (c->n_heads * c->head_size > LIMIT_WIDTH) {
        return ERROR_SET(err, CRIA_RANGE, "heads (%lld) x head size (%lld) is above %d", (long long)c->n_heads,
                         (long long)c->head_size, LIMIT_WIDTH);
    }
    return CRIA_OK;
}

static cria_status check_factors(const struct arch_rope *r, struct cria_error *err) {
    const bool has_factor = r->kind == ARCH_ROPE_LINEAR || r->kind == ARCH_ROPE_LLAMA3;
    if (has_factor && !(isfinite(r->factor) && r->factor >= 1.0)) {
        return ERROR_SET(err, CRIA_RANGE, "the rotation's scaling factor is %g; expected 1 or more", r->factor);
    }
    if (r->kind != ARCH_ROPE_LLAMA3) return CRIA_OK;
    if (!(isfinite(r->low_factor) && isfinite(r->high_factor) && r->low_factor > 0.0)) {
        return ERROR_SET(err, CRIA_RANGE, "low_freq_factor %g and high_freq_factor %g: expected numbers above 0",
                         r->low_factor, r->high_factor);
    }
    if (r->low_factor > r->high_factor) {
        return ERROR_SET(err, CRIA_RANGE, "low_freq_factor (%g) is above high_freq_factor (%g)", r->low_factor,
                         r->high_factor);
    }
    return check_size("original_max_position_embeddings", r->original_context, LIMIT_CONTEXT, err);
}

static cria_status check_divisors(const struct arch_config *c, struct cria_error *err) {
    for (int64_t i = 0; i < c->head_size / 2; i++) {
        const double divisor = (double)c->rope.divisors[i];
        if (!(isfinite(divisor) && divisor >= 1.0 && divisor <= 1e6)) {
            return ERROR_SET(err, CRIA_RANGE, "the rotation's divisor %lld is %g; expected 1 to 1000000", (long long)i,
                             divisor);
        }
    }
    return CRIA_OK;
}

static cria_status check_rope(const struct arch_config *c, struct cria_error *err) {
    const struct arch_rope *r = &c->rope;
    if (r->kind == ARCH_ROPE_NONE || r->kind > ARCH_ROPE_DIVISORS) {
        return ERROR_SET(err, CRIA_UNSUPPORTED, "a model without rotary positions is not supported");
    }
    /* From 1 on no frequency is above 1, so an angle is never above its position. */
    if (!(isfinite(r->theta) && r->theta >= 1.0 && r->theta <= 1e12)) {
        return ERROR_SET(err, CRIA_RANGE, "the rotation's base (theta) is %g; expected 1 to 1e12", r->theta);
    }
    return r->kind == ARCH_ROPE_DIVISORS ? check_divisors(c, err) : check_factors(r, err);
}

static cria_status check_ids(const struct arch_config *c, struct cria_error *err) {
    if (c->bos_id < -1 || c->bos_id >= c->n_vocab) {
        return ERROR_SET(err, CRIA_RANGE, "the beginning-of-text id is %lld, but the vocabulary has %lld tokens",
                         (long long)c->bos_id, (long long)c->n_vocab);
    }
    if (c->n_stop_ids < 0 || c->n_stop_ids > ARCH_MAX_STOP_IDS) {
        return ERROR_SET(err, CRIA_LIMIT, "%d end-of-text ids; at most %d are held", c->n_stop_ids, ARCH_MAX_STOP_IDS);
    }
    for (int i = 0; i < c->n_stop_ids; i++) {
        if (c->stop_ids[i] < 0 || c->stop_ids[i] >= c->n_vocab) {
            return ERROR_SET(err, CRIA_RANGE, "an end-of-text id is %lld, but the vocabulary has %lld tokens",
                             (long long)c->stop_ids[i], (long long)c->n_vocab);
        }
    }
    return CRIA_OK;
}

cria_status arch_config_check(const struct arch_config *c, struct cria_error *err) {
    cria_status status;
    TRY(check_sizes(c, err));
    TRY(check_heads(c, err));
    if (!(isfinite(c->norm_eps) && c->norm_eps > 0.0 && c->norm_eps < 1.0)) {
        status =
            ERROR_SET(err, CRIA_RANGE, "the norms' epsilon is %g; expected a number above 0 and below 1", c->norm_eps);
        goto out;
    }
    TRY(check_rope(c, err));
    TRY(check_ids(c, err));
out:
    return status;
}

int arch_shards(const struct arch_config *c) {
    int shards = 1;
    while (shards < 8) {
        const int twice = 2 * shards;
        if (c->n_kv_heads % twice || c->n_heads * c->head_size < 1024 * (int64_t)twice ||
            c->d_ff < 1024 * (int64_t)twice)
            break;
        shards = twice;
    }
    return shards;
}
