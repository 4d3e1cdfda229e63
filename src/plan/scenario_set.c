/* scenario_set.c: from words to scenarios: numbers with their suffixes, keys with the nearest known one, YAML files. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/conf_yaml.h"
#include "plan/plan_names.h"
#include "plan/scenario.h"

void scenario_init(struct scenario *s, enum scenario_kind kind, const char *name) {
    *s = (struct scenario){.kind = kind};
    snprintf(s->name, sizeof s->name, "%s", name);
    snprintf(s->model, sizeof s->model, "%s", kind == SCENARIO_SITE ? "" : "llama3-70b");
    snprintf(s->gpu, sizeof s->gpu, "%s", "h100");
    snprintf(s->site, sizeof s->site, "%s", "us-industrial");
    snprintf(s->precision, sizeof s->precision, "%s", kind == SCENARIO_SERVE ? "fp8" : "bf16");
    snprintf(s->software, sizeof s->software, "%s", "");
    for (int p = 0; p < SCENARIO_PARAM_COUNT; p++) s->values[p] = scenario_param_row((enum scenario_param)p)->fallback;
}

/* What may stand behind a number: a prefix, and then a unit that says nothing new. */
static bool read_suffix(const char *text, double *ret_factor) {
    static const struct {
        const char *word;
        double factor;
    } rows[] = {{"", 1},     {"k", 1e3},  {"K", 1e3},   {"M", 1e6},  {"B", 1e9},  {"G", 1e9},
                {"T", 1e12}, {"P", 1e15}, {"%", 0.01},  {"W", 1},    {"kW", 1e3}, {"MW", 1e6},
                {"GW", 1e9}, {"s", 1},    {"ms", 1e-3}, {"min", 60}, {"h", 3600}, {"Mtok", 1e6}};
    while (*text == ' ') text++;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(text, rows[i].word) == 0) {
            *ret_factor = rows[i].factor;
            return true;
        }
    return false;
}

cria_status scenario_read_number(const char *text, double *ret, struct cria_error *err) {
    char digits[64];
    size_t n = 0;
    double value, factor;
    for (const char *at = text; *at; at++) {
        const bool is_exponent = (*at == 'e' || *at == 'E') && n > 0 && (isdigit((unsigned char)at[1]) || at[1] == '-');
        const bool is_digit = isdigit((unsigned char)*at) || *at == '.' || *at == '+' || *at == '-';
        if (!is_digit && !is_exponent && *at != '_' && *at != ',') break;
        if (n + 1 >= sizeof digits) return ERROR_SET(err, CRIA_FORMAT, "\"%s\" is too long for a number", text);
        if (*at != '_' && *at != ',') digits[n++] = *at;
    }
    digits[n] = '\0';
    const char *rest = text;
    for (size_t i = 0; i < n; rest++) i += *rest != '_' && *rest != ',';
    if (n == 0 || conf_read_real(digits, -1e30, 1e30, &value, NULL) != CRIA_OK || !read_suffix(rest, &factor))
        return ERROR_SET(err, CRIA_FORMAT, "\"%s\" is no number; write 16384, 500M, 15.6T, 30MW, 5%% or 1.5e6", text);
    *ret = value * factor;
    return CRIA_OK;
}

struct word {
    const char *key;
    char *at;
    size_t n;
};

static bool same_key(const char *a, const char *b) {
    for (; *a && *b; a++, b++)
        if (*a != *b && !((*a == '_' || *a == '-') && (*b == '_' || *b == '-'))) return false;
    return *a == *b;
}

static cria_status set_word(const struct word *w, const char *text, struct cria_error *err) {
    if (strlen(text) >= w->n)
        return ERROR_SET(err, CRIA_RANGE, "%s: \"%.40s...\" is longer than %zu bytes", w->key, text, w->n - 1);
    snprintf(w->at, w->n, "%s", text);
    return CRIA_OK;
}

static cria_status set_number(struct scenario *s, enum scenario_param p, const char *text, struct cria_error *err) {
    const struct scenario_param_row *row = scenario_param_row(p);
    double value;
    const cria_status status = scenario_read_number(text, &value, err);
    if (status != CRIA_OK) {
        error_prefix(err, "%s", row->key);
        return status;
    }
    if (!(row->kinds & 1u << s->kind))
        return ERROR_SET(err, CRIA_USAGE, "%s means nothing to a %s scenario", row->key, scenario_kind_name(s->kind));
    if (!(value >= row->min && value <= row->max))
        return ERROR_SET(err, CRIA_RANGE, "%s must lie between %g and %g %s, not %g", row->key, row->min, row->max,
                         row->unit, value);
    if (row->is_whole && value != (double)(int64_t)value)
        return ERROR_SET(err, CRIA_RANGE, "%s is a count: %g is not whole", row->key, value);
    s->values[p] = value;
    s->is_set[p] = true;
    return CRIA_OK;
}

