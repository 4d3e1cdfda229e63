/* hardware_find.c: finding rows by names as people write them (see hardware.h). */
#include <stdio.h>
#include <string.h>

#include "plan/hardware_rows.h"
#include "plan/plan_names.h"

/* Another spelling of the row for the names to be held against; "" where it has none. */
struct spelling {
    const char *key, *name, *aliases;
};

static size_t better(size_t a, size_t b) { return a > b ? a : b; }

/* The next of a row's aliases, or false behind the last; *at begins at the list. */
static bool next_alias(const char **at, char out[64]) {
    while (**at == ',' || **at == ' ') ++*at;
    if (!**at) return false;
    size_t n = strcspn(*at, ",");
    snprintf(out, 64, "%.*s", (int)n, *at);
    *at += n;
    return true;
}

/* How well a row answers a name: PLAN_NAMES_EXACT, or the length of its longest spelling that stands in the name. */
static size_t score(const struct spelling *s, const char *name) {
    size_t best = better(plan_names_score(s->key, name), plan_names_score(s->name, name));
    const char *at = s->aliases;
    for (char alias[64]; next_alias(&at, alias);) best = better(best, plan_names_score(alias, name));
    return best;
}

/* How far its nearest spelling is. */
static size_t distance_of(const struct spelling *s, const char *name) {
    size_t least = plan_names_distance(s->key, name);
    const char *at = s->aliases;
    for (char alias[64]; next_alias(&at, alias);) {
        size_t distance = plan_names_distance(alias, name);
        if (distance < least) least = distance;
    }
    return least;
}

static bool spelling_at(const plan_hardware *hw, enum hardware_kind kind, size_t i, struct spelling *ret) {
    if (kind == HARDWARE_CHIP) {
        const struct plan_chip *c = hardware_chip_at(hw, i);
        if (c) *ret = (struct spelling){c->key, c->name, c->aliases};
        return c;
    }
    if (kind == HARDWARE_NODE) {
        const struct plan_node *n = hardware_node_at(hw, i);
        if (n) *ret = (struct spelling){n->key, n->name, ""};
        return n;
    }
    if (kind == HARDWARE_NETWORK) {
        const struct plan_network *n = hardware_network_at(hw, i);
        if (n) *ret = (struct spelling){n->key, n->name, ""};
        return n;
    }
    const struct plan_site *s = hardware_site_at(hw, i);
    if (s) *ret = (struct spelling){s->key, s->name, ""};
    return s;
}

static cria_status find(const plan_hardware *hw, enum hardware_kind kind, const char *what, const char *name,
                        size_t *ret_i, struct cria_error *err) {
    struct spelling s;
    size_t best = 0, best_i = 0, nearest = (size_t)-1;
    const char *nearest_key = "";
    for (size_t i = 0; spelling_at(hw, kind, i, &s); i++) {
        size_t n = score(&s, name);
        if (n > best) best = n, best_i = i;
        size_t distance = distance_of(&s, name);
        if (distance < nearest) nearest = distance, nearest_key = s.key;
    }
    if (!best)
        return ERROR_SET(err, CRIA_NOTFOUND, "there is no %s \"%s\" in the tables; the nearest name is %s", what, name,
                         nearest_key);
    *ret_i = best_i;
    return CRIA_OK;
}

cria_status hardware_chip(const plan_hardware *hw, const char *name, const struct plan_chip **ret,
                          struct cria_error *err) {
    size_t i;
    cria_status status = find(hw, HARDWARE_CHIP, "chip", name, &i, err);
    if (status == CRIA_OK) *ret = hardware_chip_at(hw, i);
    return status;
}

cria_status hardware_node(const plan_hardware *hw, const char *name, const struct plan_node **ret,
                          struct cria_error *err) {
    size_t i;
    cria_status status = find(hw, HARDWARE_NODE, "node", name, &i, err);
    if (status == CRIA_OK) *ret = hardware_node_at(hw, i);
    return status;
}

cria_status hardware_network(const plan_hardware *hw, const char *name, const struct plan_network **ret,
                             struct cria_error *err) {
    size_t i;
    cria_status status = find(hw, HARDWARE_NETWORK, "network", name, &i, err);
    if (status == CRIA_OK) *ret = hardware_network_at(hw, i);
    return status;
}

cria_status hardware_site(const plan_hardware *hw, const char *name, const struct plan_site **ret,
                          struct cria_error *err) {
    size_t i;
    cria_status status = find(hw, HARDWARE_SITE, "site", name, &i, err);
    if (status == CRIA_OK) *ret = hardware_site_at(hw, i);
    return status;
}

const char *hardware_precision_name(enum plan_precision precision) {
    static const char *const names[PLAN_PRECISION_COUNT] = {
        [PLAN_PRECISION_NONE] = "none", [PLAN_FP32] = "fp32", [PLAN_TF32] = "tf32",
        [PLAN_BF16] = "bf16",           [PLAN_FP8] = "fp8",   [PLAN_FP4] = "fp4",
        [PLAN_INT8] = "int8",
    };
    return names[precision];
}
