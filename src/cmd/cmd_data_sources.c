/* cmd_data_sources.c: the sources of `data build`, from a YAML file and from --source and --held-out-source.
 *
 *   sources:
 *     - path: web/                # or paths: [a.txt, b.txt]
 *       name: web                 # else the last part of the path
 *       weight: 0.7               # share of the rows
 *       separator: "<|cut|>"
 *       text-field: body
 *     - path: test-novel.txt
 *       held-out: true
 *   tokenizer: tokenizer.json     # and every option of the command by its name
 *   seq-len: [1024]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "cmd/cmd_data.h"

enum { MAX_KEY = 64, MAX_PATHS = 1 << 14 };

const struct conf *cmd_data_conf(const struct cmd_data *d, enum conf_id id) {
    return conf_is_set(d->arguments, id) ? d->arguments : &d->file;
}

void cmd_data_close(struct cmd_data *d) {
    for (int i = 0; d->names && i < d->n_sources; i++) alloc_free(d->names[i]);
    alloc_free(d->names);
    alloc_free(d->paths);
    alloc_free(d->sources);
    conf_deinit(&d->file);
    conf_yaml_destroy(&d->yaml);
}

static cria_status open_yaml(struct cmd_data *d, struct cria_error *err) {
    static const char *const apart[] = {"sources", NULL};
    cria_status status = CRIA_OK;
    char *text = NULL;
    size_t n;
    TRY(conf_parse(&d->file, CONF_DATA_BUILD, 0, NULL, err));
    if (d->arguments->n_arguments == 0) goto out;
    const char *path = d->arguments->arguments[0];
    TRY(file_read(path, CONF_YAML_BYTES, &text, &n, err));
    TRY(conf_yaml_parse(&d->yaml, path, text, n, err));
    TRY(conf_set_yaml(&d->file, d->yaml, apart, err));
out:
    alloc_free(text);
    return status;
}

/* A source with a name of its own memory; n_sources counts it at once, so that closing frees it. */
static cria_status begin_source(struct cmd_data *d, const char *name, size_t n_name, struct build_source **ret,
                                struct cria_error *err) {
    if (d->n_sources == DATA_MAX_SOURCES) return ERROR_SET(err, CRIA_LIMIT, "more than %d sources", DATA_MAX_SOURCES);
    struct build_source *s = &d->sources[d->n_sources];
    char *copy = alloc_text(name, n_name);
    if (!copy) return ERROR_NOMEM(err, n_name, "a source's name");
    d->names[d->n_sources++] = copy;
    *s = (struct build_source){.name = copy,
                               .separator = conf_text(cmd_data_conf(d, CONF_DATA_SEPARATOR), CONF_DATA_SEPARATOR),
                               .text_field = conf_text(cmd_data_conf(d, CONF_DATA_FIELD), CONF_DATA_FIELD)};
    *ret = s;
    return CRIA_OK;
}

/* The last part of a path, slashes at its end aside. */
static void base_name(const char *path, const char **ret, size_t *ret_n) {
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    size_t at = n;
    while (at > 0 && path[at - 1] != '/') at--;
    *ret = path + at;
    *ret_n = n - at;
}

/* --source and --held-out-source: [NAME=]PATH. */
static cria_status add_arguments(struct cmd_data *d, enum conf_id id, int *n_paths, struct cria_error *err) {
    const struct conf *c = cmd_data_conf(d, id);
    cria_status status = CRIA_OK;
    for (int i = 0; i < conf_count(c, id); i++) {
        const char *text = conf_texts(c, id)[i], *equal = strchr(text, '='), *path = equal ? equal + 1 : text;
        const char *name = text;
        size_t n_name = equal ? (size_t)(equal - text) : 0;
        struct build_source *s;
        if (!equal) base_name(path, &name, &n_name);
        TRY(begin_source(d, name, n_name, &s, err));
        s->is_held_out = id == CONF_DATA_HELD_OUT_SOURCE;
        s->paths = &d->paths[*n_paths];
        s->n_paths = 1;
        d->paths[(*n_paths)++] = path;
    }
out:
    return status;
}

static cria_status read_bool(const char *text, bool *ret, struct cria_error *err) {
    if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
        return ERROR_SET(err, CRIA_USAGE, "expected true or false, found \"%s\"", text);
    *ret = strcmp(text, "true") == 0;
    return CRIA_OK;
}