static cria_status unknown_key(const struct scenario *s, const char *key, struct cria_error *err) {
    const char *nearest = "model";
    size_t best = plan_names_distance(key, nearest);
    for (int p = 0; p < SCENARIO_PARAM_COUNT; p++) {
        const struct scenario_param_row *row = scenario_param_row((enum scenario_param)p);
        const size_t distance = plan_names_distance(key, row->key);
        if (distance < best && row->kinds & 1u << s->kind) {
            best = distance;
            nearest = row->key;
        }
    }
    return ERROR_SET(err, CRIA_NOTFOUND, "a %s scenario has no \"%s\"; the nearest key is \"%s\"",
                     scenario_kind_name(s->kind), key, nearest);
}

cria_status scenario_set(struct scenario *s, const char *key, const char *text, struct cria_error *err) {
    const struct word words[] = {{"name", s->name, sizeof s->name},
                                 {"model", s->model, sizeof s->model},
                                 {"gpu", s->gpu, sizeof s->gpu},
                                 {"site", s->site, sizeof s->site},
                                 {"precision", s->precision, sizeof s->precision},
                                 {"software", s->software, sizeof s->software}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (same_key(key, words[i].key)) return set_word(&words[i], text, err);
    for (int p = 0; p < SCENARIO_PARAM_COUNT; p++)
        if (same_key(key, scenario_param_row((enum scenario_param)p)->key))
            return set_number(s, (enum scenario_param)p, text, err);
    return unknown_key(s, key, err);
}

cria_status scenario_set_pair(struct scenario *s, const char *pair, struct cria_error *err) {
    char key[64];
    const char *equals = strchr(pair, '=');
    if (!equals || equals == pair || (size_t)(equals - pair) >= sizeof key)
        return ERROR_SET(err, CRIA_USAGE, "\"%s\": expected key=value", pair);
    snprintf(key, sizeof key, "%.*s", (int)(equals - pair), pair);
    return scenario_set(s, key, equals + 1, err);
}

static enum scenario_kind kind_of(const char *name) {
    for (int k = SCENARIO_TRAIN; k < SCENARIO_KIND_COUNT; k++)
        if (name && strcmp(name, scenario_kind_name((enum scenario_kind)k)) == 0) return (enum scenario_kind)k;
    return SCENARIO_NONE;
}

/* The entries of y below `prefix` into one scenario. */
static cria_status read_one(const struct conf_yaml *y, const char *prefix, struct scenario *ret,
                            struct cria_error *err) {
    char path[CONF_YAML_PATH];
    snprintf(path, sizeof path, "%skind", prefix);
    const char *kind = conf_yaml_get(y, path);
    cria_status status = CRIA_OK;
    if (kind_of(kind) == SCENARIO_NONE)
        return ERROR_SET(err, CRIA_FORMAT, "%s: %s must be train, serve or site, not \"%s\"", y->name, path,
                         kind ? kind : "");
    scenario_init(ret, kind_of(kind), kind);
    for (int i = 0; i < y->n_items; i++) {
        const struct conf_yaml_item *item = &y->items[i];
        if (strncmp(item->path, prefix, strlen(prefix)) != 0 || strcmp(item->path, path) == 0) continue;
        status = scenario_set(ret, item->path + strlen(prefix), item->value, err);
        if (status == CRIA_OK) continue;
        error_prefix(err, "%s, line %d", y->name, item->line);
        return status;
    }
    return status;
}

cria_status scenario_read_yaml(const char *name, const char *text, size_t n, int max, struct scenario *ret_rows,
                               int *ret_n, struct cria_error *err) {
    struct conf_yaml *y = NULL;
    cria_status status;
    TRY(conf_yaml_parse(&y, name, text, n, err));
    const int count = conf_yaml_count(y, "scenarios");
    if (count > max) TRY(ERROR_SET(err, CRIA_LIMIT, "%s has %d scenarios; at most %d are compared", name, count, max));
    for (int i = 0; i < count; i++) {
        char prefix[32];
        snprintf(prefix, sizeof prefix, "scenarios[%d].", i);
        TRY(read_one(y, prefix, &ret_rows[i], err));
    }
    if (count == 0) TRY(read_one(y, "", &ret_rows[0], err));
    *ret_n = count ? count : 1;
out:
    conf_yaml_destroy(&y);
    return status;
}
