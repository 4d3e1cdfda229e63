/* conf_yaml.c: libyaml's events into a flat list; see conf_yaml.h. */
#include "conf/conf_yaml.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "base/alloc.h"

/* An open mapping or list; its part of the path begins at `at`. */
struct level {
    bool is_list, has_key;
    int n;     /* entries of a list */
    size_t at; /* length of the path without this level's key or index */
};

struct reader {
    struct conf_yaml *out;
    struct level levels[CONF_YAML_DEPTH];
    int depth, capacity;
    char path[CONF_YAML_PATH];
};

static cria_status set_path(struct reader *r, const struct level *l, const char *part, struct cria_error *err) {
    const char *dot = l->at && !l->is_list ? "." : "";
    const int n = snprintf(r->path + l->at, sizeof r->path - l->at, "%s%s", dot, part);
    if (n < 0 || (size_t)n >= sizeof r->path - l->at)
        return ERROR_SET(err, CRIA_LIMIT, "a path of more than %d bytes", CONF_YAML_PATH - 1);
    return CRIA_OK;
}

/* Makes the path that of the value which begins now: the key is there already, a list counts on. */
static cria_status enter_value(struct reader *r, struct cria_error *err) {
    struct level *l = r->depth ? &r->levels[r->depth - 1] : NULL;
    if (!l) return CRIA_OK;
    if (!l->is_list) {
        l->has_key = false;
        return CRIA_OK;
    }
    char index[16];
    snprintf(index, sizeof index, "[%d]", l->n++);
    return set_path(r, l, index, err);
}

static cria_status enter_level(struct reader *r, bool is_list, struct cria_error *err) {
    cria_status status = enter_value(r, err);
    if (status != CRIA_OK) return status;
    if (r->depth == CONF_YAML_DEPTH) return ERROR_SET(err, CRIA_LIMIT, "nested more than %d deep", CONF_YAML_DEPTH);
    r->levels[r->depth++] = (struct level){.is_list = is_list, .at = strlen(r->path)};
    return CRIA_OK;
}

static bool is_word(const char *key) {
    for (const char *c = key; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '-' ||
              *c == '_'))
            return false;
    return *key;
}

/* Whether some value stands at the path or below it. */
static bool is_taken(const struct conf_yaml *y, const char *path) {
    const size_t n = strlen(path);
    for (int i = y->n_items - 1; i >= 0; i--) {
        const char *other = y->items[i].path;
        if (strncmp(other, path, n) == 0 && (!other[n] || other[n] == '.' || other[n] == '[')) return true;
    }
    return false;
}

static cria_status add_item(struct reader *r, const char *value, size_t n, int line, struct cria_error *err) {
    struct conf_yaml *y = r->out;
    if (y->n_items == CONF_YAML_ITEMS) return ERROR_SET(err, CRIA_LIMIT, "more than %d values", CONF_YAML_ITEMS);
    if (y->n_items == r->capacity) {
        const int capacity = r->capacity ? 2 * r->capacity : 32;
        struct conf_yaml_item *larger = alloc_resize(y->items, (size_t)capacity, sizeof *larger);
        if (!larger) return ERROR_NOMEM(err, (size_t)capacity * sizeof *larger, "the values of a YAML file");
        y->items = larger;
        r->capacity = capacity;
    }
    struct conf_yaml_item item = {alloc_text(r->path, strlen(r->path)), alloc_text(value, n), line};
    if (!item.path || !item.value) {
        alloc_free(item.path);
        alloc_free(item.value);
        return ERROR_NOMEM(err, n, "a value of a YAML file");
    }
    y->items[y->n_items++] = item;
    return CRIA_OK;
}