/* One key of a source in the file. Paths are kept apart: they come after the name. */
static cria_status set_key(struct build_source *s, const char *key, const char *value, struct cria_error *err) {
    if (strcmp(key, "name") == 0 || strcmp(key, "path") == 0 || strncmp(key, "paths[", 6) == 0) return CRIA_OK;
    if (strcmp(key, "weight") == 0) return conf_read_real(value, 0, 1e12, &s->weight, err);
    if (strcmp(key, "held-out") == 0 || strcmp(key, "held_out") == 0) return read_bool(value, &s->is_held_out, err);
    if (strcmp(key, "separator") == 0) s->separator = value;
    else if (strcmp(key, "text-field") == 0 || strcmp(key, "text_field") == 0) s->text_field = value;
    else
        return ERROR_SET(err, CRIA_USAGE,
                         "unknown key \"%s\" of a source; there are path, paths, name, weight, held-out, "
                         "separator and text-field",
                         key);
    return CRIA_OK;
}

/* Source `index` of the file: its paths and name, then its other keys. */
static cria_status add_from_file(struct cmd_data *d, int index, int *n_paths, struct cria_error *err) {
    cria_status status = CRIA_OK;
    char prefix[MAX_KEY], key[MAX_KEY];
    struct build_source *s;
    const int first = *n_paths;
    snprintf(prefix, sizeof prefix, "sources[%d].", index);
    const size_t n_prefix = strlen(prefix);
    for (int i = 0; i < d->yaml->n_items; i++) {
        const struct conf_yaml_item *item = &d->yaml->items[i];
        if (strncmp(item->path, prefix, n_prefix) != 0) continue;
        if (strcmp(item->path + n_prefix, "path") == 0 || strncmp(item->path + n_prefix, "paths[", 6) == 0)
            d->paths[(*n_paths)++] = item->value;
    }
    if (*n_paths == first) return ERROR_SET(err, CRIA_USAGE, "%s: source %d has no path", d->yaml->name, index + 1);
    snprintf(key, sizeof key, "%sname", prefix);
    const char *name = conf_yaml_get(d->yaml, key);
    size_t n_name = name ? strlen(name) : 0;
    if (!name) base_name(d->paths[first], &name, &n_name);
    TRY(begin_source(d, name, n_name, &s, err));
    s->paths = &d->paths[first];
    s->n_paths = *n_paths - first;
    for (int i = 0; i < d->yaml->n_items; i++) {
        const struct conf_yaml_item *item = &d->yaml->items[i];
        if (strncmp(item->path, prefix, n_prefix) != 0) continue;
        status = set_key(s, item->path + n_prefix, item->value, err);
        if (status != CRIA_OK) {
            error_prefix(err, "%s, line %d", d->yaml->name, item->line);
            goto out;
        }
    }
out:
    return status;
}

cria_status cmd_data_open(struct cmd_data *d, struct cria_error *err) {
    cria_status status = CRIA_OK;
    int n_paths = 0;
    d->sources = alloc_zeroed(DATA_MAX_SOURCES, sizeof *d->sources);
    d->names = alloc_zeroed(DATA_MAX_SOURCES, sizeof *d->names);
    d->paths = alloc_zeroed(MAX_PATHS + DATA_MAX_SOURCES, sizeof *d->paths);
    if (!d->sources || !d->names || !d->paths) {
        status = ERROR_NOMEM(err, MAX_PATHS * sizeof *d->paths, "sources");
        goto out;
    }
    TRY(open_yaml(d, err));
    if (d->yaml && conf_yaml_count(d->yaml, "sources") == 0 && conf_yaml_get(d->yaml, "sources"))
        return ERROR_SET(err, CRIA_USAGE, "%s: expected a list of sources, each with a path", d->yaml->name);
    for (int i = 0; d->yaml && i < conf_yaml_count(d->yaml, "sources"); i++) TRY(add_from_file(d, i, &n_paths, err));
    TRY(add_arguments(d, CONF_DATA_SOURCE, &n_paths, err));
    TRY(add_arguments(d, CONF_DATA_HELD_OUT_SOURCE, &n_paths, err));
out:
    return status;
}