static cria_status on_scalar(struct reader *r, const yaml_event_t *e, struct cria_error *err) {
    const char *text = (const char *)e->data.scalar.value;
    const size_t n = e->data.scalar.length;
    struct level *l = r->depth ? &r->levels[r->depth - 1] : NULL;
    if (e->data.scalar.anchor) return ERROR_SET(err, CRIA_UNSUPPORTED, "anchors are not taken");
    if (memchr(text, 0, n)) return ERROR_SET(err, CRIA_FORMAT, "a NUL in a value");
    if (!l) return n ? ERROR_SET(err, CRIA_FORMAT, "expected keys with values, found \"%.40s\"", text) : CRIA_OK;
    if (!l->is_list && !l->has_key) {
        if (!is_word(text))
            return ERROR_SET(err, CRIA_FORMAT, "a key is letters, digits, - and _, found \"%.40s\"", text);
        const cria_status status = set_path(r, l, text, err);
        if (status != CRIA_OK) return status;
        if (is_taken(r->out, r->path)) return ERROR_SET(err, CRIA_FORMAT, "\"%s\" is given twice", r->path);
        l->has_key = true;
        return CRIA_OK;
    }
    const cria_status status = enter_value(r, err);
    if (status != CRIA_OK) return status;
    if (!n && e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        return ERROR_SET(err, CRIA_FORMAT, "\"%s\" has no value (write \"\" for an empty text)", r->path);
    return add_item(r, text, n, (int)e->start_mark.line + 1, err);
}

static cria_status on_start(struct reader *r, const unsigned char *anchor, bool is_list, struct cria_error *err) {
    const struct level *l = r->depth ? &r->levels[r->depth - 1] : NULL;
    if (anchor) return ERROR_SET(err, CRIA_UNSUPPORTED, "anchors are not taken");
    if (!l && is_list) return ERROR_SET(err, CRIA_FORMAT, "expected keys with values, found a list");
    if (l && !l->is_list && !l->has_key) return ERROR_SET(err, CRIA_FORMAT, "a key is a word, found a mapping or list");
    return enter_level(r, is_list, err);
}

static void on_end(struct reader *r) {
    r->depth--;
    r->path[r->levels[r->depth].at] = '\0';
}

static cria_status on_event(struct reader *r, const yaml_event_t *e, int *n_documents, struct cria_error *err) {
    switch (e->type) {
        case YAML_DOCUMENT_START_EVENT:
            return ++*n_documents > 1 ? ERROR_SET(err, CRIA_FORMAT, "more than one document") : CRIA_OK;
        case YAML_ALIAS_EVENT:
            return ERROR_SET(err, CRIA_UNSUPPORTED, "aliases are not taken");
        case YAML_SCALAR_EVENT:
            return on_scalar(r, e, err);
        case YAML_SEQUENCE_START_EVENT:
            return on_start(r, e->data.sequence_start.anchor, true, err);
        case YAML_MAPPING_START_EVENT:
            return on_start(r, e->data.mapping_start.anchor, false, err);
        case YAML_SEQUENCE_END_EVENT:
        case YAML_MAPPING_END_EVENT:
            on_end(r);
            return CRIA_OK;
        default:
            return CRIA_OK;
    }
}

static cria_status read_events(struct reader *r, yaml_parser_t *parser, struct cria_error *err) {
    int n_documents = 0;
    for (bool is_done = false; !is_done;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event)) {
            return ERROR_SET(err, CRIA_FORMAT, "%s, line %zu: %s", r->out->name, parser->problem_mark.line + 1,
                             parser->problem ? parser->problem : "cannot be read");
        }
        is_done = event.type == YAML_STREAM_END_EVENT;
        const int line = (int)event.start_mark.line + 1;
        const cria_status status = on_event(r, &event, &n_documents, err);
        yaml_event_delete(&event);
        if (status != CRIA_OK) {
            error_prefix(err, "%s, line %d", r->out->name, line);
            return status;
        }
    }
    return CRIA_OK;
}

cria_status conf_yaml_parse(struct conf_yaml **ret, const char *name, const char *text, size_t n,
                            struct cria_error *err) {
    struct reader r = {.out = ALLOC_NEW(struct conf_yaml)};
    yaml_parser_t parser;
    cria_status status = CRIA_OK;
    if (!r.out) return ERROR_NOMEM(err, sizeof *r.out, "a YAML file");
    r.out->name = alloc_text(name, strlen(name));
    if (!r.out->name || !yaml_parser_initialize(&parser)) {
        conf_yaml_destroy(&r.out);
        return ERROR_NOMEM(err, sizeof parser, "the YAML reader");
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, n);
    if (n > CONF_YAML_BYTES)
        status = ERROR_SET(err, CRIA_LIMIT, "%s: %zu bytes, at most %d are read", name, n, CONF_YAML_BYTES);
    else status = read_events(&r, &parser, err);
    yaml_parser_delete(&parser);
    if (status == CRIA_OK) {
        *ret = r.out;
        r.out = NULL;
    }
    conf_yaml_destroy(&r.out);
    return status;
}

void conf_yaml_destroy(struct conf_yaml **y) {
    if (!*y) return;
    for (int i = 0; i < (*y)->n_items; i++) {
        alloc_free((*y)->items[i].path);
        alloc_free((*y)->items[i].value);
    }
    alloc_free((*y)->items);
    alloc_free((*y)->name);
    alloc_free(*y);
    *y = NULL;
}

const char *conf_yaml_get(const struct conf_yaml *y, const char *path) {
    for (int i = 0; i < y->n_items; i++)
        if (strcmp(y->items[i].path, path) == 0) return y->items[i].value;
    return NULL;
}

int conf_yaml_count(const struct conf_yaml *y, const char *path) {
    const size_t n = strlen(path);
    int count = 0;
    for (int i = 0; i < y->n_items; i++) {
        int index = 0;
        if (strncmp(y->items[i].path, path, n) == 0 && sscanf(y->items[i].path + n, "[%d]", &index) == 1 &&
            index + 1 > count)
            count = index + 1;
    }
    return count;
}
